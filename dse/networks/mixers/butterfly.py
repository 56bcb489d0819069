"""Butterfly: log2 N factors, each of which mixes pairs of channels (arXiv 1903.05895).

    y = B_k P ... B_2 P B_1 x        B_i: N / 2 blocks of 2 x 2,  P the perfect shuffle

The data flow of a fast Fourier transform with all its numbers trained: 2 N log2 N weights (768 of
64 by 64) and as many MACs a frame, and every output hears every input. Widths are powers of two.
Where they differ, the first factors double the channels (blocks of 2 x 1), or the last ones halve
them (1 x 2), with a full butterfly of the narrower width's depth beside:

    16 -> 64    1->2, 1->2, then log2 16 = 4 factors of 64 channels
    64 -> 16    4 factors of 64 channels, then 2->1, 2->1
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import factor_layers

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Its factors in a row; shuffles are where their outputs are put."""
    return factor_layers(place, in_frames, out_frames, _factors(place))


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias.

    A shuffle stands behind each factor that does not halve the channels. It moves the lowest bit of
    a channel's number to the top, so that the pairs of the next factor differ in the next bit; of
    doubled channels it puts one copy behind the other.
    """
    from dse.networks.mixers.products import build_factors

    factors = _factors(place)
    narrowest = [index for index, (inputs, outputs, _) in enumerate(factors) if outputs >= inputs]
    shuffles = {index: factors[index][1] // 2 for index in narrowest}
    return build_factors(factors, place.stride, shuffles)


def _factors(place: Place) -> list[tuple[int, int, int]]:
    inputs, outputs = place.in_channels, place.out_channels
    widths = [inputs]
    while widths[-1] < outputs:
        widths.append(2 * widths[-1])
    doubling = [(width, 2 * width, width) for width in widths[:-1]]
    wide = widths[-1]
    square = [(wide, wide, wide // 2)] * (min(inputs, outputs).bit_length() - 1)
    halving = []
    while wide > outputs:
        halving.append((wide, wide // 2, wide // 2))
        wide //= 2
    return [*doubling, *square, *halving]
