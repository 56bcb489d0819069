"""Networks as sums of their parts: to the last bit what `estimate` says of the whole network."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_models import Accelerator, MemoryLevel, Technology, estimate
from cost_models.batch import PartBook, PartPricer
from cost_models.fitted_batch import MachinePricers
from cost_models.generator import GeneratorSpec
from cost_models.workload import INPUT, Layer, LayerKind, WeightSource, Workload

MEMORY_BITS = 3_000
"""Of the small SRAMs below: some of the random networks fit, some tensors and some weights."""

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=31, decision_bits=4)


def with_dram(machine: Accelerator, **changes: Any) -> Accelerator:
    """The round machine with small SRAMs before a DRAM: both operands have a home."""
    weights, activations = machine.memories
    dram = MemoryLevel(
        name="dram",
        kind="dram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=10**9,
        bandwidth_bits_per_cycle=16,
        word_bits=16,
    )
    memories = (
        dataclasses.replace(weights, capacity_bits=MEMORY_BITS),
        dataclasses.replace(activations, capacity_bits=MEMORY_BITS),
        dram,
    )
    return dataclasses.replace(machine, memories=memories, **changes)


def fitted(machine: Accelerator) -> Accelerator:
    """The machine with SRAMs that are as large as a network needs, at the table's figures."""
    figures = ("read_pj_per_bit", "write_pj_per_bit", "area_um2", "leakage_uw")
    changes: dict[str, Any] = {"capacity_bits": "fit"} | dict.fromkeys(figures)
    memories = tuple(
        memory if memory.kind == "dram" else dataclasses.replace(memory, **changes)
        for memory in machine.memories
    )
    return dataclasses.replace(machine, memories=memories)


@pytest.fixture(scope="module")
def machines(machine: Accelerator) -> dict[str, Accelerator]:
    stored: dict[str, Any] = {"ternary_weights": "stored", "generator": None}
    return {
        "no DRAM": machine,
        "no DRAM, stored": dataclasses.replace(machine, **stored),
        "DRAM": with_dram(machine),
        "DRAM, stored": with_dram(machine, **stored),
        "DRAM, features arrive on chip": with_dram(machine, input_memory="activation_sram"),
        "DRAM, nothing stays": with_dram(machine, residency="never"),
        "fit": fitted(machine),
        "fit, DRAM": fitted(with_dram(machine)),
        "fit, tiles": fitted(with_dram(machine, residency="never")),
    }


# --- random parts

Shape = tuple[int, int]
"""Channels and frames."""


