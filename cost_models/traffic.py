"""Traffic: how often each operand crosses each boundary of the memory hierarchy.

`cost_models.tiles` has the tiles of a mapping at each cut of its loops, and how often they cross;
`cost_models.registers` what the registers of an array make of that. From there this file walks
outwards, memory by memory, and asks of each: which cut does it hold, and what passes its ports?

Registers and memories hold the largest tile that fits: the cut of a level is the outermost position
whose tile fits (operands that share a memory share the cut), at least that of the level below.

    reads of a level  = crossings at the cut of the level below   (position 0 below the innermost)
    writes of a level = crossings at its own cut                  (not for the backing memory)
    outputs           = the same upwards; a tile that leaves before its sums are complete leaves,
                        and returns, in accumulator width
    registers         = times the elements that get a copy of their own
    words             = a transfer moves one tile, in whole words of the level (`_in_words`), or as
                        many tiles as registers have room for

What a level holds is counted in bits, what it moves in words: four weights of two bits lie in a
register of one word of 8, are written together as one word, and are read one by one, a word each.

An example through a whole hierarchy: weights of the nest in `cost_models.tiles`, a register that
holds one tile of a pass (position 1: T comes for free), a buffer with those of two r (position 2):

    backing memory   read      crossings(2) = 1 * weights
    buffer           written   crossings(2) = 1 * weights,   read  crossings(1) = 1 * weights
    register         written   crossings(1) = 1 * weights,   read  crossings(0) * copies

Legend: N output channels, R reduction (input channels of a group times taps), T output pixels.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import OPERANDS, Accelerator, ComputeArray, MemoryLevel, Operand
from cost_models.mapping import DEPTH, Candidates, Column, N, T
from cost_models.registers import count_registers
from cost_models.residency import Mask, Residence
from cost_models.tiles import (
    Moved,
    Precision,
    Tiles,
    at_cut,
    count_sweep_passes,
    count_tiles,
    find_outermost,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """All traffic of candidates, and the trits that the generator makes for them.

    Columns are of shape (candidates,); figures of candidates that are not `mappable` mean nothing.
    """

    registers: Mapping[Operand, Moved]
    """Of the array's registers, all elements together."""
    memories: Mapping[tuple[str, Operand], Moved]
    trits: Column
    """Generated weights, each as often as it is made."""
    weights_kept: npt.NDArray[np.intp]
    """The cut of the weights' registers."""
    refills: tuple["Refill", ...]
    """Tiles that come into memories on their way, one for each memory and operand."""
    mappable: Mask
    """Candidates whose smallest tiles fit every register and memory that they pass."""
    shortage: Mapping[str, Column]
    """Memory or register -> bits of the smallest tile, where that does not fit; 0 elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refill:
    """Tiles of an operand that come into a memory from the next one outwards.

    Columns are of shape (candidates,), 0 where the operand does not come this way. How long an
    array waits for them: `cost_models.latency.waiting_cycles`.
    """

    tiles: Column
    """That come over the whole layer, all groups."""
    cycles: Column
    """Of the slower of the two ports, for all of these tiles."""
    beside_cycles: Column
    """In which the port that these tiles leave by is busy with other operands."""
    handing_cycles: Column
    """In which the memory reads these tiles out to what is further in."""
    sweep_passes: Column
    """Passes of the array that a tile's last use takes: from the first value that is not needed
    again to the last one."""
    room_share: Column
    """How much of the next tile finds room beside the one in use, 0 to 1."""


def count_traffic(
    found: Candidates,
    array: ComputeArray,
    machine: Accelerator,
    precision: Precision,
    residence: Residence,
    generated: Mask,
) -> Traffic:
    """Traffic of candidates on one array of a machine: registers first, then memory by memory.

    From the innermost level outwards each level takes the outermost cut that fits. What it hands
    inwards crosses the cut of the level below, what it takes in crosses its own.

    Args:
        found: mappings.
        array: where they run.
        machine: its memories.
        precision: bits of the operands.
        residence: what is on the chip already, or stays there; one figure a candidate.
        generated: candidates whose weights the generator makes.

    Returns:
        Bits and trits of the whole layer, in one inference. Candidates that do not fit somewhere
        are priced like the others, and are not `mappable`.
    """
    tiles = count_tiles(found, array)
    bits = precision.travelling_bits
    n = len(found.views.layer)
    registers = count_registers(found, tiles, array, precision)
    shortage = dict(registers.shortage)
    cut, together = dict(registers.cut), dict(registers.together)
    mappable = np.ones(n, dtype=np.bool_)
    for short in shortage.values():
        mappable &= short == 0
    # The generator feeds the registers: it makes what crosses their cut, as often as it does.
    kept = cut["weights"]
    trits = np.where(generated, at_cut(tiles.crossings["weights"], kept), 0.0)

    memories: dict[tuple[str, Operand], Moved] = {}
    places: dict[tuple[str, Operand], npt.NDArray[np.intp]] = {}
    beside: dict[str, Column] = {}
    passing = _passing(machine, residence, generated)
    buffered = dict.fromkeys(OPERANDS, np.zeros(n, dtype=np.bool_))
    for memory in machine.memories:
        above, short, free_bits = _memory_cut(memory, tiles, bits, precision, passing)
        shortage[memory.name] = short
        mappable &= short == 0
        for operand in memory.holds:
            reaches, fills = passing[memory.name, operand]
            if operand != "outputs" and not buffered[operand].any():
                name = port_name(memory, operand, array)
                needed = tiles.handed[operand][0] * bits[operand]
                short = _unheld(needed, reaches, array, operand, memory)
                shortage[name] = short
                mappable &= short == 0
            # An operand that does not come here (generated weights; what stays in a home further
            # in) leaves the cut where it was.
            below = cut[operand]
            cut[operand] = np.where(reaches, np.maximum(below, above), below)
            inwards = _Boundary(below, buffered[operand], together[operand])
            outwards = _Boundary(cut[operand], np.ones_like(reaches), np.ones(n))
            buffered[operand] = buffered[operand] | reaches
            together[operand] = np.where(reaches, 1.0, together[operand])
            if operand == "outputs":
                moved = _outputs_moved(tiles, inwards, outwards, fills, precision, memory)
            else:
                width = bits[operand]
                moved = Moved(
                    read_bits=_crossing(tiles, operand, inwards, width, memory),
                    written_bits=_crossing(tiles, operand, outwards, width, memory) * fills,
                )
            moved.read_bits = moved.read_bits * reaches
            moved.written_bits = moved.written_bits * reaches
            memories[memory.name, operand] = moved
            places[memory.name, operand] = cut[operand]
        beside[memory.name] = _room_beside(found, tiles, above, free_bits, bits, memory, passing)
    return Traffic(
        registers=registers.moved,
        memories=memories,
        trits=trits,
        weights_kept=kept,
        refills=_refills(found, tiles, machine, memories, places, beside, passing),
        mappable=mappable,
        shortage=shortage,
    )


def _refills(
    found: Candidates,
    tiles: Tiles,
    machine: Accelerator,
    memories: Mapping[tuple[str, Operand], Moved],
    places: Mapping[tuple[str, Operand], npt.NDArray[np.intp]],
    beside: Mapping[str, Column],
    passing: "Passing",
) -> tuple[Refill, ...]:
    """Tiles of inputs and weights on their way inwards, memory by memory.

    Outputs leave as they are made, and nothing waits for them but the ports.

    Args:
        found: mappings.
        tiles: of them.
        machine: its memories.
        memories: what passes their ports.
        places: cut of each memory and operand.
        beside: how much of a next tile each memory has room for.
        passing: whether the operand comes here, and whether it goes on outwards.
    """
    refills = []
    for operand in ("inputs", "weights"):
        chain = machine.chain(operand)
        for inner, outer in itertools.pairwise(chain):
            fills = passing[inner.name, operand][1]
            if not fills.any():
                continue
            written = memories[inner.name, operand].written_bits / inner.bandwidth_bits_per_cycle
            read = memories[outer.name, operand].read_bits / outer.bandwidth_bits_per_cycle
            handed = memories[inner.name, operand].read_bits / inner.bandwidth_bits_per_cycle
            cut = places[inner.name, operand]
            refills.append(
                Refill(
                    tiles=at_cut(tiles.transfers[operand], cut) * fills,
                    cycles=np.maximum(written, read) * fills,
                    beside_cycles=_beside_cycles(outer, operand, memories),
                    handing_cycles=handed * fills,
                    sweep_passes=count_sweep_passes(found, operand, cut),
                    room_share=beside[inner.name],
                )
            )
    return tuple(refills)


def _beside_cycles(
    memory: MemoryLevel, operand: Operand, memories: Mapping[tuple[str, Operand], Moved]
) -> Column:
    """Cycles of a memory's read port that operands other than this one take of it."""
    bits: Column = np.zeros_like(memories[memory.name, operand].read_bits)
    for other in memory.holds:
        moved = memories[memory.name, other]
        bits = bits + (moved.read_bits if other != operand else 0.0)
        bits = bits + (moved.written_bits if memory.ports == "shared" else 0.0)
    return bits / memory.bandwidth_bits_per_cycle


