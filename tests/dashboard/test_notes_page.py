"""Notes on designs are written from their page, kept with the study, and shown with it."""

import functools
from pathlib import Path

import pandas as pd

from dashboard.budget import Filter
from dashboard.studies import read_study
from dashboard.views.frontier import designs_csv
from dse.studies.notes import FILE_NAME, Note, read_notes, write_note
from tests.dashboard.conftest import Opened
from tests.dashboard.test_app import AppKeys, texts


def test_a_note_is_kept_with_the_study(study: Path, open_page: Opened) -> None:
    key = AppKeys(study).key(1)
    app = open_page("design", study.parent, study="small", design=key)
    app.text_area(key=f"note.{key}.text").set_value("![x](y) for the review")
    app.text_input(key=f"note.{key}.tags").set_value("candidate, tape-out")
    next(each for each in app.button if each.label == "Keep with the study").click().run()
    assert not app.exception and not app.error
    assert read_notes(study)[key].tags == ("candidate", "tape-out")
    assert "![x](y) for the review" in [each.value for each in app.text]
    listed = open_page("studies", study.parent).dataframe[1].value.set_index("trial")
    assert listed.loc[1, "tags"] == "candidate, tape-out" and listed.loc[0, "note"] == ""
    table = open_page("frontier", study.parent).dataframe[-1].value.set_index("trial")
    assert table.loc[1, "tags"] == "candidate, tape-out" and table.loc[0, "tags"] == ""
    found = open_page("frontier", study.parent, tags="tape-out~gone")
    assert found.dataframe[-1].value["trial"].tolist() == [1]
    assert "Filter: tagged tape\\-out" in texts(found)
    assert "gone, which is not to be had" in texts(found)
    app = open_page("design", study.parent, "--read-only", design=key)
    assert not app.text_area and "for the review" in texts(app)
    (study / FILE_NAME).write_text("{\n")
    app = open_page("design", study.parent, design=key)
    assert "not a note of a design" in app.error[0].value and len(app.metric) == 6
    assert "tags" not in open_page("studies", study.parent).dataframe[1].value
    assert "tags" not in open_page("frontier", study.parent).dataframe[-1].value


def test_a_file_of_designs_has_their_notes(study: Path) -> None:
    key = AppKeys(study).key(1)
    write_note(study, key, "=1+1", ("a",))
    read = read_study("it", study)
    head, *lines = designs_csv(read, read.frame.index, ["trial", "key"]).splitlines()
    assert (
        head == "trial,key,tags,note" and lines[1] == f"1,{key},a,'=1+1" and lines[0][-2:] == ",,"
    )


def test_a_tag_and_a_word_of_a_note_find_their_designs() -> None:
    frame = pd.DataFrame({"key": ["a", "b"], "name": ["one", "two"], "source": ["search"] * 2})
    frame = frame.assign(status="trained", cost_known=True, frontier=True)
    notes = {"b": Note(text="too slow", tags=("x",)), "gone": Note(tags=("x", "y"))}
    some = functools.partial(Filter, statuses=("trained",), usual=("trained",), notes=notes)
    assert some(tags=("x",)).holds(frame).tolist() == [False, True]
    assert some(tags=("y",)).holds(frame).tolist() == [False, False]
    assert some(word="SLOW").holds(frame).tolist() == [False, True]
    assert some(word="text").holds(frame).tolist() == [False, False]  # of no field's name
    assert some(word="one").holds(frame).tolist() == [True, False]
