"""Traffic: how often each operand crosses each boundary of the memory hierarchy.

The loops of a layer in the order of a candidate (`cost_models.mapping`), here weight stationary:

    ................................   position 3: all loops are inside
    for n in 4:
      ..............................   position 2
      for r in 2:
        ............................   position 1
        for t in 3:
          ..........................   position 0: only what the array unrolls is inside
          one pass of the array

Cut the loops at a position: what lies inside is a *tile*, what lies outside moves tiles. A level of
the hierarchy that holds a tile has such a cut, and what passes through its ports is what crosses
the cuts. An operand depends on two of the three loops:

    weights  N, R          inputs  R, T (and N in depthwise layers)          outputs  N, T

Its tile is exchanged whenever one of its own loops outside the cut advances, and stays while others
do. So over the whole layer the operand crosses the cut

    crossings(p) = elements * product of the loops outside that it does not depend on, and that
                              stand outside the innermost loop outside that it does depend on

times. In the nest above, at position 0, of loops with 4, 2 and 3 iterations:

    weights  T is directly outside and not theirs: the tile stays     1   each is fetched once
    inputs   theirs is T, and N stands outside of it                  4   read anew for every n
    outputs  theirs is T, and R stands outside of it                  2   sums leave incomplete

With R innermost (output stationary: n, t, r) it is T that stands outside the innermost loop of the
weights: they cross 3 times, and sums stay until they are complete. That is why a generator of
ternary weights makes them again and again: it stores nothing, so a weight that is asked for a
second time, because it has left the registers meanwhile, is made a second time. The trits of a
layer are the crossings of its weights at the cut of the weights' registers, and the dataflow
decides whether that is one time a weight or one time a weight and tile of pixels.

For inputs, `elements` grows with the halo: tiles of pixels overlap by the kernel, in frames and in
bins (`cost_models.windows`). Tiles at the edges are counted as they are, which a walk through all
loops confirms (tests/cost_models/test_naive.py), with two exceptions: an outer part that ends with
a single inner iteration is counted as if its tile moved; and tiles of a dense convolution that end
within the taps of a channel, as if they did not.

What stays must be held by something: registers in the elements, or a latch before the array that
holds the values of one pass (`ComputeArray.latched`), written once for all passes that need them.
Where an array has neither, it is the output of the lowest memory, which keeps the word that was
read last: as wide as its port, and no wider. So a pass must not take more of such an operand than
one transfer of that port brings: 4 trees of 32 lanes that work on 4 frames would need 1,024 bits at
once of a port of 256, and could not wait for the second 256 without losing the first. (Elements of
systolic arrays hand their operands on, and hold them in doing so.)

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

An example through a whole hierarchy, weights of the nest above with a register that holds one tile
of a pass (position 1: T comes for free) and a buffer that holds those of two r (position 2):

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

from cost_models.accelerator import (
    OPERANDS,
    Accelerator,
    ComputeArray,
    MemoryLevel,
    Operand,
    Register,
)
from cost_models.mapping import DEPTH, Candidates, Column, N, R, T
from cost_models.residency import Mask, Residence
from cost_models.windows import Cuts, count_windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bits of the operands, each of shape (candidates,).

    A sum has more bits than the output that is made of it, so where outputs travel before they are
    complete, they cost more than what arrives in the end.
    """

    weight_bits: Column
    input_bits: Column
    output_bits: Column
    accumulator_bits: Column


@dataclass(slots=True)
class Moved:
    """Bits that cross the ports of one level for one operand, each of shape (candidates,).

    Over the whole layer, and from the level's own point of view: what a buffer hands to registers
    is a read of the buffer and, once for each register that gets a copy, a write of theirs.
    """

    read_bits: Column
    written_bits: Column


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """Tiles of each operand at each cut, whatever the machine's memories hold.

    The geometry of a mapping: which memory holds which of these tiles is decided after it.
    """

    crossings: Mapping[Operand, Cuts]
    """Elements that cross over the whole layer, all groups."""
    elements: Mapping[Operand, Cuts]
    """Elements of a tile."""
    handed: Mapping[Operand, Cuts]
    """Elements of a tile on its way: without multicast a pass takes an input more than once."""
    partial: npt.NDArray[np.bool_]
    """Whether sums are incomplete where a tile of outputs crosses the cut, shape (DEPTH + 1, n)."""
    totals: Mapping[Operand, Column]
    """Elements of the whole tensor, all groups."""
    transfers: Mapping[Operand, Cuts]
    """Tiles that cross over the whole layer, all groups."""
    inside: npt.NDArray[np.float64]
    """Iterations of N, R, T within the cut beyond the unrolled ones, shape (DEPTH + 1, 3, n)."""


