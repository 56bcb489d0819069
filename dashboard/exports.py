"""The plot that is drawn, as a file: SVG or PNG, with its title and legend.

Nothing is computed anew: the picture has the series of the option that the browser got, drawn by
matplotlib. So it shows what was on the page, with the columns, filters, budget and rings of then.

Trap: sizes of ECharts are pixels and diameters, those of matplotlib points and, of a scatter,
areas.
"""

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dashboard.charts import Option
from dse.colours import GRID, INK
from dse.report.content import printable
from dse.report.figures import saved

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Form = Literal["svg", "png"]
SIZES = {"paper": (3.5, 2.9, 7.0), "slide": (10.0, 5.6, 12.0)}
"""Width and height in inches, and points of letters: a column of a two-column paper is 3.5 inches
wide; a slide of 16:9 has room for a title above."""
DOTS_PER_INCH = 300
SYMBOLS = {
    "circle": "o",
    "triangle": "^",
    "rect": "s",
    "diamond": "D",
    "pin": "v",
    "arrow": "P",
    "roundRect": "h",
    "emptyCircle": "o",
}
DASHES: dict[str, Any] = {"solid": "-", "dashed": "--", "dotted": ":"}
POINTS_PER_PIXEL = 0.55
HALO = 1.2
"""Width of a ring's line, in points."""


def picture_of(option: Option, title: str, size: tuple[float, float, float], form: Form) -> bytes:
    """A plot of designs as a file.

    Args:
        option: of `frontier_chart`.
        title: above the plot.
        size: width and height in inches, and the size of letters in points.
        form: `svg`, whose letters stay letters, or `png`, of 300 pixels an inch.
    """
    figure = draw_option(option, title, size)
    if form == "svg":
        return saved(figure, "svg")
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DOTS_PER_INCH)
    return target.getvalue()


