"""Modules of PyTorch as workloads: against hooks, printed figures, our own lowering, by hand."""

import dataclasses
import functools
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import dse
from cost_models.streaming import stream
from cost_models.workload import INPUT, Layer, LayerKind, Workload
from dse.design.point import DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign
from dse.networks.lowering import lower
from dse.networks.network import build_network
from dse.networks.tracing import trace
from tests.dse.networks.others import DSCNN, M5, BCResNet1, Separator, TCResNet8, count


class Does(nn.Module):
    """A module whose forward is a function of one's choice; `parts` are its modules by name."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def layers_of(module: nn.Module, *shape: int, notes: list[str] | None = None) -> tuple[Layer, ...]:
    return trace(module, torch.zeros(*(shape or (1, 8, 20))), notes=notes).layers


def refusal(module: nn.Module, *shape: int) -> str:
    with pytest.raises(InvalidDesign) as caught:
        layers_of(module, *shape)
    return str(caught.value)


# ---- whole networks ----

EXAMPLES = {TCResNet8: (40, 98), DSCNN: (1, 49, 10), BCResNet1: (1, 40, 51)}


@functools.cache
def traced(kind: type[nn.Module]) -> tuple[nn.Module, Tensor, Workload, tuple[str, ...]]:
    """A network, its example, its layers and notes: traced once, as PyTorch takes its time."""
    network, example, notes = kind(), torch.zeros(1, *EXAMPLES[kind]), list[str]()
    return network, example, dse.trace(network, example, notes=notes), tuple(notes)


def test_tc_resnet8_has_the_counts_of_hooks_and_of_its_paper() -> None:
    network, example, workload, _ = traced(TCResNet8)
    parameters, macs = count(network, example)
    assert (workload.trained_parameters, workload.macs) == (parameters, macs)
    # Choi and others, table 2: 66 K parameters and 3.0 M FLOPs, two a MAC. They print two figures,
    # and have 98 to 101 frames: 2 %.
    assert workload.trained_parameters == pytest.approx(66_000, rel=0.02)
    assert 2 * workload.macs == pytest.approx(3.0e6, rel=0.02)


def test_m5_has_the_counts_of_hooks_and_by_hand() -> None:
    network, example = M5(), torch.zeros(1, 8_000)
    workload = trace(network, example)
    assert (workload.trained_parameters, workload.macs) == count(network, example)
    # 0.56 M: 128 (80 + 128 * 3) + 256 * 128 * 3 + 512 * 256 * 3 + 10 * 513, and three numbers for
    # each of 1,024 channels: a bias, a gain, an offset.
    assert workload.trained_parameters == 550_912 + 5_130 + 3 * 1_024
    # Dai and others print 0.5 M for it, cut after a figure.
    assert int(workload.trained_parameters / 1e5) == 5
    pools = [layer for layer in workload.layers if layer.kind is LayerKind.MAX_POOL]
    # (8,000 - 80) // 4 + 1 = 1,981 frames become 495; each maximum is found among four.
    assert (pools[0].in_frames, pools[0].out_frames) == (1_981, 495)
    assert pools[0].comparisons == 128 * 495 * 4
    assert workload.layers[-1].kind is LayerKind.SOFTMAX


def test_causal_blocks_have_the_counts_of_hooks() -> None:
    network, example = Separator(), torch.zeros(1, 16, 50)
    notes: list[str] = []
    workload = trace(network, example, notes=notes)
    assert (workload.trained_parameters, workload.macs) == count(network, example)
    layers = {layer.name: layer for layer in workload.layers}
    deep = layers["blocks.1.depthwise"]
    # Four frames are put in before: the layer reads 50, makes 50, and sees 5 with its dilation.
    assert (deep.in_frames, deep.out_frames, deep.dilation) == (50, 50, 2)
    assert [layers[f"blocks.0.{name}"].slopes for name in ("enter_slope", "slope")] == [1, 32]
    assert layers["blocks.0.skip"].reads == ("blocks.0.norm",)
    assert layers["add"].reads == ("blocks.0.skip", "blocks.1.skip")
    assert notes == ["sigmoid is priced as a ReLU, without a table of its values: sigmoid"]


def test_ds_cnn_s_has_the_counts_of_hooks_and_of_mlperf_tiny() -> None:
    network, example, workload, _ = traced(DSCNN)
    assert (workload.trained_parameters, workload.macs) == count(network, example)
    # MLPerf Tiny prints 24.9 K, with the two statistics of each of nine norms of 64 channels, and
    # 2.66 M MACs: 64 * 40 * 125 + 4 (64 * 9 + 64 * 64) 125 + 64 * 12.
    assert workload.trained_parameters + 9 * 2 * 64 == 24_908
    assert workload.macs == 320_000 + 2_336_000 + 768
    first, pool = workload.layers[0], workload.layers[-2]
    assert (first.in_frames, first.in_bins, first.kernel_size, first.kernel_bins) == (49, 10, 10, 4)
    assert (first.stride, first.bin_stride, first.out_pixels) == (2, 2, 25 * 5)
    assert (pool.additions, pool.out_pixels, pool.taps) == (64 * 125, 1, 1)


def test_bc_resnet1_has_the_counts_of_hooks_and_of_its_paper() -> None:
    network, example, workload, (picture, *notes) = traced(BCResNet1)
    assert (workload.trained_parameters, workload.macs) == count(network, example)
    assert round(workload.trained_parameters, -2) == 9_200  # Kim and others, table 2: 9.2 K
    layers = {layer.name: layer for layer in workload.layers}
    # Eight channels of 20 bins are normalised as 40 bands of 4; the mean is over bins alone.
    norm, mean = layers["blocks.0.of_bins.1.norm"], layers["blocks.0.mean"]
    assert (norm.in_channels, norm.in_bins, norm.trained_parameters) == (40, 4, 80)
    assert (mean.in_bins, mean.out_bins, mean.out_frames) == (20, 1, 51)
    assert picture == (
        "the input has two dimensions of space: 51, the second, are read as frames, and 40 as bins "
        "of each"
    )
    assert [note.partition(":")[0] for note in notes] == [
        "silu is priced as a ReLU, without a table of its values",
        "priced as if the tensor that is repeated were as large as the other",
    ]
    assert notes[0].endswith("blocks.2.of_frames.2 and 9 more")
    assert stream(workload, 4).workload.macs < workload.macs / 10


class Decided(nn.Module):
    """Scores, and which is the highest: what a lowered design ends in."""

    def __init__(self, point: DesignPoint, outputs: int) -> None:
        super().__init__()
        self.network = build_network(point, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features).argmax(dim=1)


def renamed(workload: Workload, like: Workload) -> tuple[Layer, ...]:
    """The layers under the names of others, in their order."""
    names = {one.name: other.name for one, other in zip(workload.layers, like.layers, strict=True)}
    names[INPUT] = INPUT
    return tuple(
        dataclasses.replace(
            layer,
            name=names[layer.name],
            reads=tuple(names[each] for each in layer.reads),
            extends=names.get(layer.extends, ""),
        )
        for layer in workload.layers
    )


@pytest.mark.parametrize(
    "name", ["matchboxnet-3x1x64", "matchboxnet-3x1x64-P3@4x32", "quartznet-5x5-P3"]
)
def test_a_traced_network_is_the_lowered_design(name: str) -> None:
    """The third view: what PyTorch runs, layer by layer what a design is lowered to."""
    point = published(name)
    point = dataclasses.replace(point, blocks=(*point.blocks[:2], *point.blocks[-1:]))
    lowered = lower(point, frames=61, outputs=7)
    found = trace(Decided(point, 7), torch.zeros(1, point.in_channels, 61))
    assert renamed(found, lowered) == lowered.layers
    ternary = [layer for layer in found.layers if layer.generator]
    assert bool(ternary) == ("P3" in name)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_an_exported_network_is_the_traced_one(kind: type[nn.Module], tmp_path: Path) -> None:
    """PyTorch's own exporter writes ONNX, and its layers are those of the module."""
    onnx_import = pytest.importorskip("dse.interchange.onnx_import")
    network, example, workload, _ = traced(kind)
    path = tmp_path / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the exporter's next version will be
        preserved = torch.onnx.TrainingMode.PRESERVE  # norms stay layers of their own
        torch.onnx.export(network.eval(), (example,), path, dynamo=False, training=preserved)
    assert renamed(onnx_import.import_onnx(path), workload) == workload.layers


