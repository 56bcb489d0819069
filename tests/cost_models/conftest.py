"""A machine and a technology with round numbers, so that a test's comment can derive its value."""

import pytest

from cost_models import (
    Accelerator,
    ComputeArray,
    Constant,
    Generator,
    MemoryLevel,
    SramRow,
    SramTable,
    Technology,
)


@pytest.fixture(scope="session")
def technology() -> Technology:
    """Every constant another power of ten or a small digit, in pJ."""

    def made_up(value: float) -> Constant:
        return Constant(value=value, source="made up for tests")

    return Technology(
        name="round",
        description="round numbers",
        node_nm=45,
        voltage_v=0.9,
        multiplication_pj_per_bit2=made_up(0.01),
        addition_pj_per_bit=made_up(0.02),
        accumulator_pj_per_bit=made_up(0.03),
        ternary_position_pj_per_bit=made_up(0.04),
        ternary_addition_pj_per_bit=made_up(0.05),
        generator_state_pj_per_bit=made_up(0.1),
        generator_threshold_pj_per_bit=made_up(0.2),
        dram_pj_per_bit=made_up(50.0),
        sram=SramTable(
            source="made up for tests",
            word_bits=64,
            rows=(
                SramRow(capacity_bits=1_000, read_pj_per_bit=1.0, write_pj_per_bit=2.0),
                SramRow(capacity_bits=100_000, read_pj_per_bit=4.0, write_pj_per_bit=32.0),
            ),
        ),
    )


@pytest.fixture(scope="session")
def machine() -> Accelerator:
    """4 x 2 MAC units, 16 ternary adders, 2 vector lanes, 4 trits a cycle."""
    return Accelerator(
        name="tiny",
        description="round numbers",
        source="made up for tests",
        technology="round",
        clock_mhz=2.0,
        compute_array=ComputeArray(mac_rows=4, mac_columns=2, vector_lanes=2, ternary_adders=16),
        weight_memory=MemoryLevel(kind="sram", capacity_bits=1_000, bandwidth_bits_per_cycle=32),
        activation_memory=MemoryLevel(
            kind="sram", capacity_bits=100_000, bandwidth_bits_per_cycle=64
        ),
        ternary_weights="generated",
        generator=Generator(trits_per_cycle=4, state_bits=10, threshold_bits=3),
    )
