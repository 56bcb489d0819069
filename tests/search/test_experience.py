"""Priors and earlier studies on the disk: what a study begins with, and what is left out."""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dse.errors import InvalidFile
from dse.studies.folder import EXPERIENCE, RESOLVED
from dse.studies.reading import read_study
from dse.studies.rows import read_rows
from dse.studies.study import open_study
from search.common import NAMES
from search.experience import (
    SHIPPED,
    experience_text,
    prepare,
    read_experience,
    read_prior,
    read_task,
)
from search.transfer import Experience, Hyper, Task
from tests.field.mutations import check_outcome, damaged_data, damaged_text
from tests.field.test_own_files import as_json
from tests.search.test_study_effort import Quiet, run

SMALL = Experience(
    (Task("one", np.arange(2.0 * len(NAMES)).reshape(2, -1) / 4, np.array([0.25, 0.5])),),
    Hyper(variance=0.1, lengths=(2.0,) * len(NAMES), own_share=0.5, noise=0.01),
)


class Listening(Quiet):
    """Keeps what a person would be told of the data and of earlier studies."""

    def __init__(self, stop_after_epochs: int | None = None) -> None:
        super().__init__(stop_after_epochs)
        self.told: list[str] = []

    def data(self, findings: Sequence[str]) -> None:
        self.told += findings


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    path.write_text(experience_text(SMALL, ["one"]))
    found = read_prior(path)
    assert found.hyper == SMALL.hyper and found.tasks[0].name == "one"
    assert (found.tasks[0].features == SMALL.tasks[0].features).all()
    assert found.tasks[0].errors.tolist() == [0.25, 0.5]
    assert read_experience(tmp_path) is None


def test_a_prior_of_another_feature_set_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "prior.json"
    text = experience_text(SMALL, [])
    for old, new in (("networks-1", "networks-0"), ("depth", "height")):
        path.write_text(text.replace(old, new))
        with pytest.raises(InvalidFile, match="is a prior of the feature set 'networks-"):
            read_prior(path)