def count_tiles(found: Candidates, array: ComputeArray) -> Tiles:
    """Tiles and crossings of every candidate at every cut.

    Position 0 has only what the array unrolls inside; each further position adds one loop, from the
    innermost; at position DEPTH the whole layer (of a group) is inside and everything crosses once.

    Args:
        found: candidates.
        array: where they run; a multicast network hands one input to all elements that need it.
    """
    views = found.views
    n = len(views.layer)
    inside = np.ones((DEPTH + 1, 3, n))
    for depth in range(DEPTH):
        for loop in (N, R, T):
            here = np.where(found.order[depth] == loop, found.counts[depth], 1.0)
            np.multiply(inside[depth, loop], here, out=inside[depth + 1, loop])
    # Unrolled and iterated may cover more than there is (9 channels in 2 passes of 5): a tile is
    # never larger than the loop.
    size = np.minimum(views.bounds, found.unrolled * inside)
    outputs, reduction, pixels = size[:, N], size[:, R], size[:, T]
    # R runs over the taps of a channel first, so a small tile of R is some taps of one channel.
    taps = np.minimum(reduction, views.taps)
    channels = np.where(views.across, outputs, np.ceil(reduction / taps))
    window, seen = count_windows(found, pixels, taps)
    moved = _moves(found)
    totals: dict[Operand, Column] = {
        "weights": views.groups * views.bounds[N] * views.bounds[R],
        "outputs": views.groups * views.bounds[N] * views.bounds[T],
    }
    all_channels = np.where(views.across, views.bounds[N], views.bounds[R] / views.taps)
    inputs = views.groups * all_channels * seen
    totals["inputs"] = inputs[DEPTH]
    elements: dict[Operand, Cuts] = {
        "weights": outputs * reduction,
        "inputs": channels * window,
        "outputs": outputs * pixels,
    }
    handed = dict(elements)
    if array.interconnect != "multicast":
        # Elements on a diagonal need the same input pixel, and get it one by one.
        inputs[0] = views.groups * all_channels * views.taps * views.bounds[T]
        handed["inputs"] = np.concatenate([(channels * taps * pixels)[:1], (channels * window)[1:]])
    n_tiles, r_tiles, t_tiles = np.ceil(views.bounds[:, None] / size.swapaxes(0, 1))
    input_tiles = np.where(views.across, n_tiles, 1.0) * r_tiles * t_tiles
    tiles: dict[Operand, Cuts] = {
        "weights": n_tiles * r_tiles,
        "inputs": input_tiles,
        "outputs": n_tiles * t_tiles,
    }
    return Tiles(
        crossings={
            "weights": totals["weights"] * moved["weights"],
            "inputs": inputs * moved["inputs"],
            "outputs": totals["outputs"] * moved["outputs"],
        },
        elements=elements,
        handed=handed,
        partial=size[:, R] < views.bounds[R],
        totals=totals,
        transfers={operand: views.groups * tiles[operand] * moved[operand] for operand in OPERANDS},
        inside=inside,
    )


