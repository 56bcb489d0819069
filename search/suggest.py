"""From a search space to an Optuna trial."""

from typing import Any, cast

import optuna

from dse.matchboxnet import Value
from dse.space import Choice, SearchSpace, Values
from dse.ternary import DENSITY_STEPS


def suggest(trial: optuna.Trial, space: SearchSpace) -> Values:
    """Let the trial's sampler decide every axis that matters.

    Ranges become integer or stepped float parameters, so that the sampler knows what lies near
    what; lists become categories. A logarithmic density is suggested in 256ths, since Optuna has no
    logarithmic float with steps (the parameter is then named `density_256ths`).
    """
    return space.walk(lambda choice: _suggest(trial, choice))


def _suggest(trial: optuna.Trial, choice: Choice) -> Value:
    values = choice.values
    if len(values) == 1:
        return values[0]
    if not choice.ordered:
        chosen: Any = trial.suggest_categorical(choice.name, values)
        return cast(Value, chosen)
    low, high = float(values[0]), float(values[-1])
    step = float(values[1]) - low
    number: Value
    if all(isinstance(value, int) for value in values):
        whole_step = 1 if choice.log else int(step)
        number = trial.suggest_int(
            choice.name, int(low), int(high), step=whole_step, log=choice.log
        )
    elif choice.log:
        ends = (round(low * DENSITY_STEPS), round(high * DENSITY_STEPS))
        number = trial.suggest_int(f"{choice.name}_256ths", *ends, log=True) / DENSITY_STEPS
    else:
        suggested = trial.suggest_float(choice.name, low, high, step=step)
        # Optuna's steps carry rounding errors; the space's own value is the one recorded.
        number = min(values, key=lambda value: abs(float(value) - suggested))
    return number


def parameters(space: SearchSpace, values: Values) -> dict[str, Value]:
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
