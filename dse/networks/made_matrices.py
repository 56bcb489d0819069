"""Matrices that are made of other numbers than their entries: the modules of `MixedConv1d`.

Trits, codes and other choices have no derivative. Training passes the gradient of the chosen entry
on to the number behind it as if there had been no choice (straight-through estimator, Bengio et
al., arXiv 1308.3432):

    made = latent + (choice(latent) - latent).detach()
"""

import hashlib

import numpy as np
import torch
from torch import Tensor, nn

from dse.networks.mixed_convolution import MixedConv1d
from dse.networks.ternary_convolution import TernaryConv1d


def _drawn(rows: int, columns: int) -> nn.Parameter:
    """Weights as every dense layer begins (Xavier-uniform), from torch's global generator."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def _through(latent: Tensor, made: Tensor) -> Tensor:
    """The value of `made` with the gradient of `latent`."""
    return latent + (made - latent).detach()


class FrozenDense(MixedConv1d):
    """Normal numbers of variance 1 / inputs, a function of (seed, layer): nothing to train."""

    weight: Tensor

    def __init__(
        self, inputs: int, outputs: int, *, seed: int, layer: str, stride: int = 1
    ) -> None:
        """Draw the matrix; like a ternary one it is a buffer that no checkpoint holds."""
        super().__init__(stride)
        digest = hashlib.sha256(f"frozen_dense/{seed}/{layer}".encode()).digest()
        rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16])))
        drawn = rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)
        self.register_buffer("weight", torch.from_numpy(drawn).float(), persistent=False)

    def matrix(self) -> Tensor:
        """As it was drawn."""
        return self.weight


class ScaledTernary(MixedConv1d):
    """Constant trits times a trained gain for each output, which begins at 1."""

    def __init__(self, ternary: TernaryConv1d) -> None:
        """Take over a generated matrix."""
        super().__init__(ternary.stride)
        self.ternary = ternary
        self.gain = nn.Parameter(torch.ones(len(ternary.weight)))

    def matrix(self) -> Tensor:
        """Gains down the rows of the trits."""
        return self.gain[:, None] * self.ternary.weight[:, :, 0]


class PartlyTernary(MixedConv1d):
    """Trained rows above generated ones."""

    def __init__(self, rows: int, ternary: TernaryConv1d) -> None:
        """Draw the trained rows; take over the generated ones."""
        super().__init__(ternary.stride)
        self.ternary = ternary
        self.weight = _drawn(rows, ternary.weight.shape[1])

    def matrix(self) -> Tensor:
        """Both, the trained rows first."""
        return torch.cat([self.weight, self.ternary.weight[:, :, 0]])


class BlockCirculant(MixedConv1d):
    """Blocks whose rows are one row, turned: M[i s + r, j s + c] = w[i, j, (c - r) mod s]."""

    turned: Tensor

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1) -> None:
        """Draw the first row of each block."""
        super().__init__(stride)
        # As the matrix that they fill, not as one of the shape that they have.
        bound = (6 / (inputs + outputs)) ** 0.5
        numbers = torch.empty(outputs // size, inputs // size, size)
        self.weight = nn.Parameter(nn.init.uniform_(numbers, -bound, bound))
        rows = torch.arange(size)
        self.register_buffer("turned", (rows[None] - rows[:, None]) % size, persistent=False)

    def matrix(self) -> Tensor:
        """All blocks written out: (i, j, r, c) -> (i r, j c)."""
        rows, columns, size = self.weight.shape
        blocks = self.weight[:, :, self.turned]
        return blocks.transpose(1, 2).reshape(rows * size, columns * size)


class ThresholdTernary(MixedConv1d):
    """Trits by a threshold on the mean magnitude, and the scale that fits the latent weights."""

    def __init__(self, inputs: int, outputs: int, threshold: float, *, stride: int = 1) -> None:
        """Draw the latent weights."""
        super().__init__(stride)
        self.weight = _drawn(outputs, inputs)
        self.threshold = threshold

    def matrix(self) -> Tensor:
        """alpha, 0 or -alpha."""
        sizes = self.weight.detach().abs()
        kept = sizes > self.threshold * sizes.mean()
        scale = sizes[kept].mean() if kept.any() else sizes.mean()
        return _through(self.weight, scale * self.weight.sign() * kept)


class AbsmeanTernary(MixedConv1d):
    """Trits by rounding in units of the mean magnitude, which is also their scale."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        """Draw the latent weights."""
        super().__init__(stride)
        self.weight = _drawn(outputs, inputs)

    def matrix(self) -> Tensor:
        """g, 0 or -g; a matrix of zeros stays one."""
        scale = self.weight.detach().abs().mean().clamp_min(1e-12)
        trits = (self.weight.detach() / scale).clamp(-1, 1).round()
        return _through(self.weight, scale * trits)


class LearnedTernary(MixedConv1d):
    """Trits with a learned scale for each sign; both begin at the mean magnitude.

    The gradient of an entry goes to its scale, and times that scale to the latent weight; where the
    entry is zero, to the latent weight as it is (arXiv 1612.01064).
    """

    def __init__(self, inputs: int, outputs: int, threshold: float, *, stride: int = 1) -> None:
        """Draw the latent weights."""
        super().__init__(stride)
        self.weight = _drawn(outputs, inputs)
        self.threshold = threshold
        self.scales = nn.Parameter(self.weight.detach().abs().mean().repeat(2))

    def matrix(self) -> Tensor:
        """p, 0 or -q."""
        latent = self.weight.detach()
        limit = self.threshold * latent.abs().max()
        above, below = (latent > limit).float(), (latent < -limit).float()
        made = self.scales[0] * above - self.scales[1] * below
        scales = self.scales.detach()
        gain = scales[0] * above + scales[1] * below + (1 - above - below)
        passed = gain * self.weight
        return made + passed - passed.detach()


class Codebook(MixedConv1d):
    """Two thin matrices and a residual of codes, each the entry of a table that is nearest to it.

    Entries begin as pieces of the residual, so that none begins far from all of it. A code's
    gradient goes to its entry and to the latent residual alike.
    """

    def __init__(
        self, inputs: int, outputs: int, rank: int, length: int, bits: int, *, stride: int = 1
    ) -> None:
        """Draw all of them."""
        super().__init__(stride)
        self.up, self.down = _drawn(outputs, rank), _drawn(rank, inputs)
        self.residual = _drawn(outputs, inputs)
        pieces = self.residual.detach().view(-1, length)
        first = torch.randint(len(pieces), (2**bits,))
        self.table = nn.Parameter(pieces[first].clone())

    def matrix(self) -> Tensor:
        """U V + C[codes]."""
        pieces = self.residual.view(-1, self.table.shape[1])
        codes = torch.cdist(pieces.detach(), self.table.detach()).argmin(dim=1)
        passed = pieces - pieces.detach()
        return self.up @ self.down + (self.table[codes] + passed).view_as(self.residual)
