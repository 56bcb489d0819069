"""Charts that no document has: roofline, areas, learning curves; the network as a diagram."""

import itertools

import pandas as pd

from cost_models import Cost
from cost_models.roofline import roofline
from dashboard.charts import Option, axis, chart, find_ends, ink, line, points
from dse.colours import SERIES, TERNARY
from dse.design.point import Block, DesignPoint
from dse.report.content import shown
from dse.report.cost_plots import find_colours

ROOF = ("layer", "array", "reached", "attainable", "limit", "peak")
"""Of `cost_models.roofline.Roof`: what is drawn, or said where a reader points."""


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
    frame = pd.DataFrame(
        [
            {name: getattr(roof, name) for name in ROOF} | {"intensity": roof.intensity[memory]}
            for roof in roofline(cost)
            if roof.reached > 0 and memory in roof.intensity
        ],
        columns=[*ROOF, "intensity"],
    )
    # Intensity counts bits read and written together, the bandwidth is that of one port: a memory
    # with separate ports moves up to twice as much, so its layers may lie above the slope.
    bandwidth = next(m for m in cost.accelerator.memories if m.name == memory)
    across, up = f"operations per bit through {memory}", "operations a cycle"
    ends = find_ends(frame["intensity"], log=True)
    low, high = ends[0] / 2, ends[1] * 2
    series, heights = [], list(frame["reached"])
    for array, tint in zip(dict.fromkeys(frame["array"]), itertools.cycle(SERIES), strict=False):
        part = frame[frame["array"] == array].reset_index(drop=True)
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
    """The areas of the machine's parts as a treemap, in µm².

    Areas of tiles are areas of silicon, as no axis could show them; it is no floorplan, so where a
    tile lies means nothing. Parts without area (a DRAM is another chip) have no tile.
    """
    total = cost.area.mid
    areas = {name: band for name, band in cost.areas_um2.items() if band.mid > 0}
    tints = find_colours(cost, areas)
    tiles = []
    for name, area in areas.items():
        size = f"{name}\n{shown(area.mid, 'count')} µm²\n{100 * area.mid / total:.1f} %"
        band = f"\n{shown(area.low, 'count')} to {shown(area.high, 'count')} µm²"
        tiles.append(
            {
                "name": name,
                "value": area.mid,
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
        for name, tint in zip(curves, itertools.cycle(SERIES), strict=False)
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
        f'input [label="features\\n{point.features}", shape=plain];',
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
    bins = f" x {block.kernel_bins}" if block.kernel_bins > 1 else ""
    kernel = f"kernel {block.kernel_size}{bins}" + (
        f", stride {block.stride}" if block.stride > 1 else ""
    )
    repeats = f"{block.repeats} x " if block.repeats > 1 else ""
    text = f"{block.name}\\n{repeats}{block.out_channels} channels\\n{kernel}\\n{mixer}"
    mark = f', color="{TERNARY}", penwidth=2' if ternary else ""
    return f'{block.name} [label="{text}"{mark}];'