def test_the_module_stays_in_its_mode_and_one_clip_is_counted() -> None:
    network = nn.Sequential(nn.Conv1d(8, 4, 1), nn.BatchNorm1d(4).eval(), nn.Dropout())
    notes: list[str] = []
    one, three = layers_of(network, 1, 8, 20), layers_of(network, 3, 8, 20, notes=notes)
    assert one == three
    assert notes == ["the example has 3 clips: one clip is counted"]
    assert [each.training for each in network] == [True, False, True]


# ---- single operators ----


def test_a_norm_is_merged_into_trained_weights_only() -> None:
    norm = nn.BatchNorm1d(8)
    both = Does(
        lambda m, x: m.norm(y := m.conv(x)) + y, conv=nn.Conv1d(8, 8, 3, padding=1), norm=norm
    )
    assert [each.folded for each in layers_of(nn.Sequential(nn.Conv1d(8, 8, 3), norm))] == [
        False,
        True,
    ]
    assert not layers_of(both)[1].folded  # the sum reads what comes before it
    assert not layers_of(nn.Sequential(nn.ReLU(), norm))[1].folded


def test_channels_are_cut_and_joined_where_they_lie() -> None:
    def forward(module: Any, inputs: Tensor) -> Tensor:
        first, second = module.enter(inputs).chunk(2, dim=1)
        other = module.left(first)
        return module.out(torch.cat([other, module.right(second), torch.relu(other)[:, :0]][:2], 1))

    parts = {"left": nn.Conv1d(6, 3, 1), "right": nn.Conv1d(6, 5, 1), "out": nn.Conv1d(8, 2, 1)}
    _, left, right, out = layers_of(Does(forward, enter=nn.Conv1d(8, 12, 1), **parts))
    assert (left.in_channels, left.reads, right.in_channels, right.reads) == (6, (), 6, ("enter",))
    assert (right.extends, out.reads, out.in_channels) == ("left", (), 8)


