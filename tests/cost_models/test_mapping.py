"""The candidates of the search against an enumeration of the set that the module documents."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models import ComputeArray, Layer, LayerKind, Register, WeightSource
from cost_models.mapping import MOST_SPLIT, N, R, T, list_candidates, view_loops


def layer(in_channels, out_channels, frames, **changes):
    return Layer(
        name="layer",
        kind=changes.pop("kind", LayerKind.POINTWISE),
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.TRAINED,
        **changes,
    )


def array(rows=1, columns=1, **changes):
    outputs = Register(capacity_bits=24)
    return ComputeArray(
        name="macs", element="mac", rows=rows, columns=columns, outputs=outputs, **changes
    )


def documented(iterations):
    """Six orders; one loop in two parts that do not touch, the inner one a power of two."""
    found = set()

    def add(loops):
        running = tuple((loop, count) for loop, count in loops if count > 1)
        if all(a[0] != b[0] for a, b in itertools.pairwise(running)):
            found.add(running)

    for order in itertools.permutations((N, R, T)):
        add([(loop, iterations[loop]) for loop in order])
    for split, count in enumerate(iterations):
        inner = 2
        while inner < count and inner <= 2**MOST_SPLIT:
            for order in set(itertools.permutations((split, split, *{N, R, T} - {split}))):
                parts = iter((inner, -(-count // inner)))
                add([(x, next(parts) if x == split else iterations[x]) for x in order])
            inner *= 2
    return found


def orders(found):
    return [
        tuple(
            (int(loop), int(count))
            for loop, count in zip(found.order[:, at], found.counts[:, at], strict=True)
            if count > 1
        )
        for at in range(found.order.shape[1])
    ]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_candidates_are_the_documented_set_each_once(outputs, inputs, frames):
    # On one element, every loop has as many iterations as its bound.
    found = orders(list_candidates([layer(inputs, outputs, frames)], array()))
    assert len(set(found)) == len(found)
    assert set(found) == documented((outputs, inputs, frames))


def test_inner_parts_go_up_to_4096():
    found = orders(list_candidates([layer(1, 2, 10_000)], array()))
    inner = {order[0][1] for order in found if len(order) == 3 and order[0][0] == T}
    assert inner == {2**exponent for exponent in range(1, 13)}


@pytest.mark.parametrize(
    ("dataflow", "innermost"),
    [("weight_stationary", T), ("output_stationary", R), ("input_stationary", N)],
)
def test_a_dataflow_fixes_the_innermost_loop(dataflow, innermost):
    found = orders(list_candidates([layer(5, 6, 7)], array(dataflow=dataflow)))
    assert {order[0][0] for order in found} == {innermost}
    free = orders(list_candidates([layer(5, 6, 7)], array()))
    assert {order for order in free if order[0][0] == innermost} == set(found)


def test_iterations_are_spread_evenly():
    # 10 on 4: 3 passes of 4, 4, 2 at once, which the array counts as 4; 9 on 4: 3 passes of 3.
    for bound, at_once in ((10, 4), (9, 3), (4, 4), (5, 3), (3, 3)):
        found = list_candidates([layer(1, bound, 1)], array(4))
        across = found.unrolled[N].max()
        assert across == at_once


def test_every_loop_may_lie_along_either_axis():
    found = list_candidates([layer(6, 6, 6)], array(2, 3))
    unrolled = {tuple(int(each) for each in column) for column in found.unrolled.T}
    # rows take 2 of one loop, columns 3 of one; or both the same loop, 6.
    expected = set()
    for rows, columns in itertools.product((N, R, T), repeat=2):
        sizes = [1, 1, 1]
        sizes[rows] *= 2
        sizes[columns] *= 3
        expected.add(tuple(sizes))
    assert unrolled == expected


@pytest.mark.parametrize(
    ("depthwise", "views"),
    [
        # (groups, bounds of N, R, T, inputs depend on N)
        ("channels_across_array", [(1, (4, 3, 6), True)]),
        ("one_channel_per_pass", [(4, (1, 3, 6), False)]),
        ("auto", [(1, (4, 3, 6), True), (4, (1, 3, 6), False)]),
    ],
)
def test_views_of_a_depthwise_layer(depthwise, views):
    one = layer(4, 4, 6, kind=LayerKind.DEPTHWISE, groups=4, kernel_size=3)
    found = view_loops([one], array(depthwise=depthwise))
    assert [
        (groups, tuple(bounds), across)
        for groups, bounds, across in zip(found.groups, found.bounds.T, found.across, strict=True)
    ] == views


def test_a_channel_with_several_outputs_is_a_group():
    # Two outputs see the same channel: across the array its inputs would be read twice.
    one = layer(4, 8, 6, kind=LayerKind.DEPTHWISE, groups=4, kernel_size=3)
    found = view_loops([one], array())
    assert list(found.groups) == [4]
    assert tuple(found.bounds[:, 0]) == (2, 3, 6)
    assert not found.across.any()


PARTS = sorted({factor * 2**exponent for factor in (1, 3) for exponent in range(13)})


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 90),
    st.integers(1, 70),
    st.sampled_from([4, 8, 24, 32]),
    st.sampled_from([4, 8, 24, 32]),
)
def test_short_layers_may_run_on_parts_of_a_systolic_array(outputs, inputs, frames, rows, columns):
    # Weight stationary: R along the rows, N along the columns, T passes by.
    systolic = array(rows, columns, interconnect="systolic", dataflow="weight_stationary")
    found = list_candidates([layer(inputs, outputs, frames)], systolic)
    got = {(int(r), int(n)) for n, r, _ in found.iterations.T}

    def passes(r_limit, n_limit):
        return (-(-inputs // r_limit), -(-outputs // n_limit))

    def cycles(r, n):
        # The rows in use twice, to load and to pass, and the columns.
        return r * n * frames + 2 * -(-inputs // r) + -(-outputs // n) - 2

    whole = passes(rows, columns)
    used = 2 * -(-inputs // whole[0]) + -(-outputs // whole[1]) - 2
    expected = []
    if whole[0] * whole[1] * frames < 2 * used:
        sizes = [[size for size in PARTS if size < limit] + [limit] for limit in (rows, columns)]
        others = {passes(r, n) for r, n in itertools.product(*sizes)} - {whole}
        expected = sorted(cycles(*each) for each in others)[:3]
        expected = [each for each in expected if each < cycles(*whole)]
    assert whole in got
    assert sorted(cycles(*each) for each in got - {whole}) == expected


def test_data_that_must_pass_all_rows_uses_them():
    def passes(bypass):
        systolic = array(32, 32, interconnect="systolic", bypass=bypass)
        found = list_candidates([layer(64, 8, 1)], systolic)
        return {tuple(int(count) for count in each) for each in found.iterations.T}

    # N and R, R and T, T and N on 32 rows and columns; each whole array.
    assert passes(bypass=False) == {(1, 2, 1), (8, 2, 1), (1, 64, 1)}
    assert passes(bypass=False) < passes(bypass=True)
