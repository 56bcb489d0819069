"""The dashboard: which design, on which machine, and why.

Run by `dse dashboard FOLDER...`; a folder is a study, or holds studies. Every page is a file in
`dashboard/views`; what is chosen stands in the address, so that a view can be sent to a colleague.
"""

from collections.abc import Mapping

import numpy as np
import streamlit as st
from PIL import Image

from dashboard import links
from dashboard.session import choose_study, settings
from dashboard.shortlist import keep_shortlist, open_shortlist
from dse.colours import BLUE, GREY, VERMILION

PAGES = {
    "Understand": (
        ("frontier", "Frontier", ":material/scatter_plot:"),
        ("design", "Design", ":material/memory:"),
        ("what_if", "What if", ":material/tune:"),
        ("compare", "Compare", ":material/compare_arrows:"),
        ("report", "Report", ":material/description:"),
    ),
    "Search": (
        ("studies", "Studies", ":material/folder_open:"),
        ("launch", "Launch", ":material/rocket_launch:"),
        ("watch", "Watch", ":material/monitoring:"),
    ),
}
FIRST = "frontier"


STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding: 2.5rem 2.2rem 3rem; max-width: 1700px}
[data-testid="stMetricValue"] {font-size: 1.6rem}
[data-testid="stText"] {white-space: pre-wrap; overflow-wrap: anywhere}
</style>"""


def main() -> None:
    """Draw the frame around the page, and the page.

    Streamlit runs this at every click, whichever page is open. The study is chosen before the page
    is run, as pages read the choice from the session. The ways to pages are drawn here, not by
    `st.navigation`, whose links forget the study and how a page was left.
    """
    st.set_page_config(page_title="ternary-dse", page_icon=_icon(), layout="wide")
    pages = {
        name: st.Page(
            f"views/{name}.py",
            title=title,
            icon=icon,
            url_path="first" if name == FIRST else name,  # its path is empty, this only a name
            default=name == FIRST,
        )
        for entries in PAGES.values()
        for name, title, icon in entries
    }
    # The first page is the one without a path; who writes its name comes to it all the same.
    by_name = st.Page(lambda: links.go_on(pages["frontier"]), title="Frontier", url_path=FIRST)
    page = st.navigation([*pages.values(), by_name], position="hidden")
    if page.url_path == FIRST:
        page.run()
    name = page.url_path or FIRST
    links.begin(name)
    st.html(STYLE)
    with st.sidebar:
        ways = st.container(gap="xxsmall")
        choose_study()
        study = str(st.session_state.get("study") or "")
        open_shortlist(study)
        keep_shortlist(study)  # before the ways, which carry it
        with ways:
            _ways(pages)
        if settings().read_only:
            st.caption("Read only: nothing is started, stopped or written.")
    try:
        page.run()
    finally:
        links.end(name)


def _ways(pages: Mapping[str, "st.Page"]) -> None:
    for group, entries in PAGES.items():
        st.caption(group)
        for name, title, icon in entries:
            to = links.address_of(name)
            st.page_link(pages[name], label=title, icon=icon, query_params=to, width="stretch")


def _icon() -> Image.Image:
    """A ternary matrix; any icon of a font would be fetched from another machine."""
    colours = {1: VERMILION, -1: BLUE, 0: GREY}
    picture = [
        [[int(colours[trit][i : i + 2], 16) for i in (1, 3, 5)] for trit in row]
        for row in ((1, 0, -1), (0, -1, 0), (-1, 1, 0))
    ]
    return Image.fromarray(np.array(picture, dtype=np.uint8)).resize(
        (48, 48), Image.Resampling.NEAREST
    )


if __name__ == "__main__":
    main()