def draw_option(option: Option, title: str, size: tuple[float, float, float]) -> "Figure":
    """A plot of designs as a figure, without pyplot, which would keep it."""
    from matplotlib.figure import Figure

    width, height, letters = size
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    scale = letters / 9.0
    keys: dict[str, Any] = {}
    for series in option["series"]:
        table = (
            option["dataset"][series["datasetIndex"]]["source"]
            if "datasetIndex" in series
            else None
        )
        if table is not None and len(table):
            keys.setdefault(str(series["name"]), _draw_series(axes, series, table, scale))
        _draw_lines(axes, series, letters)
    _draw_axes(axes, option, letters)
    axes.set_title(printable(title), fontsize=letters, loc="left", color=INK, parse_math=False)
    wanted = [str(each["name"]) for each in option["legend"][0]["data"] if each["name"] in keys]
    for series in option["series"]:
        if "data" in series:  # nothing but an entry: what a symbol means
            wanted.append(str(series["name"]))
            keys[wanted[-1]] = _symbol_of(series)
    legend = figure.legend(
        [keys[name] for name in wanted],
        [printable(name) for name in wanted],
        loc="outside lower center",
        ncols=min(len(wanted), 2 if width < 5 else 4) or 1,
        fontsize=0.85 * letters,
        frameon=False,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _draw_series(axes: "Axes", series: Option, table: pd.DataFrame, scale: float) -> Any:
    """Points, or a line or stairs; and what stands for it in the legend."""
    across, up = (table[series["encode"][name]].to_numpy(dtype=float) for name in ("x", "y"))
    height = series.get("z", 3)
    if series["type"] == "line":
        style = series["lineStyle"]
        look = {"color": style["color"], "linestyle": DASHES[style.get("type", "solid")]}
        kind = "steps-post" if series.get("step") == "end" else "default"
        (line,) = axes.plot(
            across, up, drawstyle=kind, linewidth=1.3 * scale, zorder=height, **look
        )
        return line
    style, width = series["itemStyle"], series["symbolSize"]
    size = width if isinstance(width, int | float) else max(width)
    hollow = style["color"] == "transparent"
    edge = style.get("borderColor", style["color"])
    marker = "|" if not isinstance(width, int | float) else SYMBOLS[series["symbol"]]
    marker = ">" if series.get("symbolRotate") else marker
    (dots,) = axes.plot(
        across,
        up,
        marker,
        markersize=max(size, 1) * POINTS_PER_PIXEL * scale if size else 0,
        markerfacecolor="none" if hollow else style["color"],
        markeredgecolor=edge,
        markeredgewidth=(HALO if hollow or marker == "|" else 0.0) * scale,
        alpha=style.get("opacity", 1.0),
        zorder=height,
        clip_on=False,
    )
    column = series.get("label", {}).get("formatter", "").strip("{@}")
    if column:
        _write(axes, across, up, table[column], series, 7.5 * scale)
    return _legend_of(dots)


def _symbol_of(series: Option) -> Any:
    from matplotlib.lines import Line2D

    colour = series["itemStyle"]["color"]
    return Line2D([], [], linestyle="none", marker=SYMBOLS[series["symbol"]], color=colour)


def _legend_of(dots: Any) -> Any:
    """The legend's entry looks as the points do, but is never faint."""
    from matplotlib.lines import Line2D

    entry = Line2D([], [], linestyle="none")
    entry.update_from(dots)
    entry.set_alpha(1.0)
    return entry


def _write(
    axes: "Axes",
    across: "np.ndarray[Any, Any]",
    up: "np.ndarray[Any, Any]",
    texts: "pd.Series[str]",
    series: Option,
    letters: float,
) -> None:
    above = series["label"].get("position") == "top"
    for x, y, text in zip(across, up, texts, strict=True):
        axes.annotate(
            printable(str(text)),
            (x, y),
            xytext=(0, 6) if above else (5, 0),
            textcoords="offset points",
            horizontalalignment="center" if above else "left",
            verticalalignment="bottom" if above else "center",
            fontsize=letters,
            color=series["label"].get("color", INK),
            parse_math=False,
        )


def _draw_lines(axes: "Axes", series: Option, letters: float) -> None:
    """Limits and budgets, each with its words at its end."""
    for each in series.get("markLine", {}).get("data", ()):
        colour = series["markLine"]["lineStyle"]["color"]
        look = {"color": colour, "linestyle": DASHES[each["lineStyle"]["type"]], "linewidth": 1.0}
        text = {"fontsize": 0.8 * letters, "color": colour, "parse_math": False}
        if "xAxis" in each:
            axes.axvline(each["xAxis"], **look)
            place: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "ha": "center"}
            axes.annotate(each["name"], (each["xAxis"], 1.0), va="bottom", **place, **text)
        else:
            axes.axhline(each["yAxis"], **look)
            place = {"xycoords": axes.get_yaxis_transform(), "ha": "right"}
            axes.annotate(each["name"], (1.0, each["yAxis"]), va="bottom", **place, **text)


def _draw_axes(axes: "Axes", option: Option, letters: float) -> None:
    for name in ("x", "y"):
        axis = option[f"{name}Axis"]
        log = axis["type"] == "log"
        set_scale, set_ends = getattr(axes, f"set_{name}scale"), getattr(axes, f"set_{name}lim")
        set_scale("log" if log else "linear")
        set_ends(axis["min"], axis["max"])
        marks = axis["axisLabel"]["customValues"]
        getattr(axes, f"set_{name}ticks")(marks, [f"{mark:,.6g}" for mark in marks])
        getattr(axes, f"set_{name}ticks")([], minor=True)
        set_label = getattr(axes, f"set_{name}label")
        set_label(axis["name"], fontsize=letters, color=INK, parse_math=False)
    axes.tick_params(labelsize=0.85 * letters, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color(INK)
    axes.set_axisbelow(True)
    axes.grid(True, color=GRID, linewidth=0.6)