def test_frames_are_cut_for_free_and_padded_for_a_convolution() -> None:
    """A causal layer in the two ways it is written: zeros before, or frames cut off behind."""
    before = Does(
        lambda m, x: m.conv(functional.pad(x, (4, 0))), conv=nn.Conv1d(8, 4, 3, dilation=2)
    )
    behind = Does(lambda m, x: m.conv(x)[..., :-4], conv=nn.Conv1d(8, 4, 3, padding=4, dilation=2))
    [padded], [cut] = layers_of(before), layers_of(behind)
    assert (padded.in_frames, padded.out_frames, padded.macs) == (20, 20, 8 * 4 * 3 * 20)
    assert (cut.in_frames, cut.out_frames) == (20, 24)  # what PyTorch computes, too
    # On a stream neither waits; a symmetric kernel waits for half of its 4 frames.
    same = Does(lambda m, x: m.conv(x), conv=nn.Conv1d(8, 4, 3, padding=2, dilation=2))
    waits = [
        stream(trace(each, torch.zeros(1, 8, 20)), 4).wait_frames for each in (before, behind, same)
    ]
    assert waits == [0, 0, 2]


def test_what_lies_ahead_is_known_where_outputs_and_inputs_have_one_clock() -> None:
    """Of a kernel that spans 4 frames, by the zeros before and behind; None is half of them."""
    cases = {(4, 0): 0, (3, 1): 1, (1, 3): 3, (0, 4): 4, (2, 2): None, (0, 0): None, (1, 0): None}
    for pads, ahead in cases.items():
        network = Does(lambda m, x, p=pads: m.conv(functional.pad(x, p)), conv=nn.Conv1d(8, 4, 5))
        [layer] = layers_of(network)
        assert layer.ahead_frames == ahead, pads
    # Where frames are cut off in front, no layer's clock is known any more.
    cut = Does(lambda m, x: m.conv(functional.pad(x, (4, 0)))[..., 2:], conv=nn.Conv1d(8, 4, 5))
    [layer] = layers_of(cut)
    assert layer.ahead_frames is None


def test_a_causal_network_waits_for_nothing() -> None:
    workload = trace(Separator(), torch.zeros(1, 16, 50))
    assert stream(workload, 4).wait_frames == 0
    assert {layer.ahead_frames for layer in workload.layers} == {None, 0}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        # 20 frames in windows of 4, one each 2: (20 - 4) // 2 + 1 = 9 means of 4 numbers.
        (nn.AvgPool1d(4, 2), ("average_pool", 9, 8 * 9 * 4, 8 * 9, 0)),
        (nn.MaxPool1d(4, 2), ("max_pool", 9, 0, 0, 8 * 9 * 4)),
        (nn.MaxPool1d(3, 2, padding=1), ("max_pool", 10, 0, 0, 8 * 10 * 3)),
        (nn.AdaptiveAvgPool1d(5), ("average_pool", 5, 8 * 20, 8 * 5, 0)),
        (nn.AdaptiveAvgPool1d(1), ("average_pool", 1, 8 * 20, 8, 0)),
        (Does(lambda _, x: x.mean(-1)), ("average_pool", 1, 8 * 20, 8, 0)),
        (Does(lambda _, x: x.amax(dim=2)), ("max_pool", 1, 0, 0, 8 * 20)),
        (Does(lambda _, x: x.max(dim=2).values), ("max_pool", 1, 0, 0, 8 * 20)),
    ],
)
def test_pools_count_what_they_add_and_compare(make: nn.Module, expected: tuple[Any, ...]) -> None:
    [pool] = layers_of(make)
    counts = (pool.additions, pool.multiplications, pool.comparisons)
    assert (pool.kind, pool.out_frames, *counts) == expected


