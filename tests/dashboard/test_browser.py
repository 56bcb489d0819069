"""The dashboard as a person uses it, in headless Chromium: from a launch to a report."""

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import write_machines, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: `apt-get install chromium`"
)

WORDS = {"left": 300.0, "right": 700.0, "stop": 1500.0}
STUDY = """
name: tones
data:
  folder: {data}
  task: {{kind: words, words: [left, right, stop], unknown: false, silence: false}}
  features: {{variants: 1}}
space:
  blocks: 1
  policy: [P0, P4]
  density: 0.5
  channels: [8, 16]
  prologue_channels: 8
  epilogue_channels: 8
  final_channels: 8
  prologue_stride: 4
  kernel: 5
  prologue_kernel: 5
  epilogue_kernel: 5
recipe: {{epochs: 2, batch_size: 32}}
trainings: 3
"""


def write_tones(folder: Path) -> None:
    """Words that are tones in noise, in the layout of Speech Commands."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    seconds = np.arange(16_000) / 16_000
    for word, frequency_hz in WORDS.items():
        (folder / word).mkdir(parents=True)
        for speaker in range(16):
            tone = 0.1 * np.sin(2 * np.pi * frequency_hz * seconds)
            clip = tone + 0.02 * rng.normal(size=16_000)
            soundfile.write(folder / word / f"{speaker:08x}_nohash_0.wav", clip, 16_000)
    for split, speakers in (("validation", range(4)), ("testing", range(4, 8))):
        names = [f"{word}/{speaker:08x}_nohash_0.wav" for word in WORDS for speaker in speakers]
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A dashboard on a folder with a study, and its address."""
    root = tmp_path_factory.mktemp("work")
    write_tones(root / "speech")
    folder = root / "studies"
    write_study(folder / "small")
    write_machines(folder / "machines")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dse_cli",
            "dashboard",
            str(folder),
            "--no-browser",
            "--port",
            str(port),
        ],
        env=os.environ
        | {
            "STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none",
            "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(root / "cache"),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(lambda: _answers(port), 90)
        yield f"http://localhost:{port}", folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait_for(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.25)


STILL = """(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(
        '*, *::before, *::after { animation: none !important; transition: none !important }');
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
})()"""
"""No animations: without a graphics card, the processor draws each of their pictures."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser with a profile: what it has compiled of the pages' scripts, it keeps.

    With a fresh context for each test instead, and animations, the same pages take 1.7 times as
    much of the processor.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu"],
            viewport={"width": 1280, "height": 1000},
            reduced_motion="reduce",
        )
        started.add_init_script(STILL)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page on which nothing fails: no error of a script, no request to another machine."""
    opened, wrong = browser.new_page(), []
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "console",
        lambda message: (
            wrong.append(f"{message.text} {message.location['url']}")
            if message.type == "error"
            else None
        ),
    )
    opened.on(
        "request",
        lambda request: (
            wrong.append(request.url)
            if not re.match(r"(http|ws)://localhost:|data:|blob:|about:", request.url)
            else None
        ),
    )
    yield opened
    assert opened.get_by_test_id("stException").count() == 0
    opened.close()
    assert wrong == []


