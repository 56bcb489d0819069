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
many, h alone would do. Where own rows are more probable without the earlier tasks, these are
forgotten (`choose`), so that a prior which is wrong costs some trainings and not the study.

Low errors are noisier than high ones: of n clips, an error e is told with a variance of
e (1 - e) / n, which of ln e is (1 - e) / (e n). So the noise of an own row is the model's times
(1 - e) / e, over its mean, with the e that the prior expects there: with what was measured, lucky
trainings would be believed less than unlucky ones of the same design.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from search.common import NAMES
from search.improvement import Floats
from search.surrogate import LEAST_ERROR

SCALES = np.array([4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 3.0, 3.0, 1.0])
"""What each feature is divided by, so that usual spaces have a range of about 1."""

MIDDLE = np.array([3.5, 3.2, 0.25, 0.3, 1.2, 2.7, 0.3, 0.6, 0.4])
"""A usual network, in units of `SCALES`: where trends have no effect."""

TREND = 0.3
"""Deviation of the slope of ln e along a feature, in units of `SCALES`."""

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
    usual: float = math.log(0.3)
    """Level of a task where there are no earlier ones."""

    @property
    def level(self) -> float:
        """Mean ln e of all tasks, each counting once."""
        return self._fitted[3] if self.tasks else self.usual

    @cached_property
    def forgotten(self) -> "Experience":
        """What is left without any task: that there may be trends along the common features."""
        return Experience((), self.hyper, self.level)

    @cached_property
    def _fitted(self) -> tuple[Floats, Any, Floats, float]:
        """Features of all rows, the factor of their covariance, its product with errors, mean."""
        features = np.vstack([task.features for task in self.tasks]) / SCALES
        logs, owner = stack(self.tasks)
        factor = cho_factor(covariance(features, owner, self.hyper), lower=True)
        mean = float(np.mean([logs[owner == t].mean() for t in range(len(self.tasks))]))
        return features, factor, cho_solve(factor, logs - mean), mean

    def prior(self, features: Floats) -> tuple[Floats, Floats]:
        """M of designs of a new task, shape (n,), and what explains their covariance, (rows, n)."""
        if not self.tasks:
            return np.full(len(features), self.usual), np.zeros((0, len(features)))
        rows, factor, weights, mean = self._fitted
        between = kernel(rows, features / SCALES, self.hyper)
        if not len(features):
            return np.zeros(0), between
        explained = solve_triangular(factor[0], between, lower=True, check_finite=False)
        return mean + between.T @ weights, explained

    def shared(self, one: Floats, other: Floats) -> Floats:
        """Covariance of g before any task is known."""
        return kernel(one / SCALES, other / SCALES, self.hyper)

    def shared_variance(self, features: Floats) -> Floats:
        """Its diagonal, shape (n,)."""
        centred = features / SCALES - MIDDLE
        variance: Floats = self.hyper.variance + TREND**2 * (centred**2).sum(axis=1)
        return variance


def stack(tasks: Sequence[Task]) -> tuple[Floats, Floats]:
    """Ln e of all rows of all tasks, and the number of the task of each."""
    logs = np.log(np.maximum(np.concatenate([task.errors for task in tasks]), LEAST_ERROR))
    return logs, np.repeat(np.arange(len(tasks)), [len(task.errors) for task in tasks])


def covariance(features: Floats, owner: Floats, hyper: Hyper) -> Floats:
    """Of ln e of rows of earlier tasks, shape (n, n)."""
    same = owner[:, None] == owner[None, :]
    found = kernel(features, features, hyper)
    found *= 1 + hyper.own_share * same
    found += LEVEL**2 * same
    found[np.diag_indices_from(found)] += hyper.noise + 1e-8
    return found


def kernel(one: Floats, other: Floats, hyper: Hyper) -> Floats:
    """Covariance of g of each pair, shape (n, k): Matern 5/2, and a trend along each feature.

    Beyond the networks that were trained a Matern process goes back to its mean, and takes one of
    twice the size for a middling one. A trend goes on.
    """
    trend = TREND**2 * (one - MIDDLE) @ (other - MIDDLE).T
    found: Floats = hyper.variance * matern(one, other, hyper.lengths) + trend
    return found


