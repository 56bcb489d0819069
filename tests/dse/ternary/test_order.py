"""Orders of matrices: where the entries of a stream stand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.design.point import DesignPoint
from dse.design.published import published
from dse.errors import InvalidDesign, InvalidField
from dse.networks.lowering import lower
from dse.networks.network import build_network
from dse.ternary.generators import Generator
from dse.ternary.matrix import count_nonzeros, nonzero_mask, ternary_matrix
from dse.ternary.order import arrange, order_name, read_order


def test_tiles_by_hand():
    """The picture of `dse.ternary.order`."""
    made = arrange(np.arange(24, dtype=np.int8).reshape(4, 6), (2, 3))
    assert made.tolist() == [
        [0, 1, 2, 6, 7, 8],
        [3, 4, 5, 9, 10, 11],
        [12, 13, 14, 18, 19, 20],
        [15, 16, 17, 21, 22, 23],
    ]


def test_tiles_at_the_edge_are_smaller():
    made = arrange(np.arange(15, dtype=np.int8).reshape(3, 5), (2, 3))
    assert made.tolist() == [[0, 1, 2, 6, 7], [3, 4, 5, 8, 9], [10, 11, 12, 13, 14]]


sizes = st.integers(1, 12)


@given(sizes, sizes, sizes, sizes)
def test_an_order_is_that_of_a_walk(rows, columns, high, wide):
    stream = np.arange(rows * columns).reshape(rows, columns)
    walked = np.empty_like(stream)
    number = 0
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            for row in range(top, min(top + high, rows)):
                for column in range(left, min(left + wide, columns)):
                    walked[row, column] = number
                    number += 1
    assert np.array_equal(arrange(stream, (high, wide)), walked)


def test_rows_change_nothing():
    stream = np.arange(6, dtype=np.int8).reshape(2, 3)
    assert arrange(stream, ()) is stream
    assert np.array_equal(arrange(stream, (2, 3)), stream)


@pytest.mark.parametrize("name", ["rows", "4x32", "1x1"])
def test_names_come_back(name):
    assert order_name(read_order(name)) == name


@pytest.mark.parametrize(
    "name", ["", "4", "0x3", "4x", "x3", "4x32x2", "4 x 32", "Rows", "99999x1"]
)
def test_other_names_are_refused(name):
    with pytest.raises(InvalidDesign, match="a matrix order is rows, or rows x columns of a tile"):
        read_order(name)


def test_a_tile_moves_entries_and_makes_no_others():
    rows, tiles = (
        ternary_matrix(1, "a", 64, 64, 0.25, Generator(tile=tile)) for tile in ((), (4, 32))
    )
    assert not np.array_equal(rows, tiles)
    assert np.array_equal(np.sort(rows, axis=None), np.sort(tiles, axis=None))
    mask = nonzero_mask(1, "a", 64, 64, 0.25, Generator(tile=(4, 32)))
    assert mask == np.packbits(tiles != 0).tobytes()
    counts = [count_nonzeros(1, "a", 64, 64, 0.25, Generator(tile=tile)) for tile in ((), (4, 32))]
    assert counts[0] == counts[1] == np.count_nonzero(rows)


def test_blocks_stay_in_their_rows():
    """One entry of each 8 neighbours of a row, in tiles of 3 x 16."""
    matrix = ternary_matrix(1, "a", 10, 32, 0.125, Generator(family="one_hot", tile=(3, 16)))
    assert (np.count_nonzero(matrix.reshape(10, 4, 8), axis=2) == 1).all()
    with pytest.raises(InvalidDesign, match="do not divide the 12 columns of a tile"):
        ternary_matrix(1, "a", 10, 32, 0.125, Generator(family="one_hot", tile=(3, 12)))


def test_counters_have_no_tiles():
    with pytest.raises(InvalidField, match="left out for family counter_arx"):
        Generator(family="counter_arx", tile=(4, 32))
    with pytest.raises(InvalidField, match="rows and columns"):
        Generator(tile=(4,))
    with pytest.raises(InvalidField, match="rows and columns"):
        Generator(tile=(0, 3))


def first_matrix(point: DesignPoint):
    return build_network(point, 12).blocks["Conv1"].body[0][1].weight[:, :, 0].numpy()


def test_torch_and_the_cost_models_have_the_very_matrix():
    point = published("matchboxnet-3x1x64-P3@4x32")
    plain = published("matchboxnet-3x1x64-P3")
    assert point.name.endswith("@4x32") and point.key != plain.key
    matrix = first_matrix(point)
    expected = ternary_matrix(1, "Conv1.0.pw", 128, 64, 0.25, Generator(tile=(4, 32)))
    assert np.array_equal(matrix, expected)
    layer = next(
        each for each in lower(point, frames=128, outputs=12).layers if each.name == "Conv1.0.pw"
    )
    assert layer.matrix_tile == (4, 32)
    assert layer.nonzero_mask == np.packbits(expected != 0).tobytes()


@pytest.mark.parametrize(
    "name", ["matchboxnet-3x1x64-P0@4x32", "matchboxnet-3x1x64-P3@4", "x@4x32"]
)
def test_a_name_with_a_wrong_order_is_no_network(name):
    with pytest.raises(InvalidDesign, match="there is no published network"):
        published(name)
