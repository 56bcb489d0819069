"""The best mapping of each layer on one array: all candidates priced as columns.

Of each candidate it is known what it moves (`cost_models.traffic`) and how long the array takes
(`cost_models.latency`). Only what depends on the mapping is weighed; arithmetic, biases and batch
norm cost the same under each of them:

    latency = max(max(array with filling, generator, reads of tiles) + waiting, busiest port)
    energy  = sum of moved bits * price + cycles of the generator * price of one
            + latency * (leakage + clock + control)

    energy     least energy, then least latency
    latency    the other way round
    edp        least energy * latency, then least energy

A trit costs the generator's state, comparison and so on; generating a weight a second time costs as
much as the first time. So the search weighs regeneration against traffic of inputs and sums by
itself: where trits are dear, it finds orders in which weights stay still. Candidates that ask for
trits in an order that their generator cannot make are none (`cost_models.generation`).

Leakage counts for as long as the layer takes. Without it the search would prefer mappings that save
a little traffic and let the whole chip leak meanwhile.

Each layer is weighed alone. What of its operands is on the chip is given (`cost_models.residency`),
and does not depend on the mapping.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import OPERANDS, Accelerator, ComputeArray, MemoryLevel, Register
from cost_models.energy import Component, Entry, PriceList
from cost_models.errors import InvalidInput, InvalidLayer, UnmappableLayer
from cost_models.generation import generate, order_error
from cost_models.latency import (
    array_cycles,
    handing_cycles,
    ideal_cycles,
    port_cycles,
    row_steps,
    skipped_cycles,
    waiting_cycles,
)
from cost_models.mapping import LOOPS, Candidates, Column, N, R, T, list_candidates
from cost_models.registers import register_name
from cost_models.residency import Residence
from cost_models.tiles import Precision
from cost_models.traffic import Traffic, count_traffic
from cost_models.workload import Layer

Objective = Literal["energy", "latency", "edp"]
"""What the mapping of each layer minimises: energy, cycles, or their product."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """The mapping that was chosen for a layer, in words and numbers.

    `rows N, columns R; T 128, N 2`: rows unroll output channels and columns the reduction; in time
    pixels are innermost, so that weights stay still for 128 passes.
    """

    array: str
    unrolled: tuple[int, int, int]
    """Iterations of N, R, T at once."""
    rows: str
    columns: str
    """Loops that the array's axes unroll."""
    together: int
    """Entries of a row of the weights that the array takes at once, at most."""
    order: tuple[tuple[str, int], ...]
    """Loops in time, innermost first, with their iterations."""

    def __str__(self) -> str:
        """`rows N, columns R; T 128, N 2`."""
        loops = ", ".join(f"{name} {count}" for name, count in self.order) or "one pass"
        return f"rows {self.rows}, columns {self.columns}; {loops}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What the best mapping of a layer makes happen, in one inference.

    Only what depends on the mapping; arithmetic and parameters are added when the layer gets its
    row (`LayerPricer`).
    """

    moved: npt.NDArray[np.float64]
    """Counts of the traffic entries of the price list."""
    ideal_cycles: float
    fill_cycles: float
    handing_cycles: float
    waiting_cycles: float
    memory_cycles: npt.NDArray[np.float64]
    """Of each memory's ports, shape (memories,), in the order of the machine."""
    trits: float
    generator_cycles: float
    saves: float
    """Times that the generator's state is saved (`cost_models.generation`)."""
    tree_steps: float
    """Additions of a tree's sum to an accumulator."""
    mapping: Mapping


