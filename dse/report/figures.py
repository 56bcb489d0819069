"""Figures of a study: tables in, matplotlib figures out."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dse.columns import axis_label, first_cost, first_measured, scaled
from dse.files import replacing
from dse.studies.frontier import frontier_of
from dse.studies.growth import Step
from dse.studies.record import StudyRecord
from dse.studies.rows import Evaluation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
DENSE_COLOUR = "#0072B2"
TERNARY_COLOUR = "#D55E00"
FRONTIER_COLOUR = "#009E73"
QUIET_COLOUR = "#999999"
MACHINE_COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MACHINE_MARKERS = "o^sDvP"
ROOM = 1.4
"""Factor by which the cost axis goes beyond what stands on it."""
LONG_LABEL = 52
"""Letters of a label from which on each has a line of the legend to itself."""


def frontier_figure(rows: Sequence[Evaluation], record: StudyRecord) -> "Figure":
    """Error against the first cost objective: every trained design, and the frontier as stairs.

    Designs over a limit have no error; they stand as ticks on the cost axis. Limits on a drawn
    column are lines.

    Args:
        rows: of the study.
        record: what the study was asked.
    """
    from matplotlib.figure import Figure

    cost, error = first_cost(record.objectives), first_measured(record.objectives)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    _draw_infeasible(axes, rows, cost, _span(rows, record, cost))
    _draw_stopped(axes, rows, cost, error)
    _draw_stairs(axes, frontier_of(rows, (error, cost)), cost, error)
    _draw_trained(axes, rows, cost, error)
    for name, bound in record.limits.items():
        if name.endswith(f"_{cost}"):
            axes.axvline(scaled(bound, cost), color=QUIET_COLOUR, linestyle="--", linewidth=1)
    axes.set_xscale("log")
    span = _span(rows, record, cost)
    if span is not None:
        axes.set_xlim(*span)
    _plain_ticks(axes)
    axes.set_xlabel(axis_label(cost))
    axes.set_ylabel(f"validation {axis_label(error)}")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)  # room for the labels of the topmost points
    axes.grid(True, which="both", alpha=0.25)
    axes.set_title(f"{record.name}: {record.machine}", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        labels = axes.get_legend_handles_labels()[1]
        columns = 4 if max(map(len, labels)) < LONG_LABEL else 1
        figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


def growth_figure(steps: Sequence[Step], record: StudyRecord) -> "Figure":
    """Hypervolume against trainings, and against epochs where rungs make them differ."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    rungs = record.resolved.get("rungs") is not None
    across = [step.epochs if rungs else step.trainings for step in steps]
    volumes = [step.hypervolume for step in steps]
    axes.step([0, *across], [0.0, *volumes], where="post", color=FRONTIER_COLOUR, linewidth=1.5)
    axes.set_xlabel("epochs of all trainings" if rungs else "trainings")
    axes.set_ylabel("hypervolume (share of the box)")
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    axes.grid(True, alpha=0.25)
    axes.set_title(f"{record.name}: how the frontier grew", fontsize=10)
    return figure


def _span(rows: Sequence[Evaluation], record: StudyRecord, cost: str) -> tuple[float, float] | None:
    """Ends of the cost axis; None where nothing is trained.

    Of what was trained and of limits: a design far over a limit must not squeeze them.
    """
    shown = [row.column(cost) for row in rows if row.full or row.status == "stopped"]
    if not any(shown):
        return None
    shown += [bound for name, bound in record.limits.items() if name.endswith(f"_{cost}")]
    positive = [scaled(figure, cost) for figure in shown if figure > 0]
    return min(positive) / ROOM, max(positive) * ROOM


def _draw_infeasible(
    axes: "Axes",
    rows: Sequence[Evaluation],
    cost: str,
    span: tuple[float, float] | None,
) -> None:
    costs = [
        scaled(row.column(cost), cost)
        for row in rows
        if row.status == "infeasible" and row.error is None
    ]
    beyond = 0 if span is None else sum(not span[0] <= each <= span[1] for each in costs)
    if costs:
        axes.plot(
            costs,
            [0.02] * len(costs),
            "|",
            color=QUIET_COLOUR,
            markersize=9,
            transform=axes.get_xaxis_transform(),
            label=f"over a limit, not trained ({len(costs)}"
            + (f", {beyond} beyond the axis)" if beyond else ")"),
        )


