"""A study read back from its folder."""

import dataclasses
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.columns import COST_COLUMNS
from dse.design.policies import make_dense
from dse.errors import InvalidFile, InvalidInput, InvalidStudy
from dse.files import write_together
from dse.studies.folder import REPRICED, RESOLVED
from dse.studies.likeness import CONTROL
from dse.studies.reading import read_study
from dse.studies.resolved import parse_resolved, readable_yaml, resolved_yaml
from dse.studies.rows import Evaluation, Results, append_row
from dse.studies.study import open_study
from tests.studies import SMALL, begin, open_optuna_study

EVERYTHING = """
name: everything
data: {folder: speech, task: {kind: words, words: [yes, "no"]}, features: {frames: 64}}
space:
  blocks: {low: 1, high: 2}
  channels: {low: 16, high: 48, step: 16, per_block: true}
  policy: [P0, P2]
  density: {low: 0.125, high: 0.5, log: true}
hardware: {machine: [kws_ternary, kws_int8], clock_mhz: [5, 20]}
technology: low_leakage_45nm
recipe: {epochs: 12}
objectives: [error, quantised_error, energy_pj]
limits: {max_trained_parameters: 20000, max_error: 0.5, max_average_power_uw: 40}
rate: 25
baselines: [matchboxnet-3x1x64, {blocks: 1, policy: P0}]
rungs: {first: 2, factor: 3}
trainings: 4
epochs: 100
hours: 2.5
patience: {trainings: 3, improvement: 0.02}
seed: 7
"""


SENTENCES = """
name: sentences
data:
  folder: speech
  task: {kind: transcription, characters: [" ", a, n, "'"], longest_s: 12.5}
  features: {variants: 2}
space: {family: quartznet, blocks: [1, 2], policy: P0}
trainings: 4
"""


@pytest.mark.parametrize("text", [SMALL, EVERYTHING, SENTENCES])
def test_what_was_asked_comes_back_as_typed_parts(text: str, tmp_path: Path) -> None:
    asked = begin(tmp_path / "study", text, workers=3)
    study = open_study(tmp_path / "study")
    assert study.asked.resolved() == asked.resolved()
    for part in ("task", "features", "space", "hardware", "recipe", "budget", "measured_budget"):
        assert getattr(study.asked, part) == getattr(asked, part)
    assert (study.asked.effort, study.asked.rungs) == (asked.effort, asked.rungs)
    assert study.asked.baselines == asked.baselines
    assert study.begun.workers == 3


@pytest.mark.parametrize("path", sorted(Path("examples").glob("*.yaml")), ids=str)
def test_the_record_of_an_example_comes_back(path: Path) -> None:
    asked = read_study(path)
    box = {name: (0.0, 1.0) for name in asked.objectives}
    begun = dataclasses.replace(open_optuna_study().begun, box=box)
    text = resolved_yaml(asked, begun)
    again, known = parse_resolved(text, RESOLVED)
    assert again.resolved() == asked.resolved()
    assert resolved_yaml(again, known) == text


def test_what_could_not_be_read_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_optuna_study(EVERYTHING)
    assert readable_yaml(study.asked, study.begun, Path("x")) == resolved_yaml(
        study.asked, study.begun
    )
    monkeypatch.setattr("cost_models.strict_yaml.MAX_NODES", 100)
    with pytest.raises(InvalidStudy, match=r"could not be read again \(more than .* fewer values"):
        readable_yaml(study.asked, study.begun, Path("y"))


