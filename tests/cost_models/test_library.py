import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cost_models import (
    Accelerator,
    Component,
    InvalidFile,
    InvalidInput,
    Technology,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.library import DATA
from cost_models.reading import adapter, build
from cost_models.strict_yaml import read_yaml
from dse.design.published import published
from dse.networks.lowering import lower


def test_names_what_it_has():
    assert technology_names() == sorted(technology_names())
    assert {"horowitz_45nm", "synthesis_45nm", "sky130_130nm", "asap7_7nm"} <= set(
        technology_names()
    )
    # What was asked for: three published machines, a spotter with and without ternary trees and a
    # generator, and one without DRAM; and what they are compared with.
    assert accelerator_names() == [
        "edge_tpu_like",
        "eyeriss_like",
        "kws_int8",
        "kws_int8_dram",
        "kws_ternary",
        "kws_ternary_skipped",
        "kws_ternary_stored",
        "kws_tiny",
        "systolic_32x32",
        "tpu_like",
    ]


def every_mapping(path):
    nodes = [read_yaml(path)]
    while nodes:
        node = nodes.pop()
        if isinstance(node.value, dict):
            yield node
            nodes += node.value.values()
        elif isinstance(node.value, list):
            nodes += node.value


@pytest.mark.parametrize("path", sorted(DATA.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_constant_has_a_source(path):
    found = 0
    for node in every_mapping(path):
        if "value" in node.value or ("rows" in node.value and "word_bits" in node.value):
            assert len(node.value["source"].value) > 15, node.where
            found += 1
    assert found > 10 or path.parent.name == "accelerators"


@pytest.mark.parametrize("name", technology_names())
def test_every_technology_loads(name):
    assert load_technology(name).name == name


@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_loads(name):
    machine = load_accelerator(name)
    assert machine.name == name
    assert len(machine.source) > 20
    assert len(machine.description) > 20
    # Messages can name the line of each memory.
    lines = (DATA / "accelerators" / f"{name}.yaml").read_text().splitlines()
    for memory in machine.memories:
        file, line = memory.where.rsplit(":", 1)
        assert Path(file).name == f"{name}.yaml"
        assert f"name: {memory.name}" in lines[int(line) - 1]


def test_machines_are_distinct():
    descriptions = {load_accelerator(name).description for name in accelerator_names()}
    assert len(descriptions) == len(accelerator_names())
    hardware = {
        (machine.arrays, machine.memories, machine.ternary_weights)
        for machine in map(load_accelerator, accelerator_names())
    }
    assert len(hardware) == len(accelerator_names())


def test_spotters_differ_in_what_they_say():
    int8, dram, ternary, skipped = (
        load_accelerator(name)
        for name in ("kws_int8", "kws_int8_dram", "kws_ternary", "kws_ternary_skipped")
    )
    assert ternary.memories == int8.memories
    assert ternary.arrays[0] == int8.arrays[0]
    assert ternary.arrays[1].element == "ternary_tree"
    assert int8.generator is None and ternary.generator is not None
    assert dataclasses.replace(skipped.arrays[1], zero_handling="dense") == ternary.arrays[1]
    assert [memory.kind for memory in dram.memories].count("dram") == 1
    assert all(memory.kind != "dram" for memory in load_accelerator("kws_tiny").memories)


def test_stored_and_generated_trits_differ_in_nothing_else():
    stored, generated = (load_accelerator(f"kws_ternary{end}") for end in ("_stored", ""))
    told = {name: getattr(stored, name) for name in ("name", "description", "source")}
    without = dataclasses.replace(generated, **told, ternary_weights="stored", generator=None)
    assert without == stored


@pytest.mark.parametrize("policy, saved", [("P3", (0.04, 0.12)), ("P4", (0.10, 0.25))])
def test_what_generating_saves_is_told_on_the_same_trees(policy, saved):
    """Against int8 arithmetic it would be 28 and 48 %, most of which is the trees'."""
    workload = lower(published(f"matchboxnet-3x1x64-{policy}@4x32"), frames=128, outputs=12)
    generated, stored, int8 = (
        estimate(workload, machine, load_technology(machine.technology)).energy.mid
        for machine in map(load_accelerator, ("kws_ternary", "kws_ternary_stored", "kws_int8"))
    )
    assert saved[0] < 1 - generated / stored < saved[1]
    assert 1 - generated / int8 > 2 * (1 - generated / stored)


@pytest.mark.parametrize("policy", ["P3", "P4"])
def test_row_by_row_the_same_trees_are_better_off_with_stored_trits(policy):
    """The trees take 4 rows a pass; a register that emits rows makes them work on 4 frames."""
    workload = lower(published(f"matchboxnet-3x1x64-{policy}"), frames=128, outputs=12)
    generated, stored = (
        estimate(workload, machine, load_technology(machine.technology))
        for machine in map(load_accelerator, ("kws_ternary", "kws_ternary_stored"))
    )
    assert 1.1 < generated.energy_pj / stored.energy_pj < 1.8
    assert 1.8 < generated.latency_cycles / stored.latency_cycles < 3


DENSE, P1, P3 = (f"matchboxnet-3x1x64{policy}" for policy in ("", "-P1", "-P3"))
NETWORKS = {name: lower(published(name), frames=128, outputs=35) for name in (DENSE, P1, P3)}


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_runs_matchboxnet(name, network):
    machine, workload = load_accelerator(name), NETWORKS[network]
    cost = estimate(workload, machine, load_technology(machine.technology))
    ternary = sum(layer.generated_weights for layer in workload.layers)
    assert (ternary > 0) == (network != DENSE)
    assert cost.columns()["macs"] == workload.macs
    generated = cost.columns()["generated_weights"]
    assert generated == (ternary if machine.ternary_weights == "generated" else 0)
    assert 0 < cost.energy.low <= cost.energy.mid <= cost.energy.high
    assert cost.latency_cycles * sum(array.elements for array in machine.arrays) >= workload.macs
    if name != "kws_tiny":
        assert cost.misfits == ()


@pytest.mark.parametrize("name", ["kws_ternary", "kws_ternary_skipped"])
def test_generated_weights_save_storage_and_weight_traffic(name):
    machine = load_accelerator(name)
    technology = load_technology(machine.technology)
    dense, ternary = (estimate(NETWORKS[network], machine, technology) for network in (DENSE, P1))
    stored = dense.columns()["stored_bits"] - ternary.columns()["stored_bits"]
    entries = sum(layer.generated_weights for layer in NETWORKS[P1].layers)
    assert stored > 0.8 * 8 * entries  # start states and batch norms remain
    assert ternary.energies_pj[Component.GENERATOR] > 0
    assert dense.energies_pj[Component.GENERATOR] == 0
    assert ternary.traffic_bits("weights") < dense.traffic_bits("weights")


def test_reads_a_file_of_the_same_form(tmp_path):
    path = tmp_path / "mine.yaml"
    shutil.copy(DATA / "accelerators" / "kws_int8.yaml", path)
    assert load_accelerator(path).name == "mine"
    assert load_accelerator(str(path)) == load_accelerator(path)


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (
            load_accelerator,
            "kws_int88",
            "no machine is called 'kws_int88': did you mean 'kws_int8'? known are edge_tpu_like, ",
        ),
        (load_technology, "zzz", "no technology is called 'zzz': known are asap7_7nm, "),
    ],
)
def test_an_unknown_name_lists_the_known(load, name, message):
    with pytest.raises(InvalidInput) as error:
        load(name)
    assert str(error.value).startswith(message)
    assert str(error.value).endswith("; a file of your own ends in .yaml")


@pytest.mark.parametrize("name", ["../accelerators/kws_int8", "/etc/passwd", ""])
def test_a_name_is_not_a_path(name):
    with pytest.raises(InvalidInput, match="no technology is called"):
        load_technology(name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidFile, match="does not exist"):
        load_accelerator(tmp_path / "none.yaml")


def test_names_do_not_come_from_the_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: other\n")
    with pytest.raises(InvalidFile, match="unknown key 'name'"):
        load_accelerator(path)


def test_what_is_plainly_right_is_read_without_pydantic_and_as_pydantic_reads_it() -> None:
    code = (
        "import sys; from cost_models import *\n"
        "for name in accelerator_names(): load_accelerator(name)\n"
        "for name in technology_names(): load_technology(name)\n"
        "assert 'pydantic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for folder, cls in (("accelerators", Accelerator), ("technologies", Technology)):
        for path in sorted((DATA / folder).glob("*.yaml")):
            plain = read_yaml(path).plain() | {"name": path.stem}
            by_pydantic = adapter(cls).validate_json(json.dumps([plain]))[0]
            assert build(cls, read_yaml(path), name=path.stem) == by_pydantic
