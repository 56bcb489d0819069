"""Folders of studies for tests that search nothing: the record as `dse search` writes it."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from dse.studies.folder import RESOLVED
from dse.studies.reading import read_study
from dse.studies.resolved import Begun, resolved_yaml
from dse.studies.spec import StudySpec
from dse.studies.study import Study

BOX = {"error": (0.0, 1.0), "quantised_error": (0.0, 1.0), "energy_pj": (4.0, 8.0)}

SMALL = """
name: small
data: {folder: speech, task: {kind: commands}}
space: {blocks: [1, 2], channels: [16, 32], policy: P0}
trainings: 4
"""


@functools.cache
def read(text: str) -> StudySpec:
    """A study file; reading its machine and technology takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.yaml"
        path.write_text(text)
        return read_study(path)


def begin(folder: Path, text: str = SMALL, **begun: Any) -> StudySpec:
    """Write the record of a study; `begun` changes what `dse.studies.resolved.Begun` has."""
    study = open_optuna_study(text, folder=folder, **begun)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESOLVED).write_text(resolved_yaml(study.asked, study.begun), encoding="utf-8")
    return study.asked


def open_optuna_study(text: str = SMALL, *, folder: Path = Path("nowhere"), **begun: Any) -> Study:
    """A study that lies in no folder."""
    asked = read(text)
    box = {name: BOX.get(name, (0.0, 9.0)) for name in asked.objectives}
    known = {"data_key": "d4ta", "outputs": 12, "box": box, "workers": 1} | begun
    return Study(folder, asked, Begun(**known))
