"""ZigZag's workload YAML as layers of ours, of one dimension or of two.

A layer there is an equation over loops with free names. What a loop does is read from where its
index stands, not from its letter:

    O[b][g][k][ox] += W[g][k][c][fx] * I[b][g][c][ix]        ix = stride * ox + dilation * fx

    in O, W and I     groups            O[d1][d0] += I[d1][d2] * W[d2][d0] has, by the same rule,
    in O and W        output channels   D1 output frames, D0 output channels, D2 input channels
    in I and W        input channels
    in O and I        output frames     (of one clip: B is 1)
    a tap             kernel taps       the second index of the relation of an input frame

The one exception are images, whose second axis has a name: OY, and the taps that a relation joins
to it, are bins and their taps. Which axis is time, no file says; inferences cost the same.
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from cost_models.reading import read_value
from cost_models.strict_yaml import Node, read_yaml
from cost_models.workload import INPUT, Layer, LayerKind, WeightSource, Workload
from dse.errors import InvalidFile, InvalidInput, short

MOST_SIZE = 2**31
"""Of a loop. No layer comes near; counts stay exact in our columns."""
MOST_BITS = 64
MOST_TOLD = 10
"""Notes of one kind."""

_OF_MAPPINGS = ("spatial_mapping", "core_allocation", "memory_operand_links", "intra_core_tiling")
_OPERATORS = ("Conv", "Conv_downsample", "Gemm")
_BINS = "oy"
"""The index of output bins."""

Role = Literal["groups", "outputs", "inputs", "frames", "bins", "taps", "bin_taps"]
_ROLES: dict[str, Role] = {"OWI": "groups", "OW": "outputs", "WI": "inputs", "OI": "frames"}


def is_workload(path: Path | str) -> bool:
    """Whether a file of ZigZag lists layers; otherwise it describes hardware.

    Told by its form: a workload is a list, hardware a mapping. Raises `InvalidFile` where the file
    cannot be read.
    """
    return isinstance(read_yaml(path, doubled=[]).value, list)


@dataclass(frozen=True, slots=True)
class _Relation:
    """`ix=2*ox+1*fx`: which input frame an output frame and a tap read; or bins in their place."""

    index: str = ""
    made: str = ""
    tap: str = ""
    stride: int = 1
    dilation: int = 1


@dataclass(frozen=True, slots=True)
class _Relations:
    """Of frames and of bins; one without an index where outputs read the input of their number."""

    frames: _Relation = _Relation()
    bins: _Relation = _Relation()


def import_workload(path: Path | str, *, notes: list[str] | None = None) -> Workload:
    """Read the layers of ZigZag's workload YAML.

    Which kind a layer is follows from its loops: as many groups as channels is depthwise, taps over
    1 a convolution, one frame in and out a linear layer, all else pointwise. Who reads whom says
    `operand_source`; where it names no layer before, the layer before it is read.

    Args:
        path: the file.
        notes: gets a sentence for what was assumed or left out.

    Raises:
        InvalidFile: the file cannot be read, or has a layer that is none of ours.
    """
    path, said = Path(path), list[str]()
    root = read_yaml(path, doubled=said)
    if not isinstance(root.value, list):
        raise root.error("a workload of ZigZag is a list of layers")
    names: dict[int, str] = {}
    try:
        layers = tuple(_layer(node, names, said) for node in root.value)
        workload = Workload(path.stem, layers)
        said += _mismatches(layers)
    except InvalidFile:
        raise
    except InvalidInput as error:  # of the workload as a whole, which has no place in the file
        raise root.error(str(error)) from None
    if notes is not None:
        notes += dict.fromkeys(said)
    return workload


def _mismatches(layers: tuple[Layer, ...]) -> list[str]:
    """Layers that read other sizes than the layer before makes: something between is left out."""
    made = {layer.name: (layer.out_channels, layer.out_frames, layer.out_bins) for layer in layers}
    notes = []
    for layer in layers:
        for name in layer.reads:
            read = (layer.in_channels, layer.in_frames, layer.in_bins)
            if name in made and made[name] != read:
                notes.append(
                    f"{layer.name} reads {_shape(*read)}, and {name} makes {_shape(*made[name])}: "
                    "what stands between them is not in the file, and not priced"
                )
    more = [f"and {len(notes) - MOST_TOLD:,} more layers like these"]
    return notes if len(notes) <= MOST_TOLD else notes[:MOST_TOLD] + more


def _shape(channels: int, frames: int, bins: int) -> str:
    of = f" of {bins:,} bins" if bins > 1 else ""
    return f"{channels:,} channels of {frames:,} frames{of}"


def _layer(node: Node, names: dict[int, str], notes: list[str]) -> Layer:
    _check_keys(node)
    name = _name(node)
    loops = _loops(node)
    relations = _relations(node, loops)
    sizes = _sizes_by_role(node, loops, relations)
    bits = _bits(node, name, notes)
    groups, taps = sizes["groups"], sizes["taps"] * sizes["bin_taps"]
    in_channels, out_channels = groups * sizes["inputs"], groups * sizes["outputs"]
    before = _size_before(node, relations, relations.frames, sizes["frames"])
    bins = _size_before(node, relations, relations.bins, sizes["bins"])
    _compare_padding(node, name, relations, (before, sizes["taps"], sizes["frames"]), notes)
    kind = LayerKind.POINTWISE
    if groups > 1 and groups == in_channels == out_channels:
        kind = LayerKind.DEPTHWISE
    elif taps > 1:
        kind = LayerKind.CONVOLUTION
    elif sizes["frames"] == before == sizes["bins"] == bins == 1:
        kind = LayerKind.LINEAR
    left = [key for key in node.value if key not in _KEYS]
    if left:
        notes.append(f"{name}: {', '.join(left[:5])} is not known, and left out")
    reads = _reads(node, name, names, notes)
    try:
        return Layer(
            name=name,
            kind=kind,
            in_channels=in_channels,
            out_channels=out_channels,
            in_frames=before,
            out_frames=sizes["frames"],
            kernel_size=sizes["taps"],
            stride=relations.frames.stride,
            dilation=relations.frames.dilation,
            in_bins=bins,
            out_bins=sizes["bins"],
            kernel_bins=sizes["bin_taps"],
            bin_stride=relations.bins.stride,
            bin_dilation=relations.bins.dilation,
            groups=groups,
            reads=reads,
            weights=WeightSource.TRAINED,
            weight_bits=bits["W"],
            input_bits=bits["I"],
            output_bits=bits["O_final"],
            accumulator_bits=bits["O"],
            rescaled=False,
        )
    except InvalidInput as error:
        raise node.error(str(error)) from None


def _name(node: Node) -> str:
    if "name" not in node.value:
        return f"layer{node.key}"
    name = node.value["name"].value
    text = str(name) if isinstance(name, str | int) else ""
    if not 0 < len(text) <= 200 or text == INPUT:
        raise node.value["name"].error(
            f"{node.key}.name must be a text of 200 letters at most, and not '{INPUT}'"
        )
    return text


def _size_before(node: Node, relations: _Relations, own: _Relation, after: int) -> int:
    """Frames, or bins, that are read, padding not among them.

    `pr_loop_sizes` has them, beside the axes of `pr_loop_dims`. Where they are left out, they are
    those of "same" padding: the windows of the first and the last output reach beyond the ends.

    Args:
        node: the layer.
        relations: of both axes.
        own: of the axis that is asked for.
        after: outputs along it.
    """
    before = (after - 1) * own.stride + 1
    if "pr_loop_sizes" not in node.value or not node.value["pr_loop_sizes"].value:
        return before
    if own is relations.bins and not own.index:
        return before
    place = node.value["pr_loop_sizes"]
    sizes: tuple[int, ...] = read_value(tuple[int, ...], place)
    axes = [own.index] if len(sizes) == 1 else []
    if "pr_loop_dims" in node.value:
        axes = [each.lower() for each in read_value(tuple[str, ...], node.value["pr_loop_dims"])]
    if len(axes) != len(sizes) or own.index not in axes:
        raise place.error(
            f"{place.key} has {len(sizes)} sizes, and pr_loop_dims {len(axes)} names, of which one "
            f"must be {own.index.upper() or 'that of a relation'}"
        )
    known = (relations.frames.index, relations.bins.index)
    others = [size for axis, size in zip(axes, sizes, strict=True) if axis not in known]
    if any(size != 1 for size in others):
        raise place.error(
            f"{place.key}: a second axis of {others[0]:,}, which no relation joins to a loop"
        )
    found = sizes[axes.index(own.index)]
    if not 1 <= found < MOST_SIZE:
        raise place.error(f"{place.key} must be 1 to {MOST_SIZE - 1:,}, not {found:,}")
    return found


def _compare_padding(
    node: Node, name: str, relations: _Relations, sizes: tuple[int, int, int], notes: list[str]
) -> None:
    """A note where the frames that are there and the padding make other outputs than the loops.

        outputs = (inputs + padding - dilation * (taps - 1) - 1) / stride + 1, rounded down

    What is priced is what the loops say; the file says two things.
    """
    relation = relations.frames
    if "padding" not in node.value or not relation.index:
        return
    place = node.value["padding"]
    pairs: tuple[tuple[int, ...], ...] = read_value(tuple[tuple[int, ...], ...], place)
    if any(len(pair) != 2 or min(pair) < 0 or max(pair) >= MOST_SIZE for pair in pairs):
        raise place.error(f"{place.key} must be a list of pairs of frames, such as [[1, 1]]")
    if len(pairs) != 1 or "pr_loop_sizes" not in node.value:
        return
    before, taps, after = sizes
    span = relation.dilation * (taps - 1) + 1
    makes = (before + sum(pairs[0]) - span) // max(relation.stride, 1) + 1
    if makes != after:
        notes.append(
            f"{name}: {before:,} input frames with a padding of {pairs[0][0]:,} and "
            f"{pairs[0][1]:,} make {makes:,} output frames, and its loops {after:,}: counted is "
            "what the loops say"
        )


_PRECISIONS = {"W": 8, "I": 8, "O": 24, "O_final": 8}
"""And what is assumed where the file leaves one out."""


def _bits(node: Node, name: str, notes: list[str]) -> dict[str, int]:
    """Widths of weights, inputs, sums and outputs."""
    place = node.value["operand_precision"]
    given: dict[str, int] = read_value(dict[str, int], place)
    for operand, width in given.items():
        if operand not in _PRECISIONS:
            raise place.error(
                f"{place.key} names {short(operand)}: operands are {', '.join(_PRECISIONS)}"
            )
        if not 0 <= width <= MOST_BITS:
            raise place.error(f"{place.key}.{operand} must be 0 to {MOST_BITS} bits, not {width}")
    missing = {operand: bits for operand, bits in _PRECISIONS.items() if operand not in given}
    if missing:
        told = ", ".join(f"{operand} {bits}" for operand, bits in missing.items())
        notes.append(f"{name}: operand_precision leaves out bits: assumed are {told}")
    sums, done = (given.get(operand, _PRECISIONS[operand]) for operand in ("O", "O_final"))
    if sums < done:
        raise place.error(
            f"{place.key} has sums (O) of {sums} bits, narrower than the outputs made of them "
            f"(O_final), {done}"
        )
    if given.get("W") == 0:
        notes.append(f"{name}: weights of 0 bits are read as 1 bit")
    return {**missing, **given, "W": max(given.get("W", 8), 1)}


def _reads(node: Node, name: str, names: dict[int, str], notes: list[str]) -> tuple[str, ...]:
    """The layer that `operand_source` names; its own number means no layer: the network's input."""
    own = node.value["id"].value if "id" in node.value else len(names)
    source = node.value["operand_source"].value if "operand_source" in node.value else {}
    given = source["I"].plain() if isinstance(source, dict) and "I" in source else None
    weights = source["W"].plain() if isinstance(source, dict) and "W" in source else None
    if type(own) is not int or own in names:
        raise node.error(f"{node.key}.id must be a whole number of its own, not {short(own)}")
    if type(weights) is int and weights in names:
        raise node.value["operand_source"].error(
            f"{node.key}.operand_source: W comes from layer {weights} ({names[weights]}): both "
            "operands are activations, and a layer of ours has weights of its own"
        )
    chain = tuple(list(names.values())[-1:])
    names[own] = name
    if type(given) is int and given == own:
        return chain
    if type(given) is int and given in names:
        return (names[given],)
    if given is None and not chain:
        return chain
    said = (
        "says no source of I"
        if given is None
        else f"names {short(given)}, which is no layer before it"
    )
    notes.append(f"{name}: operand_source {said}: read as a chain")
    return chain


