"""Pareto frontiers and hypervolume. Everything is minimised; plain arrays in, plain arrays out.

The work is done by **moocore** (https://multi-objective.github.io/moocore/python/), which sorts
where one would compare pair by pair: 200,000 points of three columns take 0.14 s. What is ours is
the rule, stated once for the whole program:

* a point dominates another if it is at most as large in every column and smaller in one;
* equal points do not dominate each other: all copies of a frontier point are on the frontier;
* NaN is no number: a point with NaN in any column is dominated, and dominates nothing.

Non-dominated ranks peel the points like an onion (Deb et al., NSGA-II, 2002): rank 0 is the
frontier, rank 1 the frontier of what is left without it. The hypervolume is the volume of the union
of the boxes between each point and a reference corner: a measure of a whole frontier, which grows
whenever a point within the reference is added that no other is as good as.

        cost                       reference
        |  . . . . . . . . . . . . R
        |  a#######################        # dominated: the hypervolume
        |     b####################
        |            c#############
        +---------------------------- error
"""

import moocore
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def pareto_mask(points: Points) -> npt.NDArray[np.bool_]:
    """Which points no other point dominates.

    Args:
        points: shape (n, m), smaller is better.

    Returns:
        Mask, shape (n,).
    """
    numbers = _numbers(points)
    mask = np.zeros(len(points), dtype=np.bool_)
    mask[numbers] = moocore.is_nondominated(_finite(points[numbers]), keep_weakly=True)
    return mask


def rank_by_dominance(points: Points) -> npt.NDArray[np.int64]:
    """0 for the frontier, 1 for the frontier of the rest, and so on; NaN comes behind them all.

    Args:
        points: shape (n, m), smaller is better.

    Returns:
        Ranks, shape (n,).
    """
    numbers = _numbers(points)
    ranks = np.zeros(len(points), dtype=np.int64)
    if len(numbers):
        ranks += len(points)
        ranks[numbers] = moocore.pareto_rank(_finite(points[numbers]))
        ranks = np.unique(ranks, return_inverse=True)[1]
    return ranks


def _numbers(points: Points) -> npt.NDArray[np.intp]:
    """Places of the points without NaN, which to moocore is neither better nor worse than a number.

    So a point with NaN in one column would dominate those that are worse in the others.
    """
    return np.flatnonzero(~np.isnan(points).any(axis=1))


def _finite(points: Points) -> Points:
    """The points with the largest numbers in place of infinities.

    moocore 0.3.2 takes infinity for the end of its own lists: with infinities among three or more
    columns it returns wrong masks, or reads beyond them and ends the process.
    """
    most = np.finfo(np.float64).max
    return np.clip(points, -most, most)


PIVOTS = 32
"""So many points of a frontier sift others: of 100,000 they leave some hundred."""


def sift(points: Points, front: Points) -> npt.NDArray[np.intp]:
    """Places of the points that a few of a known frontier do not dominate.

    A sieve before `pareto_mask`, for which moocore has nothing: nearly all of a sweep's next
    100,000 designs are worse than what is known. A few comparisons by columns throw them out in 1
    to 25 ms, where a mask over all of them sorts for 150 to 300.

    Args:
        points: shape (n, m), smaller is better.
        front: shape (k, m).

    Returns:
        Indices, ascending; those of all points that no point of the frontier dominates are among
        them.
    """
    # Each pivot throws out what it dominates, and the next one looks only at what is left. Equal
    # points stay: they are on the frontier, too. A NaN is never >= anything, so points with NaN
    # pass here, and `pareto_mask` takes them out.
    left, columns = np.arange(len(points)), list(points.T.copy())
    for pivot in front[:: max(1, len(front) // PIVOTS)]:
        beaten = np.ones(len(left), dtype=np.bool_)
        equal = np.ones(len(left), dtype=np.bool_)
        for column, value in zip(columns, pivot, strict=True):
            beaten &= column >= value
            equal &= column == value
        stays = ~beaten | equal
        left, columns = left[stays], [column[stays] for column in columns]
    return left


def hypervolume(points: Points, reference: npt.ArrayLike) -> float:
    """Volume that the points dominate within the box below `reference`; exact.

    Args:
        points: shape (n, m), smaller is better; points not below the reference count nothing, and
            neither do those with NaN.
        reference: shape (m,).

    Returns:
        The volume, 0 where there are no points.
    """
    corner = np.asarray(reference, dtype=float)
    inside = points[(points < corner).all(axis=1)]
    return float(moocore.hypervolume(_finite(inside), ref=corner)) if len(inside) else 0.0
