"""Price layers on a machine, many at once, each distinct one once.

A layer's price is its counts of priced events (`cost_models.energy`) and its cycles, under the best
mapping of `cost_models.mapping` for one objective. What the layer is called, and where in a network
it stands, do not matter: equal layers under equal residence are one row of the table. Layers that
differ only in their ternary matrix share a mapping; only their arithmetic differs.

    layers  ->  numbers in the book     equal layers, equal number (`cost_models.book`)
    number, residence  ->  row          looked up; what is new is priced in one go:
                                          executable at all?
                                          convolutions: mapping searched (`tile_search`)
                                          counts and cycles, part by part of the machine
    row  ->  counts, cycles, trits      of one inference

What each part of a machine writes into a row:

    mapping      bits through registers and memories, cycles of array and ports, trits
    arithmetic   operations of the array: all positions, or the non-zero ones where zeros are gated
                 or skipped
    generator    cycles * units of each of its parts; flip-flops of a state that is saved
    vector unit  what makes int8 of sums, batch norm included; residual add, pooling, ReLU
    activations  inputs and outputs of what is not a convolution
    parameters   records, biases and start words, once a layer, through the weights' memories

A row has no leakage: how long the network takes as a whole is known only where layers stand in a
row, and what leaks meanwhile is added there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel
from cost_models.book import LayerBook
from cost_models.clock import check_generator
from cost_models.energy import Component, Entry, PriceList, generator_prices, price_list
from cost_models.errors import InvalidInput
from cost_models.generator import GeneratorSpec, generator_parts
from cost_models.residency import (
    RESIDENCES,
    Placed,
    Residence,
    gather_residence,
    residence_of_keys,
)
from cost_models.technology import Technology
from cost_models.tile_search import Mapped, Mapping, Objective, best_mappings
from cost_models.workload import FACTOR_BITS

Column = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

BATCH = 48
"""Layers whose candidates are in memory at a time, some 100 MB."""

NO_ARRAY = -1
"""Stands for the array of a layer that none executes: it is done by the vector unit."""


@dataclass(slots=True)
class PricedLayers:
    """A table of distinct layers, one a row: counts of events, and cycles."""

    counts: npt.NDArray[np.float64]
    """Of the events of the price list, shape (layers, entries). Leakage is left out: it follows
    from the latency of the whole network, in which layers overlap."""
    array_cycles: Column
    """Passes of the array; 0 for what is not a convolution."""
    fill_cycles: Column
    """Beyond these: filling, draining, loading what stays still."""
    handing_cycles: Column
    """Of the slowest memory that hands tiles to the array."""
    waiting_cycles: Column
    """In which everything stands still until a tile has come (`waiting_cycles`)."""
    generator_cycles: Column
    vector_cycles: Column
    memory_cycles: npt.NDArray[np.float64]
    """Of each memory's ports, shape (layers, memories), in the order of the machine."""
    trits: Column
    """Generated weights, as often as they are made."""
    mappings: list[Mapping | None]
    """None for what is not a convolution."""

    @property
    def latency(self) -> Column:
        """Cycles of each layer: its array with filling and draining, or the slowest other part.

        Transfers overlap with computing as far as there is room for what comes, so a layer takes as
        long as the part of the machine that is busy longest, and waits for tiles; not as the sum of
        all parts, which is `alone`.
        """
        others = np.maximum(self.generator_cycles, self.vector_cycles)
        ports = self.memory_cycles.max(axis=1, initial=0.0)
        array = np.maximum(self.array_cycles + self.fill_cycles, self.handing_cycles)
        latency: Column = np.maximum(np.maximum(array, others) + self.waiting_cycles, ports)
        return latency

    @property
    def alone(self) -> Column:
        """Cycles of each layer where nothing overlaps.

        The array waits for every transfer, and each memory, the generator and the vector unit for
        the others; a batch norm or ReLU waits for the layer before it. No machine that works off
        the same mapping takes longer, but for what is counted in no cycle: latencies of its
        memories, and what its controller needs to begin a layer.
        """
        alone: Column = self.array_cycles + self.fill_cycles + self.memory_cycles.sum(axis=1)
        alone = alone + self.generator_cycles + self.vector_cycles
        # Of two ports only the busier is in the sum, and a tile may wait for one and leave by the
        # other.
        return np.maximum(alone, self.latency)


