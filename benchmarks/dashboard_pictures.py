"""The pictures of docs/how-to/dashboard.md: a study is searched, and every page is photographed.

    .venv/bin/python benchmarks/dashboard_pictures.py docs/how-to/dashboard
    .venv/bin/python benchmarks/dashboard_pictures.py /tmp/dark --dark --work /tmp/pictures

Everything is made here: words are spoken by eSpeak NG, and networks trained on them, some minutes
on two cores; `--work` keeps them for another run. So errors, learning curves and confusions are
those of trained networks, of a task that is smaller than any real one.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # `benchmarks` is no package of its own

from benchmarks.dashboard import free_port, served

WORDS = "yes,no,up,down,left,right,stop,go"
SPOKEN = ("--words", WORDS, "--speakers", "40", "--clips-per-word", "60")
STUDY = """
name: {name}
data:
  folder: ../speech
  task: {{kind: words, words: [{words}], unknown: false, silence: false}}
space:
  blocks: [1, 2, 3]
  channels: {{low: 8, high: 32, step: 8}}
  policy: [P0, P2, P4]
  density: [0.25, 0.5]
  prologue_channels: [16, 32]
  prologue_stride: 4
  epilogue_channels: 32
  final_channels: 32
limits: {{max_trained_parameters: 12000}}
recipe: {{epochs: 10, batch_size: 64}}
trainings: {trainings}
{more}
"""
STUDIES = {
    "words": (24, "machine: kws_ternary"),
    "machines": (
        8,
        "hardware: {machine: [kws_ternary, kws_ternary_stored, kws_int8], clock_mhz: [5, 20]}\n"
        "objectives: [error, energy_pj, area_um2]\nwarm_start: [words]",
    ),
}
"""Name -> trainings, and what else its file says."""
WIDTH = 1280  # px
IDLE = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app && app.dataset.testScriptState === 'notRunning'"
    " && app.dataset.testConnectionState === 'CONNECTED'; }"
)


def run_dse(*words: str) -> None:
    """One command, as a person types it."""
    subprocess.run([sys.executable, "-m", "dse_cli", *words], check=True)


def make_studies(work: Path) -> Path:
    """Words, and the studies that are searched on them; what is there already is gone on with."""
    speech, folder = work / "speech", work / "studies"
    if not (speech / "validation_list.txt").exists():
        run_dse("data", "synthesize", str(speech), *SPOKEN)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (trainings, more) in STUDIES.items():
        path = folder / f"{name}.yaml"
        words = WORDS.replace(",", ", ")
        path.write_text(STUDY.format(name=name, words=words, trainings=trainings, more=more))
        run_dse("search", str(path), "--out", str(folder / name))
    return folder


def photograph(page: Any, address: str, path: Path, *, act: Any = None) -> None:
    """One page, as tall as it is."""
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(address)
    page.wait_for_function(IDLE, timeout=300_000)
    page.wait_for_timeout(2_500)
    if act is not None:
        act(page)
        page.wait_for_function(IDLE, timeout=300_000)
        page.wait_for_timeout(2_500)
    if page.get_by_text("encountered an error").count():
        raise SystemExit(f"{path.name}: the page has failed")
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
    parser.add_argument("--work", type=Path, help="keeps the words and studies in this folder")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--only", nargs="+", default=[])
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        folder = make_studies(given.work or Path(temporary))
        port = free_port()
        arguments = [
            sys.executable,
            "-m",
            "dse_cli",
            "dashboard",
            str(folder),
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
                "importance": {"path": "?view=axes"},
                "design": {"path": "design"},
                "roofline": {"path": "design?tab=Roofline"},
                "area": {"path": "design?tab=Area"},
                "generator": {"path": "design?tab=Generator"},
                "mistakes": {"path": "design?tab=Mistakes"},
                "what_if": {"path": "what_if", "act": slower},
                "compare": {"path": "compare"},
                "report": {"path": "report"},
                "studies": {"path": "studies"},
                "launch": {"path": "launch"},
                "watch": {"path": "watch"},
            }
            for name, how in pages.items():
                if given.only and name not in given.only:
                    continue
                photograph(
                    page,
                    f"http://127.0.0.1:{port}/{how['path']}"
                    + ("&" if "?" in how["path"] else "?")
                    + f"study={how.get('study', 'words')}",
                    given.out / f"{name}.png",
                    act=how.get("act"),
                )
            browser.close()


if __name__ == "__main__":
    main()
