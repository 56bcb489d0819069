"""Constant sparse random ternary 1x1 convolution (arXiv 2103.17142).

Entries -1, 0, +1 that are never trained and never stored: the generator of `dse.ternary` makes them
from the design's seed and the layer's name, on chip as here. No multiplications.
"""

from typing import TYPE_CHECKING

from cost_models.workload import GeneratorFamily, GeneratorSpec, Layer, LayerKind, WeightSource
from dse.mixers.place import Place
from dse.ternary import STATE_BITS, THRESHOLD_BITS, FanIn, count_nonzeros

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int) -> Layer:
    """The layer that a machine executes; its non-zeros are counted on the matrix."""
    density, fan_in = _rule(place)
    rows, columns = place.out_channels, place.in_channels
    return Layer(
        name=place.name,
        kind=LayerKind.POINTWISE,
        in_channels=columns,
        out_channels=rows,
        in_frames=in_frames,
        out_frames=out_frames,
        stride=place.stride,
        weights=WeightSource.GENERATED,
        nonzeros=count_nonzeros(place.ternary_seed, place.name, rows, columns, density, fan_in),
        generator=_generator(density, fan_in),
        weight_bits=2,
    )


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), nothing to train."""
    # Imported here: what a search prices must not load torch.
    from dse.ternary_convolution import TernaryConv1d

    density, fan_in = _rule(place)
    return TernaryConv1d(
        place.in_channels,
        place.out_channels,
        density=density,
        fan_in=fan_in,
        seed=place.ternary_seed,
        layer=place.name,
        stride=place.stride,
    )


def _generator(density: float, fan_in: FanIn) -> GeneratorSpec:
    if fan_in == "one_hot":
        bits = round(1 / density).bit_length() - 1
        return GeneratorSpec(
            family=GeneratorFamily.ONE_HOT, state_bits=STATE_BITS, decision_bits=bits
        )
    return GeneratorSpec(
        family=GeneratorFamily.LFSR_THRESHOLD,
        state_bits=STATE_BITS,
        decision_bits=THRESHOLD_BITS,
    )


def _rule(place: Place) -> tuple[float, FanIn]:
    density, fan_in = place.mixer.density, place.mixer.fan_in
    assert density is not None and fan_in is not None  # Mixer checked it
    return density, fan_in
