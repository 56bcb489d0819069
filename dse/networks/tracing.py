"""Any PyTorch module of supported layers as a workload: what a machine executes for one inference.

    module, example --torch.export--> graph of operators --this--> Workload --> dse.estimate, ...

`torch.export` runs the module once on tensors without numbers and writes down which operators it
calls. They are read in that order, each by the function that `_OPERATORS` has for it:

    tracing_graph    the graph's tensors, and what may be asked of them
    tracing_layers   operators that become one layer: convolutions, norms, sums, pools, ...
    tracing_shapes   operators that become none: they move, cut or join numbers where they lie

Names are those of the modules (`tcn.0.conv`), so that a table of costs reads like the network.

What cannot be a workload is refused with the module's name and the line of its source: an operator
that is not there, sizes or branches that depend on the input's numbers, and a forward that does
another thing at each call. The last is found out by running the example twice, and by whether
random numbers were drawn meanwhile: what is priced must be what runs.
"""

import contextlib
import io
import itertools
import logging
import operator
import random
import warnings
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cost_models.workload import Workload
from dse.errors import InvalidDesign, InvalidInput, short
from dse.networks import tracing_layers, tracing_shapes
from dse.networks.layer_graph import Value
from dse.networks.tracing_graph import TracedGraph

MAX_NODES = 20_000
_LONGEST = 160
"""Letters of a message of PyTorch's that are repeated."""

_NEAREST = {
    "lstm": "Conv1d",
    "gru": "Conv1d",
    "rnn_tanh": "Conv1d",
    "conv_transpose1d": "Conv1d",
    "conv_transpose2d": "Conv1d",
    "scaled_dot_product_attention": "Conv1d",
    "matmul": "Linear, whose matrix is a parameter",
    "bmm": "Linear, whose matrix is a parameter",
    "einsum": "Linear, whose matrix is a parameter",
    "layer_norm": "BatchNorm1d",
    "group_norm": "BatchNorm1d",
    "instance_norm": "BatchNorm1d",
    "rms_norm": "BatchNorm1d",
    "sum": "mean over all frames",
    "stack": "cat along the channels",
    "embedding": "Conv1d",
    "upsample_nearest1d": "a stride that is smaller",
}


def trace(
    module: nn.Module,
    example: torch.Tensor | tuple[torch.Tensor, ...],
    *,
    name: str = "",
    notes: list[str] | None = None,
) -> Workload:
    """The layers that a module executes for one clip, in order of execution.

    The module is read as it infers, in evaluation mode, and left in the mode that it was in. A
    `TernaryConv1d` becomes a generated matrix with its generator and its zeros, as in a design of
    ours; all other weights are priced as 8-bit integers, whatever their values.

    Args:
        module: a network of one input and one output.
        example: what it reads: (clips, channels, frames), as its first layer wants it. One clip is
            counted, of as many frames as the example has.
        name: of the workload; the module's class where empty.
        notes: gets a sentence for each thing that is priced otherwise than it stands there.

    Raises:
        InvalidDesign: the module does not take the example, has an operator that is not supported,
            depends on the numbers of its input, or changes between calls. The sentence names the
            module's place.
    """
    example = _check(module, example)
    modes = {each: each.training for each in module.modules()}
    module.eval()
    try:
        states = _random_states()
        _check_calls(module, _run(module, example), _run(module, example))
        random_numbers = states != _random_states()
        graph = TracedGraph(module, _export(module, example), example)
        _read(graph)
        if random_numbers:
            raise _changes(module, "it draws random numbers")
    finally:
        for each, training in modes.items():
            each.training = training
    try:
        workload = graph.workload(name or type(module).__name__)
    except InvalidInput as error:
        raise InvalidDesign(str(error)) from None
    if notes is not None:
        notes += graph.sentences()
    return workload


def _check(module: Any, example: Any) -> torch.Tensor:
    """The example as one tensor, of a module that can be traced."""
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise InvalidDesign(
            f"trace reads a torch.nn.Module as it was written, not {short(type(module).__name__)}"
        )
    if isinstance(example, tuple | list):
        if len(example) != 1:
            raise InvalidDesign(
                f"the example has {len(example)} tensors, and a workload has one input: give a "
                "module that makes the others itself"
            )
        example = example[0]
    if not isinstance(example, torch.Tensor):
        raise InvalidDesign(
            "the example must be a tensor of clips, channels and frames, such as "
            f"torch.zeros(1, 64, 98), not {short(type(example).__name__)}"
        )
    if not example.is_floating_point():
        raise InvalidDesign(f"the example must be floats, as features are, not {example.dtype}")
    if not 2 <= example.dim() <= 4 or example.numel() == 0:
        raise InvalidDesign(
            "the example must be clips, channels and frames, such as torch.zeros(1, 64, 98): it "
            f"has the shape {list(example.shape)}"
        )
    return example


