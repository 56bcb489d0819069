"""What stays on the chip, on a machine whose sizes are set around the tensors.

Layers of 4 channels x 5 frames of 8 bits: a tensor has 160 bits.
"""

import dataclasses

import pytest

from cost_models import (
    InvalidLayer,
    Layer,
    LayerKind,
    MemoryLevel,
    WeightSource,
    Workload,
    estimate,
)
from cost_models.residency import alive_bits, place, trace_flow, weights_stay
from cost_models.workload import INPUT

TENSOR = 4 * 5 * 8


def layer(name, kind=LayerKind.POINTWISE, *reads, **changes):
    convolution = kind == LayerKind.POINTWISE
    shape = {"in_channels": 4, "out_channels": 4, "in_frames": 5, "out_frames": 5}
    weights = WeightSource.TRAINED if convolution else WeightSource.NONE
    return Layer(
        **{"name": name, "kind": kind, "weights": weights, "reads": reads, "rescaled": False}
        | shape
        | changes
    )


def machine_with(machine, activation_bits, weight_bits=1_000, **changes):
    """`machine` with a DRAM behind both memories."""
    weights, activations = machine.memories
    memories = (
        dataclasses.replace(weights, capacity_bits=weight_bits),
        dataclasses.replace(activations, capacity_bits=activation_bits),
        MemoryLevel(
            name="dram",
            kind="dram",
            holds=("weights", "inputs", "outputs"),
            capacity_bits=10**6,
            bandwidth_bits_per_cycle=16,
        ),
    )
    return dataclasses.replace(machine, memories=memories, **changes)


CHAIN = [layer("a"), layer("b"), layer("c")]

# a -> b -> c -> add(c, a), with batch norm and ReLU done on the way out of c
RESIDUAL = [
    layer("a"),
    layer("b"),
    layer("c"),
    layer("norm", LayerKind.BATCH_NORM),
    layer("relu", LayerKind.ACTIVATION),
    layer("add", LayerKind.RESIDUAL_ADD, "relu", "a"),
    layer("d"),
]


def on_chip(layers, machine):
    return [(each.inputs_on_chip, each.output_on_chip) for each in place(layers, machine)]


def test_tensors_of_a_chain():
    flow = trace_flow(CHAIN)
    lives = {each.name: (each.bits, each.first, each.last) for each in flow.tensors}
    # The output of the last layer lives on to the end: 3 layers.
    assert lives == {
        INPUT: (TENSOR, -1, 0),
        "a": (TENSOR, 0, 1),
        "b": (TENSOR, 1, 2),
        "c": (TENSOR, 2, 3),
    }
    assert flow.reads == ((INPUT,), ("a",), ("b",))
    assert alive_bits(CHAIN) == [2 * TENSOR] * 3


