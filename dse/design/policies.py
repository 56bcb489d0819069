"""Replacement policies: which 1x1 matrices of a network become constant ternary.

The ternary paper (arXiv 2103.17142) leaves open which layers were replaced; these five steps are
ours, each keeping what the one before replaced:

* P0: none.
* P1: the pointwise matrices of blocks with a skip.
* P2: and the skips: the identity where widths match (batch norm kept), ternary where not.
* P3: and the pointwise matrices of separable blocks without a skip (Conv1 and Conv2).
* P4: and 1x1 blocks that are not separable (Conv3).

The head is always trained.
"""

import dataclasses

from dse.design.point import DENSE, IDENTITY, Block, DesignPoint, Mixer
from dse.errors import InvalidDesign, short
from dse.ternary.generators import Generator, as_generator

POLICIES = ("P0", "P1", "P2", "P3", "P4")


def apply_policy(
    point: DesignPoint,
    policy: str,
    *,
    density: float,
    generator: Generator | str = "lfsr_threshold",
) -> DesignPoint:
    """The design with the matrices of a policy replaced.

    Args:
        point: a design; mixers that the policy does not name stay as they are.
        policy: one of `POLICIES`.
        density: share of non-zero entries of the ternary matrices.
        generator: what makes them, see `dse.ternary.generators`.

    Raises:
        InvalidDesign: the policy is unknown, or a matrix cannot have this density.
    """
    if policy not in POLICIES:
        raise InvalidDesign(f"policy must be one of {', '.join(POLICIES)}, not {short(policy)}")
    ternary = Mixer(kind="ternary", density=density, generator=as_generator(generator))
    blocks, in_channels = [], point.in_channels
    for block in point.blocks:
        blocks.append(replaced(block, in_channels, policy, ternary))
        in_channels = block.out_channels
    name = point.name if policy == "P0" or not point.name else f"{point.name}-{policy}"
    return dataclasses.replace(point, blocks=tuple(blocks), name=name)


def replaced(block: Block, in_channels: int, policy: str, ternary: Mixer) -> Block:
    """A block with its matrices replaced as `policy` says; it reads `in_channels` channels."""
    level = POLICIES.index(policy)
    if not level:
        return block
    if block.replaced_from is not None and level >= block.replaced_from:
        block = dataclasses.replace(block, mixer=ternary)
    if block.skip is not None and level >= 2:
        identity = block.skip_under(level, in_channels) == "identity"
        block = dataclasses.replace(block, skip=IDENTITY if identity else ternary)
    return block


def make_dense(point: DesignPoint) -> DesignPoint:
    """The same network with dense matrices where it has ternary ones; identities stay.

    The twin by which the price of being ternary is told: same widths, all matrices trained. A
    network without ternary matrices is returned itself, the same object.
    """
    blocks = tuple(
        dataclasses.replace(
            block,
            mixer=DENSE if block.mixer.kind == "ternary" else block.mixer,
            skip=DENSE if block.skip and block.skip.kind == "ternary" else block.skip,
        )
        for block in point.blocks
    )
    if blocks == point.blocks:
        return point
    # The seed is that of a network without ternary matrices, so that the key is its key, too.
    return dataclasses.replace(point, blocks=blocks, ternary_seed=1, name="")


def is_dense(point: DesignPoint) -> bool:
    """Whether no matrix of a network is ternary."""
    return make_dense(point) is point
