"""Products of two matrices, in float32 by the faster of two libraries.

torch multiplies float32 by MKL, which on AMD's processors uses half the width of the vector units;
oneDNN, which torch brings along for convolutions, uses all of it. `dse.processor` times both, once,
on processors that name units for bfloat16, and remembers which is faster; others take MKL.
"""

from contextlib import suppress

import torch
from torch import Tensor

from dse.processor import float32_by_onednn


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product left @ right, without gradients.

    For use within `torch.autograd.Function`s, which write their own backward pass.

    Args:
        left: (rows, inner), contiguous or the transpose of a contiguous matrix.
        right: (inner, columns), likewise: oneDNN takes a thousand times as long for anything else.
    """
    if left.dtype == torch.float32 and left.device.type == "cpu" and float32_by_onednn():
        with suppress(RuntimeError):  # oneDNN has no memory left for its code; MKL needs none
            return _by_onednn(left, right)
    return torch.mm(left, right)


def _by_onednn(left: Tensor, right: Tensor) -> Tensor:
    """What `torch.compile` makes of `nn.Linear`; eager torch has no other way to this product."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return found
