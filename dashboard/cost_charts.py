"""Charts of one cost: energy and cycles by layer, roofline, areas; the network as a diagram."""

import itertools
import math
from collections.abc import Iterable

import pandas as pd

from cost_models import Cost
from cost_models.roofline import roofline
from dashboard.charts import Option, axis, chart, find_ends, ink, line, points
from dse.colours import BRICK, INDIGO, SAND, SERIES, TERNARY
from dse.colours import COMPONENTS as COLOURS
from dse.design.point import Block, DesignPoint

COMPONENTS = {
    "multiply_accumulate": "multiply-accumulate",
    "ternary_addition": "ternary addition",
    "post_processing": "post-processing",
    "register": "registers",
    "generator": "generator",
    "leakage": "leakage",
}
"""How components are called; memories are called by their own names."""


def energy_frame(cost: Cost) -> pd.DataFrame:
    """Energy by layer and part: a component, or a memory by its name; nJ, with the band.

    Operands and actions (read, write) of a part are summed, lower ends with lower ends: the band of
    a sum is thus that of constants which all err in the same direction, the widest one.

    Returns:
        A row a layer and part that has any event, in the order of the network: `layer`, `part`,
        `energy_low_nj`, `energy_nj`, `energy_high_nj`, for one inference.
    """
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


def latency_frame(cost: Cost) -> pd.DataFrame:
    """Cycles that each layer adds, and the part that bounds it; layers that add none left out.

    Parts of a machine work on a layer at the same time, so a layer takes as long as the slowest of
    them, which is what bounds it: only a faster one of these makes the layer faster. A layer that
    runs in line behind another (batch norm, say) adds only what it takes beyond that one.

    Returns:
        A row a layer: `part` (`cost_models.cost.LayerCost.bound`), `cycles`, and `us`: cycles
        divided by the clock in MHz, which is cycles per microsecond.
    """
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
    """A point a convolution and memory: intensity, what the roofs allow, what is reached.

    Returns:
        A row a convolution and memory that it uses: `intensity` in operations a bit through this
        memory's ports; `peak`, `attainable` and `reached` in operations a cycle. `attainable` and
        `limit` are those of the lowest roof of all memories, so they are the same in all rows of a
        layer. An operation is a multiply-accumulate or a ternary position
        (`cost_models.roofline`).
    """
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


def roofline_chart(cost: Cost, memory: str) -> Option:
    """Operations a cycle against operations per bit of one memory, under its roofs.

    An array does `min(peak, intensity x bandwidth)` operations a cycle at most: a slope where the
    memory is too slow, level from the ridge `peak / bandwidth` on.

        operations |        ________________  peak of the array (operations a cycle)
        a cycle    |      /.        o
                   |    /  .                  o a layer: as high as it reaches
                   |  /    .
                   +-------+------------- operations per bit through this memory
                         ridge

    Both axes are logarithmic, so the slope is 1 and three points draw a roof exactly. A layer left
    of the ridge gains from bandwidth or from reuse, one right of it from a larger array; one well
    below its roof is held up by something that this plot does not show, such as another memory.

    Args:
        cost: of a network on a machine.
        memory: name of one of its memories; only layers that use it are drawn.
    """
    frame = roofline_frame(cost)
    frame = frame[frame["memory"] == memory]
    # Intensity counts bits read and written together, the bandwidth is that of one port: a memory
    # with separate ports moves up to twice as much, so its layers may lie above the slope.
    bandwidth = next(m for m in cost.accelerator.memories if m.name == memory)
    across, up = f"operations per bit through {memory}", "operations a cycle"
    ends = find_ends(frame["intensity"], log=True)
    low, high = ends[0] / 2, ends[1] * 2
    series, heights = [], list(frame["reached"])
    for array, tint in zip(dict.fromkeys(frame["array"]), SERIES, strict=False):
        part = frame[frame["array"] == array].drop(columns="memory").reset_index(drop=True)
        peak = float(part["peak"].iloc[0])
        ridge = peak / bandwidth.bandwidth_bits_per_cycle
        edges = sorted({low, min(max(ridge, low), high), high})
        roof = [min(peak, edge * bandwidth.bandwidth_bits_per_cycle) for edge in edges]
        heights += roof
        table = pd.DataFrame({across: edges, up: roof})
        series.append(line(array, table, across, up, tint, silent=True))
        hovered = ["layer", "limit", "reached", "attainable", "intensity"]
        series.append(
            points(array, part, "intensity", "reached", tint, hovered=hovered, size=9, opacity=0.85)
        )
    return chart(
        series,
        xAxis=axis(across, (low, high), log=True),
        yAxis=axis(up, find_ends(heights, log=True), log=True),
    )