def test_a_pricing_that_was_killed_ends_when_the_study_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At none of its moves are rows of one price seen beside the record of another."""
    folder = tmp_path / "study"
    begin(folder, SMALL)
    new = (folder / RESOLVED).read_text().replace("trainings: 4", "trainings: 5")
    for moves in range(4):
        begin(folder, SMALL)
        (folder / "results.jsonl").write_text("")
        write_together(
            folder / REPRICED, {"results.jsonl": "new\n", RESOLVED: new, "study.yaml": "x"}
        )
        left = [moves]

        def move(path: Path, to: Path, left: list[int] = left, replace: Any = Path.replace) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return replace(path, to)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(Path, "replace", move)
            open_study(folder)
        assert open_study(folder).asked.trainings == 5
        assert (folder / "results.jsonl").read_text() == "new\n"
        assert not (folder / REPRICED).exists()


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match=r"holds no study \(no resolved\.yaml\)"):
        open_study(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trainings": None}, "trainings must be a whole number"),
        ({"older": 1}, "unknown key 'older'"),
        ({"schema_version": 2}, "schema_version must be one of 1"),
        ({"workers": 0}, "workers must be from 1 to 100,000, not 0"),
        (
            {"box": {"error": [0]}},
            "box must be the best value of each objective and a larger, worst one, not [0.0]",
        ),
        ({"accelerator": {"array": 1}}, "missing key 'accelerator.name'"),
        ({"limits": {"max_beauty": 1}}, "unknown limit 'max_beauty'"),
    ],
)
def test_a_damaged_record_is_one_sentence(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    begin(tmp_path)
    path = tmp_path / RESOLVED
    plain = parse_yaml(path.read_text(), "record").plain()
    path.write_text(dump_yaml(plain | change))
    with pytest.raises(InvalidFile, match=re.escape(message)) as caught:
        open_study(tmp_path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("from a backup, or search anew with this version")
    path.write_text("cut short")
    with pytest.raises(InvalidFile, match="must be a mapping"):
        open_study(tmp_path)


def test_rows_are_read_once_and_when_they_are_asked_for(tmp_path: Path) -> None:
    begin(tmp_path)
    calls: list[Path] = []

    def reader(folder: Path) -> Results:
        calls.append(folder)
        return Results(())

    study = open_study(tmp_path, reader)
    assert not calls
    assert study.frontier == study.trained == () and study.hypervolume == 0.0
    assert calls == [tmp_path]


def test_a_study_says_why_it_has_ended(tmp_path: Path) -> None:
    """Four trainings are asked for; by hand, one more is missing until the fourth."""
    spec = begin(tmp_path)
    assert open_study(tmp_path).ended_by == ""
    for trial in range(4):
        assert open_study(tmp_path).ended_by == ""
        append_row(tmp_path, row(trial, f"{trial}"))
    assert open_study(tmp_path).ended_by == f"{spec.trainings} designs are trained"


CONTROLLED = """
name: controlled
data: {folder: speech, task: {kind: commands}}
space: {blocks: [1, 2], channels: [16, 32], policy: [P0, P2], density: 0.25}
trainings: 400
patience: {trainings: 2, improvement: 0.99}
controls: auto
"""


def test_a_study_without_its_controls_has_not_ended(tmp_path: Path) -> None:
    """Patience is over after three trainings that bring nothing; a control is still owed."""
    asked = begin(tmp_path, CONTROLLED)
    ternary = asked.space.point({"blocks": 2, "channels": 32, "policy": "P2", "density": 0.25})
    values = {"blocks": 2, "channels": 32, "policy": "P2", "density": 0.25}
    cost = dict.fromkeys(COST_COLUMNS, 6.0) | {"trained_parameters": 900.0}
    for trial in range(4):
        key = ternary.key if trial == 0 else f"{trial:012d}"
        more = {"values": values} if trial == 0 else {}
        size = {} if trial == 0 else {"trained_parameters": 9e6, "energy_pj": 7.0}
        append_row(tmp_path, row(trial, key, cost=cost | size, error=0.5 + trial / 10, **more))
    found = open_study(tmp_path)
    assert [each.key for each in found.missing_controls] == [ternary.key]
    assert found.ended_by == ""
    no_control = dict(trial=-1, status="invalid", source=f"{CONTROL}{ternary.key}")
    append_row(tmp_path, dataclasses.replace(row(9, "", cost={}, error=None), **no_control))
    found = open_study(tmp_path)
    assert not found.missing_controls
    assert found.ended_by.startswith("the last 2 trainings raised the hypervolume by less than")


def test_a_machine_is_told_by_its_name() -> None:
    study = open_optuna_study(EVERYTHING)
    [*_, last] = study.asked.machines
    assert study.find_machine(row(0, "a", accelerator=last.accelerator.name)) == last
    with pytest.raises(InvalidInput, match="has no machine 'nobody'"):
        study.find_machine(row(0, "a", accelerator="nobody"))


def test_dense_networks_stay_what_they_are() -> None:
    space = open_optuna_study(EVERYTHING).asked.space
    dense = space.point({"blocks": 1, "channels_b1": 16, "policy": "P0"})
    ternary = space.point({"blocks": 1, "channels_b1": 16, "policy": "P2", "density": 0.25})
    assert make_dense(dense) is dense
    assert make_dense(ternary).key == dense.key


def row(trial: int, key: str, **fields: str) -> Evaluation:
    known = Evaluation(
        trial=trial,
        status="trained",
        source="search",
        key=key,
        error=0.5,
        epochs=1,
        cost=dict.fromkeys(COST_COLUMNS, 1.0),
    )
    return dataclasses.replace(known, **fields)  # type: ignore[arg-type]
