import shutil
from pathlib import Path

import pytest

from cost_models import (
    Component,
    InvalidFile,
    InvalidInput,
    accelerator_names,
    load_accelerator,
    load_technology,
    technology_names,
)
from cost_models.library import DATA
from cost_models.strict_yaml import read_yaml


def test_names_what_it_has():
    assert {"horowitz_45nm", "synthesis_45nm"} <= set(technology_names())
    assert {"kws_int8", "kws_int8_dram", "kws_ternary", "kws_ternary_skipped"} <= set(
        accelerator_names()
    )


@pytest.mark.parametrize("name", technology_names())
def test_every_technology_loads_and_has_sources(name):
    technology = load_technology(name)
    assert technology.name == name
    assert all(len(source) > 20 for source in technology.sources.values())
    # every mapping with a value has a source, at any depth
    nodes = [read_yaml(DATA / "technologies" / f"{name}.yaml")]
    while nodes:
        node = nodes.pop()
        if isinstance(node.value, dict):
            assert "value" not in node.value or "source" in node.value, node.where
            nodes += node.value.values()


@pytest.mark.parametrize("name", accelerator_names())
def test_every_machine_loads_and_has_a_technology(name):
    machine = load_accelerator(name)
    assert machine.name == name
    assert len(machine.source) > 20
    technology = load_technology(machine.technology)
    for memory in (machine.weight_memory, machine.activation_memory):
        if memory.kind == "sram":
            assert technology.sram.read_pj_per_bit(memory.capacity_bits) > 0


def test_sram_takes_more_energy_the_larger_it_is():
    for name in technology_names():
        rows = load_technology(name).sram.rows
        reads = [row.read_pj_per_bit for row in rows]
        assert reads == sorted(reads)


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
            "no machine is called 'kws_int88': did you mean 'kws_int8'? known are kws_int8, ",
        ),
        (load_technology, "zzz", "no technology is called 'zzz': known are horowitz_45nm, "),
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


def test_the_document_names_every_constant_component_and_machine():
    text = (Path(__file__).parents[2] / "docs" / "model.md").read_text(encoding="utf-8")
    constants = load_technology("horowitz_45nm").sources
    for name in [*constants, *Component, *technology_names(), *accelerator_names()]:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("column", ["horowitz_45nm", "synthesis_45nm"])
def test_the_document_quotes_the_constants(column):
    text = (Path(__file__).parents[2] / "docs" / "model.md").read_text(encoding="utf-8")
    technology = load_technology(column)
    index = 2 if column == "horowitz_45nm" else 3
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    quoted = {row[1]: row[index].split()[0] for row in rows if len(row) == 5 and row[index]}
    for name in technology.sources:
        if name != "sram":
            assert float(quoted[f"`{name}`"]) == getattr(technology, name).value, name
