import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from cost_models import estimate
from dse.networks.lowering import lower
from dse.pricing.budget import Budget
from dse.studies.folder import RESOLVED
from dse.studies.resolved import Begun, resolved_yaml
from dse.studies.rows import Evaluation, append_row
from tests.studies import read

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


@pytest.fixture(scope="session", autouse=True)
def components() -> Iterator[None]:
    """Streamlit looks for components of installed packages once, not in each run of a page.

    Each `AppTest.run` is a server of its own, which reads the metadata of all packages: a second of
    computing, half of what these tests took.
    """
    from streamlit.components.v2 import manifest_scanner

    looks = manifest_scanner.scan_component_manifests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", functools.cache(looks))
        yield


STUDY = """
name: small
data: {folder: speech, features: {frames: 64}}
space:
  blocks: [1, 2]
  policy: [P0, P2, P4]
  density: [0.25, 0.5]
  channels: [16, 24, 32]
  prologue_channels: 16
  epilogue_channels: 16
  final_channels: 16
  kernel: 5
limits: {max_trained_parameters: 6000}
trainings: 4
"""
DESIGNS: tuple[tuple[dict[str, Any], float | None], ...] = (
    ({"blocks": 1, "policy": "P0", "channels": 16}, 0.40),
    ({"blocks": 2, "policy": "P0", "channels": 32}, 0.10),
    ({"blocks": 1, "policy": "P4", "density": 0.5, "channels": 16}, 0.45),
    ({"blocks": 2, "policy": "P2", "density": 0.25, "channels": 24}, 0.50),
    ({"blocks": 2, "policy": "P4", "density": 0.5, "channels": 32}, None),
)
FRAMES, OUTPUTS = 64, 3
BOX = {"error": (0.0, 1.0), "energy_pj": (4.0, 7.0)}


MACHINES = """
hardware: {machine: [kws_ternary, kws_ternary_stored, kws_int8], clock_mhz: [5, 20]}
objectives: [error, energy_pj, area_um2]
"""
"""Two of the three machines have no generator: they store ternary matrices and make none."""


def write_study(
    folder: Path, designs: Any = DESIGNS, box: Any = BOX, *, more: str = "", **asked: Any
) -> Path:
    """A study's folder as `dse search` leaves it, with rows that the model priced.

    Args:
        folder: of the study.
        designs: values in the space, and error, of each row; None where it is over a limit.
        box: of the hypervolume.
        more: lines of the study file beside `STUDY`.
        asked: fields of its `StudySpec` that are others.
    """
    own = {"name": folder.name, "data_folder": folder.parent / "speech"}
    spec = dataclasses.replace(read(STUDY + more), **(own | asked))
    begun = Begun(data_key="d4ta", outputs=OUTPUTS, box=box, workers=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESOLVED).write_text(resolved_yaml(spec, begun))
    space, machine = spec.space, spec.machines[0]
    for trial, (values, error) in enumerate(designs):
        point = space.point(values)
        workload = lower(point, frames=FRAMES, outputs=OUTPUTS)
        cost = estimate(workload, machine.accelerator, machine.technology)
        assert workload.trained_parameters
        append_row(
            folder,
            Evaluation(
                trial=trial,
                status="infeasible" if error is None else "trained",
                source="search",
                key=point.key,
                name=f"design {trial}",
                values=values,
                accelerator=machine.accelerator.name,
                technology=machine.technology.name,
                cost=dict(cost.columns()),
                error=error,
                epochs=4,
                best_epoch=3,
                training_seconds=8.0,
                reason="" if error is not None else "stored_bits is over its limit",
            ),
        )
    return folder


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three studies that no test changes: on a machine that generates ternary
    matrices, on one that stores them, and on six."""
    folder = tmp_path_factory.mktemp("many") / "studies"
    write_study(folder / "generated")
    write_study(folder / "stored", more="machine: kws_int8")
    write_study(folder / "six", box=BOX | {"area_um2": (5, 7)}, more=MACHINES)
    return folder


def write_machines(folder: Path) -> Path:
    """A study whose `hardware:` has four machines, none of them with a generator, and no limits."""
    more = MACHINES.replace("kws_ternary, ", "")
    return write_study(folder, box=BOX | {"area_um2": (5, 7)}, more=more, budget=Budget())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A small study of real designs, with a learning curve."""
    folder = write_study(tmp_path / "studies" / "small")
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    history = folder / "designs" / rows[1]["key"] / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text(
        "epoch,learning_rate,training_loss,training_error,validation_loss,validation_error,seconds\n"
        "1,0.05,1.1,0.5,1.0,0.4,2.0\n2,0.01,0.9,0.3,0.8,0.1,2.0\n"
    )
    return folder


@pytest.fixture(scope="session", autouse=True)
def scripts() -> Iterator[None]:
    """Streamlit compiles the pages once, not in each run of one: a seventh of what a page takes."""
    from streamlit.runtime.scriptrunner.script_cache import ScriptCache

    whole, kept = ScriptCache.get_bytecode, dict[str, Any]()

    def get_bytecode(self: ScriptCache, script_path: str) -> Any:
        if not Path(script_path).is_relative_to(APP.parent):  # one that a test writes
            return whole(self, script_path)
        if script_path not in kept:
            kept[script_path] = whole(self, script_path)
        return kept[script_path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptCache, "get_bytecode", get_bytecode)
        yield


Opened = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Open a page of the dashboard on folders, by its address; nothing on it may fail."""

    def opened(page: str, *folders: Path | str, **query: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(APP), *map(str, folders)])
        app = AppTest.from_file(str(APP), default_timeout=120)
        if page != "frontier":  # which an address without a page opens
            app.switch_page(f"views/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return opened
