"""ZigZag's workload YAML as layers of ours, of one dimension.

A layer there is an equation over loops with free names. What a loop does is read from where its
index stands, not from its letter:

    O[b][g][k][ox] += W[g][k][c][fx] * I[b][g][c][ix]        ix = stride * ox + dilation * fx

    in O, W and I     groups            O[d1][d0] += I[d1][d2] * W[d2][d0] has, by the same rule,
    in O and W        output channels   D1 output frames, D0 output channels, D2 input channels
    in I and W        input channels
    in O and I        output frames     (of one clip: B is 1)
    a tap             kernel taps       the second index of the relation of an input frame
"""

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from cost_models.reading import read_value
from cost_models.strict_yaml import Node, read_yaml
from cost_models.workload import Layer, LayerKind, WeightSource, Workload
from dse.errors import InvalidDesign, InvalidInput, short

MOST_SIZE = 2**31
"""Of a loop. No layer of one dimension comes near; counts stay exact in our columns."""
MOST_BITS = 64

_OPERATORS = ("Conv", "Conv_downsample", "Gemm")
_SECOND_AXIS = ("OY", "FY")

Role = Literal["groups", "outputs", "inputs", "frames", "taps"]
_ROLES: dict[str, Role] = {"OWI": "groups", "OW": "outputs", "WI": "inputs", "OI": "frames"}


def is_workload(path: Path | str) -> bool:
    """Whether a file of ZigZag lists layers; otherwise it describes hardware.

    Told by its form: a workload is a list, hardware a mapping. Raises `InvalidFile` where the file
    cannot be read.
    """
    return isinstance(read_yaml(path, doubled=[]).value, list)


def import_workload(path: Path | str) -> Workload:
    """Read the layers of ZigZag's workload YAML, of one dimension.

    Which kind a layer is follows from its loops: as many groups as channels is depthwise, taps over
    1 a convolution, one frame in and out a linear layer, all else pointwise. The layers are a
    chain: `operand_source`, which says who reads whom, is not read.

    Raises:
        InvalidFile: the file cannot be read, or has a layer that is none of ours.
    """
    path = Path(path)
    root = read_yaml(path, doubled=[])
    if not isinstance(root.value, list):
        raise root.error("a workload of ZigZag is a list of layers")
    try:
        return Workload(path.stem, tuple(_layer(node) for node in root.value))
    except InvalidDesign:
        raise
    except InvalidInput as error:
        if str(error).endswith(")"):
            raise
        raise root.error(str(error)) from None


def _layer(node: Node) -> Layer:
    _check_keys(node)
    name = str(node.value["name"].value) if "name" in node.value else f"layer{node.key}"
    loops = _loops(node)
    relation = _relation(node, loops)
    sizes = _sizes_by_role(node, loops, relation)
    bits: dict[str, int] = read_value(dict[str, int], node.value["operand_precision"])
    for operand, width in bits.items():
        if not 0 <= width <= MOST_BITS:
            raise node.value["operand_precision"].error(
                f"{node.key}.operand_precision.{operand} must be 0 to {MOST_BITS} bits, not {width}"
            )
    groups, taps, after = sizes["groups"], sizes["taps"], sizes["frames"]
    in_channels, out_channels = groups * sizes["inputs"], groups * sizes["outputs"]
    # Where pr_loop_sizes are left out, input frames are those of "same" padding: the windows of the
    # first and the last output frame reach beyond the ends.
    before = (after - 1) * relation.stride + 1
    if "pr_loop_sizes" in node.value and node.value["pr_loop_sizes"].value:
        before = read_value(tuple[int, ...], node.value["pr_loop_sizes"])[0]
    kind = LayerKind.POINTWISE
    if groups > 1 and groups == in_channels == out_channels:
        kind = LayerKind.DEPTHWISE
    elif taps > 1:
        kind = LayerKind.CONVOLUTION
    elif after == before == 1:
        kind = LayerKind.LINEAR
    try:
        return Layer(
            name=name,
            kind=kind,
            in_channels=in_channels,
            out_channels=out_channels,
            in_frames=before,
            out_frames=after,
            kernel_size=taps,
            stride=relation.stride,
            dilation=relation.dilation,
            groups=groups,
            weights=WeightSource.TRAINED,
            weight_bits=max(bits.get("W", 8), 1),
            input_bits=bits.get("I", 8),
            output_bits=bits.get("O_final", 8),
            accumulator_bits=bits.get("O", 24),
        )
    except InvalidInput as error:
        raise node.error(str(error)) from None