def matern(one: Floats, other: Floats, lengths: Sequence[float]) -> Floats:
    """Matern 5/2 of each pair, shape (n, k)."""
    a, b = one / np.array(lengths), other / np.array(lengths)
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    r = np.sqrt(5 * np.maximum(square, 0.0))
    found: Floats = (1 + r + r**2 / 3) * np.exp(-r)
    return found


USUAL_LENGTH = math.log(2.0)
"""Mean of a length scale's logarithm before anything is fitted, with a deviation of 1: that of a
feature which is the same in all rows of the tables stays there."""


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
            0.5 * target @ cho_solve(factor, target)
            + np.log(np.diag(factor[0])).sum()
            + 0.5 * ((x[3:] - USUAL_LENGTH) ** 2).sum()
        )

    start = np.array([math.log(0.05), math.log(0.5), math.log(0.01), *[USUAL_LENGTH] * len(NAMES)])
    bounds = [(-7, 1), (-4, 1), (-9, -2)] + [(-1, 3)] * len(NAMES)
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
        self.experience, self.hyper, self.features = experience, own, features
        self.mean, self.explained = experience.prior(features[:, -len(NAMES) :])
        self.residual = np.log(np.maximum(errors, LEAST_ERROR)) - self.mean
        self.odds = _odds(self.mean, self.residual)
        self.given = self._given(features, self.mean, self.explained)
        covariance = self.given + self._own(features)
        covariance[np.diag_indices_from(covariance)] += own.noise * self.odds + 1e-8
        self.factor = cho_factor(covariance, lower=True) if len(errors) else None
        self.weights = cho_solve(self.factor, self.residual) if self.factor else self.residual

    def _given(self, features: Floats, mean: Floats, explained: Floats) -> Floats:
        """Covariance of designs and own rows but for that of h, shape (n, rows)."""
        others, last = self.features, -len(NAMES) - 1
        level = self.experience.level
        found: Floats = (
            self.experience.shared(features[:, last + 1 :], others[:, last + 1 :])
            - explained.T @ self.explained
            + LEVEL**2
            + SLOPE**2 * np.outer(mean - level, self.mean - level)
            + STOPPED**2 * np.outer(1 - features[:, last], 1 - others[:, last])
        )
        return found

    def _own(self, features: Floats) -> Floats:
        """Covariance of h, shape (n, rows)."""
        one, other = features[:, : -len(NAMES)], self.features[:, : -len(NAMES)]
        return self.hyper.variance * matern(one, other, self.hyper.lengths)

    def unlikelihood(self, own: OwnHyper) -> tuple[float, Floats]:
        """-ln of the likelihood of the own rows with another h, and its slope.

        The slope is by the logarithms of variance, length scales and noise. With w = K^-1 y it is
        tr((K^-1 - w w^T) dK) / 2 (Rasmussen and Williams, 2006, equation 5.9); for Matern 5/2,

            dk / d ln l_f = 5/3 (1 + sqrt(5) r) exp(-sqrt(5) r) ((x_f - x'_f) / l_f)^2

        Args:
            own: what h is to be.
        """
        scaled = self.features[:, : -len(NAMES)] / np.array(own.lengths)
        squares = (scaled[:, None, :] - scaled[None, :, :]) ** 2
        r = np.sqrt(5 * squares.sum(axis=2))
        decay = own.variance * np.exp(-r)
        smooth = decay * (1 + r + r**2 / 3)
        covariance = self.given + smooth
        covariance[np.diag_indices_from(covariance)] += own.noise * self.odds + 1e-8
        factor = cho_factor(covariance, lower=True)
        weights = cho_solve(factor, self.residual)
        value = 0.5 * self.residual @ weights + np.log(np.diag(factor[0])).sum()
        outer = cho_solve(factor, np.eye(len(weights))) - np.outer(weights, weights)
        by_length = np.einsum("ij,ijf->f", outer * decay * (5 / 3) * (1 + r), squares)
        slope = np.array(
            [(outer * smooth).sum(), *by_length, own.noise * np.diag(outer) @ self.odds]
        )
        return float(value), 0.5 * slope

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """See `search.surrogate.Surrogate`."""
        mean, explained = self.experience.prior(features[:, -len(NAMES) :])
        last = -len(NAMES) - 1
        variance = (
            self.experience.shared_variance(features[:, last + 1 :])
            - (explained**2).sum(axis=0)
            + LEVEL**2
            + SLOPE**2 * (mean - self.experience.level) ** 2
            + STOPPED**2 * (1 - features[:, last]) ** 2
            + self.hyper.variance
        )
        if self.factor:
            between = self._given(features, mean, explained) + self._own(features)
            mean = mean + between @ self.weights
            known = solve_triangular(self.factor[0], between.T, lower=True, check_finite=False)
            variance = variance - (known**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-8))

    def predict_mean(self, features: Floats) -> Floats:
        """See `search.surrogate.Surrogate`."""
        return self.predict(features)[0]


