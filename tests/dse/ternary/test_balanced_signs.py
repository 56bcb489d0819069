"""Balanced signs of one_hot: as many +1 as -1 in every row, and nothing else that is not random."""

import dataclasses

import numpy as np
import pytest

from dse.ternary.generators import Generator
from dse.ternary.matrix import ternary_matrix
from dse.ternary.quality import ideal_pairs, measure

BALANCED = Generator(family="one_hot", signs="balanced")


@pytest.mark.parametrize(
    ("columns", "density", "tile"),
    [
        (64, 0.25, ()),
        (64, 1 / 32, ()),
        (20, 0.25, ()),  # five blocks: pairs run on from row to row
        (24, 0.125, ()),
        (7, 1.0, ()),
        (64, 0.25, (3, 16)),
        (40, 0.25, (3, 16)),  # the tiles at the edge are narrower
        (20, 0.25, (3, 32)),  # a tile as wide as the matrix: its rows are those of the matrix
    ],
)
def test_every_row_is_balanced(columns: int, density: float, tile: tuple[int, ...]) -> None:
    generator = dataclasses.replace(BALANCED, tile=tile)
    matrix = ternary_matrix(1, "a", 50, columns, density, generator)
    fan_in = int(columns * density)
    assert set(np.count_nonzero(matrix, axis=1)) == {fan_in}
    # An odd number of entries cannot be balanced better than by one.
    assert set(np.abs(matrix.sum(axis=1, dtype=int))) == {fan_in % 2}
    if fan_in % 2:  # and the odd one is not always of the same sign
        assert len(set(matrix.sum(axis=1, dtype=int))) == 2


def test_only_signs_differ_from_random_ones_and_every_other_block_keeps_its_own() -> None:
    made = [
        ternary_matrix(1, "a", 30, 20, 0.25, Generator(family="one_hot", signs=signs))
        for signs in ("random", "balanced")
    ]
    random, balanced = (matrix.reshape(-1, 4).sum(axis=1) for matrix in made)
    np.testing.assert_array_equal(made[0] != 0, made[1] != 0)
    np.testing.assert_array_equal(balanced[::2], random[::2])
    np.testing.assert_array_equal(balanced[1::2], -random[::2])


def test_two_rows_agree_in_sign_as_often_as_not() -> None:
    # + - + - along all rows would be balanced, and its rows would agree everywhere.
    matrix = ternary_matrix(1, "a", 2001, 16, 0.5, BALANCED)
    signs = matrix.reshape(2001, 8, 2).sum(axis=2, dtype=int)
    for distance in (1, 2, 3):
        agreement = (signs[distance:] * signs[:-distance]).mean()
        # 8,000 pairs of blocks are independent: four standard errors of their mean.
        assert abs(agreement) < 4 / 8_000**0.5
    assert len({row.tobytes() for row in signs}) == 16  # all that four pairs can be


def test_its_matrices_are_like_pairs_that_chance_has_signed() -> None:
    for density in (0.5, 1 / 16):
        quality = measure(BALANCED, density, size=128, matrices=12)
        assert quality.flagged == ()
        # The price that the docstring names: a pair of blocks, 2 / density inputs, costs one rank.
        assert quality["rank"].measured == pytest.approx(128 * (1 - density / 2), abs=0.5)


def test_the_yardstick_is_balanced_and_leaves_the_rest_to_chance() -> None:
    made = ideal_pairs(np.random.default_rng(1), 64, 0.25)
    assert not made.sum(axis=1, dtype=int).any() and set(np.count_nonzero(made, axis=1)) == {16}
    assert abs(int(made.reshape(-1, 8)[:, :4].sum())) < 4 * 512**0.5
