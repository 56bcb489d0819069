"""The roofline: derived by hand, and never below what a layer reaches."""

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_models import (
    Accelerator,
    GeneratorUnit,
    Technology,
    accelerator_names,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.roofline import roofline
from cost_models.workload import Layer, LayerKind, WeightSource, Workload
from dse.design.published import published
from dse.networks.lowering import lower


def pointwise(in_channels: int, out_channels: int, frames: int) -> Layer:
    return Layer(
        name="pw",
        kind=LayerKind.POINTWISE,
        in_channels=in_channels,
        out_channels=out_channels,
        in_frames=frames,
        out_frames=frames,
        weights=WeightSource.TRAINED,
        rescaled=False,
    )


def roofs(machine: Accelerator, technology: Technology, *layers: Layer) -> list[Any]:
    return roofline(estimate(Workload("test", layers), machine, technology))


def test_by_hand(machine: Accelerator, technology: Technology) -> None:
    # 2 inputs, 4 outputs, 6 frames on 4 x 2 MAC units: all 8 weights at once, 6 passes of 8.
    # Weights: 8 * 8 bits over a port of 32: 2 cycles, 48 operations / 64 bits. Inputs 2 * 6 * 8 =
    # 96 bits, outputs 4 * 6 * 8 = 192: 288 bits over a port of 64, 5 cycles (4.5). So the array's
    # roof is 8, weights' 48 / 2 = 24, activations' 48 / 5 = 9.6; with 4 lanes for 24 sums, 6
    # cycles, the vector unit's is 8, too; it reaches 8.
    lanes = dataclasses.replace(machine, vector_lanes=4)
    [roof] = roofs(lanes, technology, pointwise(2, 4, 6))
    assert (roof.layer, roof.array, roof.operations, roof.peak) == ("pw", "macs", 48, 8)
    assert roof.intensity == {
        "weight_sram": pytest.approx(48 / 64),
        "activation_sram": pytest.approx(48 / 288),
    }
    assert (roof.attainable, roof.limit, roof.reached) == (8.0, "macs", 8.0)
    # 2 lanes take 12 cycles
    [roof] = roofs(machine, technology, pointwise(2, 4, 6))
    assert (roof.attainable, roof.limit, roof.reached) == (4.0, "vector unit", 4.0)


def test_the_lowest_roof_is_the_limit(machine: Accelerator, technology: Technology) -> None:
    # 1 input, 8 outputs, 4 frames: 32 operations in 4 cycles at 8 a cycle. Outputs of 8 * 4 * 8 =
    # 256 bits and inputs of 32 take ceil(288 / 64) = 5 cycles: 6.4 a cycle.
    lanes = dataclasses.replace(machine, vector_lanes=8)
    [roof] = roofs(lanes, technology, pointwise(1, 8, 4))
    assert (roof.limit, roof.attainable) == ("activation_sram", pytest.approx(6.4))
    assert roof.reached == pytest.approx(6.4)


def test_only_convolutions_have_roofs() -> None:
    machine = load_accelerator("kws_ternary")
    workload = lower(published("matchboxnet-3x1x64-P3"), frames=128, outputs=12)
    cost = estimate(workload, machine, load_technology(machine.technology))
    names = [roof.layer for roof in roofline(cost)]
    assert names == [layer.name for layer in workload.layers if layer.weight_entries]
    by_name = {roof.layer: roof for roof in roofline(cost)}
    assert by_name["B1.0.pw"].array == "trees" and by_name["B1.0.dw"].array == "macs"
    # Of a generated matrix, memories hold 3 records of 48 bits that start the generator, and those
    # of 128 channels, in 99 words of 64: 64 x 128 entries, 128 frames.
    assert by_name["Conv2.0.pw"].intensity["weight_sram"] == 64 * 128 * 128 / (99 * 64)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 20),
    st.sampled_from(["edp", "energy", "latency"]),
)
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_layer_reaches_more_than_its_roofs_allow(
    machine: Accelerator,
    technology: Technology,
    in_channels: int,
    out_channels: int,
    frames: int,
    objective: Any,
) -> None:
    workload = Workload("test", (pointwise(in_channels, out_channels, frames),))
    [roof] = roofline(estimate(workload, machine, technology, objective))
    assert roof.reached <= roof.attainable <= roof.peak
    assert roof.limit in ("macs", "weight_sram", "activation_sram", "vector unit")


@pytest.mark.parametrize("name", accelerator_names())
def test_networks_stay_below_their_roofs_on_all_machines(name: str) -> None:
    machine = load_accelerator(name)
    technology = load_technology(machine.technology)
    for design in ("matchboxnet-3x1x64", "matchboxnet-3x1x64-P4"):
        workload = lower(published(design), frames=128, outputs=12)
        for roof in roofline(estimate(workload, machine, technology)):
            assert roof.reached <= roof.attainable * (1 + 1e-12) <= roof.peak * (1 + 1e-12)


def test_skipped_zeros_are_no_operations() -> None:
    """With a generator that never lacks trits, skipping would seem to beat its array's peak."""
    machine = load_accelerator("kws_ternary_skipped")
    wide = [
        dataclasses.replace(memory, bandwidth_bits_per_cycle=512, capacity_bits=131_072)
        if memory.name == "input_buffer"
        else memory
        for memory in machine.memories
    ]
    machine = dataclasses.replace(
        machine, generator=GeneratorUnit(trits_per_cycle=4_096), memories=tuple(wide)
    )
    workload = lower(published("matchboxnet-3x1x64-P3@4x32"), frames=128, outputs=12)
    cost = estimate(workload, machine, load_technology(machine.technology), "latency")
    for layer, roof in zip(
        [each for each in cost.layers if each.layer.weight_entries], roofline(cost), strict=True
    ):
        if layer.layer.weights is WeightSource.GENERATED:
            assert roof.operations == layer.layer.nonzeros * layer.layer.out_frames
            # Four positions a non-zero: more positions a cycle than lanes.
            positions = layer.layer.weight_entries * layer.layer.out_frames
            assert positions / layer.latency_cycles > roof.peak
        assert roof.reached <= roof.attainable
        assert roof.reached == pytest.approx(layer.utilisation * roof.peak)
