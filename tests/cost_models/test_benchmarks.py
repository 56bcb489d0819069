"""Scripts of `benchmarks/` find the packages, though two of them are called like packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["cost_models.py", "oracles.py", "run_zigzag.py"])
def test_scripts_find_the_packages(script, tmp_path):
    # As a person starts them, and from elsewhere: the first place to look is the script's folder.
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "usage: " in done.stdout