_KEYS = frozenset(
    {
        "id",
        "name",
        "operator_type",
        "equation",
        "dimension_relations",
        "loop_dims",
        "loop_sizes",
        "operand_precision",
        "operand_source",
        "pr_loop_dims",
        "pr_loop_sizes",
        "padding",
    }
)


def _check_keys(node: Node) -> None:
    if not isinstance(node.value, dict):
        raise node.error(f"{node.key} must be a mapping of keys")
    if any(key in node.value for key in _OF_MAPPINGS) and "equation" not in node.value:
        raise node.error(
            f"{node.key} is an entry of a mapping, of ZigZag or of Stream: layers stand in the "
            "file of the workload, the machine in that of the hardware"
        )
    for key in ("operator_type", "equation", "loop_dims", "loop_sizes", "operand_precision"):
        if key not in node.value:
            raise node.error(f"missing key '{node.key}.{key}'")
    operator = node.value["operator_type"].value
    if operator not in _OPERATORS:
        raise node.value["operator_type"].error(
            f"{node.key}: operator {short(operator)} is not supported: {', '.join(_OPERATORS)} are"
        )


_TERM = r"(?:(\d{1,6})\s*\*\s*)?([a-z]\w*)"
_RELATION = re.compile(rf"([a-z]\w*)\s*=\s*{_TERM}\s*\+\s*{_TERM}")


