"""A convolution's descriptor: the model's mapping as nests of all engines that work on it.

    passes    the array: one iteration a cycle, where operands are there
    fetch     operands of inputs: loops without those that the operand stays still in
    reader    words of the activation memory to the input buffer, tile by tile
    weights   operands of weights, from the weight memory or the generator
    steps     channels of results, in the order in which passes finish
    words     words of results in the activation memory

In the input buffer a tile lies as  [step of R] [frame] [input of a step]  so that what a pass takes
is one run of bytes, whatever rows and columns stand for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.chip.mapped import MappedLayer, Pass
from dse.chip.nests import Loop, Nest, make_nest
from dse.chip.tensors import Tensor
from dse.errors import InvalidDesign
from dse.ternary.order import arrange


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tensor in the activation memory."""

    tensor: Tensor
    row: int
    lanes: int

    @property
    def pitch(self) -> int:
        """Rows of a channel."""
        return self.tensor.pitch(self.lanes)


Fields = dict[str, Any]
"""Descriptor fields by name: whole numbers, or nests."""


def convolution_fields(mapped: MappedLayer, source: Place, target: Place | None) -> Fields:
    """All fields of a convolution but those of its parameters.

    Args:
        mapped: the layer with its mapping.
        source: tensor that it reads.
        target: tensor that it writes; None where its results are scores, which leave the chip.

    Raises:
        InvalidDesign: the circuit cannot run it.
    """
    fields: Fields = {"kind": 0, "on_trees": int(mapped.on_trees)}
    fields |= _pass_fields(mapped)
    fields |= _buffered(mapped, source) if mapped.chip.buffer else _direct(mapped, source)
    fields |= weight_fields(mapped)
    return fields | (_score_fields(mapped) if target is None else _result_fields(mapped, target))


# --- passes


def _pass_fields(mapped: MappedLayer) -> Fields:
    """The array's nest: which sum a pass adds to, and which operands the next one needs anew."""
    kept = [each for each in mapped.passes if each.count > 1]
    outermost = max((d for d, each in enumerate(kept) if each.axis in "RK"), default=-1)
    index, strides = 1, []
    for depth, each in enumerate(kept):
        own = each.axis in "NT" and depth < outermost
        strides.append(index if own else 0)
        index *= each.count if own else 1
    array = mapped.chip.array(mapped.mapping.array)
    depth = mapped.chip.depth(array)
    if index > depth:
        raise InvalidDesign(
            f"{mapped.layer.name} cannot run on the exported chip: its mapping ({mapped.mapping}) "
            f"needs {index} sums in an element of '{array.name}', which has {depth}; sums that "
            "leave before they are complete are not built"
        )
    loops = [
        Loop(each.count, (stride,), frozenset({f"{d} {each.axis}"}))
        for d, (each, stride) in enumerate(zip(kept, strides, strict=True))
    ]
    nest = make_nest((0,), loops, f"the passes of {mapped.layer.name}")
    return {
        "pass": nest,
        "pass_reduces": _mask(kept, "RK"),
        "pass_pops_inputs": _turning(kept, mapped.input_axes),
        "pass_pops_weights": _turning(kept, "NRKG"),
        "rows_outputs": int(mapped.rows_axis == "N"),
        "rows_inputs": int(mapped.rows_axis == "R"),
        "columns_inputs": int(mapped.columns_axis == "R"),
        "columns_used": mapped.inputs if mapped.inputs > 1 or mapped.on_trees else mapped.columns,
    }


def _mask(kept: list[Pass], axes: str) -> int:
    return sum(1 << depth for depth, each in enumerate(kept) if each.axis in axes)


def _turning(kept: list[Pass], axes: str) -> int:
    """Loops whose advance changes an operand: it depends on them, or on one that starts over."""
    changes = [any(each.axis in axes for each in kept[: depth + 1]) for depth in range(len(kept))]
    return sum(1 << depth for depth, change in enumerate(changes) if change)


def _from_innermost(passes: tuple[Pass, ...], axes: str) -> list[Pass]:
    """Loops from the innermost that an operand depends on: inside of it the operand stays."""
    kept = [each for each in passes if each.count > 1]
    while kept and kept[0].axis not in axes:
        kept.pop(0)
    return kept


