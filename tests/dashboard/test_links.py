"""Addresses: what they say is what is shown, and what they ask for in vain is said.

On two studies, the second with machines of its own: with one, whatever takes the first is right.
"""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import links
from tests.dashboard.conftest import Opened, write_machines, write_study
from tests.dashboard.test_app import AppKeys, texts

VIEWS = Path(__file__).parents[2] / "dashboard"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two studies, `machines` and `small`; nothing is written into it."""
    folder = tmp_path_factory.mktemp("two") / "studies"
    write_study(folder / "small")
    write_machines(folder / "machines")
    return folder


def address(app: AppTest, key: str) -> str:
    """A parameter of the address: as the test gave it, or as the page wrote it."""
    value: Any = app.query_params[key]
    return str(value if isinstance(value, str) else value[-1])


def test_another_study_is_opened_from_a_link_to_the_first(two: Path, open_page: Opened) -> None:
    app = open_page("studies", two, study="machines")
    app.selectbox(key="study").set_value("small").run()
    app.button(key="open_study").click().run()
    assert not app.exception and app.selectbox(key="study").value == "small"
    assert address(app, "study") == "small"


def test_another_study_is_cloned_and_watched_from_a_link(two: Path, open_page: Opened) -> None:
    app = open_page("studies", two, study="machines")
    app.button(key="clone_study").click().run()
    assert not app.exception and address(app, "clone") == "machines"
    app = open_page("studies", two, study="small")
    app.button(key="watch_study").click().run()
    assert not app.exception and address(app, "study") == "small"
    assert [each.key for each in app.selectbox] == ["study"]  # one choice of the study


def test_a_row_of_the_table_is_the_study_of_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.views import studies

    page = Page(monkeypatch)
    monkeypatch.setattr(studies, "all_folders", lambda: {"machines": Path(), "small": Path()})
    for rows, study in (([1], "small"), ([0], "machines"), ([7], "machines"), ([], "machines")):
        page.state["all_studies"] = {"selection": {"rows": rows}}
        studies._choose_row()
        assert page.state["study"] == study


@pytest.mark.parametrize("page", ["frontier", "watch"])
def test_a_study_that_is_not_there_is_said(two: Path, open_page: Opened, page: str) -> None:
    app = open_page(page, two, study="sm*ll")
    assert "There is no study “sm\\*ll” here" in texts(app)
    assert app.selectbox(key="study").value is None and not app.metric
    offered = [each for each in app.button if str(each.key).startswith("offered.")]
    assert [each.label for each in offered] == ["machines", "small"]
    offered[1].click().run()
    assert not app.exception and address(app, "study") == "small"


def test_a_link_to_a_design_without_its_study_opens_none(two: Path, open_page: Opened) -> None:
    key = AppKeys(two / "small").key(2)
    app = open_page("design", two, design=key)
    assert "The link names no study" in texts(app) and not app.metric
    app.button(key="offered.small").click().run()
    assert app.selectbox(key="design").value == key  # the rest of the link is kept
    # Of a link to a page alone, the first study is shown, and the address names it.
    assert address(open_page("frontier", two), "study") == "machines"


def test_a_design_that_is_not_there_is_said(two: Path, open_page: Opened) -> None:
    app = open_page("design", two, study="small", design="ffffffffffff")
    assert "asks for ffffffffffff, which is not to be had here" in texts(app)
    assert address(app, "design") == "ffffffffffff"  # also after a reload
    other = next(each for each in app.selectbox(key="design").options if "trial 2" in each)
    app.selectbox(key="design").select(other).run()
    assert "asks for" not in texts(app)
    assert address(app, "design") == AppKeys(two / "small").key(2)


def test_a_tab_stands_in_the_address(two: Path, open_page: Opened) -> None:
    app = open_page("design", two, study="machines", tab="Area")
    assert [tab.label for tab in app.tabs if len(tab.children)] == ["Area"]
    assert "DRAM, where there is one, is another chip" in texts(app)


class Page:
    """A page whose widgets are done by hand: `links` alone is tried."""

    def __init__(self, patch: pytest.MonkeyPatch, **address: str) -> None:
        self.address, self.state, self.written = dict(address), dict[str, Any](), list[str]()
        patch.setattr(links.st, "session_state", self.state)
        patch.setattr(links.st, "query_params", self)
        self.warning = self.written.append

    def selectbox(self, title: str, options: Any, *, key: str, **_: Any) -> Any:
        return self.state[key]

    def multiselect(self, title: str, options: Any, *, key: str, **_: Any) -> Any:
        return self.state[key]

    def get(self, key: str, default: str) -> str:
        return self.address.get(key, default)

    def __setitem__(self, key: str, value: str) -> None:
        self.address[key] = value
        self.written.append(f"{key}={value}")

    def __delitem__(self, key: str) -> None:
        del self.address[key]
        self.written.append(f"no {key}")


def test_an_address_is_written_when_a_choice_changes_and_never_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = Page(monkeypatch)
    links.begin("here")
    choose = functools.partial(links.choose_one, page, "X axis", ["a", "b", "c"], "x")
    assert [choose(), choose()] == ["a", "a"] and page.written == []  # the default
    page.state["x"] = "b"
    assert [choose(), choose()] == ["b", "b"] and page.written == ["x=b"]
    # A click that was quicker than the address: it comes with the old one, and the choice stays.
    page.address.clear()
    page.state["x"] = "c"
    assert choose() == "c" and page.address == {"x": "c"}
    page.state["x"] = "a"
    assert choose() == "a" and page.address == {}


def test_coming_back_is_seen_in_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(monkeypatch, x="b", y="c,a")
    one = functools.partial(links.choose_one, page, "X axis", ["a", "b", "c"], "x")
    many = functools.partial(
        links.choose_many, page, "Y", ["a", "b", "c"], "y", default=["b"], most=2
    )
    links.begin("here")
    assert (one(), many()) == ("b", ["c", "a"])
    page.state |= {"x": "c", "y": []}
    assert (one(), many()) == ("c", []) and page.address == {"x": "c", "y": "none"}
    links.begin("here")  # another run of the same visit
    page.address = {"x": "a"}
    assert one() == "c"
    monkeypatch.setattr(
        links, "get_script_run_ctx", lambda: type("Context", (), {"is_history_navigation": True})
    )
    links.begin("here")
    page.address = {"x": "b", "y": "none"}
    assert (one(), many()) == ("b", [])


def test_of_several_the_missing_and_the_many_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(monkeypatch, y="c,gone,a,b")
    links.begin("here")
    options = ["a", "b", "c"]
    assert links.choose_many(page, "Y", options, "y", default=[], most=2) == ["c", "a"]
    assert "asks for gone, b, which is not to be had here" in page.written[0]


def test_a_way_to_a_page_leads_where_it_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(monkeypatch, study="small", x="b")
    page.state["study"] = "small"
    monkeypatch.setattr(Page, "to_dict", lambda self: self.address, raising=False)
    links.begin("frontier")
    links.end("frontier")
    assert links.address_of("frontier") == {"study": "small"}  # it is open: back to its beginning
    links.begin("design")
    assert links.address_of("frontier") == {"study": "small", "x": "b"}
    page.state["study"] = "other"
    assert links.address_of("frontier") == {"study": "other"}


def test_addresses_are_written_and_pages_opened_by_links_alone() -> None:
    """Whatever else writes a parameter meets one that is bound sooner or later, and is refused."""
    wrong = re.compile(r"st\.switch_page|st\.query_params\[[^]]+\] =|del st\.query_params")
    writers = [path.name for path in VIEWS.rglob("*.py") if wrong.search(path.read_text())]
    assert writers == ["links.py"]