def _relations(node: Node, loops: dict[str, int]) -> _Relations:
    """Of frames and bins; factors of 1 may be left out, an axis of one step and one tap is none."""
    found = node.value.get("dimension_relations")
    lines = read_value(tuple[str, ...], found) if found is not None and found.value else ()
    sizes = {name.lower(): size for name, size in loops.items()}
    relations: list[_Relation] = []
    for line in lines:
        match = _RELATION.fullmatch(line.strip().lower())
        if match is None:
            raise node.error(f"{node.key}: cannot read the relation {line[:80]!r}")
        if match[1] == "iy" and all(sizes.get(match[at], 1) == 1 for at in (3, 5)):
            continue
        if strange := sorted({match[3], match[5]} - sizes.keys()):
            raise node.error(
                f"{node.key}: the relation {line[:80]!r} has {strange[0]}, which is no loop of "
                "loop_dims"
            )
        relations.append(_told_apart(node, match, line))
    # An image of one row is a row of frames, whatever they are called.
    image = len(relations) > 1 or sizes.get("ox", 1) > 1
    bins = [each for each in relations if each.made == _BINS and image]
    frames = [each for each in relations if each not in bins]
    if len(frames) > 1 or len(bins) > 1:
        raise node.error(
            f"{node.key} has {len(relations)} dimension_relations: layers have one of frames, and "
            "one of OY"
        )
    return _Relations(*(each[0] if each else _Relation() for each in (frames, bins)))


