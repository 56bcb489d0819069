"""The example of a family of one's own, searched; its study is read without the file."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dse.errors import InvalidStudy
from dse.studies.reading import read_study
from dse.studies.study import open_study
from dse_cli import group
from search.study import run_study
from tests.search.test_workers import Watcher

EXAMPLE = Path(__file__).parents[2] / "examples" / "own-family"


def write(folder: Path, tones: Path, cache: Path) -> Path:
    """The example, small and on tones."""
    (folder / "cache").symlink_to(cache, target_is_directory=True)
    shutil.copy(EXAMPLE / "dilated.py", folder)
    given = yaml.safe_load((EXAMPLE / "study.yaml").read_text())
    given["data"] = {
        "folder": str(tones),
        "task": {"kind": "all_words", "silence": False},
        "features": {"coefficients": 16, "frames": 32, "variants": 1},
    }
    given |= {"recipe": {"epochs": 1}, "trainings": 2, "device": "cpu"}
    given["space"] |= {"channels": [8, 16], "blocks": [1, 2], "density": [0.25, 0.5]}
    given["baselines"] = [{"blocks": 2, "mixer": "dense", "channels": 16}]
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(given))
    return path


def run(file: Path, folder: Path, trainings: int = 2, base: Path | None = None) -> int:
    spec = read_study(file, trainings=trainings, base=base)
    cache = file.parent / "cache" if base is None else base / "cache"
    return run_study(spec, file.read_text(), folder, Watcher(), cache=cache).state.trained


def invoke(*words: str) -> str:
    result = CliRunner().invoke(group, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_the_example_is_searched_moved_priced_and_matched(
    tones: Path, tones_cache: Path, tmp_path: Path
) -> None:
    file, folder = write(tmp_path, tones, tones_cache), tmp_path / "study"
    assert run(file, folder) == 2
    study = open_study(folder)
    assert study.asked.space.family.name == "dilated"
    assert (folder / "dilated.py").read_text() == (EXAMPLE / "dilated.py").read_text()
    keys = {row.key for row in study.trained}
    assert all(study.build_point(row).key == row.key for row in study.trained)  # type: ignore[union-attr]

    # Its file changes: the study is refused, and has not changed itself.
    text = (tmp_path / "dilated.py").read_text()
    (tmp_path / "dilated.py").write_text(text.replace("kernel_size=3", "kernel_size=7"))
    with pytest.raises(InvalidStudy) as caught:
        run(file, folder, 3)
    assert f"{folder} was begun with another text of dilated.py (digest " in str(caught.value)
    assert "give the study another name" in str(caught.value)

    # Its file is gone, and the study was moved: what reads it reads its own copy.
    (tmp_path / "dilated.py").unlink()
    moved = folder.rename(tmp_path / "moved")
    assert {row.key for row in open_study(moved).trained} == keys
    assert run(moved / "study.yaml", moved, 3, base=tmp_path) == 3
    priced = json.loads(invoke("estimate", str(moved), "--json"))
    assert priced
    rows = json.loads(
        invoke("match", "--budget", "3k", "--like", str(moved), "--kind", "dense,ternary", "--json")
    )
    assert [row["mixer"] for row in rows] == ["dense", "ternary"]
    assert rows[0]["channels"] < rows[1]["channels"]
    design = next((moved / "designs").iterdir()) / "design.yaml"
    assert "trained parameters" in invoke("estimate", str(design))


def test_its_space_is_swept(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE / "dilated.py", tmp_path)
    file = tmp_path / "space.yaml"
    file.write_text("space: {family: dilated.py, channels: [8, 16], mixer: [dense, ternary]}\n")
    swept = invoke("sweep", str(file), "--out", str(tmp_path / "sweep.parquet"))
    assert "4 designs priced on 1 machine" in " ".join(swept.split())
    file.write_text("space: {family: other.py, channels: [8, 16]}\n")
    refused = CliRunner().invoke(group, ["sweep", str(file)])
    assert isinstance(refused.exception, ValueError)
    assert "other.py does not exist: check the name" in str(refused.exception)
    assert f"({file}:1)" in str(refused.exception)


def test_the_example_is_a_study() -> None:
    spec = read_study(EXAMPLE / "study.yaml")
    assert spec.space.size == 4 * 7 * 3 * (1 + 3)
    resolved = spec.resolved()
    assert resolved["space"]["family"]["file"] == "dilated.py"