def test_a_study_with_a_prior_that_it_cannot_use_leaves_no_folder(
    study_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "prior.json"
    path.write_text(experience_text(SMALL, []).replace("networks-1", "networks-0"))
    with pytest.raises(InvalidFile) as refused:
        run(study_file, tmp_path / "study", prior=str(path))
    assert str(refused.value) == (
        f"{path} is a prior of the feature set 'networks-0', and this program describes networks "
        "by 'networks-1': make it anew (python benchmarks/prior.py), or use prior: shipped"
    )
    assert not (tmp_path / "study").exists()


def test_damaged_priors_are_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / EXPERIENCE
    good = experience_text(SMALL, ["one"])
    cases = [*damaged_text(good, 60, seed=1)]
    cases += [as_json(case) for case in damaged_data(json.loads(good), 150, seed=2)]
    outcomes = set()
    for case in cases:
        path.write_text(case, encoding="utf-8", errors="surrogatepass")
        outcomes.add(check_outcome(lambda: read_experience(tmp_path), case))
        outcomes.add(check_outcome(lambda: read_prior(path), case))
    assert outcomes == {True, False}


@pytest.mark.usefixtures("untrained")
def test_a_study_begins_with_what_others_learnt_and_goes_on_with_that(
    study_file: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    run(study_file, first, trainings=3)
    task, left_out = read_task(open_study(first))
    trained = [row for row in read_rows(first) if row.full and row.values]
    assert len(task.errors) == len(trained) and not left_out
    assert sorted(task.errors) == sorted(row.error for row in trained)
    changes = {"warm_start": (first.resolve(),), "prior": "shipped", "trainings": 5}
    undisturbed = run(study_file, tmp_path / "one", **changes)
    begun = read_experience(tmp_path / "one")
    shipped = read_prior(SHIPPED)
    assert begun is not None and begun.hyper == shipped.hyper
    names = [each.name for each in begun.tasks]
    assert names == [*(each.name for each in shipped.tasks), "tones"]
    with pytest.raises(KeyboardInterrupt):
        run(study_file, tmp_path / "two", Quiet(8), **changes)
    resumed = run(study_file, tmp_path / "two", **changes)
    assert [row.key for row in resumed.rows] == [row.key for row in undisturbed.rows]


@pytest.mark.usefixtures("untrained")
def test_what_a_study_began_with_stays_until_its_file_says_otherwise(
    study_file: Path, tmp_path: Path
) -> None:
    first, folder = tmp_path / "first", tmp_path / "second"
    run(study_file, first, trainings=2)
    folder.mkdir()
    spec = dataclasses.replace(read_study(study_file), warm_start=(first,), prior="shipped")
    assert prepare(spec, folder, [open_study(first)]) == []
    begun = (folder / EXPERIENCE).read_bytes()
    run(study_file, first, trainings=3)  # the earlier study goes on meanwhile
    prepare(spec, folder, [open_study(first)])
    assert (folder / EXPERIENCE).read_bytes() == begun
    prepare(dataclasses.replace(spec, prior="none"), folder, [open_study(first)])
    again = read_experience(folder)
    assert again is not None and [each.name for each in again.tasks] == ["tones"]
    prepare(dataclasses.replace(spec, prior="none", warm_start=()), folder, [])
    assert not (folder / EXPERIENCE).exists()


@pytest.mark.usefixtures("untrained")
def test_the_shape_alone_has_no_tables_and_nothing_is_drawn_at_random(
    study_file: Path, tmp_path: Path
) -> None:
    study_file.write_text(study_file.read_text() + "prior: shape\n")
    first = run(study_file, tmp_path / "first", trainings=3)
    begun = read_experience(tmp_path / "first")
    assert begun is not None and not begun.tasks and begun.hyper == read_prior(SHIPPED).hyper
    # A seed would draw other designs; the model's first one does not depend on it.
    study_file.write_text(study_file.read_text() + "seed: 7\n")
    other = run(study_file, tmp_path / "other", trainings=3)
    assert [row.key for row in first.rows if row.source == "search"][:1] == [
        row.key for row in other.rows if row.source == "search"
    ][:1]


@pytest.mark.usefixtures("untrained")
def test_earlier_studies_that_are_damaged_are_named_and_left_out(
    study_file: Path, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("good", "torn", "old")]
    run(study_file, folders[0], trainings=3)
    for folder in folders[1:]:
        folder.mkdir()
        for name in (RESOLVED, "results.jsonl"):
            (folder / name).write_bytes((folders[0] / name).read_bytes())
    lines = (folders[1] / "results.jsonl").read_text().splitlines(keepends=True)
    (folders[1] / "results.jsonl").write_text("".join(['{"schema_version": 3}\n', *lines[1:]]))
    text = (folders[2] / RESOLVED).read_text()
    changed, count = re.subn("schema_version: 1", "schema_version: 99", text)
    assert count == 1
    (folders[2] / RESOLVED).write_text(changed)
    watcher = Listening()
    run(
        study_file,
        tmp_path / "new",
        watcher,
        trainings=4,
        warm_start=tuple(folder.resolve() for folder in folders),
    )
    told = "\n".join(watcher.told)
    assert f"{folders[1]}: schema_version 3 cannot be read" in told
    assert f"warm_start leaves out {folders[2]}" in told and str(folders[0]) + ":" not in told
    begun = read_experience(tmp_path / "new")
    assert begun is not None and len(begun.tasks) == 2
    assert len(begun.tasks[1].errors) <= len(begun.tasks[0].errors)


@pytest.mark.usefixtures("untrained")
def test_other_samplers_and_studies_without_any_have_no_experience(
    study_file: Path, tmp_path: Path
) -> None:
    run(study_file, tmp_path / "plain", trainings=2)
    assert not (tmp_path / "plain" / EXPERIENCE).exists()
    assert read_study(study_file).prior == "none"
    run(study_file, tmp_path / "random", trainings=2, sampler="random", prior="shipped")
    assert not (tmp_path / "random" / EXPERIENCE).exists()