# --- inputs through the buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    """What of the inputs is in the buffer at a time."""

    loops: int
    """Of the operand's loops, how many are inside."""
    chunks: int
    """Steps of R, or input channels of a dense convolution with taps."""
    frames: int
    padded_inputs: int
    """Bytes of a frame and step of R."""
    chunk_bytes: int
    bytes: int


def _tile(mapped: MappedLayer, inside: list[Pass]) -> _Tile:
    lanes = mapped.chip.lanes
    frames = mapped.frames
    chunks = 1
    for each in inside:
        frames *= each.count if each.axis == "T" else 1
        # R of a depthwise layer runs over taps, which read the same frames.
        chunks *= each.count if each.axis == ("G" if mapped.layer.groups > 1 else "R") else 1
    if mapped.layer.kernel_size > 1:
        frames = mapped.layer.in_frames
    frames = min(frames, mapped.layer.in_frames)
    inputs = 1 if mapped.inputs == 1 else -(-mapped.inputs // lanes) * lanes
    run = -(-frames // lanes) * lanes if inputs == 1 else frames * inputs
    total = -(-run * chunks // mapped.chip.fetch_bytes) * mapped.chip.fetch_bytes
    return _Tile(
        loops=len(inside),
        chunks=chunks,
        frames=frames,
        padded_inputs=inputs,
        chunk_bytes=run,
        bytes=total,
    )


def _largest_tile(mapped: MappedLayer, loops: list[Pass]) -> _Tile:
    """The outermost cut whose tile fits the buffer."""
    best = None
    for count in range(len(loops) + 1):
        tile = _tile(mapped, loops[:count])
        if tile.bytes > mapped.chip.ring_bytes:
            break
        best = tile
    outside = loops[best.loops :] if best else []
    if best is None or (
        mapped.layer.kernel_size > 1 and any(each.axis not in "NG" for each in outside)
    ):
        raise InvalidDesign(
            f"{mapped.layer.name} cannot run on the exported chip: its inputs take "
            f"{_tile(mapped, loops).bytes * 8:,} bits in '{mapped.chip.buffer.name}', which has "  # type: ignore[union-attr]
            f"{mapped.chip.ring_bytes * 8:,}, and windows over tiles are not built; use "
            "fewer frames"
        )
    return best


def _buffered(mapped: MappedLayer, source: Place) -> Fields:
    loops = _from_innermost(mapped.passes, mapped.input_axes)
    tile = _largest_tile(mapped, loops)
    tiles = 1
    fetch: list[Loop] = []
    read: list[Loop] = _tile_words(mapped, tile, source)
    outside_began = False
    for depth, each in enumerate(loops):
        if depth < tile.loops:
            fetch.append(_inside_loop(mapped, tile, each))
            continue
        outside_began = outside_began or each.axis in "RTG"
        step = tile.bytes * tiles if outside_began else 0
        tiles *= each.count if outside_began else 1
        fetch.append(Loop(each.count, (step, step, _frame_step(mapped, each))))
        if outside_began:
            read.append(Loop(each.count, _memory_steps(mapped, each, source)))
    what = f"the inputs of {mapped.layer.name}"
    first = -mapped.padding if mapped.layer.kernel_size > 1 else 0
    nest = make_nest((first, tile.bytes, first), fetch, what)
    beats, step = _beats(mapped, tile)
    return {
        "fetch": nest,
        "fetch_tile": nest.mask("tile"),
        "fetch_reuse": nest.mask("reuse"),
        "fetch_releases": int(_releases(mapped, nest)),
        "fetch_last_beat": beats - 1,
        "fetch_beat_steps": (step, 0, mapped.chip.fetch_bytes),
        "fetch_padded": int(mapped.layer.kernel_size > 1),
        "in_frames": source.tensor.frames,
        "in_pitch": source.pitch,
        "read": make_nest((0, 0, 0), read, what),
        "read_group": make_nest((0, 0, 0), read, what).mask("tile"),
        "read_base_a": source.row,
        "read_fast_frames": int(mapped.inputs == 1),
        "read_fast": int(np.log2(source.lanes)),
        "read_lanes": 2**source.lanes - 1,
    }


def _inside_loop(mapped: MappedLayer, tile: _Tile, each: Pass) -> Loop:
    inside = frozenset({"tile"})
    if each.axis == "N":
        return Loop(each.count, (0, 0, 0), inside | {"reuse"})
    if each.axis == "T":
        step = each.unit * mapped.frames * tile.padded_inputs
        return Loop(each.count, (step, 0, _frame_step(mapped, each)), inside)
    if each.axis == "K" or (each.axis == "R" and mapped.layer.groups > 1):
        step = each.unit * mapped.layer.dilation
        return Loop(each.count, (step, 0, step), inside)
    if each.axis == "R":
        return Loop(each.count, (each.unit * tile.chunk_bytes, 0, 0), inside)
    return Loop(each.count, (each.unit * tile.chunk_bytes, 0, 0), inside)


def _frame_step(mapped: MappedLayer, each: Pass) -> int:
    """Frames that a step of a loop advances."""
    if each.axis == "T":
        return each.unit * mapped.frames
    taps = each.axis == "K" or (each.axis == "R" and mapped.layer.groups > 1)
    return each.unit * mapped.layer.dilation if taps else 0


def _channel_step(mapped: MappedLayer, each: Pass) -> int:
    """Input channels that a step of a loop advances."""
    if each.axis == "G":
        return each.unit
    if each.axis == "R" and mapped.layer.groups == 1:
        return each.unit * mapped.channel_step
    return 0


def _memory_steps(mapped: MappedLayer, each: Pass, source: Place) -> tuple[int, int, int]:
    channels = _channel_step(mapped, each)
    return channels * source.pitch, channels, _frame_step(mapped, each)


def _tile_words(mapped: MappedLayer, tile: _Tile, source: Place) -> list[Loop]:
    """Words of a tile in the order in which they lie in the buffer."""
    lanes, inside = source.lanes, frozenset({"tile"})
    if tile.padded_inputs == 1:
        words = tile.chunk_bytes // lanes
        return [
            Loop(words, (0, 0, lanes), inside),
            Loop(tile.chunks, (source.pitch, 1, 0), inside),
        ]
    step = mapped.channel_step
    return [
        Loop(tile.padded_inputs // lanes, (lanes * source.pitch, lanes, 0), inside),
        Loop(tile.frames, (0, 0, 1), inside),
        Loop(tile.chunks, (step * source.pitch, step, 0), inside),
    ]


def _beats(mapped: MappedLayer, tile: _Tile) -> tuple[int, int]:
    """Reads of an operand, and the bytes from one to the next."""
    width = mapped.chip.fetch_bytes
    if tile.padded_inputs == 1 or mapped.frames == 1:
        return -(-mapped.frames * tile.padded_inputs // width), width
    if tile.padded_inputs == mapped.columns:
        return -(-mapped.frames * mapped.columns // width), width
    if mapped.columns == width:
        return mapped.frames, tile.padded_inputs
    raise InvalidDesign(
        f"{mapped.layer.name} cannot run on the exported chip: {mapped.inputs} inputs of "
        f"{mapped.frames} frames do not begin at words of the input buffer; use another machine"
    )


def _releases(mapped: MappedLayer, nest: Nest) -> bool:
    """Whether operands of a tile, when met for the last time, come in the order of the buffer."""
    if mapped.layer.kernel_size > 1:
        return False
    inside = tuple(
        loop for loop in nest.loops if "tile" in loop.flags and "reuse" not in loop.flags
    )
    order = Nest(nest.first, inside).addresses()[:, 0]
    return bool(np.all(np.diff(order) >= 0))


# --- inputs without a buffer


def _direct(mapped: MappedLayer, source: Place) -> Fields:
    lanes = source.lanes
    by_channels = mapped.inputs > 1
    loops = [
        Loop(each.count, _memory_steps(mapped, each, source))
        for each in _from_innermost(mapped.passes, mapped.input_axes)
    ]
    if by_channels and mapped.frames > 1 and mapped.columns != lanes:
        raise InvalidDesign(
            f"{mapped.layer.name} cannot run on the exported chip: without an input buffer a pass "
            f"takes several inputs of one frame, and its mapping ({mapped.mapping}) takes "
            f"{mapped.frames}; use another machine"
        )
    size = mapped.inputs if by_channels else mapped.frames
    steps = (lanes * source.pitch, lanes, 0) if by_channels else (0, 0, lanes)
    first = -mapped.padding if mapped.layer.kernel_size > 1 else 0
    nest = make_nest((source.row, 0, first), loops, f"the inputs of {mapped.layer.name}")
    return {
        "fetch": nest,
        "fetch_last_beat": -(-size // lanes) - 1,
        "fetch_beat_steps": steps,
        "fetch_padded": int(not by_channels),
        "fetch_channels": int(by_channels),
        "in_frames": source.tensor.frames,
        "in_pitch": source.pitch,
    }


# --- weights


def operand_bits(mapped: MappedLayer) -> int:
    """Bits of a pass's weights in the weight memory or the generator's stream."""
    bits = mapped.layer.weight_bits if not mapped.on_trees else 2
    if mapped.on_trees:
        columns = mapped.inputs if mapped.chip.machine.generates(mapped.layer) else mapped.columns
        return bits * columns * (1 if mapped.rows_axis == "T" else mapped.outputs)
    by_columns = mapped.columns if mapped.columns_axis == "R" else 1
    if mapped.rows_axis == "R":
        return bits * mapped.inputs
    return bits * by_columns * (mapped.outputs if mapped.rows_axis == "N" else 1)


def word_bits(mapped: MappedLayer) -> int:
    """Of what gives the weights: the memory's word, or the trits of a cycle of the generator."""
    if mapped.chip.machine.generates(mapped.layer):
        return 2 * mapped.chip.trit_lanes
    return mapped.chip.weights.bandwidth_bits_per_cycle


def operand_bytes(mapped: MappedLayer) -> int:
    """From one operand to the next: whole words, or a power of two that divides one."""
    bits, word = operand_bits(mapped), word_bits(mapped)
    if bits > word:
        return -(-bits // word) * word // 8
    return 1 << max(0, (-(-bits // 8) - 1).bit_length())


def weight_loops(mapped: MappedLayer) -> list[tuple[Pass, int]]:
    """Loops of the weights' operands, and how many each advances: 0 where they come anew."""
    step, found = 1, []
    for each in _from_innermost(mapped.passes, "NRKG"):
        own = each.axis != "T"
        found.append((each, step if own else 0))
        step *= each.count if own else 1
    return found


def operand_starts(mapped: MappedLayer) -> npt.NDArray[np.int64]:
    """Output and entry of its row that each operand begins with, shape (operands, 2)."""
    depthwise = mapped.layer.groups > 1
    found = np.zeros((1, 2), dtype=np.int64)
    for each, step in weight_loops(mapped):
        if not step:
            continue
        taps = mapped.layer.kernel_size if not depthwise else 1
        moves = {
            "N": (each.unit * mapped.outputs, 0),
            "G": (each.unit, 0),
            "R": (0, each.unit * mapped.inputs * taps),
            "K": (0, each.unit),
        }[each.axis]
        steps = np.arange(each.count)[:, None, None] * np.array(moves)
        found = (steps + found[None]).reshape(-1, 2)
    return found


def weight_fields(mapped: MappedLayer) -> Fields:
    """Fields of the weight fetch; `weight_base` (bytes) is added where the image is made."""
    size = operand_bytes(mapped)
    generated = mapped.chip.machine.generates(mapped.layer)
    loops = [Loop(each.count, (step * size,)) for each, step in weight_loops(mapped)]
    nest = make_nest((0,), loops, f"the weights of {mapped.layer.name}")
    if generated:
        _check_order(mapped, nest)
    return {
        "weight": nest,
        "weight_last_beat": -(-operand_bits(mapped) // word_bits(mapped)) - 1,
        "weight_keeps": int(generated or (not mapped.on_trees and mapped.layer.weight_bits < 8)),
        "weights_are_trits": int(mapped.layer.weight_bits == 2 and not mapped.on_trees),
        "generated": int(generated),
    }


def _check_order(mapped: MappedLayer, nest: Nest) -> None:
    """Raise unless the passes need the matrix as it is made, once or from the start again."""
    if mapped.outputs > 1 and mapped.inputs != mapped.columns:
        raise InvalidDesign(
            f"{mapped.layer.name} cannot run on the exported chip: generated rows of "
            f"{mapped.inputs} inputs do not begin at trees of {mapped.columns} lanes where a pass "
            f"takes {mapped.outputs} of them; use trees of other lanes, or a machine that stores "
            "trits"
        )
    rows, inputs = mapped.layer.out_channels, mapped.layer.in_channels
    stream = np.arange(rows * inputs).reshape(rows, inputs)
    made = arrange(stream, mapped.layer.matrix_tile or ())  # type: ignore[arg-type]  # numbers
    starts = operand_starts(mapped)
    n = starts[:, 0, None, None] + np.arange(mapped.outputs)[:, None]
    r = starts[:, 1, None, None] + np.arange(mapped.inputs)
    in_order = bool(n.max() < rows and r.max() < inputs)
    in_order = in_order and operand_bits(mapped) == 8 * operand_bytes(mapped)
    in_order = in_order and np.array_equal(made[n, r].ravel(), stream.ravel())
    words = nest.addresses()[:, 0] // (word_bits(mapped) // 8)
    moves = np.diff(words)
    beats = -(-operand_bits(mapped) // word_bits(mapped))
    in_order = in_order and bool(np.all((moves == 0) | (moves == beats) | (words[1:] == 0)))
    if not in_order:
        raise InvalidDesign(
            f"{mapped.layer.name} cannot run on the exported chip: its mapping ({mapped.mapping}) "
            "needs trits in another order than the generator makes them, from the first to the "
            "last and from the start again; use a machine that stores them"
        )


# --- results


@dataclass(frozen=True, slots=True)
class _Results:
    """How results come: so many a step along an axis, then along these loops."""

    a_step: int
    axis: str
    loops: tuple[tuple[str, int, int], ...]
    """Axis, count and stride (channels or frames), innermost first."""
    held: bool
    """Lanes of a step are different channels."""
    last_row: int


def _results(mapped: MappedLayer) -> _Results:
    outer = tuple(
        (each.axis, each.count, each.unit * _result_step(mapped, each.axis))
        for each in mapped.passes
        if each.axis in "NTG" and each.count > 1
    )
    if mapped.on_trees:
        if mapped.rows_axis == "T":
            return _Results(mapped.frames, "T", outer, held=False, last_row=0)
        return _Results(mapped.outputs, "N", outer, held=mapped.outputs > 1, last_row=0)
    if mapped.rows_axis == "R":
        return _Results(1, "T", outer, held=False, last_row=0)
    if mapped.columns_axis == "R":
        many = mapped.outputs if mapped.rows_axis == "N" else mapped.frames
        held = mapped.rows_axis == "N" and many > 1
        return _Results(many, mapped.rows_axis, outer, held=held, last_row=0)
    if mapped.rows_axis == "T":
        columns = min(mapped.frames, mapped.columns)
        rows = -(-mapped.frames // mapped.columns)
        inner = ("T", rows, columns)
        return _Results(columns, "T", (inner, *outer), held=False, last_row=rows - 1)
    inner = ("N", mapped.outputs, 1)
    last_row = mapped.outputs - 1
    return _Results(mapped.frames, "T", (inner, *outer), held=False, last_row=last_row)


def _result_step(mapped: MappedLayer, axis: str) -> int:
    return {"N": mapped.outputs, "T": mapped.frames, "G": 1}[axis]


def _result_fields(mapped: MappedLayer, target: Place) -> Fields:
    results = _results(mapped)
    # A held step takes a row of records, one a lane; otherwise each channel has one.
    rows = target.lanes / results.a_step if results.held else 1
    channels = {"N": rows, "G": rows, "T": 0}
    steps = [Loop(count, (int(stride * channels[axis]),)) for axis, count, stride in results.loops]
    fields: Fields = {
        "step": make_nest((0,), steps, f"the results of {mapped.layer.name}"),
        "records_held": int(results.held),
        "results_a_step": results.a_step,
        "last_row": results.last_row,
    }
    return (
        fields
        | target_fields(target)
        | word_fields(results.a_step, results.axis, results.loops, target, mapped.layer.name)
    )


def target_fields(target: Place) -> Fields:
    """Of a tensor that is written."""
    return {
        "out_channels": target.tensor.channels,
        "out_frames": target.tensor.frames,
        "out_pitch": target.pitch,
    }


def _score_fields(mapped: MappedLayer) -> Fields:
    """Scores leave one by one, in the order of the classes; those of a row in turns."""
    results = _results(mapped)
    count = results.a_step
    for _, iterations, _ in results.loops:
        count *= iterations
    what = f"the scores of {mapped.layer.name}"
    return {
        "kind": 3,
        "step": make_nest((0,), [Loop(count, (1,))], what),
        "word": make_nest((0, 0, 0), [Loop(count, (0, 1, 0))], what),
        "results_a_row": results.a_step,
        "results_a_step": 1,
        "results_a_word": 1,
        "last_row": results.last_row,
        "out_channels": mapped.layer.out_channels,
    }


def word_fields(
    a_step: int, axis: str, loops: tuple[tuple[str, int, int], ...], target: Place, name: str
) -> Fields:
    """How results become words: the fullest ones whose lanes lie in different banks.

    Args:
        a_step: results that come side by side.
        axis: along which, N or T.
        loops: in which order further ones come, as (axis, count, stride), innermost first.
        target: tensor that they are of.
        name: of the layer, for the message.

    Raises:
        InvalidDesign: not even the results of one step do.
    """
    lanes = target.lanes
    used = [loop for loop in loops if loop[1] > 1]
    for together in range(lanes // a_step, 0, -1):
        fields = _try_words(a_step, axis, used, target, name, together)
        if fields is not None:
            return fields
    raise InvalidDesign(
        f"{name} cannot run on the exported chip: {a_step} results of a step do not lie in "
        "different banks of the activation memory; use another machine"
    )


def _try_words(
    a_step: int,
    axis: str,
    used: list[tuple[str, int, int]],
    target: Place,
    name: str,
    together: int,
) -> Fields | None:
    """Words of `together` steps each, or None where that does not work."""
    lanes, loops = target.lanes, list(used)
    along = axis
    if together > 1:
        if not loops or loops[0][1] % together:
            return None
        next_axis, count, stride = loops[0]
        kind = "N" if next_axis == "G" else next_axis
        if a_step == 1:
            along = kind
        if stride != (a_step if kind == along else 1):
            return None
        if kind != along and a_step & (a_step - 1):
            return None
        loops[0] = (next_axis, count // together, stride * together)
        straight = kind == along
    else:
        straight = True
    fast = int(np.log2(lanes)) if straight else int(np.log2(a_step))
    nest = make_nest(
        (target.row, 0, 0),
        [Loop(count, _word_steps(each, stride, target)) for each, count, stride in loops],
        f"the words of {name}",
    )
    fields: Fields = {
        "word": nest,
        "results_a_word": a_step * together,
        "out_fast_frames": int(along == "T"),
        "out_fast": fast,
    }
    return fields if _apart(nest, fields, lanes) else None


def _word_steps(axis: str, stride: int, target: Place) -> tuple[int, int, int]:
    if axis == "T":
        return 0, 0, stride
    return stride * target.pitch, stride, 0


def _apart(nest: Nest, fields: Fields, lanes: int) -> bool:
    """Whether the lanes of each word lie in different banks."""
    bits = int(np.log2(lanes))
    lane = np.arange(fields["results_a_word"])
    low, high = lane & (2 ** fields["out_fast"] - 1), lane >> fields["out_fast"]
    frames, channels = (low, high) if fields["out_fast_frames"] else (high, low)
    places = np.unique(nest.addresses()[:, 1:] % lanes, axis=0)
    reversed_bits = np.array(
        [int(f"{number:0{bits}b}"[::-1], 2) for number in range(lanes)], dtype=np.int64
    )
    banks = (places[:, 1:] + frames + reversed_bits[(places[:, :1] + channels) % lanes]) % lanes
    return all(len(set(row)) == len(row) for row in banks.tolist())
