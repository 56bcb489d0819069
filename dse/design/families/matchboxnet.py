"""The MatchboxNet family: residual blocks for words, and one answer a clip.

MatchboxNet-BxRxC (arXiv 2004.08531, table 1) is Conv1, then B residual blocks of R sub-blocks and C
channels, then Conv2 and Conv3, then the head, which averages over time. The defaults are
MatchboxNet-3x1x64; kernels grow by 2 from block to block.
"""

import re

from dse.design.families.family import Family, Values
from dse.design.families.residual import CONVOLUTIONAL, COPIES, residual_family


def _named(name: str) -> Values | None:
    """`matchboxnet-3x2x64` as values of axes."""
    match = re.fullmatch(r"matchboxnet-(\d{1,2})x(\d{1,2})x(\d{1,4})", name)
    if match is None:
        return None
    blocks, repeats, channels = map(int, match.groups())
    return {"blocks": blocks, "repeats": repeats, "channels": channels}


MATCHBOXNET: Family = residual_family(
    name="matchboxnet",
    default="MatchboxNet-3x1x64",
    layers=("Conv1", "Conv2", "Conv3"),
    head="pooled",
    defaults={
        "blocks": 3,
        "repeats": 1,
        "channels": 64,
        "kernel": 13,
        "kernel_growth": 2,
        "prologue_channels": 128,
        "prologue_kernel": 11,
        "prologue_stride": 1,
        "epilogue_channels": 128,
        "epilogue_kernel": 29,
        "epilogue_dilation": 2,
        "final_channels": 128,
    },
    without=(COPIES, *CONVOLUTIONAL),
    named=_named,
)

AXES = MATCHBOXNET.axes
matchboxnet = MATCHBOXNET.build
