import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.pareto import hypervolume, pareto_mask, rank_by_dominance, sift
from dse.studies.frontier import find_frontier, hypervolume_share
from dse.studies.rows import Evaluation

MANY = 3_000

numbers = st.sampled_from([*map(float, range(7)), math.inf, -math.inf, math.nan])
any_points = st.integers(1, 5).flatmap(
    lambda columns: st.lists(st.lists(numbers, min_size=columns, max_size=columns), min_size=1)
)
points = st.integers(1, 3).flatmap(
    lambda columns: st.lists(
        st.lists(st.integers(0, 6).map(float), min_size=columns, max_size=columns),
        min_size=1,
        max_size=14,
    )
)


def row(key: str, error: float, energy_pj: float, status: str = "trained") -> Evaluation:
    return Evaluation(
        trial=0,
        status=status,
        source="search",
        key=key,
        error=error,  # type: ignore[arg-type]
        cost={"energy_pj": energy_pj},
    )


@given(any_points)
@settings(deadline=None)
def test_masks_and_ranks_equal_the_definition(rows: list[list[float]]) -> None:
    array = np.array(rows)
    assert pareto_mask(array).tolist() == naive_mask(array)
    check_ranks(array)


@given(points)
@settings(deadline=None)
def test_hypervolume_equals_counting_unit_cells(rows: list[list[float]]) -> None:
    array = np.array(rows)
    side = [np.arange(7)] * array.shape[1]
    cells = np.stack(np.meshgrid(*side, indexing="ij"), axis=-1).reshape(-1, array.shape[1])
    counted = sum(bool((array <= cell).all(axis=1).any()) for cell in cells)
    assert hypervolume(array, [7.0] * array.shape[1]) == pytest.approx(counted)


def naive_mask(array: np.ndarray) -> list[bool]:
    """No other point is as small in all columns and smaller in one; NaN is none."""
    known = array[~np.isnan(array).any(axis=1)]
    return [
        not np.isnan(p).any() and not ((known <= p).all(axis=1) & (known < p).any(axis=1)).any()
        for p in array
    ]


