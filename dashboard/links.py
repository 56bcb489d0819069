"""Addresses hold what is chosen, by its own value: a link opens the same view elsewhere.

Three rules, each of which a page that breaks it pays for with a lost or a wrong view:

- An address is read once a visit: when a page is opened, reloaded, or come back to. From then on
  the widgets are right, and the address follows them. A browser sends the address along with every
  click, but an old one where two clicks follow each other quickly; whoever went by it would undo
  the first of them.
- What an address asks for and there is not is said, and stays in the address until something else
  is chosen: another design than the one that was sent is a wrong answer, not a default.
- Only what differs from the default is written, and only when it changes. Each write is an entry in
  the browser's history, and one that repeats old values undoes what a slider wrote meanwhile.

Streamlit's own `bind` serves numbers, toggles and sliders. It writes what is shown, so choices with
words of their own are kept here, by key. A parameter that is bound may not be written, nor may
`st.switch_page` clear it: hence `go`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboard.texts import plain

MOST_CHARACTERS = 2_000
NOTHING = "none"
"""What an address says where none of several is chosen, and the default is some."""
BETWEEN = "~"
"""Of several names in an address; names of machines have commas in them."""
CARRIED = ("shortlist",)
"""Parameters that go with the reader from page to page."""
VISIT, PAGE, ADDRESSES = "links.visit", "links.page", "links.addresses"
"""In the session: number of the visit, the page that is visited, and how each page was left."""


def begin(page: str) -> None:
    """Note whether this run is the first of a visit; before anything is chosen.

    Args:
        page: that is drawn.
    """
    if came_back() or st.session_state.get(PAGE) != page:
        st.session_state[VISIT] = st.session_state.get(VISIT, 0) + 1
        st.session_state[PAGE] = page


def came_back() -> bool:
    """Whether this run is of the browser's Back or Forward."""
    return bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


def end(page: str) -> None:
    """Note how a page was left, so that a way back to it leads to the same view."""
    st.session_state.setdefault(ADDRESSES, {})[page] = dict(st.query_params.to_dict())


def address_of(page: str) -> dict[str, str]:
    """Parameters of a way to a page: as it was left, if that was of the same study.

    A way to the page that is open leads to its beginning.
    """
    study = str(st.session_state.get("study") or "")
    left: dict[str, str] = st.session_state.get(ADDRESSES, {}).get(page, {})
    if st.session_state.get(PAGE) == page or left.get("study") != study:
        left = {}
    left = {key: value for key, value in left.items() if key not in CARRIED}
    return left | carried() | ({"study": study} if study else {})


def carried() -> dict[str, str]:
    """What goes with the reader: with it in each way to a page, none is written on arrival.

    What is written on arrival is one more entry of the browser's history, and Back would lead to
    the one before it, which is the same page, for ever.
    """
    return {key: value for key in CARRIED if (value := st.query_params.get(key, ""))}


def go(page: str, **query: str) -> None:
    """Open a page of this study, or of the one that is named.

    `st.switch_page` alone would clear the address, which is refused where a widget is bound to it.

    Args:
        page: name of a file in `dashboard/views`.
        query: parameters; `study` is the present one where it is not among them.
    """
    study = query.get("study") or st.session_state.get("study")
    with_list = carried() if study == st.session_state.get("study") else {}
    asked = with_list | ({"study": str(study)} if study else {}) | query
    st.switch_page(f"views/{page}.py", query_params=asked)


def go_on(page: StreamlitPage) -> None:
    """Open a page with all that the address asks for: it was asked for by another name."""
    st.switch_page(page, query_params=dict(st.query_params.to_dict()))


def asked_for(key: str, most: int = MOST_CHARACTERS) -> str | None:
    """What the address asks for; None in all runs of a visit but the first that asks.

    Args:
        key: of the parameter, and of the widget.
        most: characters that are read of it.
    """
    visit = st.session_state.get(VISIT, 0)
    if key in st.session_state and st.session_state.get(f"{key}.visit") == visit:
        return None
    st.session_state[f"{key}.visit"] = visit
    return st.query_params.get(key, "")[:most]


