"""Figures of generators' statistics: measurements in, matplotlib figures out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from dse.colours import QUIET, SERIES, TRITS
from dse.ternary.generators import Generator, find_family
from dse.ternary.matrix import start_state
from dse.ternary.quality import FLAG, STATISTICS, Quality


def deviations_figure(qualities: Sequence[Quality]) -> Figure:
    """A row a generator and density, a column a statistic: standard deviations from the ideal."""
    numbers = np.array([[each.deviation for each in quality.statistics] for quality in qualities])
    figure = Figure(figsize=(9, 1.8 + 0.2 * len(qualities)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        np.clip(numbers, -3 * FLAG, 3 * FLAG),
        cmap="RdBu_r",
        aspect="auto",
        vmin=-3 * FLAG,
        vmax=3 * FLAG,
    )
    for row, column in zip(*np.nonzero(np.abs(numbers) > FLAG), strict=True):
        value = numbers[row, column]
        far = abs(value) > 2 * FLAG
        axes.text(
            column,
            row,
            f"{value:+.0f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if far else "black",
        )
    axes.set_xticks(range(len(STATISTICS)), list(STATISTICS), rotation=35, ha="right", fontsize=8)
    labels = [f"{quality.generator.label}  d = {quality.density:g}" for quality in qualities]
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    for row in range(1, len(qualities)):
        if qualities[row].generator != qualities[row - 1].generator:
            axes.axhline(row - 0.5, color="black", linewidth=0.8)
    figure.colorbar(
        image,
        ax=axes,
        shrink=0.6,
        label=f"standard deviations from ideal matrices (numbers: beyond {FLAG:g})",
    )
    size, matrices = qualities[0].size, qualities[0].matrices
    axes.set_title(f"{matrices} matrices of {size} x {size} for each row", fontsize=10)
    return figure


def statistics_figure(qualities: Sequence[Quality]) -> Figure:
    """A panel a statistic: measured values over density, beside the ideal."""
    names = list(STATISTICS)
    figure = Figure(figsize=(10, 13), layout="constrained")
    panels = figure.subplots(-(-len(names) // 2), 2, sharex=True).ravel()
    generators = list(dict.fromkeys(quality.generator for quality in qualities))
    for axes, name in zip(panels, names, strict=False):
        for number, generator in enumerate(generators):
            own = sorted(
                (quality for quality in qualities if quality.generator == generator),
                key=lambda quality: quality.density,
            )
            x = [quality.density for quality in own]
            # A density error would not be seen on a line from 1/32 to 1/2.
            scale = [1 / quality.density if name == "density" else 1 for quality in own]
            colour = SERIES[number % len(SERIES)]
            style = "--" if generator.override else "-"
            measured = [quality[name].measured * by for quality, by in zip(own, scale, strict=True)]
            ideal = [quality[name].ideal * by for quality, by in zip(own, scale, strict=True)]
            axes.plot(x, measured, style, marker=".", color=colour, label=generator.label)
            axes.plot(
                x, ideal, ":", color=QUIET, linewidth=1, label="ideal" if number == 0 else None
            )
        axes.set_xscale("log", base=2)
        axes.set_title("density, measured / asked for" if name == "density" else name, fontsize=9)
        axes.grid(True, alpha=0.25)
        top = axes.get_ylim()[1]
        if top > 20 * max(q[name].ideal for q in qualities) > 0:
            axes.set_yscale("log")
        if axes in panels[-2:]:
            axes.set_xlabel("density")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def matrices_figure(generators: Sequence[Generator], density: float, size: int = 64) -> Figure:
    """A matrix of each generator: by `dse.colours.TRITS`."""
    columns = min(len(generators), 3)
    rows = -(-len(generators) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.4 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    colours = ListedColormap([TRITS[trit] for trit in (-1, 0, 1)])
    for axes, generator in zip(panels, generators, strict=False):
        state = start_state(1, "quality", generator)
        matrix = find_family(generator).matrix(generator, density, state, size, size)
        axes.imshow(matrix, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(generator.label, fontsize=8)
        axes.set_xticks([])
        axes.set_yticks([])
    for axes in panels[len(generators) :]:
        axes.set_visible(False)
    figure.suptitle(
        f"{size} x {size} matrices, density {density:g}: outputs down, inputs across; "
        "vermilion +1, blue -1",
        fontsize=9,
    )
    return figure
