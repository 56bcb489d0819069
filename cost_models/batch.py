"""Price very many networks that share their parts: each distinct part once, then sums of rows.

A network is a row of parts, each a list of layers that shares only its input and output with the
parts beside it:

    part 17          part 3           part 40         part 8
    +---------+      +---------+      +---------+     +---------+
    | layers  |--t1--| layers  |--t2--| layers  |--t3-| layers  |      t: the tensor between two
    +---------+      +---------+      +---------+     +---------+

What is inside of a part costs the same wherever it stands, but for its *borders*: whether its input
is on the chip when it begins, whether its output stays there, and whether the weights of the whole
network do. So a part has at most eight prices. The cost of a network is the sum over its parts, of
the price that its neighbours and the size of all weights decide; counts are whole numbers, whose
sums are exact in any order, so this gives to the last bit what `estimate` gives for the network as
a whole.

Whether t2 stays on the chip depends on both parts that it touches: in each it is alive together
with other tensors. A part therefore knows the *peak* of its input and of its output: the most bits
that are alive in any step in which that tensor is. t2 stays where it fits in both.

What is known of a part whatever the machine stands in a `PartBook`, so that the next machine starts
from there.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator
from cost_models.application import UW_PER_PJ_PER_S
from cost_models.book import LayerBook
from cost_models.energy import MEMORIES, Component, leakages_uw
from cost_models.machine_area import sum_bands
from cost_models.pricing import LayerPricer
from cost_models.residency import BORDERS, Borders, Residence, trace_flow
from cost_models.technology import Technology
from cost_models.tile_search import Objective
from cost_models.workload import IN_LINE, INPUT, Layer

Figures = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

NETWORKS_AT_ONCE = 4096
"""Networks that are summed at a time: their counts (some 30 of 8 bytes each) stay in the cache."""

PARTS_AT_ONCE = 512
"""Parts whose layers are summed at a time, for the same reason."""

FIRST_READ, SECOND_READ, WRITTEN = range(3)
"""Columns of a layer's peaks: of the tensors that it reads, and of the one that it writes."""

PART_INPUT, PART_OUTPUT, WHOLE_PART = range(3)
"""Columns of a part's peaks: of the tensors that it shares, and of all steps."""

BEFORE, BEHIND = -1.0, -2.0
"""Stand for the size of the tensor that is shared with the part before, or behind."""

NOTHING = np.inf
"""Stands for the size of a tensor that there is not: it never fits."""

EXACT_COLUMNS = (
    "trained_parameters",
    "stored_bits",
    "generated_weights",
    "macs",
    "multiplications",
    "additions",
    "dense_additions",
)
"""Sums over layers that do not depend on where operands are."""