def _moves(found: Candidates) -> dict[Operand, Cuts]:
    """How often the whole tensor crosses each cut; see `crossings` in the module's docstring.

    The loops are walked from the outermost inwards. `outside` collects the iterations of the loop
    that an operand does not depend on. Where a loop of its own advances, the tile moves as often as
    `outside` says by then; where a loop that is not its own stands directly outside the cut, the
    number is that of the cut further out: the tile stays. The nest of the module's docstring, from
    the outermost loop inwards; `x` is the operand's own loop, `times` that of the cut inside of it:

                         weights            inputs             outputs
        loop          own times outside  own times outside  own times outside
        (outside)          1      1           1      1           1      1
        for n in 4     x   1      1           1      4       x   1      1
          for r in 2   x   1      1       x   4      4           1      2
            for t in 3     1      3       x   4      4       x   2      2
    """
    n = len(found.views.layer)
    moved: dict[Operand, Cuts] = {}
    repeats: dict[Operand, int] = {"weights": T, "inputs": N, "outputs": R}
    for operand, loop in repeats.items():
        free = found.order == loop
        if operand == "inputs":
            free = free & ~found.views.across  # depthwise: each channel has inputs of its own
        times = np.ones((DEPTH + 1, n))
        outside = np.ones(n)  # product of all independent loops outside the cut
        for depth in reversed(range(DEPTH)):
            moves = ~free[depth] & (found.counts[depth] > 1)
            times[depth] = np.where(moves, outside, times[depth + 1])
            outside = outside * np.where(free[depth], found.counts[depth], 1.0)
            # The last outer part of a split loop may be shorter than the others.
            outside = np.minimum(outside, found.iterations[loop])
        moved[operand] = times
    return moved


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
    bits: dict[Operand, Column] = {
        "weights": precision.weight_bits,
        "inputs": precision.input_bits,
        "outputs": precision.output_bits,
    }
    n = len(found.views.layer)
    mappable = np.ones(n, dtype=np.bool_)
    shortage: dict[str, Column] = {}
    cut: dict[Operand, npt.NDArray[np.intp]] = {}
    registers: dict[Operand, Moved] = {}
    together = dict.fromkeys(OPERANDS, np.ones(n))
    for operand in OPERANDS:
        cut[operand] = np.zeros(n, dtype=np.intp)
        register = array.register(operand)
        if register is None:
            if operand in array.latched:
                written = _at(tiles.crossings[operand], cut[operand]) * bits[operand]
                registers[operand] = Moved(read_bits=np.zeros(n), written_bits=written)
            continue
        width = precision.accumulator_bits if operand == "outputs" else bits[operand]
        values = _register_tile(found, tiles, array, register, operand)
        held = _register_bits(values, width, register)
        cut[operand], short = _outermost(held, np.full(n, float(register.capacity_bits)))
        shortage[register_name(operand, array)] = short
        mappable &= short == 0
        # Of a value, in the words of what one register takes at once: in a pass, and as a tile.
        per_pass = held[0] / values[0]
        per_tile = _at(held, cut[operand]) / _at(values, cut[operand])
        if operand == "outputs":
            registers[operand] = _accumulators(found, tiles, array, cut, per_pass, per_tile)
            continue
        room = np.floor(register.capacity_bits / np.maximum(_at(held, cut[operand]), 1.0))
        together[operand] = _together(found, operand, cut[operand], room)
        copies = _copies(found, array, register, operand)
        registers[operand] = Moved(
            read_bits=_whole(tiles.crossings[operand][0] * copies * per_pass),
            written_bits=_whole(_at(tiles.crossings[operand], cut[operand]) * copies * per_tile),
        )
    # The generator feeds the registers: it makes what crosses their cut, as often as it does.
    kept = cut["weights"]
    trits = np.where(generated, _at(tiles.crossings["weights"], kept), 0.0)

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
        registers=registers,
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
                    tiles=_at(tiles.transfers[operand], cut) * fills,
                    cycles=np.maximum(written, read) * fills,
                    beside_cycles=_beside_cycles(outer, operand, memories),
                    handing_cycles=handed * fills,
                    sweep_passes=_sweep_passes(found, operand, cut),
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


def _sweep_passes(found: Candidates, operand: Operand, cut: npt.NDArray[np.intp]) -> Column:
    """Passes in which a tile is used for the last time, value by value.

    The loops inside a cut are walked from the cut inwards. Where the operand does not depend on a
    loop, the tile is run through as often as the loop says, and only the last run lets go of it.
    The first loop of its own ends the walk: from then on its values are done with one after the
    other, evenly.

        inputs in the tile of      their last use takes
        N 4, T 16  (N outside)     16 passes: the last of 4 runs
        T 16, N 4  (T outside)     64: each pixel is done with after 4 passes
        taps 9, T 16               16: all pixels are seen through each tap

    Args:
        found: mappings.
        operand: `inputs` or `weights`.
        cut: of the memory, for each candidate.
    """
    views = found.views
    passes, walking = np.ones(len(cut)), np.ones(len(cut), dtype=np.bool_)
    channels = np.where(views.across, 1.0, views.bounds[R] / views.taps)
    for depth in reversed(range(DEPTH)):
        loop, count = found.order[depth], found.counts[depth]
        if operand == "weights":
            free = loop == T
        else:
            free = (loop == N) & ~views.across
            # R with a single channel runs over taps, which see the same pixels again.
            free = free | ((loop == R) & (channels == 1) & (views.taps > 1))
        inside = (depth < cut) & (count > 1)
        walking = walking & (free | ~inside)
        passes = np.where(inside & ~walking, passes * count, passes)
    return passes


