"""Every reader of a file from outside, tried with damage: read, or refused in short sentences.

A fixed number of cases for each; four times as many with `pytest -m soak`, and as many as one likes
with `DSE_FUZZ_CASES=2000 pytest -m soak tests/field`. What reads is also priced where
it can be: an infinity or a size that no double holds must not come out of a reader alive.
"""

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml, read_yaml
from cost_models.writing import accelerator_yaml, technology_yaml
from dse.design.point import point_from_node
from dse.design.published import published
from dse.export.onnx import export_onnx
from dse.interchange.accelergy import import_tables
from dse.interchange.exporting import tool_files
from dse.interchange.nemo import import_nemo
from dse.interchange.nemo_export import nemo_yaml
from dse.interchange.onnx_import import import_onnx
from dse.interchange.scalesim import import_configuration
from dse.interchange.zigzag import import_hardware, import_workload, is_workload
from dse.networks.lowering import lower
from dse.rtl.area import _facts, default_library
from dse.studies.spec import read_study
from dse.training.source import untrained
from tests.field.mutations import (
    as_yaml,
    check_outcome,
    damaged_bytes,
    damaged_data,
    damaged_text,
)

ROOT = Path(__file__).parents[2]
DATA = ROOT / "cost_models" / "data"
FEW, MANY = 15, int(os.environ.get("DSE_FUZZ_CASES", "60"))
DESIGN = published("matchboxnet-1x1x16-P3")
WORKLOAD = lower(DESIGN, frames=32, outputs=4)
TECHNOLOGY = "low_leakage_45nm"


technology_of = functools.cache(load_technology)
machine_of = functools.cache(load_accelerator)


def priced(machine: Any) -> None:
    estimate(WORKLOAD, machine, technology_of(machine.technology)).columns()


def read_machine(path: Path) -> None:
    priced(load_accelerator(path))


def read_technology(path: Path) -> None:
    estimate(WORKLOAD, machine_of("kws_ternary"), load_technology(path)).columns()


def read_design(path: Path) -> None:
    lower(point_from_node(read_yaml(path)), frames=32, outputs=4)


def read_network(path: Path) -> None:
    network = import_nemo(path)
    lower(network.point, frames=network.frames or 32, outputs=network.outputs)


def read_hardware(path: Path) -> None:
    machine = import_hardware(path).machine
    accelerator_yaml(machine)
    priced(machine)


def read_layers(path: Path) -> None:
    if not is_workload(path):
        return
    workload = import_workload(path)
    estimate(workload, machine_of("kws_int8"), technology_of(TECHNOLOGY)).columns()


def read_configuration(path: Path) -> None:
    priced(import_configuration(path).machine)


def read_tables(path: Path) -> None:
    technology_yaml(import_tables(path, technology_of(TECHNOLOGY)).technology)


def read_library(path: Path) -> None:
    _facts.cache_clear()
    _facts((path,))


ERT = """
ERT:
  version: '0.4'
  tables:
  - name: system.mult8
    actions:
    - {name: mult_random, energy: 0.8, arguments: {global_cycle_seconds: 1e-09}}
    - {name: mult_gated, energy: 0}
  - name: system.GLB
    actions:
    - {name: read, arguments: {delta: 0}, energy: 4}
    - {name: read, arguments: {delta: 1}, average_energy: 8, min_energy: 2, max_energy: 9}
"""


def exported(tool: str, name: str) -> str:
    machine = load_accelerator("kws_int8" if tool == "zigzag" else "systolic_32x32")
    dense = lower(published("matchboxnet-1x1x16"), frames=32, outputs=4)
    return tool_files(tool, dense, machine, load_technology(machine.technology))[name]