def best_mappings(
    layers: Sequence[Layer],
    residence: Residence,
    array: ComputeArray,
    machine: Accelerator,
    prices: PriceList,
    objective: Objective,
    cycle_pj: Column,
    beside: npt.NDArray[np.float64],
    vector_cycles: Column,
) -> list[Mapped | InvalidInput]:
    """The best candidate of each layer, or why there is none.

    Args:
        layers: convolutions that this array executes.
        residence: what of their operands is on the chip.
        array: of the machine.
        machine: its memories and generator.
        prices: of the machine.
        objective: what is minimised; the other figure, then the order of the candidates, breaks
            ties, so that the same layer always gets the same mapping.
        cycle_pj: energy of a cycle of each layer's generator, shape (layers,).
        beside: cycles that records and start words take of each memory's ports, shape (layers,
            memories): they share the ports, so that a mapping must not count on having them alone.
        vector_cycles: in which the vector unit takes each layer's results, shape (layers,).

    Returns:
        One a layer, in their order: its mapping; or the error that says what it does not fit
        (`UnmappableLayer`), or that its zeros must be known and are not (`InvalidLayer`).
    """
    # From here on everything is a column over the candidates of all layers. What is known of a
    # layer is spread to its candidates by `[owner]`.
    found = list_candidates(layers, array)
    owner = found.views.layer  # of each candidate
    generated = np.array([machine.generates(layer) for layer in layers], dtype=np.bool_)[owner]
    precision = _precision(layers, owner, array)
    cycles, possible = array_cycles(found, array)
    ideal = ideal_cycles(found)
    traffic = count_traffic(found, array, machine, precision, residence.take(owner), generated)
    if array.zero_handling == "skipped":
        known = np.array([bool(layer.nonzero_mask) for layer in layers])[owner]
        # What is skipped is no useful pass: waiting for the fullest row is all that is left.
        cycles = ideal = skipped_cycles(found, layers, array, cycles, known)
        possible = possible & known
    # A port that reads and writes in turn is busy with all operands of its memory together.
    busy = [
        port_cycles(memory, [traffic.memories[memory.name, each] for each in memory.holds])
        for memory in machine.memories
    ]
    made = generate(found, layers, array, machine, traffic.trits, traffic.weights_kept)
    # Shapes (memories, candidates); the busiest memory counts, since all work at the same time.
    ports = np.max(np.stack(busy) + beside[owner].T, axis=0)
    handing = handing_cycles(traffic.refills, cycles)
    busiest = np.maximum(np.maximum(cycles, vector_cycles[owner]), np.maximum(made.cycles, handing))
    waiting = waiting_cycles(traffic.refills, busiest, ideal_cycles(found))
    latency = np.maximum(busiest + waiting, ports)
    entries = moved_entries(traffic, array, prices)
    energy = latency * prices.time_pj + made.cycles * cycle_pj[owner]
    for row, bits in entries:
        energy = energy + bits * prices.whole_pj[row]  # mid figures choose; bands come later
    usable = traffic.mappable & possible
    best = _best(found, usable & made.possible, energy, latency, objective, len(layers))
    mapped: list[Mapped | InvalidInput] = []
    for index, at in enumerate(best):
        if at < 0:
            here = found.views.layer == index
            if usable[here].any():
                some = bool(made.possible[here].any())
                mapped.append(order_error(layers[index], array, machine.name, made=some))
            else:
                mapped.append(_reason(layers[index], index, found, array, traffic, machine))
            continue
        moved = np.zeros(len(prices.entries))
        for row, bits in entries:
            moved[row] += bits[at]
        mapped.append(
            Mapped(
                moved=moved,
                ideal_cycles=float(ideal[at]),
                fill_cycles=float(cycles[at] - ideal[at]),
                handing_cycles=float(handing[at]),
                waiting_cycles=float(waiting[at]),
                memory_cycles=np.array([each[at] for each in busy]),
                trits=float(traffic.trits[at]),
                generator_cycles=float(made.cycles[at]),
                saves=float(made.saves[at]),
                tree_steps=_tree_steps(layers[index], found, at, array),
                mapping=_mapping(found, at, array),
            )
        )
    return mapped


def moved_entries(
    traffic: Traffic, array: ComputeArray, prices: PriceList
) -> list[tuple[int, Column]]:
    """Rows of the price list with the bits that move, each of shape (candidates,).

    Args:
        traffic: of the candidates.
        array: whose registers they pass.
        prices: of the machine; a row per memory or register, operand, and direction.
    """
    entries: list[tuple[int, Column]] = []
    for operand, moved in traffic.registers.items():
        for action, bits in (("read", moved.read_bits), ("write", moved.written_bits)):
            entry = Entry(Component.REGISTER, array.name, operand, action)
            entries.append((prices.position[entry], bits))
    for (name, operand), moved in traffic.memories.items():
        for action, bits in (("read", moved.read_bits), ("write", moved.written_bits)):
            entries.append((prices.memory_row(name, operand, action), bits))
    return entries


