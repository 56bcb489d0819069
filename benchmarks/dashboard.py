"""How fast the dashboard draws large studies, in headless Chromium; and optuna-dashboard the same.

    .venv/bin/python benchmarks/dashboard.py --out docs/how-to/dashboard/benchmark.json
    .venv/bin/python benchmarks/dashboard.py --optuna-dashboard .venv/bin/optuna-dashboard

A study of so many rows is made: designs of a space of 1.2 million, priced by the model; errors are
drawn. Then a browser opens it. Figures are wall-clock seconds:

    first plot    server started a moment ago: navigation until the points stand, no spinner
    reload        the same in a new browser, study kept by the server
    click         on a design of the frontier, until its figures stand beside the plot
    box           mouse up until the table has the selection
    what if       a key on the clock's slider until the frontier stands; designs built before

`..._cpu_s` are seconds of processor time of browser and server together for the same; unlike the
others, they hardly depend on what else the machine does. Browsers start with an empty cache.

`--optuna-dashboard` names the program: it then opens the trained designs of the same study with two
objectives, written to SQLite in the same run, until its frontier's plot stands; a click there is on
a trial of that plot, until the page of the trial stands. It has no sliders that price anew.
"""

import argparse
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dse.colours import TERNARY
from dse.pricing.what_if import Fleet
from dse.studies.folder import GIVEN, RESOLVED
from dse.studies.reading import read_study
from dse.studies.resolved import Begun, resolved_yaml
from dse.studies.rows import FILE_NAME, Evaluation

STUDY = """
name: {name}
data: {{folder: /speech}}
space:
  blocks: {{low: 1, high: 4}}
  repeats: [1, 2]
  channels: {{low: 16, high: 96, step: 16, per_block: true}}
  policy: [P0, P1, P2, P3, P4]
  density: [0.125, 0.25, 0.5]
  prologue_channels: [32, 64]
  prologue_stride: 2
  epilogue_channels: [32, 64, 128]
  final_channels: [32, 64, 128]
limits: {{max_trained_parameters: 30000}}
trainings: {count}
"""
LIMIT = 30_000
REPEATS = 3


def write_study(folder: Path, count: int) -> None:
    """A study of priced designs with drawn errors."""
    folder.mkdir(parents=True)
    given = folder / GIVEN
    given.write_text(STUDY.format(name=folder.name, count=count))
    spec = read_study(given)
    box = {"error": (0.0, 1.0), "energy_pj": (5.0, 7.0)}
    begun = Begun(data_key="drawn", outputs=12, box=box, workers=1)
    (folder / RESOLVED).write_text(resolved_yaml(spec, begun))
    space = spec.space
    draw, rng = random.Random(1), np.random.default_rng(1)
    values = [space.sample(draw) for _ in range(count)]
    points = [space.point(each) for each in values]
    columns, _ = Fleet(points, frames=128, outputs=12).price(spec.accelerator, spec.technology)
    with (folder / FILE_NAME).open("w") as file:
        for trial, point in enumerate(points):
            cost = {name: float(figures[trial]) for name, figures in columns.items()}
            over = cost["trained_parameters"] > LIMIT
            size = np.log10(cost["trained_parameters"] + 0.25 * cost["generated_weights"])
            error = 0.04 + 0.5 * np.exp(-1.3 * (size - 2.9)) + 0.02 * rng.normal()
            row = Evaluation(
                trial=trial,
                status="infeasible" if over else "trained",
                source="search",
                key=point.key,
                name=point.summary,
                values=values[trial],
                cost=cost,
                error=None if over else float(np.clip(error, 0.02, 0.95)),
                accelerator=spec.accelerator.name,
                technology=spec.technology.name,
            )
            file.write(json.dumps(row.to_dict()) + "\n")


@contextmanager
def served(arguments: list[str], port: int) -> Iterator[None]:
    """A server that answers, as long as it is needed."""
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none", "OMP_NUM_THREADS": "1"},
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{arguments[0]} ended: {process.returncode}") from None
                time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


IDLE = (
    "() => { const app = document.querySelector('[data-testid=stApp]');"
    " return app && app.dataset.testScriptState === 'notRunning'"
    " && app.dataset.testConnectionState === 'CONNECTED'"
    " && document.querySelector('[data-testid=stEChartsChart][aria-busy=false]'); }"
)


