"""What a study was asked: the part of its folder that readers of results need.

A study is a folder:

    study.yaml       as the person gave it
    resolved.yaml    with every default spelled out, and the box of its hypervolume
    study.db         Optuna's storage
    results.jsonl    one row per evaluated design (`dse.studies.rows`)
    designs/KEY/     of each trained design: design.yaml, history.csv, best.pt, last.pt and
                     evaluation.json
    frontier.csv, frontier.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models.strict_yaml import read_yaml
from dse.errors import InvalidStudy

RESOLVED = "resolved.yaml"
GIVEN = "study.yaml"
DESIGNS = "designs"

PARTS = {
    "name": str,
    "base_folder": str,
    "data_folder": str,
    "objectives": list,
    "limits": dict,
    "box": dict,
    "accelerator": dict,
    "technology": dict,
}
"""What every record has, and of which kind."""


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study's question, read back from its folder."""

    folder: Path
    resolved: dict[str, Any]

    @property
    def name(self) -> str:
        """The study's name."""
        return str(self.resolved["name"])

    @property
    def objectives(self) -> tuple[str, ...]:
        """Columns that are minimised."""
        return tuple(self.resolved["objectives"])

    @property
    def limits(self) -> dict[str, float]:
        """`max_...` and `min_...` of columns."""
        return dict(self.resolved["limits"])

    @property
    def rate(self) -> float:
        """Inferences a second, of the average power; 1 where the study does not say."""
        rate = self.resolved.get("rate")
        return float(rate) if isinstance(rate, int | float) else 1.0

    @property
    def box(self) -> dict[str, list[float]]:
        """Objective -> best and worst value of the hypervolume's box."""
        return dict(self.resolved["box"])

    @property
    def machine(self) -> str:
        """Names of the accelerator and of its technology; where there are several, how many."""
        hardware = self.resolved.get("hardware")
        if isinstance(hardware, dict):
            return f"{len(hardware['machines'])} machines"
        return f"{self.resolved['accelerator']['name']}, {self.resolved['technology']['name']}"


def read_record(folder: Path) -> StudyRecord:
    """Read what a study was asked.

    Raises:
        InvalidStudy: the folder holds no study, or its record lacks a part.
        InvalidFile: the record is not YAML.
    """
    path = folder / RESOLVED
    if not path.exists():
        raise InvalidStudy(
            f"{folder} holds no study (no {RESOLVED}): name a folder that `dse search` made"
        )
    resolved = read_yaml(path).plain()
    if not isinstance(resolved, dict):
        resolved = {}
    missing = [part for part, kind in PARTS.items() if not isinstance(resolved.get(part), kind)]
    missing += [
        f"{part}.name"
        for part in ("accelerator", "technology")
        if part not in missing and "name" not in resolved[part]
    ]
    if missing:
        raise InvalidStudy(f"{path} lacks {', '.join(missing)}: restore the file from a backup")
    return StudyRecord(folder, resolved)