def test_windows_of_pictures_and_pictures_of_one_channel() -> None:
    """7 frames of 5 bins, whichever comes first: (7 - 3) // 2 + 1 = 3 frames, 5 - 1 = 4 bins."""
    network = Does(lambda m, x: m.n(x.unsqueeze(1)), n=nn.Conv2d(1, 2, (2, 3), stride=(1, 2)))
    [layer] = layers_of(network, 1, 5, 7)
    assert (layer.out_frames, layer.out_bins, layer.macs) == (3, 4, 2 * 6 * 12)
    assert (layer.kernel_size, layer.kernel_bins, layer.stride, layer.bin_stride) == (3, 2, 2, 1)
    [pool] = layers_of(nn.MaxPool2d(2), 1, 8, 7, 4)
    assert (pool.in_frames, pool.out_frames, pool.out_bins) == (7, 3, 2)
    assert pool.comparisons == 8 * 3 * 2 * 4
    padded = Does(lambda m, x: m.conv(functional.pad(x, (1, 1, 2, 0))), conv=nn.Conv2d(8, 4, 3))
    [layer] = layers_of(padded, 1, 8, 7, 4)
    assert (layer.in_frames, layer.in_bins, layer.out_frames, layer.out_bins) == (7, 4, 7, 4)


def test_a_pool_of_windows_streams_as_a_stride() -> None:
    network = nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(8, 4, 3), nn.AdaptiveMaxPool1d(1))
    streamed = stream(trace(Does(lambda m, x: m.n(x), n=network), torch.zeros(1, 8, 20)), 4)
    pool, conv, whole = streamed.workload.layers
    # Four new frames make two maxima, and those two outputs from two kept frames and two new ones.
    assert (pool.out_frames, conv.in_frames, conv.out_frames) == (2, 4, 2)
    # 8 frames of outputs are four hops of two: the newest two and four maxima are compared.
    assert whole.comparisons == 4 * (2 + 4)
    assert streamed.state_bits == 2 * 8 * 8 + 4 * 4 * 8


def test_linear_layers_of_frames_and_of_whole_clips() -> None:
    of_frames = Does(lambda m, x: m.mix(x.transpose(1, 2)), mix=nn.Linear(8, 5))
    flat = nn.Sequential(nn.Flatten(), nn.Linear(160, 3))
    [mix], [whole] = layers_of(of_frames), layers_of(flat)
    assert (mix.kind, mix.out_frames, mix.macs) == (LayerKind.POINTWISE, 20, 8 * 5 * 20)
    assert (whole.kind, whole.in_channels, whole.macs) == (LayerKind.LINEAR, 160, 480)
    # Features behind frames in the example: the first layer says which is which.
    [turned] = layers_of(Does(lambda m, x: m.mix(x), mix=nn.Linear(8, 5)), 1, 20, 8)
    assert (turned.in_channels, turned.in_frames) == (8, 20)


def test_constants_are_stored_and_not_trained() -> None:
    module = Does(lambda m, x: functional.conv1d(x, m.kernel))
    module.register_buffer("kernel", torch.ones(4, 8, 3))
    [layer] = layers_of(module)
    assert (layer.weights, layer.trained_parameters, layer.macs) == ("constant", 0, 96 * 18)


# ---- what is refused ----