def _best(
    found: Candidates,
    usable: npt.NDArray[np.bool_],
    energy: Column,
    latency: Column,
    objective: Objective,
    layers: int,
) -> npt.NDArray[np.intp]:
    """The best candidate of each layer, shape (layers,); -1 where none is usable.

    Sorted by layer, then by what is minimised, then by the other figure; the sort is stable, so
    that of equal candidates the first is taken, on every machine and in every batch.
    """
    first, second = {
        "energy": (energy, latency),
        "latency": (latency, energy),
        "edp": (energy * latency, energy),
    }[objective]
    # `lexsort` has its most important key last. Within a layer the best comes first then, and
    # `unique` returns where each layer is met first.
    valid = np.flatnonzero(usable)
    layer = found.views.layer[valid]
    order = np.lexsort((second[valid], first[valid], layer))
    numbers, starts = np.unique(layer[order], return_index=True)
    best = np.full(layers, -1, dtype=np.intp)
    best[numbers] = valid[order[starts]]
    return best


def _reason(
    layer: Layer,
    index: int,
    found: Candidates,
    array: ComputeArray,
    traffic: Traffic,
    machine: Accelerator,
) -> InvalidInput:
    """Why a layer has no mapping: the first place into which not even its smallest tile fits."""
    if array.zero_handling == "skipped" and not layer.nonzero_mask:
        return InvalidLayer(
            f"{layer.name}: a machine that skips zeros needs to know them: give nonzero_mask, or "
            "use a machine with zero_handling dense or gated"
        )
    # A place is to blame only if no candidate fits it: where different candidates fail in different
    # places, none of them alone is what to change.
    here = found.views.layer == index
    for name, short in traffic.shortage.items():
        needed = short[here]
        if np.all(needed > 0):
            if name.startswith("port of "):
                return UnmappableLayer(
                    f"{layer.name} needs {needed.min():,.0f} bits in one transfer of the {name} "
                    f"(machine {array.where or machine.name}); make the port wider, or give the "
                    "array registers"
                )
            place = _place(name, array, machine)
            twice = isinstance(place, MemoryLevel) and place.double_buffered
            double = " in two buffers" if twice else ""
            return UnmappableLayer(
                f"{layer.name} needs {needed.min():,.0f} bits in '{name}', which holds "
                f"{place.capacity_bits:,}{double} (machine {place.where or machine.name}); make it "
                "larger, or the array smaller"
            )
    return UnmappableLayer(
        f"{layer.name} has no mapping on {machine.name} under which every tile fits the memories "
        "and registers that it passes; make them larger"
    )


def _place(name: str, array: ComputeArray, machine: Accelerator) -> MemoryLevel | Register:
    """The memory of this name, or the register of the array that `count_traffic` calls so.

    Messages name its file and line.
    """
    for memory in machine.memories:
        if memory.name == name:
            return memory
    registers = {register_name(operand, array): array.register(operand) for operand in OPERANDS}
    register = registers[name]
    assert register is not None
    return register


def sum_bits(layer: Layer, array: ComputeArray) -> int:
    """Bits of a layer's sums on an array, which may saturate below what the layer asks for.

    A narrower sum is never widened: an array with more bits clocks only those that the layer has.
    """
    return min(layer.accumulator_bits, array.accumulator_bits)


def _precision(
    layers: Sequence[Layer], owner: npt.NDArray[np.intp], array: ComputeArray
) -> Precision:
    """Bits of the operands of each candidate, which are those of the layer that owns it."""

    def column(values: Iterable[int]) -> Column:
        return np.fromiter(values, dtype=np.float64, count=len(layers))[owner]

    return Precision(
        weight_bits=column(layer.weight_bits for layer in layers),
        input_bits=column(layer.input_bits for layer in layers),
        output_bits=column(layer.output_bits for layer in layers),
        accumulator_bits=column(sum_bits(layer, array) for layer in layers),
    )


def _tree_steps(layer: Layer, found: Candidates, at: np.intp, array: ComputeArray) -> float:
    """Sums that trees hand to accumulators: one for each output and pass over R.

    Adding inside a tree is priced by its lanes (`tree_addition_pj_per_bit`); this is the addition
    behind the tree, at the accumulator's width. R = 144 on trees of 64 lanes: 3 for each output.
    """
    if array.element != "ternary_tree":
        return 0.0
    if array.zero_handling == "skipped":
        return float(row_steps(layer, 1, array.columns) * layer.out_pixels)
    return layer.out_channels * layer.out_pixels * float(found.iterations[R, at])


def _mapping(found: Candidates, at: np.intp, array: ComputeArray) -> Mapping:
    across = bool(found.views.across[at])
    assignment = found.kinds[across][int(found.assignment[at])]
    loops = assignment.loops
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
        together=assignment.limit(array, R),
        order=order,
    )
