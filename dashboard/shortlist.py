"""The shortlist: the few designs that a decision is between.

Every plot, table and page feeds it; it is ringed in every plot, stands in the address, and is what
Compare, Report and the exports begin with. A study has its own: keys of one mean nothing in
another.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
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


def toggle_button(study: StudyFrame, design: str, key: str) -> bool:
    """A button that puts a design on the shortlist, or takes it off; whether it was pressed.

    In a fragment, whoever draws it runs the whole page anew then: the address is the page's.
    """
    there = shortlist(study)
    on = design in there
    changed = [each for each in there if each != design] if on else [*there, design]
    return st.button(
        "Off the shortlist" if on else "Shortlist",
        icon=":material/star:",
        key=key,
        on_click=set_shortlist,
        args=(study, changed),
        disabled=not on and len(there) >= MOST,
        help=f"at most {MOST}" if len(there) >= MOST else None,
    )


def list_button(study: StudyFrame, designs: Sequence[str], key: str, what: str = "") -> bool:
    """A button that puts designs on the shortlist, as those that are selected in a table.

    Args:
        study: that they are of.
        designs: of the column `design`; without any, there is no button.
        key: of the button.
        what: is put on it: `those that enter`; else how many they are.

    Returns:
        Whether it was pressed.
    """
    there = shortlist(study)
    new = [each for each in dict.fromkeys(designs) if each not in there]
    if not new:
        return False
    words = what or ("it" if len(new) == 1 else f"these {len(new)}")
    return st.button(
        f"Shortlist {words}",
        key=key,
        icon=":material/star:",
        on_click=set_shortlist,
        args=(study, [*there, *new]),
        disabled=len(there) >= MOST,
        help=f"at most {MOST}" if len(there) + len(new) > MOST else None,
    )


def selected_rows(event: Any, designs: "pd.Series[Any]") -> list[str]:
    """Designs of the rows that are selected in a table.

    Args:
        event: what `st.dataframe` returns; places in it may be of the table before.
        designs: of the column `design`, in the order of the table that was drawn.
    """
    places = event.selection["rows"] if event else []
    return [str(designs.iloc[place]) for place in places if place < len(designs)]
