"""The known-cost sampler: only what training tells is modelled, everything else is computed.

Optuna's own samplers take all objectives of a design for unknown until it is told. Here energy,
latency, area and every limit are known before; so a model of the error alone (`search.surrogate`)
is asked for which of many feasible designs the expected hypervolume improvement is largest
(`search.improvement`). Designs in training count as if they came out as predicted, so that several
workers get different ones. A proposal depends on the seed, on the trial's number and on what is
recorded, and on nothing else.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from dse.columns import MEASURED_COLUMNS
from dse.design.families.family import Values
from dse.design.space import SearchSpace
from dse.pareto import pareto_mask
from search import surrogate
from search.candidates import Candidates, Identity, Pool, identity, joined
from search.improvement import expected_improvement
from search.suggest import distributions, parameters, values_of

Numbers = npt.NDArray[np.float64]

STARTUP = 4
"""Designs drawn at random before the model is asked; more of them waste trainings (measured with
benchmarks/search.py: docs/search.md)."""

REMEMBERED = 4
"""Fits of length scales that are kept."""

LENGTH = "epochs_fraction"
"""User attribute: the share of a full training's epochs that an observed error is of."""

ERROR = "observed_error"
"""User attribute: the error of a training that was stopped early."""

LEAST_COST = 1e-12


@dataclass(frozen=True, slots=True)
class Aim:
    """What a study minimises."""

    objectives: tuple[str, ...]
    measured: str
    """The column that training tells: `error` or another measured one."""
    box: Mapping[str, Sequence[float]]
    """Objective -> best and worst value; costs as log10 (`search.survey.reference_box`)."""
    most_measured: float = math.inf
    """A limit on the measured column."""

    @property
    def costs(self) -> tuple[str, ...]:
        """The objectives that are known.

        Where `error` and `quantised_error` are both objectives only one is modelled, and counts for
        both: they differ little.
        """
        return tuple(name for name in self.objectives if name not in MEASURED_COLUMNS)

    @property
    def worst_error(self) -> float:
        """Where a measured value stops to count."""
        worst = float(self.box[self.measured][1]) if self.measured in self.box else 1.0
        return min(worst, self.most_measured)

    def scaled_costs(self, columns: Mapping[str, Numbers]) -> Numbers:
        """Costs such that the box is from 0 to 1; columns of (n,) or (n, k) -> (..., m - 1)."""
        scaled = []
        for name in self.costs:
            best, worst = self.box[name]
            logs = np.log10(np.maximum(columns[name], LEAST_COST))
            scaled.append((logs - best) / (worst - best))
        return np.stack(scaled, axis=-1)

    def points(self, designs: Candidates) -> tuple[npt.NDArray[np.int64], Numbers]:
        """Where designs stand in the space of costs: one point for each machine that suits one.

        Returns:
            The place of each point's design, shape (p,), and the points, shape (p, m - 1).
        """
        if designs.machines is None:
            return np.arange(len(designs)), self.scaled_costs(designs.columns)
        scaled = self.scaled_costs(designs.machines)
        owners, machines = np.nonzero(~np.isnan(scaled).any(axis=2))
        return owners, scaled[owners, machines]


@dataclass(slots=True)
class _Observations:
    """What is recorded of a study, in the order of its trials."""

    designs: list[Values]
    errors: list[float]
    lengths: list[float]
    pending: list[Values]
    seen: set[Identity]


