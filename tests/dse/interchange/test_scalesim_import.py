"""What a cfg of SCALE-Sim says, read or told: nothing in it is dropped in silence."""

from pathlib import Path

import pytest

from dse.errors import InvalidFile
from dse.interchange.imported import ImportedMachine
from dse.interchange.scalesim import import_configuration

CFG = """[general]
run_name = mine
[architecture_presets]
ArrayHeight: 16
ArrayWidth: 8
IfmapSramSzkB: 64
FilterSramSzkB: 32
OfmapSramSzkB: 16
IfmapOffset: 0
Bandwidth: 16
Dataflow: os
MemoryBanks: 1
[sparsity]
SparsitySupport: false
BlockSize: 4
[run_presets]
InterfaceBandwidth: USER
UseRamulatorTrace: False
"""


def read(tmp_path: Path, text: str) -> ImportedMachine:
    path = tmp_path / "scale.cfg"
    path.write_text(text, encoding="utf-8")
    return import_configuration(path)


def test_a_plain_file_needs_no_note(tmp_path: Path) -> None:
    found = read(tmp_path, CFG)
    assert found.notes == ()
    assert found.machine.arrays[0].sizes == (16, 8, 1)
    assert [memory.capacity_bits for memory in found.machine.memories[:3]] == [
        64 * 8192,
        32 * 8192,
        16 * 8192,
    ]
    assert found.machine.memories[3].bandwidth_bits_per_cycle == 16 * 8


@pytest.mark.parametrize("first", ["\ufeff", "\n\n", "; a comment\n", "# one, of, many, words\n"])
def test_what_stands_before_the_first_section_does_not_matter(first: str, tmp_path: Path) -> None:
    assert read(tmp_path, first + CFG).machine.arrays[0].sizes == (16, 8, 1)


@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("SparsitySupport: false", "SparsitySupport: True", "SparsitySupport is on, and left out"),
        ("Trace: False", "Trace: True", "UseRamulatorTrace is on, and left out: the DRAM is that"),
        ("USER", "CALC", "InterfaceBandwidth is CALC: SCALE-Sim gives the DRAM what the array nee"),
        ("Banks: 1", "Banks: 4", "MemoryBanks is 4, and left out"),
        ("Bandwidth: 16\n", "", "the file has no Bandwidth: 8 words of a byte a cycle are assumed"),
        (
            "[sparsity]",
            "[layout]\nFilterCustomLayout: True\n[sparsity]",
            "FilterCustomLayout is on, and left out: banks of an SRAM never wait",
        ),
        ("MemoryBanks", "MemoryBank", "not known, and left out: [architecture_presets] memorybank"),
        ("USER", "USER\nSparsitySupport: 1", "not known, and left out: [run_presets] sparsitysupp"),
        ("[sparsity]", "[power]\nvdd: 1\n[sparsity]", "not known, and left out: [power] vdd"),
    ],
)
def test_a_setting_that_has_no_place_is_told(old: str, new: str, note: str, tmp_path: Path) -> None:
    assert old in CFG
    [said] = read(tmp_path, CFG.replace(old, new)).notes
    assert said.startswith(note)


def test_sizes_of_version_1_have_no_unit_in_their_names(tmp_path: Path) -> None:
    assert read(tmp_path, CFG.replace("SzkB", "Sz")) == read(tmp_path, CFG)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Bandwidth: 16", "Bandwidth: 16, 16, 8", "Bandwidth has 3 values that differ"),
        ("Bandwidth: 16", "Bandwidth: fast", "Bandwidth must be a whole number from 1"),
        ("USER", "MINE", "InterfaceBandwidth must be CALC or USER, not 'MINE'"),
        ("ArrayHeight: 16", "ArrayHeight: 99999999", "must be at most 16,777,216 elements"),
        ("IfmapSramSzkB: 64", "IfmapSramSzkB: 999999999999", "must be a whole number from 1"),
        ("ArrayHeight: 16", "ArrayHeight: ١٦", "ArrayHeight must be a whole number from 1"),
        ("Dataflow: os\n", "", "Dataflow must be one of ws, os, is, not ''"),
        ("ArrayWidth: 8", "ArrayWidth: 8\nArrayWidth: 9", "is no cfg file of SCALE-Sim"),
    ],
)
def test_what_contradicts_itself_is_refused(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path, CFG.replace(old, new))


def test_equal_bandwidths_are_one(tmp_path: Path) -> None:
    three = CFG.replace("Bandwidth: 16", "Bandwidth: 16,16, 16")
    assert read(tmp_path, three) == read(tmp_path, CFG)


@pytest.mark.parametrize(
    "first",
    ["Layer name,IFMAP Height,IFMAP Width,Filter Height,\nconv1, 224, 224, 7,\n", "L,M,N,K,\n"],
)
def test_a_list_of_layers_is_called_one(first: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="is a topology or a layout of SCALE-Sim, a list of lay"):
        read(tmp_path, first)
