"""The house: which rooms there are, on which floor each stands, and what each may import.

Packages stand on a ladder, `dse_cli -> dashboard, search -> dse -> cost_models`, and the rooms of
`dse` on floors of their own. A room imports rooms of lower floors only, so that there is no circle
and a newcomer can read the house from the ground up.
"""

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import Room, floors, sources
from tests.house import imports as read_imports
from tests.house import module_name as name_in

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "cost_models": {"cost_models"},
    "dse": {"dse", "cost_models"},
    "search": {"search", "dse", "cost_models"},
    "dashboard": {"dashboard", "dse", "cost_models"},
    "dse_cli": {"dse_cli", "search", "dse", "cost_models"},
}
"""The dashboard is a program of its own, which the command line starts as a process."""

FLOORS = (
    {"errors", "columns", "colours", "pareto"},
    {"files", "sheets", "processes"},
    {"processor", "ternary"},
    {"design", "speech"},
    {"networks"},
    {"training", "pricing"},
    {"studies"},
    {"report", "export", "rtl", "interchange"},
    {"chip"},
    {"workbench"},
)
"""Rooms of `dse`, the ground first. Rooms of one floor do not know each other."""

PURE = {"numpy", "yaml"}  # besides the standard library: all that cost_models imports
READS_FILES = {f"cost_models.{name}" for name in ("allowed", "reading", "strict_yaml")}
"""May import pydantic too, in functions: what computes must not need it, nor load it."""
OF_TORCH = {"processor", "speech", "networks", "training", "export"}
"""Rooms of `dse` that may import torch."""
TORCH_FREE = (
    "cost_models",
    "dse",
    "dse.colours",
    "dse.columns",
    "dse.pareto",
    "dse.ternary.matrix",
    "dse.design.published",
    "dse.design.space_file",
    "dse.speech.task",
    "dse.speech.speech_commands",
    "dse.networks.layer_graph",
    "dse.networks.lowering",
    "dse.training.history",
    "dse.training.best_scores",
    "dse.training.recipe",
    "dse.pricing.sweep",
    "dse.pricing.what_if",
    "dse.studies.rows",
    "dse.studies.reading",
    "dse.studies.on_machines",
    "dse.report",
    "dse.workbench.costs",
    "dse.workbench.training",
    "dse.workbench.reports",
    "dse.interchange.nemo",
    "dse.rtl.export",
    "dse_cli",
    "dse_cli.estimate",
    "dse_cli.search",
    "search.workbench",
)
"""What must load in a fraction of a second, in a fresh interpreter without torch and Optuna."""


def modules() -> list[Path]:
    return sources(ROOT)


@functools.cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Each imported name, and whether it is loaded at once: five tests ask, one parse answers."""
    return tuple(read_imports(path))


def module_name(path: Path) -> str:
    return name_in(path, ROOT)


def top(name: str) -> str:
    return name.split(".")[0]


def room(name: str) -> str:
    """`dse.pricing.sweep.Sweep` is in the room `pricing`."""
    return name.split(".")[1] if "." in name else ""


def floor(name: str) -> int:
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


def test_tells_what_is_loaded_at_once(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom c import d\n"
        "if TYPE_CHECKING:\n    import e\n"
        "try:\n    import f\nexcept ImportError:\n    pass\n"
        "def g():\n    import h\n"
    )
    assert dict(imports(path)) == {"a.b": True, "c.d": True, "e": False, "f": True, "h": False}


def test_a_circle_of_rooms_is_counted_once():
    arrows = {"a": "", "b": "ac", "c": "b", "d": "c"}
    rooms = {name: Room(1, 1, 0, frozenset(imported)) for name, imported in arrows.items()}
    # b and c wait for each other: b is set down on a, and its arrow to c leads back up.
    assert floors(rooms) == ({"a": 0, "b": 1, "c": 2, "d": 3}, 1)


def test_finds_the_packages():
    assert {top(module_name(path)) for path in modules()} == set(MAY_IMPORT)


def test_every_room_has_a_floor():
    rooms = {room(module_name(path)) for path in (ROOT / "dse").rglob("*.py")} - {""}
    assert rooms == set().union(*FLOORS)


def test_the_ground_is_files_and_all_above_are_folders():
    loose = {path.stem for path in (ROOT / "dse").glob("*.py")} - {"__init__"}
    assert loose == FLOORS[0] | FLOORS[1] | {"processor"}


def test_packages_import_only_downwards():
    upwards = [
        f"{module_name(path)} may not import {name}"
        for path in modules()
        for name, _ in imports(path)
        if top(name) in MAY_IMPORT and top(name) not in MAY_IMPORT[top(module_name(path))]
    ]
    assert upwards == []


def test_one_place_writes_csv():
    """A guard against formulas that one of nine writers forgets is none."""
    writes = re.compile(r"csv\.(?:writer|DictWriter)\(|\.to_csv\(")
    found = [path for path in modules() if writes.search(path.read_text(encoding="utf-8"))]
    assert [module_name(path) for path in found] == ["dse.sheets"]


def test_one_function_makes_paths_of_keys():
    """A key may be another's (of a copied study, a shared storage): `dse.files.inside` looks."""
    bare = re.compile(r" / (?:\w+\.)*key\b| / f\"[^\"]*\{(?:\w+\.)*key\b")
    assert bare.search("folder / row.key") and bare.search('folder / f"{row.key}.csv"')
    found = [path for path in modules() if bare.search(path.read_text(encoding="utf-8"))]
    assert [module_name(path) for path in found] == []


