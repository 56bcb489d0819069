"""A kill between two axes of a proposal: what is left is decided as it would have been."""

import dataclasses
from pathlib import Path
from typing import Any

import optuna
import pytest

from dse.studies.reading import read_study
from dse.studies.rows import Evaluation
from search import loop as loop_module
from search.study import run_study


class Quiet:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def numbers(rows: list[Evaluation]) -> list[dict[str, Any]]:
    clock = {"finished_at": "", "training_seconds": None}
    return [dataclasses.replace(row, **clock).to_dict() for row in rows]


class _Killed(BaseException):
    pass


HARDWARE = """
hardware: {machine: [kws_ternary, kws_int8], clock_mhz: [5, 20], arrays: {macs: {columns: [4, 8]}}}
objectives: [error, energy_pj, area_um2]
"""


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("sampler", "more"),
    [
        *((name, "") for name in ("known_cost", "tpe", "nsga2", "gp", "qmc", "random")),
        pytest.param("known_cost", HARDWARE, marks=pytest.mark.soak),
    ],
    ids=lambda value: "hardware" if "hardware" in value else value,
)
def test_a_half_decided_trial_is_decided_as_undisturbed(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str, more: str
) -> None:
    study_file.write_text(study_file.read_text() + more)
    spec = dataclasses.replace(read_study(study_file), sampler=sampler, trainings=6)  # type: ignore[arg-type]
    text, cache = study_file.read_text(), study_file.parent / "cache"
    whole = run_study(spec, text, tmp_path / "whole", Quiet(), cache=cache)

    real = loop_module.suggest
    for axes, number in ((1, 2), (3, 5)):

        def half(
            trial: optuna.Trial, space: Any, axes: int = axes, number: int = number
        ) -> dict[str, Any]:
            if trial.number == number:

                class Counting:
                    """Lets some axes be decided, then dies."""

                    left = axes

                    def __getattr__(self, name: str) -> Any:
                        if self.left == 0:
                            raise _Killed
                        self.left -= 1
                        return getattr(trial, name)

                return real(Counting(), space)  # type: ignore[arg-type]
            return real(trial, space)

        monkeypatch.setattr(loop_module, "suggest", half)
        with pytest.raises(_Killed):
            run_study(spec, text, tmp_path / "killed", Quiet(), cache=cache)
        monkeypatch.setattr(loop_module, "suggest", real)
    final = run_study(spec, text, tmp_path / "killed", Quiet(), cache=cache)
    assert numbers(final.rows) == numbers(whole.rows)
