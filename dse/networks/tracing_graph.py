"""A graph of `torch.export` while it is read: which tensors are activations, which are weights.

What the readers of operators (`tracing_layers`, `tracing_shapes`) ask. All sizes are known, as the
graph was traced with an example; only what the axes of a shape mean is found out here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import fx, nn

from cost_models.workload import INPUT, LayerKind
from dse.errors import InvalidDesign, InvalidInput
from dse.networks.layer_graph import BINS, CHANNELS, CLIP, FRAMES, ONE, LayerGraph, Value

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_TORCH = Path(torch.__file__).parent.as_posix()
_LINE = re.compile(r'File "(?P<path>.+)", line (?P<line>\d+), in ')


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter or buffer of the module, perhaps with axes of size 1 put in."""

    target: str
    """Its name in the module: `tcn.0.conv.weight`."""
    shape: tuple[int, ...]
    trained: bool
    """A parameter; buffers are constants."""


class TracedGraph(LayerGraph):
    """The operators of a module, and the layers that have been read of them so far."""

    def __init__(self, module: nn.Module, program: "ExportedProgram", example: torch.Tensor):
        super().__init__()
        self.module = module
        graph = program.graph_module.graph
        graph.eliminate_dead_code()
        self.nodes: tuple[fx.Node, ...] = tuple(graph.nodes)
        self.values: dict[fx.Node, Any] = {}
        self.told: dict[str, list[str]] = {}
        self.read_targets: dict[str, str] = {}
        """Parameters by the layer that reads them."""
        self.clips = example.shape[0]
        if self.clips > 1:
            self.notes.append(f"the example has {self.clips:,} clips: one clip is counted")
        signature = program.graph_signature
        targets = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        targets |= signature.inputs_to_lifted_tensor_constants
        for node in self.nodes:
            if node.op == "placeholder" and node.name in targets:
                shape = tuple(node.meta["val"].shape)
                trained = node.name in signature.inputs_to_parameters
                self.values[node] = Weight(targets[node.name], shape, trained)
            elif node.op == "placeholder":
                self.values[node] = self._input(tuple(example.shape))

    def _input(self, shape: Sequence[int]) -> Value:
        """The network's input of one clip: samples, features of frames, or a picture."""
        if len(shape) == 2:
            return Value(1, shape[1], INPUT, (CLIP, FRAMES))
        if len(shape) == 3:
            return Value(shape[1], shape[2], INPUT, (CLIP, CHANNELS, FRAMES))
        if 1 in shape[2:]:
            place = 2 if shape[2] > 1 else 3
            space = (FRAMES, ONE) if place == 2 else (ONE, FRAMES)
            return Value(shape[1], shape[place], INPUT, (CLIP, CHANNELS, *space))
        return self._picture(shape)

    def _picture(self, shape: Sequence[int]) -> Value:
        """An input of two dimensions: the longer is time, or the first, the other frequency.

        No example says which is which, so it is told. It matters on a stream alone, which goes on
        along the frames.
        """
        first = shape[2] >= shape[3]
        frames, bins = max(shape[2:]), min(shape[2:])
        self.notes.append(
            f"the input has two dimensions of space: {frames}, the {'first' if first else 'second'}"
            f", are read as frames, and {bins} as bins of each"
        )
        axes = (CLIP, CHANNELS, FRAMES, BINS) if first else (CLIP, CHANNELS, BINS, FRAMES)
        return Value(shape[1], frames, INPUT, axes, bins=bins)

    # ---- what is said of a node ----

    def operator(self, node: fx.Node) -> str:
        """`conv1d` of `aten.conv1d.padding`."""
        schema = getattr(node.target, "_schema", None)
        return str(node.target if schema is None else schema.name.rpartition("::")[2])

    def path(self, node: fx.Node) -> str:
        """Of the innermost module that calls the operator; empty in the network's own forward."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        return str(stack[-1][0]) if stack else ""

    def error(self, node: fx.Node, problem: str) -> InvalidDesign:
        """`'tcn.0.norm' (layer_norm, net.py:12) <problem>`."""
        where = self.path(node) or type(self.module).__name__
        line = _source_line(node.meta.get("stack_trace") or "")
        return InvalidDesign(f"'{where}' ({self.operator(node)}{line}) {problem}")

    def name(self, node: fx.Node) -> str:
        """Of the node's layer: the module's, if it is one of PyTorch's, or the operator in it."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path = self.path(node)
        known = bool(stack) and str(stack[-1][1]).startswith("torch.nn.modules.")
        operator = self.operator(node).rstrip("_")
        if path and known and not str(stack[-1][1]).endswith(".Sequential"):
            return path
        return f"{path}.{operator}" if path else operator

    def tell(self, what: str, node: fx.Node) -> None:
        """Note that something is priced otherwise than it stands there, once for all such nodes."""
        self.told.setdefault(what, []).append(self.name(node))

    def sentences(self) -> list[str]:
        """All notes: `silu is priced as a ReLU, ...: blocks.0.act, blocks.1.act and 4 more`."""
        found = list(self.notes)
        for what, names in self.told.items():
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            found.append(f"{what}: {', '.join(names[:3])}{more}")
        return found

    # ---- what a node reads ----

    def argument(self, node: fx.Node, name: str) -> Any:
        """An argument by its name in the operator's schema: as given, or the default."""
        for place, each in enumerate(cast(Any, node.target)._schema.arguments):
            if each.name == name:
                if place < len(node.args):
                    return node.args[place]
                if name in node.kwargs:
                    return node.kwargs[name]
                return each.default_value if each.has_default_value() else None
        return None

    def given(self, node: fx.Node, index: int = 0) -> Any:
        """What is known of an argument that is a tensor; None of a number."""
        argument = node.args[index] if index < len(node.args) else None
        return self.values.get(argument) if isinstance(argument, fx.Node) else None

    def value(self, node: fx.Node, argument: Any = None, *, padded: bool = False) -> Value:
        """A tensor of activations that a node reads, its first argument if no other is given.

        Raises:
            InvalidDesign: it is none; or it has padding, which this operator would have to read.
        """
        given = node.args[0] if argument is None else argument
        found = self.values.get(given) if isinstance(given, fx.Node) else None
        if not isinstance(found, Value):
            raise self.error(node, "reads what is no tensor of activations")
        if (found.padding or found.bin_padding) and not padded:
            raise self.error(
                node, "reads padded frames: only what pads for a convolution or pool is free"
            )
        return found

    def weight(self, node: fx.Node, argument: str) -> Weight | None:
        """A parameter or buffer that a node reads; None where it has none.

        Raises:
            InvalidDesign: it is computed in each call, or another layer has it, too.
        """
        given = self.argument(node, argument)
        if given is None:
            return None
        found = self.values.get(given)
        if not isinstance(found, Weight):
            raise self.error(
                node, f"has a {argument} that is computed in each call: keep it as a parameter"
            )
        reader = self.read_targets.setdefault(found.target, node.name)
        if found.trained and reader != node.name:
            raise self.error(
                node,
                f"shares {found.target} with another layer: weights that are stored once and run "
                "twice are not priced",
            )
        return found

    def unused(self) -> int:
        """Numbers of the module's parameters that nothing has read."""
        return sum(
            each.numel()
            for name, each in self.module.named_parameters()
            if name not in self.read_targets
        )

    def owner(self, weight: Weight) -> nn.Module:
        """The module that a weight belongs to."""
        return self.module.get_submodule(weight.target.rpartition(".")[0])

    def alone(self, node: fx.Node) -> bool:
        """Whether nobody else reads what a node reads first: only then can the two be merged."""
        read = node.args[0]
        return isinstance(read, fx.Node) and len(read.users) == 1

    def shape(self, node: fx.Node) -> list[int]:
        """Of what a node makes, the first of several; empty where that is no tensor.

        Raises:
            InvalidDesign: it depends on the numbers of the input.
        """
        made = node.meta.get("val")
        made = made[0] if isinstance(made, tuple | list) and made else made
        if not isinstance(made, torch.Tensor):
            return []
        sizes = list(made.shape)
        if not all(type(size) is int for size in sizes):
            raise self.error(
                node, f"makes a dynamic shape, {sizes}: a workload has the same one for every clip"
            )
        return sizes

    # ---- what a node makes ----

    def add(self, node: fx.Node, kind: LayerKind, like: Value, **other: Any) -> Value:
        """Append a layer that makes what a node makes.

        Args:
            node: names the layer, unless `name` does.
            kind: of the layer.
            like: what it reads.
            other: fields of the layer that differ from that, and `axes` of what comes out.
        """
        name = other.pop("name", "") or self.name(node)
        try:
            made = self.append(name, kind, like, **other)
        except InvalidInput as error:
            raise self.error(node, f"cannot be read: {error}") from None
        if self.operator(node).endswith("_") and isinstance(node.args[0], fx.Node):
            self.values[node.args[0]] = made  # in place: who reads that later, reads this
        return made

    def turned(self, value: Value, channels_at: int) -> Value:
        """The network's input with channels where a layer wants them.

        An example says sizes alone. It is taken as (clips, channels, frames) until the first layer
        tells otherwise: features behind frames, or a picture of one channel.

        Args:
            value: any tensor.
            channels_at: the axis that the layer has channels on.
        """
        if value.layer == INPUT and not self.layers and value.axes[1:] == (ONE, CHANNELS, FRAMES):
            return self._picture((self.clips, 1, value.channels, value.frames))
        known = (CLIP, CHANNELS, FRAMES), (CLIP, FRAMES, CHANNELS)
        if value.layer != INPUT or self.layers or value.axes not in known:
            return value
        if value.axes[channels_at] == CHANNELS:
            return value
        axes = known[value.axes == known[0]]
        return Value(value.frames, value.channels, INPUT, axes)


def _source_line(stack: str) -> str:
    """`, net.py:12` of the innermost line that is not PyTorch's."""
    found = ""
    for match in _LINE.finditer(stack):
        path = match["path"]
        if not Path(path).as_posix().startswith(_TORCH):
            found = f", {Path(path).name}:{match['line']}"
    return found
