"""The ternary mixing layer in torch.

    y[o, t] = sum_i W[o, i] x[i, s t],    W[o, i] in {-1, 0, +1}, drawn once and never trained

Sparse random signs keep distances between inputs about as they are (random projections, Achlioptas
2003). What is learned stands around the matrix: depthwise kernels before it, gains and offsets of
the batch norm behind it. A machine needs adders and no multipliers for it, and a generator in place
of a memory.

Source: arXiv 2103.17142.
"""

import torch
from torch import nn
from torch.nn import functional

from dse.ternary.generators import Generator
from dse.ternary.matrix import ternary_matrix


class TernaryConv1d(nn.Module):
    """A 1x1 convolution with a constant sparse random ternary matrix.

    The matrix is a function of (seed, layer): it is not a parameter, and as a non-persistent buffer
    it is not in the checkpoint. The sums it gives have variance `density * in_channels` times that
    of the input; the batch norm that follows every 1x1 of these networks takes the scale out.
    """

    weight: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        density: float,
        generator: Generator,
        seed: int,
        layer: str,
        stride: int = 1,
    ) -> None:
        """Generate the matrix.

        Args:
            in_channels: columns of the matrix.
            out_channels: its rows.
            density: share of entries that are not zero, as nearly as the generator makes it.
            generator: the family and its settings.
            seed: the design's `ternary_seed`.
            layer: name of the layer (`B1.0.pw`). Two layers of one name and shape would be equal.
            stride: frames from one output to the next.

        Raises:
            InvalidDesign: the generator cannot make this density.
        """
        super().__init__()
        self.stride = stride
        self.layer = layer
        self.density, self.generator, self.seed = density, generator, seed
        matrix = ternary_matrix(seed, layer, out_channels, in_channels, density, generator)
        # (rows, columns, 1) in float32: a kernel of `conv1d`. A buffer moves with the module to a
        # device; it is not among `parameters()`, so no optimiser sees it.
        self.register_buffer(
            "weight", torch.from_numpy(matrix).float()[:, :, None], persistent=False
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)).

        Of pixels, (N, in_channels, T, bins), every frame's bins go with it.
        """
        weight = self.weight.to(inputs.dtype)
        if inputs.ndim == 4:
            return functional.conv2d(inputs, weight.unsqueeze(-1), stride=(self.stride, 1))
        return functional.conv1d(inputs, weight, stride=self.stride)

    def extra_repr(self) -> str:
        """Shape and number of non-zero entries, for `print(network)`."""
        rows, columns, _ = self.weight.shape
        return f"{columns}, {rows}, nonzeros={int(self.weight.count_nonzero())}"
