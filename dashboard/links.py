"""Choices kept in the address by their own values: a link opens the same view elsewhere.

Streamlit's `bind` writes what is shown, which changes with the words; keys and columns do not. What
an address asks for and there is not is ignored.
"""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

MOST_CHARACTERS = 2_000


def choose_one(
    place: Any,
    title: str,
    options: Sequence[str],
    key: str,
    *,
    index: int = 0,
    format_func: Callable[[str], str] = str,
) -> str:
    """One of the options: the address's, or else that at `index`.

    Args:
        place: that draws the widget: `st`, or a column of it.
        title: of the widget.
        options: keys, not words: a key stands in the address and must mean the same tomorrow.
        key: of the widget, and of the parameter in the address.
        index: of the option that is chosen where the address says nothing.
        format_func: key -> words.
    """
    asked = st.query_params.get(key, "")[:MOST_CHARACTERS]
    first = list(options).index(asked) if asked in options else index
    value = place.selectbox(title, options, index=first, key=key, format_func=format_func)
    st.query_params[key] = value
    return str(value)


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
    """Some of the options: the address's, separated by commas, or else the default ones.

    Args:
        place: that draws the widget: `st`, or a column of it.
        title: of the widget.
        options: keys, which may hold no comma.
        key: of the widget, and of the parameter in the address.
        default: those of the options that are chosen where the address names none.
        most: that can be chosen; of an address with more, the first.
        format_func: key -> words.
    """
    asked = st.query_params.get(key, "")[:MOST_CHARACTERS].split(",")
    known = [each for each in dict.fromkeys(asked) if each in options][:most]
    values = place.multiselect(
        title,
        options,
        default=known or [each for each in default if each in options],
        key=key,
        format_func=format_func,
        max_selections=most,
    )
    if values:
        st.query_params[key] = ",".join(values)
    elif key in st.query_params:
        del st.query_params[key]
    return [str(value) for value in values]
