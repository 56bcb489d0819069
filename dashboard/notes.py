"""Notes and tags of designs, as pages show and take them; they are kept with the study."""

from collections.abc import Iterable

import streamlit as st

from dashboard.session import settings
from dashboard.studies import StudyFrame
from dashboard.texts import plain, sentence
from dse.errors import InvalidInput
from dse.studies.notes import LONGEST, Note, read_notes, tags_of, write_note

SAID = "notes.said"
"""In the session: why a note was not written."""


def notes_of(study: StudyFrame) -> dict[str, Note]:
    """Key -> note of a study; none of a file that is damaged, which the page of a design says."""
    try:
        return read_notes(study.of.folder)
    except (InvalidInput, OSError):
        return {}


def note_columns(study: StudyFrame, keys: Iterable[str]) -> dict[str, list[str]]:
    """Columns `tags` and `note` of a table of designs; none of them where nobody wrote any.

    Args:
        study: that the designs are of.
        keys: of the rows of the table.
    """
    notes = notes_of(study)
    found = [notes.get(str(key), Note()) for key in keys]
    if not any(each.text or each.tags for each in found):
        return {}
    return {
        "tags": [", ".join(each.tags) for each in found],
        "note": [each.text for each in found],
    }


def draw_note(study: StudyFrame, key: str) -> None:
    """The note of a design, and what changes it.

    Args:
        study: that the design is of; its folder is written to.
        key: of the design, on whatever machine.
    """
    try:
        note = read_notes(study.of.folder).get(key, Note())
    except (InvalidInput, OSError) as error:
        st.error(sentence(error))
        return
    tags = ", ".join(note.tags)
    title = f"Note: {plain(tags or note.text)}" if tags or note.text else "Add a note or tags"
    with st.expander(title, icon=":material/sticky_note_2:"):
        if note.text:
            st.text(note.text)
        if settings().read_only:
            return
        with st.form(f"note.{key}", border=False):
            st.text_area("Note", note.text, max_chars=LONGEST, key=f"note.{key}.text")
            st.text_input("Tags, separated by commas", tags, key=f"note.{key}.tags")
            st.form_submit_button("Keep with the study", on_click=_write, args=(study, key))
        said = st.session_state.pop(SAID, "")
        if said:
            st.error(sentence(said))
        if note.written_at:
            st.caption(plain(f"Written {note.written_at}."))


def _write(study: StudyFrame, key: str) -> None:
    if settings().read_only:  # widgets are no boundary
        return
    text = str(st.session_state[f"note.{key}.text"])
    try:
        write_note(study.of.folder, key, text, tags_of(st.session_state[f"note.{key}.tags"]))
    except InvalidInput as error:
        st.session_state[SAID] = str(error)