def area_chart(cost: Cost) -> Option:
    """The areas of the machine's parts as a treemap, in mm2.

    Areas of tiles are areas of silicon, as no axis could show them; it is no floorplan, so where a
    tile lies means nothing. Parts without area (a DRAM is another chip) have no tile.
    """
    total = cost.area.mid
    areas = {name: band for name, band in cost.areas_um2.items() if band.mid > 0}
    tints = choose_tints(areas)
    tiles = []
    for name, area in areas.items():
        size = f"{name}\n{area.mid * 1e-6:.3g} mm2\n{area.mid / total:.1%}"
        band = f"\n{area.low * 1e-6:.3g} to {area.high * 1e-6:.3g} mm2"
        tiles.append(
            {
                "name": name,
                "value": area.mid * 1e-6,
                "itemStyle": {"color": tints[name]},
                "label": {"formatter": size, "color": letters_on(tints[name]), "lineHeight": 16},
                "tooltip": {"formatter": size + band},
            }
        )
    still = {"roam": False, "nodeClick": False, "breadcrumb": {"show": False}}
    series = {"type": "treemap", "name": "area", "data": tiles, "bottom": 8, **still}
    return chart([series], legend={"show": False})


def letters_on(colour: str) -> str:
    """Black, or white where a colour is too dark for it (by its relative luminance).

    Weights of the primaries are those of Rec. 709; a power of 2.2 stands for sRGB's curve, which is
    close enough for a choice of two.

    Args:
        colour: `#rrggbb`.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    luminance = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "#000000" if luminance > 0.2 else "#FFFFFF"


def choose_tints(parts: Iterable[str]) -> dict[str, str]:
    """Colours of the parts of a cost: a component's own; others, such as memories, by turns.

    A component looks the same in every chart; the colour of a memory depends on its place among the
    parts, so hand over the parts in one order where two charts are to be compared.
    """
    own = {text: COLOURS[component] for component, text in COMPONENTS.items()}
    turns = itertools.cycle((INDIGO, BRICK, SAND, *SERIES))
    return {part: own.get(part) or next(turns) for part in dict.fromkeys(parts)}


def curves_chart(frame: pd.DataFrame, title: str, *, tall: bool = False) -> Option:
    """Errors over the epochs, a line a training or split.

    Args:
        frame: `epoch`, `error` in percent and `curve`, a row an epoch.
        title: of the axis of errors.
        tall: names of curves are long: one below the other.
    """
    curves = list(dict.fromkeys(frame["curve"]))
    dots = bool(frame["epoch"].max() < 40)
    series = [
        line(
            name,
            frame.loc[frame["curve"] == name, ["epoch", "error"]].reset_index(drop=True),
            "epoch",
            "error",
            tint,
            dots=dots,
        )
        for name, tint in zip(curves, SERIES, strict=False)
    ]
    rows = len(curves) if tall else 1
    return chart(
        series,
        legend={"bottom": 0, "orient": "vertical" if tall else "horizontal", "left": "center"},
        grid={"top": 16, "bottom": 20 + 22 * rows, "left": 4, "right": 24},
        xAxis=axis("epoch") | {"minInterval": 1},
        yAxis=axis(title) | {"min": 0},
    )


def network_diagram(point: DesignPoint, outputs: int) -> str:
    """The network in Graphviz' language: a box a block, an arc a skip; ternary ones coloured.

    A skip leads from the input of its block to its output and is drawn as a second, dashed edge
    into the block; `constraint=false` keeps it from having a say in where boxes are placed.

    Args:
        point: the network.
        outputs: classes of its head.
    """
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
            mark = f', color="{TERNARY}"' if kind == "ternary" else ""
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
    mark = f', color="{TERNARY}", penwidth=2' if ternary else ""
    return f'{block.name} [label="{text}"{mark}];'


def shares(cost: Cost) -> list[tuple[str, float]]:
    """Parts of the energy, largest first: name and share of the whole, between 0 and 1."""
    frame = energy_frame(cost).groupby("part")["energy_nj"].sum().sort_values(ascending=False)
    total = float(frame.sum())
    return [(str(part), float(nj) / total) for part, nj in frame.items() if not math.isclose(nj, 0)]
