"""The pictures of docs/how-to/dashboard.md: a study is made, and every page is photographed.

    .venv/bin/python benchmarks/dashboard_pictures.py docs/how-to/dashboard
    .venv/bin/python benchmarks/dashboard_pictures.py /tmp/dark --dark

The study is that of `benchmarks/dashboard.py`, of 400 designs: the model's costs, errors from a
formula with noise. Learning curves and confusions are drawn to agree with the errors.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # `benchmarks` is no package of its own

from benchmarks.dashboard import free_port, served, write_study
from dse.studies.rows import FILE_NAME
from dse.training.best_scores import BestScores, write_best_scores

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "silence", "other")
ALIKE = {"no": "go", "go": "no", "up": "off", "off": "up", "on": "off", "down": "no", "left": "yes"}
CLIPS = 400  # of a word
EPOCHS = 30
WIDTH = 1280  # px
IDLE = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app && app.dataset.testScriptState === 'notRunning'"
    " && app.dataset.testConnectionState === 'CONNECTED'; }"
)


def confusion(error: float, rng: np.random.Generator) -> np.ndarray:
    """A confusion of about that error; words that sound alike are taken for each other."""
    shares = np.full((len(WORDS), len(WORDS)), 0.4 * error / (len(WORDS) - 1))
    for place, word in enumerate(WORDS):
        shares[place, WORDS.index(ALIKE.get(word, "other"))] += 0.6 * error
        shares[place, place] = 0
        shares[place, place] = 1 - shares[place].sum()
    return np.stack([rng.multinomial(CLIPS, row) for row in shares])


def fill_designs(folder: Path) -> None:
    """Learning curves and confusions of the trained designs."""
    rng = np.random.default_rng(1)
    rows = [json.loads(line) for line in (folder / FILE_NAME).read_text().splitlines()]
    for row in rows:
        if row["error"] is None:
            continue
        design = folder / "designs" / row["key"]
        design.mkdir(parents=True, exist_ok=True)
        errors = row["error"] + 0.6 * np.exp(-np.arange(EPOCHS) / 5) + 0.004 * rng.random(EPOCHS)
        lines = [
            f"{epoch + 1},0.01,{2.3 * e:.4f},{0.9 * e:.4f},{2.4 * e:.4f},{e:.4f},12.0"
            for epoch, e in enumerate(errors)
        ]
        head = (
            "epoch,learning_rate,training_loss,training_error,validation_loss,validation_error,"
            "seconds\n"
        )
        (design / "history.csv").write_text(head + "\n".join(lines) + "\n")
        write_best_scores(
            BestScores(
                labels=WORDS,
                epoch=EPOCHS,
                floats=confusion(row["error"], rng),
                int8=confusion(row["error"] + 0.006, rng),
            ),
            design,
        )


def photograph(page: Any, address: str, path: Path, *, tab: str = "", act: Any = None) -> None:
    """One page, as tall as it is."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(address)
    page.wait_for_function(IDLE, timeout=300_000)
    if tab:
        page.get_by_role("tab", name=tab).click()
    page.wait_for_timeout(2_500)
    if act is not None:
        act(page)
        page.wait_for_function(IDLE, timeout=300_000)
        page.wait_for_timeout(2_500)
    height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(int(height) + 10, 2_200)})
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(path))
    print(path, flush=True)


def slower(page: Any) -> None:
    """A quarter of the clock."""
    page.get_by_role("slider", name="Clock (MHz)").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(1_500)


def first_row(page: Any) -> None:
    """Select the first row of a table."""
    box = page.locator(".st-key-all_studies canvas").first.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 52)


def lasso(page: Any) -> None:
    """Draw round some designs."""
    box = page.locator(".st-key-plot canvas").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 77, box["y"] + 31)
    page.wait_for_timeout(500)
    corners = [(0.17, 0.16), (0.4, 0.16), (0.5, 0.5), (0.4, 0.7), (0.17, 0.5)]
    places = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in [*places[1:], places[0]]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    page.get_by_text("Selected").wait_for()


def main() -> None:
    """Photograph."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--only", nargs="+", default=[])
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, sync_playwright() as play:
        folder = Path(work) / "studies" / "kws-400"
        write_study(folder, 400)
        fill_designs(folder)
        speech = Path(work) / "speech"
        speech.mkdir()
        (speech / "validation_list.txt").write_text("")
        port = free_port()
        arguments = [
            sys.executable,
            "-m",
            "dse_cli",
            "dashboard",
            str(folder.parent),
            "--no-browser",
            "--port",
            str(port),
        ]
        with served(arguments, port):
            browser = play.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            scheme = "dark" if given.dark else "light"
            page = browser.new_page(color_scheme=scheme)
            pages: dict[str, dict[str, Any]] = {
                "frontier": {"path": ""},
                "lasso": {"path": "", "act": lasso},
                "parallel": {"path": "?view=parallel"},
                "design": {"path": "design"},
                "roofline": {"path": "design", "tab": "Roofline"},
                "area": {"path": "design", "tab": "Area"},
                "generator": {"path": "design", "tab": "Generator"},
                "mistakes": {"path": "design", "tab": "Mistakes"},
                "what_if": {"path": "what_if", "act": slower},
                "compare": {"path": "compare"},
                "report": {"path": "report"},
                "studies": {"path": "studies", "act": first_row},
                "launch": {"path": "launch"},
                "watch": {"path": "watch"},
            }
            for name, how in pages.items():
                if given.only and name not in given.only:
                    continue
                photograph(
                    page,
                    f"http://127.0.0.1:{port}/{how['path']}",
                    given.out / f"{name}.png",
                    tab=how.get("tab", ""),
                    act=how.get("act"),
                )
            browser.close()


if __name__ == "__main__":
    main()
