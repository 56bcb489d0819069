"""The shortlist: the few designs that a decision is between.

Every plot, table and page feeds it; it is ringed in every plot, stands in the address, and is what
Compare, Report and the exports begin with. A study has its own: keys of one mean nothing in
another.
"""

import streamlit as st

from dashboard import links
from dashboard.selection import listed, read_listed
from dashboard.studies import StudyFrame

MOST = 12
KEY = "shortlist"


def open_shortlist(label: str) -> None:
    """Read what the address asks for, unless the reader has a list of this study already.

    A way back to a page leads to its address as it was left, with the list of then.

    Args:
        label: of the study.
    """
    lists: dict[str, list[str]] = st.session_state.setdefault(KEY, {})
    asked = links.asked_for(KEY)
    if asked and label not in lists:
        lists[label] = read_listed(asked)[:MOST]


def shortlist(study: StudyFrame) -> list[str]:
    """Its designs that are in this study, in the order in which they were chosen."""
    lists: dict[str, list[str]] = st.session_state.get(KEY, {})
    wanted = lists.get(study.label, [])
    known = set(study.frame.loc[study.frame["design"].isin(wanted), "design"]) if wanted else ()
    return [each for each in wanted if each in known]


def set_shortlist(study: StudyFrame, designs: list[str]) -> None:
    """Replace it; for the callback of a button, so that the plot already knows."""
    lists: dict[str, list[str]] = st.session_state.setdefault(KEY, {})
    lists[study.label] = list(dict.fromkeys(designs))[:MOST]


def keep_shortlist(label: str) -> None:
    """Have the address name it. Lists change in callbacks, which run before anything is drawn.

    Args:
        label: of the study.
    """
    lists: dict[str, list[str]] = st.session_state.get(KEY, {})
    links.keep(KEY, listed(lists.get(label, [])))


def toggle_button(study: StudyFrame, design: str, key: str) -> None:
    """A button that puts a design on the shortlist, or takes it off."""
    there = shortlist(study)
    on = design in there
    changed = [each for each in there if each != design] if on else [*there, design]
    st.button(
        "Off the shortlist" if on else "Shortlist",
        icon=":material/star:",
        key=key,
        on_click=set_shortlist,
        args=(study, changed),
        disabled=not on and len(there) >= MOST,
        help=f"at most {MOST}" if len(there) >= MOST else None,
    )
