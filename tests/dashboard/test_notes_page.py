"""Notes on designs are written from their page, kept with the study, and shown with it."""

from pathlib import Path

from dse.studies.notes import FILE_NAME, read_notes
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
    app = open_page("design", study.parent, "--read-only", design=key)
    assert not app.text_area and "for the review" in texts(app)
    (study / FILE_NAME).write_text("{\n")
    app = open_page("design", study.parent, design=key)
    assert "not a note of a design" in app.error[0].value and len(app.metric) == 6
    assert "tags" not in open_page("studies", study.parent).dataframe[1].value