def test_a_room_imports_rooms_below_it():
    upwards = [
        f"{module_name(path)} may not import {name}"
        for path in modules()
        for name, _ in imports(path)
        if top(name) == top(module_name(path)) == "dse"
        and room(module_name(path))  # `dse` itself is a docstring
        and room(name) != room(module_name(path))
        and floor(room(name)) >= floor(room(module_name(path)))
    ]
    assert upwards == []


def test_cost_models_are_pure():
    """pydantic reads files: only the modules that do may import it, and not at once."""
    others = []
    for path in sorted((ROOT / "cost_models").rglob("*.py")):
        reads = module_name(path) in READS_FILES
        for name, at_once in imports(path):
            late = reads and not at_once and top(name) in ("pydantic", "pydantic_core")
            if not late and top(name) not in PURE | {"cost_models"} | sys.stdlib_module_names:
                others.append(f"{module_name(path)} may not import {name}")
    assert others == []


def test_torch_only_where_networks_are_built_and_trained():
    found = [
        f"{module_name(path)} imports {name}: torch is for {', '.join(sorted(OF_TORCH))}"
        for path in modules()
        for name, _ in imports(path)
        if top(name) == "torch"
        and not (top(module_name(path)) == "dse" and room(module_name(path)) in OF_TORCH)
    ]
    assert found == []


def test_optuna_only_in_search():
    """And in what asks its evaluators of importance, which touch no storage."""
    found = [
        f"{module_name(path)} imports {name}"
        for path in modules()
        for name, _ in imports(path)
        if top(name) == "optuna"
        and top(module_name(path)) != "search"
        and module_name(path) != "dashboard.importance"
    ]
    assert found == []


def test_loads_neither_torch_nor_optuna():
    """One after the other in one fresh interpreter: the first that loads one is named."""
    code = (
        "import importlib, sys\n"
        "for module in sys.argv[1:]:\n"
        "    importlib.import_module(module)\n"
        "    if loaded := {'torch', 'optuna'} & set(sys.modules):\n"
        "        sys.exit(f'{module} loads {sorted(loaded)}')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *TORCH_FREE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("first", ["dse.design.published", "search.suggest", "cost_models"])
def test_a_benchmark_that_is_run_by_its_path_gets_the_packages(first: str) -> None:
    """Two of them are named like packages, and their folder comes first there."""
    folder = ROOT / "benchmarks"
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r})\n"
        f"import {first}, search.versions, cost_models, dse.design.point\n"
        "print(cost_models.__file__, search.__file__, sep='\\n')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    places = [Path(line).parent for line in ran.stdout.split()]
    assert [place.name for place in places] == ["cost_models", "search"]
    assert folder not in places
