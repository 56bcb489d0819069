"""Whatever a machine is given more of, less energy *and* less time cost area, leakage, or a limit.

`tests/cost_models/test_clock.py` grows sizes, ports, lanes, clock and voltage; here is everything
else that a machine file says, so that a new key has to be put into one of the two lists.
"""

import dataclasses
from collections.abc import Callable

import pytest

from cost_models import Accelerator, ComputeArray, GeneratorUnit, MemoryLevel, Register
from cost_models.errors import InvalidInput
from cost_models.library import load_accelerator
from tests.cost_models.test_clock import LOW_LEAKAGE, is_free, point

KWS = load_accelerator("kws_ternary")
Change = Callable[[Accelerator], Accelerator]


def of_array(name: str, **changes: object) -> Change:
    def change(machine: Accelerator) -> Accelerator:
        arrays = tuple(
            dataclasses.replace(each, **changes) if each.name == name else each  # type: ignore[arg-type]
            for each in machine.arrays
        )
        return dataclasses.replace(machine, arrays=arrays)

    return change


def without_trees(change: Change) -> Change:
    def changed(machine: Accelerator) -> Accelerator:
        macs = tuple(each for each in machine.arrays if each.name == "macs")
        stored = dataclasses.replace(machine, arrays=macs, generator=None, ternary_weights="stored")
        return change(stored)

    return changed


def of_memory(name: str, **changes: object) -> Change:
    def change(machine: Accelerator) -> Accelerator:
        memories = tuple(
            dataclasses.replace(each, **changes) if each.name == name else each  # type: ignore[arg-type]
            for each in machine.memories
        )
        return dataclasses.replace(machine, memories=memories)

    return change


def saved(states: int) -> Change:
    return lambda machine: dataclasses.replace(
        machine, generator=GeneratorUnit(trits_per_cycle=32, saved_states=states)
    )


def registers(array: str, operand: str, bits: list[int]) -> list[Change]:
    return [of_array(array, **{operand: Register(capacity_bits=each)}) for each in bits]


LADDERS: dict[str, list[Change]] = {
    "latched": [of_array("trees", latched=()), of_array("trees", latched=("inputs",))],
    # without trees, as arrays share what they take operands from
    "latched of macs": [
        without_trees(of_array("macs", latched=())),
        without_trees(of_array("macs", latched=("inputs",))),
    ],
    "saved_states": [saved(0), saved(1)],
    "accumulators": registers("trees", "outputs", [24, 96, 384, 1_536, 6_144]),
    "weights of macs": registers("macs", "weights", [8, 32, 128, 512, 2_048]),
    "weights of trees": registers("trees", "weights", [2, 8, 32, 128, 512]),
    "inputs of macs": [
        of_array("macs", latched=(), inputs=Register(capacity_bits=bits))
        for bits in (8, 32, 128, 512)
    ],
    "lanes": [of_array("macs", lanes=lanes) for lanes in (1, 2, 4, 8)],
    "operand_bits": [of_array("macs", operand_bits=bits) for bits in (8, 16)],
    "accumulator_bits": [
        of_array("macs", accumulator_bits=bits, outputs=Register(capacity_bits=bits))
        for bits in (24, 32, 48)
    ],
    **{
        f"ports of {name}": [of_memory(name, ports=ports) for ports in ("shared", "separate")]
        for name in ("input_buffer", "weight_sram", "activation_sram")
    },
    "clock_gates": [
        lambda machine, gates=gates: dataclasses.replace(machine, clock_gates=gates)
        for gates in (False, True)
    ],
    "double_buffered": [of_memory("input_buffer", double_buffered=it) for it in (True, False)],
    "word_bits": [of_memory("activation_sram", word_bits=bits) for bits in (8, 16, 32, 64)],
}

ELSEWHERE = {
    # in test_clock: sizes, ports, lanes, clocks
    "rows",
    "columns",
    "capacity_bits",
    "bandwidth_bits_per_cycle",
    "vector_lanes",
    "trits_per_cycle",
    "clock_mhz",
    # what a part is, not how much of it there is
    *("name", "description", "source", "where", "technology", "kind", "element", "holds"),
    *("arrays", "memories", "generator", "spec", "interconnect", "zero_handling", "dataflow"),
    *("depthwise", "bypass", "saturates", "ternary_weights", "residency", "input_memory"),
    *("shared_along", "asleep", "fitted"),
    # prices of the machine's own
    *("operation_pj", "element_um2", "latch_pj_per_bit", "read_pj_per_bit", "write_pj_per_bit"),
    *("leakage_uw", "area_um2"),
}
HERE = {
    *("latched", "saved_states", "weights", "inputs", "outputs", "lanes", "operand_bits"),
    *("accumulator_bits", "ports", "double_buffered", "word_bits"),
    "clock_gates",
}


def test_every_key_of_a_machine_is_in_a_list() -> None:
    parts = (Accelerator, ComputeArray, MemoryLevel, GeneratorUnit, Register)
    keys = {field.name for part in parts for field in dataclasses.fields(part)}
    assert keys == ELSEWHERE | HERE


@pytest.mark.parametrize("name", LADDERS)
def test_no_more_of_anything_is_free(name: str) -> None:
    last = None
    steps = limits = 0
    for change in LADDERS[name]:
        try:
            changed = change(KWS)
        except InvalidInput:
            limits += 1
            continue
        found = point(changed, LOW_LEAKAGE)
        if found is None:
            limits += 1
            continue
        if last is not None:
            assert not is_free(last, found), (last, found)
            steps += 1
        last = found
    assert steps or limits
    assert last is not None
