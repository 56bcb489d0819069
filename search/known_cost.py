"""The known-cost sampler: only what training tells is modelled, everything else is computed.

Which design should be trained next? To train one takes minutes; to price it takes microseconds,
with no doubt about what comes out. So of a design x

    c(x)   energy, latency, area, parameters   computed, for every design that is looked at
    e(x)   the error                           modelled, from the designs that were trained

A general sampler is told objectives and knows nothing of where they come from: TPE, NSGA-II or a
Gaussian process for each objective has to learn c from trained designs as well, and finds out by
proposing them which designs break a limit. Here nothing is spent on that.

One proposal (`KnownCostSampler.propose`):

    1 read        what the trials say: errors, designs in training, designs seen
    2 model       ln e(x) is normal with a mean and a deviation             search.surrogate
    3 draw        feasible designs that were not seen: random ones, and     search.candidates
                  changes of the designs of the frontier
    4 weigh       EHVI(x) = E[ HV(F + {(e(x), c(x))}) - HV(F) ]             search.improvement
                  F the frontier so far, HV its hypervolume in the study's
                  box, the expectation over e(x) alone: a closed form
    5 propose     the one of the largest EHVI

Before `STARTUP` designs are trained or in training, step 5 is a draw at random; in a study that has
experience of earlier trainings (`search.transfer`), step 2 knows enough for the first design.

Three traps, and what is done about them:

* *The lowest of many noisy errors is too good.* F is made of what the model says of the trained
  designs, not of what was measured: a lucky training moves F a little, and not by all of its luck.
* *Several workers must not get the same design.* Designs in training count as if they came out as
  predicted (the "Kriging believer" of Ginsbourger et al., 2010): that lowers the deviation around
  them, and puts them into F, so their neighbours are worth less.
* *A study that was killed must go on as if it had not been.* A proposal depends on the seed, on the
  trial's number and on what is recorded, and on nothing else: no state of a random generator, and
  no length scales but those that the same observations give again (`_fit_hyperparameters`).
"""

import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from dse.columns import MEASURED_COLUMNS
from dse.design.families.family import Values
from dse.design.space import SearchSpace
from dse.pareto import pareto_mask
from search import common, surrogate, transfer
from search.candidates import Identity, Pool, PricedDesigns, identify, join
from search.improvement import Floats, expected_improvement
from search.suggest import list_distributions, read_parameters, write_parameters
from search.transfer import Experience

STARTUP = 4
"""Designs drawn at random before the model is asked; more of them waste trainings (measured with
benchmarks/search.py: docs/how-to/search.md)."""

REMEMBERED = 4
"""Fits of length scales that are kept."""

EPOCHS_FRACTION = "epochs_fraction"
"""User attribute: the share of a full training's epochs that an observed error is of."""

OBSERVED_ERROR = "observed_error"
"""User attribute: the error of a training that was stopped early."""

LEAST_COST = 1e-12

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a study minimises."""

    objectives: tuple[str, ...]
    measured: str
    """The column that training tells: `error` or another measured one."""
    box: Mapping[str, Sequence[float]]
    """Objective -> best and worst value; costs as log10 (`search.survey.measure_box`)."""
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

    def scale_costs(self, columns: Mapping[str, Floats]) -> Floats:
        """Costs such that the box is from 0 to 1; columns of (n,) or (n, k) -> (..., m - 1).

        Logarithms first: half the energy is as much of a step at 1 uJ as at 100 uJ. On a linear
        scale, to halve a small energy would be worth next to nothing.
        """
        scaled = []
        for name in self.costs:
            best, worst = self.box[name]
            logs = np.log10(np.maximum(columns[name], LEAST_COST))
            scaled.append((logs - best) / (worst - best))
        return np.stack(scaled, axis=-1)

    def list_points(self, designs: PricedDesigns) -> tuple[npt.NDArray[np.int64], Floats]:
        """Where designs stand in the space of costs: one point for each machine that suits one.

        Returns:
            The place of each point's design, shape (p,), and the points, shape (p, m - 1).
        """
        if designs.machines is None:
            return np.arange(len(designs)), self.scale_costs(designs.columns)
        scaled = self.scale_costs(designs.machines)
        owners, machines = np.nonzero(~np.isnan(scaled).any(axis=2))
        return owners, scaled[owners, machines]


@dataclass(slots=True)
class _Known:
    """What the trials of a study say, in their order."""

    designs: list[Values]
    """Those of which an error is known, of a full training or at a rung."""
    errors: list[float]
    fractions: list[float]
    """The share of a full training's epochs that each error is of."""
    pending: list[Values]
    """Those in training, of which no error is known yet."""
    seen: set[Identity]
    """All that was ever proposed, feasible or not: none is proposed again."""


