"""Non-zero entries of known matrices, per row and per tile, counted by hand."""

import dataclasses

import numpy as np
import pytest

from cost_models import (
    Layer,
    LayerKind,
    WeightSource,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.latency import Bound
from cost_models.row_loads import row_load, row_loads
from dse.design.published import published
from dse.networks.lowering import lower
from tests.cost_models.conftest import BIT_BY_BIT

# Rows with 4, 1, 0, 2, 3, 0 of 4 entries.
MASK = np.array(
    [[1, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=bool
)


def layer(mask, groups=1):
    outputs, inputs = mask.shape
    return Layer(
        name="layer",
        kind=LayerKind.CONVOLUTION,
        in_channels=inputs * groups,
        out_channels=outputs,
        in_frames=3,
        out_frames=3,
        groups=groups,
        weights=WeightSource.GENERATED,
        nonzeros=int(mask.sum()),
        nonzero_mask=np.packbits(mask).tobytes(),
        weight_bits=2,
    )


@pytest.mark.parametrize(
    ("rows", "together", "fullest", "dense", "skipping", "filled"),
    [
        (1, 1, (4, 1, 0, 2, 3, 0), 24, 10, 10),
        (1, 2, (4, 1, 0, 2, 3, 0), 12, 2 + 1 + 0 + 1 + 2 + 0, 5),
        (2, 1, (4, 2, 3), 12, 4 + 2 + 3, 5),
        (2, 4, (4, 2, 3), 3, 3, 2),
        (4, 1, (4, 3), 8, 4 + 3, 3),  # the last tile has two rows
        (6, 3, (4,), 2, 2, 1),
    ],
)
def test_rows_and_tiles_by_hand(rows, together, fullest, dense, skipping, filled):
    load = row_load(layer(MASK), rows, together)
    assert (load.fewest, load.most, load.nonzeros) == (0, 4, 10)
    assert (load.rows, load.entries_per_row, load.tiles) == (6, 4, len(fullest))
    assert load.fullest == fullest
    assert (load.dense_steps, load.skipping_steps, load.filled_steps) == (dense, skipping, filled)
    assert load.imbalance == skipping / filled


def test_no_tile_has_rows_of_two_groups():
    # Two groups of 3 rows, tiles of 2: rows 0-1, 2; 3-4, 5.
    assert row_load(layer(MASK, groups=2), 2, 1).fullest == (4, 0, 3, 0)


def test_a_matrix_of_zeros_takes_no_step():
    load = row_load(layer(np.zeros((4, 4), dtype=bool)), 2, 2)
    assert (load.skipping_steps, load.filled_steps, load.imbalance) == (0, 0, 1.0)


def test_the_cycles_of_a_machine_that_skips_are_these_steps():
    # Wide ports and a wide generator, so that the trees decide alone.
    machine = load_accelerator("kws_ternary_skipped")
    memories = tuple(
        dataclasses.replace(each, capacity_bits=10**9, bandwidth_bits_per_cycle=10**9, **BIT_BY_BIT)
        for each in machine.memories
    )
    generator = dataclasses.replace(machine.generator, trits_per_cycle=4096)
    machine = dataclasses.replace(machine, memories=memories, generator=generator)
    workload = lower(published("matchboxnet-3x1x64-P3"), frames=64, outputs=12)
    cost = estimate(workload, machine, load_technology(machine.technology), "latency")
    loads = {load.layer: load for load in row_loads(cost)}
    assert set(loads) == {each.layer.name for each in cost.layers if each.trits}
    for each in cost.layers:
        if load := loads.get(each.layer.name):
            frames = -(-each.layer.out_frames // each.mapping.unrolled[2])
            assert each.busy_cycles[Bound.COMPUTE] == load.skipping_steps * frames
            assert load.skipping_steps < load.dense_steps


def test_nothing_is_said_of_trained_or_unknown_matrices():
    machine = load_accelerator("kws_ternary")
    technology = load_technology(machine.technology)
    trained = lower(published("matchboxnet-3x1x64"), frames=64, outputs=12)
    assert row_loads(estimate(trained, machine, technology)) == []
    unknown = tuple(
        dataclasses.replace(each, nonzero_mask=b"")
        for each in lower(published("matchboxnet-3x1x64-P3"), frames=64, outputs=12).layers
    )
    assert row_loads(estimate(Workload("unknown", unknown), machine, technology)) == []