SETTLED = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    const idle = app && app.dataset.testScriptState === 'notRunning'
        && app.dataset.testConnectionState === 'CONNECTED';
    window.idleSince = idle ? window.idleSince ?? performance.now() : undefined;
    return idle && performance.now() - window.idleSince > 600;
}"""


def settle(page: Any) -> None:
    """Wait until the page's script has run, and nothing asks for another run.

    Streamlit waits up to 600 ms with what a slider or a plot sends; until then the script seems to
    rest. The browser itself takes the time, for on a busy machine its timers are late, too. It
    looks ten times a second: to look at each picture, which is usual, keeps it drawing pictures.
    """
    page.evaluate("window.idleSince = undefined")
    page.wait_for_function(SETTLED, polling=100)


@NEEDS_CHROMIUM
def test_a_box_selects_and_a_click_opens_a_design(server: tuple[str, Path], page: Any) -> None:
    address, _ = server
    page.goto(f"{address}/?study=small")
    settle(page)
    assert page.get_by_text("5 designs, 4 trained, 3 on the frontier").count() == 1
    draw_round(page, BOX, [(0.12, 0.13), (0.3, 0.3), (0.9, 0.5)])
    page.get_by_text("Selected").wait_for()
    settle(page)
    said = page.get_by_text(re.compile(r"^\d designs, \d trained")).inner_text()
    assert 0 < int(said[0]) < 5, said
    page.reload()  # what is selected stands in the address
    settle(page)
    assert page.get_by_text(said).count() == 1
    # A part of an axis of lines is the selection from then on, also in the plot of points.
    page.goto(f"{address}/frontier?view=parallel&study=small")
    settle(page)
    lines = page.locator(".st-key-lines canvas").first.bounding_box()
    across = lines["x"] + 60  # the axis of errors: 50 % above, 10 % below
    page.mouse.move(across, lines["y"] + 0.5 * lines["height"])
    page.mouse.down()
    page.mouse.move(across, lines["y"] + 0.89 * lines["height"], steps=6)
    page.mouse.up()
    page.get_by_text("1 designs, 1 trained, 1 on the frontier").wait_for()
    page.get_by_text("Selected: error").wait_for()
    settle(page)
    page.reload()
    settle(page)
    page.get_by_role("button", name="View").click()
    page.get_by_text("points", exact=True).click()
    settle(page)
    page.locator(".st-key-plot canvas").first.wait_for()
    assert page.get_by_text("1 designs, 1 trained, 1 on the frontier").count() == 1
    page.keyboard.press("Escape")
    page.get_by_text("Open it").click()
    page.get_by_text("One design in full").wait_for()
    settle(page)
    assert re.search(r"/design\?.*design=[0-9a-f]{12}", page.url)
    page.get_by_role("tab", name="Roofline").click()
    page.get_by_text("A point a convolution").wait_for()


@NEEDS_CHROMIUM
def test_back_and_reload_show_the_view_again(server: tuple[str, Path], page: Any) -> None:
    """The browser alone knows its history; the ways at the left keep the study."""
    address, _ = server
    page.goto(f"{address}/?study=small")
    settle(page)
    page.get_by_role("link", name="What if").click()
    page.get_by_text("trained designs priced anew").wait_for()
    settle(page)
    page.get_by_role("slider", name="Clock (MHz)").focus()
    for _ in range(4):  # quicker than pages are drawn
        page.keyboard.press("ArrowLeft")
    page.get_by_text(re.compile(r"priced anew.* at 2[.]5 MHz")).wait_for()
    settle(page)
    assert "own.clock=2.5&" in page.url + "&" and "study=small" in page.url
    page.go_back()
    settle(page)
    assert page.url == f"{address}/?study=small"
    page.go_forward()
    page.get_by_text(re.compile(r"priced anew.* at 2[.]5 MHz")).wait_for()


@pytest.mark.soak
@NEEDS_CHROMIUM
def test_a_click_on_a_point_shows_its_design(server: tuple[str, Path], page: Any) -> None:
    import numpy as np
    from PIL import Image

    address, _ = server
    page.goto(f"{address}/?study=small")
    settle(page)
    box = plot_of(page)
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    pixels = np.asarray(picture).astype(int)[: int(0.8 * box["height"])]  # above the legend
    rows, columns = np.nonzero(np.abs(pixels - [0x00, 0x72, 0xB2]).sum(axis=2) < 12)
    middle = len(rows) // 2  # of the blue points: dense designs on the frontier
    page.mouse.click(box["x"] + int(columns[middle]), box["y"] + int(rows[middle]))
    page.get_by_role("button", name="Open the design").wait_for()
    assert page.get_by_text("On the frontier: no trained design").count() == 1


@pytest.mark.soak
@NEEDS_CHROMIUM
def test_a_report_is_downloaded(server: tuple[str, Path], page: Any, tmp_path: Path) -> None:
    address, _ = server
    page.goto(f"{address}/report?study=small")
    settle(page)
    with page.expect_download() as waiting:
        page.locator(".st-key-download_html button").click()
    path = tmp_path / "report.html"
    waiting.value.save_as(path)
    assert waiting.value.suggested_filename == "small.html"
    assert "Cost report: small" in path.read_text(encoding="utf-8")


@NEEDS_CHROMIUM
@pytest.mark.soak
def test_a_search_is_launched_watched_and_decided_upon(
    server: tuple[str, Path], page: Any, tmp_path: Path
) -> None:
    address, folder = server
    page.goto(f"{address}/launch")
    settle(page)
    page.get_by_role("tab", name="YAML").click()
    text = page.get_by_role("textbox", name="Study file")
    text.fill(STUDY.format(data=folder.parent / "speech").replace("policy:", "polcy:"))
    text.press("Control+Enter")
    settle(page)
    # A word that is none is refused in place, and nothing is written.
    page.get_by_text("polcy").first.wait_for()
    assert not (folder / "tones").exists()
    text.fill(STUDY.format(data=folder.parent / "speech"))
    text.press("Control+Enter")
    settle(page)
    page.get_by_text("designs of the space").wait_for()
    page.locator(".st-key-launch_workers input").fill("1")
    page.locator(".st-key-launch_workers input").press("Enter")
    settle(page)
    page.get_by_role("button", name="Check and start").click()
    page.get_by_text("Watch a search").wait_for()
    page.goto("about:blank")  # the search goes on without a page
    page.goto(f"{address}/watch?study=tones")
    page.get_by_text("3 of 3").wait_for(timeout=180_000)
    page.get_by_text("not running").wait_for(timeout=60_000)
    second = page.context.new_page()  # and a second tab sees the same
    second.set_default_timeout(60_000)
    second.goto(f"{address}/watch?study=tones")
    second.get_by_text("3 of 3").wait_for()
    second.get_by_text("not running").wait_for()
    second.close()
    rows = (folder / "tones" / "results.jsonl").read_text().splitlines()
    assert sum('"status": "trained"' in row for row in rows) == 3
    page.reload()
    page.get_by_text("3 of 3").wait_for()
    page.get_by_text(re.compile("Hypervolume 0[.]")).wait_for()
    _decide(page, address, tmp_path)


def _decide(page: Any, address: str, tmp_path: Path) -> None:
    """From the plot of a finished search to its report."""
    page.goto(f"{address}/?study=tones")
    settle(page)
    all_designs = page.get_by_text(re.compile(r"^\d+ designs, \d trained")).inner_text()
    draw_round(page, LASSO, ALL)
    page.get_by_text("Selected", exact=True).wait_for()
    settle(page)
    chosen = page.get_by_text(re.compile(r"^\d+ designs, \d trained")).inner_text()
    assert "3 trained" in chosen and int(chosen.split()[0]) <= int(all_designs.split()[0])
    page.get_by_role("button", name="View").click()
    page.get_by_text("logarithmic x axis").click()
    settle(page)
    page.get_by_text("Selected", exact=True).wait_for()  # a lasso outlasts a change of axes
    page.get_by_text("Open it").click()
    page.get_by_text("One design in full").wait_for()
    settle(page)
    page.get_by_role("tab", name="Mistakes").click()
    page.get_by_text("error in whole numbers").wait_for()
    page.get_by_text(re.compile("Rows are what was spoken.* 12 clips")).wait_for()
    page.goto(f"{address}/what_if?study=tones")
    settle(page)
    page.get_by_text(re.compile("^3 trained designs priced anew.* at 10 MHz")).wait_for()
    page.get_by_role("slider", name="Clock (MHz)").focus()
    page.keyboard.press("ArrowLeft")
    page.get_by_text(re.compile("^3 trained designs priced anew.* at 7[.]071.* MHz")).wait_for()
    settle(page)
    assert "own.clock=" in page.url  # the view can be sent to a colleague
    page.goto(f"{address}/report?study=tones")
    settle(page)
    with page.expect_download() as waiting:
        page.locator(".st-key-download_html button").click()
    waiting.value.save_as(tmp_path / "tones.html")
    assert "Cost report: tones" in (tmp_path / "tones.html").read_text(encoding="utf-8")


BOX, LASSO = 114, 77
"""How far a tool stands from the right end of the plot, in px."""
ALL = [(0.16, 0.13), (0.98, 0.11), (0.98, 0.85), (0.5, 0.86), (0.08, 0.85), (0.08, 0.13)]


def plot_of(page: Any) -> Any:
    """Where the plot stands, all of it in view."""
    plot = page.locator(".st-key-plot canvas").first
    plot.scroll_into_view_if_needed()
    return plot.bounding_box()


def draw_round(page: Any, tool: int, corners: list[tuple[float, float]]) -> None:
    """Take the box or the lasso, and draw with it; corners are shares of the plot."""
    box = plot_of(page)
    page.mouse.click(box["x"] + box["width"] - tool, box["y"] + 31)
    page.wait_for_timeout(500)
    places = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]] if tool == LASSO else places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


@pytest.mark.soak
@NEEDS_CHROMIUM
def test_a_lasso_selects_some_designs(server: tuple[str, Path], page: Any) -> None:
    address, _ = server
    page.goto(f"{address}/?study=small")
    settle(page)
    # A triangle above the diagonal of the plot: what has much error for its energy.
    draw_round(page, LASSO, [(0.2, 0.13), (0.93, 0.13), (0.93, 0.5)])
    page.get_by_text("Selected", exact=True).wait_for()
    settle(page)
    said = page.get_by_text(re.compile(r"^\d designs, \d trained")).inner_text()
    assert 0 < int(said[0]) < 5, said


def nothing_ran(page: Any) -> None:
    """No name on the page has become a script or a picture."""
    assert page.title() != "evil", page.url
    assert page.locator("img[src*='evil.example']").count() == 0, page.url


@NEEDS_CHROMIUM
@pytest.mark.soak
def test_names_of_designs_run_nothing(server: tuple[str, Path], page: Any) -> None:
    """No name of a design becomes a script, markup or a request; `page` sees what does.

    A study with such a name is refused when it is read.
    """
    address, folder = server
    script = "--x_x--0_0--(document.title='evil')--x_x--0_0--"  # what lines' component would run
    evil = (
        script
        + "</script><img src=http://evil.example/x.png onerror=document.title='evil'>![x](/y)"
    )
    study = write_study(folder / "evil")
    text = (study / "results.jsonl").read_text()
    for number in range(4):
        text = text.replace(f'"design {number}"', f'"{evil}{number}"')
    (study / "results.jsonl").write_text(text)
    try:
        for view in ("axes", "parallel", "points"):
            page.goto(f"{address}/?view={view}&of_axes=map&study=evil")
            settle(page)
            nothing_ran(page)
            box = page.locator(".st-key-lines, .st-key-plot, .st-key-map").first.bounding_box()
            page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
            nothing_ran(page)
        # By the ways at the left, which load nothing of the browser's part anew.
        for title in ("Design", "What if", "Compare", "Report", "Studies", "Watch"):
            page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
            page.wait_for_url(f"**/{title.lower().replace(' ', '_')}?*study=evil*")
            settle(page)
            nothing_ran(page)
    finally:
        shutil.rmtree(study)