def register_name(operand: Operand, array: ComputeArray) -> str:
    """What the registers of an operand are called in messages and as keys of `Traffic.shortage`."""
    return f"{operand} registers of {array.name}"


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


def _at(cuts: Cuts, position: npt.NDArray[np.intp]) -> Column:
    chosen: Column = cuts[position, np.arange(cuts.shape[1])]
    return chosen


def _register_bits(values: Cuts, bits: Column, register: Register) -> Cuts:
    """Bits that values take in the words of a register file, where they lie and when they move.

    A word holds as many as fit whole: of 8 bits, four weights of two. A wider value takes several
    words. In words of 24 bits:

        sums of 16 bits     1 a word     5 of them take 120 bits
        weights of 8        3 a word     5 take 48
        sums of 32          2 words      5 take 240
    """
    together = np.maximum(np.floor(register.word_bits / bits), 1.0)
    words: Cuts = np.ceil(values / together) * np.ceil(bits / register.word_bits)
    return words * register.word_bits


def _whole(bits: Column) -> Column:
    """Whole bits: a last word that fewer values share than the others do is moved all the same.

    5 values of one bit, 3 of them in a word of 8: 13 1/3 bits in proportion. What a quotient is off
    by must not become a bit.
    """
    whole: Column = np.ceil(np.round(bits, 6))
    return whole


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


def _together(
    found: Candidates, operand: Operand, cut: npt.NDArray[np.intp], room: Column
) -> Column:
    """Tiles that registers take in one transfer: those that they have room for, one after another.

    Of trits in registers of 8 bits, four fit: where the loop outside of the registers runs over
    weights, one word brings what the next four passes need. Where another loop runs, the same tile
    stays, and the next one is not next in memory.

    Args:
        found: candidates.
        operand: of the registers.
        cut: of the registers.
        room: tiles that they can hold at a time, at least 1.
    """
    repeated = {"weights": T, "inputs": N}[operand]
    loop = np.full(len(cut), -1, dtype=np.intp)
    count = np.ones(len(cut))
    for depth in reversed(range(DEPTH)):
        here = (found.counts[depth] > 1) & (depth >= cut)
        loop = np.where(here, found.order[depth], loop)
        count = np.where(here, found.counts[depth], count)
    own = (loop != repeated) & (loop >= 0)
    if operand == "inputs":
        own = own | (found.views.across & (loop >= 0))
    return np.where(own, np.maximum(np.minimum(room, count), 1.0), 1.0)


def _outermost(needed_bits: Cuts, capacity_bits: Column) -> tuple[npt.NDArray[np.intp], Column]:
    """The outermost cut whose tile fits, and the bits of the smallest tile where none does.

    Tiles only grow outwards, so positions are counted as long as all of them fit: fits of 1 1 0 0 0
    have running products of 1 1 0 0 0, two positions, of which the outermost is number 1.

    Args:
        needed_bits: of the tile at each position, shape (DEPTH + 1, candidates).
        capacity_bits: of the level, shape (candidates,).

    Returns:
        Positions, 0 where nothing fits; and the bits at position 0 there, 0 elsewhere.
    """
    fits = needed_bits <= capacity_bits
    position = np.sum(np.cumprod(fits, axis=0), axis=0) - 1
    short = np.where(fits[0], 0.0, needed_bits[0])
    return np.maximum(position, 0).astype(np.intp), short