def port_name(memory: MemoryLevel, operand: Operand, array: ComputeArray) -> str:
    """What the port that must hold an operand itself is called in `Traffic.shortage`."""
    return f"port of {memory.name} to {array.name}, which neither keeps nor latches {operand}"


def _unheld(
    needed_bits: Column, reaches: Mask, array: ComputeArray, operand: Operand, memory: MemoryLevel
) -> Column:
    """Bits of a pass, where a port has to hold them and cannot; 0 elsewhere."""
    kept = array.register(operand) is not None or operand in array.latched
    if kept or array.interconnect == "systolic":
        return np.zeros_like(needed_bits)
    unheld = reaches & (needed_bits > memory.bandwidth_bits_per_cycle)
    return np.where(unheld, needed_bits, 0.0)


def _in_words(bits: Column, tile_bits: Column, transfers: Column, word_bits: int) -> Column:
    """Bits that a memory moves for `bits` in tiles of `tile_bits`: each tile takes whole words.

    A layer of 5,248 bits in 16 tiles of 328 bits, in words of 128: 16 times 3 words, not 41. Tiles
    at the edges may be smaller; they count in proportion, and at least a word each.
    """
    if word_bits == 1:
        return bits
    words = np.ceil(tile_bits / word_bits) * (bits / tile_bits)
    rounded: Column = np.maximum(np.ceil(words), transfers) * word_bits
    return np.where(bits > 0, rounded, 0.0)


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Where tiles cross, and what is inside."""

    cut: npt.NDArray[np.intp]
    buffered: Mask
    """A memory is inside, not the array with its registers. It can take the next group while this
    one runs: whole groups follow each other without a gap, and share the words at their borders."""
    together: Column
    """Tiles that cross in one transfer."""

    def whole(self) -> Mask:
        """Whether all groups cross as if they were one tile."""
        whole: Mask = self.buffered & (self.cut == DEPTH)
        return whole


def _outputs_moved(
    tiles: Tiles,
    below: _Boundary,
    above: _Boundary,
    fills: npt.NDArray[np.bool_],
    precision: Precision,
    memory: MemoryLevel,
) -> Moved:
    """Outputs come up from the cut below, and go on where `fills` (not the backing memory).

    Of all crossings of a cut, the last brings complete outputs, in `output_bits`. All before it
    bring partial sums, in `accumulator_bits`, and each of those comes back to be added to: written
    by the level below and read by it, and the same once more between this level and the one above.
    What this level does, an output that crosses the cut below b times and the one above a times:

        from below       b writes    b - 1 of partial sums, 1 complete
        back to below    b - 1 reads of partial sums
        to above         a reads     a - 1 of partial sums, 1 complete      (if it goes on)
        back from above  a - 1 writes of partial sums                       (if it goes on)
    """
    (partial_below, complete), (partial_above, leaving) = (
        _sums_crossing(tiles, boundary, precision, memory) for boundary in (below, above)
    )
    return Moved(
        read_bits=partial_below + (partial_above + leaving) * fills,
        written_bits=partial_below + complete + partial_above * fills,
    )


def _sums_crossing(
    tiles: Tiles, boundary: _Boundary, precision: Precision, memory: MemoryLevel
) -> tuple[Column, Column]:
    """Bits of partial sums that cross a cut one way, and of complete outputs, in whole words."""
    total = tiles.totals["outputs"]
    crossings, transfers = (
        at_cut(each["outputs"], boundary.cut) for each in (tiles.crossings, tiles.transfers)
    )
    elements = at_cut(tiles.elements["outputs"], boundary.cut)
    elements = np.where(boundary.whole(), total, elements)
    transfers = np.where(boundary.whole(), 1.0, transfers)
    # Every tile leaves once complete; what it crosses more often than that, it does incomplete.
    once = transfers * total / crossings
    sums, done, word = precision.accumulator_bits, precision.output_bits, memory.access_bits
    partial = _in_words((crossings - total) * sums, elements * sums, transfers - once, word)
    return partial, _in_words(total * done, elements * done, once, word)


def _crossing(
    tiles: Tiles, operand: Operand, boundary: _Boundary, width_bits: Column, memory: MemoryLevel
) -> Column:
    """Bits of inputs or weights that cross a cut, in whole words of the memory."""
    whole = boundary.whole()
    handed = at_cut(tiles.handed[operand], boundary.cut) * boundary.together
    elements = np.where(whole, tiles.totals[operand], handed)
    transfers = np.ceil(at_cut(tiles.transfers[operand], boundary.cut) / boundary.together)
    return _in_words(
        at_cut(tiles.crossings[operand], boundary.cut) * width_bits,
        elements * width_bits,
        np.where(whole, 1.0, transfers),
        memory.access_bits,
    )


Passing = dict[tuple[str, Operand], tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]
"""(memory, operand) -> whether the operand comes here at all, and whether it goes on from here."""


def _passing(machine: Accelerator, residence: Residence, generated: Mask) -> Passing:
    """Which memories each operand passes on its way between the backing memory and the array.

    Chains go from the innermost memory outwards. An operand that is resident in its home ends
    there: the home is not filled from further out, and nothing further out sees it. Generated
    weights come into no memory at all.
    """
    homes = {
        "weights": (machine.weight_home, residence.weights_on_chip),
        "inputs": (machine.activation_home, residence.inputs_on_chip > 0),
        "outputs": (machine.activation_home, residence.output_on_chip),
    }
    passing: Passing = {}
    for operand in OPERANDS:
        home, resident = homes[operand]
        reaches = np.ones_like(resident)
        if operand == "weights":
            reaches = ~generated
        chain = machine.chain(operand)
        for memory in chain:
            fills = reaches & (memory is not chain[-1])
            if home is not None and memory.name == home.name:
                fills = fills & ~resident
            passing[memory.name, operand] = (reaches, fills)
            reaches = fills
    return passing


def _memory_cut(
    memory: MemoryLevel,
    tiles: Tiles,
    bits: Mapping[Operand, Column],
    precision: Precision,
    passing: Passing,
) -> tuple[npt.NDArray[np.intp], Column, Column]:
    """The cut of a memory: operands that end here are here as a whole, tiles share the rest.

    All operands that pass share one cut, so their tiles are of the same loops. A double-buffered
    memory has half of its room for the tile in use: the next one is on its way into the other half.

    Returns:
        Cuts; bits of the smallest tile where none fits, 0 elsewhere; and bits that the tiles leave.
    """
    # The largest tiles of all operands together that fit, so that one operand cannot take all of
    # the room; bits in width of what travels, sums where outputs are not complete.
    n = len(precision.weight_bits)
    whole = np.zeros(n)
    tile_bits = np.zeros((DEPTH + 1, n))
    for operand in memory.holds:
        reaches, fills = passing[memory.name, operand]
        whole = whole + np.where(reaches & ~fills, tiles.totals[operand] * bits[operand], 0.0)
        width = bits[operand]
        if operand == "outputs":
            width = np.where(tiles.partial, precision.accumulator_bits, precision.output_bits)
        tile_bits = tile_bits + np.where(fills, tiles.elements[operand] * width, 0.0)
    # What is too large as a whole is said by `Cost.misfits`; tiles are priced as if it fitted.
    left = memory.bits - np.where(whole <= memory.bits, whole, 0.0)
    cut, short = find_outermost(tile_bits, left / 2 if memory.double_buffered else left)
    return cut, short, np.maximum(left - at_cut(tile_bits, cut), 0.0)


def _room_beside(
    found: Candidates,
    tiles: Tiles,
    cut: npt.NDArray[np.intp],
    free_bits: Column,
    bits: Mapping[Operand, Column],
    memory: MemoryLevel,
    passing: Passing,
) -> Column:
    """How much of the next tiles finds room in a memory beside those in use, 0 to 1.

    Only what moves when the loop directly outside the cut advances needs room: where that is T,
    weights stay, and all that is free is for inputs.

    Args:
        found: mappings.
        tiles: of them.
        cut: of the memory.
        free_bits: that the tiles in use leave.
        bits: of an element of each operand.
        memory: that holds them.
        passing: whether an operand comes here on its way.
    """
    outside = np.full(len(cut), -1, dtype=np.intp)  # none: groups, with which everything moves
    for depth in reversed(range(DEPTH)):
        here = (depth >= cut) & (found.counts[depth] > 1)
        outside = np.where(here, found.order[depth], outside)
    moving_bits = np.zeros(len(cut))
    for operand in memory.holds:
        if operand != "outputs":
            stays = outside == {"weights": T, "inputs": N}[operand]
            if operand == "inputs":
                stays = stays & ~found.views.across
            tile_bits = at_cut(tiles.elements[operand], cut) * bits[operand]
            moving_bits += np.where(stays | ~passing[memory.name, operand][1], 0.0, tile_bits)
    room: Column = np.clip(free_bits / np.maximum(moving_bits, 1.0), 0.0, 1.0)
    return room