def _draw_stopped(axes: "Axes", rows: Sequence[Evaluation], cost: str, error: str) -> None:
    stopped = [row for row in rows if row.status == "stopped"]
    if stopped:
        axes.plot(
            [scaled(row.column(cost), cost) for row in stopped],
            [100 * row.column(error) for row in stopped],
            ".",
            color=QUIET_COLOUR,
            markersize=4,
            label=f"stopped at a rung ({len(stopped)})",
        )


def _draw_trained(axes: "Axes", rows: Sequence[Evaluation], cost: str, error: str) -> None:
    trained = [row for row in rows if row.full]
    for colour, marker, label, group in _groups(trained, cost, error):
        axes.plot(
            [scaled(row.column(cost), cost) for row in group],
            [100 * row.column(error) for row in group],
            marker,
            color=colour,
            label=f"{label} ({len(group)})",
        )
    highest = max((row.column(cost) for row in trained), default=0.0)
    for row in trained:
        if row.source != "search":
            left = row.column(cost) > 0.6 * highest  # else the label would leave the axes
            axes.annotate(
                row.source,
                (scaled(row.column(cost), cost), 100 * row.column(error)),
                xytext=(-6 if left else 6, 6),
                textcoords="offset points",
                horizontalalignment="right" if left else "left",
                fontsize=8,
            )


def _groups(
    trained: Sequence[Evaluation], cost: str, error: str
) -> list[tuple[str, str, str, list[Evaluation]]]:
    """Colour, marker, label and rows: by the way of mixing, or by machine where there are several.

    Of many machines, those with most designs on the frontier have colours, the others share one.
    """
    if len({row.accelerator for row in trained}) <= 1:
        return [
            (colour, marker, label, group)
            for colour, marker, label, ternary in (
                (DENSE_COLOUR, "o", "dense", False),
                (TERNARY_COLOUR, "^", "with ternary matrices", True),
            )
            if (group := [r for r in trained if (r.cost["generated_weights"] > 0) == ternary])
        ]
    on_front = Counter(row.accelerator for row in frontier_of(trained, (error, cost)))
    named = [name for name, _ in on_front.most_common(len(MACHINE_COLOURS))]
    groups = []
    others = [row for row in trained if row.accelerator not in named]
    if others:
        count = len({row.accelerator for row in others})
        label = f"{count} other machine{'s' if count > 1 else ''}"
        groups.append((QUIET_COLOUR, ".", label, others))
    for name, colour, marker in zip(named, MACHINE_COLOURS, MACHINE_MARKERS, strict=False):
        group = [row for row in trained if row.accelerator == name]
        groups.append((colour, marker, name, group))
    return groups


def _draw_stairs(axes: "Axes", front: Sequence[Evaluation], cost: str, error: str) -> None:
    if not front:
        return
    costs = [scaled(row.column(cost), cost) for row in front]
    errors = [100 * row.column(error) for row in front]
    (line,) = axes.step(
        costs,
        errors,
        where="post",
        color=FRONTIER_COLOUR,
        linewidth=1.5,
        label=f"frontier ({len(front)})",
        zorder=1,
    )
    # Below its cheapest design the frontier promises nothing; beyond its best it stays level.
    axes.plot([costs[-1], costs[-1] * 1.5], [errors[-1]] * 2, color=line.get_color(), zorder=1)


def _plain_ticks(axes: "Axes") -> None:
    """Label a logarithmic axis 0.2, 0.5, 1 instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in one step; the format follows the suffix."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.removeprefix("."))


def history_figure(history: "pd.DataFrame") -> "Figure":
    """Training and validation error over the epochs of one design.

    Args:
        history: `history.csv` of a trained design.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for column, colour in (("training_error", QUIET_COLOUR), ("validation_error", DENSE_COLOUR)):
        axes.plot(
            history["epoch"], 100 * history[column], color=colour, label=column.replace("_", " ")
        )
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("error (%)")
    axes.set_ylim(bottom=0)
    axes.grid(True, alpha=0.25)
    axes.legend(fontsize=8)
    return figure
