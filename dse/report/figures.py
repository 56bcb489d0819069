"""Every plot that does not move, drawn by matplotlib: the report's, and the study's PNG.

What a plot says is content (`Scatter`, `Bars`); here it becomes a figure, which `svg.py` and
`pdf.py` save in their formats. Texts are texts: what matplotlib would take for a formula (`$x^2$`)
is not one, as designs may have any name.
"""

import dataclasses
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from cost_models import Band
from dse.colours import FRONTIER, GRID, INK, LIMIT
from dse.columns import significant
from dse.files import replacing
from dse.report.content import Bars, Plot, Scatter, Series, printable
from dse.studies.growth import Step
from dse.studies.spec import StudySpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {
    "circle": "o",
    "triangle": "^",
    "square": "s",
    "diamond": "D",
    "down": "v",
    "plus": "P",
    "dot": ".",
    "tick": "|",
}
_ONE_AT_A_TIME = Lock()
"""Settings of matplotlib (`rc_context`) are those of the whole process: two threads that save at
once would see each other's."""
WIDTH = 7.6  # inches: the width of a page's text
ROOM = 1.4
"""Factor by which the cost axis goes beyond what stands on it."""
FAR = 3.0
"""A limit further off than so many times the dearest design, or the cheapest, is not drawn."""
LEGEND_LETTERS = 110
"""Of one line of the legend, about."""
HALF_A_BAR = 0.36
"""Half the height of a bar, where the next begins at 1."""
MOST_LETTERS = 40
"""Of a name within a plot."""


def draw_plot(plot: Plot) -> "Figure":
    """Draw a plot.

    Without pyplot, which keeps each figure until it is closed and looks for a display. Artists
    carry ids (gid), which SVG keeps: `series-2` the marks of a series, `of-2` what stands
    beside them, `name-2` its name in the legend. Series of bars are their parts.
    """
    from matplotlib.figure import Figure

    height = 4.6 if isinstance(plot, Scatter) else 1.2 + 0.21 * len(plot.bars)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.patch.set_gid("ground")
    axes = figure.add_subplot(facecolor="none")
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(INK)
    axes.set_axisbelow(True)
    axes.set_title(_one_line(plot.title), fontsize=9, loc="left", color=INK, parse_math=False)
    axes.set_xlabel(plot.x_title, fontsize=9, color=INK, parse_math=False)
    keys = _draw_scatter(axes, plot) if isinstance(plot, Scatter) else _draw_bars(axes, plot)
    if keys:
        _draw_legend(figure, keys)
    return figure


def counted(plot: Scatter) -> Scatter:
    """The plot with what can be drawn only, and with the number of points in each name."""
    span = cost_span(plot)
    return dataclasses.replace(
        plot,
        series=tuple(_counted(series, span) for series in plot.series),
        limits=tuple(x for x in plot.limits if span and span[0] < x < span[1]),
    )


def _counted(series: Series, span: tuple[float, float] | None) -> Series:
    """Ticks far from all designs would squeeze these into a corner: they are counted instead."""
    ends = span if span and series.marker == "tick" else (0.0, float("inf"))
    points = tuple(point for point in series.points if ends[0] < point.x <= ends[1])
    beyond = len(series.points) - len(points)
    more = f", {beyond} beyond the axis" if beyond else ""
    name = f"{series.name} ({len(series.points):,}{more})"
    return dataclasses.replace(series, points=points, name=name)


def cost_span(plot: Scatter) -> tuple[float, float] | None:
    """Ends of the cost axis: of what was trained, and of limits near it; None without a point.

    Designs over a limit were priced without being trained, often at a hundred times the cost; they
    do not stretch the axis unless there is nothing else. Points of cost 0 have no place on a
    logarithmic axis.
    """
    trained = [p.x for s in plot.series if s.marker != "tick" for p in s.points if p.x > 0]
    xs = trained or [p.x for s in plot.series for p in s.points if p.x > 0]
    if not xs:
        return None
    xs += [x for x in plot.limits if min(xs) / FAR < x < max(xs) * FAR]
    return min(xs) / ROOM, max(xs) * ROOM