def _told_apart(node: Node, match: re.Match[str], line: str) -> _Relation:
    """Which term is the output frame and which the tap: the equation says it, not their order."""
    index, first_factor, first, second_factor, second = match.groups()
    frame, tap = (first, int(first_factor or 1)), (second, int(second_factor or 1))
    found = _indices(node)
    if second in found["O"] and first not in found["O"]:
        frame, tap = tap, frame
    if frame[0] not in found["O"] or tap[0] in found["O"]:
        raise node.error(
            f"{node.key}: of the relation {line[:80]!r} one loop must be an output frame, in O of "
            "the equation, and the other a tap of the kernel, in W"
        )
    return _Relation(index, frame[0], tap[0], frame[1], tap[1])


def _loops(node: Node) -> dict[str, int]:
    """Loop -> its steps."""
    names: tuple[str, ...] = read_value(tuple[str, ...], node.value["loop_dims"])
    sizes: tuple[int, ...] = read_value(tuple[int, ...], node.value["loop_sizes"])
    place = node.value["loop_dims"]
    if len(names) != len(sizes):
        raise node.error(f"{node.key} has {len(names)} loop_dims and {len(sizes)} loop_sizes")
    if len(set(names)) != len(names):
        raise place.error(f"{node.key}: a loop stands in loop_dims twice")
    for name in names:
        if not re.fullmatch(r"[A-Za-z_]\w{0,39}", name):
            raise place.error(
                f"{node.key}: {short(name)} is no name of a loop: a letter, then letters and digits"
            )
    clips = () if node.value["operator_type"].value == "Gemm" else ("B",)
    for name, size in zip(names, sizes, strict=True):
        if not 1 <= size < MOST_SIZE:
            raise node.value["loop_sizes"].error(
                f"{node.key}: the size of loop {name} must be 1 to {MOST_SIZE - 1:,}, not {size:,}"
            )
        if size > 1 and name in clips:
            raise place.error(
                f"{node.key}: loop {name} of {size} is not supported: layers have one clip"
            )
    return dict(zip(names, sizes, strict=True))


