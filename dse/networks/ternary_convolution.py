"""The ternary mixing layer in torch."""

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

        Raises:
            InvalidDesign: the generator cannot make this density.
        """
        super().__init__()
        self.stride = stride
        self.layer = layer
        matrix = ternary_matrix(seed, layer, out_channels, in_channels, density, generator)
        self.register_buffer(
            "weight", torch.from_numpy(matrix).float()[:, :, None], persistent=False
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, T) -> (N, out_channels, ceil(T / stride))."""
        return functional.conv1d(inputs, self.weight.to(inputs.dtype), stride=self.stride)

    def extra_repr(self) -> str:
        """Shape and number of non-zero entries, for `print(network)`."""
        rows, columns, _ = self.weight.shape
        return f"{columns}, {rows}, nonzeros={int(self.weight.count_nonzero())}"