def _draw_scatter(axes: "Axes", plot: Scatter) -> list[tuple[Any, str]]:
    """Draw the series, and return what the legend names."""
    span, plot = cost_span(plot), counted(plot)
    axes.set_xscale("log")
    if span is not None:
        axes.set_xlim(*span)
    keys = []
    for index, series in enumerate(plot.series):
        if series.points or series.marker == "tick":
            keys.append((_draw_series(axes, series, index, span), series.name))
    for limit in plot.limits:
        line = axes.axvline(limit, color=LIMIT, linestyle="--", linewidth=1.2)
    if plot.limits:
        keys.append((line, "limit"))
    _plain_ticks(axes)
    axes.set_ylabel(plot.y_title, fontsize=9, color=INK, parse_math=False)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)  # room for the labels of the topmost points
    axes.grid(True, color=GRID, linewidth=0.7)
    return keys


def _draw_series(axes: "Axes", series: Series, index: int, span: tuple[float, float] | None) -> Any:
    """Marks with their error bars and labels, ticks, or stairs."""
    xs = [point.x for point in series.points]
    ys = [point.y.mid if isinstance(point.y, Band) else point.y for point in series.points]
    look: dict[str, Any] = {"color": series.colour, "gid": f"series-{index}", "label": series.name}
    if series.marker == "stairs":
        # where="post": with a budget between two designs one gets the cheaper one, so the error
        # stays level until the next; a straight line would promise what nobody found.
        # Below its cheapest design the frontier promises nothing; beyond its best it stays level.
        axes.plot([xs[-1], xs[-1] * 1e3], [ys[-1]] * 2, color=series.colour, gid=f"of-{index}")
        (line,) = axes.step(xs, ys, where="post", linewidth=1.5, zorder=1.5, **look)
        return line
    if series.marker == "tick":
        (line,) = axes.plot(
            xs,
            [0.02] * len(xs),  # of the height of the axes: no error, whatever the scale
            "|",
            markersize=9,
            transform=axes.get_xaxis_transform(),
            zorder=1,
            **look,
        )
        return line
    barred = [point for point in series.points if isinstance(point.y, Band)]
    if barred:
        bands = [point.y for point in barred if isinstance(point.y, Band)]
        _, caps, bars = axes.errorbar(
            [point.x for point in barred],
            [band.mid for band in bands],
            [[b.mid - b.low for b in bands], [b.high - b.mid for b in bands]],
            fmt="none",
            ecolor=series.colour,
            elinewidth=0.9,
            capsize=2.5,
        )
        for artist in (*caps, *bars):
            artist.set_gid(f"of-{index}")
    size, height = (4, 1.8) if series.marker == "dot" else (6, 2.0)
    (line,) = axes.plot(xs, ys, MARKERS[series.marker], markersize=size, zorder=height, **look)
    for point, y in zip(series.points, ys, strict=True):
        if point.label:
            # log(x / low) > 2/3 log(high / low), raised to the third power, as the axis is
            # logarithmic. Beyond two thirds of the axis a label to the right would leave it.
            left = span is not None and (point.x / span[0]) ** 3 > (span[1] / span[0]) ** 2
            axes.annotate(
                shortened(point.label),
                (point.x, y),
                xytext=(-6 if left else 6, 5),
                textcoords="offset points",
                horizontalalignment="right" if left else "left",
                fontsize=8,
                color=INK,
                gid=f"of-{index}",
                parse_math=False,
            )
    return line


