"""How much a design of known costs and uncertain error is expected to improve a frontier.

All objectives but one are known before training, so the expected hypervolume improvement has a
closed form: a sum of one-dimensional expected improvements over the steps of the frontier.

Let a candidate have costs c and error e. At a given error level t, what it adds is the volume A(t)
of the part of cost space that it dominates and that no frontier point with an error of at most t
does. So it adds the integral of A over [e, r], r being the worst error that counts. A(t) changes
only at the errors of the frontier, e_1 < ... < e_k, and the expectation is

    sum over j of A_j (E[max(e_(j+1) - e, 0)] - E[max(e_j - e, 0)]),   e_0 = -inf, e_(k+1) = r.

This is the hypervolume improvement of Emmerich et al. (IEEE Trans. Evol. Comp. 10(4), 2006) with
all but one coordinate certain. Everything is minimised.
"""

import numpy as np
import numpy.typing as npt

from dse.pareto import pareto_mask

Numbers = npt.NDArray[np.float64]


def expected_shortfall(thresholds: Numbers, mean: Numbers, deviation: Numbers) -> Numbers:
    """E[max(t - e, 0)] of an error whose logarithm is normal.

    Args:
        thresholds: shape (k, 1); a threshold of at most 0 gives 0.
        mean: of ln e, shape (n,).
        deviation: of ln e, shape (n,), above 0.

    Returns:
        Shape (k, n).
    """
    from scipy.special import ndtr

    t = np.maximum(thresholds, 1e-300)
    z = (np.log(t) - mean) / deviation
    expected: Numbers = t * ndtr(z) - np.exp(mean + deviation**2 / 2) * ndtr(z - deviation)
    return np.maximum(expected, 0.0)


def expected_improvement(
    mean: Numbers,
    deviation: Numbers,
    costs: Numbers,
    errors: Numbers,
    known: Numbers,
    worst_error: float,
    worst_costs: Numbers,
) -> Numbers:
    """Expected hypervolume improvement of candidates.

    Args:
        mean: of the candidates' ln error, shape (n,).
        deviation: likewise.
        costs: of the candidates, shape (n, m - 1), on the scale on which volumes are measured.
        errors: of the designs known so far, shape (k,).
        known: their costs, shape (k, m - 1).
        worst_error: the corner of the box.
        worst_costs: shape (m - 1,).

    Returns:
        Shape (n,).
    """
    inside = (errors < worst_error) & (known < worst_costs).all(axis=1)
    errors, known = errors[inside], known[inside]
    front = pareto_mask(np.column_stack([errors, known])) if len(errors) else slice(0)
    errors, known = errors[front], known[front]
    steps = np.unique(errors)
    total = np.zeros(len(mean))
    # Below the lowest error, nothing is dominated yet.
    before = np.zeros(len(mean))
    for index, end in enumerate([*steps.tolist(), worst_error]):
        level = -np.inf if index == 0 else steps[index - 1]
        area = undominated(costs, known[errors <= level], worst_costs)
        reached = expected_shortfall(np.array([[end]]), mean, deviation)[0]
        total += area * (reached - before)
        before = reached
    return total


def undominated(corners: Numbers, points: Numbers, worst: Numbers) -> Numbers:
    """Volume between each corner and `worst` that none of the points dominates.

    Args:
        corners: shape (n, d).
        points: shape (k, d).
        worst: shape (d,).

    Returns:
        Shape (n,).
    """
    volume: Numbers = np.prod(np.maximum(worst - corners, 0.0), axis=1)
    points = points[(points < worst).all(axis=1)]
    if not len(points):
        return volume
    if corners.shape[1] == 1:
        left: Numbers = np.maximum(points.min() - corners[:, 0], 0.0)
        return left
    points = points[pareto_mask(points)]
    return volume - _dominated(corners, points, worst)


def _dominated(corners: Numbers, points: Numbers, worst: Numbers) -> Numbers:
    """Volume between each corner and `worst` that the points dominate, slice by slice.

    Between two neighbouring values of the last coordinate, the dominated set is that of the points
    below, in one dimension less.
    """
    if corners.shape[1] == 1:
        length: Numbers = np.maximum(worst[0] - np.maximum(points.min(), corners[:, 0]), 0.0)
        return length
    points = points[np.argsort(points[:, -1], kind="stable")]
    ends = np.append(points[1:, -1], worst[-1])
    total = np.zeros(len(corners))
    for count, (start, end) in enumerate(zip(points[:, -1], ends, strict=True), start=1):
        thickness = np.maximum(end - np.maximum(start, corners[:, -1]), 0.0)
        if not thickness.any():
            continue
        below = points[:count, :-1]
        flat = _dominated(corners[:, :-1], below[pareto_mask(below)], worst[:-1])
        total += thickness * flat
    return total
