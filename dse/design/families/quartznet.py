"""The QuartzNet family: deep residual blocks for sentences, and an answer at every frame.

QuartzNet-BxR (arXiv 1910.10261, table 1) is C1 with stride 2, then five blocks that each stand
B / 5 times in a row (`block_repeats`) and have R sub-blocks, then C2 with dilation 2 and C3, then a
head that scores every frame (CTC). The defaults are QuartzNet-5x5. C1 and C2 are separable: with
convolutions over all channels the counts would be 20 M and more.

    numbered block    1     2     3     4     5
    kernel           33    39    51    63    75
    channels        256   256   512   512   512
"""

import re

from dse.design.families.family import Family, Values
from dse.design.families.residual import CONVOLUTIONAL, residual_family

BLOCKS = 5
"""Of the paper's table."""


def _named(name: str) -> Values | None:
    """`quartznet-15x5` as values of axes: five blocks, each three times, of five sub-blocks."""
    match = re.fullmatch(r"quartznet-(\d{1,2})x(\d{1,2})", name)
    if match is None or int(match[1]) % BLOCKS or not int(match[1]) // BLOCKS >= 1:
        return None
    values: Values = {"repeats": int(match[2])}
    copies = int(match[1]) // BLOCKS
    return values if copies == 1 else {"block_repeats": copies, **values}


QUARTZNET: Family = residual_family(
    name="quartznet",
    default="QuartzNet-5x5",
    layers=("C1", "C2", "C3"),
    head="framewise",
    defaults={
        "blocks": BLOCKS,
        "block_repeats": 1,
        "repeats": 5,
        "channels": (256, 256, 512, 512, 512),
        "kernel": (33, 39, 51, 63, 75),
        "prologue_channels": 256,
        "prologue_kernel": 33,
        "prologue_stride": 2,
        "epilogue_channels": 512,
        "epilogue_kernel": 87,
        "epilogue_dilation": 2,
        "final_channels": 1024,
    },
    without=CONVOLUTIONAL,
    named=_named,
)

quartznet = QUARTZNET.build
