"""Charts of one cost: energy and cycles by layer, roofline, areas; the network as a diagram."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from cost_models import Cost
from cost_models.roofline import roofline
from dashboard.theme import BLUE, GREY, ORANGE, PALETTE, SKY, VERMILION, YELLOW, ink
from dse.design.point import Block, DesignPoint
from dse.training.history import EpochRecord

COMPONENTS = {
    "multiply_accumulate": "multiply-accumulate",
    "ternary_addition": "ternary addition",
    "post_processing": "post-processing",
    "register": "registers",
    "generator": "generator",
    "leakage": "leakage",
}
"""How components are called; memories are called by their own names."""

ASPECT = 2.6
"""Width of a treemap over its height."""
PALE = (ORANGE, SKY, YELLOW)
"""Colours on which letters are black."""


def energy_frame(cost: Cost) -> pd.DataFrame:
    """Energy by layer and part: a component, or a memory by its name; nJ, with the band."""
    rows = pd.DataFrame(cost.energy_table)
    rows["part"] = [
        COMPONENTS.get(component, part)
        for component, part in zip(rows["component"], rows["part"], strict=True)
    ]
    figures = ["energy_low_pj", "energy_pj", "energy_high_pj"]
    total = rows.groupby(["layer", "part"], sort=False)[figures].sum().reset_index()
    for name in figures:
        total[name.replace("_pj", "_nj")] = total.pop(name) * 1e-3
    return total


def stacked_chart(frame: pd.DataFrame, value: str, title: str, order: Sequence[str]) -> Any:
    """A bar a layer, divided by part."""
    parts = list(dict.fromkeys(frame["part"]))
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(f"{value}:Q", title=title, axis=alt.Axis(format="~s")),
            y=alt.Y(
                "layer:N",
                sort=list(order),
                title=None,
                axis=alt.Axis(labelLimit=120, labelOverlap=False, labelFlush=False),
            ),
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(domain=parts, range=PALETTE),
                legend=alt.Legend(orient="top", columns=5, labelLimit=160),
            ),
            order=alt.Order("rank:Q"),
            tooltip=["layer:N", "part:N", alt.Tooltip(f"{value}:Q", title=title, format=",.4~g")],
        )
        .transform_calculate(rank=f"indexof({parts}, datum.part)")
        .properties(height=max(120, 60 + 18 * len(order)))
    )


def latency_frame(cost: Cost) -> pd.DataFrame:
    """Cycles that each layer adds, and the part that bounds it; layers that add none left out."""
    return pd.DataFrame(
        [
            {
                "layer": each.layer.name,
                "part": each.bound,
                "cycles": each.latency_cycles,
                "us": each.latency_cycles / cost.accelerator.clock_mhz,
            }
            for each in cost.layers
            if each.latency_cycles
        ],
        columns=["layer", "part", "cycles", "us"],
    )


def roofline_frame(cost: Cost) -> pd.DataFrame:
    """A point a convolution and memory: intensity, what the roofs allow, what is reached."""
    return pd.DataFrame(
        [
            {
                "layer": roof.layer,
                "array": roof.array,
                "memory": memory,
                "intensity": intensity,
                "attainable": roof.attainable,
                "reached": roof.reached,
                "limit": roof.limit,
                "peak": roof.peak,
            }
            for roof in roofline(cost)
            for memory, intensity in roof.intensity.items()
            if roof.reached > 0
        ],
        columns=["layer", "array", "memory", "intensity", "attainable", "reached", "limit", "peak"],
    )


def roofline_chart(cost: Cost, memory: str) -> Any:
    """Operations a cycle against operations per bit of one memory, under its roofs."""
    frame = roofline_frame(cost)
    frame = frame[frame["memory"] == memory]
    bandwidth = next(m for m in cost.accelerator.memories if m.name == memory)
    low, high = frame["intensity"].min() / 3, frame["intensity"].max() * 3
    roofs = []
    for array in dict.fromkeys(frame["array"]):
        peak = float(frame.loc[frame["array"] == array, "peak"].iloc[0])
        ridge = peak / bandwidth.bandwidth_bits_per_cycle
        edges = sorted({low, min(max(ridge, low), high), high})
        roofs += [
            {
                "intensity": x,
                "roof": min(peak, x * bandwidth.bandwidth_bits_per_cycle),
                "array": array,
            }
            for x in edges
        ]
    colours = alt.Color(
        "array:N", scale=alt.Scale(range=[BLUE, VERMILION]), legend=alt.Legend(orient="bottom")
    )
    x = alt.X(
        "intensity:Q",
        scale=alt.Scale(type="log", nice=False, padding=8),
        title=f"operations per bit through {memory}",
    )
    line = (
        alt.Chart(pd.DataFrame(roofs))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=alt.Y(
                "roof:Q",
                title="operations a cycle",
                scale=alt.Scale(type="log", nice=False, padding=14),
            ),
            color=colours,
        )
    )
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=x,
            y=alt.Y("reached:Q"),
            color=colours,
            tooltip=[
                "layer",
                "array",
                "limit",
                alt.Tooltip("reached", format=".3~g"),
                alt.Tooltip("attainable", format=".3~g"),
                alt.Tooltip("intensity", format=".3~g"),
            ],
        )
    )
    return alt.layer(line, points).properties(height=360)


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of a treemap."""

    name: str
    size: float
    x: float
    y: float
    width: float
    height: float


