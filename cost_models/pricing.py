"""Price layers on a machine, many at once, each distinct one once.

A layer's price is its counts of priced events (`cost_models.energy`) and its cycles, under the best
mapping of `cost_models.mapping` for one objective. What the layer is called, and where in a network
it stands, do not matter: equal layers under equal residence are one row of the table. Layers that
differ only in their ternary matrix share a mapping; only their arithmetic differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel
from cost_models.book import LayerBook
from cost_models.energy import Component, Entry, PriceList, generator_prices, price_list
from cost_models.errors import InvalidInput
from cost_models.generator import GeneratorSpec, generator_parts
from cost_models.technology import Technology
from cost_models.tile_search import Mapped, Mapping, Objective, Placed, best_mappings

Column = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

BATCH = 48
"""Layers whose candidates are in memory at a time, some 100 MB."""

FLAGS = 12
"""Combinations of inputs (0, 1, 2), output and weights on the chip."""

CYCLE_COLUMNS = ("array", "fill", "generator", "vector")
"""Columns of `PricedLayers.cycles`; the memories' follow, in the order of the machine."""


@dataclass(slots=True)
class PricedLayers:
    """A table of distinct layers: counts of events, and cycles."""

    counts: npt.NDArray[np.float64]
    """Shape (layers, entries of the price list). Leakage is left out: it follows from the latency
    of the whole network, in which layers overlap."""
    cycles: npt.NDArray[np.float64]
    """Cycles that each part is busy, shape (layers, CYCLE_COLUMNS + memories)."""
    trits: npt.NDArray[np.float64]
    """Generated weights, as often as they are made."""
    ends: npt.NDArray[np.float64]
    """Cycles of first loads and last stores, one after the other."""
    mappings: list[Mapping | None] = field(default_factory=list)

    @property
    def latency(self) -> npt.NDArray[np.float64]:
        """Cycles of each layer: its array with filling and draining, or the slowest other part."""
        array = self.cycles[:, 0] + self.cycles[:, 1]
        latency: npt.NDArray[np.float64] = np.maximum(array, self.cycles[:, 2:].max(axis=1))
        return latency

    @property
    def exposed(self) -> npt.NDArray[np.float64]:
        """Cycles that each layer takes longer if first loads and last stores overlap with nothing.

        Nothing where a port bounds it: there they are part of what the port is busy with.
        """
        longer = self.cycles[:, 0] + self.cycles[:, 1] + self.ends - self.latency
        exposed: npt.NDArray[np.float64] = np.where(self.ends > 0, np.maximum(longer, 0.0), 0.0)
        return exposed


def flags_of(
    inputs_on_chip: Numbers | int, output_on_chip: Numbers | bool, weights_on_chip: bool
) -> Numbers:
    """Residence as a number below `FLAGS`."""
    return np.asarray(inputs_on_chip + 3 * np.asarray(output_on_chip) + 6 * int(weights_on_chip))


