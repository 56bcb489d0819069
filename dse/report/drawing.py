"""Plots as lines, marks and words on a sheet: laid out once, drawn by SVG and PDF alike.

Coordinates are in points, x to the right, y downwards. Colours are `#rrggbb`, or `ink`, `quiet` and
`grid`, which follow the page.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cost_models import Band
from dse.report.content import Bars, Plot, Scatter, Series, significant

WIDTH = 700.0
LETTER = 0.56
"""Width of a letter in its size, about."""
SIZE = 10.0
"""Of words."""
MOST_LABEL = 230.0
"""Width of the names of bars; longer ones are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A polygon's open line."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.0
    dashed: bool = False
    series: int = -1
    """What can be shown and hidden together; -1 for axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One design."""

    kind: Literal["circle", "triangle", "tick"]
    x: float
    y: float
    colour: str
    tip: str = ""
    series: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    tip: str = ""
    series: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One line of text; `y` is its base line."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = "ink"
    size: float = SIZE
    bold: bool = False
    upright: bool = False
    """Read from below."""
    series: int = -1


Shape = Line | Mark | Box | Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A sheet with shapes."""

    title: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def draw(plot: Plot) -> Picture:
    """Lay out a plot."""
    return _scatter(plot) if isinstance(plot, Scatter) else _bars(plot)


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis from `low` to `high`, both above 0: 1, 2, 5, 10."""
    decades = math.log10(high / low)
    steps: tuple[int, ...] = (1,) if decades > 3 else (1, 2, 5)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [
        step * 10.0**power
        for power in range(first, last + 1)
        for step in steps
        if low <= step * 10.0**power <= high
    ]
    return ticks if len(ticks) >= 2 else [t for t in linear_ticks(low, high) if low <= t <= high]