CALL = Does.forward.__code__.co_firstlineno + 1
CONV = {"conv": nn.Conv1d(8, 8, 3, padding=1)}


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            nn.Sequential(nn.Conv1d(8, 8, 1), nn.GroupNorm(2, 8)),
            "'1' (group_norm) is not supported: the nearest supported is BatchNorm1d",
        ),
        (
            Does(lambda m, x: m.rnn(x.transpose(1, 2))[0], rnn=nn.LSTM(8, 4)),
            f"'rnn' (lstm, test_tracing.py:{CALL}) is not supported: the nearest supported is Conv",
        ),
        (Does(lambda m, x: m.conv(x) * torch.sigmoid(x), **CONV), "'Does' (mul, test_tracing.py:"),
        (
            Does(lambda m, x: m.conv(x) + m.conv(x)[..., :1], **CONV),
            "shares conv.weight with another layer",
        ),
        (
            Does(lambda m, x: m.conv(x) + x[:, :1], **CONV),
            "adds tensors of different shapes, [1, 8, 20] and [1, 1, 20]",
        ),
        (
            Does(lambda m, x: torch.cat([x, m.conv(x)], 1), **CONV),
            "joins the network's input to what is made of it: that is a copy",
        ),
        (
            Does(lambda m, x: torch.cat([m.conv(x)] * 2, 2), **CONV),
            "joins frames: channels are joined for free",
        ),
        (Does(lambda m, x: m.conv(x)[..., ::2], **CONV), "takes each 2th of an axis: use a stride"),
        (Does(lambda m, x: m.conv(x.flip(1)), **CONV), "(flip, test_tracing.py:"),
        (
            Does(lambda m, x: m.conv(x).mean(1), **CONV),
            "reduces channels: over all frames, and nothing else",
        ),
        (
            Does(lambda m, x: m.conv(x).softmax(2), **CONV),
            "is over frames: over the channels is supported",
        ),
        (Does(lambda m, x: torch.relu(functional.pad(x, (1, 0)))), "reads padded frames"),
        (
            nn.Conv1d(8, 8, 3, padding=1, padding_mode="reflect"),
            "pads with reflect: zeros are supported",
        ),
        (nn.AvgPool1d(1, 2), "takes some frames of all"),
        (nn.AdaptiveAvgPool1d(3), "makes 3 of 20 frames, in windows of different lengths"),
        (
            Does(lambda m, x: functional.dropout(m.conv(x), 0.5), **CONV),
            "drops out in evaluation mode, too",
        ),
        (nn.BatchNorm1d(8, track_running_stats=False), "normalises by its own batch in evaluation"),
        (
            nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 4, 3))),
            "keep it as a parameter",
        ),
        (Does(lambda m, x: m.conv(x).transpose(1, 2).flatten(1), **CONV), "the frames first"),
        (nn.Identity(), "Identity has no layer that a machine executes"),
    ],
)
def test_what_is_not_supported_is_named_with_its_place(module: nn.Module, message: str) -> None:
    assert message in refusal(module)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda m, x: m.conv(x)[x > 0], "makes a dynamic shape"),
        (lambda m, x: m.conv(x) if x.sum() > 0 else x, "depend on the numbers of its input"),
        (
            lambda m, x: m.conv(x)[..., : int(x.abs().sum().item())],
            "depend on the numbers of its input",
        ),
        (lambda m, x: m.conv(x) if random.random() < 2 else x, "it draws random numbers"),
        (
            lambda m, x: (
                torch.relu(m.conv(x)) if m.calls.append(1) or len(m.calls) % 2 else m.conv(x)
            ),
            "one calls relu [1, 8, 20] where the next calls nothing more",
        ),
        (lambda m, x: m.conv(x) + m.kept.add_(1), "it writes its buffer kept"),
    ],
)
def test_what_changes_between_calls_is_refused(forward: Any, message: str) -> None:
    module = Does(forward, conv=nn.Conv1d(8, 8, 3, padding=1))
    module.calls = []
    module.register_buffer("kept", torch.zeros(1))
    assert message in refusal(module)


@pytest.mark.parametrize(
    ("module", "example", "message"),
    [
        (
            CONV["conv"],
            torch.zeros(1, 4, 20),
            "Conv1d does not take an example of the shape [1, 4, 20]: ",
        ),
        (TCResNet8(), torch.zeros(1, 16, 20), "in 'conv' (Conv1d): RuntimeError: Given groups=1"),
        (CONV["conv"], torch.zeros(1, 8, 20, dtype=torch.int64), "the example must be floats"),
        (CONV["conv"], [[0.0]], "the example must be a tensor"),
        (CONV["conv"], torch.zeros(8), "it has the shape [8]"),
        (CONV["conv"], (torch.zeros(1, 8, 20),) * 2, "the example has 2 tensors"),
        ("network", torch.zeros(1, 8, 20), "not 'str'"),
        (
            Does(lambda m, x: (x, x)),
            torch.zeros(1, 8, 20),
            "returns 2 values, and a workload has one",
        ),
    ],
)
def test_wrong_examples_are_one_sentence(module: Any, example: Any, message: str) -> None:
    with pytest.raises(InvalidDesign) as caught:
        trace(module, example)
    assert message in str(caught.value) and "\n" not in str(caught.value)
