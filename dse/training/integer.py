"""A network in whole numbers, as a microcontroller computes it: int8 tensors, exact sums.

A stage makes one tensor of int8 from one or two others. For output channel o and frame t

    sum[o, t]  = sum over inputs and taps of weight * input               (exact, of each path)
    out[o, t]  = limit((sum over paths of sum * multiplier[o] + offset[o] + half) >> shift)

`>>` rounds towards minus infinity, `half` is 2^(shift - 1), and `limit` is -127..127, or 0..127
behind a ReLU. Multipliers hold the scales of weights, inputs and output, and the gain of the batch
norm; offsets hold its offset. Weights are symmetric int8 with a scale a channel; ternary matrices
stay -1, 0, +1. All products are proved to fit 64 bits when the network is made.

Where that comes from: let the real input be x = a x' and the real weight w = b[o] w' with whole x'
and w', and let batch norm multiply by g[o] and add h[o]. The real output y = c y' is then

    y'[o, t] = (a b[o] g[o] / c) sum w' x' + h[o] / c,      multiplier[o] = round(2^shift a b g / c)
                                                            offset[o] = round(2^shift h / c)

Zero is always the whole number 0 (symmetric quantisation, no zero points), so zero padding needs no
correction. Each tensor's step c is its largest magnitude on the calibration clips over 127. A skip
is added before the shift, with a multiplier of its own: the sum of a residual block is rounded once
and its two inputs may have different steps. Batch norm is never computed by itself, also behind
ternary matrices: its gain is part of the multiplier that the change of scale needs anyway.

The pooled head averages in 1/128ths, `mean = (128 * sum over frames + frames // 2) // frames`, and
gives scores in 1/65,536ths, 32 bits. A framewise head is a stage with such scores.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dse.design.places import Place, places
from dse.errors import InvalidDesign
from dse.networks.network import PooledHead, ResidualBlock
from dse.networks.ternary_convolution import TernaryConv1d
from dse.training.source import Source

# Of the multipliers of a stage, the largest decides the shift: the more bits, the less rounding.
MOST_SHIFT = 40
MULTIPLIER_BITS = 30
MEAN_STEPS = 128
SCORE_STEPS = 65_536
INT8_LIMIT, SCORE_LIMIT = 127, 2**31 - 1

Whole = npt.NDArray[np.int64]
PathKind = Literal["convolution", "ternary", "identity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """What is summed of one tensor: a convolution, a ternary matrix, or the tensor as it is.

    The sum is exact, in units of (input step x weight step) of its channel; `multipliers` bring it
    to the units of the output. Padding is dilation * (taps - 1) / 2 zeros on both sides.
    """

    name: str
    kind: PathKind
    weights: npt.NDArray[np.int8] | None
    """(outputs, inputs / groups, taps); None for the identity."""
    in_channels: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    multipliers: Whole
    """(outputs,), of at most `MULTIPLIER_BITS` bits and a sign."""
    place: Place | None = None
    """What makes the weights of a ternary path."""

    @property
    def taps(self) -> int:
        """Kernel size."""
        return 1 if self.weights is None else int(self.weights.shape[2])


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage:
    """What makes one tensor: one path, or two that meet (the last sub-block and the skip).

    A depthwise layer is a stage of its own without batch norm or ReLU, as between it and the 1x1
    the real network has none. Dropout is gone: it does nothing in inference.
    """

    name: str
    paths: tuple[Path, ...]
    """The main one reads the tensor before; a second one reads the block's input."""
    offsets: Whole
    """(outputs,)."""
    shift: int
    relu: bool
    begins_block: bool
    """Its input is what a later skip reads."""
    output_scale: float

    @property
    def out_channels(self) -> int:
        """Channels of the tensor."""
        return len(self.offsets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """What makes the scores: a matrix behind the mean over frames, or one for every frame.

    Scores are real ones times `SCORE_STEPS`. They are not quantised to a range: it would have to be
    chosen from data, and the index of the largest does not need one.
    """

    pooled: bool
    weights: npt.NDArray[np.int8]
    """(outputs, inputs)."""
    multipliers: Whole
    offsets: Whole
    shift: int


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerNetwork:
    """A quantised network: all that inference needs, and nothing of torch.

    `dse.training.integer_scores.scores_of_clips` computes it; `dse export header` writes it as C.
    """

    title: str
    classes: tuple[str, ...]
    in_channels: int
    input_scale: float
    """A feature is its int8 times this."""
    stages: tuple[Stage, ...]
    head: Head
    mean: tuple[float, ...]
    """Of raw features, subtracted before they are quantised; empty for an untrained network."""
    deviation: tuple[float, ...]

    def quantise(self, pictures: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """Normalised features of any shape as int8, half to even.

        What lies beyond the range of the calibration clips is cut to -127 or 127, silently.
        """
        scaled = np.rint(np.asarray(pictures, dtype=np.float64) / self.input_scale)
        limited: npt.NDArray[np.int8] = np.clip(scaled, -127, 127).astype(np.int8)
        return limited


def quantise_network(source: Source, pictures: Tensor) -> IntegerNetwork:
    """The network in whole numbers: quantised after training, without training it again.

    The clips go through the network in floats, stage by stage, to find the range of each tensor;
    the rounding of earlier stages has no part in the ranges of later ones. The largest magnitude is
    taken, not a percentile: nothing of the calibration clips is cut, and one outlier costs steps.

    Args:
        source: the network, on the CPU and in evaluation mode.
        pictures: normalised, (clips, features, frames); the largest magnitude of each tensor on
            them becomes 127.

    Raises:
        InvalidDesign: a tensor is not finite, or a sum might not fit 64 bits.
    """
    maker = _Maker(source)
    with torch.inference_mode():
        stages, scale = maker.run(pictures.float())
    network = source.network
    linear = network.head.linear if isinstance(network.head, PooledHead) else network.head
    assert isinstance(linear, nn.Linear | nn.Conv1d)
    weights, scales = _quantised(linear.weight.detach().double().reshape(source.outputs, -1))
    assert linear.bias is not None
    steps = MEAN_STEPS if isinstance(network.head, PooledHead) else 1
    reals = scale * scales * SCORE_STEPS / steps
    offset = linear.bias.detach().double().numpy() * SCORE_STEPS
    (multipliers,), offsets, shift = _fixed("head", [reals], offset)
    _check_sums("head", [(weights, INT8_LIMIT * steps)], [multipliers], offsets, shift)
    checkpoint = source.checkpoint
    return IntegerNetwork(
        title=source.title,
        classes=source.classes,
        in_channels=source.point.in_channels,
        input_scale=maker.input_scale,
        stages=tuple(stages),
        head=Head(
            pooled=isinstance(network.head, PooledHead),
            weights=weights,
            multipliers=multipliers,
            offsets=offsets,
            shift=shift,
        ),
        mean=() if checkpoint is None else tuple(checkpoint.mean.tolist()),
        deviation=() if checkpoint is None else tuple(checkpoint.deviation.tolist()),
    )


_Part = tuple[nn.Module, nn.Module | None, Tensor, float]
"""Layer, batch norm, what it reads and its scale."""


class _Maker:
    """Goes through the network with pictures, and quantises what it passes.

    The walk is that of `ResidualBlock.forward`, with a block's stages

        dw -> pw -> dw -> pw + skip             separable
        conv -> conv + skip                     not separable ("pw" for a kernel of one frame)

    `values` and `scale` are the tensor before, in floats, and its step.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.places = places(source.point)
        self.input_scale = 1.0

    def run(self, values: Tensor) -> tuple[list[Stage], float]:
        """All stages but the head, and the step of the last tensor, which the head reads.

        Args:
            values: normalised clips, (clips, features, frames), float32.
        """
        scale = self.input_scale = _scale("the input", values)
        stages: list[Stage] = []
        for block in self.source.point.blocks:
            module = self.source.network.blocks[block.name]
            assert isinstance(module, ResidualBlock)
            # For the skip. `begins` marks the block's first stage, before which inference keeps it.
            kept, kept_scale, begins = values, scale, True
            for repeat, body in enumerate(module.body):
                assert isinstance(body, nn.Sequential)
                name = f"{block.name}.{repeat}"
                layers = list(body)
                if block.separable:
                    stage, values, scale = self._stage(
                        f"{name}.dw", [(layers.pop(0), None, values, scale)], False, begins
                    )
                    stages.append(stage)
                    begins = False
                mixed = block.separable or block.kernel_size == 1
                paths: list[_Part] = [(layers[0], layers[1], values, scale)]
                if repeat == block.repeats - 1 and module.skip is not None:
                    norm = module.skip[1] if len(module.skip) > 1 else None
                    paths.append((module.skip[0], norm, kept, kept_scale))
                stage, values, scale = self._stage(
                    f"{name}.{'pw' if mixed else 'conv'}", paths, True, begins
                )
                stages.append(stage)
                begins = False
        return stages, scale

    def _stage(
        self,
        name: str,
        parts: list[_Part],
        relu: bool,
        begins: bool,
    ) -> tuple[Stage, Tensor, float]:
        """One stage from the paths that meet in it; returns it, its output in floats and the step.

        Two passes over `parts`: the first finds the range of the output, by which the second
        divides.
        """
        total: Any = 0
        for layer, norm, values, _ in parts:
            summed = layer(values)
            gain, offset = _gain_and_offset(norm, summed.shape[1])
            total = total + summed * gain.float()[:, None] + offset.float()[:, None]
        total = total.clamp_min(0) if relu else total
        scale = _scale(name, total)  # behind the ReLU: what it cuts off needs no range
        reals, offsets, made = [], np.zeros(total.shape[1]), []
        for layer, norm, _, in_scale in parts:
            gain, offset = _gain_and_offset(norm, total.shape[1])
            kind, weights, scales = _weights(layer, total.shape[1])
            reals.append(in_scale * scales * gain.numpy() / scale)
            offsets = offsets + offset.numpy() / scale
            made.append((kind, weights))
        multipliers, whole_offsets, shift = _fixed(name, reals, offsets)
        _check_sums(
            name, [(weights, INT8_LIMIT) for _, weights in made], multipliers, whole_offsets, shift
        )
        paths = []
        skip = f"{name.split('.')[0]}.skip"
        for number, ((layer, *_), (kind, weights), each) in enumerate(
            zip(parts, made, multipliers, strict=True)
        ):
            path_name = name if number == 0 else skip
            convolution = layer if isinstance(layer, nn.Conv1d) else None
            stride = getattr(layer, "stride", 1)
            paths.append(
                Path(
                    name=path_name,
                    kind=kind,
                    weights=weights,
                    in_channels=int(parts[number][2].shape[1]),
                    stride=stride if isinstance(stride, int) else stride[0],
                    dilation=1 if convolution is None else convolution.dilation[0],
                    groups=1 if convolution is None else convolution.groups,
                    multipliers=each,
                    place=self.places[path_name] if kind == "ternary" else None,
                )
            )
        stage = Stage(
            name=name,
            paths=tuple(paths),
            offsets=whole_offsets,
            shift=shift,
            relu=relu,
            begins_block=begins,
            output_scale=scale,
        )
        return stage, total, scale


def _gain_and_offset(norm: nn.Module | None, channels: int) -> tuple[Tensor, Tensor]:
    """Batch norm in evaluation as gain * x + offset, (channels,) each, float64.

        gain = weight / sqrt(running variance + eps)      offset = bias - running mean * gain

    Without a batch norm 1 and 0.
    """
    if norm is None:
        return torch.ones(channels).double(), torch.zeros(channels).double()
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return gain, norm.bias.detach().double() - norm.running_mean.double() * gain


def _weights(
    layer: nn.Module, channels: int
) -> tuple[PathKind, npt.NDArray[np.int8] | None, npt.NDArray[np.float64]]:
    """Kind, int8 weights and the scale of each output channel (real weight = scale * int8)."""
    if isinstance(layer, nn.Identity):
        return "identity", None, np.ones(channels)
    if isinstance(layer, TernaryConv1d):
        return "ternary", layer.weight.numpy().astype(np.int8), np.ones(channels)
    if isinstance(layer, nn.Conv1d):
        weights, scales = _quantised(layer.weight.detach().double())
        return "convolution", weights, scales
    raise InvalidDesign(f"{type(layer).__name__} has no form in whole numbers here")


def _quantised(weights: Tensor) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Symmetric int8 weights and the step of each output channel, the first axis.

    A channel's largest magnitude becomes 127; -128 is not used, so positive and negative weights
    have the same range. A channel of zeros has step 1, as 0 would divide by itself.
    """
    plain = weights.numpy()
    axes = tuple(range(1, plain.ndim))
    scales = np.abs(plain).max(axis=axes) / INT8_LIMIT
    scales = np.where(scales > 0, scales, 1.0)
    whole = np.rint(plain / scales.reshape(-1, *(1 for _ in axes)))
    return whole.astype(np.int8), scales


def _scale(name: str, values: Tensor) -> float:
    """The step of a tensor: its largest magnitude / 127; 1 where it is zero throughout."""
    largest = float(values.abs().max())
    if not np.isfinite(largest):
        raise InvalidDesign(f"{name} must be finite to be quantised, not {largest}")
    return largest / INT8_LIMIT or 1.0


def _fixed(
    name: str, reals: list[npt.NDArray[np.float64]], offsets: npt.NDArray[np.float64]
) -> tuple[list[Whole], Whole, int]:
    """Real multipliers and offsets as whole numbers over 2^shift.

    The shift is the largest, up to `MOST_SHIFT`, with which all multipliers stay in
    `MULTIPLIER_BITS`. It is one for all channels and both paths of the stage, as the sum of paths
    is shifted once; a channel whose gain is 2^-k of the largest has k bits fewer.

    Args:
        name: of the stage, for messages.
        reals: real multipliers of each path, (outputs,) each.
        offsets: in units of the output, (outputs,).

    Raises:
        InvalidDesign: something is not finite, or a multiplier is too large even at shift 1.
    """
    largest = max(float(np.abs(each).max()) for each in reals)
    if not (np.isfinite(largest) and np.isfinite(offsets).all()):
        raise InvalidDesign(f"{name}: weights and batch norm must be finite to be quantised")
    shift = MOST_SHIFT
    while shift > 1 and largest * 2**shift >= 2**MULTIPLIER_BITS:
        shift -= 1
    if largest * 2**shift >= 2**MULTIPLIER_BITS:
        raise InvalidDesign(f"{name}: its gain of {largest:.3g} is too large for whole numbers")
    scaled = [np.rint(each * 2.0**shift).astype(np.int64) for each in reals]
    return scaled, np.rint(offsets * 2.0**shift).astype(np.int64), shift


def _check_sums(
    name: str,
    weights: list[tuple[npt.NDArray[np.int8] | None, int]],
    multipliers: list[Whole],
    offsets: Whole,
    shift: int,
) -> None:
    """Raise `InvalidDesign` unless sums fit 32 bits and products 64, whatever the input.

    For each output channel, with |input| at most `most`:

        |sum| <= most * sum of |weights| < 2^31
        |offset| + 2^shift + sum over paths of |multiplier| * |sum| < 2^63

    2^shift is more than the `half` that is added for rounding. Partial sums are bounded by the same
    numbers, so the order of additions does not matter, and C code needs no checks of its own.

    Args:
        name: of the stage, for messages.
        weights: of each path, with the largest magnitude of its input; None for the identity.
        multipliers: of each path.
        offsets: of the stage.
        shift: of the stage.
    """
    worst = [abs(int(offset)) + 2**shift for offset in offsets]
    for (matrix, most), each in zip(weights, multipliers, strict=True):
        for channel, multiplier in enumerate(each):
            entries = 1 if matrix is None else int(np.abs(matrix[channel].astype(np.int64)).sum())
            if entries * most >= 2**31:
                raise InvalidDesign(f"{name}: its sums may need more than 32 bits")
            worst[channel] += abs(int(multiplier)) * entries * most
    if max(worst) >= 2**63:
        raise InvalidDesign(f"{name}: its scaled sums may need more than 64 bits")
