"""A layer under the mapping that the model chose: its loops, and what of each operand is inside.

The passes of a layer, innermost loop first, as `Mapping.order` lists them, the groups outside. Each
loop steps one of N, R, T or G (groups); a loop that was split stands twice, and its outer part
steps as many iterations as the inner one has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cost_models.tile_search import Mapping
from cost_models.workload import Layer, LayerKind
from dse.chip.machine import ChipMachine
from dse.errors import InvalidDesign

MODES = {("N", "T"), ("T", "T"), ("N", "R"), ("T", "R"), ("R", "R")}
"""What rows and columns of the MAC units may unroll in the circuit, and of a square array columns
and rows; trees always sum their columns."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A loop over passes."""

    axis: str
    """N, R, T or G; K for the taps of a dense convolution, whose R then steps channels."""
    count: int
    unit: int
    """Iterations that a step of it advances: 1, or those of the inner part of a split loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedLayer:
    """A convolution of the workload with its mapping, as the circuit sees it."""

    layer: Layer
    mapping: Mapping
    chip: ChipMachine
    passes: tuple[Pass, ...]

    @property
    def outputs(self) -> int:
        """Output channels of a pass."""
        return self.mapping.unrolled[0]

    @property
    def inputs(self) -> int:
        """Inputs of a pass that are summed."""
        return self.mapping.unrolled[1]

    @property
    def frames(self) -> int:
        """Frames of a pass."""
        return self.mapping.unrolled[2]

    @property
    def on_trees(self) -> bool:
        """Whether the trees execute it."""
        return self.chip.trees is not None and self.mapping.array == self.chip.trees.name

    @property
    def columns(self) -> int:
        """Columns of its array."""
        return self.chip.array(self.mapping.array).columns

    @property
    def input_axes(self) -> str:
        """Loops that change the operand of inputs; all of them where nothing holds it."""
        array = self.chip.array(self.mapping.array)
        held = array.inputs is not None or "inputs" in array.latched
        return "RKTG" if held else "NRKTG"

    @property
    def rows_axis(self) -> str:
        """N, T or R: what the rows of its array are in the circuit."""
        if self.on_trees:
            return "T" if self.frames > 1 or self.mapping.rows == "T" else "N"
        return circuit_axes(self.mapping, self.chip)[0]

    @property
    def columns_axis(self) -> str:
        """R or T: what the columns of its array are in the circuit; those of R are added up."""
        return "R" if self.on_trees else circuit_axes(self.mapping, self.chip)[1]

    @property
    def channel_step(self) -> int:
        """Input channels that an iteration of R advances."""
        return self.inputs

    @property
    def padding(self) -> int:
        """Frames of zeros before the first."""
        return self.layer.dilation * (self.layer.kernel_size - 1) // 2

    def inside(self, fits: Callable[[tuple[Pass, ...]], bool]) -> int:
        """How many of the passes' loops, innermost first, are inside the outermost tile that fits.

        Args:
            fits: whether a tile with these loops inside does.
        """
        count = 0
        while count < len(self.passes) and fits(self.passes[: count + 1]):
            count += 1
        return count


def mapped_layer(layer: Layer, mapping: Mapping, chip: ChipMachine) -> MappedLayer:
    """The loops of a layer's mapping.

    Raises:
        InvalidDesign: the circuit cannot run it.
    """
    _check_layer(layer, mapping, chip)
    depthwise = layer.kind is LayerKind.DEPTHWISE
    totals = {
        "N": layer.out_channels // layer.groups,
        "R": layer.in_channels // layer.groups * layer.kernel_size,
        "T": layer.out_frames,
    }
    unrolled = dict(zip("NRT", mapping.unrolled, strict=True))
    passes: list[Pass] = []
    seen = dict.fromkeys("NRT", 1)
    for axis, count in mapping.order:
        passes.append(Pass(axis, count, seen[axis]))
        seen[axis] *= count
    for axis, iterations in seen.items():
        if iterations != -(-totals[axis] // unrolled[axis]):
            raise InvalidDesign(
                f"{layer.name} cannot run on the exported chip: its mapping ({mapping}) splits "
                f"{axis} into parts that do not divide it; use another number of frames or channels"
            )
    if layer.kernel_size > 1 and not depthwise:
        passes = _taps_apart(layer, mapping, passes)
    if layer.groups > 1:
        passes.append(Pass("G", layer.groups, 1))
    return MappedLayer(layer=layer, mapping=mapping, chip=chip, passes=tuple(passes))


def _taps_apart(layer: Layer, mapping: Mapping, passes: list[Pass]) -> list[Pass]:
    """R as two loops, taps inside of channels: it runs over the taps of a channel first."""
    found = []
    for each in passes:
        if each.axis != "R":
            found.append(each)
            continue
        if each.count != layer.in_channels * layer.kernel_size:
            _refuse(layer, f"its mapping ({mapping}) splits the taps of a dense convolution")
        found += [Pass("K", layer.kernel_size, 1), Pass("R", layer.in_channels, 1)]
    return found


def _check_layer(layer: Layer, mapping: Mapping, chip: ChipMachine) -> None:
    outputs, inputs, _ = mapping.unrolled
    one_each = layer.groups == layer.in_channels == layer.out_channels
    if layer.groups > 1 and not (layer.kind is LayerKind.DEPTHWISE and one_each):
        _refuse(layer, f"it has {layer.groups} groups; only depthwise layers may have more than 1")
    across = layer.groups > 1 and (outputs > 1 or any(axis == "N" for axis, _ in mapping.order))
    if across:
        _refuse(layer, f"its mapping ({mapping}) has channels of a depthwise layer side by side")
    if layer.stride != 1:
        _refuse(layer, f"its stride is {layer.stride}, and the input fetch takes 1")
    if layer.kernel_size > 1 and inputs > 1:
        _refuse(layer, f"its mapping ({mapping}) takes {inputs} taps at once")
    trees = chip.trees is not None and mapping.array == chip.trees.name
    if not trees and circuit_axes(mapping, chip) not in MODES:
        _refuse(
            layer, f"its mapping ({mapping}) unrolls {mapping.rows} by {mapping.columns}, not built"
        )


def circuit_axes(mapping: Mapping, chip: ChipMachine) -> tuple[str, str]:
    """What rows and columns of the MAC units are: the model's, or in a square array exchanged."""
    axes = (mapping.rows, mapping.columns)
    if axes not in MODES and chip.macs.rows == chip.macs.columns:
        return axes[1], axes[0]
    return axes


def _refuse(layer: Layer, why: str) -> None:
    raise InvalidDesign(
        f"{layer.name} cannot run on the exported chip: {why}; change the layer or the machine"
    )
