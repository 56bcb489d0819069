"""A network in whole numbers, as a microcontroller or a chip computes it: int8 tensors, exact sums.

A stage makes one tensor of int8 from one or two others. For output channel o and frame t

    sum[o, t]  = sum over inputs and taps of weight * input                         (exact)
    out[o, t]  = limit((offset[o] + (sum[o, t] * factor[o] >> shift[o])) >> 7)

`>>` rounds towards minus infinity, and `limit` is -127..127, or 0..127 behind a ReLU. What is added
up before the last shift is in 1/128ths of the output; offsets hold half of one for rounding. Where
two paths meet, each is rounded to int8 on its own, and what is summed is

    out[o, t]  = limit((offset[o] + (a[o, t] * factor_a[o] >> shift_a[o])
                                  + (b[o, t] * factor_b[o] >> shift_b[o])) >> 7)

Factors have 15 bits and a sign, and each channel a shift of its own, so that its scale is exact to
1/32,768 whatever that of its neighbours: a multiplier of 24 by 16 bits is all that hardware needs.
CMSIS-NN reduces the 32 bits of TFLite's multipliers likewise where sums are wide. Weights are
symmetric int8 with a scale a channel; ternary matrices stay -1, 0, +1. That no sum needs more than
32 bits, and no scaled one more than 24, is proved when the network is made.

Where that comes from: let the real input be x = a x' and the real weight w = b[o] w' with whole x'
and w', and let batch norm multiply by g[o] and add h[o]. The real output y = c y' is then

    y'[o, t] = (a b[o] g[o] / c) sum w' x' + h[o] / c,    factor / 2^shift = 128 a b g / c
                                                          offset = round(128 h / c) + 64

Zero is always the whole number 0 (symmetric quantisation, no zero points), so zero padding needs no
correction. Each tensor's step c is its largest magnitude on the calibration clips over 127. Batch
norm is never computed by itself, also behind ternary matrices: its gain is part of the factor that
the change of scale needs anyway. That of a skip without a matrix is in the factor of the sum.

The pooled head sums over frames, and makes int8 of the sum by a factor that holds 1 / frames. Its
scores are in 1/65,536ths, 32 bits: offset + (sum * factor >> shift), the offset of 27 bits (a bias
of up to 1,024). A framewise head scores each
frame of the last tensor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cost_models.workload import FACTOR_BITS, OFFSET_BITS, SHIFT_BITS
from dse.design.places import Place, check_one_dimension, places
from dse.errors import InvalidDesign
from dse.networks.mixed_convolution import Factors, MixedConv1d
from dse.networks.network import PooledHead, ResidualBlock, check_own_skips
from dse.networks.ternary_convolution import TernaryConv1d
from dse.training.rounded import rounded, rounded_layer
from dse.training.rounding import activation_step, limit_of, round_to, weight_steps
from dse.training.source import Source

MAGNITUDE_BITS = FACTOR_BITS - 1
"""Of a factor: those that the model's multiplier has, less the sign."""
MOST_SHIFT = 2**SHIFT_BITS - 1
RESULT_SHIFT = 7
"""What is added up is in 1/128ths of a result."""
TOTAL_BITS, SUM_BITS = 24, 32
MEAN_STEPS = 65_536
MOST_MEAN_GAIN = 256
"""Of steps of a mean, which are finer than its tensor's: 128 * 127 * 256 fits 24 bits."""
SCORE_STEPS = 65_536
INT8_LIMIT = 127

_REMEDY = "train it longer, or calibrate it with clips that reach more of its range"

