"""What a network of sentences writes down: beside what was said, with its edits."""

import csv
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.studies import StudyFrame
from dashboard.texts import plain, sentence
from dse.columns import percent_text, signed
from dse.errors import InvalidFile, InvalidInput, printable
from dse.studies.intervals import clips_worth, error_band
from dse.studies.mistakes import read_mistakes
from dse.studies.paired import paired_band
from dse.studies.rows import Evaluation
from dse.training.best_scores import FILE_NAME, SPLIT
from dse.training.best_sentences import HYPOTHESES, BestSentences, Heard

MEASURES = {"cer": "characters", "wer": "words"}
SHOWN = 500
"""Utterances of the table at most, the worst first."""


def draw_heard(study: StudyFrame, row: Evaluation, best: BestSentences) -> None:
    """The panel of a design: rates with their intervals, kinds of edits, and texts side by side.

    Args:
        study: that the design is of.
        row: of the design, trained in full or in part.
        best: what `evaluation.json` of its folder says.
    """
    folder = study.of.find_folder(row)
    _rates(folder, best)
    st.dataframe(_edits_table(best), hide_index=True, key="edits")
    try:
        texts = read_texts(folder, best)
    except InvalidInput as error:
        st.error(sentence(error))
        return
    st.dataframe(texts.head(SHOWN), hide_index=True, key="texts")
    shown = min(SHOWN, len(texts))
    st.caption(
        f"{shown:,} of {len(texts):,} utterances of the {SPLIT} split, most edits a unit first, as "
        f"the network of epoch {best.epoch} writes them down, without a language model. Edits are "
        f"of {MEASURES[best.measure]}."
    )


def _rates(folder: Path, best: BestSentences) -> None:
    """The rate that the study minimises, in both forms, and what quantisation costs."""
    cells = st.columns(3)
    told = {whole: read_mistakes(folder, whole=whole) for whole in (False, True)}
    for cell, whole in ((cells[0], False), (cells[1], True)):
        name = f"{best.measure.upper()} in {'whole numbers' if whole else 'float'}"
        mistakes = told[whole]
        if mistakes is None:
            cell.metric(name, "-")
            if whole:
                cell.caption(plain(best.reason or "it was not evaluated"))
            continue
        rate = min(1.0, float(mistakes.rates[0]))
        band = error_band(rate, clips_worth(mistakes.counts[0], mistakes.units))
        cell.metric(name, f"{percent_text(band.mid)} %")
        cell.caption(f"{percent_text(band.low)} to {percent_text(band.high)} %")
    floats, whole_numbers = told[False], told[True]
    if floats is None or whole_numbers is None:
        cells[2].metric("whole numbers minus float", "-")
        return
    difference = paired_band(whole_numbers, floats)
    cells[2].metric("whole numbers minus float", f"{signed(difference.mid)} points")
    sure = difference.low > 0 or difference.high < 0
    cells[2].caption(
        f"{signed(difference.low)} to {signed(difference.high)} points: "
        + ("they differ" if sure else "these utterances do not tell them apart")
    )


def _edits_table(best: BestSentences) -> pd.DataFrame:
    """A line for characters and words of each form: kinds of edits, and the rate."""
    lines = []
    for form, heard in (("float", best.floats), ("whole numbers", best.int8)):
        if heard is not None:
            lines += [_edits_line(form, unit, heard) for unit in MEASURES.values()]
    return pd.DataFrame(lines)


def _edits_line(form: str, unit: str, heard: Heard) -> dict[str, object]:
    edits = heard.characters if unit == "characters" else heard.words
    return {
        "in": form,
        "of": unit,
        "said": edits.units,
        "substitutions": edits.substitutions,
        "insertions": edits.insertions,
        "deletions": edits.deletions,
        "rate (%)": percent_text(100 * edits.rate),
    }


def read_texts(folder: Path, best: BestSentences) -> pd.DataFrame:
    """Utterances with what was said and written down, most edits a unit first.

    Raises:
        InvalidFile: there is no such file, a column is missing, or it has another number of
            utterances than the record.
    """
    path = folder / HYPOTHESES
    wanted = {"reference": "said", "hypothesis": "written down"}
    if best.int8_edits:
        wanted["int8_hypothesis"] = "in whole numbers"
    wanted["name"] = "recording"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        texts = {new: [str(line[old]) for line in lines] for old, new in wanted.items()}
        if len(lines) != len(best.units):
            raise ValueError(f"{len(lines)} utterances, where {FILE_NAME} has {len(best.units)}")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InvalidFile(
            f"{path} cannot be read ({printable(str(error))[:200]}): train the design anew"
        ) from None
    frame = pd.DataFrame(texts)
    frame.insert(2, "edits", best.edits)
    frame.insert(3, "of", best.units)
    if best.int8_edits:
        frame.insert(5, "its edits", best.int8_edits)
    worst = (frame["edits"] / frame["of"].clip(lower=1)).sort_values(ascending=False, kind="stable")
    return frame.loc[worst.index]
