"""What is known about the error of designs that were not trained: a prediction with its doubt.

A Gaussian process on the logarithm of the error. With y = (ln e - mean) / deviation over the
trained designs, two designs with features x and x' covary by

    k(x, x') = v * matern52(r) + noise * [the same observation]
    matern52(r) = (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)
    r^2 = sum over features f of ((x_f - x'_f) / l_f)^2

Close designs have close errors; how close is close, a length scale l_f for each feature, is fitted
by maximum likelihood, and a feature that says nothing gets a long one. With K = k(X, X) + noise I,

    mean(x)      = k(x, X) K^-1 y
    variance(x)  = k(x, x) - k(x, X) K^-1 k(X, x)

by one Cholesky factor of K. The variance is of the error that a design *has*, not of the next
training's: the noise term, which stands for the luck of a seed, is left out of k(x, x).

Why the logarithm: errors are above 0 and differ by factors, and a design at 2 % is as far below one
at 4 % as that is below 8 %. Why Matern 5/2: smooth, but not as smooth as a Gaussian, which would
believe too firmly in a trend. Why a length as a feature (`search.known_cost`): a training that was
stopped early is an observation, too, and predictions are made for full length.

The factor takes time with the cube of the observations: beyond `MOST_OBSERVATIONS`, a random forest
takes over, whose doubt is how far its trees disagree. Kernels, their fit and the forest are
scikit-learn's; the prediction is written here, because scikit-learn's deviation has the noise in
it.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from search.improvement import Floats

MOST_OBSERVATIONS = 1_500
"""Beyond, a forest takes over: the process's matrix of 1,500 is factorised in 0.1 s."""

FITTED_OBSERVATIONS = 250
"""Length scales are fitted to at most so many observations; all of them make the prediction."""

LEAST_ERROR = 1e-3
"""Smaller errors are taken as this one before their logarithm is."""


class Surrogate(Protocol):
    """A fitted model of ln error."""

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of ln error without the noise of training, each of shape (n,)."""

    def predict_mean(self, features: Floats) -> Floats:
        """The mean alone, which is quicker to compute."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """A fitted kernel: variance and length scales (k1), noise (k2)."""

    kernel: Any


def fit(features: Floats, errors: Floats, *, hyper: Hyperparameters | None = None) -> Surrogate:
    """Fit a model to trained designs.

    Args:
        features: shape (n, f), each column from about 0 to 1.
        errors: shares of clips told wrongly, shape (n,).
        hyper: length scales that were fitted before; fitted here where it is None.
    """
    target = np.log(np.maximum(errors, LEAST_ERROR))
    if len(errors) > MOST_OBSERVATIONS:
        return _Forest(features, target)
    return _Process(features, target, hyper or fit_hyperparameters(features, errors))


def fit_hyperparameters(features: Floats, errors: Floats) -> Hyperparameters:
    """Length scales, variance and noise of most likelihood.

    Of many observations, evenly spaced ones are taken, always the last among them. From one fixed
    start, without restarts at random: the same observations always give the same scales.

    Args:
        features: shape (n, f), each column from about 0 to 1.
        errors: shape (n,).
    """
    from sklearn.exceptions import ConvergenceWarning  # slow to load: seconds
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    target = np.log(np.maximum(errors, LEAST_ERROR))
    if len(target) > FITTED_OBSERVATIONS:
        chosen = np.linspace(0, len(target) - 1, FITTED_OBSERVATIONS).astype(int)
        features, target = features[chosen], target[chosen]
    # Features run from 0 to 1: at a length of 30 the whole range of one changes next to nothing, at
    # 0.1 a tenth of it is far away. Variance and noise are in units of the variance of ln error.
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(
        np.full(features.shape[1], 1.0), (0.1, 30.0), nu=2.5
    ) + WhiteKernel(0.05, (1e-4, 1.0))
    scaled = (target - target.mean()) / max(float(target.std()), 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound: it is unused
        model = GaussianProcessRegressor(kernel, n_restarts_optimizer=0, random_state=0)
        model.fit(features, scaled)
    return Hyperparameters(model.kernel_)


class _Process:
    """Gaussian process with a given kernel."""

    def __init__(self, features: Floats, target: Floats, hyper: Hyperparameters) -> None:
        self.mean, self.scale = float(target.mean()), max(float(target.std()), 1e-6)
        self.smooth = hyper.kernel.k1
        self.features = features
        noise = hyper.kernel.k2.noise_level
        covariance = self.smooth(features)
        # A little more than the noise: the same design, seen twice, must not make it singular.
        covariance[np.diag_indices_from(covariance)] += noise + 1e-8
        self.factor = cho_factor(covariance, lower=True)
        self.weights = cho_solve(self.factor, (target - self.mean) / self.scale)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """See `Surrogate`."""
        between = self.smooth(features, self.features)
        mean = self.mean + self.scale * (between @ self.weights)
        # With K = L L^T and v = L^-1 k(X, x), v^T v is k(x, X) K^-1 k(X, x): one solve, not two.
        explained = solve_triangular(self.factor[0], between.T, lower=True, check_finite=False)
        variance = self.smooth.diag(features) - (explained**2).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-8))
        return mean, deviation * self.scale

    def predict_mean(self, features: Floats) -> Floats:
        """See `Surrogate`."""
        mean: Floats = self.mean + self.scale * (
            self.smooth(features, self.features) @ self.weights
        )
        return mean


class _Forest:
    """Random forest; its doubt is how far its trees disagree.

    Each tree sees as many as 80 % of the observations, drawn with replacement. Time grows little
    more than in proportion to the observations, not with their cube.
    """

    def __init__(self, features: Floats, target: Floats) -> None:
        from sklearn.ensemble import ExtraTreesRegressor  # slow to load

        self.model = ExtraTreesRegressor(
            n_estimators=64, min_samples_leaf=3, bootstrap=True, max_samples=0.8, random_state=0
        )
        self.model.fit(features, target)

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """See `Surrogate`."""
        trees = np.stack([tree.predict(features) for tree in self.model.estimators_])
        return trees.mean(axis=0), np.maximum(trees.std(axis=0), 1e-4)

    def predict_mean(self, features: Floats) -> Floats:
        """See `Surrogate`."""
        return self.predict(features)[0]
