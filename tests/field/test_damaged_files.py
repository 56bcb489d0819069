"""Every reader of a file from outside, tried with damage: read, or refused in short sentences.

A fixed number of cases for each; four times as many with `pytest -m soak`, and as many as one likes
with `DSE_FUZZ_CASES=2000 pytest -m soak tests/field`. What reads is also priced where
it can be: an infinity or a size that no double holds must not come out of a reader alive.
"""

import functools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cost_models import estimate, load_accelerator, load_technology
from cost_models.cost import Cost
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
from dse.interchange.stream import import_core
from dse.interchange.zigzag import import_hardware, import_workload, is_workload
from dse.networks.lowering import lower
from dse.pricing.layers_file import read_layers as read_network_of_layers
from dse.pricing.layers_file import write_layers
from dse.pricing.priced import Layers
from dse.rtl.area import _facts, default_library
from dse.studies.reading import read_study
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
FEW = 15
MANY = max(FEW, int(os.environ.get("DSE_FUZZ_CASES", "60")))
DESIGN = published("matchboxnet-1x1x16-P3")
WORKLOAD = lower(DESIGN, frames=32, outputs=4)
TECHNOLOGY = "low_leakage_45nm"


technology_of = functools.cache(load_technology)
machine_of = functools.cache(load_accelerator)


# Readers of a file: each gives a figure of what it has read, above 0 for whole files.


def priced(machine: Any) -> float:
    cost = estimate(WORKLOAD, machine, technology_of(machine.technology))
    return figure_of(cost)


def figure_of(cost: Cost) -> float:
    cost.columns()
    return cost.latency_cycles


def read_machine(path: Path) -> float:
    return priced(load_accelerator(path))


def read_technology(path: Path) -> float:
    return figure_of(estimate(WORKLOAD, machine_of("kws_ternary"), load_technology(path)))


def read_design(path: Path) -> float:
    return lower(point_from_node(read_yaml(path)), frames=32, outputs=4).macs


def read_network(path: Path) -> float:
    network = import_nemo(path)
    return lower(network.point, frames=network.frames or 32, outputs=network.outputs).macs


def read_shown(path: Path) -> float:
    return read_network_of_layers(path)[0].workload.macs


def shown_text() -> str:
    """A network as `dse dashboard` hands it to the page."""
    layers = lower(published("matchboxnet-1x1x16-P3"), frames=32, outputs=4)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "layers.json"
        write_layers(Layers("small", layers), path, ("a note",))
        return path.read_text()


def read_hardware(path: Path) -> float:
    machine = import_hardware(path).machine
    accelerator_yaml(machine)
    return priced(machine)


def read_core(path: Path) -> float:
    return priced(import_core(path, "0").machine)


def core_text() -> str:
    """Two cores within one file: an array, and the memory outside."""
    whole = parse_yaml(exported("zigzag", "hardware.yaml"), "hardware").plain()
    last = list(whole["memories"])[-1]
    outside = {"memories": {last: whole["memories"].pop(last)}}
    link = {"type": "link", "cores": [0, 1], "bandwidth": 64}
    return as_yaml(
        {"cores": {"0": whole, "1": outside}, "offchip_core_id": 1, "core_connectivity": [link]}
    )


def read_layers(path: Path) -> float:
    """Of what is a list; anything else is none of its business, and has no figure."""
    if not is_workload(path):
        return 0.0
    workload = import_workload(path)
    return figure_of(estimate(workload, machine_of("kws_int8"), technology_of(TECHNOLOGY)))


def read_configuration(path: Path) -> float:
    return priced(import_configuration(path).machine)


def read_tables(path: Path) -> float:
    technology = import_tables(path, technology_of(TECHNOLOGY)).technology
    technology_yaml(technology)
    return technology.multiplication_pj_per_bit2.value


def read_library(path: Path) -> float:
    _facts.cache_clear()
    return _facts((path,)).nand2_um2


def read_plan(path: Path) -> float:
    return read_study(path).space.size


def read_graph(path: Path) -> float:
    return import_onnx(path, frames=32).macs


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


Reader = Callable[[Path], float]


def exported(tool: str, name: str) -> str:
    machine = load_accelerator("kws_int8" if tool == "zigzag" else "systolic_32x32")
    dense = lower(published("matchboxnet-1x1x16"), frames=32, outputs=4)
    return tool_files(tool, dense, machine, load_technology(machine.technology))[name]


def nemo_text() -> str:
    return nemo_yaml(published("matchboxnet-1x1x16"), outputs=4)