def keep(key: str, value: str, default: str = "") -> None:
    """Have the address say what is chosen; nothing where that is the default.

    It is compared with what was written last, too: the address that came with this run may be older
    than that.
    """
    wanted = "" if value == default else value
    there = st.query_params.get(key, "")
    if there == wanted == st.session_state.get(f"{key}.kept", wanted):
        return
    st.session_state[f"{key}.kept"] = wanted
    if wanted:
        st.query_params[key] = wanted
    elif there:
        del st.query_params[key]


def choose_one(
    place: Any,
    title: str,
    options: Sequence[str],
    key: str,
    *,
    index: int = 0,
    format_func: Callable[[str], str] = str,
    always: bool = False,
    help: str | None = None,
) -> str:
    """One of the options: the address's, or else that at `index`.

    Args:
        place: that draws the widget: `st`, or a column of it.
        title: of the widget.
        options: keys, not words: a key stands in the address and must mean the same tomorrow.
        key: of the widget, and of the parameter in the address.
        index: of the option that is chosen where the address says nothing.
        format_func: key -> words.
        always: the address names the default, too, where that is another one tomorrow.
        help: of the widget.
    """
    default, asked = options[index], asked_for(key)
    if asked is not None:
        st.session_state[key] = asked if asked in options else default
        _note_missing(key, [asked] if asked and asked not in options else [])
    elif st.session_state[key] not in options:
        st.session_state[key] = default
    value = str(place.selectbox(title, options, key=key, format_func=format_func, help=help))
    if not _say_missing(place, key, value):
        keep(key, value, "" if always else default)
    return value


def choose_many(
    place: Any,
    title: str,
    options: Sequence[str],
    key: str,
    *,
    default: Sequence[str],
    most: int,
    format_func: Callable[[str], str] = str,
) -> list[str]:
    """Some of the options: the address's, separated by `~`, or else the default ones.

    Args:
        place: that draws the widget: `st`, or a column of it.
        title: of the widget.
        options: keys, which may hold commas (machines do), but no `~`.
        key: of the widget, and of the parameter in the address.
        default: those of the options that are chosen where the address names none.
        most: that can be chosen; of an address with more, the first.
        format_func: key -> words.
    """
    usual, asked = [each for each in default if each in options], asked_for(key)
    if asked is not None:
        names = list(dict.fromkeys(name for name in _split(asked, options) if name))
        known = [name for name in names if name in options]
        st.session_state[key] = known[:most] or ([] if asked == NOTHING else usual)
        unknown = [name for name in names if name not in (*known, NOTHING)]
        _note_missing(key, [*unknown, *known[most:]])
    else:
        st.session_state[key] = [each for each in st.session_state[key] if each in options]
    values = place.multiselect(
        title, options, key=key, format_func=format_func, max_selections=most
    )
    chosen = BETWEEN.join(str(value) for value in values)
    if not _say_missing(place, key, chosen):
        keep(key, chosen or NOTHING, BETWEEN.join(usual) or NOTHING)
    return [str(value) for value in values]


def _split(asked: str, options: Sequence[str]) -> list[str]:
    """Names of an address; those of before were separated by commas."""
    return asked.split(BETWEEN if BETWEEN in asked or asked in options else ",")


def _note_missing(key: str, names: list[str]) -> None:
    if names:
        st.session_state[f"{key}.missing"] = (names, None)
    else:
        st.session_state.pop(f"{key}.missing", None)


def _say_missing(place: Any, key: str, value: str) -> bool:
    """Say what the address asked for in vain, until something else is chosen; whether it was said.

    Args:
        place: below the widget.
        key: of the parameter.
        value: that is chosen now: at first what there is instead of what was asked for.
    """
    names, instead = st.session_state.get(f"{key}.missing", ([], None))
    if not names or instead not in (None, value):
        st.session_state.pop(f"{key}.missing", None)
        return False
    st.session_state[f"{key}.missing"] = (names, value)
    place.warning(
        f"The link asks for {plain(', '.join(names))}, which is not to be had here. Shown instead "
        "is what the list has first: choose from it."
    )
    return True