class KnownCostSampler(optuna.samplers.BaseSampler):
    """Proposes the feasible design of the largest expected hypervolume improvement."""

    def __init__(
        self,
        pool: Pool,
        aim: Aim,
        *,
        seed: int,
        startup: int = STARTUP,
    ) -> None:
        """Make a sampler.

        Args:
            pool: of the study's space, machine and limits.
            aim: of the study.
            seed: of the study.
            startup: designs drawn at random first.
        """
        self.pool = pool
        self.space: SearchSpace = pool.space
        self.aim = aim
        self.seed = seed
        self.startup = startup
        self._hyper: dict[bytes, surrogate.Hyper] = {}
        self._on_record = Candidates([], {})
        self._known: dict[int, tuple[dict[str, Any], Values, Identity]] = {}
        """Trial -> its parameters, and the design that they are."""
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._distributions = distributions(self.space)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All axes, whether they matter to the design or not."""
        return self._distributions

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """The parameters of the next design; none where every feasible one is known."""
        if "fixed_params" in trial.system_attrs:  # enqueued: all is decided
            return {}
        trials = study.get_trials(deepcopy=False)
        values = self.propose(trials[: trial.number] + trials[trial.number + 1 :], trial.number)
        if values is None:  # all that is known to be feasible was tried: the study ends with that
            again = self.pool.draw(self.seed, trial.number, [], set())
            if not len(again):
                return {}
            values = again.values[random.Random(trial.number).randrange(len(again))]
        return dict(parameters(self.space, values))

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """At random: asked only for what `sample_relative` left open."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def propose(self, trials: Sequence[FrozenTrial], number: int) -> Values | None:
        """The next design, or None where every feasible one was proposed before.

        Args:
            trials: of the study, without the one that is asked for.
            number: of the trial that is asked for.
        """
        rng = random.Random(f"{self.seed}/{number}")
        known = self._observe(trials)
        if len(known.errors) + len(known.pending) < self.startup:
            drawn = self.pool.draw(self.seed, number, [], known.seen)
            return drawn.values[rng.randrange(len(drawn))] if len(drawn) else None
        observed = self._observed(known.designs)
        parents = self._parents(known, observed)
        drawn = self.pool.draw(self.seed, number, parents, known.seen)
        if not len(drawn):
            return None
        if len(known.errors) < 2:  # failures and trainings in flight only
            return drawn.values[rng.randrange(len(drawn))]
        return drawn.values[int(np.argmax(self._worth(drawn, known, observed)))]

    def _worth(self, drawn: Candidates, known: _Observations, observed: Candidates) -> Numbers:
        """Expected improvement of candidates."""
        features = self._features(observed, known.lengths)
        errors = np.array(known.errors)
        hyper = self._fitted(features, errors)
        model = surrogate.fit(features, errors, hyper=hyper)
        full = np.array(known.lengths) >= 1
        # Measured errors are noisy, and the lowest of many too good: the frontier is of what the
        # model makes of them.
        smooth = np.exp(model.mean_of(self._features(observed, [1.0] * len(observed))))
        owners, front_costs = self.aim.points(observed)
        front_errors, front_costs = smooth[owners][full[owners]], front_costs[full[owners]]
        if known.pending:
            flying = self._priced(known.pending)
            expected = np.exp(model.mean_of(self._features(flying, [1.0] * len(flying))))
            # As if told what is expected of them: their neighbours are worth less then.
            features = np.vstack([features, self._features(flying, [1.0] * len(flying))])
            errors = np.append(errors, expected)
            model = surrogate.fit(features, errors, hyper=hyper)
            owners, costs = self.aim.points(flying)
            front_errors = np.append(front_errors, expected[owners])
            front_costs = np.vstack([front_costs, costs])
        mean, deviation = model.predict(self._features(drawn, [1.0] * len(drawn)))
        owners, costs = self.aim.points(drawn)
        worst = np.ones(costs.shape[1])
        improvement = expected_improvement(
            mean[owners],
            deviation[owners],
            costs,
            front_errors,
            front_costs,
            self.aim.worst_error,
            worst,
        )
        # A network is worth what it is on the machine that it improves the frontier most on.
        best = np.zeros(len(drawn))
        np.maximum.at(best, owners, improvement)
        return best

    def _fitted(self, features: Numbers, errors: Numbers) -> surrogate.Hyper | None:
        """Length scales, fitted anew only when there are a twentieth more observations.

        They depend on the first so many observations alone.
        """
        if len(errors) > surrogate.MOST_OBSERVATIONS:
            return None
        count = _fitting_point(len(errors))
        # Known by what they were fitted to, not by how much: a design that went on to its next rung
        # has another error since, and a study that is resumed then must find the same.
        key = features[:count].tobytes() + errors[:count].tobytes()
        if key not in self._hyper:
            if len(self._hyper) >= REMEMBERED:
                self._hyper.pop(next(iter(self._hyper)))
            self._hyper[key] = surrogate.fit_hyper(features[:count], errors[:count])
        return self._hyper[key]

    def _features(self, candidates: Candidates, lengths: Sequence[float]) -> Numbers:
        length = 1 + np.log(np.maximum(lengths, 1e-3)) / math.log(1000)
        return np.hstack([self.pool.features(candidates), length[:, None]])

    def _priced(self, designs: Sequence[Values]) -> Candidates:
        """Costs of designs that were trained; feasible once, and on record."""
        return self.pool.price_all(designs)[0]

    def _observed(self, designs: Sequence[Values]) -> Candidates:
        """Costs of the designs on record; only what is new since the last proposal is priced."""
        before = self._on_record
        count = len(before)
        if before.values != list(designs[:count]):
            before, count = Candidates([], {}), 0
        if len(designs) > count:
            new = self._priced(designs[count:])
            self._on_record = joined([before, new]) if count else new
        return self._on_record

    def _parents(self, known: _Observations, observed: Candidates) -> list[Values]:
        """The designs of the measured frontier."""
        full = [index for index, length in enumerate(known.lengths) if length >= 1]
        if not full:
            return []
        errors = np.array(known.errors)[full]
        owners, costs = self.aim.points(observed.take(full))
        front = pareto_mask(np.column_stack([errors[owners], costs]))
        return [known.designs[full[index]] for index in dict.fromkeys(owners[front].tolist())]

    def _observe(self, trials: Sequence[FrozenTrial]) -> _Observations:
        found = _Observations([], [], [], [], set())
        for trial in trials:
            design = self._design(trial)
            if design is None:  # asked for, and nothing decided yet
                continue
            values, key = design
            found.seen.add(key)
            if trial.state == TrialState.RUNNING and ERROR not in trial.user_attrs:
                found.pending.append(values)
                continue
            error, length = self._error(trial)
            if error is not None:
                found.designs.append(values)
                found.errors.append(error)
                found.lengths.append(length)
        return found

    def _design(self, trial: FrozenTrial) -> tuple[Values, Identity] | None:
        """What a trial tries; None where not all is decided."""
        known = self._known.get(trial.number)
        if known is not None and known[0] == trial.params:
            return known[1:]
        values = values_of(self.space, trial.params)
        if values is None:
            return None
        self._known[trial.number] = (trial.params, values, identity(values))
        return self._known[trial.number][1:]

    def _error(self, trial: FrozenTrial) -> tuple[float | None, float]:
        """What was measured of a trial, and at which share of its epochs."""
        if trial.state == TrialState.COMPLETE and self.aim.measured in self.aim.objectives:
            return float(trial.values[self.aim.objectives.index(self.aim.measured)]), 1.0
        if ERROR in trial.user_attrs:
            length = float(trial.user_attrs.get(LENGTH, 1.0))
            return float(trial.user_attrs[ERROR]), length
        return None, 0.0


def _fitting_point(count: int) -> int:
    """The largest number of a fixed sequence that is at most `count`; steps are of a twentieth."""
    at = min(count, 12)
    while at + max(3, at // 20) <= count:
        at += max(3, at // 20)
    return at