def test_tensors_of_a_residual_block():
    flow = trace_flow(RESIDUAL)
    lives = {each.name: (each.first, each.last) for each in flow.tensors}
    # a lives until it is added; norm and ReLU write no tensor, so the add reads c.
    assert lives == {
        INPUT: (-1, 0),
        "a": (0, 5),
        "b": (1, 2),
        "c": (2, 5),
        "add": (5, 6),
        "d": (6, 7),
    }
    assert flow.reads[5] == ("c", "a")
    # a: INPUT, a. b: a, b. c: a, b, c. norm, relu: a, c. add: a, c, add. d: add, d.
    assert [bits // TENSOR for bits in alive_bits(RESIDUAL)] == [2, 2, 3, 2, 2, 3, 2]


def test_rows_made_in_two_ways_are_one_tensor():
    # b makes 4 channels of a's 4, c 4 more of the same a: one tensor of 8, which d reads whole.
    layers = [
        layer("a"),
        layer("b"),
        layer("c", LayerKind.POINTWISE, "a", extends="b"),
        layer("norm", LayerKind.BATCH_NORM, in_channels=8, out_channels=8),
        layer("d", in_channels=8),
    ]
    flow = trace_flow(layers)
    lives = {each.name: (each.bits // TENSOR, each.first, each.last) for each in flow.tensors}
    assert lives == {INPUT: (1, -1, 0), "a": (1, 0, 2), "b": (2, 1, 4), "d": (1, 4, 5)}
    assert flow.reads == ((INPUT,), ("a",), ("a",), ("b",), ("b",))
    assert flow.writes == ("a", "b", "b", "b", "d")
    # INPUT, a; a and all of b from the start; the same; b; b, d.
    assert [bits // TENSOR for bits in alive_bits(layers)] == [2, 3, 3, 2, 3]
    with pytest.raises(InvalidLayer, match="c extends 'x', which is no layer with a tensor"):
        trace_flow([layer("a"), layer("c", extends="x")])


def test_a_tensor_stays_if_all_that_is_alive_meanwhile_fits(machine):
    # The features come from outside and the scores go there.
    assert on_chip(CHAIN, machine_with(machine, 2 * TENSOR)) == [(0, True), (1, True), (1, False)]
    # One bit too many: nothing stays.
    assert on_chip(CHAIN, machine_with(machine, 2 * TENSOR - 1)) == [(0, False)] * 3


def test_a_skip_takes_room_from_the_steps_between(machine):
    fits = machine_with(machine, 3 * TENSOR)
    placed = [(0, True), (1, True), (1, True), (1, False), (1, False), (2, True), (1, False)]
    assert on_chip(RESIDUAL, fits) == placed
    # One bit less: steps c and add are too full. a, b and c are alive in c, and a, c and add in
    # add, so all of them go out; nothing is left.
    short = machine_with(machine, 3 * TENSOR - 1)
    assert on_chip(RESIDUAL, short) == [(0, False)] * 7
    # Without the skip there is room again.
    straight = [each for each in RESIDUAL if each.name != "add"]
    assert on_chip(straight, short)[1] == (1, True)


def test_only_the_tensors_of_a_full_step_go_out(machine):
    # b is 3 times as wide: steps b and c are full, a and b leave, c to d stays.
    layers = [layer("a"), layer("b", out_channels=12), layer("c", in_channels=12), layer("d")]
    assert [bits // TENSOR for bits in alive_bits(layers)] == [2, 4, 4, 2]
    found = on_chip(layers, machine_with(machine, 3 * TENSOR))
    assert found == [(0, False), (0, False), (0, False), (0, False)]
    longer = [*layers, layer("e"), layer("f")]
    found = on_chip(longer, machine_with(machine, 3 * TENSOR))
    assert found[3:] == [(0, True), (1, True), (1, False)]


def test_features_may_arrive_on_the_chip(machine):
    arriving = machine_with(machine, 2 * TENSOR, input_memory="activation_sram")
    assert on_chip(CHAIN, arriving) == [(1, True)] * 3
    # If they do not fit beside what is alive then, they come from outside.
    full = machine_with(machine, 2 * TENSOR - 1, input_memory="activation_sram")
    assert on_chip(CHAIN, full) == [(0, False)] * 3
    # Arriving in the DRAM is what is meant where nothing is said.
    dram = machine_with(machine, 2 * TENSOR, input_memory="dram")
    assert on_chip(CHAIN, dram) == [(0, True), (1, True), (1, False)]


def test_never_keeps_nothing(machine):
    never = machine_with(machine, 100_000, 10_000, residency="never")
    assert on_chip(CHAIN, never) == [(0, False)] * 3
    assert not any(each.weights_on_chip for each in place(CHAIN, never))


def test_a_single_memory_is_no_home(machine):
    # Without a memory behind it there is nothing to stay away from: all of it is there anyway.
    assert machine.activation_home is None
    assert machine.weight_home is None
    assert on_chip(CHAIN, machine) == [(0, False)] * 3


@pytest.mark.parametrize(("weight_bits", "stay"), [(384, True), (383, False)])
def test_weights_stay_all_or_none(machine, technology, weight_bits, stay):
    # 3 layers of 16 weights of 8 bits: 384 bits.
    table = dataclasses.replace(
        technology.sram,
        rows=(
            dataclasses.replace(technology.sram.rows[0], capacity_bits=10),
            *technology.sram.rows,
        ),
    )
    technology = dataclasses.replace(technology, sram=table)
    small = machine_with(machine, 2 * TENSOR, weight_bits)
    assert weights_stay(384, small) == stay
    assert [each.weights_on_chip for each in place(CHAIN, small)] == [stay] * 3
    cost = estimate(Workload("chain", tuple(CHAIN)), small, technology)
    weights = {each.layer.name: each.traffic_bits("dram", "weights") for each in cost.layers}
    # The cliff: nothing, or every weight for every inference.
    assert weights == dict.fromkeys("abc", 0 if stay else 128)


def test_traffic_follows_residence(machine, technology):
    table = dataclasses.replace(
        technology.sram,
        rows=(
            dataclasses.replace(technology.sram.rows[0], capacity_bits=10),
            *technology.sram.rows,
        ),
    )
    technology = dataclasses.replace(technology, sram=table)

    def dram_bits(capacity_bits):
        cost = estimate(
            Workload("residual", tuple(RESIDUAL)), machine_with(machine, capacity_bits), technology
        )
        return [
            (each.traffic_bits("dram", "inputs"), each.traffic_bits("dram", "outputs"))
            for each in cost.layers
        ]

    # Everything but features and scores stays; norm and ReLU move nothing.
    assert dram_bits(3 * TENSOR) == [(TENSOR, 0), *[(0, 0)] * 5, (0, TENSOR)]
    # Everything goes out and comes back: the add reads two tensors.
    nothing = [(TENSOR, TENSOR)] * 3 + [(0, 0)] * 2 + [(2 * TENSOR, TENSOR), (TENSOR, TENSOR)]
    assert dram_bits(3 * TENSOR - 1) == nothing


def test_a_memory_is_not_given_away_twice(machine):
    # One SRAM for everything before a DRAM: it is the activations' home, and no home of weights.
    _, activations, dram = machine_with(machine, 1_000).memories
    shared = dataclasses.replace(activations, holds=("weights", "inputs", "outputs"))
    unified = dataclasses.replace(machine, memories=(shared, dram))
    assert unified.activation_home is shared
    assert unified.weight_home is None
    assert not any(each.weights_on_chip for each in place(CHAIN, unified))


def test_refuses_a_tensor_that_is_not_there():
    with pytest.raises(InvalidLayer) as error:
        trace_flow([layer("a"), layer("b", LayerKind.RESIDUAL_ADD, "a", "c"), layer("c")])
    assert str(error.value) == "b reads 'c', which is no layer before it"
