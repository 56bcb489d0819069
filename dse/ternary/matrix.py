"""The ternary matrix as a function: `weight(seed, layer, row, column) -> {-1, 0, +1}`.

The reference model of the generators that hardware builds: the torch layer, the counts of the cost
models and the exported Verilog agree with it bit for bit. A family of `dse.ternary.generators`, the
design's choice, turns the layer's start state into a stream of entries; how many of them a machine
makes per cycle (its lanes) never changes it. Where they stand is the order of the matrix
(`dse.ternary.order`), row by row unless the generator has a tile. The families are compared in
docs/evidence/generator.md.
"""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign
from dse.ternary.generators import Generator, as_generator, find_family
from dse.ternary.order import arrange

DENSITY_STEPS = 256
"""Densities that are searched as a range are n/256: what the default generator can make."""

DEFAULT = Generator()


def start_state(seed: int, layer: str, generator: Generator = DEFAULT) -> npt.NDArray[np.uint8]:
    """The bits that start a layer's generator: a hash of seed and layer name, never all zero.

    Hashing the name gives each layer a stream of its own from one seed: neighbouring seeds, or
    layers of similar names, start at places that have nothing to do with each other. It is done
    once, on the computer that exports; hardware and C are given the bits.

    Args:
        seed: any integer; the design's `ternary_seed`.
        layer: name of the layer within the network, such as `B2.1.pw`.
        generator: decides how many bits.

    Returns:
        Bits, oldest first, dtype uint8: the leading bits of SHA-256 of `ternary-dse/SEED/LAYER`,
        then of the same text with `/1`, `/2`, ... where one hash is too short.
    """
    text = f"ternary-dse/{seed}/{layer}"
    count = find_family(generator).state_bits(generator)
    digest = hashlib.sha256(text.encode()).digest()
    for more in range(1, -(-count // 256)):
        digest += hashlib.sha256(f"{text}/{more}".encode()).digest()
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8))[:count].copy()
    bits[-1] |= not bits.any()  # all zero is the one state that a shift register never leaves
    return bits


def check_density(
    density: float, generator: Generator | str = DEFAULT, in_channels: int | None = None
) -> None:
    """Raise `InvalidDesign` unless the generator can make this density exactly, and should.

    Args:
        density: share of entries that are not zero.
        generator: with its parameters, or a family's name.
        in_channels: columns of the matrix, if known: blocks must divide them.
    """
    if not 0 < density <= 1:
        raise InvalidDesign(f"density must be in (0, 1], not {density}")
    generator = as_generator(generator)
    find_family(generator).check(generator, density, in_channels)


def ternary_matrix(
    seed: int,
    layer: str,
    rows: int,
    columns: int,
    density: float,
    generator: Generator | str = DEFAULT,
) -> npt.NDArray[np.int8]:
    """The constant ternary matrix of one layer.

    Args:
        seed: the design's `ternary_seed`.
        layer: name of the layer within the network.
        rows: output channels, at least 1.
        columns: input channels, at least 1.
        density: share of non-zero entries (expected, or exact where fan-in is).
        generator: with its parameters, or a family's name.

    Returns:
        Entries -1, 0 and +1, shape (rows, columns), dtype int8. The same on every machine.

    Raises:
        InvalidDesign: the generator cannot make this density, or its blocks do not divide the
            columns.
    """
    generator = as_generator(generator)
    check_density(density, generator, columns)
    state = start_state(seed, layer, generator)
    stream = find_family(generator).matrix(generator, density, state, rows, columns)
    return arrange(stream, generator.tile)


@lru_cache(maxsize=65_536)
def count_nonzeros(
    seed: int, layer: str, rows: int, columns: int, density: float, generator: Generator
) -> int:
    """Exact number of non-zero entries of `ternary_matrix`, remembered between calls.

    Additions follow from it, so a cost is that of the very matrix, not of its expected density. A
    search asks for the same layers over and over; families of exact fan-in need no matrix at all.

    Raises:
        InvalidDesign: as `ternary_matrix`.
    """
    if find_family(generator).EXACT_FAN_IN:  # one a block, whatever the seed
        check_density(density, generator, columns)
        return rows * columns // round(1 / density)
    mask = nonzero_mask(seed, layer, rows, columns, density, generator)
    return int(np.unpackbits(np.frombuffer(mask, dtype=np.uint8)).sum())


@lru_cache(maxsize=16_384)
def nonzero_mask(
    seed: int, layer: str, rows: int, columns: int, density: float, generator: Generator
) -> bytes:
    """Which entries are not zero, row-major, eight a byte, the first the most significant bit.

    Bytes rather than an array because they are remembered: an array could be changed by whoever
    gets it, and takes eight times the memory. Padded with zeros to a whole byte at the end.
    """
    matrix = ternary_matrix(seed, layer, rows, columns, density, generator)
    return np.packbits(matrix != 0).tobytes()