def _register_tile(
    found: Candidates, tiles: Tiles, array: ComputeArray, register: Register, operand: Operand
) -> Cuts:
    """Elements of an operand in one register file at each cut, shape (DEPTH + 1, candidates).

    A register serves the elements that share it: their share of the unrolled iterations, times the
    iterations in time that are inside the cut.
    """
    depends = {"weights": (N, R), "inputs": (R, T), "outputs": (N, T)}[operand]
    held = np.ones_like(tiles.inside[:, N])
    for loop in (N, R, T):
        shared = _shared(found, array, register, loop)
        iterations = np.minimum(shared, found.unrolled[loop]) * tiles.inside[:, loop]
        if loop in depends:
            held = held * iterations
        elif operand == "inputs":
            held = held * np.where(found.views.across, iterations, 1.0)
    if operand == "inputs":
        held = np.minimum(held, tiles.elements["inputs"])  # windows overlap
    return held


def _shared(found: Candidates, array: ComputeArray, register: Register, loop: int) -> Column:
    """Iterations of a loop that elements with a common register take at once."""
    table = np.ones((2, max(map(len, found.kinds))))
    for across, kinds in enumerate(found.kinds):
        for number, assignment in enumerate(kinds):
            table[across, number] = assignment.shared(array, register, loop)
    return table[found.views.across.astype(np.intp), found.assignment]


def _copies(found: Candidates, array: ComputeArray, register: Register, operand: Operand) -> Column:
    """Registers that get a copy of the same element.

    Elements that unroll a loop on which the operand does not depend need the same element at once
    (weights: those that work on different pixels), each register of its own a copy. 8 rows unroll N
    and 16 columns T: each weight goes to the 16 registers of a row, or to one that the row shares.
    """
    repeated = {"weights": T, "inputs": N, "outputs": R}[operand]
    apart = found.unrolled[repeated] / np.minimum(
        _shared(found, array, register, repeated), found.unrolled[repeated]
    )
    if operand == "inputs":
        apart = np.where(found.views.across, 1.0, apart)
    copies: Column = np.ceil(apart)
    return copies


def _accumulators(
    found: Candidates,
    tiles: Tiles,
    array: ComputeArray,
    cut: Mapping[Operand, npt.NDArray[np.intp]],
    per_pass: Column,
    per_tile: Column,
) -> Moved:
    """Every operation reads and writes a sum; a tile that leaves is read once more.

    Elements that unroll R and have one accumulator in common first add among each other (a tree's
    lanes), so that the accumulator is read and written once a pass, not once an operation. R of 64
    iterations, 16 of them unrolled; figures for each output:

                                       copies   together   updates
        16 elements share a sum           1        16      64 / 16 = 4
        each element has its own         16         1      64, one an operation

    In the second case 16 partial sums leave where in the first one does.

    Args:
        found: mappings.
        tiles: of them.
        array: whose accumulators they are.
        cut: of each register.
        per_pass: bits of a sum in the words of an operation.
        per_tile: bits of a sum in the words of a tile that leaves or returns.
    """
    register = array.register("outputs")
    assert register is not None  # every array has accumulators
    copies = _copies(found, array, register, "outputs")
    views = found.views
    sums = views.groups * views.bounds[N] * views.bounds[T]
    # Elements with a common accumulator add to it together, once a pass over R.
    together = found.unrolled[R] / copies
    updates = sums * copies * np.ceil(views.bounds[R] / (copies * together))
    updates = np.minimum(updates, sums * views.bounds[R])
    leaving = _at(tiles.crossings["outputs"], cut["outputs"]) * copies
    returning = leaving - sums * copies
    return Moved(
        read_bits=updates * per_pass + leaving * per_tile,
        written_bits=updates * per_pass + returning * per_tile,
    )


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
        _at(each["outputs"], boundary.cut) for each in (tiles.crossings, tiles.transfers)
    )
    elements = _at(tiles.elements["outputs"], boundary.cut)
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
    handed = _at(tiles.handed[operand], boundary.cut) * boundary.together
    elements = np.where(whole, tiles.totals[operand], handed)
    transfers = np.ceil(_at(tiles.transfers[operand], boundary.cut) / boundary.together)
    return _in_words(
        _at(tiles.crossings[operand], boundary.cut) * width_bits,
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
    cut, short = _outermost(tile_bits, left / 2 if memory.double_buffered else left)
    return cut, short, np.maximum(left - _at(tile_bits, cut), 0.0)


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
            tile_bits = _at(tiles.elements[operand], cut) * bits[operand]
            moving_bits += np.where(stays | ~passing[memory.name, operand][1], 0.0, tile_bits)
    room: Column = np.clip(free_bits / np.maximum(moving_bits, 1.0), 0.0, 1.0)
    return room
