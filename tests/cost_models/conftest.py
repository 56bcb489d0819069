"""A machine and a technology with round numbers, so that a test's comment can derive its value.

Every constant has the band [value / 2, 2 * value]: so has every sum of them.
"""

import dataclasses
from typing import Any

import pytest

from cost_models import (
    Accelerator,
    ComputeArray,
    Constant,
    GeneratorUnit,
    MemoryLevel,
    Register,
    SramRow,
    SramTable,
    Technology,
)
from cost_models.leakage_class import LeakageClass
from cost_models.sram import PortLaw, Spread

IN_PROPORTION = PortLaw(
    source="made up for tests: a bit costs the same in words of any width",
    row_bits=0,
    row_exponent=0,
    read_flatness=0,
    write_bits=0,
    area_flatness=0,
    leakage_flatness=0,
)


def own(value: float) -> Constant:
    """A figure with the band that all of them have here."""
    return Constant(value=value, low=value / 2, high=2 * value, source="made up for tests")


BIT_BY_BIT: dict[str, Any] = {
    "word_bits": 1,
    "read_pj_per_bit": own(4.0),
    "write_pj_per_bit": own(32.0),
    "area_um2": own(900.0),
    "leakage_uw": own(5.0),
}
"""An ideal memory, for tests of what does not depend on words: each bit is read alone, at the
figures of the round technology's SRAM of 100,000 bits."""

ENERGIES = {
    "multiplication_pj_per_bit2": 0.01,
    "addition_pj_per_bit": 0.02,
    "accumulator_pj_per_bit": 0.03,
    "comparison_pj_per_bit": 0.5,
    "ternary_position_pj_per_bit": 0.04,
    "ternary_addition_pj_per_bit": 0.05,
    "tree_position_pj_per_bit": 0.06,
    "tree_addition_pj_per_bit": 0.07,
    "register_read_pj_per_bit": 0.3,
    "register_write_pj_per_bit": 0.4,
    "dram_pj_per_bit": 50.0,
    "generator_state_pj_per_bit": 0.1,
    "generator_decision_pj_per_bit": 0.2,
    "generator_mixing_pj_per_bit": 0.8,
    "generator_and_pj_per_input": 0.9,
    "generator_decoder_pj_per_gate": 1.1,
}

LEAKS = LeakageClass(level="low_leakage", devices="made up", temperature_k=300, voltage_v=0.9)


@pytest.fixture(scope="session")
def technology() -> Technology:
    """Energies as above, pJ; an SRAM of 1,000 bits reads at 1 and writes at 2 pJ a bit."""

    spread = Spread(low=0.5, high=2.0, source="made up for tests")
    constants = {
        name: own(ENERGIES.get(name, 1.0))
        for name, field in Technology.__dataclass_fields__.items()
        if field.type is Constant
    }
    assert set(ENERGIES) < set(constants)
    return Technology(
        name="round",
        description="round numbers",
        node_nm=45,
        voltage_v=0.9,
        logic_class=LEAKS,
        memory_class=LEAKS,
        sram=SramTable(
            source="made up for tests",
            word_bits=64,
            port_law=IN_PROPORTION,
            energy_spread=spread,
            area_spread=spread,
            leakage_spread=spread,
            rows=(
                SramRow(
                    capacity_bits=1_000,
                    read_pj_per_bit=1.0,
                    write_pj_per_bit=2.0,
                    area_um2=100.0,
                    leakage_uw=3.0,
                ),
                SramRow(
                    capacity_bits=100_000,
                    read_pj_per_bit=4.0,
                    write_pj_per_bit=32.0,
                    area_um2=900.0,
                    leakage_uw=5.0,
                ),
            ),
        ),
        **constants,
    )


def mac_array(**changes: object) -> ComputeArray:
    """4 x 2 MAC units, one weight and one sum each."""
    array = ComputeArray(
        name="macs",
        element="mac",
        rows=4,
        columns=2,
        weights=Register(capacity_bits=8),
        outputs=Register(capacity_bits=24),
    )
    return dataclasses.replace(array, **changes)


@pytest.fixture(scope="session")
def machine() -> Accelerator:
    """4 x 2 MAC units, 4 x 4 ternary adders, 2 vector lanes, 4 trits a cycle, two SRAMs.

    Weight memory: 1,000 bits, 32 a cycle. Activation memory: 100,000 bits, 64 a cycle. Both are
    read bit by bit, at the figures of the round technology.
    """
    adders = mac_array(
        name="adders",
        element="ternary_adder",
        columns=4,
        weights=Register(capacity_bits=2),
    )
    return Accelerator(
        name="tiny",
        description="round numbers",
        source="made up for tests",
        technology="round",
        clock_mhz=2.0,
        arrays=(mac_array(), adders),
        memories=(
            MemoryLevel(
                name="weight_sram",
                kind="sram",
                holds=("weights",),
                capacity_bits=1_000,
                bandwidth_bits_per_cycle=32,
                word_bits=1,
                read_pj_per_bit=own(1.0),
                write_pj_per_bit=own(2.0),
                area_um2=own(100.0),
                leakage_uw=own(3.0),
            ),
            MemoryLevel(
                name="activation_sram",
                kind="sram",
                holds=("inputs", "outputs"),
                capacity_bits=100_000,
                bandwidth_bits_per_cycle=64,
                **BIT_BY_BIT,
            ),
        ),
        vector_lanes=2,
        ternary_weights="generated",
        generator=GeneratorUnit(trits_per_cycle=4),
    )