def timed(act: Callable[[], None], page: Any, done: str = IDLE) -> float:
    """Seconds from an act until the page is done with it."""
    began = time.perf_counter()
    act()
    page.wait_for_function(done, timeout=600_000, polling=20)
    return time.perf_counter() - began


def processor_s() -> float:
    """Processor time that all processes begun by this one have taken so far."""
    parents: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(folder.name))
            seconds[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, list(parents.get(os.getpid(), []))
    while todo:
        process = todo.pop()
        total += seconds[process]
        todo += parents.get(process, [])
    return total


def measure_ours(browser: Any, folder: Path) -> dict[str, float]:
    """All figures of one study."""
    port = free_port()
    found: dict[str, float] = {}
    dse = [
        sys.executable,
        "-m",
        "dse_cli",
        "dashboard",
        str(folder),
        "--no-browser",
        "--port",
        str(port),
    ]
    with served(dse, port):
        address = f"http://127.0.0.1:{port}"
        # The server's own start (loading Streamlit's modules) is not the study's.
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(f"{address}/launch")
        page.get_by_text("Start a search").wait_for(timeout=600_000)
        page.wait_for_timeout(5_000)
        page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        before = processor_s()
        found["first_plot_s"] = timed(lambda: page.goto(f"{address}/", wait_until="commit"), page)
        found["first_plot_cpu_s"] = processor_s() - before
        page.close()
        reloads, spent = [], []
        for _ in range(REPEATS):
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            before = processor_s()
            reloads.append(timed(lambda p=page: p.goto(f"{address}/", wait_until="commit"), page))
            spent.append(processor_s() - before)
            if len(reloads) < REPEATS:
                page.close()
        found["reload_s"] = statistics.median(reloads)
        found["reload_cpu_s"] = statistics.median(spent)
        before = processor_s()
        found["click_s"] = _click(page)
        found["click_cpu_s"] = processor_s() - before
        found["box_s"] = _box(page)
        page.close()
        found |= _what_if(browser, address)
    return found


def _click(page: Any) -> float:
    """On a point of the frontier with ternary matrices, found by its colour."""
    box = page.locator(".st-key-plot canvas").first.bounding_box()
    picture = Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB")
    pixels = np.asarray(picture).astype(int)[: int(0.8 * box["height"])]  # above the legend
    colour = [int(TERNARY[place : place + 2], 16) for place in (1, 3, 5)]
    rows, columns = np.nonzero(np.abs(pixels - colour).sum(axis=2) < 12)
    place = len(rows) - 1
    x, y = box["x"] + int(columns[place]), box["y"] + int(rows[place]) - 2
    return timed(
        lambda: page.mouse.click(x, y),
        page,
        "() => document.body.innerText.includes('Open the design')"
        " && document.querySelector('[data-testid=stApp]').dataset.testScriptState"
        " === 'notRunning'",
    )


def _box(page: Any) -> float:
    box = page.locator(".st-key-plot canvas").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 114, box["y"] + 31)  # the first of the tools
    page.wait_for_timeout(500)
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"], steps=3)
    return timed(
        page.mouse.up,
        page,
        "() => document.body.innerText.includes('Selected')"
        " && document.querySelector('[data-testid=stApp]').dataset.testScriptState"
        " === 'notRunning'",
    )


def _what_if(browser: Any, address: str) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    before_first = processor_s()
    drawn = "() => document.querySelector('[data-testid=stEChartsChart][aria-busy=false]')"
    first = timed(lambda: page.goto(f"{address}/what_if", wait_until="commit"), page, drawn)
    first_cpu = processor_s() - before_first
    # Of many designs the first view is of some; here all are there.
    whole = first + timed(lambda: None, page)
    slider = page.get_by_role("slider", name="Clock (MHz)")
    page.wait_for_timeout(2_000)
    seconds, priced, spent = [], [], []
    slider.focus()
    for key in ["ArrowLeft"] * REPEATS + ["ArrowRight"] * (2 * REPEATS):
        before = page.locator(".st-key-what_if_seconds").inner_text()
        spent_before, began = processor_s(), time.perf_counter()
        page.keyboard.press(key)
        page.wait_for_function(
            "before => { const text = document.querySelector('.st-key-what_if_seconds');"
            " return text && text.innerText !== before && document.querySelector("
            "'[data-testid=stApp]').dataset.testScriptState === 'notRunning'; }",
            arg=before,
            timeout=600_000,
            polling=20,
        )
        seconds.append(time.perf_counter() - began)
        spent.append(processor_s() - spent_before)
        priced.append(
            float(
                page.locator(".st-key-what_if_seconds").inner_text().split(" in ")[1].split(" s")[0]
            )
        )
    page.close()
    return {
        "what_if_first_s": first,
        "what_if_first_cpu_s": first_cpu,
        "what_if_all_s": whole,
        "what_if_s": statistics.median(seconds),
        "what_if_cpu_s": statistics.median(spent),
        "what_if_pricing_s": statistics.median(priced),
    }