def _sizes_by_role(node: Node, loops: dict[str, int], relations: _Relations) -> dict[Role, int]:
    """Product of the loops of each role."""
    operands = _operands(node, relations)
    # A batch of one clip needs no loop; nor does the second axis of an image of one row.
    known = {name.lower() for name in loops} | {"b", "iy"}
    known |= {relations.frames.index, relations.bins.index}
    if strange := sorted(set().union(*operands.values()) - known):
        raise node.value["equation"].error(
            f"{node.key}: the equation has the index {strange[0]}, which is no loop of loop_dims: "
            "add it with its size, or leave the index out"
        )
    found: dict[Role, int] = dict.fromkeys((*_ROLES.values(), "bins", "taps", "bin_taps"), 1)
    for name, size in loops.items():
        if size > 1:  # else it may be missing from the equation
            found[_role(name, node, operands, relations)] *= size
    if prod(found.values()) >= 2**53:
        raise node.error(f"{node.key} makes {prod(found.values()):,} multiplications, 2^53 or more")
    return found


def _role(name: str, node: Node, operands: dict[str, set[str]], relations: _Relations) -> Role:
    place = node.value["loop_dims"]
    index = name.lower()
    if relations.frames.index in operands["I"] and index == relations.frames.tap:
        return "taps"
    if relations.bins.index in operands["I"] and index == relations.bins.tap:
        return "bin_taps"
    within = "".join(letter for letter in "OWI" if index in operands[letter])
    if within == "OWI" and node.value["operator_type"].value == "Gemm":
        raise place.error(
            f"loop {name} stands in O, W and I of a Gemm: both its operands are activations, and a "
            "layer of ours has weights"
        )
    if within not in _ROLES:
        raise place.error(
            f"loop {name} stands in {' and '.join(within) or 'none'} of O, W and I: a loop of a "
            "layer stands in two of them, or in all"
        )
    if index == _BINS and within == "OI" and relations.frames.made != _BINS:
        return "bins"
    return _ROLES[within]


_EQUATION = re.compile(r"o((?:\[\w+\])+)\+=([wi])((?:\[\w+\])+)\*([wi])((?:\[\w+\])+)")


def _operands(node: Node, relations: _Relations) -> dict[str, set[str]]:
    """The indices of O, W and I; an input frame stands for the output frame that reads it."""
    found = _indices(node)
    for relation in (relations.frames, relations.bins):
        if relation.index in found["I"]:
            found["I"].add(relation.made)
    return found


def _indices(node: Node) -> dict[str, set[str]]:
    """The indices of O, W and I, as the equation has them."""
    text = str(node.value["equation"].value)
    match = _EQUATION.fullmatch(re.sub(r"\s", "", text).lower())
    if match is None or match[2] == match[4]:
        raise node.value["equation"].error(
            f"{node.key}: cannot read the equation {text[:80]!r}: it must be O[..]+=W[..]*I[..]"
        )
    return {
        letter.upper(): set(re.findall(r"\w+", indices))
        for letter, indices in (("o", match[1]), (match[2], match[3]), (match[4], match[5]))
    }
