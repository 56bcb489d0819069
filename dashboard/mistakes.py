"""What a network takes for what: in floats and in whole numbers, side by side, and in words."""

import shlex

import numpy as np
import streamlit as st

from dashboard.charts import Option, chart, ink, names
from dashboard.heard import draw_heard
from dashboard.studies import StudyFrame
from dashboard.texts import error_name, plain, sentence
from dse.colours import BLUE, VERMILION
from dse.columns import percent_text, share_words, signed
from dse.errors import InvalidInput
from dse.studies.rows import Evaluation
from dse.studies.scored import (
    error_interval,
    int8_less_float,
    is_paired,
    score_confusion,
    worst_confusions,
)
from dse.training.best_scores import SPLIT, BestScores, Confusion, read_best_scores
from dse.training.best_sentences import read_best_sentences
from dse.training.wake_scores import WakeScores

MOST_NUMBERED = 16  # classes; the cells of more are too small for numbers
WORST = 6  # mistakes in words
MISTAKES, RIGHT = "mistakes", "right"
SAID, TOLD = "spoken", "recognised as"


def draw_mistakes(study: StudyFrame, row: Evaluation) -> None:
    """The panel of a design: errors and confusion matrices in both forms, the worst pairs.

    Args:
        study: that the design is of; its folder must hold the design's `evaluation.json`.
        row: of the design, trained in full or in part.
    """
    folder = study.of.find_folder(row)
    try:
        best, heard = read_best_scores(folder), read_best_sentences(folder)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    if heard is not None:
        draw_heard(study, row, heard)
        return
    if best is None:
        st.info(
            "Nothing says which words this design takes for which: its training kept no "
            "`evaluation.json`, as older versions did not. Train it anew to get one:"
        )
        design = shlex.quote(f"{study.of.folder.name}/designs/{row.key}/design.yaml")
        st.code(f"dse train {design} --data FOLDER --out NEW_FOLDER", language="sh")
        return
    if best.wake is not None:
        st.text(wake_words(best.wake))
    _numbers(best)
    forms = [("float", best.floats), ("whole numbers", best.int8)]
    for cell, (form, confusion) in zip(st.columns(2, gap="medium"), forms, strict=True):
        with cell:
            st.markdown(f"**In {form}**")
            if confusion is None:
                why = plain(best.reason or "it was not evaluated")
                st.info(f"No figures in whole numbers: {why}.")
                continue
            st.echarts_chart(
                confusion_chart(best.labels, confusion),
                key=f"confusion_{form.replace(' ', '_')}",
                height=max(240, min(580, 140 + 26 * len(best.labels))),
                alt=f"Confusion matrix, {form}",
            )
            worst = worst_confusions(best.labels, confusion, WORST)
            lines = [
                f"{true} is recognised as {told}: {clips} of {all_} clips "
                f"({share_words(clips / all_)})"
                for true, told, clips, all_ in worst
            ]
            st.text("\n".join(lines) or "Every clip is recognised.")
    st.caption(
        f"Rows are what was spoken, columns what the network of epoch {best.epoch} took it for, of "
        f"{int(best.floats.sum()):,} clips of the {SPLIT} split; colours are shares of a row."
    )


def wake_words(wake: WakeScores) -> str:
    """What was missed of the recording, a line a form: the error of the design."""
    forms = (("in floats", wake.floats), ("in whole numbers", wake.int8))
    lines = [
        f"In {wake.seconds / 60:.1f} minutes with {len(wake.floats.missed)} x "
        f"{', '.join(wake.words)} among {wake.others} other words, at the threshold of the fewest "
        f"misses with at most {wake.false_alarms_per_hour:g} false alarms an hour:"
    ]
    lines += [
        f"{form}: {int(spotted.missed.sum())} missed ({share_words(spotted.error)}), "
        f"{spotted.false_alarms} false alarms, threshold {spotted.threshold:.3g}"
        for form, spotted in forms
        if spotted is not None
    ]
    return "\n".join(lines)


