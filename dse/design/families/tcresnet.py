"""The TC-ResNet family: features as channels, convolutions over time alone, one answer a clip.

TC-ResNet (Choi et al., arXiv 1904.03814, figure 3) reads 40 MFCC a frame as channels, so that its
convolutions move along time only: one of kernel 3, residual blocks of two convolutions of kernel 9,
the average over time, and a linear layer. A block that widens also halves the frames, and then has
a 1x1 with batch norm on its skip; all others have the bare identity.

                    Conv1  B1        B2        B3        head
    TC-ResNet8      16     24 s2     32 s2     48 s2             two convolutions a block
    TC-ResNet14     16     24 s2 24  32 s2 32  48 s2 48          each block twice (`block_repeats`)
    frames of 98    98     49        25        13        1

`tcresnet-8-1.5` has all widths times k = 1.5 (`width_percent`). None of its matrices is a 1x1 but
those of skips, so a ternary one finds few places; with `separable` and `prologue_separable` every
convolution becomes a depthwise one and a 1x1, as in MatchboxNet: a variant of ours, by the name
`tcresnet-8-separable`.

What a design cannot say of the published network: a ReLU behind the 1x1 of a skip, which the
authors' program has (its layers default to one), and dropout behind the average (here it is a
block's). Neither has parameters or MACs, so the counts are the same; errors may differ.

The paper's counts are these (`tests/dse/design/test_tcresnet.py`): its parameters are the trained
ones and two running statistics for each normalised channel, its FLOPs are two for each MAC.
"""

import re

from dse.design.families.family import Family, Values
from dse.design.families.residual import WIDTH, residual_family

BLOCKS = 3
"""That widen, of both depths."""


def _named(name: str) -> Values | None:
    """`tcresnet-14-1.5-separable` as values of axes."""
    match = re.fullmatch(r"tcresnet-(8|14)(?:-(\d)(?:\.(\d{1,2}))?)?(-separable)?", name)
    if match is None:
        return None
    values: Values = {} if match[1] == "8" else {"block_repeats": 2}
    percent = 100 * int(match[2] or 1) + int((match[3] or "0").ljust(2, "0"))
    if percent == 0:
        return None
    values |= {} if percent == 100 else {WIDTH: percent}
    return values | ({"separable": True, "prologue_separable": True} if match[4] else {})


TCRESNET: Family = residual_family(
    name="tcresnet",
    default="TC-ResNet8",
    layers=("Conv1",),
    head="pooled",
    defaults={
        "blocks": BLOCKS,
        "block_repeats": 1,
        "separable": False,
        "prologue_separable": False,
        "skip": "identity_or_dense",
        "repeats": 2,
        "channels": (24, 32, 48),
        "kernel": 9,
        "stride": 2,
        "prologue_channels": 16,
        "prologue_kernel": 3,
        "prologue_stride": 1,
    },
    without=("skip_norm",),
    named=_named,
    features=40,
    width=WIDTH,
)

tcresnet = TCRESNET.build
