"""From a search space to an Optuna trial."""

from collections.abc import Mapping
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dse.design.families.family import Value, Values
from dse.design.space import Choice, SearchSpace
from dse.ternary.matrix import DENSITY_STEPS


def suggest(trial: optuna.Trial, space: SearchSpace) -> Values:
    """Let the trial's sampler decide every axis that matters.

    Ranges become integer or stepped float parameters, so that the sampler knows what lies near
    what; lists become categories. A logarithmic density is suggested in 256ths, since Optuna has no
    logarithmic float with steps (the parameter is then named `density_256ths`).
    """
    return space.walk(lambda choice: _suggest(trial, choice))


def _suggest(trial: optuna.Trial, choice: Choice) -> Value:
    name, distribution = _make_distribution(choice)
    if distribution is None:
        return choice.values[0]
    suggested: Any
    if isinstance(distribution, CategoricalDistribution):
        suggested = trial.suggest_categorical(name, choice.values)
    elif isinstance(distribution, IntDistribution):
        suggested = trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    else:
        assert isinstance(distribution, FloatDistribution)
        suggested = trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step
        )
    return _round_to_space(choice, suggested / DENSITY_STEPS if name != choice.name else suggested)


def _make_distribution(choice: Choice) -> tuple[str, BaseDistribution | None]:
    """The parameter's name and distribution; None for an axis of one value."""
    values = choice.values
    if len(values) == 1:
        return choice.name, None
    if not choice.ordered:
        return choice.name, CategoricalDistribution(values)
    low, high = float(values[0]), float(values[-1])
    if all(isinstance(value, int) for value in values):
        step = 1 if choice.log else int(values[1]) - int(values[0])
        return choice.name, IntDistribution(int(low), int(high), log=choice.log, step=step)
    if choice.log:
        ends = (round(low * DENSITY_STEPS), round(high * DENSITY_STEPS))
        return f"{choice.name}_256ths", IntDistribution(*ends, log=True)
    return choice.name, FloatDistribution(low, high, step=float(values[1]) - low)


def _round_to_space(choice: Choice, suggested: Any) -> Value:
    """The space's own value: Optuna's steps carry rounding errors."""
    if isinstance(suggested, str | bool) or not choice.ordered:
        return cast(Value, suggested)
    return min(choice.values, key=lambda value: abs(float(value) - float(suggested)))


def write_parameters(space: SearchSpace, values: Values) -> dict[str, Value]:
    """Optuna's parameters for an assignment of the space, to enqueue it."""
    choices = {choice.name: choice for choice in space.choices}
    named: dict[str, Value] = {}
    for name, value in values.items():
        choice = choices[name]
        if len(choice.values) == 1:
            continue
        if choice.log and not isinstance(value, int):
            named[f"{name}_256ths"] = round(float(value) * DENSITY_STEPS)
        else:
            named[name] = value
    return named


def list_distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Optuna's distribution of every axis that has a choice, as `suggest` asks for it."""
    return {
        name: distribution
        for name, distribution in map(_make_distribution, space.choices)
        if distribution is not None
    }


def read_parameters(space: SearchSpace, named: Mapping[str, Any]) -> Values | None:
    """The assignment of Optuna's parameters, the inverse of `write_parameters`.

    None where they are not of a whole design: the trial was asked for, and stopped before all of
    it was decided.
    """

    def choose(choice: Choice) -> Value:
        if len(choice.values) == 1:
            return choice.values[0]
        if choice.name in named:
            return _round_to_space(choice, named[choice.name])
        return _round_to_space(choice, named[f"{choice.name}_256ths"] / DENSITY_STEPS)

    try:
        return space.walk(choose)
    except KeyError:
        return None
