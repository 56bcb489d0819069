"""Every example is a study that can be read, or a space that can be swept."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dse.studies.reading import read_study
from dse_cli.sweep import command as sweep

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))
SPACES = sorted((Path(__file__).parents[1] / "examples" / "spaces").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_study(path: Path) -> None:
    spec = read_study(path)
    assert spec.name in path.stem.replace("_", "-")
    assert spec.space.size > 100


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_an_example_of_a_space_is_swept(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep.parquet"
    found = CliRunner().invoke(
        sweep, [str(path), "--sample", "16", "--seed", "1", "--out", str(out)]
    )
    assert found.exit_code == 0, found.output
    assert "16 designs priced on 1 machine" in found.output
    assert "1000 frames, 29 outputs" in " ".join(found.output.split())
    assert out.exists()