def _numbers(best: BestScores) -> None:
    """Errors in percent with their intervals, and what quantisation costs, in points of percent.

    Both networks were told the same clips, so their errors mostly go together, and the difference
    is surer than its two errors; where it is not recorded which clips were wrong, it is made as if
    they did not, and its interval is rather too wide.
    """
    # With wake words this is of clips, which the error of the design is not.
    name = error_name() if best.wake is None else "error of clips"
    cells = st.columns(3)
    for cell, form, confusion in (
        (cells[0], "float", best.floats),
        (cells[1], "whole numbers", best.int8),
    ):
        if confusion is None:
            cell.metric(f"{name} in {form}", "-")
            continue
        band, scores = error_interval(confusion), score_confusion(confusion)
        cell.metric(
            f"{name} in {form}",
            f"{percent_text(band.mid)} %",
            help=f"{scores.errors:,} of {scores.clips:,} clips",
        )
        cell.caption(f"{percent_text(band.low)} to {percent_text(band.high)} %")
    difference = int8_less_float(best)
    if difference is None:
        cells[2].metric("whole numbers minus float", "-")
        return
    cells[2].metric(
        "whole numbers minus float",
        f"{signed(difference.mid)} points",
        help="Over the same clips (McNemar's exact test)."
        if is_paired(best)
        else "As if both had been told different clips: rather too wide an interval.",
    )
    sure = difference.low > 0 or difference.high < 0
    cells[2].caption(
        f"{signed(difference.low)} to {signed(difference.high)} points: "
        + ("they differ" if sure else "these clips do not tell them apart")
    )


def confusion_chart(labels: tuple[str, ...], confusion: Confusion) -> Option:
    """A square for each pair of classes: right ones blue, mistakes vermilion, by share of a row.

    Rows are normalised, as classes have different numbers of clips. Mistakes are darkened by the
    square root of their share, sqrt(2 s): 2 % of a row, which a linear ramp would leave white, are
    as strong as 20 % of it told right. Two series, since a series of ECharts has one ramp.

    Args:
        labels: of the classes, n of them.
        confusion: clips, shape (n, n): row what was said, column what was told. Pairs of no clip
            have no square.
    """
    squares: dict[str, list[Option]] = {RIGHT: [], MISTAKES: []}
    numbered = len(labels) <= MOST_NUMBERED
    for true, told in np.argwhere(confusion).tolist():
        clips = int(confusion[true, told])
        share = clips / int(confusion[true].sum())
        # Half of a word taken for another is as loud as all of it told right.
        loud = share if true == told else min(1.0, (2 * share) ** 0.5)
        number = {"show": numbered, "color": "#FFFFFF" if loud > 0.45 else ink()}
        values = [told, true, loud, clips, float(f"{100 * share:.3g}")]
        squares[RIGHT if true == told else MISTAKES].append({"value": values, "label": number})
    tints = {RIGHT: BLUE, MISTAKES: VERMILION}
    series = [
        {
            "type": "heatmap",
            "name": name,
            "dimensions": [TOLD, SAID, "loud", "clips", "share (%)"],
            "encode": {"x": 0, "y": 1, "value": 2, "tooltip": [0, 1, 3, 4]},
            "data": cells,
            "label": {"formatter": "{@[3]}", "textBorderWidth": 0},
            "itemStyle": {"color": tints[name], "borderColor": "#8884", "borderWidth": 0.5},
        }
        for name, cells in squares.items()
    ]
    ramps = [
        {
            "show": False,
            "seriesIndex": place,
            "dimension": 2,
            "min": 0,
            "max": 1,
            "inRange": {"color": [f"{tints[name]}14", tints[name]]},
        }
        for place, name in enumerate(squares)
    ]
    turned = {"rotate": 90 if len(labels) > 6 else 0, "hideOverlap": False}
    return chart(
        series,
        visualMap=ramps,
        grid={"top": 4, "bottom": 36, "left": 4, "right": 8},
        xAxis=names(labels, TOLD, position="top", axisLabel=turned),
        yAxis=names(labels, SAID, inverse=True),
    )