def treemap(sizes: dict[str, float], width: float = 1.0, height: float = 1.0) -> list[Tile]:
    """Rectangles that fill one of these sides, as near to squares as rows allow, largest first.

    Rows are filled along the shorter side as long as the worst ratio of sides gets better (Bruls,
    Huizing, van Wijk, Squarified Treemaps, 2000).
    """
    left = sorted(((n, s) for n, s in sizes.items() if s > 0), key=lambda item: -item[1])
    total = sum(size for _, size in left) / (width * height)
    tiles: list[Tile] = []
    x = y = 0.0
    while left:
        side = min(width, height)
        count = 1
        while count < len(left) and _worst(left[: count + 1], side, total) <= _worst(
            left[:count], side, total
        ):
            count += 1
        row, left = left[:count], left[count:]
        depth = sum(size for _, size in row) / total / side
        along = 0.0
        for name, size in row:
            extent = size / total / depth
            if width >= height:
                tiles.append(Tile(name, size, x, y + along, depth, extent))
            else:
                tiles.append(Tile(name, size, x + along, y, extent, depth))
            along += extent
        if width >= height:
            x, width = x + depth, width - depth
        else:
            y, height = y + depth, height - depth
    return tiles


def _worst(row: Sequence[tuple[str, float]], side: float, total: float) -> float:
    """The largest ratio of sides in a row."""
    areas = [size / total for _, size in row]
    depth = sum(areas) / side
    return max(max(depth**2 / area, area / depth**2) for area in areas)


def area_chart(cost: Cost) -> Any:
    """The areas of the machine's parts as a treemap, in mm2."""
    total = cost.area.mid
    tiles = pd.DataFrame(
        [
            {
                "part": tile.name,
                "mm2": tile.size * 1e-6,
                "share": tile.size / total,
                "low": cost.areas_um2[tile.name].low * 1e-6,
                "high": cost.areas_um2[tile.name].high * 1e-6,
                "x": tile.x,
                "x2": tile.x + tile.width,
                "y": tile.y,
                "y2": tile.y + tile.height,
                "mx": tile.x + tile.width / 2,
                "my": tile.y + tile.height / 2,
                "text": f"{tile.name}\n{tile.size * 1e-6:.3g} mm2\n{tile.size / total:.0%}"
                if tile.width > 0.3 and tile.height > 0.24
                else "",
            }
            for tile in treemap(
                {name: band.mid for name, band in cost.areas_um2.items()}, width=ASPECT
            )
        ]
    )
    parts = list(tiles["part"])
    tiles["ink"] = [
        "#000000" if PALETTE[i % len(PALETTE)] in PALE else "#FFFFFF" for i in range(len(tiles))
    ]
    across: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[0, ASPECT], nice=False)}
    hidden: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[0, 1], nice=False)}
    base = alt.Chart(tiles)
    boxes = base.mark_rect(stroke="white", strokeWidth=2).encode(
        x=alt.X("x:Q", **across),
        x2="x2",
        y=alt.Y("y:Q", **hidden),
        y2="y2",
        color=alt.Color(
            "part:N",
            scale=alt.Scale(domain=parts, range=PALETTE),
            legend=alt.Legend(orient="bottom", columns=5, title=None),
        ),
        tooltip=[
            "part",
            alt.Tooltip("mm2", title="area (mm2)", format=".3~g"),
            alt.Tooltip("low", title="at least (mm2)", format=".3~g"),
            alt.Tooltip("high", title="at most (mm2)", format=".3~g"),
            alt.Tooltip("share", format=".1%"),
        ],
    )
    names = base.mark_text(lineBreak="\n", fontSize=12, dy=-12).encode(
        x=alt.X("mx:Q", **across),
        y=alt.Y("my:Q", **hidden),
        text="text:N",
        color=alt.Color("ink:N", scale=None),
    )
    return alt.layer(boxes, names).properties(height=330)