def convolution(name: str, shape: Shape, out_channels: int, **changes: Any) -> Layer:
    channels, frames = shape
    stride = changes.get("stride", 1)
    defaults: dict[str, Any] = {
        "kind": LayerKind.POINTWISE,
        "weights": WeightSource.TRAINED,
        "in_channels": channels,
        "out_channels": out_channels,
        "in_frames": frames,
        "out_frames": -(-frames // stride),
    }
    return Layer(name=name, **(defaults | changes))


def same_shape(name: str, kind: LayerKind, shape: Shape, **changes: Any) -> Layer:
    channels, frames = shape
    return Layer(
        name=name,
        kind=kind,
        in_channels=channels,
        out_channels=channels,
        in_frames=frames,
        out_frames=frames,
        **changes,
    )


Plan = dict[str, Any]

plans = st.fixed_dictionaries(
    {
        "channels": st.sampled_from([4, 6, 8]),
        "kernel": st.sampled_from([1, 3, 5]),
        "stride": st.sampled_from([1, 1, 2]),
        "ternary": st.booleans(),
        "skip": st.sampled_from(["none", "identity", "matrix"]),
        "repeats": st.integers(1, 2),
        "norm": st.booleans(),
    }
)


def part(number: int, plan: Plan, shape: Shape, before: str) -> tuple[list[Layer], Shape]:
    """Depthwise, 1x1, batch norm, ReLU, with a path around them; a residual block."""
    layers: list[Layer] = []
    given_shape, inside = shape, shape
    for repeat in range(plan["repeats"]):
        name, stride = f"P{number}.{repeat}", plan["stride"] if repeat == 0 else 1
        layers.append(
            convolution(
                f"{name}.dw",
                inside,
                inside[0],
                kind=LayerKind.DEPTHWISE,
                groups=inside[0],
                kernel_size=plan["kernel"],
                stride=stride,
            )
        )
        inside = (inside[0], layers[-1].out_frames)
        layers.append(matrix(f"{name}.pw", inside, plan))
        inside = (plan["channels"], inside[1])
        if plan["norm"]:
            folded = not plan["ternary"]
            layers.append(same_shape(f"{name}.bn", LayerKind.BATCH_NORM, inside, folded=folded))
        last = repeat == plan["repeats"] - 1
        beside = None
        if last and plan["skip"] == "matrix":
            skip = matrix(f"P{number}.skip", given_shape, plan, stride=plan["stride"])
            layers.append(dataclasses.replace(skip, reads=(before,)))
            beside = skip.name
        elif last and plan["skip"] == "identity" and inside == given_shape:
            beside = before
        if beside is not None:
            main = next(layer.name for layer in reversed(layers) if "skip" not in layer.name)
            layers.append(
                same_shape(f"{name}.add", LayerKind.RESIDUAL_ADD, inside, reads=(main, beside))
            )
        layers.append(same_shape(f"{name}.relu", LayerKind.ACTIVATION, inside))
    return layers, inside


def matrix(name: str, shape: Shape, plan: Plan, **changes: Any) -> Layer:
    if not plan["ternary"]:
        return convolution(name, shape, plan["channels"], **changes)
    return convolution(
        name,
        shape,
        plan["channels"],
        weights=WeightSource.GENERATED,
        weight_bits=2,
        nonzeros=shape[0] * plan["channels"] // 2,
        generator=SPEC,
        **changes,
    )


def head(shape: Shape) -> list[Layer]:
    pool = dataclasses.replace(same_shape("head.pool", LayerKind.AVERAGE_POOL, shape), out_frames=1)
    linear = convolution("head.linear", (shape[0], 1), 3, kind=LayerKind.LINEAR, bias=True)
    return [pool, linear, same_shape("head.argmax", LayerKind.ARGMAX, (3, 1))]


def network(row: list[Plan], frames: int) -> tuple[list[list[Layer]], Workload]:
    """Parts, each as if it stood alone; and the network that they make."""
    parts, whole = [], []
    shape, before = (6, frames), INPUT
    for number, plan in enumerate(row):
        parts.append(part(number, plan, shape, INPUT)[0])
        layers, shape = part(number, plan, shape, before)
        whole += layers
        before = layers[-1].name
    parts.append(head(shape))
    return parts, Workload("random", (*whole, *parts[-1]))


@given(
    rows=st.lists(st.lists(plans, min_size=2, max_size=2), min_size=1, max_size=3),
    frames=st.sampled_from([8, 24, 40]),
    which=st.sampled_from(
        [
            "no DRAM",
            "no DRAM, stored",
            "DRAM",
            "DRAM, stored",
            "DRAM, features arrive on chip",
            "DRAM, nothing stays",
            "fit",
            "fit, DRAM",
            "fit, tiles",
        ]
    ),
)
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_sums_of_parts_equal_estimates(
    machines: dict[str, Accelerator],
    technology: Technology,
    rows: list[list[Plan]],
    frames: int,
    which: str,
) -> None:
    on, book = machines[which], PartBook()
    pricers = MachinePricers(book, on, technology)
    numbers, workloads = [], []
    for row in rows:
        parts, workload = network(row, frames)
        numbers.append([book.add(each) for each in parts])
        workloads.append(workload)
    machine_columns = {"area_um2", "area_low_um2", "area_high_um2"}
    met = set()
    for here, pricer in pricers.find(np.array(numbers)):
        columns = pricer.price(np.array(numbers)[here], rate=3.7)
        for row, place in enumerate(here.tolist()):
            met.add(place)
            cost = estimate(workloads[place], on, technology)
            expected = cost.columns(rate=3.7)
            got = {name: float(figures[row]) for name, figures in columns.items()}
            assert got == {k: v for k, v in expected.items() if k not in machine_columns}
            assert pricer.machine == cost.accelerator
    assert met == set(range(len(workloads)))


def test_random_networks_lie_on_both_sides_of_residency(
    machines: dict[str, Accelerator], technology: Technology
) -> None:
    """Without this, the test above might never meet a border that fits on one side only."""
    plan = {
        "channels": 8,
        "kernel": 3,
        "stride": 1,
        "ternary": False,
        "skip": "matrix",
        "repeats": 1,
        "norm": True,
    }
    for frames, stay in ((8, True), (40, False)):
        # Input, depthwise, 1x1, skip: alive together at the add are two tensors of 8 channels and
        # 8 frames x 8 bits, or 40; 2 * 8 * 40 * 8 = 5,120 bits.
        cost = estimate(network([plan, plan], frames)[1], machines["DRAM"], technology)
        kept = [layer.output_on_chip for layer in cost.layers if layer.layer.name.endswith("add")]
        assert kept == [stay, stay]
        assert (cost.activation_bits <= MEMORY_BITS) == stay
    small, large = ({**plan, "channels": 4, "skip": "none"}, {**plan, "repeats": 2})
    for row, fits in (([small, small], True), ([large, large], False)):
        cost = estimate(network(row, 8)[1], machines["DRAM"], technology)
        assert (cost.stored_bits <= MEMORY_BITS) == fits
        assert (weights_from_dram(cost) == 0) == fits


def weights_from_dram(cost: Any) -> int:
    return sum(layer.traffic_bits("dram", "weights") for layer in cost.layers)


def test_a_border_stays_only_if_it_fits_on_both_sides(
    machines: dict[str, Accelerator], technology: Technology
) -> None:
    # P0 leaves 4 channels x 24 frames x 8 bits = 768 bits. As P1's input it lives beside 768 bits
    # of the depthwise layer, which fits 3,000; but with a matrix around P1, it waits until P1's 8
    # channels, 1,536 bits, and its own depthwise output, 768, are there: 3,072, which does not.
    first = {
        "channels": 4,
        "kernel": 3,
        "stride": 1,
        "ternary": False,
        "skip": "none",
        "repeats": 1,
        "norm": False,
    }
    for skip, stays in (("none", True), ("matrix", False)):
        second = {**first, "channels": 8, "skip": skip}
        cost = estimate(network([first, second], 24)[1], machines["DRAM"], technology)
        by_name = {layer.layer.name: layer for layer in cost.layers}
        assert by_name["P0.0.pw"].output_on_chip is stays
        assert by_name["P1.0.dw"].inputs_on_chip is stays


def test_parts_that_cannot_be_executed_are_not_valid(
    machine: Accelerator, technology: Technology
) -> None:
    refusing = dataclasses.replace(machine, ternary_weights="refused", generator=None)
    plan = {"channels": 4, "kernel": 3, "stride": 1, "skip": "none", "repeats": 1, "norm": True}
    book = PartBook()
    pricer = PartPricer(book, refusing, technology)
    for ternary in (False, True, False):
        book.add(part(0, {**plan, "ternary": ternary}, (6, 8), INPUT)[0])
    pricer.price_parts()
    assert pricer.executable(np.array([[0], [1], [2]])).tolist() == [True, False, True]


def test_parts_may_come_in_any_number_of_turns(
    machine: Accelerator, technology: Technology
) -> None:
    plan = {
        "channels": 4,
        "kernel": 3,
        "stride": 1,
        "ternary": True,
        "skip": "none",
        "repeats": 2,
        "norm": True,
    }
    rows = [[plan, {**plan, "kernel": kernel}] for kernel in (1, 3, 5)]
    at_once, in_turns = PartBook(), PartBook()
    one = PartPricer(at_once, machine, technology)
    other = PartPricer(in_turns, machine, technology)
    numbers = []
    for row in rows:
        parts = network(row, 8)[0]
        numbers.append([at_once.add(each) for each in parts])
        assert [in_turns.add(each) for each in parts] == numbers[-1]
        other.price_parts()
    one.price_parts()
    expected, got = one.price(np.array(numbers)), other.price(np.array(numbers))
    assert set(expected) == set(got)
    for name, figures in expected.items():
        np.testing.assert_array_equal(figures, got[name])


def test_a_book_serves_several_machines(
    machines: dict[str, Accelerator], technology: Technology
) -> None:
    plan = {
        "channels": 8,
        "kernel": 5,
        "stride": 2,
        "ternary": True,
        "skip": "matrix",
        "repeats": 1,
        "norm": True,
    }
    parts, workload = network([plan, {**plan, "ternary": False}], 24)
    book = PartBook()
    numbers = np.array([[book.add(each) for each in parts]])
    for on in machines.values():
        [(_, pricer)] = MachinePricers(book, on, technology).find(numbers)
        energy_pj = pricer.price(numbers)["energy_pj"]
        assert energy_pj.tolist() == [estimate(workload, on, technology).energy_pj]
