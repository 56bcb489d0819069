"""What a network takes for what: confusions in float and in int8, side by side, and in words."""

from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.studies import StudyFrame
from dashboard.texts import plain, sentence
from dashboard.theme import BLUE, VERMILION
from dse.errors import InvalidInput
from dse.studies.rows import Evaluation
from dse.studies.scored import error_interval, int8_less_float, scores_of, worst_confusions
from dse.training.best_scores import SPLIT, BestScores, Confusion, read_best_scores

MOST_NUMBERED = 16  # classes; the cells of more are too small for numbers
WORST = 6  # mistakes in words
MISTAKES, RIGHT = "mistakes", "right"


def draw_mistakes(study: StudyFrame, row: Evaluation) -> None:
    """The panel of a design."""
    try:
        best = read_best_scores(study.of.folder_of(row))
    except InvalidInput as error:
        st.error(sentence(error))
        return
    if best is None:
        st.info(
            "Nothing says which words this design takes for which: its training kept no "
            "`evaluation.json`, as older versions did not. Train it anew to get one:"
        )
        st.code(
            f"dse train {study.of.folder.name}/designs/{row.key}/design.yaml "
            "--data FOLDER --out NEW_FOLDER",
            language="sh",
        )
        return
    _numbers(best)
    forms = [("float", best.floats), ("int8", best.int8)]
    for cell, (form, confusion) in zip(st.columns(2, gap="medium"), forms, strict=True):
        with cell:
            st.markdown(f"**In {form}**")
            if confusion is None:
                st.info("No int8 figures: " + plain(best.reason or "it was not evaluated") + ".")
                continue
            chart = confusion_chart(best.labels, confusion)
            st.altair_chart(chart, key=f"confusion_{form}", alt=f"Confusion matrix, {form}")
            worst = worst_confusions(best.labels, confusion, WORST)
            lines = [
                f"{true} is taken for {told}: {clips} of {all_} clips ({clips / all_:.0%})"
                for true, told, clips, all_ in worst
            ]
            st.text("\n".join(lines) or "No clip is told wrongly.")
    st.caption(
        f"Rows are what was said, columns what the network of epoch {best.epoch} told, of "
        f"{int(best.floats.sum()):,} clips of the {SPLIT} split; colours are shares of a row."
    )


def _numbers(best: BestScores) -> None:
    cells = st.columns(3)
    for cell, form, confusion in (
        (cells[0], "float", best.floats),
        (cells[1], "int8", best.int8),
    ):
        if confusion is None:
            cell.metric(f"error in {form}", "-")
            continue
        band, scores = error_interval(confusion), scores_of(confusion)
        cell.metric(
            f"error in {form}",
            f"{band.mid:.1f} %",
            help=f"{scores.errors:,} of {scores.clips:,} clips",
        )
        cell.caption(f"{band.low:.1f} to {band.high:.1f} %")
    difference = int8_less_float(best)
    if difference is None:
        cells[2].metric("int8 less float", "-")
        return
    cells[2].metric(
        "int8 less float",
        f"{difference.mid:+.1f} points",
        help="As if both had been told different clips: rather too wide an interval.",
    )
    sure = difference.low > 0 or difference.high < 0
    cells[2].caption(
        f"{round(difference.low, 1) + 0.0:+.1f} to {round(difference.high, 1) + 0.0:+.1f} points: "
        + ("they differ" if sure else "these clips do not tell them apart")
    )


def confusion_chart(labels: tuple[str, ...], confusion: Confusion) -> Any:
    """A square for each pair of classes: right ones blue, mistakes vermilion, by share of a row."""
    rows = []
    for true, name in enumerate(labels):
        spoken = int(confusion[true].sum())
        for told, other in enumerate(labels):
            clips, right = int(confusion[true, told]), true == told
            share = clips / spoken if spoken else 0.0
            # Half of a word taken for another is as loud as all of it told right.
            loud = share if right else min(1.0, (2 * share) ** 0.5)
            rows.append(
                {
                    "said": name,
                    "told": other,
                    "clips": clips,
                    "share": share,
                    "kind": RIGHT if right else MISTAKES,
                    "loud": 0.08 + 0.92 * loud if clips else 0.0,
                    "text": str(clips) if clips else "",
                }
            )
    many = len(labels) > MOST_NUMBERED
    order = list(labels)
    axis: dict[str, Any] = {
        "labelLimit": 110,
        "labelOverlap": False,
        "labelFlush": False,
        "ticks": False,
        "domain": False,
    }
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X(
            "told:N",
            sort=order,
            title="told",
            axis=alt.Axis(orient="top", labelAngle=-90 if len(order) > 6 else 0, **axis),
        ),
        y=alt.Y("said:N", sort=order, title="said", axis=alt.Axis(**axis)),
        tooltip=["said:N", "told:N", "clips:Q", alt.Tooltip("share:Q", format=".1%")],
    )
    squares = base.mark_rect(stroke="#8884", strokeWidth=0.5).encode(
        color=alt.Color(
            "kind:N",
            title=None,
            legend=alt.Legend(orient="bottom"),
            scale=alt.Scale(domain=[RIGHT, MISTAKES], range=[BLUE, VERMILION]),
        ),
        opacity=alt.Opacity("loud:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0, 1])),
    )
    height = max(220, min(560, 120 + 26 * len(order)))
    if many:
        return squares.properties(height=height)
    numbers = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition("datum.loud > 0.6", alt.value("#FFFFFF"), alt.value("#777777")),
    )
    return alt.layer(squares, numbers).properties(height=height)
