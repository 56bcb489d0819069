"""Which 1x1 matrices of a row of blocks each policy replaces: the rule alone, no mixers.

`dse.design.policies` replaces by it, families of networks build by it, and a design's summary is
read by it. A place is a block's 1x1 matrices (those of all its sub-blocks) or its skip.

    P0 ... P4     more and more of them, kind by kind (`dse.design.policies`)
    alternate     the 1x1 of every second block with a skip: of B2, B4, ...
    half          as many as leave about half of the trained parameters

*half* is decided greedily. T are the trained parameters of the network while all its matrices are
dense, its head aside (how many outputs that has is the task's matter, and a design does not know
it); t is what is left of them. Blocks with a skip are looked at from the last to the first, and in
each its 1x1 matrices before its skip; a place is replaced where that brings t nearer to T / 2.

Later blocks are wider, so few are enough: of QuartzNet-15x5 the last six, which are B4 and B5 of
its paper, and 50.05 % of T are left. A small network with few places may end further off, as
MatchboxNet-3x1x64 does with 55 %.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dse.design.point import Block

LEVELS = ("P0", "P1", "P2", "P3", "P4")
"""Each keeps what the one before replaced."""
POLICIES = (*LEVELS, "alternate", "half")


class Replaced(NamedTuple):
    """What a policy replaces of a block."""

    main: bool
    """Its 1x1 matrices."""
    skip: bool
    """Its skip: by an identity where widths and frames are kept."""


def replaced_places(
    policy: str, blocks: "Sequence[Block]", in_channels: int
) -> tuple[Replaced, ...]:
    """What a policy replaces, block by block, whatever stands at the places now.

    Args:
        policy: one of `POLICIES`.
        blocks: of a network; for `P0` to `P4`, any of them, as these look at each block by itself.
        in_channels: that the first of them reads.
    """
    if policy == "alternate":
        return tuple(_alternate(blocks))
    if policy == "half":
        return _half(blocks, in_channels)
    level = LEVELS.index(policy)
    return tuple(_of_level(block, level) for block in blocks)


def _of_level(block: "Block", level: int) -> Replaced:
    first = block.replaced_from
    return Replaced(first is not None and level >= first, block.skip is not None and level >= 2)


def _alternate(blocks: "Sequence[Block]") -> Iterator[Replaced]:
    number = 0
    for block in blocks:
        number += block.skip is not None
        second = block.skip is not None and number % 2 == 0
        yield Replaced(second and block.replaced_from is not None, False)


def _half(blocks: "Sequence[Block]", in_channels: int) -> tuple[Replaced, ...]:
    reads = [in_channels, *(block.out_channels for block in blocks)]
    sizes = [_sizes(block, channels) for block, channels in zip(blocks, reads, strict=False)]
    total = left = sum(map(sum, sizes))
    replaced = [[False, False] for _ in blocks]
    for index, place in _in_order(blocks):
        without = left - sizes[index][place]
        # Twice each side, so that all is whole numbers: |t' - T/2| < |t - T/2|.
        if abs(2 * without - total) < abs(2 * left - total):
            replaced[index][place], left = True, without
    return tuple(Replaced(*places) for places in replaced)


def _in_order(blocks: "Sequence[Block]") -> Iterator[tuple[int, int]]:
    """(block, 0 for its 1x1 or 1 for its skip) in the order of the rule."""
    for index in reversed(range(len(blocks))):
        if blocks[index].skip is not None:
            if blocks[index].replaced_from is not None:
                yield index, 0
            yield index, 1


def _sizes(block: "Block", in_channels: int) -> tuple[int, int, int]:
    """Trained parameters of its 1x1 matrices, its skip and all the rest, with dense matrices.

    C channels out of n, kernel of K taps, R sub-blocks: depthwise filters n K + (R - 1) C K,
    matrices n C + (R - 1) C C, a skip n C, and 2 C for each batch norm of C channels.
    """
    out, kernel = block.out_channels, block.kernel_size * block.kernel_bins
    widths = [in_channels] + [out] * (block.repeats - 1)
    mixes = block.mixes
    matrices = sum(width * out for width in widths) // block.groups * (1 if mixes else kernel)
    rest = 2 * out * block.repeats + (kernel * sum(widths) if block.separable else 0)
    rest += 2 * sum(widths) * block.depthwise_norm
    if block.skip is None:
        return (matrices, 0, rest) if mixes else (0, 0, rest + matrices)
    rest += 2 * out * block.skip_norm
    skip = in_channels * out
    return (matrices, skip, rest) if mixes else (0, skip, rest + matrices)