class LayerPricer:
    """Prices layers on one machine; remembers those that it has seen."""

    def __init__(
        self,
        machine: Accelerator,
        technology: Technology,
        objective: Objective = "edp",
        book: LayerBook | None = None,
    ) -> None:
        self.machine = machine
        self.technology = technology
        self.objective = objective
        self.book = LayerBook() if book is None else book
        self.prices: PriceList = price_list(machine, technology)
        self.errors: dict[int, InvalidInput] = {}
        """Layer and residence -> why it cannot be priced."""
        self._skips = any(array.zero_handling == "skipped" for array in machine.arrays)
        self._rows = np.zeros(0, dtype=np.int64)  # by layer and residence; -1 not yet, -2 never
        self._mapped: dict[tuple[int, int], Mapped | InvalidInput] = {}
        self._generators: dict[GeneratorSpec, list[tuple[int, int]]] = {}
        width = len(CYCLE_COLUMNS) + len(machine.memories)
        self.table = PricedLayers(
            counts=np.zeros((0, len(self.prices.entries))),
            cycles=np.zeros((0, width)),
            trits=np.zeros(0),
            ends=np.zeros(0),
        )

    def rows(self, placed: Sequence[Placed]) -> npt.NDArray[np.int64]:
        """Rows of `table` of these layers, pricing those that are new.

        Raises:
            InvalidAccelerator: the machine cannot execute a layer.
            UnmappableLayer: no part of a layer fits a memory that it must pass.
            InvalidLayer: the machine skips zeros, and a matrix is not known.
        """
        numbers = np.array(self.book.numbers([each.layer for each in placed]), dtype=np.int64)
        flags = np.array(
            [
                each.inputs_on_chip + 3 * each.output_on_chip + 6 * each.weights_on_chip
                for each in placed
            ],
            dtype=np.int64,
        )
        rows = self.rows_of(numbers, flags)
        if (rows < 0).any():
            at = int(np.flatnonzero(rows < 0)[0])
            raise self.error_of(int(numbers[at]), int(flags[at]), placed[at].layer.name)
        return rows

    def error_of(self, number: int, flags: int, name: str) -> InvalidInput:
        """Why a layer cannot be priced, said of the layer with this name."""
        error = self.errors[number * FLAGS + flags]
        priced = self.book.layers[number].name
        return type(error)(str(error).replace(priced, name, 1))

    def rows_of(self, numbers: Numbers, flags: Numbers) -> Numbers:
        """Rows of layers by their numbers in the book; negative where there is none (`errors`)."""
        most = len(self.book) * FLAGS
        if len(self._rows) < most:
            grown = np.full(max(most, 2 * len(self._rows)), -1, dtype=np.int64)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        keys = numbers * FLAGS + flags
        new = np.unique(keys[self._rows[keys] == -1])
        if len(new):
            self._add(new)
        rows: Numbers = self._rows[keys]
        return rows

    def _add(self, keys: Numbers) -> None:
        numbers, flags = np.divmod(keys, FLAGS)
        good = np.array(
            [
                self._executable(int(key), int(number))
                for key, number in zip(keys, numbers, strict=True)
            ]
        )
        convolution = self.book.column("convolution")[numbers] > 0
        found = self._search(keys, numbers, flags, np.flatnonzero(good & convolution))
        for place in np.flatnonzero(good & convolution):
            good[place] = int(place) in found
        self._rows[keys[~good]] = -2
        kept = np.flatnonzero(good)
        first = len(self.table.trits)
        added = self._priced(numbers[kept], flags[kept], [found.get(int(at)) for at in kept])
        self.table = PricedLayers(
            counts=np.concatenate([self.table.counts, added.counts]),
            cycles=np.concatenate([self.table.cycles, added.cycles]),
            trits=np.concatenate([self.table.trits, added.trits]),
            ends=np.concatenate([self.table.ends, added.ends]),
            mappings=self.table.mappings + added.mappings,
        )
        self._rows[keys[kept]] = first + np.arange(len(kept))

    def _executable(self, key: int, number: int) -> bool:
        try:
            self.machine.check_executable(self.book.layers[number])
        except InvalidInput as error:
            self.errors[key] = error
            return False
        return True

    # The mapping of convolutions

    def _search(
        self, keys: Numbers, numbers: Numbers, flags: Numbers, wanted: npt.NDArray[np.intp]
    ) -> dict[int, Mapped]:
        """Mappings of the layers at these places; those without one get an error instead."""
        new: dict[str, dict[tuple[int, int], int]] = {}
        identity: dict[int, tuple[int, int]] = {}
        for place in wanted.tolist():
            number = int(numbers[place])
            # Skipping depends on the matrix itself, everything else only on its shape.
            own = ~number if self._skips else self.book.shape(number)
            identity[place] = (own, int(flags[place]))
            if identity[place] not in self._mapped:
                name = self.machine.array_for(self.book.layers[number]).name
                new.setdefault(name, {}).setdefault(identity[place], place)
        for name, places in new.items():
            array = next(array for array in self.machine.arrays if array.name == name)
            items = list(places.items())
            for start in range(0, len(items), BATCH):
                self._search_batch(items[start : start + BATCH], numbers, flags, array)
        found: dict[int, Mapped] = {}
        for place, key in identity.items():
            mapped = self._mapped[key]
            if isinstance(mapped, InvalidInput):
                self.errors[int(keys[place])] = mapped
            else:
                found[place] = mapped
        return found

    def _search_batch(
        self,
        items: list[tuple[tuple[int, int], int]],
        numbers: Numbers,
        flags: Numbers,
        array: ComputeArray,
    ) -> None:
        placed = []
        for _, place in items:
            weights, rest = divmod(int(flags[place]), 6)
            output, inputs = divmod(rest, 3)
            layer = self.book.layers[numbers[place]]
            placed.append(Placed(layer, inputs, bool(output), bool(weights)))
        places = np.array([place for _, place in items])
        counts = np.zeros((len(items), len(self.prices.entries)))
        cycles = np.zeros((len(items), self.table.cycles.shape[1]))
        self._write_parameters(counts, cycles, numbers[places], flags[places])
        answers = best_mappings(
            placed,
            array,
            self.machine,
            self.prices,
            self.objective,
            list(self._trit_pj(numbers[places])),
            cycles[:, len(CYCLE_COLUMNS) :],
        )
        for (own, _), answer in zip(items, answers, strict=True):
            self._mapped[own] = answer

    def _trit_pj(self, numbers: Numbers) -> Column:
        """Energy of one generated trit, mid figure."""
        if self.machine.generator is None:
            return np.zeros(len(numbers))
        lanes = np.full(len(numbers), float(self.machine.generator.trits_per_cycle))
        counts = np.zeros((len(numbers), len(self.prices.entries)))
        self._write_generator(counts, numbers, lanes)
        energy: Column = (counts * self.prices.prices_pj[:, 1]).sum(axis=1) / lanes
        return energy

    # Counts, as columns over layers

    def _priced(
        self, numbers: Numbers, flags: Numbers, mapped: list[Mapped | None]
    ) -> PricedLayers:
        n, entries = len(numbers), len(self.prices.entries)
        counts, cycles = np.zeros((n, entries)), np.zeros((n, self.table.cycles.shape[1]))
        trits, steps, ends = np.zeros(n), np.zeros(n), np.zeros(n)
        arrays = np.full(n, -1)
        names = [array.name for array in self.machine.arrays]
        for at, each in enumerate(mapped):
            if each is None:
                continue
            counts[at] = each.moved
            cycles[at, 0], cycles[at, 1] = each.ideal_cycles, each.fill_cycles
            cycles[at, len(CYCLE_COLUMNS) :] = each.memory_cycles
            trits[at], steps[at] = each.trits, each.tree_steps
            ends[at] = each.end_cycles
            arrays[at] = names.index(each.mapping.array)
        for place, array in enumerate(self.machine.arrays):
            here = np.flatnonzero(arrays == place)
            if len(here):
                self._write_arithmetic(counts, here, numbers[here], array, steps[here])
        self._write_generator(counts, numbers, trits)
        lanes = self.machine.generator.trits_per_cycle if self.machine.generator else 1
        cycles[:, 2] = np.ceil(trits / lanes)
        others = np.flatnonzero(arrays < 0)
        self._write_vector(counts, cycles, others, numbers[others])
        self._write_activations(counts, cycles, others, numbers[others], flags[others])
        self._write_parameters(counts, cycles, numbers, flags)
        mappings = [None if each is None else each.mapping for each in mapped]
        return PricedLayers(counts, cycles, trits, ends, mappings)

    def _write_arithmetic(
        self,
        counts: npt.NDArray[np.float64],
        here: Numbers,
        numbers: Numbers,
        array: ComputeArray,
        steps: Column,
    ) -> None:
        column = {name: self.book.column(name)[numbers] for name in _ARITHMETIC}
        frames = column["out_frames"]
        positions = column["weight_entries"] * frames
        nonzeros = column["nonzeros"] * frames
        gated = array.zero_handling == "gated" and array.element == "ternary_adder"
        clocked = nonzeros if array.zero_handling == "skipped" or gated else positions
        width = np.minimum(column["accumulator_bits"], array.accumulator_bits)
        if array.element == "mac":
            component = Component.MULTIPLY_ACCUMULATE
            done = {
                "operation": positions,
                "multiplication": positions * column["weight_bits"] * column["input_bits"],
                "addition": positions * width,
            }
        else:
            component = Component.TERNARY_ADDITION
            tree = array.element == "ternary_tree"
            bits = column["input_bits"] if tree else width
            done = {
                "operation": clocked,
                "position": clocked * bits,
                "nonzero": nonzeros * bits,
                "addition": steps * width,
            }
        for action, count in done.items():
            row = self.prices.position.get(Entry(component, array.name, "", action))
            if row is not None:
                counts[here, row] += count
        # Rounding to the width of the outputs, and the bias where there is one.
        outputs = column["out_channels"] * frames * column["accumulator_bits"]
        counts[here, self._post("addition")] += outputs * (1 + column["bias"])
        counts[here, self._post("accumulation")] += outputs * column["bias"]

    def _post(self, action: str) -> int:
        return self.prices.position[Entry(Component.POST_PROCESSING, "vector unit", "", action)]

    def _write_generator(
        self, counts: npt.NDArray[np.float64], numbers: Numbers, trits: Column
    ) -> None:
        generator = self.machine.generator
        if generator is None:
            return
        cycles = np.ceil(trits / generator.trits_per_cycle)
        for at in np.flatnonzero(trits):
            parts = self._parts_of(int(numbers[at]))
            for row, units in parts:
                counts[at, row] += cycles[at] * units

    def _parts_of(self, number: int) -> list[tuple[int, int]]:
        """Rows of the price list and units of the generator that a layer needs."""
        spec, generator = self.book.layers[number].generator, self.machine.generator
        if spec is None or generator is None:
            return []
        if spec not in self._generators:
            parts = generator_parts(spec, generator.trits_per_cycle)
            self._generators[spec] = [
                (self.prices.position[Entry(Component.GENERATOR, "generator", "", action)], units)
                for action in generator_prices(self.technology)
                if (units := getattr(parts, action))
            ]
        return self._generators[spec]

    def _write_parameters(
        self,
        counts: npt.NDArray[np.float64],
        cycles: npt.NDArray[np.float64],
        numbers: Numbers,
        flags: Numbers,
    ) -> None:
        """Biases, batch norms and start states: read once, through all memories of the weights."""
        bits = self.book.column("stored_bits")[numbers] - self.book.column("trained_bits")[numbers]
        if self.machine.ternary_weights != "generated":
            bits = bits - self.book.column("generator_state_bits")[numbers]
        coming = np.ones(len(numbers))
        chain = self.machine.chain("weights")
        home = self.machine.weight_home
        for memory in chain:
            place = self.machine.memories.index(memory)
            words = np.ceil(bits / memory.word_bits) * memory.word_bits * coming
            counts[:, self.prices.memory_row(memory.name, "weights", "read")] += words
            moved = words
            if home is not None and memory.name == home.name:
                coming = coming * (flags < 6)
            if memory is not chain[-1]:
                filled = words * coming
                counts[:, self.prices.memory_row(memory.name, "weights", "write")] += filled
                moved = moved + filled
            column = len(CYCLE_COLUMNS) + place
            cycles[:, column] += np.ceil(moved / memory.bandwidth_bits_per_cycle)

    def _write_vector(
        self,
        counts: npt.NDArray[np.float64],
        cycles: npt.NDArray[np.float64],
        here: Numbers,
        numbers: Numbers,
    ) -> None:
        """Batch norm, activation, residual add, pooling, maximum, softmax."""
        column = {name: self.book.column(name)[numbers] for name in _VECTOR}
        sums = column["additions"] * column["accumulator_bits"]
        gain = column["weight_bits"] * column["accumulator_bits"]
        counts[here, self._post("multiplication")] += column["multiplications"] * gain
        counts[here, self._post("addition")] += sums
        counts[here, self._post("accumulation")] += sums
        counts[here, self._post("comparison")] += column["comparisons"] * column["input_bits"]
        operations = np.maximum(
            column["multiplications"], np.maximum(column["additions"], column["comparisons"])
        )
        cycles[here, 3] = np.ceil(operations / self.machine.vector_lanes)

    def _write_activations(
        self,
        counts: npt.NDArray[np.float64],
        cycles: npt.NDArray[np.float64],
        here: Numbers,
        numbers: Numbers,
        flags: Numbers,
    ) -> None:
        """Inputs and outputs of what is not a convolution; nothing for what is done in line."""
        tensors = self.book.column("tensors")[numbers]
        in_bits = self.book.column("input_traffic_bits")[numbers] / tensors
        out_bits = self.book.column("output_traffic_bits")[numbers]
        inputs_on_chip, output_on_chip = flags % 3, flags // 3 % 2
        chain = [each for each in self.machine.chain("inputs") if "outputs" in each.holds]
        home = self.machine.activation_home
        coming, going = tensors.copy(), np.ones(len(numbers))
        for memory in chain:
            read = self._move(counts, here, memory, "inputs", "read", coming * in_bits)
            written = self._move(counts, here, memory, "outputs", "write", going * out_bits)
            if home is not None and memory.name == home.name:
                coming, going = coming - inputs_on_chip, going - output_on_chip
            if memory is not chain[-1]:
                more = self._move(counts, here, memory, "inputs", "write", coming * in_bits)
                written = written + more
                read = read + self._move(counts, here, memory, "outputs", "read", going * out_bits)
            bits = read + written if memory.ports == "shared" else np.maximum(read, written)
            column = len(CYCLE_COLUMNS) + self.machine.memories.index(memory)
            cycles[here, column] += np.ceil(bits / memory.bandwidth_bits_per_cycle)

    def _move(
        self,
        counts: npt.NDArray[np.float64],
        here: Numbers,
        memory: MemoryLevel,
        operand: str,
        action: str,
        bits: Column,
    ) -> Column:
        """Count bits through a memory's port, in whole words."""
        words: Column = np.ceil(bits / memory.word_bits) * memory.word_bits
        counts[here, self.prices.memory_row(memory.name, operand, action)] += words
        return words


_ARITHMETIC = (
    "out_frames",
    "weight_entries",
    "nonzeros",
    "accumulator_bits",
    "weight_bits",
    "input_bits",
    "out_channels",
    "bias",
)
_VECTOR = (
    "additions",
    "accumulator_bits",
    "weight_bits",
    "multiplications",
    "comparisons",
    "input_bits",
)