def history_chart(history: Sequence[EpochRecord]) -> Any:
    """Training and validation error over the epochs."""
    rows = [
        {"epoch": each.epoch, "split": split, "error": 100 * error}
        for each in history
        for split, error in (
            ("training", each.training_error),
            ("validation", each.validation_error),
        )
    ]
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=len(history) < 40)
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1), title="epoch"),
            y=alt.Y("error:Q", title="error (%)", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "split:N",
                title=None,
                legend=alt.Legend(orient="top"),
                scale=alt.Scale(domain=["training", "validation"], range=[GREY, BLUE]),
            ),
            strokeDash=alt.StrokeDash("split:N", legend=None),
            tooltip=["epoch", "split", alt.Tooltip("error", title="error (%)", format=".4~g")],
        )
        .properties(height=280)
    )


def curves_chart(frame: pd.DataFrame) -> Any:
    """Validation errors of several trainings over their epochs.

    Args:
        frame: `epoch`, `error` in percent and `design`, a row an epoch.
    """
    order = list(dict.fromkeys(frame["design"]))
    return (
        alt.Chart(frame)
        .mark_line(point=bool(frame["epoch"].max() < 40))
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1), title="epoch"),
            y=alt.Y("error:Q", title="validation error (%)", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "design:N",
                title=None,
                sort=order,
                scale=alt.Scale(range=PALETTE),
                legend=alt.Legend(
                    orient="bottom", columns=1, labelLimit=320, symbolSize=60, rowPadding=0
                ),
            ),
            tooltip=["design:N", "epoch:Q", alt.Tooltip("error:Q", format=".3~g")],
        )
        .properties(height=250 + 24 * len(order))
    )


def network_diagram(point: DesignPoint, outputs: int) -> str:
    """The network in Graphviz' language: a box a block, an arc a skip; ternary ones coloured."""
    colour = ink()
    lines = [
        "digraph network {",
        f"graph [rankdir=LR, bgcolor=transparent, nodesep=0.25, ranksep=0.3, "
        f'color="{colour}", fontcolor="{colour}"];',
        f'node [shape=box, style="rounded", fontname="sans-serif", fontsize=11, '
        f'color="{colour}", fontcolor="{colour}"];',
        f'edge [fontname="sans-serif", fontsize=10, arrowsize=0.6, color="{colour}", '
        f'fontcolor="{colour}"];',
        f'input [label="features\\n{point.in_channels}", shape=plain];',
    ]
    before = "input"
    for block in point.blocks:
        lines.append(_box(block))
        lines.append(f"{before} -> {block.name};")
        if block.skip is not None:
            kind = block.skip.kind
            mark = f', color="{VERMILION}"' if kind == "ternary" else ""
            lines.append(
                f'{before} -> {block.name} [label="skip: {kind}", style=dashed{mark}, '
                "constraint=false];"
            )
        before = block.name
    head = "average, linear" if point.head == "pooled" else "linear a frame"
    lines += [f'head [label="{head}\\n{outputs} classes"];', f"{before} -> head;", "}"]
    return "\n".join(lines)


def _box(block: Block) -> str:
    """One block; its name is letters and digits, so it needs no quotes."""
    ternary = block.mixer.kind == "ternary"
    mixer = f"ternary {block.mixer.density:g}" if ternary else block.mixer.kind
    kernel = f"kernel {block.kernel_size}" + (
        f", stride {block.stride}" if block.stride > 1 else ""
    )
    repeats = f"{block.repeats} x " if block.repeats > 1 else ""
    text = f"{block.name}\\n{repeats}{block.out_channels} channels\\n{kernel}\\n{mixer}"
    mark = f', color="{VERMILION}", penwidth=2' if ternary else ""
    return f'{block.name} [label="{text}"{mark}];'


def shares(cost: Cost) -> list[tuple[str, float]]:
    """Parts of the energy, largest first."""
    frame = energy_frame(cost).groupby("part")["energy_nj"].sum().sort_values(ascending=False)
    total = float(frame.sum())
    return [(str(part), float(nj) / total) for part, nj in frame.items() if not math.isclose(nj, 0)]