Whole = npt.NDArray[np.int64]
PathKind = Literal["convolution", "ternary", "identity"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rounding:
    """What brings the sums of a path to the units of what they become, (outputs,) each."""

    factors: Whole
    """Of at most `MAGNITUDE_BITS` bits and a sign."""
    shifts: Whole
    """0 to `MOST_SHIFT`."""
    offsets: Whole
    """In 1/128ths of a result with half of one for rounding; in 1/65,536ths of a score."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """What is summed of one tensor: a convolution, a ternary matrix, or the tensor as it is.

    The sum is exact, in units of (input step x weight step) of its channel; `rounding` makes int8
    of it. Padding is dilation * (taps - 1) / 2 zeros on both sides.
    """

    name: str
    kind: PathKind
    weights: npt.NDArray[np.int8] | None
    """(outputs, inputs / groups, taps); None for the identity."""
    in_channels: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    rounding: Rounding | None
    """None where an identity meets another path: int8 as it is."""
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
    added: tuple[Rounding, Rounding] | None
    """Where two paths meet, what each is scaled by; offsets are in the first, those of the second
    are 0."""
    relu: bool
    """Of the tensor: of the one path, or of the sum."""
    begins_block: bool
    """Its input is what a later skip reads."""
    output_scale: float
    output_bits: int = 8
    """With fewer, `limit` is of fewer: -7..7 of 4."""
    out_channels: int
    """Channels of the tensor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """What makes the scores: a matrix behind the mean over frames, or one for every frame.

    Scores are real ones times `SCORE_STEPS`. They are not quantised to a range: it would have to be
    chosen from data, and the index of the largest does not need one.
    """

    pooled: bool
    mean_gain: int
    """Step of the last tensor over that of its mean, in 1/65,536ths; of a framewise head 0."""
    weights: npt.NDArray[np.int8]
    """(outputs, inputs)."""
    rounding: Rounding

    def mean_rounding(self, frames: int) -> tuple[int, int]:
        """Factor and shift that make 1/128ths of a mean of a sum over `frames` frames.

            factor / 2^shift = 128 * gain / frames

        with the largest shift that leaves the factor its bits; at shift 0 it is at most 32,768 / 1,
        of which one is taken off.
        """
        steps, shift = frames * MEAN_STEPS, MOST_SHIFT
        while shift and self._mean_factor(steps, shift) >= 2**MAGNITUDE_BITS:
            shift -= 1
        return min(self._mean_factor(steps, shift), 2**MAGNITUDE_BITS - 1), shift

    def _mean_factor(self, steps: int, shift: int) -> int:
        return ((self.mean_gain << (RESULT_SHIFT + shift)) + steps // 2) // steps


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

    The clips go through the network in floats, stage by stage, to find the range of each tensor.
    The largest magnitude is taken, not a percentile: nothing of the calibration clips is cut, and
    one outlier costs steps. With eight bits throughout, the rounding of earlier stages has no part
    in the ranges of later ones; of fewer bits it is felt, and they go through it rounded.

    Args:
        source: the network, on the CPU and in evaluation mode.
        pictures: normalised, (clips, features, frames); the largest magnitude of each tensor on
            them becomes 127.

    Raises:
        InvalidDesign: a tensor is not finite, a sum might not fit its bits, or frames have bins.
    """
    check_one_dimension(source.point, "whole-number inference (C, the chip)")
    maker = _Maker(source)
    with torch.inference_mode():
        stages, scale, values = maker.run(pictures.float())
        pooled = isinstance(source.network.head, PooledHead)
        mean_scale = scale
        if pooled:
            mean_scale = max(_scale("the mean", values.mean(dim=2)), scale / MOST_MEAN_GAIN)
    network = source.network
    linear = network.head.linear if isinstance(network.head, PooledHead) else network.head
    assert isinstance(linear, nn.Linear | nn.Conv1d)
    weights, scales = _quantised(linear.weight.detach().double().reshape(source.outputs, -1))
    assert linear.bias is not None
    offsets = linear.bias.detach().double().numpy() * SCORE_STEPS
    rounding = _rounding("head", mean_scale * scales * SCORE_STEPS, offsets, OFFSET_BITS)
    _check_sums("head", weights, (rounding,), SUM_BITS)
    checkpoint = source.checkpoint
    return IntegerNetwork(
        title=source.title,
        classes=source.classes,
        in_channels=source.point.in_channels,
        input_scale=maker.input_scale,
        stages=tuple(stages),
        head=Head(
            pooled=pooled,
            mean_gain=round(scale / mean_scale * MEAN_STEPS) if pooled else 0,
            weights=weights,
            rounding=rounding,
        ),
        mean=() if checkpoint is None else tuple(checkpoint.mean.tolist()),
        deviation=() if checkpoint is None else tuple(checkpoint.deviation.tolist()),
    )


_Part = tuple[nn.Module, nn.Module | None, Tensor, float, int]
"""Layer, batch norm, what it reads and its scale, bits of its weights."""


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

    def run(self, values: Tensor) -> tuple[list[Stage], float, Tensor]:
        """All stages but the head, the step of the last tensor, which the head reads, and it.

        Args:
            values: normalised clips, (clips, features, frames), float32.
        """
        scale = self.input_scale = _scale("the input", values)
        stages: list[Stage] = []
        for block in self.source.point.blocks:
            module = self.source.network.blocks[block.name]
            assert isinstance(module, ResidualBlock)
            check_own_skips(module)
            # For the skip. `begins` marks the block's first stage, before which inference keeps it.
            kept, kept_scale, begins = values, scale, True
            weight_bits, made_bits = block.bits_of(block.mixer), block.activation_bits
            part: _Part
            for repeat, body in enumerate(module.body):
                assert isinstance(body, nn.Sequential)
                name = f"{block.name}.{repeat}"
                layers = list(body)
                if block.separable:
                    part = (layers.pop(0), None, values, scale, block.weight_bits)
                    stage, values, scale = self._stage(
                        f"{name}.dw", [part], False, begins, made_bits
                    )
                    stages.append(stage)
                    begins = False
                mixed = block.mixes
                name = f"{name}.{'pw' if mixed else 'conv'}"
                *factors, last = _in_a_row(layers[0])
                for number, factor in enumerate(factors):
                    part = (factor, None, values, scale, weight_bits)
                    stage, values, scale = self._stage(
                        f"{name}.{number}", [part], False, begins, made_bits
                    )
                    stages.append(stage)
                    begins = False
                paths: list[_Part] = [(last, layers[1], values, scale, weight_bits)]
                if repeat == block.repeats - 1 and module.skip is not None:
                    norm = module.skip[1] if len(module.skip) > 1 else None
                    assert block.skip is not None
                    bits = block.bits_of(block.skip)
                    paths.append((_as_one(module.skip[0]), norm, kept, kept_scale, bits))
                stage, values, scale = self._stage(name, paths, True, begins, made_bits)
                stages.append(stage)
                begins = False
        return stages, scale, values

    def _stage(
        self,
        name: str,
        parts: list[_Part],
        relu: bool,
        begins: bool,
        bits: int,
    ) -> tuple[Stage, Tensor, float]:
        """One stage from the paths that meet in it; returns it, its output in floats and the step.

        Two passes over `parts`: the first finds the ranges of the paths and of the output, by which
        the second divides.
        """
        total: Any = 0
        made: list[Tensor] = []
        few = self.source.point.has_few_bits
        for layer, norm, values, _, weight_bits in parts:
            summed = rounded_layer(layer, values, weight_bits, bits) if few else layer(values)
            gain, offset = _gain_and_offset(norm, summed.shape[1])
            made.append(summed * gain.float()[:, None] + offset.float()[:, None])
            # An identity that meets another path is not rounded by itself.
            whole = few and len(parts) > 1 and not isinstance(layer, nn.Identity)
            total = total + (rounded(made[-1], bits) if whole else made[-1])
        total = total.clamp_min(0) if relu else total
        scale = _scale(name, total, bits)  # behind the ReLU: what it cuts off needs no range
        channels = total.shape[1]
        names = (name, f"{name.split('.')[0]}.skip")
        meet = len(parts) > 1
        paths: list[Path] = []
        scaled: list[npt.NDArray[np.float64]] = []
        offsets = np.zeros(channels)
        for path_name, part, real in zip(names, parts, made, strict=False):
            own = _scale(path_name, real, bits) if meet else scale
            path, gains, more = self._path(path_name, part, channels, own, meet)
            paths.append(path)
            scaled.append(gains / scale)
            offsets = offsets + more / scale
        added = None
        if meet:
            one, other = (_rounding(name, each, offsets) for each in scaled)
            added = one, replace(other, offsets=np.zeros(channels, dtype=np.int64))
            _check_sums(name, None, added, TOTAL_BITS)
        stage = Stage(
            name=name,
            paths=tuple(paths),
            added=added,
            relu=relu,
            begins_block=begins,
            output_scale=scale,
            output_bits=bits,
            out_channels=channels,
        )
        return stage, round_to(total, scale, bits) if few else total, scale

    def _path(
        self, name: str, part: _Part, channels: int, scale: float, meets: bool
    ) -> tuple[Path, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """A path, the real step of each channel of what it gives, and an offset left for the sum.

        An identity that meets another path is given as it is: its gain and offset belong to the
        sum.

        Args:
            name: of the path.
            part: layer, batch norm, what it reads and its step.
            channels: of its output.
            scale: step of its output, where it is rounded.
            meets: another path.
        """
        layer, norm, values, in_scale, bits = part
        kind, weights, scales = _weights(layer, channels, bits)
        gain, offset = (each.numpy() for each in _gain_and_offset(norm, channels))
        reals = in_scale * scales * gain
        if weights is not None:  # a row of zeros sums to 0, whatever its gain, which may be huge
            reals = np.where(weights.any(axis=(1, 2)), reals, 0.0)
        steps, left, rounding = reals, offset, None
        if not (meets and kind == "identity"):
            rounding = _rounding(name, reals / scale, offset / scale)
            _check_sums(name, weights, (rounding,), TOTAL_BITS)
            steps, left = np.full(channels, scale), np.zeros(channels)
        convolution = layer if isinstance(layer, nn.Conv1d) else None
        stride = getattr(layer, "stride", 1)
        path = Path(
            name=name,
            kind=kind,
            weights=weights,
            in_channels=int(values.shape[1]),
            stride=stride if isinstance(stride, int) else stride[0],
            dilation=1 if convolution is None else convolution.dilation[0],
            groups=1 if convolution is None else convolution.groups,
            rounding=rounding,
            place=self.places[name] if kind == "ternary" else None,
        )
        return path, steps, left


def _in_a_row(layer: nn.Module) -> Sequence[nn.Module]:
    """The matrices of a mixing layer, one a stage: each makes a tensor of int8."""
    return layer.pieces() if isinstance(layer, Factors) else [layer]


def _as_one(layer: nn.Module) -> nn.Module:
    """A mixing layer on a skip: a product is multiplied out, as a stage has two paths and no more.

    So the tensors between its factors are not rounded here, and on a machine they are.
    """
    return layer.product() if isinstance(layer, Factors) else layer


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
    layer: nn.Module, channels: int, bits: int
) -> tuple[PathKind, npt.NDArray[np.int8] | None, npt.NDArray[np.float64]]:
    """Kind, int8 weights and the scale of each output channel (real weight = scale * int8)."""
    if isinstance(layer, nn.Identity):
        return "identity", None, np.ones(channels)
    if isinstance(layer, TernaryConv1d):
        return "ternary", layer.weight.numpy().astype(np.int8), np.ones(channels)
    if isinstance(layer, nn.Conv1d):
        weights, scales = _quantised(layer.weight.detach().double(), bits)
        return "convolution", weights, scales
    if isinstance(layer, MixedConv1d):
        weights, scales = _quantised(layer.matrix().detach().double()[:, :, None], bits)
        return "convolution", *_as_trits(weights, scales)
    raise InvalidDesign(f"{type(layer).__name__} has no form in whole numbers here")


def _quantised(
    weights: Tensor, bits: int = 8
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Symmetric weights of so many bits and the step of each output channel, the first axis.

    A channel's largest magnitude becomes 127; -128 is not used, so positive and negative weights
    have the same range. Of fewer bits the largest may be cut (`dse.training.rounding`).
    """
    limit, steps = limit_of(bits), weight_steps(weights, bits)
    scaled = weights / steps.view(-1, *(1 for _ in weights.shape[1:]))
    whole = scaled.round().clamp_(-limit, limit)
    return whole.numpy().astype(np.int8), steps.numpy()


def _as_trits(
    weights: npt.NDArray[np.int8], scales: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Rows of one magnitude as -1, 0 and +1, which a machine stores of them; others as they are.

    Exact: 127 times the step is the magnitude itself. Sums are 127 times smaller, so that they fit
    where those of trits do.
    """
    single = ((weights == 0) | (np.abs(weights) == INT8_LIMIT)).all(axis=(1, 2))
    divided = np.where(single[:, None, None], np.sign(weights), weights)
    return divided.astype(np.int8), np.where(single, scales * INT8_LIMIT, scales)


def _scale(name: str, values: Tensor, bits: int = 8) -> float:
    """The step of a tensor: its largest magnitude / 127; 1 where it is zero throughout."""
    largest = float(values.abs().max())
    if not np.isfinite(largest):
        raise InvalidDesign(f"{name} must be finite to be quantised, not {largest}")
    return activation_step(values, bits)


def _rounding(
    name: str,
    reals: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.float64],
    bits: int = TOTAL_BITS,
) -> Rounding:
    """Real scales and offsets in units of a result as whole numbers.

    Each channel's shift is the largest with which its factor keeps to `MAGNITUDE_BITS`.

    Args:
        name: of the path, for messages.
        reals: what sums are multiplied by, (outputs,).
        offsets: (outputs,).
        bits: of offsets: `TOTAL_BITS`, in 1/128ths of a result, or `OFFSET_BITS` of a score.

    Raises:
        InvalidDesign: something is not finite, or too large.
    """
    if not (np.isfinite(reals).all() and np.isfinite(offsets).all()):
        raise InvalidDesign(f"{name}: weights and batch norm must be finite to be quantised")
    result = bits == TOTAL_BITS
    scaled = reals * 2**RESULT_SHIFT if result else reals
    size = np.abs(scaled)
    # A bit less than the limit, so that none rounds up to it.
    exponents = np.floor(np.log2(0.9999 * 2**MAGNITUDE_BITS / np.where(size > 0, size, 1.0)))
    shifts = np.clip(exponents, 0, MOST_SHIFT)
    factors = np.rint(scaled * 2.0**shifts)
    if np.abs(factors).max() >= 2**MAGNITUDE_BITS:
        largest = float(np.abs(reals).max())
        most = 2 ** (MAGNITUDE_BITS - RESULT_SHIFT if result else MAGNITUDE_BITS)
        raise InvalidDesign(
            f"{name}: its gain of {largest:.3g} is too large for whole numbers, which have room "
            f"for {most:,}: {_REMEDY}"
        )
    whole = np.rint(offsets * 2**RESULT_SHIFT) + 2 ** (RESULT_SHIFT - 1) if result else offsets
    whole = np.rint(whole)
    if np.abs(whole).max() >= 2 ** (bits - 1):
        largest = float(np.abs(offsets).max())
        most = 2 ** (bits - 1 - RESULT_SHIFT if result else bits - 1)
        raise InvalidDesign(
            f"{name}: its offset of {largest:.3g} is too large for whole numbers, which have room "
            f"for {most:,}: {_REMEDY}"
        )
    return Rounding(
        factors=factors.astype(np.int64),
        shifts=shifts.astype(np.int64),
        offsets=whole.astype(np.int64),
    )


def _check_sums(
    name: str,
    weights: npt.NDArray[np.int8] | None,
    roundings: tuple[Rounding, ...],
    bits: int,
) -> None:
    """Raise `InvalidDesign` unless sums and what they become fit, whatever the input.

    For each output channel, with inputs of at most 127:

        |sum| <= 127 * sum of |weights| < 2^31
        |offset| + |sum| * |factor| / 2^shift < 2^(bits - 1)        of two paths together

    Partial sums are bounded by the same numbers, so the order of additions does not matter, and
    neither C code nor a circuit needs checks of its own.

    Args:
        name: of the path, for messages.
        weights: of the path; None for values as they are.
        roundings: of its sums, or of the two paths that meet.
        bits: of what they become.
    """
    entries: Whole = np.ones(len(roundings[0].factors), dtype=np.int64)
    if weights is not None:
        entries = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    if int(entries.max()) * INT8_LIMIT >= 2**31:
        raise InvalidDesign(
            f"{name}: its sums may reach {int(entries.max()) * INT8_LIMIT:,}, and 32 bits have "
            f"room for {2**31 - 1:,}: use fewer channels or a shorter kernel"
        )
    worst = np.zeros(len(entries))
    for each in roundings:
        scaled = entries * INT8_LIMIT * np.abs(each.factors) / 2.0**each.shifts
        worst = worst + np.abs(each.offsets) + scaled
    if float(worst.max()) >= 2 ** (bits - 1) - 1:
        raise InvalidDesign(
            f"{name}: its scaled sums may reach {float(worst.max()):.3g}, and {bits} bits have "
            f"room for {2 ** (bits - 1) - 2:,}: {_REMEDY}"
        )
