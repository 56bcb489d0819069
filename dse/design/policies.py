"""Replacement policies: which 1x1 matrices of a network become constant ternary, or another kind.

The ternary paper (arXiv 2103.17142) leaves open which layers were replaced; these choices are
ours, each of the first five keeping what the one before replaced:

* P0: none.
* P1: the pointwise matrices of blocks with a skip.
* P2: and the skips: the identity where widths match (batch norm kept), ternary where not.
* P3: and the pointwise matrices of separable blocks without a skip (Conv1 and Conv2).
* P4: and 1x1 blocks that are not separable (Conv3).
* alternate: the pointwise matrices of every second block with a skip (B2, B4, ...).
* half: as P2, but only so many blocks, from the last one on, as leave about half of the trained
  parameters.

The head is always trained. The rule of each, to the letter: `dse.design.replacement`.
"""

import dataclasses

from dse.design.mixer import DENSE, GENERATED_KINDS, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.replacement import POLICIES, Replaced, replaced_places
from dse.errors import InvalidDesign, short
from dse.ternary.generators import Generator, as_generator

__all__ = ["POLICIES", "apply_policy", "is_dense", "is_ternary", "make_dense", "replaced"]


def apply_policy(
    point: DesignPoint,
    policy: str,
    *,
    density: float = 0.25,
    generator: Generator | str = "lfsr_threshold",
    mixer: Mixer | None = None,
) -> DesignPoint:
    """The design with the matrices of a policy replaced.

    Args:
        point: a design; mixers that the policy does not name stay as they are.
        policy: one of `POLICIES`.
        density: share of non-zero entries of the ternary matrices.
        generator: what makes them, see `dse.ternary.generators`.
        mixer: what stands in their place, if it is not a ternary matrix.

    Raises:
        InvalidDesign: the policy is unknown, or a matrix cannot have this density, or the mixer not
            these widths.
    """
    if policy not in POLICIES:
        raise InvalidDesign(f"policy must be one of {', '.join(POLICIES)}, not {short(policy)}")
    if mixer is None:
        mixer = Mixer(kind="ternary", density=density, generator=as_generator(generator))
    blocks, in_channels = [], point.in_channels
    places = replaced_places(policy, point.blocks, in_channels)
    for block, place in zip(point.blocks, places, strict=True):
        blocks.append(replaced(block, in_channels, place, mixer))
        in_channels = block.out_channels
    name = point.name if policy == "P0" or not point.name else f"{point.name}-{policy}"
    return dataclasses.replace(point, blocks=tuple(blocks), name=name)


def replaced(block: Block, in_channels: int, places: Replaced, mixer: Mixer) -> Block:
    """A block with some of its matrices replaced; a skip by the identity where that fits.

    Args:
        block: of a network.
        in_channels: that it reads.
        places: what is replaced of it (`dse.design.replacement`).
        mixer: what stands in their place.
    """
    if not any(places):
        return block
    skip = block.skip
    if places.skip:
        skip = IDENTITY if block.keeps_shape(in_channels) else mixer
    # One copy, as each is checked anew, and a search of widths makes some thousand.
    return dataclasses.replace(block, mixer=mixer if places.main else block.mixer, skip=skip)


def make_dense(point: DesignPoint) -> DesignPoint:
    """The same network with dense matrices where it has others; identities stay.

    The twin by which the price of being ternary is told: same widths, all matrices trained. A
    network of dense matrices is returned itself, the same object.
    """
    blocks = tuple(
        dataclasses.replace(
            block,
            mixer=block.mixer if block.mixer.kind in _TWINS else DENSE,
            skip=block.skip if block.skip is None or block.skip.kind in _TWINS else DENSE,
        )
        for block in point.blocks
    )
    if blocks == point.blocks:
        return point
    # The seed is that of a network without ternary matrices, so that the key is its key, too.
    return dataclasses.replace(point, blocks=blocks, ternary_seed=1, name="")


_TWINS = ("dense", "identity")
"""Kinds that a dense twin keeps."""


def is_dense(point: DesignPoint) -> bool:
    """Whether all matrices of a network are dense, but for identities."""
    return make_dense(point) is point


def is_ternary(point: DesignPoint) -> bool:
    """Whether any matrix of a network has rows that a generator makes."""
    mixers = (mixer for block in point.blocks for mixer in (block.mixer, block.skip))
    return any(mixer is not None and mixer.kind in GENERATED_KINDS for mixer in mixers)