def _check_keys(node: Node) -> None:
    if not isinstance(node.value, dict):
        raise node.error(f"{node.key} must be a mapping of keys")
    for key in ("operator_type", "equation", "loop_dims", "loop_sizes", "operand_precision"):
        if key not in node.value:
            raise node.error(f"missing key '{node.key}.{key}'")
    operator = node.value["operator_type"].value
    if operator not in _OPERATORS:
        raise node.value["operator_type"].error(
            f"{node.key}: operator {short(operator)} is not supported: {', '.join(_OPERATORS)} are"
        )


@dataclass(frozen=True, slots=True)
class _Relation:
    """`ix=2*ox+1*fx`: which input frame an output frame and a tap read."""

    index: str = ""
    frame: str = ""
    tap: str = ""
    stride: int = 1
    dilation: int = 1


_TERM = r"(?:(\d{1,6})\s*\*\s*)?([a-z]\w*)"
_RELATION = re.compile(rf"([a-z]\w*)\s*=\s*{_TERM}\s*\+\s*{_TERM}")


def _relation(node: Node, loops: dict[str, int]) -> _Relation:
    """Of the one input axis; factors of 1 may be left out, `iy` is an axis of one step."""
    found = node.value.get("dimension_relations")
    lines = read_value(tuple[str, ...], found) if found is not None and found.value else ()
    names = {name.lower() for name in loops}
    relations = []
    for line in lines:
        match = _RELATION.fullmatch(line.strip().lower())
        if match is not None and match[1] == "iy":
            continue
        if match is None or not {match[3], match[5]} <= names:
            raise node.error(f"{node.key}: cannot read the relation {line[:80]!r}")
        index, stride, frame, dilation, tap = match.groups()
        relations.append(_Relation(index, frame, tap, int(stride or 1), int(dilation or 1)))
    if len(relations) > 1:
        raise node.error(f"{node.key} has {len(relations)} dimension_relations: layers have one")
    return relations[0] if relations else _Relation()


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
        if size > 1 and name in (*_SECOND_AXIS, *clips):
            raise place.error(
                f"{node.key}: loop {name} of {size} is not supported: layers have one dimension, "
                "OX, and one clip"
            )
    return dict(zip(names, sizes, strict=True))


def _sizes_by_role(node: Node, loops: dict[str, int], relation: _Relation) -> dict[Role, int]:
    """Product of the loops of each role."""
    operands = _operands(node, relation)
    found: dict[Role, int] = dict.fromkeys((*_ROLES.values(), "taps"), 1)
    for name, size in loops.items():
        if size > 1:  # else it may be missing from the equation
            found[_role(name, node, operands, relation)] *= size
    if prod(found.values()) >= 2**53:
        raise node.error(f"{node.key} makes {prod(found.values()):,} multiplications, 2^53 or more")
    return found


def _role(name: str, node: Node, operands: dict[str, set[str]], relation: _Relation) -> Role:
    place = node.value["loop_dims"]
    index = name.lower()
    if relation.index in operands["I"] and index == relation.tap:
        return "taps"
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
    return _ROLES[within]


_EQUATION = re.compile(r"o((?:\[\w+\])+)\+=([wi])((?:\[\w+\])+)\*([wi])((?:\[\w+\])+)")


def _operands(node: Node, relation: _Relation) -> dict[str, set[str]]:
    """The indices of O, W and I; an input frame stands for the output frame that reads it."""
    text = str(node.value["equation"].value)
    match = _EQUATION.fullmatch(re.sub(r"\s", "", text).lower())
    if match is None or match[2] == match[4]:
        raise node.value["equation"].error(
            f"{node.key}: cannot read the equation {text[:80]!r}: it must be O[..]+=W[..]*I[..]"
        )
    found = {
        letter.upper(): set(re.findall(r"\w+", indices))
        for letter, indices in (("o", match[1]), (match[2], match[3]), (match[4], match[5]))
    }
    if relation.index in found["I"]:
        found["I"].add(relation.frame)
    return found