# ---- running ----


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What a run calls: operators and the shapes that they make, in order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        shape = list(made.shape) if isinstance(made, torch.Tensor) else ""
        self.seen.append(f"{func._schema.name.rpartition('::')[2]} {shape}".strip())
        return made


def _run(module: nn.Module, example: torch.Tensor) -> list[str]:
    """Run the module on the example, so that what it says of a wrong shape has a place.

    Returns:
        The operators that it called.

    Raises:
        InvalidDesign: it fails, in which of its modules and why; or it returns no single tensor.
    """
    names = {each: name for name, each in module.named_modules()}
    entered: list[nn.Module] = []
    enter = nn.modules.module.register_module_forward_pre_hook(
        lambda each, _: entered.append(each) if each in names else None
    )
    leave = nn.modules.module.register_module_forward_hook(
        lambda each, *_: entered.remove(each) if each in entered else None
    )
    calls = _Calls()
    try:
        with torch.no_grad(), warnings.catch_warnings(), calls:
            warnings.simplefilter("ignore")
            made = module(example)
    except Exception as error:
        where = names.get(entered[-1], "") if entered else ""
        place = f"in '{where}' ({type(entered[-1]).__name__}): " if where else ""
        raise InvalidDesign(
            f"{type(module).__name__} does not take an example of the shape "
            f"{list(example.shape)}: {place}{_first_line(error)}"
        ) from None
    finally:
        enter.remove()
        leave.remove()
    if not isinstance(made, torch.Tensor):
        count = f"{len(made)} values" if isinstance(made, tuple | list | dict) else "no tensor"
        raise InvalidDesign(
            f"{type(module).__name__} returns {count}, and a workload has one output: return the "
            "one that is used when it infers"
        )
    return calls.seen


def _check_calls(module: nn.Module, first: list[str], second: list[str]) -> None:
    """Raise `InvalidDesign` unless two runs called the same operators."""
    if first == second:
        return
    pairs = itertools.zip_longest(first, second, fillvalue="nothing more")
    one, two = next(pair for pair in pairs if pair[0] != pair[1])
    raise _changes(module, f"one calls {one} where the next calls {two}")


def _first_line(error: Exception) -> str:
    line = next((each.strip() for each in str(error).splitlines() if each.strip()), "")
    said = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _export(module: nn.Module, example: torch.Tensor) -> "torch.export.ExportedProgram":
    """The module's operators as a graph.

    Raises:
        InvalidDesign: they cannot be known without the numbers of the input, or change the module.
    """
    from torch.export import export

    try:
        with _silent(), torch.no_grad():
            program = export(module, (example,), strict=False)
    except Exception as error:
        kind = type(error).__name__
        where = _user_line(str(error))
        if "DataDependent" in kind or "data-dependent" in str(error):
            raise InvalidDesign(
                f"{type(module).__name__} has sizes or branches that depend on the numbers of its "
                f"input{where}: a workload is the same for every clip"
            ) from None
        raise InvalidDesign(
            f"{type(module).__name__} cannot be traced by torch.export: {_first_line(error)}{where}"
        ) from None
    nodes = program.graph.nodes
    if len(nodes) > MAX_NODES:
        raise InvalidDesign(f"{type(module).__name__} calls more than {MAX_NODES:,} operators")
    buffers = program.graph_signature.inputs_to_buffers
    for node in nodes:
        schema = getattr(node.target, "_schema", None)
        written = node.args[0] if schema is not None and schema.is_mutable and node.args else None
        if isinstance(written, fx.Node) and written.name in buffers:
            raise _changes(module, f"it writes its buffer {buffers[written.name]}")
    return program


def _changes(module: nn.Module, why: str) -> InvalidDesign:
    return InvalidDesign(
        f"{type(module).__name__} changes between calls in evaluation mode: {why}; what is priced "
        "must be what runs at every call"
    )


def _random_states() -> tuple[Any, ...]:
    state = np.random.get_state()
    numbers = (state[0], state[1].tobytes(), *state[2:])  # type: ignore[index]
    return random.getstate(), numbers, torch.get_rng_state().numpy().tobytes()


def _user_line(message: str) -> str:
    """` (net.py:19)` of what PyTorch calls the cause; empty where that is its own code."""
    _, found, cause = message.partition("Caused by: (")
    place = cause.partition(" in ")[0]
    if not found or ":" not in place or "_export/" in place or "torch/" in place:
        return ""
    return f" ({short(place.rpartition('/')[2])})"


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without what PyTorch prints and warns of while it traces: errors carry what matters."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


# ---- reading ----


