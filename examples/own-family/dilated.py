"""A family of one's own: separable blocks whose dilation doubles, as in WaveNet (arXiv 1609.03499).

    features -> First -> D1 (dilation 1) -> D2 (2) -> D3 (4) -> ... -> pooled head

After n blocks of kernel K the network has heard 1 + (K - 1) (2^n - 1) frames. Each block has a bare
identity for a skip, and its 1x1 may be any mixing layer: `mixer`, or `mixer_b2` for one block.
docs/how-to/own-family.md explains it line by line.
"""

from dse.design.families.own import IDENTITY, MIXING, Axis, Block, Chosen, block_family, kind_axis


def blocks(chosen: Chosen) -> list[Block]:
    """The blocks of the network of chosen values; `chosen("channels")` is one of them."""
    first = Block(name="First", out_channels=chosen("channels"), kernel_size=3)
    dilated = [
        Block(
            name=f"D{number}",
            out_channels=chosen("channels"),
            kernel_size=chosen("kernel"),
            dilation=2 ** (number - 1),
            dropout=chosen("dropout"),
            mixer=chosen.mixer("mixer", number),
            skip=IDENTITY,
            skip_norm=False,
        )
        for number in range(1, chosen("blocks") + 1)
    ]
    return [first, *dilated]


FAMILY = block_family(
    name="dilated",
    default="four blocks of 32 channels",
    axes={
        "blocks": Axis(default=4, maximum=8, help="blocks, each of twice the dilation"),
        "mixer": kind_axis("1x1 of the blocks", per_block=True),
        "density": MIXING["density"],
        "ternary_seed": MIXING["ternary_seed"],
        "channels": Axis(default=32, maximum=512, help="channels of all blocks"),
        "kernel": Axis(default=5, odd=True, minimum=3, maximum=31, help="kernel of all blocks"),
        "dropout": Axis(default=0.0, minimum=0.0, maximum=0.5, fills="always", help="of a block"),
    },
    blocks=blocks,
    places=("mixer",),
)
