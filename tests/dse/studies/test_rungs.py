import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.errors import InvalidInput
from dse.pareto import rank_by_dominance
from dse.studies.rungs import Ladder, Rungs, choose_promoted


def test_levels_by_hand() -> None:
    assert Rungs(first=2, factor=3).levels(18) == (2, 6, 18)
    assert Rungs(first=2, factor=3).levels(20) == (2, 6, 20)
    assert Rungs(first=6, factor=3).levels(18) == (6, 18)
    assert Rungs(first=10, factor=2).levels(12) == (12,)


@pytest.mark.parametrize("wrong", [{"first": 0}, {"factor": 1}])
def test_impossible_rungs_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidInput):
        Rungs(**wrong)


def test_the_cheap_end_goes_on_though_its_error_is_the_highest() -> None:
    reached = {0: (0.9, 1.0), 1: (0.5, 5.0), 2: (0.6, 6.0), 3: (0.7, 7.0), 4: (0.4, 9.0)}
    assert choose_promoted(reached, 3) == [4, 1, 0]


def test_nobody_goes_on_before_there_is_company() -> None:
    ladder = Ladder.empty(Rungs(first=1, factor=3), 9)
    ladder.record(0, 1, (0.5, 1.0))
    ladder.record(1, 1, (0.6, 2.0))
    assert ladder.promote() is None
    ladder.record(2, 1, (0.7, 3.0))  # dominated, as is trial 1
    assert ladder.promote() == (0, 3)
    assert ladder.promote() is None


def test_what_is_nearly_done_is_finished_first() -> None:
    ladder = Ladder.empty(Rungs(first=1, factor=2), 4)
    for trial in range(4):
        ladder.record(trial, 1, (0.5 + 0.1 * trial, float(trial)))
    ladder.record(2, 2, (0.3, 2.0))
    ladder.record(3, 2, (0.2, 3.0))
    assert ladder.promote() == (3, 4)  # lowest error of that rung's frontier


@settings(max_examples=50, deadline=None)
@given(
    errors=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 10)), min_size=3, max_size=20),
    factor=st.integers(2, 4),
)
def test_every_design_goes_on_once_at_most_and_the_frontier_always(
    errors: list[tuple[float, float]], factor: int
) -> None:
    ladder = Ladder.empty(Rungs(first=1, factor=factor), factor)
    for trial, objectives in enumerate(errors):
        ladder.record(trial, 1, objectives)
    gone = []
    while (promoted := ladder.promote()) is not None:
        gone.append(promoted[0])
    assert len(gone) == len(set(gone))
    ranks = rank_by_dominance(np.array(errors))
    if len(errors) >= factor:
        assert set(np.flatnonzero(ranks == 0)) <= set(gone)
        assert len(gone) == max((ranks == 0).sum(), len(errors) // factor)
