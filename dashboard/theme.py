"""Colours that all can tell apart, for light and dark pages."""

import streamlit as st

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PINK, YELLOW = "#E69F00", "#56B4E9", "#CC79A7", "#F0E442"
GREY = "#999999"
PALETTE = [BLUE, ORANGE, GREEN, VERMILION, SKY, PINK, "#8C8C8C", YELLOW, "#5D3A9B", "#A6761D"]

KINDS = ("dense", "with ternary matrices")
COLOUR_OF_KIND = dict(zip(KINDS, (BLUE, VERMILION), strict=True))
SHAPES = ["circle", "triangle-up", "square", "diamond", "cross", "triangle-down", "stroke"]

STATUS_HELP = {
    "trained": "within the limits, trained",
    "stopped": "trained for fewer epochs: others were better by then",
    "reused": "trained by another study",
    "infeasible": "over a limit: priced, not trained",
    "duplicate": "trained before under another number",
    "invalid": "no such network, or the machine cannot execute it",
    "failed": "training gave no number",
}
"""Statuses of today; a page shows others as they are called."""


def dark() -> bool:
    """Whether the reader looks at a dark page."""
    return st.context.theme.type == "dark"


def ink() -> str:
    """Colour of lines and letters in drawings that Streamlit does not colour."""
    return "#FAFAFA" if dark() else "#31333F"
