"""What earlier trainings tell of a new study's errors, before it has trained anything.

Studies differ in their data, recipes, spaces and families, and yet larger, deeper, denser networks
err less in all of them. A task t is a study or a table of trainings, u(x) are the features that all
networks have in common (`search.common`), and

    ln e_t(x) = level_t + g(u(x)) + h_t(u(x)) + noise          of an earlier task
    ln e(x)   = level + (1 + b) m(u(x)) + g'(u(x)) + h(x) + noise    of the study itself

    level     how hard the task is: normal, so wide that two trainings settle it
    g         what all tasks share: a Gaussian process, Matern 5/2, one length scale a feature
    h_t       what is peculiar to one: likewise, `own_share` of its variance; so a thousand rows of
              one task weigh little more than a hundred
    m, g'     mean of g, given all earlier tasks, and what is left in doubt of it
    b         normal around 0: errors of the new task may differ by more, less, or the other way
    h         what is peculiar to the study: a Gaussian process over its own axes
              (`search.known_cost`), whose variance and length scales are fitted to its own rows

All of it together is one Gaussian process with a mean, so that one Cholesky factor of the study's
own rows gives predictions. Before the first training they are those of the earlier tasks, with wide
doubt about the level; each own training takes weight from them, by the ratio of variances: with
many, h alone would do, and a prior that is wrong costs some trainings and not the study.

Trainings of small tasks are noisy: of n clips, an error e is told with a variance of e (1 - e) / n,
which of ln e is (1 - e) / (e n). So the noise of a row is not the same for all: it is the model's
times (1 - e) / e of what the prior expects there, not of what was measured, or lucky trainings would
be believed least and unlucky ones most.
"""

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from search.common import FEATURE_SET, NAMES
from search.improvement import Floats
from search import surrogate
from search.surrogate import LEAST_ERROR, Surrogate, fit_kernel

SCALES = np.array([4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 3.0, 3.0, 1.0])
"""What each feature is divided by, so that usual spaces have a range of about 1."""

LEVEL = 0.7
"""Deviation of the level of a task, of ln e: half of all tasks err between 0.6 and 1.6 times as
much as the middle one. Wide on purpose."""

SLOPE = 0.7
"""Deviation of b."""

STOPPED = 3.0
"""Deviation of what ln e grows by where a training ends early, from full length to a thousandth."""


@dataclass(frozen=True, slots=True)
class Task:
    """Trainings of one study or table."""

    name: str
    features: Floats
    """Common ones, shape (n, f)."""
    errors: Floats
    """Of full trainings, shape (n,)."""


@dataclass(frozen=True, slots=True)
class Hyper:
    """Of g and h_t, in units of ln e and of `SCALES`; fitted by `fit_hyper`."""

    variance: float
    lengths: tuple[float, ...]
    own_share: float
    noise: float


@dataclass(frozen=True)
class Experience:
    """All that earlier tasks tell."""

    tasks: tuple[Task, ...]
    hyper: Hyper

    @property
    def level(self) -> float:
        """Mean ln e of all tasks, each counting once."""
        return self._fitted[3]

    @cached_property
    def _fitted(self) -> tuple[Floats, Any, Floats, float]:
        """Features of all rows, the factor of their covariance, its product with errors, mean."""
        features = np.vstack([task.features for task in self.tasks]) / SCALES
        logs, owner = stack(self.tasks)
        factor = cho_factor(covariance(features, owner, self.hyper), lower=True)
        mean = float(np.mean([logs[owner == t].mean() for t in range(len(self.tasks))]))
        return features, factor, cho_solve(factor, logs - mean), mean

    def prior(self, features: Floats) -> tuple[Floats, Floats]:
        """m of designs of a new task, shape (n,), and what explains their covariance, (rows, n)."""
        rows, factor, weights, mean = self._fitted
        between = self.hyper.variance * matern(rows, features / SCALES, self.hyper.lengths)
        if not len(features):
            return np.zeros(0), between
        explained = solve_triangular(factor[0], between, lower=True, check_finite=False)
        return mean + between.T @ weights, explained

    def shared(self, one: Floats, other: Floats) -> Floats:
        """Covariance of g before any task is known."""
        return self.hyper.variance * matern(one / SCALES, other / SCALES, self.hyper.lengths)


def stack(tasks: Sequence[Task]) -> tuple[Floats, Floats]:
    """ln e of all rows of all tasks, and the number of the task of each."""
    logs = np.log(np.maximum(np.concatenate([task.errors for task in tasks]), LEAST_ERROR))
    return logs, np.repeat(np.arange(len(tasks)), [len(task.errors) for task in tasks])