def _read(graph: TracedGraph) -> None:
    """All layers, in the order of the operators."""
    for node in graph.nodes:
        graph.shape(node)
    for node in graph.nodes:
        if node.op == "call_function":
            graph.values[node] = _read_node(graph, node)
    if unused := graph.unused():
        graph.notes.append(
            f"{unused:,} trained parameters have no part in the output: they are not counted"
        )


def _read_node(graph: TracedGraph, node: fx.Node) -> Any:
    if node.target is operator.getitem:
        return tracing_shapes.take(graph, node)
    name = graph.operator(node)
    if name not in _OPERATORS:
        if not any(
            isinstance(graph.values.get(each), Value | list) for each in node.all_input_nodes
        ):
            return None  # of constants or weights: whoever reads it says what is wrong with that
        near = _NEAREST.get(name.rstrip("_"))
        listed = f"the nearest supported is {near}" if near else f"supported are {_supported()}"
        raise graph.error(node, f"is not supported: {listed}")
    try:
        return _OPERATORS[name](graph, node)
    except InvalidDesign:
        raise
    except InvalidInput as error:
        raise graph.error(node, f"cannot be read: {error}") from None


def _supported() -> str:
    return (
        "convolutions, Linear, BatchNorm1d, activations, sums, means and maxima over frames, "
        "softmax and argmax over channels, and what moves, cuts or joins channels in their order"
    )


_ACTIVATIONS = (
    "relu",
    "relu6",
    "hardtanh",
    "clamp",
    "clamp_min",
    "clamp_max",
    "clip",
    "threshold",
    "prelu",
    "leaky_relu",
    "rrelu",
    "elu",
    "celu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "sigmoid",
    "log_sigmoid",
    "hardsigmoid",
    "hardswish",
    "tanh",
)
_Read = Callable[[TracedGraph, fx.Node], Any]
_OPERATORS: MappingProxyType[str, _Read] = MappingProxyType(
    {
        "conv1d": tracing_layers.convolution,
        "conv2d": tracing_layers.convolution,
        "linear": tracing_layers.linear,
        "batch_norm": tracing_layers.batch_norm,
        **{name + end: tracing_layers.activation for name in _ACTIVATIONS for end in ("", "_")},
        "add": tracing_layers.add,
        "add_": tracing_layers.add,
        "sub": tracing_layers.add,
        "sub_": tracing_layers.add,
        "mul": tracing_layers.scale,
        "mul_": tracing_layers.scale,
        "div": tracing_layers.scale,
        "div_": tracing_layers.scale,
        "neg": tracing_layers.scale,
        "avg_pool1d": tracing_layers.pool,
        "avg_pool2d": tracing_layers.pool,
        "max_pool1d": tracing_layers.pool,
        "max_pool2d": tracing_layers.pool,
        "adaptive_avg_pool1d": tracing_layers.adaptive_pool,
        "adaptive_avg_pool2d": tracing_layers.adaptive_pool,
        "adaptive_max_pool1d": tracing_layers.adaptive_pool,
        "adaptive_max_pool2d": tracing_layers.adaptive_pool,
        "mean": tracing_layers.reduce,
        "amax": tracing_layers.reduce,
        "max": tracing_layers.reduce,
        "softmax": tracing_layers.of_channels,
        "log_softmax": tracing_layers.of_channels,
        "argmax": tracing_layers.of_channels,
        "_assert_tensor_metadata": lambda graph, node: None,  # of `to`: that nothing changed
        "pad": tracing_shapes.pad,
        "constant_pad_nd": tracing_shapes.pad,
        **dict.fromkeys(
            (
                "alias",
                "clone",
                "contiguous",
                "detach",
                "detach_",
                "lift_fresh_copy",
                "to",
                "type_as",
                "_to_copy",
                "positive",
            ),
            tracing_shapes.rename,
        ),
        **dict.fromkeys(
            ("dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
            tracing_shapes.dropout,
        ),
        **dict.fromkeys(
            ("flatten", "reshape", "view", "unflatten", "view_as", "reshape_as", "_unsafe_view"),
            tracing_shapes.reshape,
        ),
        "squeeze": tracing_shapes.squeeze,
        "unsqueeze": tracing_shapes.unsqueeze,
        "permute": tracing_shapes.permute,
        "transpose": tracing_shapes.permute,
        "movedim": tracing_shapes.permute,
        "t": tracing_shapes.permute,
        "chunk": tracing_shapes.split,
        "split": tracing_shapes.split,
        "split_with_sizes": tracing_shapes.split,
        "tensor_split": tracing_shapes.split,
        "narrow": tracing_shapes.narrow,
        "slice": tracing_shapes.narrow,
        "select": tracing_shapes.narrow,
        "cat": tracing_shapes.join,
        "concat": tracing_shapes.join,
        "concatenate": tracing_shapes.join,
    }
)
