import math
from typing import Any

from dse.columns import COST_COLUMNS
from dse.studies.comparison import (
    difference,
    dominators,
    side_by_side,
    trade,
    why_not_on_frontier,
)
from dse.studies.rows import Evaluation

OBJECTIVES = ("error", "energy_pj")


def row(key: str, error: float, energy_pj: float, **fields: Any) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 1.0) | {"energy_pj": energy_pj}
    given = {"status": "trained", "source": "search", "name": f"design {key}"} | fields
    return Evaluation(trial=0, key=key, error=error, cost=cost, **given)


def test_a_difference_is_relative_to_what_was_before() -> None:
    assert difference(2.0, 3.0) == 0.5
    assert difference(0.0, 0.0) == 0.0
    assert math.isnan(difference(0.0, 1.0))


def test_a_trade_names_points_and_ratios() -> None:
    assert trade(row("a", 0.203, 1e6), row("b", 0.2, 2.1e6), OBJECTIVES) == (
        "0.3 points less error at 2.1x the energy per inference"
    )
    assert trade(row("a", 0.2, 1e6), row("b", 0.2, 0.9e6), OBJECTIVES) == (
        "the same error at 10.0 % less energy per inference"
    )
    assert trade(row("a", 0.2, 1e6), row("b", 0.2, 1e6), OBJECTIVES) == (
        "both are equal in error and energy per inference"
    )
    # A difference of the last digits is one, and an error in whole numbers is told in points, too.
    assert trade(row("a", 0.2, 1e6), row("b", 0.2, 1.0002e6), OBJECTIVES).endswith(
        "0.02 % more energy per inference"
    )
    int8 = ("energy_pj", "quantised_error")
    assert (
        trade(
            row("a", 0.2, 1e6, quantised_error=0.3), row("b", 0.1, 1e6, quantised_error=0.33), int8
        )
        == "3 points more error in whole numbers at the same energy per inference"
    )


def test_dominators_are_trained_and_nearest_first() -> None:
    mine = row("a", 0.3, 2e6, values={"channels": 32, "blocks": 2})
    far = row("b", 0.1, 1e6, values={"channels": 16, "blocks": 3})
    near = row("c", 0.2, 2e6, values={"channels": 16, "blocks": 2})
    failed = row("d", 0.1, 1e6, status="failed", values=dict(mine.values))
    dearer = row("e", 0.1, 3e6)
    rows = [mine, far, near, failed, dearer, far]
    assert [each.key for each in dominators(mine, rows, OBJECTIVES)] == ["c", "b"]
    assert why_not_on_frontier(mine, rows, OBJECTIVES) == (
        "design c dominates it: 10 points less error at the same energy per inference "
        "(channels 32 -> 16); so does another one"
    )
    assert why_not_on_frontier(far, rows, OBJECTIVES) == ""


def test_designs_side_by_side_are_a_sentence_also_where_they_are_equal() -> None:
    mine, same = row("a", 0.2, 1e6), row("b", 0.2, 1e6)
    assert side_by_side(mine, same, OBJECTIVES) == (
        "design b and design a are equal in error and energy per inference."
    )
    assert side_by_side(mine, row("c", 0.19, 1e6), OBJECTIVES) == (
        "design c has 1 points less error at the same energy per inference than design a, so it "
        "dominates."
    )
    assert side_by_side(mine, row("d", 0.2, 3e6), OBJECTIVES) == (
        "design d has the same error at 3.0x the energy per inference than design a, so design a "
        "dominates it."
    )
