"""Price layers on a machine, many at once, each distinct one once.

A layer's price is its counts of priced events (`cost_models.energy`) and its cycles, under the best
mapping of `cost_models.mapping` for one objective. What the layer is called, and where in a network
it stands, do not matter: equal layers under equal residence are one row of the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Literal

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, ComputeArray, MemoryLevel, Operand
from cost_models.energy import Component, Entry, PriceList, price_list
from cost_models.errors import UnmappableLayer
from cost_models.latency import (
    array_cycles,
    ideal_cycles,
    port_cycles,
    row_steps,
    skipped_cycles,
)
from cost_models.mapping import LOOPS, Candidates, Column, N, R, T, assignments, candidates_of
from cost_models.technology import Technology
from cost_models.traffic import Precision, Residence, Traffic, traffic_of
from cost_models.workload import CONVOLUTIONS, IN_LINE, Layer, LayerKind, WeightSource

Objective = Literal["energy", "latency", "edp"]
"""What the mapping of each layer minimises: energy, cycles, or their product."""

BATCH = 48
"""Layers whose candidates are in memory at a time, some 100 MB."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A layer and what of its operands is on the chip when it runs."""

    layer: Layer
    inputs_on_chip: int = 0
    """Input tensors that are in the activations' home; a residual add has two."""
    output_on_chip: bool = False
    weights_on_chip: bool = False


