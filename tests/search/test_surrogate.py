import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor

from search import surrogate
from search.known_cost import _choose_fitting_count


def observations(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.uniform(0, 1, (count, 4))
    # Two features matter, one of them twice as much; five per cent of noise.
    errors = np.exp(
        -1 - 1.0 * features[:, 0] - 0.5 * features[:, 1] + 0.05 * rng.normal(size=count)
    )
    return features, errors


def test_it_predicts_as_scikit_learn_does_with_the_same_kernel() -> None:
    features, errors = observations(60)
    hyper = surrogate.fit_hyperparameters(features, errors)
    model = surrogate.fit(features, errors, hyper=hyper)
    fresh = np.random.default_rng(1).uniform(0, 1, (40, 4))
    target = np.log(errors)
    scaled = (target - target.mean()) / target.std()
    oracle = GaussianProcessRegressor(hyper.kernel, optimizer=None).fit(features, scaled)
    mean, deviation = oracle.predict(fresh, return_std=True)
    # The oracle's deviation has the noise of a training in it; ours is of the design.
    noise = hyper.kernel.k2.noise_level
    expected = np.sqrt(deviation**2 - noise)
    found = model.predict(fresh)
    assert found[0] == pytest.approx(mean * target.std() + target.mean(), rel=1e-6)
    assert found[1] == pytest.approx(expected * target.std(), rel=1e-4)
    assert model.predict_mean(fresh) == pytest.approx(found[0], rel=1e-9)


def test_it_finds_what_matters_and_how_noisy_trainings_are() -> None:
    features, errors = observations(120)
    hyper = surrogate.fit_hyperparameters(features, errors)
    scales = hyper.kernel.k1.k2.length_scale
    assert scales[0] < scales[2] and scales[0] < scales[3]
    noise = np.sqrt(hyper.kernel.k2.noise_level) * np.log(errors).std()
    assert noise == pytest.approx(0.05, rel=0.3)


@pytest.mark.parametrize("most", [10, 10_000])
def test_forest_and_process_tell_good_designs_from_bad(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(surrogate, "MOST_OBSERVATIONS", most)
    features, errors = observations(150)
    model = surrogate.fit(features, errors)
    fresh, truth = observations(300, seed=2)
    mean, deviation = model.predict(fresh)
    assert np.corrcoef(mean, np.log(truth))[0, 1] > 0.9
    assert (deviation > 0).all()
    assert model.predict_mean(fresh) == pytest.approx(mean)


def test_no_error_at_all_is_a_number() -> None:
    features, errors = observations(20)
    errors[:5] = 0.0
    mean, deviation = surrogate.fit(features, errors).predict(features)
    assert np.isfinite(mean).all() and np.isfinite(deviation).all()


def test_equal_errors_are_no_division_by_zero() -> None:
    features, _ = observations(15)
    mean, _ = surrogate.fit(features, np.full(15, 0.5)).predict(features)
    assert mean == pytest.approx(np.full(15, np.log(0.5)), abs=1e-3)


def test_scales_are_fitted_again_after_a_twentieth_more_observations() -> None:
    points = [_choose_fitting_count(count) for count in range(2, 400)]
    assert all(point <= count for point, count in zip(points, range(2, 400), strict=True))
    assert points == sorted(points)
    assert len(set(points)) < 90
    assert [_choose_fitting_count(count) for count in (12, 14, 15)] == [12, 12, 15]