def covariance(features: Floats, owner: Floats, hyper: Hyper) -> Floats:
    """Of ln e of rows of earlier tasks, shape (n, n)."""
    same = owner[:, None] == owner[None, :]
    found = hyper.variance * matern(features, features, hyper.lengths)
    found *= 1 + hyper.own_share * same
    found += LEVEL**2 * same
    found[np.diag_indices_from(found)] += hyper.noise + 1e-8
    return found


def matern(one: Floats, other: Floats, lengths: Sequence[float]) -> Floats:
    """Matern 5/2 of each pair, shape (n, k)."""
    a, b = one / np.array(lengths), other / np.array(lengths)
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    r = np.sqrt(5 * np.maximum(square, 0.0))
    found: Floats = (1 + r + r**2 / 3) * np.exp(-r)
    return found


def fit_hyper(tasks: Sequence[Task]) -> Hyper:
    """Of most likelihood; from one start, so that the same tasks give the same."""
    from scipy.optimize import minimize

    features = np.vstack([task.features for task in tasks]) / SCALES
    logs, owner = stack(tasks)
    target = logs - np.mean([logs[owner == t].mean() for t in range(len(tasks))])

    def unpack(x: Floats) -> Hyper:
        e = np.exp(x)
        return Hyper(float(e[0]), tuple(map(float, e[3:])), float(e[1]), float(e[2]))

    def loss(x: Floats) -> float:
        k = covariance(features, owner, unpack(x))
        try:
            factor = cho_factor(k, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return 1e9
        return float(
            0.5 * target @ cho_solve(factor, target) + np.log(np.diag(factor[0])).sum()
        ) + 0.05*float((x[3:]**2).sum())

    start = np.log([0.1, 0.5, 0.01, *[1.0] * len(NAMES)])
    bounds = [(-5, 1), (-4, 1.5), (-9, -2)] + [(-1.5, 3)] * len(NAMES)
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": 40})
    return unpack(best.x)


@dataclass(frozen=True, slots=True)
class OwnHyper:
    """Of h and the noise of the study's own rows, in units of ln e."""

    variance: float
    lengths: tuple[float, ...]
    noise: float


class Transferred:
    """The model of a study that has experience: see the module.

    Its features are those of `search.known_cost`: the study's own, of which the last is how long a
    training was, then the common ones.
    """

    def __init__(
        self, experience: Experience, features: Floats, errors: Floats, own: OwnHyper
    ) -> None:
        """Take in the study's own rows; there may be none."""
        self.experience, self.own_hyper, self.features = experience, own, features
        self.mean, self.explained = experience.prior(self._common(features))
        target = np.log(np.maximum(errors, LEAST_ERROR))
        residual = target - self.mean
        covariance = self._covariance(features, self.mean, self.explained)
        covariance[np.diag_indices_from(covariance)] += own.noise * _odds(self.mean, residual) + 1e-8
        self.factor = cho_factor(covariance, lower=True) if len(errors) else None
        self.weights = cho_solve(self.factor, residual) if self.factor else residual

    def _common(self, features: Floats) -> Floats:
        return features[:, -len(NAMES) :]

    def _covariance(
        self, features: Floats, mean: Floats, explained: Floats
    ) -> Floats:
        """Of designs and the own rows, shape (n, rows)."""
        others, hyper = self.features, self.own_hyper
        shared = self.experience.shared(self._common(features), self._common(others))
        count = features.shape[1] - len(NAMES)
        length, other_length = features[:, count - 1], others[:, count - 1]
        found: Floats = (
            shared
            - explained.T @ self.explained
            + LEVEL**2
            + SLOPE**2 * np.outer(mean - self.experience.level, self.mean - self.experience.level)
            + STOPPED**2 * np.outer(1 - length, 1 - other_length)
            + hyper.variance * matern(features[:, :count], others[:, :count], hyper.lengths)
        )
        return found

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """See `search.surrogate.Surrogate`."""
        mean, explained = self.experience.prior(self._common(features))
        count = features.shape[1] - len(NAMES)
        hyper = self.own_hyper
        variance = (
            self.experience.hyper.variance
            - (explained**2).sum(axis=0)
            + LEVEL**2
            + SLOPE**2 * (mean - self.experience.level) ** 2
            + STOPPED**2 * (1 - features[:, count - 1]) ** 2
            + hyper.variance
        )
        if self.factor:
            between = self._covariance(features, mean, explained)
            mean = mean + between @ self.weights
            known = solve_triangular(self.factor[0], between.T, lower=True, check_finite=False)
            variance = variance - (known**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-8))

    def predict_mean(self, features: Floats) -> Floats:
        """See `search.surrogate.Surrogate`."""
        return self.predict(features)[0]

    def left_out(self) -> float:
        """See `search.surrogate.Process`."""
        return surrogate.log_density_left_out(self.factor, self.weights)