def empty_table(layers: int, entries: int, memories: int) -> PricedLayers:
    """A table of layers in which nothing happens yet."""
    array, fill, handing, waiting, generator, vector, trits = (np.zeros(layers) for _ in range(7))
    return PricedLayers(
        counts=np.zeros((layers, entries)),
        array_cycles=array,
        fill_cycles=fill,
        handing_cycles=handing,
        waiting_cycles=waiting,
        generator_cycles=generator,
        vector_cycles=vector,
        memory_cycles=np.zeros((layers, memories)),
        trits=trits,
        mappings=[None] * layers,
    )


def joined(one: PricedLayers, other: PricedLayers) -> PricedLayers:
    """The rows of two tables of one machine, those of `one` first: their numbers stay valid."""
    columns = {
        each.name: np.concatenate([getattr(one, each.name), getattr(other, each.name)])
        for each in fields(PricedLayers)
        if each.name != "mappings"
    }
    return PricedLayers(**columns, mappings=one.mappings + other.mappings)


class LayerPricer:
    """Prices layers on one machine; remembers those that it has seen.

    Searching a mapping takes a millisecond, looking one up nearly nothing, and networks of a space
    repeat their layers: that is what makes a sweep of millions possible.
    """

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
        # By number * RESIDENCES + key of the residence: row in `table`, -1 not yet, -2 never. An
        # array and no dictionary, so that a million layers are looked up in one indexing.
        self._rows = np.zeros(0, dtype=np.int64)
        self._mapped: dict[tuple[int, int], Mapped | InvalidInput] = {}
        self._generators: dict[GeneratorSpec, list[tuple[int, int]]] = {}
        self.table = self._empty(0)

    def rows(self, placed: Sequence[Placed]) -> npt.NDArray[np.int64]:
        """Rows of `table` of these layers, shape (layers,), pricing those that are new.

        Raises:
            InvalidAccelerator: the machine cannot execute a layer.
            UnmappableLayer: no part of a layer fits a memory that it must pass.
            InvalidLayer: the machine skips zeros, and a matrix is not known.
        """
        numbers = np.array(self.book.numbers([each.layer for each in placed]), dtype=np.int64)
        residence = gather_residence(placed)
        rows = self.find_rows(numbers, residence)
        if (rows < 0).any():
            at = int(np.flatnonzero(rows < 0)[0])
            error = self.errors[int((numbers * RESIDENCES + residence.key)[at])]
            # The layer that was priced first may have had another name.
            priced, name = self.book.layers[numbers[at]].name, placed[at].layer.name
            raise type(error)(str(error).replace(priced, name, 1))
        return rows

    def _empty(self, layers: int) -> PricedLayers:
        return empty_table(layers, len(self.prices.entries), len(self.machine.memories))

    def find_rows(self, numbers: Numbers, residence: Residence) -> Numbers:
        """Rows of layers by their numbers in the book; negative where there is none (`errors`).

        Args:
            numbers: of the layers, shape (layers,).
            residence: what of their operands is on the chip.
        """
        most = len(self.book) * RESIDENCES
        if len(self._rows) < most:
            # At least twice as long: a book that grows layer by layer is copied rarely.
            grown = np.full(max(most, 2 * len(self._rows)), -1, dtype=np.int64)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        keys = numbers * RESIDENCES + residence.key
        new = np.unique(keys[self._rows[keys] == -1])
        if len(new):
            self._add(new)
        rows: Numbers = self._rows[keys]
        return rows

    def _add(self, keys: Numbers) -> None:
        """Price layers under residences that are new, and enter their rows.

        What cannot be priced gets no row but the mark `never`, and its error is kept.
        """
        numbers, rest = np.divmod(keys, RESIDENCES)
        residence = residence_of_keys(rest)
        good = np.array(
            [
                self._executable(int(key), int(number))
                for key, number in zip(keys, numbers, strict=True)
            ]
        )
        convolution = self.book.column("convolution")[numbers] > 0
        found = self._search(keys, np.flatnonzero(good & convolution))
        for place in np.flatnonzero(good & convolution):
            good[place] = int(place) in found
        self._rows[keys[~good]] = -2
        kept = np.flatnonzero(good)
        first = len(self.table.trits)
        mapped = [found.get(int(at)) for at in kept]
        self.table = joined(self.table, self._priced(numbers[kept], residence.take(kept), mapped))
        self._rows[keys[kept]] = first + np.arange(len(kept))

    def _executable(self, key: int, number: int) -> bool:
        """Whether the machine has what a layer needs; remembers why not."""
        try:
            layer = self.book.layers[number]
            self.machine.check_executable(layer)
            if layer.generator is not None and self.machine.generates(layer):
                check_generator(layer.generator, self.machine, self.technology)
        except InvalidInput as error:
            self.errors[key] = error
            return False
        return True

    # The mapping of convolutions

    def _search(self, keys: Numbers, wanted: npt.NDArray[np.intp]) -> dict[int, Mapped]:
        """Mappings of the layers at these places; those without one get an error instead.

        A mapping is remembered by what it depends on. Where zeros cost a cycle like other entries
        it is the shape and the residence, and all ternary matrices of a shape share it; a machine
        that skips zeros has cycles that depend on the matrix itself (its number, told apart from
        shapes by a complement).
        """
        new: dict[str, dict[tuple[int, int], int]] = {}
        identity: dict[int, tuple[int, int]] = {}
        for place in wanted.tolist():
            number, residence = divmod(int(keys[place]), RESIDENCES)
            # Complements are negative, shapes are not: the two never meet.
            own = ~number if self._skips else self.book.shape(number)
            identity[place] = (own, residence)
            if identity[place] not in self._mapped:
                name = self.machine.array_for(self.book.layers[number]).name
                new.setdefault(name, {}).setdefault(identity[place], place)
        for name, places in new.items():
            array = next(array for array in self.machine.arrays if array.name == name)
            items = list(places.items())
            for start in range(0, len(items), BATCH):
                some = items[start : start + BATCH]
                answers = self._best(keys[[place for _, place in some]], array)
                self._mapped.update(zip((own for own, _ in some), answers, strict=True))
        found: dict[int, Mapped] = {}
        for place, key in identity.items():
            mapped = self._mapped[key]
            if isinstance(mapped, InvalidInput):
                self.errors[int(keys[place])] = mapped
            else:
                found[place] = mapped
        return found

    def _best(self, keys: Numbers, array: ComputeArray) -> list[Mapped | InvalidInput]:
        """The best mapping on an array of each of these layers, or why there is none.

        Records and start words pass the ports of the weights' memories whatever the mapping, so
        they are counted first, and the mappings are chosen for what the ports have left.
        """
        numbers, rest = np.divmod(keys, RESIDENCES)
        residence = residence_of_keys(rest)
        beside = self._empty(len(keys))
        self._write_parameters(beside, numbers, residence)
        return best_mappings(
            [self.book.layers[number] for number in numbers],
            residence,
            array,
            self.machine,
            self.prices,
            self.objective,
            self._cycle_pj(numbers),
            beside.memory_cycles,
            self._vector_cycles(numbers),
        )

    def _cycle_pj(self, numbers: Numbers) -> Column:
        """Energy of a cycle of each layer's generator in pJ, mid figure, shape (layers,).

        All its parts work in each cycle, whether all lanes' trits are wanted or not.
        """
        counts = np.zeros((len(numbers), len(self.prices.entries)))
        self._write_generator(counts, numbers, np.ones(len(numbers)), np.zeros(len(numbers)))
        energy: Column = (counts * self.prices.whole_pj).sum(axis=1)
        return energy

    # Counts, as columns over layers

    def _priced(
        self, numbers: Numbers, residence: Residence, mapped: list[Mapped | None]
    ) -> PricedLayers:
        """Counts and cycles of layers under their mappings: each part of a machine writes its own.

        Args:
            numbers: of the layers in the book, shape (layers,).
            residence: what of their operands is on the chip.
            mapped: of each layer; None for what is not a convolution.
        """
        table = self._empty(len(numbers))
        steps, saves = np.zeros(len(numbers)), np.zeros(len(numbers))
        arrays = np.full(len(numbers), NO_ARRAY)
        names = [array.name for array in self.machine.arrays]
        # First the mappings, whose traffic is the beginning of each row; all else adds to it.
        for at, each in enumerate(mapped):
            if each is None:
                continue
            table.counts[at] = each.moved
            table.array_cycles[at], table.fill_cycles[at] = each.ideal_cycles, each.fill_cycles
            table.handing_cycles[at] = each.handing_cycles
            table.waiting_cycles[at] = each.waiting_cycles
            table.memory_cycles[at] = each.memory_cycles
            table.trits[at], steps[at] = each.trits, each.tree_steps
            table.generator_cycles[at], saves[at] = each.generator_cycles, each.saves
            table.mappings[at] = each.mapping
            arrays[at] = names.index(each.mapping.array)
        for place, array in enumerate(self.machine.arrays):
            here = np.flatnonzero(arrays == place)
            if len(here):
                self._write_arithmetic(table.counts, here, numbers[here], array, steps[here])
        self._write_generator(table.counts, numbers, table.generator_cycles, saves)
        others = np.flatnonzero(arrays == NO_ARRAY)
        self._write_vector(table, numbers)
        self._write_activations(table, others, numbers[others], residence.take(others))
        self._write_parameters(table, numbers, residence)
        self.prices.fill_following(table.counts)
        return table

    def _write_arithmetic(
        self,
        counts: npt.NDArray[np.float64],
        here: Numbers,
        numbers: Numbers,
        array: ComputeArray,
        steps: Column,
    ) -> None:
        """Operations of layers on an array.

        A dense array spends its energy on every position of the matrix, zero or not. Gated adders
        save the clock of zeros but not their cycles; an array that skips zeros saves both. Only a
        non-zero entry adds.

        Args:
            counts: of the whole table, written to.
            here: rows of these layers.
            numbers: of these layers in the book.
            array: that executes them.
            steps: sums that trees hand to accumulators.
        """
        column = self._select_columns(numbers)
        pixels = column("out_pixels")
        positions = column("weight_entries") * pixels
        nonzeros = column("nonzeros") * pixels
        gated = array.zero_handling == "gated" and array.element == "ternary_adder"
        clocked = nonzeros if array.zero_handling == "skipped" or gated else positions
        width = np.minimum(column("accumulator_bits"), array.accumulator_bits)
        if array.element == "mac":
            component = Component.MULTIPLY_ACCUMULATE
            done = {
                "operation": positions,
                "multiplication": positions * column("weight_bits") * column("input_bits"),
                "addition": positions * width,
            }
        else:
            component = Component.TERNARY_ADDITION
            tree = array.element == "ternary_tree"
            bits = column("input_bits") if tree else width
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

    def _select_columns(self, numbers: Numbers) -> Callable[[str], Column]:
        """Columns of the book for some of its layers, by their names."""
        return lambda name: self.book.column(name)[numbers]

    def _post(self, action: str) -> int:
        return self.prices.position[Entry(Component.POST_PROCESSING, "vector unit", "", action)]

    def _write_generator(
        self,
        counts: npt.NDArray[np.float64],
        numbers: Numbers,
        cycles: Column,
        saves: Column,
    ) -> None:
        """Whole cycles: in the last one, lanes whose trit nobody needs work all the same.

        A state that is saved clocks as many flip-flops as the state has, once; so does the register
        of the start words, when the layer begins.
        """
        if self.machine.generator is None:
            return
        state = self.prices.position[Entry(Component.GENERATOR, "generator", "", "state_bits")]
        for at in np.flatnonzero(cycles):
            for row, units in self._find_parts(int(numbers[at])):
                counts[at, row] += cycles[at] * units
                if row == state:
                    counts[at, row] += (1 + saves[at]) * units

    def _find_parts(self, number: int) -> list[tuple[int, int]]:
        """Rows of the price list of a generator's parts, and how many units of each it has."""
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
        table: PricedLayers,
        numbers: Numbers,
        residence: Residence,
    ) -> None:
        """Records, biases and start words: read once, through all memories of the weights.

        `coming` is 1 where they still have to come from further out: not beyond the weights' home
        where all weights of the network stay there.
        """
        column = self._select_columns(numbers)
        bits = column("parameter_bits")
        if self.machine.ternary_weights == "generated":
            bits = bits + column("start_bits")
        coming = np.ones(len(numbers))
        chain = self.machine.chain("weights")
        home = self.machine.weight_home
        for memory in chain:
            place = self.machine.memories.index(memory)
            words = _in_words(bits, memory) * coming
            table.counts[:, self.prices.memory_row(memory.name, "weights", "read")] += words
            moved = words
            if home is not None and memory.name == home.name:
                coming = coming * ~residence.weights_on_chip
            if memory is not chain[-1]:
                filled = words * coming
                table.counts[:, self.prices.memory_row(memory.name, "weights", "write")] += filled
                moved = moved + filled
            table.memory_cycles[:, place] += np.ceil(moved / memory.bandwidth_bits_per_cycle)

    def _write_vector(self, table: PricedLayers, numbers: Numbers) -> None:
        """Results of convolutions, residual adds, means, maximum, softmax.

        Each value passes a lane in a cycle: a multiplication by its channel's factor, a shift,
        which spends what an addition of its width does, the addition to its offset or to the other
        path, and a comparison with the limits. It is held when it comes and when it has passed, and
        twice more as part of a word; what an array makes is held before, by the collector. Lanes
        work while the array does: a layer takes as long as the slower of the two.

            multiplication    value bits * 16
            addition          sum bits, and the product's of the shift
            accumulation      2 * sum bits a value, 3 of an array's; 2 * output bits a result
        """
        column = self._select_columns(numbers)
        counts, sums, scaled = table.counts, column("accumulator_bits"), column("scaled")
        counts[:, self._post("multiplication")] += scaled * column("scaled_bits") * FACTOR_BITS
        product = column("scaled_bits") + FACTOR_BITS
        pooled = column("pooled") * sums
        counts[:, self._post("addition")] += scaled * (sums + product) + pooled
        held = (2 + column("convolution")) * scaled * sums
        held = held + 2 * column("results") * column("output_bits")
        counts[:, self._post("accumulation")] += held + pooled
        counts[:, self._post("comparison")] += column("comparisons") * column("input_bits")
        table.vector_cycles += self._vector_cycles(numbers)

    def _vector_cycles(self, numbers: Numbers) -> Column:
        """Cycles of the vector unit: the most frequent of what a lane does at once sets the time.

        What is done in line is done in the cycles of what it is done to.
        """
        column = self._select_columns(numbers)
        compared = np.where(column("in_line") > 0, 0.0, column("comparisons"))
        steps = np.maximum(column("scaled"), np.maximum(column("pooled"), compared))
        cycles: Column = np.ceil(steps / self.machine.vector_lanes)
        return cycles

    def _write_activations(
        self,
        table: PricedLayers,
        here: Numbers,
        numbers: Numbers,
        residence: Residence,
    ) -> None:
        """Inputs and outputs of what is not a convolution; nothing for what is done in line.

        They stream through the vector unit: each input is read once, each output written once, with
        no tile to keep. `coming` and `going` are the tensors that pass a memory on their way from
        and to the backing one; those that are at home go no further.
        """
        column = self._select_columns(numbers)
        tensors, out_bits = column("tensors"), column("output_traffic_bits")
        in_bits = column("input_traffic_bits") / tensors
        chain = [each for each in self.machine.chain("inputs") if "outputs" in each.holds]
        home = self.machine.activation_home
        coming, going = tensors.copy(), np.ones(len(numbers))
        counts = table.counts
        for memory in chain:
            read = self._move(counts, here, memory, "inputs", "read", coming * in_bits)
            written = self._move(counts, here, memory, "outputs", "write", going * out_bits)
            if home is not None and memory.name == home.name:
                coming = coming - residence.inputs_on_chip
                going = going - residence.output_on_chip
            if memory is not chain[-1]:
                filled = self._move(counts, here, memory, "inputs", "write", coming * in_bits)
                drained = self._move(counts, here, memory, "outputs", "read", going * out_bits)
                written, read = written + filled, read + drained
            bits = read + written if memory.ports == "shared" else np.maximum(read, written)
            place = self.machine.memories.index(memory)
            table.memory_cycles[here, place] += np.ceil(bits / memory.bandwidth_bits_per_cycle)

    def _move(
        self,
        counts: npt.NDArray[np.float64],
        here: Numbers,
        memory: MemoryLevel,
        operand: str,
        action: str,
        bits: Column,
    ) -> Column:
        """Count bits through a memory's port: a stream, of which the last word may be short."""
        words = _in_words(bits, memory)
        counts[here, self.prices.memory_row(memory.name, operand, action)] += words
        return words


def _in_words(bits: Column, memory: MemoryLevel) -> Column:
    """Bits of one transfer each, in whole words of a memory."""
    words: Column = np.ceil(bits / memory.access_bits) * memory.access_bits
    return words
