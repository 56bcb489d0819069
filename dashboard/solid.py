"""The scatter in three dimensions. Plotly is loaded for this one alone."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.studies import FULL
from dashboard.texts import label
from dashboard.theme import GREEN, GREY, PALETTE


def solid_figure(frame: pd.DataFrame, x: str, y: str, z: str, colour: str) -> Any:
    """Trained designs in three columns: the frontier large, the others small and grey.

    Args:
        frame: of `dashboard.charts.scaled_frame`.
        x: column.
        y: column.
        z: column.
        colour: column; groups of at most eight names, else the frontier stands out.
    """
    trained = frame[frame["status"].isin(FULL)].dropna(subset=[x, y, z])
    figure = go.Figure()
    front, others = trained[trained["frontier"]], trained[~trained["frontier"]]
    figure.add_trace(_trace(others, x, y, z, "dominated", GREY, 3))
    groups = front[colour].astype(str) if front[colour].nunique() <= 8 else None
    if groups is None:
        figure.add_trace(_trace(front, x, y, z, "frontier", GREEN, 6))
    else:
        for name, tint in zip(sorted(groups.unique()), PALETTE, strict=False):
            title = f"frontier, {label(colour)} {name}"
            figure.add_trace(_trace(front[groups == name], x, y, z, title, tint, 6))
    scene = {
        f"{axis}axis": {"title": {"text": label(name)}}
        for axis, name in zip("xyz", (x, y, z), strict=True)
    }
    figure.update_layout(
        scene=scene,
        height=560,
        margin={"l": 0, "r": 0, "t": 10, "b": 0},
        legend={"orientation": "h"},
    )
    return figure


def _trace(frame: pd.DataFrame, x: str, y: str, z: str, name: str, colour: str, size: int) -> Any:
    # Names stand as escaped text: Plotly reads some HTML in what hovers.
    names = frame["name"].fillna("").str.replace("<", "&lt;", regex=False)
    return go.Scatter3d(
        x=frame[x],
        y=frame[y],
        z=frame[z],
        mode="markers",
        name=name,
        text=names,
        marker={"size": size, "color": colour, "opacity": 0.9 if size > 4 else 0.35},
    )
