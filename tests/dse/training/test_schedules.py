import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.training.recipe import RECIPES, Recipe
from dse.training.schedules import learning_rate


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # 100 steps: 5 of warm-up, 45 of hold, 50 of decay from 0.05 to 0.001, a drop of 0.049.
        (0, 0.05 / 6),
        (4, 0.05 * 5 / 6),
        (5, 0.05),
        (49, 0.05),
        (50, 0.05),  # p = 0
        (75, 0.001 + 0.049 * 0.25),  # p = 1/2, squared 1/4
        (99, 0.001 + 0.049 * 0.0004),  # p = 49/50, (1/50)^2
    ],
)
def test_warm_up_hold_and_decay_by_hand(step, expected):
    assert learning_rate(RECIPES["matchboxnet"], step, 100) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        # 40 steps: 4 of warm-up, 36 of cosine from 0.5 to 0.1; middle 0.3, half the drop 0.2.
        (0, 0.5 / 5),
        (3, 0.5 * 4 / 5),
        (4, 0.5),
        (16, 0.3 + 0.2 * 0.5),  # p = 1/3, cos 60 degrees = 1/2
        (22, 0.3),  # p = 1/2
        (28, 0.3 - 0.2 * 0.5),  # p = 2/3, cos 120 degrees = -1/2
    ],
)
def test_cosine_by_hand(step, expected):
    recipe = Recipe(
        schedule="cosine", learning_rate=0.5, min_learning_rate=0.1, warmup_fraction=0.1
    )
    assert learning_rate(recipe, step, 40) == pytest.approx(expected, rel=1e-12)


def test_constant_keeps_the_rate_after_the_warm_up():
    recipe = Recipe(schedule="constant", learning_rate=0.3, warmup_fraction=0.2)
    rates = [learning_rate(recipe, step, 10) for step in range(10)]
    assert rates == pytest.approx([0.1, 0.2] + [0.3] * 8)


def test_a_single_step_has_the_highest_rate():
    for schedule in ("warmup_hold_decay", "cosine", "constant"):
        assert learning_rate(Recipe(schedule=schedule, learning_rate=0.3), 0, 1) == 0.3


@given(
    st.sampled_from(["warmup_hold_decay", "cosine", "constant"]),
    st.integers(1, 300),
    st.floats(0, 0.99),
    st.floats(0, 1),
)
def test_the_rate_rises_then_falls_and_stays_within_its_limits(schedule, steps, warmup, hold):
    recipe = Recipe(
        schedule=schedule,
        learning_rate=0.1,
        min_learning_rate=0.01,
        warmup_fraction=warmup,
        hold_fraction=hold * (1 - warmup),
    )
    rates = [learning_rate(recipe, step, steps) for step in range(steps)]
    top = max(rates)
    assert top == 0.1 and min(rates) > 0
    peak = rates.index(top)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert min(rates[peak:]) >= 0.01 - 1e-12
