"""Who may import whom: `search -> dse -> cost_models`, and the dashboard beside the search."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"cost_models", "dse", "search", "dashboard"}
MAY_IMPORT = {
    "cost_models": {"cost_models"},
    "dse": {"dse", "cost_models"},
    "search": {"search", "dse", "cost_models"},
    "dashboard": {"dashboard", "dse", "cost_models"},
}
PURE = {"numpy", "yaml"}  # besides the standard library: all that cost_models imports
TORCH = {
    "dse.activations",
    "dse.augmentation",
    "dse.checkpoint",
    "dse.batches",
    "dse.devices",
    "dse.evaluation",
    "dse.export.checkpoint",
    "dse.export.comparison",
    "dse.export.integer",
    "dse.export.integer_batch",
    "dse.export.onnx_int8",
    "dse.export.source",
    "dse.fast",
    "dse.fast.depthwise",
    "dse.fast.dropout",
    "dse.fast.forward",
    "dse.fast.norm",
    "dse.fast.pointwise",
    "dse.feature_computation",
    "dse.features",
    "dse.interchange.onnx",
    "dse.network",
    "dse.optimisers",
    "dse.pictures",
    "dse.processor",
    "dse.schedules",
    "dse.scoring",
    "dse.steps",
    "dse.ternary_convolution",
    "dse.training",
}
LAZY_TORCH = "dse.mixers"  # only within functions


def modules() -> list[Path]:
    return sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module, and whether it is loaded when the file is.

    Not when the import stands in a function, or under `if TYPE_CHECKING`.
    """

    def visit(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", at_once
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if guarded or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_once = False
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_once)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def top(name: str) -> str:
    return name.split(".")[0]


def test_tells_what_is_loaded_at_once(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom c import d\n"
        "if TYPE_CHECKING:\n    import e\n"
        "try:\n    import f\nexcept ImportError:\n    pass\n"
        "def g():\n    import h\n"
    )
    assert dict(imports(path)) == {"a.b": True, "c.d": True, "e": False, "f": True, "h": False}


def test_finds_the_packages():
    assert {top(module_name(path)) for path in modules()} == OURS


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_imports_only_downwards(path):
    package = top(module_name(path))
    ours = {name for name, _ in imports(path) if top(name) in OURS}
    upwards = sorted(name for name in ours if top(name) not in MAY_IMPORT[package])
    assert not upwards, f"{path}: {package} may not import {', '.join(upwards)}"


@pytest.mark.parametrize("path", sorted((ROOT / "cost_models").rglob("*.py")), ids=module_name)
def test_cost_models_are_pure(path):
    known = PURE | {"cost_models"} | sys.stdlib_module_names
    others = sorted(name for name, _ in imports(path) if top(name) not in known)
    assert not others, f"{path}: cost_models may not import {', '.join(others)}"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_torch_only_where_networks_are_built_and_trained(path):
    name = module_name(path)
    found = [at_once for imported, at_once in imports(path) if top(imported) == "torch"]
    if name == LAZY_TORCH or name.startswith(f"{LAZY_TORCH}."):
        assert not any(found), f"{path}: import torch within the function that needs it"
    elif name not in TORCH:
        assert not found, f"{path}: torch is for {', '.join(sorted(TORCH))}"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_optuna_only_in_search(path):
    if top(module_name(path)) != "search":
        assert not [name for name, _ in imports(path) if top(name) == "optuna"]


@pytest.mark.parametrize(
    "module",
    [
        "cost_models",
        "dse.budget",
        "dse.frontier",
        "dse.lowering",
        "dse.point",
        "dse.published",
        "dse.results",
        "dse.space",
        "search.cli",
        "search.cli.estimate",
    ],
)
def test_loads_neither_torch_nor_optuna(module):
    code = f"import sys, {module}; print(*sorted({{'torch', 'optuna'}} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.split() == []
