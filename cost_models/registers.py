"""Registers: what the array itself holds, and what passes between it and the lowest memory.

What stays must be held by something: registers in the elements, or a latch before the array that
holds the values of one pass (`ComputeArray.latched`), written once for all passes that need them.
Where an array has neither, it is the output of the lowest memory, which keeps the word that was
read last: as wide as its port, and no wider. So a pass must not take more of such an operand than
one transfer of that port brings: 4 trees of 32 lanes that work on 4 frames would need 1,024 bits at
once of a port of 256, and could not wait for the second 256 without losing the first. (Elements of
systolic arrays hand their operands on, and hold them in doing so.)

Registers hold the largest tile that fits (`cost_models.tiles`): their cut is the outermost position
whose tile fits. In a pass every element reads its operands; what the registers take in crosses
their cut, and each register that gets a copy of its own is written.

    reads    crossings at position 0   * copies
    writes   crossings at their cut    * copies
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import OPERANDS, ComputeArray, Operand, Register
from cost_models.mapping import DEPTH, Candidates, Column, N, R, T
from cost_models.tiles import Moved, Precision, Tiles, at_cut, find_outermost
from cost_models.windows import Cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Registers:
    """What the registers of an array hold and move; columns are of shape (candidates,)."""

    cut: Mapping[Operand, npt.NDArray[np.intp]]
    """Position of their tiles: 0, the values of one pass, where an operand has no registers."""
    moved: Mapping[Operand, Moved]
    """Of all elements together; of an operand that is latched, what the latch takes."""
    together: Mapping[Operand, Column]
    """Tiles that they take in one transfer."""
    shortage: Mapping[str, Column]
    """Registers -> bits of the smallest tile, where that does not fit; 0 elsewhere."""


def count_registers(
    found: Candidates, tiles: Tiles, array: ComputeArray, precision: Precision
) -> Registers:
    """Cuts and traffic of the registers of an array.

    Args:
        found: mappings.
        tiles: of them.
        array: whose registers they are.
        precision: bits of the operands.
    """
    bits = precision.travelling_bits
    n = len(found.views.layer)
    cut: dict[Operand, npt.NDArray[np.intp]] = {}
    moved: dict[Operand, Moved] = {}
    together = dict.fromkeys(OPERANDS, np.ones(n))
    shortage: dict[str, Column] = {}
    for operand in OPERANDS:
        cut[operand] = np.zeros(n, dtype=np.intp)
        register = array.register(operand)
        if register is None:
            if operand in array.latched:
                written = at_cut(tiles.crossings[operand], cut[operand]) * bits[operand]
                moved[operand] = Moved(read_bits=np.zeros(n), written_bits=written)
            continue
        width = precision.accumulator_bits if operand == "outputs" else bits[operand]
        values = _register_tile(found, tiles, array, register, operand)
        held = _register_bits(values, width, register)
        cut[operand], short = find_outermost(held, np.full(n, float(register.capacity_bits)))
        shortage[register_name(operand, array)] = short
        # Of a value, in the words of what one register takes at once: in a pass, and as a tile.
        per_pass = held[0] / values[0]
        per_tile = at_cut(held, cut[operand]) / at_cut(values, cut[operand])
        if operand == "outputs":
            moved[operand] = _accumulators(found, tiles, array, cut, per_pass, per_tile)
            continue
        room = np.floor(register.capacity_bits / np.maximum(at_cut(held, cut[operand]), 1.0))
        together[operand] = _together(found, operand, cut[operand], room)
        copies = _copies(found, array, register, operand)
        moved[operand] = Moved(
            read_bits=_whole(tiles.crossings[operand][0] * copies * per_pass),
            written_bits=_whole(at_cut(tiles.crossings[operand], cut[operand]) * copies * per_tile),
        )
    return Registers(cut=cut, moved=moved, together=together, shortage=shortage)


def register_name(operand: Operand, array: ComputeArray) -> str:
    """What the registers of an operand are called in messages and as keys of `Traffic.shortage`."""
    return f"{operand} registers of {array.name}"


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
    leaving = at_cut(tiles.crossings["outputs"], cut["outputs"]) * copies
    returning = leaving - sums * copies
    return Moved(
        read_bits=updates * per_pass + leaving * per_tile,
        written_bits=updates * per_pass + returning * per_tile,
    )