def linear_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at most `low` to at least `high`, evenly apart."""
    span = (high - low) or abs(high) or 1.0
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _label(value: float) -> str:
    return f"{value:,.6g}"


def text_width(text: str, size: float = SIZE) -> float:
    """About how wide a text is."""
    return LETTER * size * len(text)


def _legend(names: Sequence[tuple[str, str, str]], y: float) -> tuple[list[Shape], float]:
    """Name, colour and marker of each series in rows below a plot, and the height they take."""
    shapes: list[Shape] = []
    x, row = 12.0, 0
    for index, (name, colour, marker) in enumerate(names):
        width = 22 + text_width(name) + 14
        if x + width > WIDTH and x > 12:
            x, row = 12.0, row + 1
        base = y + 16 * row
        if marker == "stairs":
            points = ((x, base - 4), (x + 14, base - 4))
            shapes.append(Line(points=points, colour=colour, width=1.6, series=index))
        elif marker == "box":
            shapes.append(Box(x=x, y=base - 9, width=12, height=10, colour=colour, series=index))
        else:
            kind: Literal["circle", "triangle", "tick"] = (
                "triangle" if marker == "triangle" else "tick" if marker == "tick" else "circle"
            )
            shapes.append(Mark(kind=kind, x=x + 7, y=base - 4, colour=colour, series=index))
        shapes.append(Words(x=x + 19, y=base, text=name, series=index))
        x += width
    return shapes, 16.0 * (row + 1)


def _scatter(plot: Scatter) -> Picture:
    left, right, top, height = 52.0, WIDTH - 16, 30.0, 300.0
    bottom = top + height
    drawn = [s for s in plot.series if s.marker != "tick"]
    xs = [point.x for series in drawn for point in series.points if point.x > 0]
    xs = xs or [point.x for series in plot.series for point in series.points if point.x > 0]

    def near(x: float) -> bool:
        return bool(xs) and min(xs) / 3 < x < max(xs) * 3

    inside = [limit for limit in plot.limits if near(limit)]
    plotted = [_without_far(series, near) for series in plot.series]
    ticks = [point.x for s in plotted if s.marker == "tick" for point in s.points]
    xs += [*inside, *ticks]
    low, high = (min(xs) / 1.2, max(xs) * 1.2) if xs else (0.1, 10.0)
    highs = [p.y.high if isinstance(p.y, Band) else p.y for s in drawn for p in s.points]
    y_ticks = linear_ticks(0.0, max([*highs, 1.0]) * 1.02)
    most = y_ticks[-1]

    def across(x: float) -> float:
        return left + (right - left) * math.log(x / low) / math.log(high / low)

    def down(y: float) -> float:
        return bottom - (bottom - top) * y / most

    shapes: list[Shape] = [Words(x=12, y=14, text=plot.title, bold=True, size=11)]
    for tick in y_ticks:
        y = down(tick)
        shapes.append(Line(points=((left, y), (right, y)), colour="grid"))
        shapes.append(Words(x=left - 6, y=y + 3.5, text=_label(tick), anchor="end"))
    for tick in log_ticks(low, high):
        x = across(tick)
        shapes.append(Line(points=((x, top), (x, bottom)), colour="grid"))
        shapes.append(Words(x=x, y=bottom + 14, text=_label(tick), anchor="middle"))
    for limit in inside:
        x = across(limit)
        shapes.append(Line(points=((x, top), (x, bottom)), colour="quiet", dashed=True))
        shapes.append(Words(x=x - 4, y=top + 11, text="limit", anchor="end", colour="quiet"))
    shapes.append(Line(points=((left, top), (left, bottom), (right, bottom)), colour="ink"))
    middle = (left + right) / 2
    shapes.append(Words(x=middle, y=bottom + 30, text=plot.x_title, anchor="middle"))
    shapes.append(
        Words(x=13, y=(top + bottom) / 2, text=plot.y_title, anchor="middle", upright=True)
    )
    for index, series in enumerate(plotted):
        shapes += _series(series, index, across, down, right, bottom)
    names = [(series.name, series.colour, series.marker) for series in plotted]
    legend, used = _legend(names, bottom + 50)
    return Picture(
        title=plot.title,
        width=WIDTH,
        height=bottom + 42 + used,
        shapes=(*shapes, *legend),
    )


def _without_far(series: Series, near: Callable[[float], bool]) -> Series:
    """Ticks far from all designs would squeeze these into a corner: they are counted instead."""
    if series.marker != "tick":
        return series
    points = tuple(point for point in series.points if near(point.x))
    far = len(series.points) - len(points)
    name = f"{series.name}, {far} of them far off" if far else series.name
    return dataclasses.replace(series, points=points, name=name)


def _series(
    series: Series,
    index: int,
    across: Callable[[float], float],
    down: Callable[[float], float],
    right: float,
    bottom: float,
) -> list[Shape]:
    points = [point for point in series.points if point.x > 0]
    shapes: list[Shape] = []
    if series.marker == "stairs":
        corners = [(across(p.x), down(p.y.mid if isinstance(p.y, Band) else p.y)) for p in points]
        line = corners[:1]
        for (_, y), (x, below) in pairwise(corners):
            line += [(x, y), (x, below)]
        if corners:
            # Beyond its best design the frontier stays level.
            line.append((right, corners[-1][1]))
            shapes.append(Line(points=tuple(line), colour=series.colour, width=1.6, series=index))
        return shapes
    for point in points:
        x = across(point.x)
        if series.marker == "tick":
            shapes.append(
                Mark(
                    kind="tick",
                    x=x,
                    y=bottom - 6,
                    colour=series.colour,
                    tip=point.tip,
                    series=index,
                )
            )
            continue
        if isinstance(point.y, Band):
            ends = (down(point.y.high), down(point.y.low))
            shapes.append(
                Line(points=((x, ends[0]), (x, ends[1])), colour=series.colour, series=index)
            )
            shapes += [
                Line(points=((x - 3, y), (x + 3, y)), colour=series.colour, series=index)
                for y in ends
            ]
        y = down(point.y.mid if isinstance(point.y, Band) else point.y)
        shapes.append(
            Mark(kind=series.marker, x=x, y=y, colour=series.colour, tip=point.tip, series=index)
        )
        if point.label:
            beyond = x + 8 + text_width(point.label, 9) > right
            shapes.append(
                Words(
                    x=x - 7 if beyond else x + 7,
                    y=y - 5,
                    text=shortened(point.label, 180, 9),
                    anchor="end" if beyond else "start",
                    size=9,
                    series=index,
                )
            )
    return shapes


def shortened(text: str, width: float, size: float = SIZE) -> str:
    """A text that fits a width, its end cut where it is too long."""
    text = " ".join(text.split())
    most = max(int(width / (LETTER * size)), 4)
    return text if len(text) <= most else text[: most - 1] + "…"


def _bars(plot: Bars) -> Picture:
    longest = max((text_width(name) for name, _ in plot.bars), default=0.0)
    left = 14 + min(longest, MOST_LABEL)
    right, top, pitch = WIDTH - 60, 30.0, 17.0
    bottom = top + pitch * max(len(plot.bars), 1)
    sums = [sum(parts) for _, parts in plot.bars]
    ticks = linear_ticks(0.0, max([*sums, 1e-12]))
    most = ticks[-1] or 1.0

    def across(value: float) -> float:
        return left + (right - left) * value / most

    shapes: list[Shape] = [Words(x=12, y=14, text=plot.title, bold=True, size=11)]
    for tick in ticks:
        x = across(tick)
        shapes.append(Line(points=((x, top), (x, bottom)), colour="grid"))
        shapes.append(Words(x=x, y=bottom + 14, text=_label(tick), anchor="middle"))
    for row, (name, parts) in enumerate(plot.bars):
        y = top + pitch * row
        fitted = shortened(name, MOST_LABEL)
        shapes.append(Words(x=left - 6, y=y + 12, text=fitted, anchor="end"))
        start = 0.0
        for index, value in enumerate(parts):
            if value > 0:
                part, colour = plot.parts[index]
                share = f"{significant(value)} of {significant(sums[row])}"
                tip = f"{name}\n{part}: {share}\n{plot.x_title}"
                shapes.append(
                    Box(
                        x=across(start),
                        y=y + 3,
                        width=across(start + value) - across(start),
                        height=pitch - 5,
                        colour=colour,
                        tip=tip,
                        series=index,
                    )
                )
            start += value
        shapes.append(Words(x=across(start) + 4, y=y + 12, text=significant(sums[row]), size=9))
    shapes.append(Line(points=((left, top), (left, bottom)), colour="ink"))
    shapes.append(Words(x=(left + right) / 2, y=bottom + 30, text=plot.x_title, anchor="middle"))
    names = [(name, colour, "box") for name, colour in plot.parts]
    legend, used = _legend(names, bottom + 50)
    return Picture(
        title=plot.title,
        width=WIDTH,
        height=bottom + 42 + used,
        shapes=(*shapes, *legend),
    )
