"""What a network takes for what: confusions in float and in int8, side by side, and in words."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.studies import Study
from dashboard.texts import plain
from dashboard.theme import BLUE, VERMILION
from dse.errors import InvalidInput
from dse.results import Evaluation
from dse.scored import Scored, error_interval, read_scored
from dse.scores import Scores
from dse.study_designs import design_folder

MOST_NUMBERED = 16  # classes; the cells of more are too small for numbers
WORST = 6  # mistakes in words
MISTAKES, RIGHT = "mistakes", "right"


def draw_mistakes(study: Study, row: Evaluation) -> None:
    """The panel of a design."""
    try:
        scored = read_scored(design_folder(study.record, row.key))
    except InvalidInput as error:
        st.error(plain(error))
        return
    if scored is None:
        st.info(
            "Nothing says which words this design takes for which: its training kept no "
            "`evaluation.json`, as older versions did not. Train it anew to get one:"
        )
        st.code(f"dse train {study.record.folder.name}/designs/{row.key}/design.yaml "
                "--data FOLDER --out NEW_FOLDER", language="sh")  # fmt: skip
        return
    _numbers(scored)
    forms = [("float", scored.floats), ("int8", scored.int8)]
    for cell, (form, scores) in zip(st.columns(2, gap="medium"), forms, strict=True):
        with cell:
            st.subheader({"float": "In float", "int8": "In int8"}[form], anchor=False)
            if scores is None:
                st.info("No int8 figures: " + plain(scored.reason or "it was not evaluated") + ".")
                continue
            chart = confusion_chart(scored, scores)
            st.altair_chart(chart, key=f"confusion_{form}", alt=f"Confusion matrix, {form}")
            worst = scored.confusions(scores, WORST)
            lines = [f"{true} is taken for {told}: {clips} of {all_} clips ({clips / all_:.0%})"
                     for true, told, clips, all_ in worst]  # fmt: skip
            st.text("\n".join(lines) or "No clip is told wrongly.")
    st.caption(
        f"Rows are what was said, columns what the network told, of {scored.floats.clips:,} clips "
        f"of the {plain(scored.split)} split; colours are shares of a row."
    )


def _numbers(scored: Scored) -> None:
    cells = st.columns(3)
    for cell, form, scores in (
        (cells[0], "float", scored.floats),
        (cells[1], "int8", scored.int8),
    ):
        if scores is None:
            cell.metric(f"error in {form}", "-")
            continue
        band = error_interval(scores)
        cell.metric(f"error in {form}", f"{band.mid:.1f} %",
                    help=f"{scores.errors:,} of {scores.clips:,} clips")  # fmt: skip
        cell.caption(f"{band.low:.1f} to {band.high:.1f} %")
    difference = scored.difference
    if difference is None:
        cells[2].metric("int8 less float", "-")
        return
    cells[2].metric(
        "int8 less float", f"{difference.mid:+.1f} points",
        help="As if both had been told different clips: rather too wide an interval.",
    )  # fmt: skip
    sure = difference.low > 0 or difference.high < 0
    cells[2].caption(
        f"{difference.low:+.1f} to {difference.high:+.1f} points: "
        + ("they differ" if sure else "these clips do not tell them apart")
    )


def confusion_chart(scored: Scored, scores: Scores) -> Any:
    """A square for each pair of classes: right ones blue, mistakes vermilion, by share of a row."""
    rows = []
    for true, name in enumerate(scored.labels):
        spoken = int(scores.confusion[true].sum())
        for told, other in enumerate(scored.labels):
            clips = int(scores.confusion[true, told])
            share = clips / spoken if spoken else 0.0
            rows.append({
                "said": name, "told": other, "clips": clips, "share": share,
                "kind": RIGHT if true == told else MISTAKES,
                # A mistake of a tenth is as loud as a right share of all.
                "loud": 0.0 if not clips else 0.08 + 0.92 * (
                    share if true == told else min(1.0, (share / 0.5) ** 0.5)
                ),
                "text": str(clips) if clips else "",
            })  # fmt: skip
    many = len(scored.labels) > MOST_NUMBERED
    order = list(scored.labels)
    axis = {"labelLimit": 110, "labelOverlap": False, "ticks": False, "domain": False}
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("told:N", sort=order, title="told",
                axis=alt.Axis(orient="top", labelAngle=-90 if len(order) > 6 else 0, **axis)),
        y=alt.Y("said:N", sort=order, title="said", axis=alt.Axis(**axis)),
        tooltip=["said:N", "told:N", "clips:Q", alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    squares = base.mark_rect(stroke="#8884", strokeWidth=0.5).encode(
        color=alt.Color("kind:N", title=None, legend=alt.Legend(orient="bottom"),
                        scale=alt.Scale(domain=[RIGHT, MISTAKES], range=[BLUE, VERMILION])),
        opacity=alt.Opacity("loud:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0, 1])),
    )  # fmt: skip
    height = max(220, min(560, 120 + 26 * len(order)))
    if many:
        return squares.properties(height=height)
    numbers = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.loud > 0.6", alt.value("#FFFFFF"), alt.value("#777777")),
    )
    return alt.layer(squares, numbers).properties(height=height)