class PartBook:
    """Parts of networks, and what is known of them whatever the machine.

    Grows and never forgets; several machines' `PartPricer` share one. A part is its layers: whoever
    adds the same part twice gets two numbers, so callers keep track of those that they have added.
    """

    def __init__(self) -> None:
        self.book = LayerBook()
        self._starts: list[int] = [0]
        self._layers: list[int] = []
        self._peaks: list[list[float]] = []
        self._part_peaks: list[tuple[float, float, float]] = []
        self._columns: tuple[Numbers, Numbers, Figures] | None = None
        """Layers, starts and peaks as columns, as of the last time that they were asked for."""
        self._peak_columns: Figures | None = None

    def __len__(self) -> int:
        """Parts in the book."""
        return len(self._part_peaks)

    def add(self, layers: Sequence[Layer], input_bits: int | None = None) -> int:
        """Write a part into the book; its number.

        Args:
            layers: of the part, in order; what its first one reads comes from the part before.
            input_bits: size of that tensor, where the first layer reads more than it, as on a
                stream (`trace_flow`).

        Raises:
            InvalidLayer: a layer reads one that is not before it.
        """
        # The part is traced as if it were a network: nothing of other parts is alive meanwhile,
        # since parts share no more than the tensor between them.
        flow = trace_flow(layers, input_bits)
        # The most that is alive in any step of a tensor's life: it stays if that fits.
        peak = {each.name: float(max(flow.alive_bits[flow.life(each)])) for each in flow.tensors}
        ends = {each.name for each in flow.tensors if each.last == len(layers)}
        border = dict(peak)
        border[INPUT] = BEFORE
        border.update((name, BEHIND) for name in ends)
        for layer, names, written in zip(layers, flow.reads, flow.writes, strict=True):
            peaks = [NOTHING] * 3
            peaks[FIRST_READ] = border[names[0]]
            if len(names) > 1:
                peaks[SECOND_READ] = border[names[1]]
            if layer.kind not in IN_LINE:
                peaks[WRITTEN] = border[written]
            self._peaks.append(peaks)
        self._layers += self.book.numbers(layers)
        self._starts.append(len(self._layers))
        [end] = ends
        self._part_peaks.append((peak[INPUT], peak[end], float(max(flow.alive_bits))))
        return len(self._part_peaks) - 1

    def layers(self, parts: Numbers) -> tuple[Numbers, Numbers, Figures]:
        """Layers of some parts, part after part.

        Returns:
            Their numbers in the layer book, shape (layers,); the index at which each part starts,
            shape (parts,); and the peaks of the tensors that they read and write, shape (layers,
            3), `BEFORE` and `BEHIND` for those that the part shares.
        """
        known = self._columns
        if known is None or len(known[0]) < len(self._layers):  # the next machine asks again
            known = self._columns = (
                np.array(self._layers, dtype=np.int64),
                np.array(self._starts, dtype=np.int64),
                np.array(self._peaks).reshape(-1, 3),
            )
        numbers, starts, peaks = known
        counts = starts[parts + 1] - starts[parts]
        own = np.cumsum(counts) - counts
        index = np.arange(counts.sum()) + np.repeat(starts[parts] - own, counts)
        return numbers[index], own, peaks[index]

    def part_peaks(self, parts: Numbers) -> Figures:
        """Bits at the peaks of some parts, shape (parts, 3).

        Columns `PART_INPUT` and `PART_OUTPUT` are the most that is alive in any step in which that
        tensor is, `WHOLE_PART` in any step at all.
        """
        known = self._peak_columns
        if known is None or len(known) < len(self):
            known = self._peak_columns = np.array(self._part_peaks).reshape(-1, 3)
        found: Figures = known[parts]
        return found


def stored_bits(book: LayerBook, machine: Accelerator) -> Figures:
    """Bits of weights of each layer of a book on a machine, as `Accelerator.stored_bits` has them.

    One that stores ternary matrices has their entries in place of start words.
    """
    weights, beside = book.column("stored_matrix_bits"), book.column("parameter_bits")
    start_bits = book.column("start_bits")
    if machine.ternary_weights == "stored":
        generated = book.column("generated")
        weights = weights + generated * book.column("weight_entries") * book.column("weight_bits")
        start_bits = start_bits * (1 - generated)
    word = machine.weight_word_bits
    stored: Figures = (np.ceil(weights / word) + np.ceil((beside + start_bits) / word)) * word
    return stored


