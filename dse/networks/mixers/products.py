"""Modules of matrices that are products of grouped convolutions."""

from torch import nn

from dse.networks.mixed_convolution import Factors, Shuffle


def build_factors(
    factors: list[tuple[int, int, int]], stride: int, shuffles: dict[int, int] | None = None
) -> Factors:
    """The module of a product.

    Args:
        factors: inputs, outputs and groups of each, the first applied first.
        stride: of the first one.
        shuffles: number of a factor -> groups of the shuffle behind it.
    """
    layers: list[nn.Module] = []
    for index, (inputs, outputs, groups) in enumerate(factors):
        layers.append(
            nn.Conv1d(inputs, outputs, 1, stride=1 if index else stride, groups=groups, bias=False)
        )
        if shuffles and index in shuffles:
            layers.append(Shuffle(shuffles[index]))
    return Factors(*layers)