def many_points(seed: int) -> np.ndarray:
    """Sets that are hard to compare: ties, whole duplicates, NaN, infinities, fronts."""
    rng = np.random.default_rng(seed)
    count, columns = int(rng.integers(1, 400)), int(rng.integers(1, 5))
    kinds = [
        lambda: rng.normal(size=(count, columns)),
        lambda: rng.integers(0, 3, size=(count, columns)).astype(float),
        lambda: rng.integers(0, 30, size=(count, columns)).astype(float),
        lambda: np.repeat(rng.normal(size=(-(-count // 7), columns)), 7, axis=0)[:count],
        lambda: np.full((count, columns), 2.5),
        # Nothing dominates anything: sums are equal. Rounded, so that many are.
        lambda: np.round(rng.dirichlet(np.ones(columns), size=count), 2),
        # Columns of very different size, one of them the same for all.
        lambda: rng.lognormal(size=(count, columns)) * 10.0 ** rng.integers(-9, 9, size=columns),
    ]
    array = np.asarray(kinds[seed % len(kinds)](), dtype=float)
    if seed % 3 == 0:
        array[rng.random(array.shape) < 0.05] = math.nan
    if seed % 5 == 0:
        array[rng.random(array.shape) < 0.05] = math.inf
    return array


@pytest.mark.parametrize("seed", range(70))
def test_the_mask_of_a_hard_set_is_the_naive_one(seed: int) -> None:
    array = many_points(seed)
    before = array.copy()
    mask = pareto_mask(array)
    assert mask.tolist() == naive_mask(array)
    order = np.random.default_rng(seed).permutation(len(array))
    assert pareto_mask(array[order]).tolist() == mask[order].tolist()
    check_ranks(array)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
def test_points_without_a_single_number_are_dominated(columns: int) -> None:
    assert pareto_mask(np.full((9, columns), math.nan)).tolist() == [False] * 9
    assert pareto_mask(np.empty((0, columns))).tolist() == []
    assert rank_by_dominance(np.full((3, columns), math.nan)).tolist() == [0, 0, 0]
    assert rank_by_dominance(np.empty((0, columns))).tolist() == []


def test_ranks_by_hand() -> None:
    points = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [5.0, 5.0], [2.0, 2.0]])
    assert rank_by_dominance(points).tolist() == [0, 0, 0, 1, 2, 0]


def check_ranks(array: np.ndarray) -> None:
    """A rank is the frontier of what the lower ones leave; the last may be that of NaN."""
    ranks = rank_by_dominance(array)
    numbers = ~np.isnan(array).any(axis=1)
    for rank in range(ranks.max() + 1):
        left = np.flatnonzero(ranks >= rank)
        expected = naive_mask(array[left]) if numbers[left].any() else [True] * len(left)
        assert (ranks[left] == rank).tolist() == expected


def test_a_front_of_many_points_is_kept_whole() -> None:
    # x + y is the same for all: nothing dominates anything.
    x = np.arange(MANY + 1, dtype=float)
    assert pareto_mask(np.stack([x, -x], axis=1)).all()
    # And each point that is a little worse than one of them goes.
    worse = np.stack([x, -x + 0.5], axis=1)
    both = np.concatenate([np.stack([x, -x], axis=1), worse])
    assert pareto_mask(both).tolist() == [True] * len(x) + [False] * len(x)


def test_nan_is_dominated_and_equal_points_are_both_kept() -> None:
    array = np.array([[1.0, 2.0], [1.0, 2.0], [math.nan, 0.0], [2.0, 2.0]])
    assert pareto_mask(array).tolist() == [True, True, False, False]


def test_points_at_the_reference_count_nothing() -> None:
    assert hypervolume(np.array([[7.0, 0.0], [3.0, 9.0]]), [7.0, 7.0]) == 0.0
    assert hypervolume(np.empty((0, 2)), [7.0, 7.0]) == 0.0


def test_frontier_is_cheapest_first_and_holds_each_design_once() -> None:
    rows = [
        row("a", 0.1, 50.0),
        row("b", 0.3, 10.0),
        row("c", 0.4, 20.0),  # b is better in both
        row("b", 0.3, 10.0),
        row("d", 0.0, 1.0, status="infeasible"),
    ]
    assert [item.key for item in find_frontier(rows, ("error", "energy_pj"))] == ["b", "a"]
    assert [item.key for item in find_frontier(rows[::-1], ("error", "energy_pj"))] == ["b", "a"]
    assert find_frontier([], ("error", "energy_pj")) == []


def test_hypervolume_share_by_hand() -> None:
    box = {"error": [0.0, 1.0], "energy_pj": [1.0, 3.0]}  # 10 pJ to 1,000 pJ, two decades
    # error 0.25 at 100 pJ: three quarters of the height, one of two decades.
    assert hypervolume_share([row("a", 0.25, 100.0)], box) == pytest.approx(0.75 * 0.5)
    # a point cheaper than the box counts to its edge only
    assert hypervolume_share([row("a", 0.25, 1.0)], box) == pytest.approx(0.75)
    assert hypervolume_share([], box) == 0.0


@given(any_points, st.integers(0, 12))
@settings(deadline=None)
def test_a_sieve_keeps_all_that_the_frontier_does_not_dominate(
    rows: list[list[float]], count: int
) -> None:
    array = np.array(rows)
    front = array[:count][pareto_mask(array[:count])]
    left = set(sift(array, front).tolist())
    beaten = [((front <= p).all(axis=1) & (front < p).any(axis=1)).any() for p in array]
    # So few points sift with the whole frontier: exactly what it dominates is thrown out.
    assert left == {place for place, each in enumerate(beaten) if not each}