class KnownCostSampler(optuna.samplers.BaseSampler):
    """Proposes the feasible design of the largest expected hypervolume improvement."""

    def __init__(
        self,
        pool: Pool,
        aim: Aim,
        *,
        seed: int,
        startup: int = STARTUP,
        experience: Experience | None = None,
    ) -> None:
        """Make a sampler.

        Args:
            pool: of the study's space, machine and limits.
            aim: of the study.
            seed: of the study.
            startup: designs drawn at random first, without experience.
            experience: of earlier tasks, which takes their place.
        """
        self.pool = pool
        self.space: SearchSpace = pool.space
        self.aim = aim
        self.seed = seed
        self.startup = startup if experience is None else 0
        self.experience = experience
        self._describer = common.Describer(pool.sweep)
        self._fits: dict[bytes, Any] = {}
        """What they were fitted to -> the fit."""
        self._on_record = PricedDesigns([], {})
        self._known: dict[int, tuple[dict[str, Any], Values, Identity]] = {}
        """Trial -> its parameters, and the design that they are."""
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._distributions = list_distributions(self.space)

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
        if "fixed_params" in trial.system_attrs:  # enqueued, as baselines are: all is decided
            return {}
        trials = study.get_trials(deepcopy=False)
        # Without this trial itself: after a kill it is there with some of its axes.
        values = self.propose(trials[: trial.number] + trials[trial.number + 1 :], trial.number)
        if values is None:  # all that is known to be feasible was tried: the study ends with that
            again = self.pool.draw(self.seed, trial.number, [], set())
            if not len(again):
                return {}
            values = again.values[random.Random(trial.number).randrange(len(again))]
        return dict(write_parameters(self.space, values))

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

        The same for the same arguments, in any process: nothing that an earlier call has left
        behind changes it, only how long it takes.

        Args:
            trials: of the study, without the one that is asked for.
            number: of the trial that is asked for.
        """
        rng = random.Random(f"{self.seed}/{number}")
        known = self._read_trials(trials)
        if len(known.errors) + len(known.pending) < self.startup:
            drawn = self.pool.draw(self.seed, number, [], known.seen)
            return drawn.values[rng.randrange(len(drawn))] if len(drawn) else None
        trained = self._price_trained(known.designs)
        parents = self._find_parents(known, trained)
        drawn = self.pool.draw(self.seed, number, parents, known.seen)
        if not len(drawn):
            return None
        # Only failures, and designs in training.
        if len(known.errors) < 2 and self.experience is None:
            return drawn.values[rng.randrange(len(drawn))]
        return drawn.values[int(np.argmax(self._weigh(drawn, known, trained)))]

    def _weigh(self, drawn: PricedDesigns, known: _Known, trained: PricedDesigns) -> Floats:
        """Steps 2 and 4: what each design drawn is expected to add to the frontier; shape (n,).

        Two models with the same length scales. The first has measured errors alone, and says where
        the frontier is and what is to be expected of the designs in training. The second has those
        expectations as observations, too, and says what is to be expected of the designs drawn: its
        mean is close to the first one's, its deviation smaller near what is in training.

        Volumes are in the study's box: costs from 0 to 1 (`Aim.scale_costs`), errors as they are up
        to `Aim.worst_error`.
        """
        described = self._make_features(drawn, [1.0] * len(drawn))
        if not len(trained):  # with experience the first proposal is asked of the model, too
            trained = drawn.take([])
        features = self._make_features(trained, known.fractions, like=described)
        errors = np.array(known.errors)
        fit = self._choose_fit(features, errors)
        model = fit(features, errors)
        # Errors at a rung teach the model, but are on no frontier: they would not last.
        full = np.array(known.fractions) >= 1
        # Measured errors are noisy, and the lowest of many too good: the frontier is of what the
        # model makes of them.
        at_full_length = self._make_features(trained, [1.0] * len(trained), like=described)
        smooth = np.exp(model.predict_mean(at_full_length))
        owners, front_costs = self.aim.list_points(trained)
        # From one entry a design to one a point: one on each machine that suits the design.
        front_errors, front_costs = smooth[owners][full[owners]], front_costs[full[owners]]
        if known.pending:
            pending = self._price(known.pending)
            in_training = self._make_features(pending, [1.0] * len(pending))
            expected = np.exp(model.predict_mean(in_training))
            # As if told what is expected of them: their neighbours are worth less then.
            features = np.vstack([features, in_training])
            model = fit(features, np.append(errors, expected))
            owners, costs = self.aim.list_points(pending)
            front_errors = np.append(front_errors, expected[owners])
            front_costs = np.vstack([front_costs, costs])
        mean, deviation = model.predict(described)
        owners, costs = self.aim.list_points(drawn)
        improvement = expected_improvement(
            mean[owners],
            deviation[owners],
            costs,
            front_errors,
            front_costs,
            self.aim.worst_error,
            np.ones(costs.shape[1]),
        )
        # A network is worth what it is on the machine that it improves the frontier most on. All
        # its points improve it by at least that, and by less than their sum where they overlap.
        best = np.zeros(len(drawn))
        np.maximum.at(best, owners, improvement)
        return best

    def _choose_fit(self, features: Floats, errors: Floats) -> Callable[..., surrogate.Surrogate]:
        """What fits a model to rows, with hyperparameters that follow from these."""
        if self.experience is None or len(errors) > transfer.MOST_OWN:
            return functools.partial(
                surrogate.fit, hyper=self._fit_hyperparameters(features, errors)
            )
        choose = functools.partial(transfer.choose, self.experience)
        chosen, own = self._remember(features, errors, choose)
        return functools.partial(transfer.Transferred, chosen, own=own)

    def _fit_hyperparameters(
        self, features: Floats, errors: Floats
    ) -> surrogate.Hyperparameters | None:
        """Length scales of the study's own model; None where a forest takes over."""
        if len(errors) > surrogate.MOST_OBSERVATIONS:
            return None
        return self._remember(features, errors, surrogate.fit_hyperparameters)

    def _remember(self, features: Floats, errors: Floats, fit: Callable[[Floats, Floats], T]) -> T:
        """A fit, made anew only when there are a twentieth more observations.

        It depends on the first so many observations alone, never on an earlier fit: a study that
        was resumed has made none.
        """
        count = _choose_fitting_count(len(errors))
        # Known by what they were fitted to, not by how much: a design that went on to its next rung
        # has another error since, and a study that is resumed then must find the same.
        key = features[:count].tobytes() + errors[:count].tobytes()
        if key not in self._fits:
            if len(self._fits) >= REMEMBERED:
                self._fits.pop(next(iter(self._fits)))
            self._fits[key] = fit(features[:count], errors[:count])
        found: T = self._fits[key]
        return found

    def _make_features(
        self, designs: PricedDesigns, fractions: Sequence[float], like: Floats | None = None
    ) -> Floats:
        """What the model sees of designs, shape (n, f + 1); the last column is how long they train.

        1 is a full training, 0 a thousandth of one, logarithmic in between: a tenth of the epochs
        is at 0.67. The model learns from rungs what more epochs bring, and is asked at 1. In a
        study without rungs the column is constant and says nothing.

        Args:
            designs: priced; costs are among their features.
            fractions: of a full training's epochs, one a design.
            like: features of others, by which the shape is known where there are no designs.
        """
        if like is not None and not len(designs):
            return like[:0]
        length = 1 + np.log(np.maximum(fractions, 1e-3)) / math.log(1000)
        own = [self.pool.make_features(designs), length[:, None]]
        if self.experience is not None:
            own.append(self._describer.describe(designs.values, designs.columns))
        return np.hstack(own)

    def _price(self, designs: Sequence[Values]) -> PricedDesigns:
        """Costs of designs that were trained; feasible once, and on record."""
        return self.pool.price_all(designs)[0]

    def _price_trained(self, designs: Sequence[Values]) -> PricedDesigns:
        """Costs of the designs on record; only what is new since the last proposal is priced.

        Designs are appended in the order of their trials, so the last list is the beginning of this
        one; where it is not (an older trial has its error only now), all are priced again.
        """
        before = self._on_record
        count = len(before)
        if before.values != list(designs[:count]):
            before, count = PricedDesigns([], {}), 0
        if len(designs) > count:
            new = self._price(designs[count:])
            self._on_record = join([before, new]) if count else new
        return self._on_record

    def _find_parents(self, known: _Known, trained: PricedDesigns) -> list[Values]:
        """The designs of the measured frontier."""
        full = [index for index, fraction in enumerate(known.fractions) if fraction >= 1]
        if not full:
            return []
        errors = np.array(known.errors)[full]
        owners, costs = self.aim.list_points(trained.take(full))
        front = pareto_mask(np.column_stack([errors[owners], costs]))
        return [known.designs[full[index]] for index in dict.fromkeys(owners[front].tolist())]

    def _read_trials(self, trials: Sequence[FrozenTrial]) -> _Known:
        """Step 1: what trials say.

            trial                                seen   pending   error, of a share of the epochs
            not all axes decided
            in training, nothing known            x        x
            waits or was stopped at a rung        x                 its error there, below 1
            trained, its error over a limit, too  x                 its error, 1
            a cost over a limit, invalid, failed  x

        A trial that waits is open for Optuna, like one in training: its observed error tells.
        """
        found = _Known([], [], [], [], set())
        for trial in trials:
            design = self._read_design(trial)
            if design is None:  # asked for, and nothing decided yet
                continue
            values, key = design
            found.seen.add(key)
            # A trial that waits at a rung is open, too, and its error there is known.
            if trial.state == TrialState.RUNNING and OBSERVED_ERROR not in trial.user_attrs:
                found.pending.append(values)
                continue
            error, fraction = self._read_error(trial)
            if error is not None:
                found.designs.append(values)
                found.errors.append(error)
                found.fractions.append(fraction)
        return found

    def _read_design(self, trial: FrozenTrial) -> tuple[Values, Identity] | None:
        """What a trial tries; None where not all is decided."""
        known = self._known.get(trial.number)
        if known is not None and known[0] == trial.params:
            return known[1:]
        values = read_parameters(self.space, trial.params)
        if values is None:
            return None
        self._known[trial.number] = (trial.params, values, identify(values))
        return self._known[trial.number][1:]

    def _read_error(self, trial: FrozenTrial) -> tuple[float | None, float]:
        """What was measured of a trial, and at which share of its epochs."""
        if trial.state == TrialState.COMPLETE and self.aim.measured in self.aim.objectives:
            return float(trial.values[self.aim.objectives.index(self.aim.measured)]), 1.0
        if OBSERVED_ERROR in trial.user_attrs:
            fraction = float(trial.user_attrs.get(EPOCHS_FRACTION, 1.0))
            return float(trial.user_attrs[OBSERVED_ERROR]), fraction
        return None, 0.0


def _choose_fitting_count(count: int) -> int:
    """The largest number of a fixed sequence that is at most `count`; steps are of a twentieth.

    12, 15, 18, ..., 78, 81, 85, 89, ...: fixed, so that which observations the scales were fitted
    to follows from how many there are, and not from when this process was started.
    """
    at = min(count, 12)
    while at + max(3, at // 20) <= count:
        at += max(3, at // 20)
    return at