def _odds(mean: Floats, residual: Floats) -> Floats:
    """(1 - e) / e of what is expected of each row, over their mean: how noisy each training is."""
    if not len(mean):
        return mean
    expected = np.exp(np.minimum(mean + residual.mean(), math.log(0.95)))
    odds: Floats = (1 - expected) / expected
    odds /= odds.mean()
    return odds


USUAL = OwnHyper(0.02, (1.0,), 0.006)
"""Before there are own rows, as among designs of our tables: deviations of 14 % and 8 % of e."""

FEWEST = 4
"""Own rows from which h is fitted to them."""

DOUBT = (1.0, 0.7, 0.7)
"""Deviations of the logarithms of variance, each length scale and noise, around the usual ones."""


def fit_own(experience: Experience, features: Floats, errors: Floats) -> OwnHyper:
    """Variance, length scales and noise of h that are the most probable, given the own rows.

    Of most likelihood alone they would be those that explain ten rows without any noise: with a
    length scale for each of twenty features that can nearly always be done, and all doubt is gone.
    So each has a prior, a normal one of its logarithm, around what is usual.

    Args:
        experience: of earlier tasks.
        features: of own rows, the common ones last, shape (n, f).
        errors: of own rows, shape (n,).
    """
    from scipy.optimize import minimize

    count = features.shape[1] - len(NAMES)
    usual = np.log([USUAL.variance, *USUAL.lengths * count, USUAL.noise])
    if len(errors) < FEWEST:
        return _unpacked(usual)
    rows = Transferred(experience, features, errors, _unpacked(usual))
    doubt = np.array([DOUBT[0], *[DOUBT[1]] * count, DOUBT[2]])

    def loss(x: Floats) -> tuple[float, Floats]:
        value, slope = rows.unlikelihood(_unpacked(x))
        off = (x - usual) / doubt
        return value + 0.5 * float(off @ off), slope + off / doubt

    best = minimize(loss, usual, jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return _unpacked(best.x)


def _unpacked(logs: Floats) -> OwnHyper:
    variance, *lengths, noise = np.exp(logs).tolist()
    return OwnHyper(variance, tuple(lengths), noise)


def choose(experience: Experience, features: Floats, errors: Floats) -> tuple[Experience, OwnHyper]:
    """Earlier tasks, or none of them where the own rows are less probable with them.

    A prior may be wrong, and trainings would be spent where it says. So it stands against the same
    model without any earlier task, each with its own h: that is taken under which the own rows have
    the larger density. A prior that helps makes them more probable from the second or third on.

    Args:
        experience: of earlier tasks.
        features: of own rows, the common ones last, shape (n, f).
        errors: of own rows, shape (n,).
    """
    own = fit_own(experience, features, errors)
    if len(errors) < 2:
        return experience, own
    alone = fit_own(experience.forgotten, features, errors)
    with_it, without = (
        Transferred(each, features, errors, hyper).unlikelihood(hyper)[0]
        for each, hyper in ((experience, own), (experience.forgotten, alone))
    )
    return (experience, own) if with_it <= without else (experience.forgotten, alone)


MOST_OWN = 250
"""Own rows from which on earlier tasks are not asked any more: they would weigh nothing."""