_SHAPE = attrgetter(
    *(each.name for each in fields(Layer) if each.name not in ("name", "reads", "nonzero_mask"))
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """The mapping that was chosen for a layer, in words and numbers."""

    array: str
    unrolled: tuple[int, int, int]
    """Iterations of N, R, T at once."""
    rows: str
    columns: str
    """Loops that the array's axes unroll."""
    order: tuple[tuple[str, int], ...]
    """Loops in time, innermost first, with their iterations."""

    def __str__(self) -> str:
        """`rows N, columns R; T 128, N 2`."""
        loops = ", ".join(f"{name} {count}" for name, count in self.order) or "one pass"
        return f"rows {self.rows}, columns {self.columns}; {loops}"


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
    mappings: list[Mapping | None] = field(default_factory=list)

    @property
    def latency(self) -> npt.NDArray[np.float64]:
        """Cycles of each layer: its array with filling and draining, or the slowest other part."""
        array = self.cycles[:, 0] + self.cycles[:, 1]
        latency: npt.NDArray[np.float64] = np.maximum(array, self.cycles[:, 2:].max(axis=1))
        return latency


class LayerPricer:
    """Prices layers on one machine; remembers those that it has seen."""

    def __init__(
        self, machine: Accelerator, technology: Technology, objective: Objective = "edp"
    ) -> None:
        self.machine = machine
        self.technology = technology
        self.objective = objective
        self.prices: PriceList = price_list(machine, technology)
        self._position = self.prices.position
        self._skips = any(array.zero_handling == "skipped" for array in machine.arrays)
        self._known: dict[object, int] = {}
        width = len(CYCLE_COLUMNS) + len(machine.memories)
        self.table = PricedLayers(
            counts=np.zeros((0, len(self.prices.entries))),
            cycles=np.zeros((0, width)),
            trits=np.zeros(0),
        )

    def rows(self, placed: Sequence[Placed]) -> npt.NDArray[np.intp]:
        """Rows of `table` of these layers, pricing those that are new.

        Raises:
            InvalidAccelerator: the machine cannot execute a layer.
            UnmappableLayer: no part of a layer fits a memory that it must pass.
            InvalidLayer: the machine skips zeros, and a matrix is not known.
        """
        keys = [self._key(each) for each in placed]
        new: dict[object, Placed] = {}
        for key, each in zip(keys, placed, strict=True):
            if key not in self._known and key not in new:
                self.machine.check_executable(each.layer)
                new[key] = each
        if new:
            self._add(new)
        return np.array([self._known[key] for key in keys], dtype=np.intp)

    def _key(self, placed: Placed) -> object:
        layer = placed.layer
        mask = layer.nonzero_mask if self._skips else b""
        flags = (placed.inputs_on_chip, placed.output_on_chip, placed.weights_on_chip)
        return (_SHAPE(layer), mask, flags)

    def _add(self, new: dict[object, Placed]) -> None:
        placed = list(new.values())
        groups: dict[str, list[int]] = {}
        for index, each in enumerate(placed):
            convolution = each.layer.kind in CONVOLUTIONS
            name = self.machine.array_for(each.layer).name if convolution else ""
            groups.setdefault(name, []).append(index)
        added = PricedLayers(
            counts=np.zeros((len(placed), len(self.prices.entries))),
            cycles=np.zeros((len(placed), self.table.cycles.shape[1])),
            trits=np.zeros(len(placed)),
            mappings=[None] * len(placed),
        )
        for name, indices in groups.items():
            if not name:
                self._price_vector(placed, indices, added)
                continue
            array = next(array for array in self.machine.arrays if array.name == name)
            for start in range(0, len(indices), BATCH):
                self._price_convolutions(placed, indices[start : start + BATCH], array, added)
        first = len(self.table.trits)
        self.table = PricedLayers(
            counts=np.concatenate([self.table.counts, added.counts]),
            cycles=np.concatenate([self.table.cycles, added.cycles]),
            trits=np.concatenate([self.table.trits, added.trits]),
            mappings=self.table.mappings + added.mappings,
        )
        self._known.update((key, first + index) for index, key in enumerate(new))

    # Convolutions

    def _price_convolutions(
        self,
        placed: list[Placed],
        indices: list[int],
        array: ComputeArray,
        added: PricedLayers,
    ) -> None:
        chosen = [placed[index] for index in indices]
        layers = [each.layer for each in chosen]
        found = candidates_of(layers, array)
        precision, residence = _columns(chosen, found, array, self.machine)
        cycles, possible = array_cycles(found, array)
        ideal = ideal_cycles(found)
        traffic = traffic_of(found, array, self.machine, precision, residence)
        if array.zero_handling == "skipped":
            cycles = ideal = skipped_cycles(found, layers, cycles)
        busy = self._busy(traffic)
        latency = np.maximum(cycles, np.max(busy, axis=0))
        energy = self._moved_pj(traffic, array, layers, found) + latency * self._idle_pj
        best = self._best(found, traffic, possible, energy, latency, layers)
        for column, index in enumerate(indices):
            at = best[column]
            self._write_moved(added.counts[index], traffic, array, at)
            added.cycles[index, 0] = ideal[at]
            added.cycles[index, 1] = cycles[at] - ideal[at]
            added.cycles[index, 2] = busy[0, at]
            added.cycles[index, len(CYCLE_COLUMNS) :] = busy[1:, at]
            added.trits[index] = traffic.trits[at]
            added.mappings[index] = _mapping(found, at, array)
            steps = self._tree_steps(chosen[column].layer, found, at, array)
            self._write_arithmetic(added.counts[index], chosen[column].layer, array, steps)
            self._write_generator(added.counts[index], chosen[column].layer, traffic.trits[at])
            self._write_parameters(added.counts[index], added.cycles[index], chosen[column])

    def _busy(self, traffic: Traffic) -> npt.NDArray[np.float64]:
        """Cycles of the generator and of each memory's ports, shape (1 + memories, candidates)."""
        generator = self.machine.generator
        lanes = generator.trits_per_cycle if generator else 1
        rows = [np.ceil(traffic.trits / lanes)]
        for memory in self.machine.memories:
            moved = [traffic.memories[memory.name, operand] for operand in memory.holds]
            rows.append(port_cycles(memory, moved))
        return np.stack(rows)

    @property
    def _idle_pj(self) -> float:
        return sum(
            float(self.prices.prices_pj[row, 1])
            for row, entry in enumerate(self.prices.entries)
            if entry.component is Component.LEAKAGE
        )

    def _mid(self, entry: Entry) -> float:
        return float(self.prices.prices_pj[self._position[entry], 1])

    def _moved_pj(
        self, traffic: Traffic, array: ComputeArray, layers: list[Layer], found: Candidates
    ) -> Column:
        """Energy of all that depends on the mapping, at the mid prices."""
        energy = np.zeros(len(traffic.trits))
        for entry, bits in self._moved_entries(traffic, array):
            energy = energy + bits * self._mid(entry)
        if self.machine.generator is not None and np.any(traffic.trits):
            per_trit = np.array([self._trit_pj(layer) for layer in layers])
            energy = energy + traffic.trits * per_trit[found.views.layer]
        return energy

    def _moved_entries(self, traffic: Traffic, array: ComputeArray) -> list[tuple[Entry, Column]]:
        entries = []
        for operand, moved in traffic.registers.items():
            for action, bits in (("read", moved.read_bits), ("write", moved.written_bits)):
                entries.append((Entry(Component.REGISTER, array.name, operand, action), bits))
        for (name, operand), moved in traffic.memories.items():
            component = self._component(name)
            for action, bits in (("read", moved.read_bits), ("write", moved.written_bits)):
                entries.append((Entry(component, name, operand, action), bits))
        return entries

    def _component(self, memory: str) -> Component:
        return next(
            entry.component for entry in self.prices.entries
            if entry.part == memory and entry.action == "read"
        )  # fmt: skip

    def _trit_pj(self, layer: Layer) -> float:
        counts = np.zeros(len(self.prices.entries))
        lanes = self.machine.generator.trits_per_cycle if self.machine.generator else 1
        self._write_generator(counts, layer, float(lanes))
        return float(np.sum(counts * self.prices.prices_pj[:, 1])) / lanes

    def _best(
        self,
        found: Candidates,
        traffic: Traffic,
        possible: npt.NDArray[np.bool_],
        energy: Column,
        latency: Column,
        layers: list[Layer],
    ) -> npt.NDArray[np.intp]:
        """The best candidate of each layer; the other figure, then the order, breaks ties."""
        valid = np.flatnonzero(possible & traffic.mappable)
        first, second = {
            "energy": (energy, latency),
            "latency": (latency, energy),
            "edp": (energy * latency, energy),
        }[self.objective]
        layer = found.views.layer[valid]
        order = np.lexsort((second[valid], first[valid], layer))
        sorted_layers = layer[order]
        numbers, starts = np.unique(sorted_layers, return_index=True)
        if len(numbers) < len(layers):
            missing = next(index for index in range(len(layers)) if index not in numbers)
            self._raise_unmappable(layers[missing], found.views.layer == missing, traffic)
        best: npt.NDArray[np.intp] = valid[order[starts]]
        return best

    def _raise_unmappable(
        self, layer: Layer, here: npt.NDArray[np.bool_], traffic: Traffic
    ) -> None:
        for name, short in traffic.shortage.items():
            needed = short[here]
            if np.all(needed > 0):
                memory = next((each for each in self.machine.memories if each.name == name), None)
                holds = f", which holds {memory.capacity_bits:,}" if memory else ""
                where = memory.where if memory and memory.where else self.machine.name
                raise UnmappableLayer(
                    f"{layer.name} needs {needed.min():,.0f} bits in '{name}'{holds} "
                    f"(machine {where}); make it larger, or the array smaller"
                )
        raise UnmappableLayer(
            f"{layer.name} has no mapping on {self.machine.name} under which every tile fits the "
            "memories and registers that it passes; make them larger"
        )

    # What a layer's counts are made of

    def _write_moved(
        self, counts: npt.NDArray[np.float64], traffic: Traffic, array: ComputeArray, at: np.intp
    ) -> None:
        for entry, bits in self._moved_entries(traffic, array):
            counts[self._position[entry]] += bits[at]

    def _write_arithmetic(
        self,
        counts: npt.NDArray[np.float64],
        layer: Layer,
        array: ComputeArray,
        tree_steps: float,
    ) -> None:
        component = (
            Component.MULTIPLY_ACCUMULATE if array.element == "mac" else Component.TERNARY_ADDITION
        )
        positions = layer.weight_entries * layer.out_frames
        nonzeros = layer.nonzeros * layer.out_frames
        ternary = layer.weights is WeightSource.GENERATED and array.element != "mac"
        clocked = positions
        width = sum_bits(layer, array)
        if ternary and (array.zero_handling == "skipped" or (
            array.zero_handling == "gated" and array.element == "ternary_adder"
        )):  # fmt: skip
            clocked = nonzeros
        done = {
            "operation": clocked,
            "multiplication": positions * layer.weight_bits * layer.input_bits,
            "addition": positions * width,
        }
        if array.element == "ternary_adder":
            done["position"] = clocked * width
            done["nonzero"] = nonzeros * width
        elif array.element == "ternary_tree":
            done["position"] = clocked * layer.input_bits
            done["nonzero"] = nonzeros * layer.input_bits
            done["addition"] = int(tree_steps) * width
        for action, count in done.items():
            row = self._position.get(Entry(component, array.name, "", action))
            if row is not None:
                counts[row] += count
        # Rounding to the width of the outputs, and the bias where there is one.
        outputs = layer.out_channels * layer.out_frames
        self._write_post(counts, "addition", outputs * layer.accumulator_bits)
        if layer.bias:
            self._write_post(counts, "addition", outputs * layer.accumulator_bits)
            self._write_post(counts, "accumulation", outputs * layer.accumulator_bits)

    def _write_post(self, counts: npt.NDArray[np.float64], action: str, count: float) -> None:
        counts[self._position[Entry(Component.POST_PROCESSING, "vector unit", "", action)]] += count

    def _tree_steps(
        self, layer: Layer, found: Candidates, at: np.intp, array: ComputeArray
    ) -> float:
        """Times that a tree adds its lanes to an accumulator."""
        if array.element != "ternary_tree":
            return 0.0
        if array.zero_handling == "skipped":
            return row_steps(layer, 1, int(found.unrolled[R, at])) * layer.out_frames
        return layer.out_channels * layer.out_frames * float(found.iterations[R, at])

    def _write_generator(self, counts: npt.NDArray[np.float64], layer: Layer, trits: float) -> None:
        generator = self.machine.generator
        if generator is None or layer.generator is None or not trits:
            return
        spec = layer.generator
        cycles = np.ceil(trits / generator.trits_per_cycle)
        for action, count in (
            ("state", cycles * spec.state_bits),
            ("decision", trits * spec.decision_bits),
            ("mixing", trits * spec.rounds * spec.state_bits),
        ):
            counts[self._position[Entry(Component.GENERATOR, "generator", "", action)]] += count

    def _write_parameters(
        self, counts: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64], placed: Placed
    ) -> None:
        """Biases, batch norms and start states: read once, through all memories of the weights."""
        layer = placed.layer
        weights = layer.weight_entries if layer.weights is WeightSource.TRAINED else 0
        bits = layer.stored_bits - weights * layer.weight_bits
        if layer.weights is WeightSource.GENERATED and not self.machine.generates(layer):
            bits -= layer.generator_state_bits
        if not bits:
            return
        chain = self.machine.chain("weights")
        home = self.machine.weight_home
        for memory in chain:
            moved = self._move(counts, memory, "weights", "read", bits)
            last = memory is chain[-1]
            resident = home is not None and memory.name == home.name and placed.weights_on_chip
            if not last and not resident:
                moved += self._move(counts, memory, "weights", "write", bits)
            column = len(CYCLE_COLUMNS) + self.machine.memories.index(memory)
            cycles[column] += -(-moved // memory.bandwidth_bits_per_cycle)
            if resident:
                break

    def _move(
        self,
        counts: npt.NDArray[np.float64],
        memory: MemoryLevel,
        operand: Operand,
        action: str,
        bits: float,
    ) -> float:
        rounded = -(-bits // memory.word_bits) * memory.word_bits
        counts[
            self._position[Entry(self._component(memory.name), memory.name, operand, action)]
        ] += rounded
        return rounded

    # Everything that is not a convolution

    def _price_vector(self, placed: list[Placed], indices: list[int], added: PricedLayers) -> None:
        for index in indices:
            each, counts, cycles = placed[index], added.counts[index], added.cycles[index]
            layer = each.layer
            gain = layer.weight_bits * layer.accumulator_bits
            self._write_post(counts, "multiplication", layer.multiplications * gain)
            self._write_post(counts, "addition", layer.additions * layer.accumulator_bits)
            self._write_post(counts, "accumulation", layer.additions * layer.accumulator_bits)
            self._write_post(counts, "comparison", layer.comparisons * layer.input_bits)
            operations = max(layer.multiplications, layer.additions, layer.comparisons)
            cycles[3] = -(-operations // self.machine.vector_lanes)
            self._write_parameters(counts, cycles, each)
            if layer.kind not in IN_LINE:
                self._write_activations(counts, cycles, each)

    def _write_activations(
        self, counts: npt.NDArray[np.float64], cycles: npt.NDArray[np.float64], placed: Placed
    ) -> None:
        layer = placed.layer
        chain = [each for each in self.machine.chain("inputs") if "outputs" in each.holds]
        home = self.machine.activation_home
        tensors = 2 if layer.kind is LayerKind.RESIDUAL_ADD else 1
        tensor_bits = layer.input_traffic_bits // tensors
        out_bits = layer.output_traffic_bits
        coming, going = float(tensors), 1.0
        for memory in chain:
            last = memory is chain[-1]
            at_home = home is not None and memory.name == home.name
            read = self._move(counts, memory, "inputs", "read", coming * tensor_bits)
            written = self._move(counts, memory, "outputs", "write", going * out_bits)
            if at_home:
                coming -= placed.inputs_on_chip
                going -= placed.output_on_chip
            if not last:
                written += self._move(counts, memory, "inputs", "write", coming * tensor_bits)
                read += self._move(counts, memory, "outputs", "read", going * out_bits)
            bits = read + written if memory.ports == "shared" else max(read, written)
            column = len(CYCLE_COLUMNS) + self.machine.memories.index(memory)
            cycles[column] += -(-bits // memory.bandwidth_bits_per_cycle)


def sum_bits(layer: Layer, array: ComputeArray) -> int:
    """Width of a layer's sums on an array, which may saturate below what the layer asks for."""
    return min(layer.accumulator_bits, array.accumulator_bits)


def _columns(
    chosen: list[Placed], found: Candidates, array: ComputeArray, machine: Accelerator
) -> tuple[Precision, Residence]:
    index = found.views.layer

    def column(values: list[float]) -> Column:
        return np.array(values, dtype=np.float64)[index]

    def flags(values: list[bool]) -> npt.NDArray[np.bool_]:
        return np.array(values, dtype=np.bool_)[index]

    layers = [each.layer for each in chosen]
    precision = Precision(
        weight_bits=column([layer.weight_bits for layer in layers]),
        input_bits=column([layer.input_bits for layer in layers]),
        output_bits=column([layer.output_bits for layer in layers]),
        accumulator_bits=column([sum_bits(layer, array) for layer in layers]),
    )
    residence = Residence(
        input_on_chip=flags([each.inputs_on_chip > 0 for each in chosen]),
        output_on_chip=flags([each.output_on_chip for each in chosen]),
        weights_on_chip=flags([each.weights_on_chip for each in chosen]),
        generated=flags([machine.generates(layer) for layer in layers]),
    )
    return precision, residence


def _mapping(found: Candidates, at: np.intp, array: ComputeArray) -> Mapping:
    across = bool(found.views.across[at])
    loops = assignments(array, across=across)[int(found.assignment[at])].loops
    order = tuple(
        (LOOPS[loop], int(count))
        for loop, count in zip(found.order[:, at], found.counts[:, at], strict=True)
        if count > 1
    )
    unrolled = found.unrolled[:, at]
    return Mapping(
        array=array.name,
        unrolled=(int(unrolled[N]), int(unrolled[R]), int(unrolled[T])),
        rows=LOOPS[loops[0]],
        columns=LOOPS[loops[1]],
        order=order,
    )
