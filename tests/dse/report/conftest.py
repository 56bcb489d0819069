"""Studies without training: designs that are really priced, with errors that a test chooses."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cost_models import estimate
from cost_models.strict_yaml import dump_yaml, read_yaml
from dse.design.published import published
from dse.errors import printable
from dse.files import write_text
from dse.networks.lowering import lower
from dse.report import Report, study_report
from dse.studies.folder import DESIGNS, RESOLVED
from dse.studies.rows import Evaluation, append_row
from dse.training.best_scores import BestScores, write_best_scores
from dse.training.clipwise import Wrong
from dse.training.history import EpochRecord, write_history
from tests.studies import begin

STUDY = """
name: small
data: {folder: speech, task: {kind: commands}}
space:
  blocks: {low: 1, high: 3}
  channels: {low: 16, high: 96, step: 16}
  policy: [P0, P1, P2, P3, P4]
  density: [0.125, 0.25, 0.5]
  prologue_channels: [32, 64]
  prologue_stride: 2
  epilogue_channels: [32, 64]
  final_channels: [32, 64]
limits: {max_trained_parameters: 20000}
trainings: 4
"""
CLIPS = 64
SMALL: dict[str, Any] = {
    "blocks": 1,
    "channels": 16,
    "prologue_channels": 32,
    "prologue_stride": 2,
    "epilogue_channels": 32,
    "final_channels": 32,
}
DENSE = SMALL | {"policy": "P0"}
TERNARY = SMALL | {"policy": "P2", "density": 0.25, "channels": 48}
LARGER = SMALL | {"policy": "P1", "density": 0.25, "channels": 96, "blocks": 2}


class StudyMaker:
    """Writes the folder of a study, a row at a time."""

    def __init__(self, folder: Path, text: str = STUDY, **resolved: Any) -> None:
        self.folder = folder
        self.spec = begin(folder, text)
        if resolved:
            plain = read_yaml(folder / RESOLVED).plain()
            (folder / RESOLVED).write_text(dump_yaml(plain | resolved))
        self.count = 0

    def add(
        self, design: dict[str, Any] | str, wrong: int | None, clips: int = CLIPS, **changes: Any
    ) -> Evaluation:
        """A design, by axes or by its published name; `wrong` clips of `clips`."""
        axes: dict[str, Any] = {}
        if isinstance(design, str):
            point, source = published(design), design
        else:
            point, source, axes = self.spec.space.point(design), "search", design
        workload = lower(point, frames=self.spec.features.frames, outputs=12)
        cost = estimate(workload, self.spec.accelerator, self.spec.technology)
        row = Evaluation(
            trial=self.count,
            status="infeasible" if wrong is None else "trained",
            source=source,
            key=point.key,
            name=point.name or point.summary,
            values=axes,
            cost=cost.columns(),
            error=None if wrong is None else wrong / clips,
            reason="trained_parameters is over its limit" if wrong is None else "",
            best_epoch=None if wrong is None else 1,
            epochs=None if wrong is None else 2,
            training_seconds=None if wrong is None else 1.5,
            computed="cpu, 1 thread",
            seed=7,
            accelerator=self.spec.accelerator.name,
            technology="low_leakage_45nm",
            data_key="d4ta",
            recipe_key="r3cipe",
            code_version="0.1.0",
            finished_at=f"2026-11-20T10:00:{self.count:02d}+00:00",
        )
        row = dataclasses.replace(row, **changes)
        self.count += 1
        append_row(self.folder, row)
        if row.status == "trained":
            folder = self.folder / DESIGNS / row.key
            named = dataclasses.replace(point, name=printable(row.name))
            write_text(folder / "design.yaml", dump_yaml(named.to_dict()))
            (folder / "best.pt").write_bytes(b"weights")
            write_history(folder, [epoch(1, (clips - 1) / clips), epoch(2, row.column("error"))])
        return row


def record(folder: Path, row: Evaluation, wrong: Wrong, int8_wrong: Wrong | None = None) -> None:
    """Write which clips a design got wrong, as a training does; of one class, for brevity."""

    def confusion(missed: Wrong) -> NDArray[np.int64]:
        return np.array([[(~missed).sum(), missed.sum()], [0, 0]])

    scores = BestScores(
        labels=("yes", "no"),
        epoch=1,
        floats=confusion(wrong),
        int8=None if int8_wrong is None else confusion(int8_wrong),
        wrong=wrong,
        int8_wrong=int8_wrong,
    )
    write_best_scores(scores, folder / DESIGNS / row.key)


def missed(*clips: int | range, of: int = CLIPS) -> Wrong:
    """These clips were told wrongly, of so many."""
    wrong = np.zeros(of, dtype=np.bool_)
    for each in clips:
        wrong[each if isinstance(each, int) else slice(each.start, each.stop)] = True
    return wrong


def epoch(number: int, error: float) -> EpochRecord:
    return EpochRecord(
        epoch=number,
        learning_rate=0.01,
        training_loss=1.0,
        training_error=0.5,
        validation_loss=1.0,
        validation_error=error,
        seconds=1.0,
    )


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., StudyMaker]:
    """Make a study in a folder of its own."""
    return lambda name="small", **settings: StudyMaker(tmp_path / name, **settings)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four trained designs, two over a limit: 24, 20, 16 and 30 of 64 clips wrong. Do not write."""
    maker = StudyMaker(tmp_path_factory.mktemp("studies") / "small")
    maker.add("matchboxnet-3x1x64", None, trial=-1)
    maker.count = 1
    maker.add(DENSE, 24)
    maker.add(TERNARY, 20)
    maker.add(LARGER, 16)
    maker.add(DENSE | {"channels": 32}, 30)
    maker.add(DENSE | {"channels": 96, "blocks": 3}, None)
    return maker.folder


@pytest.fixture
def study(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, to write into."""
    return Path(shutil.copytree(finished_study, tmp_path / "copy" / "small"))


@pytest.fixture(scope="session")
def report(finished_study: Path) -> Report:
    """Of the finished study, with a machine beside its own."""
    return study_report(finished_study, machines=["kws_int8"])


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    '=HYPERLINK("http://evil.example","x")',
    "../../etc/passwd",
    "a | b ![x](http://evil.example/x.png) `code` **bold** $x^2$ <b>",
    '"><svg onload=alert(3)> </title></style>]]> & &amp;',
    "+1+cmd|' /C calc'!A0",
)
"""Names of designs that would be markup, formulas or paths, if they were taken for that."""


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of a study whose designs have hostile names and reasons."""
    folder = tmp_path_factory.mktemp("hostile") / "small"
    maker = StudyMaker(folder)  # a name of a study that could be markup is refused when it is read
    designs = [DENSE, TERNARY, LARGER, DENSE | {"channels": 32}, DENSE | {"channels": 48}]
    for number, (design, name) in enumerate(zip(designs, HOSTILE, strict=False)):
        maker.add(design, 16 + 2 * number, name=name, source=name)
    maker.add(DENSE | {"channels": 80}, None, name=HOSTILE[5], reason=HOSTILE[0])
    return study_report(folder)