def _odds(mean: Floats, residual: Floats) -> Floats:
    """(1 - e) / e of what is expected of each row, over their mean: how noisy each training is."""
    if not len(mean):
        return mean
    expected = np.exp(np.minimum(mean + residual.mean(), math.log(0.95)))
    odds = (1 - expected) / expected
    return odds / odds.mean()


FEW = OwnHyper(0.015, (), 0.005)
"""Before there are `FITTED` own rows: deviations of 12 % and 7 %, as among designs of our tables."""

FITTED = 12
"""Own rows from which h is fitted to them."""


def fit_own(experience: Experience, features: Floats, errors: Floats) -> OwnHyper:
    """Length scales, variance and noise of h: of what level and slope leave of the own rows."""
    count = features.shape[1] - len(NAMES)
    if len(errors) < FITTED:
        return OwnHyper(FEW.variance, (1.0,) * count, FEW.noise)
    mean, _ = experience.prior(features[:, -len(NAMES) :])
    target = np.log(np.maximum(errors, LEAST_ERROR)) - mean
    # Ridge regression with the priors' variances in units of the noise.
    columns = np.column_stack(
        [np.ones(len(mean)), mean - experience.level, 1 - features[:, count - 1]]
    )
    penalty = 0.02 / np.array([LEVEL, SLOPE, STOPPED]) ** 2
    normal = columns.T @ columns + np.diag(penalty)
    left = target - columns @ np.linalg.solve(normal, columns.T @ target)
    kernel = fit_kernel(features[:, :count], left)
    scale = max(float(left.var()), 1e-6)
    return OwnHyper(
        float(kernel.k1.k1.constant_value) * scale,
        tuple(map(float, np.atleast_1d(kernel.k1.k2.length_scale))),
        float(kernel.k2.noise_level) * scale,
    )


MOST_OWN = 250
"""Own rows from which on earlier tasks are not asked any more."""


@dataclass(frozen=True)
class Belief:
    """One model of errors, or two of which each is believed with a weight."""

    parts: tuple[tuple[float, Callable[[Floats, Floats], Surrogate]], ...]
    """Weights, and what fits a model to features and errors, its hyperparameters chosen."""
    features: Floats
    errors: Floats

    @cached_property
    def models(self) -> list[tuple[float, Surrogate]]:
        """Weights and models; those that hardly weigh anything are left out."""
        kept = [(weight, fit) for weight, fit in self.parts if weight > LEAST_WEIGHT]
        return [(weight, fit(self.features, self.errors)) for weight, fit in kept]

    def predict_mean(self, features: Floats) -> Floats:
        """Mean of ln error, shape (n,)."""
        means = [weight * model.predict_mean(features) for weight, model in self.models]
        found: Floats = np.sum(means, axis=0)
        return found

    def extended(self, features: Floats, errors: Floats) -> "Belief":
        """The same hyperparameters and weights with other rows."""
        return Belief(self.parts, features, errors)


LEAST_WEIGHT = 1e-3


def believe(
    experience: Experience,
    features: Floats,
    errors: Floats,
    own: OwnHyper,
    plain: surrogate.Hyperparameters | None,
) -> Belief:
    """Both models with weights: how well each tells own rows that it was not shown.

    A prior may be wrong, and the frontier would be looked for where it is not. So it is held
    against a model without any. Each row in turn is left out and predicted from the others; with
    the sums of the logarithms of the densities that they give what came, L and L',

        weight of the earlier tasks = 1 / (1 + exp(L' - L))

    Args:
        experience: of earlier tasks.
        features: of own rows, the common ones last, shape (n, f).
        errors: of own rows, shape (n,).
        own: of the first model.
        plain: of the second; None where there are too few rows for one.
    """
    shown = functools.partial(Transferred, experience, own=own)
    if plain is None:
        return Belief(((1.0, shown),), features, errors)
    alone = functools.partial(_Alone, hyper=plain)
    one, other = shown(features, errors).left_out(), alone(features, errors).left_out()
    weight = 1 / (1 + math.exp(min(max(other - one, -50.0), 50.0)))
    return Belief(((weight, shown), (1 - weight, alone)), features, errors)


class _Alone:
    """The study's own model, which does not look at common features."""

    def __init__(
        self, features: Floats, errors: Floats, *, hyper: surrogate.Hyperparameters
    ) -> None:
        target = np.log(np.maximum(errors, LEAST_ERROR))
        self.model = surrogate.Process(self._own(features), target, hyper)

    def _own(self, features: Floats) -> Floats:
        return features[:, : -len(NAMES)]

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """See `search.surrogate.Surrogate`."""
        return self.model.predict(self._own(features))

    def predict_mean(self, features: Floats) -> Floats:
        """See `search.surrogate.Surrogate`."""
        return self.model.predict_mean(self._own(features))

    def left_out(self) -> float:
        """See `search.surrogate.Process`."""
        return self.model.left_out()
