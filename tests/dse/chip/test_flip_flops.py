"""Flip-flops of an exported chip's blocks: counted by hand, by Yosys, and by the cost model."""

import json

import pytest

from cost_models import load_accelerator
from cost_models.area import vector_lane_flip_flops
from cost_models.control import collector_bits
from dse.chip.export import module_text
from dse.rtl.yosys import run_script
from tests.dse.chip.test_logic import ROWS


def flip_flops(folder, top, parameters):
    """What Yosys finds in a block; its files may need the loop nest's."""
    pytest.importorskip("pyosys")
    commands = []
    for name in {top, "loop_nest"}:
        (folder / f"{name}.v").write_text(module_text(name), encoding="utf-8")
        commands.append(f"read_verilog -DSYNTHESIS {name}.v")
    commands += [f"chparam -set {name} {value} {top}" for name, value in parameters.items()]
    commands += [f"hierarchy -top {top}", "proc", "flatten", "opt -full", "simplemap", "opt_clean"]
    run_script([*commands, "write_json found.json"], folder)
    [module] = json.loads((folder / "found.json").read_text())["modules"].values()
    kinds = [cell["type"] for cell in module["cells"].values()]
    return sum(1 for kind in kinds if "DFF" in kind)


def test_a_loop_nest_has_a_count_a_loop_its_addresses_and_whether_it_runs(tmp_path):
    sizes = {"LOOPS": 5, "COUNT_BITS": 6, "BITS": 4, "SECOND": 9}
    assert flip_flops(tmp_path, "loop_nest", sizes) == 5 * 6 + 4 + 9 + 1


@pytest.mark.parametrize(("rows", "columns"), [(3, 2), (2, 1)])
def test_a_collector_holds_the_sums_of_all_units(tmp_path, rows, columns):
    # Four lanes, which are fewer than the first's units and more than the second's: nothing is held
    # for lanes that no sum comes to.
    sizes = {"ROWS": rows, "COLUMNS": columns, "LANES": 4, "TREES": 1, "SUM_BITS": 20}
    # and which of its rows wait, 8 bits, and which score of a row is next: 4 bits
    assert flip_flops(tmp_path, "collector", sizes) == rows * columns * 20 + 8 + 4


def test_weights_wait_in_all_words_of_an_operand_but_the_last(tmp_path):
    nest = 2 * 4 + 10 + 1  # two counts of 4 bits, an address of 10, whether it runs
    held = 96 + 2 * 32  # an operand, and two of its three words while the last one is used
    # which word of it is asked for and which one came; read, the last one, valid; its first byte
    flow = 2 * 6 + 3 + 2
    # the word that was read last, and whether it is known; a word that waits, and whether one does
    kept = 10 + 1 + 32 + 1
    sizes = {"BITS": 32, "OPERAND_BITS": 96, "LOOPS": 2, "COUNT_BITS": 4, "ADDRESS_BITS": 10}
    assert flip_flops(tmp_path, "weight_fetch", sizes) == nest + held + flow + kept


@pytest.mark.parametrize("name", ["kws_int8", "kws_tiny"])
def test_whole_chips_have_the_flip_flops_that_the_model_counts(name):
    machine = load_accelerator(name)
    found = {
        (row["library"], row["part"]): float(row["flip_flops"])
        for row in ROWS
        if row["machine"] == name
    }
    lanes = machine.vector_lanes
    # of the vector unit beside its lanes: the sum of a mean, 24 bits; the first lane's score has 8
    # bits more; which record of a row; 5 flags of its stages; results of a word so far, 4 bits
    beside = 24 + 8 + (lanes - 1).bit_length() + 5 + 4
    [units] = (array for array in machine.arrays if array.element == "mac")
    for library in {library for library, _ in found}:
        vectors = lanes * vector_lane_flip_flops(machine.sum_bits) + beside
        assert found[library, "vector unit"] == vectors
        assert found[library, "collector"] == collector_bits(machine) + 8 + 4
        assert found[library, "MAC units and sums"] == units.elements * units.accumulator_bits