WRITE = """
import json, sys, optuna, sqlalchemy
optuna.logging.set_verbosity(optuna.logging.ERROR)
storage = optuna.storages.RDBStorage(sys.argv[2])
@sqlalchemy.event.listens_for(storage.engine, "connect")
def hurry(connection, _):  # thousands of small writes, each of which would wait for the disk
    connection.execute("PRAGMA synchronous=OFF")
study = optuna.create_study(study_name="s", storage=storage, directions=["minimize"] * 2)
rows = [json.loads(line) for line in open(sys.argv[1])]
D = optuna.distributions.FloatDistribution(0, 1e9)
study.add_trials([optuna.trial.create_trial(
    values=[r["error"], r["energy_pj"]], params={"parameters": r["trained_parameters"]},
    distributions={"parameters": D}) for r in rows if r["error"] is not None])
"""
THEIR_PLOT = (
    "() => [...document.querySelectorAll('.js-plotly-plot .scatterlayer .point,"
    " .js-plotly-plot .gl-canvas')].length > 0"
)


def measure_theirs(browser: Any, program: str, folder: Path, work: Path) -> dict[str, float]:
    """optuna-dashboard on the trained designs of the same study."""
    database = f"sqlite:///{work / folder.name}.db"
    subprocess.run([sys.executable, "-c", WRITE, str(folder / FILE_NAME), database], check=True)
    port = free_port()
    with served([program, database, "--port", str(port), "--host", "127.0.0.1"], port):
        address = f"http://127.0.0.1:{port}/dashboard/studies/1"
        seconds, spent = [], []
        for _ in range(2):
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            before = processor_s()
            seconds.append(
                timed(lambda p=page: p.goto(address, wait_until="commit"), page, THEIR_PLOT)
            )
            spent.append(processor_s() - before)
            if len(seconds) < 2:
                page.close()
        page.wait_for_timeout(2_000)
        before = processor_s()
        click = _click_there(page)
        return {
            "optuna_dashboard_first_s": seconds[0],
            "optuna_dashboard_first_cpu_s": spent[0],
            "optuna_dashboard_reload_s": seconds[1],
            "optuna_dashboard_reload_cpu_s": spent[1],
            "optuna_dashboard_click_s": click,
            "optuna_dashboard_click_cpu_s": processor_s() - before,
        }


def _click_there(page: Any) -> float:
    """On a trial of its plot of the frontier; NaN where none can be met within a minute."""
    point = page.locator(".js-plotly-plot .scatterlayer .point").first
    try:
        point.scroll_into_view_if_needed(timeout=60_000)
        box = point.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.wait_for_timeout(1_000)
        began = time.perf_counter()
        page.mouse.click(x, y)
        page.wait_for_url(re.compile("/trials"), timeout=60_000)
        page.wait_for_function("() => /Trial \\d+/.test(document.body.innerText)", timeout=60_000)
    except Exception:  # whatever Playwright says of a view of another program
        return float("nan")
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--designs", type=int, nargs="+", default=[16, 400, 10_000, 100_000])
    parser.add_argument("--study", type=Path, nargs="+", default=[], help="folders made before")
    parser.add_argument("--optuna-dashboard", help="the program, up to 10,000 designs")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as play, tempfile.TemporaryDirectory() as work:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        folders = list(given.study)
        for count in [] if given.study else given.designs:
            folders.append(Path(work) / f"designs-{count}")
            write_study(folders[-1], count)
        for folder in folders:
            with (folder / FILE_NAME).open("rb") as file:
                count = sum(1 for _ in file)
            figures: dict[str, float] = {"designs": count, "load": os.getloadavg()[0]}
            figures |= measure_ours(browser, folder)
            if given.optuna_dashboard and count <= 10_000:
                theirs = measure_theirs(browser, given.optuna_dashboard, folder, Path(work))
                figures |= theirs
            print(json.dumps({k: round(v, 3) for k, v in figures.items()}), flush=True)
            found.append(figures)
        browser.close()
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
