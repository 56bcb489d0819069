"""Expected hypervolume improvement against hand-made cases and a naive simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from dse.pareto import hypervolume
from search.improvement import expected_improvement, expected_shortfall, undominated


def test_an_empty_frontier_leaves_the_whole_box() -> None:
    # An error that is certain: ln 0.5. The candidate at cost 0.25 dominates 0.5 x 0.75.
    worth = expected_improvement(
        np.array([np.log(0.5)]),
        np.array([1e-9]),
        np.array([[0.25]]),
        np.empty(0),
        np.empty((0, 1)),
        1.0,
        np.ones(1),
    )
    assert worth == pytest.approx([0.375])


def test_steps_of_a_frontier_by_hand() -> None:
    """Frontier (error, cost): (0.2, 0.8) and (0.6, 0.4); a candidate of error 0.4 and cost 0.2.

    Up to the worst error 1 it is alone below cost 0.4 from error 0.6 on: (0.4 - 0.2) x 0.4; between
    0.4 and 0.6 it is alone below cost 0.8: (0.8 - 0.2) x 0.2. Together 0.08 + 0.12.
    """
    worth = expected_improvement(
        np.array([np.log(0.4)]),
        np.array([1e-9]),
        np.array([[0.2]]),
        np.array([0.2, 0.6]),
        np.array([[0.8], [0.4]]),
        1.0,
        np.ones(1),
    )
    assert worth == pytest.approx([0.2])


def test_a_dominated_candidate_that_is_certain_is_worth_nothing() -> None:
    worth = expected_improvement(
        np.array([np.log(0.5)]),
        np.array([1e-9]),
        np.array([[0.9]]),
        np.array([0.2]),
        np.array([[0.8]]),
        1.0,
        np.ones(1),
    )
    assert worth == pytest.approx([0.0], abs=1e-12)


def test_the_expected_shortfall_is_that_of_a_million_draws() -> None:
    mean, deviation = np.array([-1.5]), np.array([0.4])
    draws = np.exp(np.random.default_rng(0).normal(-1.5, 0.4, 1_000_000))
    for threshold in (0.1, 0.2, 0.5):
        gains = np.maximum(threshold - draws, 0)
        found = expected_shortfall(np.array([[threshold]]), mean, deviation)[0, 0]
        assert abs(found - gains.mean()) < 4 * gains.std() / 1000


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), costs=st.integers(1, 3), designs=st.integers(0, 8))
def test_it_is_the_mean_hypervolume_gained(seed: int, costs: int, designs: int) -> None:
    """The oracle measures the hypervolume with and without the candidate at 400 of its errors."""
    rng = np.random.default_rng(seed)
    known, errors = rng.uniform(0, 1.1, (designs, costs)), rng.uniform(0, 1, designs)
    candidate, mean, deviation = rng.uniform(0, 1, costs), np.log(rng.uniform(0.1, 0.8)), 0.5
    corner = np.ones(costs + 1)
    front = np.column_stack([errors, known])
    before = hypervolume(front, corner)
    draws = np.exp(mean + deviation * ndtri((np.arange(400) + 0.5) / 400))
    gains = [
        hypervolume(np.vstack([front, [error, *candidate]]), corner) - before for error in draws
    ]
    found = expected_improvement(
        np.array([mean]), np.array([deviation]), candidate[None], errors, known, 1.0, np.ones(costs)
    )[0]
    assert found == pytest.approx(np.mean(gains), rel=5e-3, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), dimensions=st.integers(1, 3), count=st.integers(1, 8))
def test_undominated_volumes_are_differences_of_hypervolumes(
    seed: int, dimensions: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    points, corner = rng.uniform(0, 1.2, (count, dimensions)), rng.uniform(0, 1, dimensions)
    worst = np.ones(dimensions)
    expected = hypervolume(np.vstack([points, corner]), worst) - hypervolume(points, worst)
    assert undominated(corner[None], points, worst)[0] == pytest.approx(expected, abs=1e-12)
