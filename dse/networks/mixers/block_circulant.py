"""Block-circulant: each s x s block repeats one row, turned by one place from row to row.

    M[i s + r, j s + c] = w[i, j, (c - r) mod s]        m n / s numbers

A fast Fourier transform could multiply a block in s log s steps; at these widths its complex
arithmetic costs more than it saves, so the machine does all m n MACs a frame and reads a weight for
each: what is saved is room in the weight memory.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """A matrix of m n entries that takes m n / s numbers in the memory."""
    size = place.mixer.block_size
    assert size is not None  # Mixer checked it
    layer = matrix_layer(place, in_frames, out_frames)
    numbers = layer.weight_entries // size
    packed = {"matrix_numbers": numbers, "matrix_bits": numbers * layer.weight_bits}
    return (matrix_layer(place, in_frames, out_frames, **packed),)


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import BlockCirculant

    size = place.mixer.block_size
    assert size is not None  # Mixer checked it
    return BlockCirculant(place.in_channels, place.out_channels, size, stride=place.stride)
