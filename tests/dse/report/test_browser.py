"""The page in Chromium, from the disk and without a network: what a reader of the report does."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dse.report import Report, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: `apt-get install chromium`"
)

Open = Callable[[Report], tuple[Any, list[str]]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """A page, and what it complained about, asked for or ran that is not its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)

    def show(report: Report) -> tuple[Any, list[str]]:
        (path,) = write_report(report, tmp_path / "page.html")
        page, wrong = context.new_page(), []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on(
            "request", lambda asked: wrong.append(asked.url) if asked.url != path.as_uri() else None
        )
        page.goto(path.as_uri())
        return page, wrong

    yield show
    context.close()


def test_a_mark_says_what_it_is_and_a_legend_hides_it(report: Report, opened: Open) -> None:
    page, wrong = opened(report)
    assert not page.locator("#tip").is_visible()
    mark = page.locator("svg.plot [data-tip*='(trial 3)']").first
    mark.hover()
    assert page.locator("#tip").is_visible()
    assert "error 25.0 (16.0 to 36.8) %" in page.locator("#tip").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    page.get_by_role("button", name="with ternary matrices (2)").click()
    assert not mark.is_visible()
    assert page.locator("svg.plot [data-tip*='(trial 1)']").first.is_visible()  # a dense one
    page.get_by_role("button", name="with ternary matrices (2)").click()
    assert mark.is_visible()
    assert not wrong


def test_headings_sort_by_number(report: Report, opened: Open) -> None:
    page, wrong = opened(report)
    table = page.locator("table").filter(has_text="trained").nth(1)
    names = [field.strip() for field in table.locator("thead th").all_inner_texts()]
    column = names.index("trained parameters")

    def shown() -> list[int]:
        cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
        return [int(cell.replace(",", "")) for cell in cells]

    before = shown()
    table.locator("thead th button").nth(column).click()
    assert shown() == sorted(before) != before
    table.locator("thead th button").nth(column).click()
    assert shown() == sorted(before, reverse=True)
    assert not wrong


def test_the_page_fits_the_window_in_light_and_dark(report: Report, opened: Open) -> None:
    page, _ = opened(report)
    grounds = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_hostile_names_run_and_load_nothing(hostile_report: Report, opened: Open) -> None:
    page, wrong = opened(hostile_report)
    assert "<script>alert(1)</script>" in page.locator("body").inner_text()
    page.locator("svg.plot [data-tip]:visible").first.hover()  # a tick has no width
    assert page.locator("body img, body iframe, body object").count() == 0
    assert not wrong
