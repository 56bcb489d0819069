"""The frontier of a study: which trained designs are best, and how much of a box they cover."""

from collections.abc import Mapping, Sequence

import numpy as np

from dse.columns import MEASURED_COLUMNS
from dse.pareto import hypervolume, pareto_mask
from dse.studies.rows import Evaluation


def find_frontier(rows: Sequence[Evaluation], objectives: Sequence[str]) -> list[Evaluation]:
    """The trained designs that no other trained design dominates, cheapest first.

    Args:
        rows: of a study; a design that was evaluated twice on one machine counts once.
        objectives: columns, all minimised.

    Returns:
        Rows sorted by the first objective that is a cost; a row without one of the objectives (NaN)
        is not among them.
    """
    # Over reversed rows the first row of a pair is the last to be written, and stays.
    trained = {(row.key, row.accelerator): row for row in reversed(rows) if row.full}
    designs = list(reversed(trained.values()))
    if not designs:
        return []
    points = np.array([[row.column(name) for name in objectives] for row in designs])
    front = [row for row, on in zip(designs, pareto_mask(points), strict=True) if on]
    by = next((name for name in objectives if name not in MEASURED_COLUMNS), objectives[0])
    return sorted(front, key=lambda row: row.column(by))


def hypervolume_share(rows: Sequence[Evaluation], box: Mapping[str, Sequence[float]]) -> float:
    """Share of a box that the trained designs dominate.

        u = (column - best) / (worst - best)       0 at the best end of the box, 1 at the worst
        share = hypervolume of all u below (1, ..., 1)

    Costs go in as logarithms: half the energy is worth the same at 1 uJ as at 100 nJ, and a single
    large network does not decide the measure. Errors go in as they are. What is better than the box
    is clipped to its edge, so a share never exceeds 1; what is worse counts nothing.

    Args:
        rows: of a study.
        box: objective -> best and worst value; costs (all but errors) as log10.

    Returns:
        Between 0 and 1; comparable between states of one study, and between studies of one box.
    """
    trained = [row for row in rows if row.full]
    if not trained:
        return 0.0
    scaled = np.empty((len(trained), len(box)))
    for index, (name, (best, worst)) in enumerate(box.items()):
        column = np.array([row.column(name) for row in trained])
        if name not in MEASURED_COLUMNS:
            column = np.log10(np.maximum(column, 1e-12))
        scaled[:, index] = np.maximum((column - best) / (worst - best), 0.0)
    return hypervolume(scaled, np.ones(len(box)))