class PartPricer:
    """Prices the parts of a book on one machine, and sums them to networks.

    Of each part and each of its eight borders (`residency.BORDERS`) three sums over its layers:

        counts    (parts, 8, entries)     events of the price list, without leakage
        latency   (parts, 8)              cycles
        trits     (parts, 8)

    and, whatever the borders, `EXACT_COLUMNS` and the peaks. A network is then one row of each per
    part, added up; prices come last (`PriceList.energy_pj`).
    """

    def __init__(
        self,
        parts: PartBook,
        machine: Accelerator,
        technology: Technology,
        objective: Objective = "edp",
    ) -> None:
        self.parts, self.machine = parts, machine
        self.pricer = LayerPricer(machine, technology, objective, parts.book)
        self._leakage_uw = sum_bands(leakages_uw(machine, technology).values()).mid
        self._met = [
            borders
            for borders in BORDERS
            if machine.activation_home or not (borders.input_on_chip or borders.output_on_chip)
            if machine.weight_home or not borders.weights_on_chip
        ]
        entries = len(self.pricer.prices.entries)
        self._counts = np.zeros((0, len(BORDERS), entries))
        self._latency = np.zeros((0, len(BORDERS)))
        self._trits = np.zeros((0, len(BORDERS)))
        self._exact = np.zeros((0, len(EXACT_COLUMNS)))
        self._peaks = np.zeros((0, 3))
        self._valid = np.zeros(0, dtype=np.bool_)
        self._rows = np.zeros(0, dtype=np.int64)
        """Of each part of the book, its row in the tables above; -1 where it is not priced yet."""

    def executable(self, networks: Numbers) -> npt.NDArray[np.bool_]:
        """Which networks of priced parts the machine can execute, shape (networks,).

        Args:
            networks: numbers of their parts, shape (networks, parts).
        """
        valid = self._valid[self._rows[networks]]
        all_parts: npt.NDArray[np.bool_] = np.logical_and.reduce(valid, axis=1)
        return all_parts

    def price_parts(self, wanted: Numbers | None = None) -> None:
        """Price parts of the book that are new, under each of the borders that can be met.

        A machine without a home for activations or weights never meets those that need one.

        Args:
            wanted: numbers of the parts that are asked for; all of the book where it is left out.
        """
        unseen = np.full(len(self.parts) - len(self._rows), -1)
        self._rows = np.concatenate([self._rows, unseen])
        new = np.flatnonzero(self._rows < 0) if wanted is None else np.unique(wanted)
        new = new[self._rows[new] < 0]
        if not len(new):
            return
        numbers, starts, peaks = self.parts.layers(new)
        n, entries = len(new), self._counts.shape[2]
        counts = np.zeros((n, len(BORDERS), entries))
        latency, trits = np.zeros((n, len(BORDERS))), np.zeros((n, len(BORDERS)))
        valid = np.ones(n, dtype=np.bool_)
        for borders in self._met:
            rows = self.pricer.find_rows(numbers, self._residence(peaks, borders))
            executable = rows >= 0
            # `reduceat` reduces from each start to the next; no part is empty, or it would not.
            valid &= np.logical_and.reduceat(executable, starts)
            # Layers that cannot be executed take any row: sums of parts that are not valid mean
            # nothing, and nobody asks for them.
            rows = np.where(executable, rows, 0)
            table = self.pricer.table
            if not len(table.trits):
                continue
            for begin in range(0, n, PARTS_AT_ONCE):
                some = starts[begin : begin + PARTS_AT_ONCE]
                stop = starts[begin + PARTS_AT_ONCE] if begin + PARTS_AT_ONCE < n else len(rows)
                # Of these parts' layers only, so starts count from the first of them.
                layers = table.counts[rows[some[0] : stop]]
                sums = counts[begin : begin + PARTS_AT_ONCE, borders.key]
                np.add.reduceat(layers, some - some[0], axis=0, out=sums)
            trits[:, borders.key] = np.add.reduceat(table.trits[rows], starts)
            latency[:, borders.key] = self._latencies(numbers, starts, table.latency[rows])
        self._counts = np.concatenate([self._counts, counts])
        self._latency = np.concatenate([self._latency, latency])
        self._trits = np.concatenate([self._trits, trits])
        self._exact = np.concatenate([self._exact, self._sum_exact(numbers, starts)])
        self._peaks = np.concatenate([self._peaks, self.parts.part_peaks(new)])
        self._rows[new] = len(self._valid) + np.arange(n)
        self._valid = np.concatenate([self._valid, valid])

    def _residence(self, peaks: Figures, borders: Borders) -> Residence:
        """Residence of each layer, given that of what its part shares with others.

        Args:
            peaks: as `PartBook.layers` returns them, shape (layers, 3). Sizes are compared with the
                home; `BEFORE` and `BEHIND` take what the borders say; `NOTHING` never fits.
            borders: of the parts, the same for all.
        """
        home = self.pricer.machine.activation_home
        on_chip = (peaks >= 0) & (peaks <= (home.bits if home else -1))
        on_chip[peaks == BEFORE] = borders.input_on_chip
        on_chip[peaks == BEHIND] = borders.output_on_chip
        return Residence(
            on_chip[:, FIRST_READ].astype(np.int64) + on_chip[:, SECOND_READ],
            on_chip[:, WRITTEN],
            np.full(len(peaks), borders.weights_on_chip),
        )

    def _latencies(
        self, numbers: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], latency: Figures
    ) -> Figures:
        """Cycles of each part, shape (parts,): in-line layers run beside the layer before them.

        A stage is a layer and those done in line with it; it takes as long as the longer of the
        two. The first layer of a part begins a stage: whatever is before it is another part. The
        same as `cost_models.cost.stage_latencies`, for all parts at once:

            layers      conv  norm  relu | conv  norm        two stages
            latency      100    30    90    50    40
            beside               30 + 90          40
            longest     max(100, 120)     max(50, 40)        170 cycles
        """
        in_line = self.parts.book.column("in_line")[numbers] > 0
        in_line[starts] = False
        stages = np.flatnonzero(~in_line)
        beside = np.add.reduceat(np.where(in_line, latency, 0.0), stages)
        longest = np.maximum(latency[stages], beside)
        first = np.searchsorted(stages, starts)
        total: Figures = np.add.reduceat(longest, first)
        return total

    def _sum_exact(self, numbers: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> Figures:
        """`EXACT_COLUMNS` of each part, shape (parts, columns).

        Two of them depend on the machine, though not on its mappings: one that stores ternary
        matrices has their entries in place of start words, and only one with a generator generates
        weights.
        """
        book, machine = self.parts.book, self.pricer.machine
        made = book.column("generated") * book.column("weight_entries")
        if machine.ternary_weights != "generated":
            made = 0 * made
        columns = {"stored_bits": stored_bits(book, machine), "generated_weights": made}
        return np.stack(
            [
                np.add.reduceat(
                    (columns[name] if name in columns else book.column(name))[numbers], starts
                )
                for name in EXACT_COLUMNS
            ],
            axis=1,
        )

    def price(self, networks: npt.NDArray[np.int64], rate: float = 1.0) -> dict[str, Figures]:
        """Costs of networks, by the names of `Cost.columns`; all but the areas.

        Args:
            networks: numbers of their parts in order, shape (networks, parts); all executable. All
                have the same number of parts: networks of different depths are priced apart.
            rate: inferences a second, of the average power.

        Returns:
            column -> one figure per network.
        """
        starts = range(0, max(len(networks), 1), NETWORKS_AT_ONCE)
        rows = self._rows[networks]
        pieces = [
            self._price_some(rows[start : start + NETWORKS_AT_ONCE], rate) for start in starts
        ]
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def _price_some(self, rows: Numbers, rate: float) -> dict[str, Figures]:
        machine = self.pricer.machine
        exact, counts, latency, trits = self._sums(rows)
        prices = self.pricer.prices
        dynamic = prices.running_pj(prices.energy_pj(counts), latency)
        energy = prices.leaked_pj(dynamic, latency)
        columns = {name: exact[:, at] for at, name in enumerate(EXACT_COLUMNS)}
        columns["activation_bits"] = self._peaks[rows, WHOLE_PART].max(axis=1)
        columns["trits"] = trits
        columns |= self._traffic(counts)
        columns["energy_pj"] = energy[:, 1]
        columns["energy_low_pj"] = energy[:, 0]
        columns["energy_high_pj"] = energy[:, 2]
        columns["latency_cycles"] = latency
        columns["latency_us"] = latency / machine.clock_mhz
        columns["leakage_uw"] = np.full(len(rows), self._leakage_uw)
        columns["average_power_uw"] = dynamic[:, 1] * (rate * UW_PER_PJ_PER_S) + self._leakage_uw
        columns["sram_bits"] = np.full(len(rows), float(machine.sram_bits))
        return columns

    def counts(self, networks: npt.NDArray[np.int64]) -> tuple[Figures, Figures, Figures, Figures]:
        """What happens in networks, whatever it costs.

        Args:
            networks: numbers of their parts in order, shape (networks, parts); all executable.

        Returns:
            `EXACT_COLUMNS`, events of the price list without leakage, cycles, and trits made: a row
            a network.
        """
        return self._sums(self._rows[networks])

    def _sums(self, networks: Numbers) -> tuple[Figures, Figures, Figures, Figures]:
        """`counts` of networks whose parts are given by their rows in the tables."""
        exact = np.zeros((len(networks), len(EXACT_COLUMNS)))
        for place in range(networks.shape[1]):
            exact += self._exact[networks[:, place]]
        # First the sums that need no residence, for the size of all weights decides whether they
        # stay, and so which of its eight prices each part has.
        borders = self._borders(networks, exact[:, EXACT_COLUMNS.index("stored_bits")]).key
        entries = self._counts.shape[2]
        counts = np.zeros((len(networks), entries))
        latency, trits = np.zeros(len(networks)), np.zeros(len(networks))
        flat = self._counts.reshape(-1, entries)
        for place in range(networks.shape[1]):
            row = networks[:, place] * len(BORDERS) + borders[:, place]
            counts += flat[row]
            latency += self._latency.reshape(-1)[row]
            trits += self._trits.reshape(-1)[row]
        return exact, counts, latency, trits

    def _borders(self, networks: npt.NDArray[np.int64], stored_bits: Figures) -> Borders:
        """What parts share with their neighbours, each of shape (networks, parts).

        Args:
            networks: rows of their parts.
            stored_bits: weights of each network on this machine, shape (networks,).
        """
        machine = self.pricer.machine
        home = machine.activation_home
        fits = self._peaks <= (home.bits if home else -1)
        # A tensor between two parts lives in both: it stays if that fits on either side.
        inside = fits[networks[:, :-1], PART_OUTPUT] & fits[networks[:, 1:], PART_INPUT]
        edge = np.zeros((len(networks), 1), dtype=np.bool_)
        if machine.input_arrives_on_chip:
            edge = fits[networks[:, :1], PART_INPUT] & fits[networks[:, -1:], PART_OUTPUT]
        kept = machine.weight_home
        resident = stored_bits <= (kept.bits if kept else -1)
        return Borders(
            input_on_chip=np.concatenate([edge, inside], axis=1),
            output_on_chip=np.concatenate([inside, edge], axis=1),
            weights_on_chip=resident[:, None],
        )

    def _traffic(self, counts: Figures) -> dict[str, Figures]:
        """Traffic columns from the counts of networks, shape (networks, entries); registers apart.

        What neither weights, inputs nor outputs move is not traffic (`Cost.traffic_bits`).
        """
        wanted = {
            "weight_traffic_bits": (("weights",), MEMORIES),
            "activation_traffic_bits": (("inputs", "outputs"), MEMORIES),
            "dram_traffic_bits": (("weights", "inputs", "outputs"), (Component.DRAM,)),
        }
        columns = {}
        for name, (operands, components) in wanted.items():
            total = np.zeros(len(counts))
            for row, entry in enumerate(self.pricer.prices.entries):
                if entry.component in components and entry.operand in operands:
                    total = total + counts[:, row]
            columns[name] = total
        return columns
