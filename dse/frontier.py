"""Pareto frontiers and hypervolume. Everything is minimised; plain arrays in, plain arrays out."""

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def pareto_mask(points: Points) -> npt.NDArray[np.bool_]:
    """Which points no other point dominates.

    A point dominates another if it is at most as large in every column and smaller in one. So equal
    points do not dominate each other: all copies of a frontier point are on the frontier. A point
    with NaN in any column is dominated.

    Args:
        points: shape (n, m), smaller is better.

    Returns:
        Mask, shape (n,).
    """
    mask = ~np.isnan(points).any(axis=1)
    # In lexicographic order a point can only be dominated by one that comes before it.
    order = np.lexsort(points.T[::-1])
    front = np.empty((0, points.shape[1]))
    for index in order:
        if not mask[index]:
            continue
        point = points[index]
        no_worse = (front <= point).all(axis=1)
        if (no_worse & (front < point).any(axis=1)).any():
            mask[index] = False
        else:
            front = np.vstack([front, point])
    return mask


def hypervolume(points: Points, reference: npt.ArrayLike) -> float:
    """Volume that the points dominate within the box below `reference`.

    Computed exactly by slicing along the last column (While et al., IEEE Trans. Evol. Comp. 10(1),
    2006); the cost grows quickly beyond five columns.

    Args:
        points: shape (n, m), smaller is better; points not below the reference count nothing.
        reference: shape (m,).

    Returns:
        The volume, 0 where there are no points.
    """
    corner = np.asarray(reference, dtype=float)
    inside = points[(points < corner).all(axis=1)]
    return _slice(inside[pareto_mask(inside)], corner) if len(inside) else 0.0


def _slice(points: Points, reference: Points) -> float:
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    ends = np.append(points[1:, -1], reference[-1])
    volume = 0.0
    for count, (start, end) in enumerate(zip(points[:, -1], ends, strict=True), start=1):
        if end > start:
            below = points[:count, :-1]
            volume += (end - start) * _slice(below[pareto_mask(below)], reference[:-1])
    return float(volume)
