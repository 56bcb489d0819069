"""Low rank plus a residual of codes: the form of ReALLM (arXiv 2405.13155).

    M = U V + C[codes]        U (m, r), V (r, n);  m n / l codes of b bits,  C (2^b, l)

A storage-compressed dense matrix: of 64 by 64 with r = 4, l = 4, b = 6 it takes

    8 r (m + n) + b m n / l + 8 l 2^b = 4,096 + 6,144 + 2,048 bits in place of 32,768

The two parts are executed side by side and summed; codes are unpacked at the memory, and multiplied
like a dense matrix. In training a code follows a latent residual, which is trained too.
"""

from typing import TYPE_CHECKING

from cost_models.workload import Layer, LayerKind
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer

if TYPE_CHECKING:
    from torch import nn


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """Two thin matrices in a row, the residual beside them, and the sum of both."""
    rank, length, bits = _sizes(place)
    down = matrix_layer(place, in_frames, out_frames, name=f"{place.name}.down", out_channels=rank)
    up = matrix_layer(
        place, out_frames, out_frames, name=f"{place.name}.up", in_channels=rank, stride=1
    )
    entries = place.in_channels * place.out_channels
    table = length * 2**bits
    residual = matrix_layer(
        place,
        in_frames,
        out_frames,
        name=f"{place.name}.codes",
        reads=(before,),
        matrix_numbers=entries + table,
        matrix_bits=entries // length * bits + 8 * table,
    )
    total = Layer(
        name=place.name,
        kind=LayerKind.RESIDUAL_ADD,
        in_channels=place.out_channels,
        out_channels=place.out_channels,
        in_frames=out_frames,
        out_frames=out_frames,
        reads=(residual.name, up.name),
    )
    return down, up, residual, total


def build(place: Place) -> "nn.Module":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), without bias."""
    from dse.networks.made_matrices import Codebook

    rank, length, bits = _sizes(place)
    return Codebook(place.in_channels, place.out_channels, rank, length, bits, stride=place.stride)


def _sizes(place: Place) -> tuple[int, int, int]:
    mixer = place.mixer
    assert mixer.rank is not None  # Mixer checked them
    assert mixer.code_length is not None and mixer.code_bits is not None
    return mixer.rank, mixer.code_length, mixer.code_bits