YAML: dict[str, tuple[Reader, Callable[[], str]]] = {
    "study": (read_plan, lambda: (ROOT / "examples" / "demo.yaml").read_text()),
    "machine": (read_machine, lambda: (DATA / "accelerators" / "kws_ternary.yaml").read_text()),
    "technology": (
        read_technology,
        lambda: (DATA / "technologies" / f"{TECHNOLOGY}.yaml").read_text(),
    ),
    "design": (read_design, lambda: as_yaml(DESIGN.to_dict())),
    "nemo": (read_network, nemo_text),
    "layers": (read_shown, shown_text),
    "zigzag_hardware": (read_hardware, lambda: exported("zigzag", "hardware.yaml")),
    "stream": (read_core, core_text),
    "zigzag_workload": (read_layers, lambda: exported("zigzag", "workload.yaml")),
    "accelergy": (read_tables, lambda: ERT),
}
TEXTS: dict[str, tuple[Reader, Callable[[], str]]] = {
    **YAML,
    "scalesim": (read_configuration, lambda: exported("scalesim", "scalesim.cfg")),
    "liberty": (read_library, lambda: default_library().read_text()),
}


def file_of(kind: str, tmp_path: Path) -> Path:
    suffix = {"scalesim": "cfg", "liberty": "lib", "onnx": "onnx"}.get(kind, "yaml")
    return tmp_path / f"file.{suffix}"


def tried(
    read: Reader, path: Path, cases: Iterator[Any], to_bytes: Callable[[Any], bytes]
) -> list[bool]:
    """Whether each case was read; a case that is neither read nor refused properly raises."""
    outcomes = []
    for case in cases:
        path.write_bytes(to_bytes(case))
        outcomes.append(check_outcome(lambda: read(path), case))
    return outcomes


def letters(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def try_values(kind: str, tmp_path: Path, count: int, seed: int) -> list[bool]:
    read, good = YAML[kind]
    cases = damaged_data(parse_yaml(good(), kind).plain(), count, seed)
    return tried(read, file_of(kind, tmp_path), cases, lambda case: letters(as_yaml(case)))


def try_letters(kind: str, tmp_path: Path, count: int, seed: int) -> list[bool]:
    read, good = TEXTS[kind]
    return tried(read, file_of(kind, tmp_path), damaged_text(good(), count, seed), letters)


def try_bytes(tmp_path: Path, count: int, seed: int) -> list[bool]:
    cases = damaged_bytes(graph(tmp_path), count, seed)
    return tried(read_graph, file_of("onnx", tmp_path), cases, bytes)


def graph(tmp_path: Path) -> bytes:
    path = tmp_path / "good.onnx"
    export_onnx(untrained(DESIGN, 4).network, path, in_channels=64, ternary="int8")
    return path.read_bytes()


@pytest.mark.parametrize("kind", TEXTS)
def test_the_undamaged_file_is_read(kind: str, tmp_path: Path) -> None:
    read, good = TEXTS[kind]
    path = file_of(kind, tmp_path)
    path.write_text(good())
    assert 0 < read(path) < math.inf


def test_the_undamaged_graph_is_read(tmp_path: Path) -> None:
    path = file_of("onnx", tmp_path)
    path.write_bytes(graph(tmp_path))
    assert read_graph(path) == WORKLOAD.macs


# Damage of a kind that is never refused was not seen, and one that is always refused says nothing
# of the readers behind the first check: both have to be among the cases.


@pytest.mark.parametrize("kind", YAML)
def test_damaged_values_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = Counter(try_values(kind, tmp_path, FEW, seed=4))
    assert outcomes.total() == FEW
    assert outcomes[False] and outcomes[True]


@pytest.mark.parametrize("kind", TEXTS)
def test_damaged_letters_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = Counter(try_letters(kind, tmp_path, FEW, seed=2))
    assert outcomes.total() == FEW
    assert outcomes[False] and outcomes[True]


def test_damaged_graphs_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = Counter(try_bytes(tmp_path, 5 * FEW, seed=3))
    assert outcomes.total() == 5 * FEW
    assert outcomes[False] and outcomes[True]


@pytest.mark.soak
@pytest.mark.parametrize("kind", YAML)
def test_many_damaged_values_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = Counter(try_values(kind, tmp_path, MANY, seed=11))
    assert outcomes.total() == MANY
    assert outcomes[False] and outcomes[True]


@pytest.mark.soak
@pytest.mark.parametrize("kind", TEXTS)
def test_many_damaged_letters_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes = Counter(try_letters(kind, tmp_path, MANY, seed=12))
    assert outcomes.total() == MANY
    assert outcomes[False] and outcomes[True]


@pytest.mark.soak
def test_many_damaged_graphs_are_read_or_refused(tmp_path: Path) -> None:
    outcomes = Counter(try_bytes(tmp_path, 5 * MANY, seed=13))
    assert outcomes.total() == 5 * MANY
    assert outcomes[False] and outcomes[True]
