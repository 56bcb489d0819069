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
    numbers = np.flatnonzero(~np.isnan(points).any(axis=1))
    # In lexicographic order, equal points are neighbours, and a point can only be dominated by one
    # that comes before it.
    order = numbers[np.lexsort(points[numbers].T[::-1])]
    ordered = points[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    distinct = ordered[first]
    stays = np.ones(len(distinct), dtype=bool)
    if len(distinct) > MANY:
        _drop_dominated(distinct, stays)
    front = np.empty((0, points.shape[1]))
    for index in np.flatnonzero(stays):
        # All before it are different, so one that is nowhere larger dominates it.
        if (front <= distinct[index]).all(axis=1).any():
            stays[index] = False
        else:
            front = np.vstack([front, distinct[index]])
    mask = np.zeros(len(points), dtype=bool)
    mask[order] = stays[np.cumsum(first) - 1]
    return mask


MANY = 2_000
"""More points than this are thinned out before they are compared one by one."""

PIVOTS = 512
"""So many of the points that are small in all columns thin the others out."""


def _drop_dominated(points: Points, mask: npt.NDArray[np.bool_]) -> None:
    """Clear in `mask` most of the points that others dominate; all points are different."""
    left = np.flatnonzero(mask)
    columns = [points[left, column] for column in range(points.shape[1])]
    # Small in all columns: such a point dominates many.
    worth = np.zeros(len(left), dtype=np.int64)
    for column in columns:
        worth += np.unique(column, return_inverse=True)[1]
    order = np.argsort(worth, kind="stable")
    left, columns = left[order], [column[order] for column in columns]
    at = 0
    for _ in range(PIVOTS):
        if at >= len(left):
            break
        dominated = np.ones(len(left), dtype=bool)
        for column in columns:
            dominated &= column >= column[at]
        dominated[at] = False  # no other point is equal to it
        keep = ~dominated
        at = int(keep[: at + 1].sum())  # the next pivot is the one behind it
        left, columns = left[keep], [column[keep] for column in columns]
    mask[:] = False
    mask[left] = True


def undominated_by(points: Points, front: Points) -> npt.NDArray[np.bool_]:
    """Which points none of a frontier dominates.

    Args:
        points: shape (n, m), smaller is better.
        front: shape (k, m).

    Returns:
        Mask, shape (n,); a point that is equal to one of the frontier stays.
    """
    left = np.arange(len(points))
    columns = [points[:, column] for column in range(points.shape[1])]
    # In steps across the frontier: neighbours dominate much the same points.
    step = max(1, int(len(front) ** 0.5))
    for start in range(step):
        for pivot in front[start::step]:
            no_better = np.ones(len(left), dtype=bool)
            worse = np.zeros(len(left), dtype=bool)
            for column, value in zip(columns, pivot, strict=True):
                no_better &= column >= value
                worse |= column > value
            keep = ~(no_better & worse)
            left, columns = left[keep], [column[keep] for column in columns]
            if not len(left):
                break
    mask = np.zeros(len(points), dtype=bool)
    mask[left] = True
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
