"""The tour of the examples: the script as it stands, and the cells of the notebook in order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dse.rtl.icarus import has_icarus
from dse.studies.rows import load_results

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_python(arguments: list[str], folder: Path) -> str:
    """What a program of the examples prints."""
    environment = os.environ | {
        "DSE_TOUR": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(EXAMPLES.parent),
        "XDG_CACHE_HOME": str(folder.parent / "cache"),
    }
    ran = subprocess.run(
        [sys.executable, *arguments], cwd=EXAMPLES, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


BOTH = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print({cells_begin!r}, flush=True)
{cells}
print(len(prices), len(swept), int(swept['feasible'].sum()), len(results))
"""
"""The script, then the cells, in one process: what they load is loaded once."""
CELLS_BEGIN = "--- the cells of the notebook"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a tour; what the script and what the notebook printed."""
    pytest.importorskip("espeakng_loader", reason="pip install 'ternary-dse[synthesis]'")
    folder = tmp_path_factory.mktemp("tour") / "tour"
    program = BOTH.format(cells_begin=CELLS_BEGIN, cells="\n".join(notebook_cells()))
    script, cells = run_python(["-c", program, "tour.py", str(folder)], folder).split(CELLS_BEGIN)
    return folder, script, cells


def notebook_cells() -> list[str]:
    """The code of the notebook, cell by cell."""
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "clear the outputs"
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_the_script_goes_from_data_to_hardware(tour: tuple[Path, str, str]) -> None:
    folder, printed, _ = tour
    assert len(list((folder / "speech" / "yes").glob("*.wav"))) == 24
    results = load_results(folder / "studies" / "tour")
    assert (results["status"] == "trained").sum() == 4
    report = (folder / "report" / "tour.html").read_text()
    assert report.lstrip().lower().startswith("<!doctype html>")
    assert (folder / "report" / "tour.md").read_text().startswith("# ")
    assert (folder / "zigzag" / "hardware.yaml").is_file()
    # What leaves is what the study trained.
    (design,) = set(re.findall(r"dse export header .*/designs/(\w{12})/best\.pt", printed))
    ternary = results[(results["status"] == "trained") & (results["generated_weights"] > 0)]
    assert design in set(ternary["key"])
    assert f"({design}), trained, " in printed
    assert "C compiler: PASS" in printed or "not compiled" in printed
    if has_icarus():
        assert re.search(r"Icarus Verilog: PASS: [1-9]\d* trits, 0 mismatches", printed)


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_the_notebook_runs_cell_by_cell(tour: tuple[Path, str, str]) -> None:
    folder, _, printed = tour  # its study is complete: the cells go on with it
    count = len(load_results(folder / "studies" / "tour"))
    # Two designs on two machines; six designs on the same two, all within the limit.
    assert printed.splitlines()[-1] == f"4 12 12 {count}"
