"""The frontier of a study as a plot: one, for the report, the command line and all formats.

error ^  |_ .        each mark a trained design, with its 95 % interval on the frontier
      |    |___ .
      |  '     '|___   the stairs: with so much to spend, no lower error was found
      +--|--||-------> cost, logarithmic; ticks are designs over a limit, never trained
"""

from collections import Counter
from collections.abc import Callable, Sequence

from cost_models import Band
from dse.colours import DENSE, FRONTIER, OTHER, QUIET, SERIES, TERNARY
from dse.columns import LABELS, axis_label, percent_text, scaled
from dse.report.content import Marker, Point, Scatter, Series
from dse.studies.frontier import find_frontier
from dse.studies.kinds import Kind
from dse.studies.likeness import is_control
from dse.studies.rows import Evaluation

MACHINE_MARKERS: tuple[Marker, ...] = ("circle", "triangle", "square", "diamond", "down", "plus")


MOST_NAMED = len(MACHINE_MARKERS)
"""Machines with a colour of their own; all others are one grey series."""


def unknown(row: Evaluation) -> Band | None:
    """No interval: the default of `frontier_plot`, where nobody counted the clips."""
    return None


def frontier_plot(
    rows: Sequence[Evaluation],
    *,
    title: str,
    cost: str,
    kind_of: Callable[[Evaluation], Kind | None],
    error: str = "error",
    error_name: str = "error",
    limits: dict[str, float] | None = None,
    error_band: Callable[[Evaluation], Band | None] = unknown,
) -> Scatter:
    """Error against a cost: every trained design, and the frontier as stairs.

    Designs over a limit have no error; they stand as ticks on the cost axis. The frontier is that
    of these two axes, also where the study has more objectives.

    Args:
        rows: of a study; of several machines, a trained network once for each (`Study.pairs`).
        title: of the plot.
        cost: column across.
        kind_of: tells the kind of a network (`Study.kinds`); None where nobody knows it. No column
            of a row tells, as a machine that stores ternary matrices generates none.
        error: column upwards.
        error_name: of that column for people (`StudySpec.name_column`).
        limits: of the study, by their names: `max_energy_pj`.
        error_band: the interval of that error in percent, drawn on the frontier.
    """
    front = find_frontier(rows, (error, cost))
    on_front = {(row.key, row.accelerator) for row in front}

    def point(row: Evaluation) -> Point:
        best = (row.key, row.accelerator) in on_front
        percent = 100 * row.column(error)
        band = error_band(row)
        beside = row.source != "search" and row.status != "reused" and not is_control(row)
        return Point(
            x=scaled(row.column(cost), cost),
            y=band if best and band is not None else percent,
            tip=_tip(row, cost, f"{error_name} {percent_text(percent)}", band),
            label=(row.name or row.source) if beside else str(row.trial) if best and band else "",
        )

    over = [row for row in rows if row.status == "infeasible" and row.error is None]
    stopped = [row for row in rows if row.status == "stopped"]
    groups = [
        ("frontier", FRONTIER, "stairs", tuple(map(point, front))),
        *(
            (name, colour, marker, tuple(map(point, group)))
            for name, colour, marker, group in _groups(rows, front, kind_of)
        ),
        ("stopped at a rung", QUIET, "dot", tuple(map(point, stopped))),
        ("over a limit, not trained", QUIET, "tick", tuple(_over(row, cost) for row in over)),
    ]
    bars = any(isinstance(each.y, Band) for *_, points in groups for each in points)
    return Scatter(
        name="frontier",
        title=title,
        x_title=axis_label(cost),
        y_title=f"validation {error_name} (%){', bars: 95 % intervals' if bars else ''}",
        series=tuple(
            Series(name=name, colour=colour, marker=marker, points=points)
            for name, colour, marker, points in groups
            if points
        ),
        limits=tuple(
            scaled(bound, cost)
            for name, bound in (limits or {}).items()
            if name in (f"max_{cost}", f"min_{cost}")
        ),
    )


def _over(row: Evaluation, cost: str) -> Point:
    return Point(
        x=scaled(row.column(cost), cost), y=0.0, tip=f"{row.name or row.key}: {row.reason}"
    )


def _tip(row: Evaluation, cost: str, error: str, band: Band | None) -> str:
    interval = f" ({percent_text(band.low)} to {percent_text(band.high)})" if band else ""
    trial = "baseline" if row.trial < 0 else f"trial {row.trial}"
    return (
        f"{row.name or row.key} ({trial}) on {row.accelerator}\n"
        f"{error}{interval} %\n"
        f"{LABELS[cost][0]}: {scaled(row.column(cost), cost):,.3g} {LABELS[cost][1]}\n"
        f"{row.column('trained_parameters'):,.0f} trained parameters\nkey {row.key}"
    )


def _groups(
    rows: Sequence[Evaluation],
    front: Sequence[Evaluation],
    kind_of: Callable[[Evaluation], Kind | None],
) -> list[tuple[str, str, Marker, list[Evaluation]]]:
    """Trained rows: by their way of mixing, or by machine where there are several.

    Of many machines, those with most designs on the frontier have colours, the others share one.
    """
    trained = [row for row in rows if row.full]
    if len({row.accelerator for row in trained}) <= 1:
        kinds: tuple[tuple[str, str, Marker, Kind | None], ...] = (
            ("dense", DENSE, "circle", "dense"),
            ("with ternary matrices", TERNARY, "triangle", "ternary"),
            ("other mixing layers", OTHER, "square", "other"),
            ("unknown network", QUIET, "plus", None),
        )
        told = [(row, kind_of(row)) for row in trained]
        return [
            (name, colour, marker, [row for row, its in told if its == kind])
            for name, colour, marker, kind in kinds
        ]
    # Which are named is by their designs on the frontier; colours go by name, as in the dashboard.
    best = Counter(row.accelerator for row in front).most_common(MOST_NAMED)
    named = sorted(name for name, _ in best)
    groups: list[tuple[str, str, Marker, list[Evaluation]]] = [
        (name, colour, marker, [row for row in trained if row.accelerator == name])
        for name, colour, marker in zip(named, SERIES, MACHINE_MARKERS, strict=False)
    ]
    others = [row for row in trained if row.accelerator not in named]
    count = len({row.accelerator for row in others})
    groups.append((f"{count} other machine{'s' if count > 1 else ''}", QUIET, "dot", others))
    return groups