YAML: dict[str, tuple[Callable[[Path], None], Callable[[], str]]] = {
    "study": (read_study, lambda: (ROOT / "examples" / "demo.yaml").read_text()),
    "machine": (read_machine, lambda: (DATA / "accelerators" / "kws_ternary.yaml").read_text()),
    "technology": (
        read_technology,
        lambda: (DATA / "technologies" / f"{TECHNOLOGY}.yaml").read_text(),
    ),
    "design": (read_design, lambda: as_yaml(DESIGN.to_dict())),
    "nemo": (read_network, lambda: nemo_yaml(published("matchboxnet-1x1x16"), outputs=4)),
    "zigzag_hardware": (read_hardware, lambda: exported("zigzag", "hardware.yaml")),
    "zigzag_workload": (read_layers, lambda: exported("zigzag", "workload.yaml")),
    "accelergy": (read_tables, lambda: ERT),
}
TEXTS: dict[str, tuple[Callable[[Path], None], Callable[[], str]]] = {
    **YAML,
    "scalesim": (read_configuration, lambda: exported("scalesim", "scalesim.cfg")),
    "liberty": (read_library, lambda: default_library().read_text()),
}


def tried(
    read: Callable[[Path], None], path: Path, cases: Iterator[Any], to_bytes: Callable[[Any], bytes]
) -> list[bool]:
    outcomes = []
    for case in cases:
        path.write_bytes(to_bytes(case))
        outcomes.append(check_outcome(lambda: read(path), case))
    return outcomes


def letters(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def try_values(kind: str, tmp_path: Path, count: int, seed: int) -> None:
    read, good = YAML[kind]
    plain = parse_yaml(good(), kind).plain()
    cases = damaged_data(plain, count, seed)
    outcomes = tried(read, tmp_path / "file.yaml", cases, lambda case: letters(as_yaml(case)))
    assert len(outcomes) == count
    assert False in outcomes  # the damage is seen


def try_letters(kind: str, tmp_path: Path, count: int, seed: int) -> None:
    read, good = TEXTS[kind]
    suffix = {"scalesim": "cfg", "liberty": "lib"}.get(kind, "yaml")
    cases = damaged_text(good(), count, seed)
    outcomes = tried(read, tmp_path / f"file.{suffix}", cases, letters)
    assert len(outcomes) == count
    assert False in outcomes


@pytest.mark.parametrize("kind", TEXTS)
def test_the_undamaged_file_is_read(kind: str, tmp_path: Path) -> None:
    read, good = TEXTS[kind]
    suffix = {"scalesim": "cfg", "liberty": "lib"}.get(kind, "yaml")
    path = tmp_path / f"file.{suffix}"
    path.write_text(good())
    read(path)


@pytest.mark.parametrize("kind", YAML)
def test_damaged_values_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    try_values(kind, tmp_path, FEW, seed=1)


@pytest.mark.parametrize("kind", TEXTS)
def test_damaged_letters_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    try_letters(kind, tmp_path, FEW, seed=2)


def graph(tmp_path: Path) -> bytes:
    path = tmp_path / "good.onnx"
    export_onnx(untrained(DESIGN, 4).network, path, in_channels=64, ternary="int8")
    return path.read_bytes()


def try_bytes(tmp_path: Path, count: int, seed: int) -> None:
    cases = damaged_bytes(graph(tmp_path), count, seed)

    def read(path: Path) -> None:
        import_onnx(path, frames=32)

    outcomes = tried(read, tmp_path / "file.onnx", cases, bytes)
    assert len(outcomes) == count
    assert False in outcomes


def test_damaged_graphs_are_read_or_refused(tmp_path: Path) -> None:
    try_bytes(tmp_path, 5 * FEW, seed=3)


@pytest.mark.soak
@pytest.mark.parametrize("kind", YAML)
def test_many_damaged_values_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    try_values(kind, tmp_path, MANY, seed=11)


@pytest.mark.soak
@pytest.mark.parametrize("kind", TEXTS)
def test_many_damaged_letters_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    try_letters(kind, tmp_path, MANY, seed=12)


@pytest.mark.soak
def test_many_damaged_graphs_are_read_or_refused(tmp_path: Path) -> None:
    try_bytes(tmp_path, 5 * MANY, seed=13)
