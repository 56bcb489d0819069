"""What is known about the error of designs that were not trained: a prediction with its doubt.

A Gaussian process (Matern 5/2, a length scale per feature, a noise term) on the logarithm of the
error; beyond `MOST_OBSERVATIONS` a random forest, whose time does not grow with the cube of them.
Both are scikit-learn's. A training that was stopped early is an observation, too: the share of its
epochs is a feature, and predictions are made for full length.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

MOST_OBSERVATIONS = 1_500
"""Beyond, a forest takes over: the process's matrix of 1,500 is factorised in 0.1 s."""

FITTED_OBSERVATIONS = 250
"""Length scales are fitted to at most so many observations; all of them make the prediction."""

LEAST_ERROR = 1e-3
"""Smaller errors are taken as this one before their logarithm is."""


class Surrogate(Protocol):
    """A fitted model of ln error."""

    def predict(self, features: Numbers) -> tuple[Numbers, Numbers]:
        """Mean and deviation of ln error without the noise of training, each of shape (n,)."""

    def mean_of(self, features: Numbers) -> Numbers:
        """The mean alone, which is quicker to compute."""


def fit(features: Numbers, errors: Numbers, *, hyper: "Hyper | None" = None) -> Surrogate:
    """Fit a model to trained designs.

    Args:
        features: shape (n, f), each column from about 0 to 1.
        errors: shares of clips told wrongly, shape (n,).
        hyper: length scales that were fitted before; fitted here where it is None.
    """
    target = np.log(np.maximum(errors, LEAST_ERROR))
    if len(errors) > MOST_OBSERVATIONS:
        return _Forest(features, target)
    return _Process(features, target, hyper or fit_hyper(features, errors))


@dataclass(frozen=True, slots=True)
class Hyper:
    """A fitted kernel."""

    kernel: Any


def fit_hyper(features: Numbers, errors: Numbers) -> Hyper:
    """Length scales, variance and noise of most likelihood.

    Of many observations, evenly spaced ones are taken, always the last among them.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    target = np.log(np.maximum(errors, LEAST_ERROR))
    if len(target) > FITTED_OBSERVATIONS:
        chosen = np.linspace(0, len(target) - 1, FITTED_OBSERVATIONS).astype(int)
        features, target = features[chosen], target[chosen]
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(
        np.full(features.shape[1], 1.0), (0.1, 30.0), nu=2.5
    ) + WhiteKernel(0.05, (1e-4, 1.0))
    scaled = (target - target.mean()) / max(float(target.std()), 1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a scale at its bound: it is unused
        model = GaussianProcessRegressor(kernel, n_restarts_optimizer=0, random_state=0)
        model.fit(features, scaled)
    return Hyper(model.kernel_)


class _Process:
    """Gaussian process with a given kernel."""

    def __init__(self, features: Numbers, target: Numbers, hyper: Hyper) -> None:
        from scipy.linalg import cho_factor, cho_solve

        self.solve = cho_solve
        self.mean, self.scale = float(target.mean()), max(float(target.std()), 1e-6)
        self.smooth = hyper.kernel.k1
        self.features = features
        noise = hyper.kernel.k2.noise_level
        covariance = self.smooth(features)
        covariance[np.diag_indices_from(covariance)] += noise + 1e-8
        self.factor = cho_factor(covariance, lower=True)
        self.weights = cho_solve(self.factor, (target - self.mean) / self.scale)

    def predict(self, features: Numbers) -> tuple[Numbers, Numbers]:
        """See `Surrogate`."""
        from scipy.linalg import solve_triangular

        between = self.smooth(features, self.features)
        mean = self.mean + self.scale * (between @ self.weights)
        explained = solve_triangular(self.factor[0], between.T, lower=True, check_finite=False)
        variance = self.smooth.diag(features) - (explained**2).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-8))
        return mean, deviation * self.scale

    def mean_of(self, features: Numbers) -> Numbers:
        """See `Surrogate`."""
        mean: Numbers = self.mean + self.scale * (
            self.smooth(features, self.features) @ self.weights
        )
        return mean


class _Forest:
    """Random forest; its doubt is how far its trees disagree."""

    def __init__(self, features: Numbers, target: Numbers) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        self.model = ExtraTreesRegressor(
            n_estimators=64, min_samples_leaf=3, bootstrap=True, max_samples=0.8, random_state=0
        )
        self.model.fit(features, target)

    def predict(self, features: Numbers) -> tuple[Numbers, Numbers]:
        """See `Surrogate`."""
        trees = np.stack([tree.predict(features) for tree in self.model.estimators_])
        return trees.mean(axis=0), np.maximum(trees.std(axis=0), 1e-4)

    def mean_of(self, features: Numbers) -> Numbers:
        """See `Surrogate`."""
        return self.predict(features)[0]