def _plain_ticks(axes: "Axes") -> None:
    """Label a logarithmic axis 0.2, 0.5, 1 instead of powers of ten; a narrow one evenly.

    Ticks by the span of the axis (high / low): some eight, evenly, up to 4; seven a decade below
    15; three a decade (1, 2, 5) below 1,000; else one.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = axes.get_xlim()
    wide = high / low > 4
    steps: tuple[float, ...] = (1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,)
    if high / low < 15:
        steps = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps) if wide else MaxNLocator(8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_bars(axes: "Axes", plot: Bars) -> list[tuple[Any, str]]:
    """Draw the stacks, the first on top, and return what the legend names.

    All boxes of a part are one collection of polygons with one id: that is what `svg.py` takes as a
    series. Parts of length 0 have no box, and its tips leave them out likewise.
    """
    from matplotlib.collections import PolyCollection

    keys, sums = [], [sum(parts) for _, parts in plot.bars]
    ends = [0.0] * len(plot.bars)
    for index, (name, colour) in enumerate(plot.parts):
        boxes = []
        for row, (_, parts) in enumerate(plot.bars):
            start, ends[row] = ends[row], ends[row] + parts[index]
            if parts[index] > 0:
                top, bottom = row - HALF_A_BAR, row + HALF_A_BAR
                corners = [(start, top), (ends[row], top), (ends[row], bottom), (start, bottom)]
                boxes.append(corners)
        drawn = PolyCollection(boxes, facecolors=colour, gid=f"series-{index}")
        keys.append((axes.add_collection(drawn, autolim=False), name))
    for row, total in enumerate(sums):
        axes.annotate(
            significant(total),
            (total, row),
            xytext=(3, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=7,
            color=INK,
            in_layout=False,
        )
    names = [shortened(name) for name, _ in plot.bars]
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max([*sums, 1e-12]) * 1.1)  # room for the sums
    axes.xaxis.grid(True, color=GRID, linewidth=0.7)
    return keys


def _draw_legend(figure: "Figure", keys: Sequence[tuple[Any, str]]) -> None:
    names = [_one_line(name) for _, name in keys]
    legend = figure.legend(
        [handle for handle, _ in keys],
        names,
        loc="outside lower center",
        ncols=min(max(LEGEND_LETTERS // (max(map(len, names)) + 5), 1), 4),
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    for (handle, _), text in zip(keys, legend.get_texts(), strict=True):
        text.set_parse_math(False)
        series = str(handle.get_gid() or "").removeprefix("series-")
        if series.isdigit():
            text.set_gid(f"name-{series}")


def shortened(name: str) -> str:
    """A name on one line, its end cut where it is too long."""
    name = _one_line(name)
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


def growth_figure(steps: Sequence[Step], asked: StudySpec) -> "Figure":
    """Hypervolume against trainings, or against epochs where rungs make trainings unequal.

    Args:
        steps: of the study, one after each training; the curve starts at 0, 0.
        asked: the study; with rungs (successive halving) a training may end after few epochs, so
            the number of trainings says little of the effort.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    rungs = asked.rungs is not None
    across = [step.epochs if rungs else step.trainings for step in steps]
    volumes = [step.hypervolume for step in steps]
    axes.step([0, *across], [0.0, *volumes], where="post", color=FRONTIER, linewidth=1.5)
    axes.set_xlabel("epochs of all trainings" if rungs else "trainings")
    axes.set_ylabel("hypervolume (share of the box)")
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    axes.grid(True, color=GRID)
    axes.set_title(f"{asked.name}: how the frontier grew", fontsize=10, parse_math=False)
    return figure


def saved(figure: "Figure", form: Literal["svg", "pdf"]) -> bytes:
    """A figure as vectors: the same figure gives the same bytes, and its texts stay texts.

    What would differ from run to run: the date in the metadata, and the ids of an SVG, which are
    random unless they have a salt (`svg.hashsalt`). Letters of an SVG are left to the reader's
    fonts (`none`), those of a PDF are embedded as TrueType (42).
    """
    from matplotlib import rc_context

    target = io.BytesIO()
    dates: dict[str, None] = dict.fromkeys(["Date"] if form == "svg" else ["CreationDate"])
    # Ids that are the same in every run, and letters as letters.
    fixed: dict[Any, Any] = {
        "svg.hashsalt": "ternary-dse",
        "svg.fonttype": "none",
        "pdf.fonttype": 42,
    }
    with _ONE_AT_A_TIME, rc_context(fixed), warnings.catch_warnings():
        # A name may have letters that DejaVu lacks: a box stands for them.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(target, format=form, metadata=dates | {"Creator": None})
    return target.getvalue()


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in one step, so that a reader never sees half of it.

    Args:
        figure: what to write.
        path: the format follows its suffix (`.png`, `.svg`, `.pdf`); pixels are 150 an inch.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format=path.suffix.removeprefix("."))
