"""How much a design of known costs and uncertain error is expected to improve a frontier.

All objectives but one are known before training. So the expected hypervolume improvement, for which
in general space is cut into many boxes, is a sum over the steps of the frontier of expectations in
one dimension.

Let a candidate have costs c and error e. At an error level t, let A(t) be the volume of the part of
cost space that c dominates and that no frontier point with an error of at most t does. With one
cost, and points a and b on the frontier, A(t) is a length:

    cost
    worst |. . . . . . . . . . . . . . . . . . . .
          |               |
        a |               o . . . . . . . . . . .
          |  A =          |  A =        |
        c |  worst - c    |  a - c      |  A = 0       the candidate's cost
          |               |             |
        b |               |             o . . . .
          +---------------+-------------+------------> error level t

What the candidate adds is the integral of A from its error to the worst that counts,

    improvement(e) = integral over t from e to r of A(t) dt

A changes only at the errors of the frontier, e_1 < ... < e_k, and is A_j between e_j and e_(j+1),
so

    E[improvement] = sum over j of A_j (E[max(e_(j+1) - e, 0)] - E[max(e_j - e, 0)])

with e_0 = -inf and e_(k+1) = r. For ln e normal with mean m and deviation s (`expected_shortfall`),

    E[max(t - e, 0)] = t Phi(z) - exp(m + s^2 / 2) Phi(z - s),    z = (ln t - m) / s

the value of a put option in the formula of Black and Scholes. This is the expected hypervolume
improvement of Emmerich et al. (IEEE Trans. Evol. Comp. 10(4), 2006) with all coordinates but one
certain. Everything is minimised.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from dse.pareto import pareto_mask

Floats = npt.NDArray[np.float64]


def expected_shortfall(thresholds: Floats, mean: Floats, deviation: Floats) -> Floats:
    """E[max(t - e, 0)] of an error whose logarithm is normal.

    Args:
        thresholds: shape (k, 1); a threshold of at most 0 gives 0.
        mean: of ln e, shape (n,).
        deviation: of ln e, shape (n,), above 0.

    Returns:
        Shape (k, n).
    """
    t = np.maximum(thresholds, 1e-300)
    z = (np.log(t) - mean) / deviation
    expected: Floats = t * ndtr(z) - np.exp(mean + deviation**2 / 2) * ndtr(z - deviation)
    return np.maximum(expected, 0.0)


def expected_improvement(
    mean: Floats,
    deviation: Floats,
    costs: Floats,
    errors: Floats,
    known: Floats,
    worst_error: float,
    worst_costs: Floats,
) -> Floats:
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
    # E[max(e_0 - e, 0)]: no error is below minus infinity.
    before = np.zeros(len(mean))
    for index, end in enumerate([*steps.tolist(), worst_error]):
        # Between `level` and `end`, the candidate is held against the points up to `level`.
        level = -np.inf if index == 0 else steps[index - 1]
        area = undominated(costs, known[errors <= level], worst_costs)
        reached = expected_shortfall(np.array([[end]]), mean, deviation)[0]
        total += area * (reached - before)
        before = reached
    return total


def undominated(corners: Floats, points: Floats, worst: Floats) -> Floats:
    """Volume between each corner and `worst` that none of the points dominates.

    Args:
        corners: shape (n, d).
        points: shape (k, d).
        worst: shape (d,).

    Returns:
        Shape (n,).
    """
    volume: Floats = np.prod(np.maximum(worst - corners, 0.0), axis=1)
    points = points[(points < worst).all(axis=1)]
    if not len(points):
        return volume
    if corners.shape[1] == 1:
        left: Floats = np.maximum(points.min() - corners[:, 0], 0.0)
        return left
    points = points[pareto_mask(points)]
    return volume - _dominated(corners, points, worst)


def _dominated(corners: Floats, points: Floats, worst: Floats) -> Floats:
    """Volume between each corner and `worst` that the points dominate, slice by slice.

    Between two neighbouring values of the last coordinate, the dominated set is that of the points
    below, in one dimension less.
    """
    if corners.shape[1] == 1:
        length: Floats = np.maximum(worst[0] - np.maximum(points.min(), corners[:, 0]), 0.0)
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
