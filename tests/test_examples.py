"""Every example is a study that can be read, and the demo is a real search."""

from pathlib import Path

import pytest

from dse.studies.spec import read_study

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_a_study(path: Path) -> None:
    spec = read_study(path)
    assert spec.name in path.stem.replace("_", "-")
    assert spec.space.size > 100
