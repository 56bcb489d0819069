"""Every value is derived in the comments, from the round numbers of conftest.py."""

import dataclasses

import pytest

from cost_models import Bound, InvalidLayer, Layer, LayerKind, WeightSource
from cost_models.latency import bound_of, layer_cycles


def layer(kind, **changes):
    shape = {"in_channels": 8, "out_channels": 8, "in_frames": 20, "out_frames": 20}
    return Layer(**{"name": "layer", "kind": kind} | shape | changes)


TERNARY = {"weights": WeightSource.GENERATED, "nonzeros": 17, "generator_state_bits": 10}


def test_dense_is_bound_by_compute(machine):
    cycles = layer_cycles(layer(LayerKind.POINTWISE, weights=WeightSource.TRAINED), machine)
    assert cycles == {
        Bound.COMPUTE: 160,  # 64 weights * 20 frames / 8 MAC units
        Bound.WEIGHT_MEMORY: 16,  # 64 * 8 bits / 32
        Bound.ACTIVATION_MEMORY: 40,  # 2 * 8 * 20 * 8 bits / 64
        Bound.GENERATOR: 0,
    }
    assert bound_of(cycles) is Bound.COMPUTE


def test_linear_is_bound_by_the_weight_memory(machine):
    linear = layer(
        LayerKind.LINEAR, in_frames=1, out_frames=1, weights=WeightSource.TRAINED, bias=True
    )
    cycles = layer_cycles(linear, machine)
    assert cycles[Bound.COMPUTE] == 9  # (64 MACs + 8 biases) / 8
    assert cycles[Bound.WEIGHT_MEMORY] == 22  # (64 * 8 + 8 * 24) bits / 32
    assert bound_of(cycles) is Bound.WEIGHT_MEMORY


def test_ternary_clocks_zeros(machine):
    cycles = layer_cycles(layer(LayerKind.POINTWISE, **TERNARY), machine)
    assert cycles[Bound.COMPUTE] == 80  # 64 trits * 20 frames / 16 adders
    assert cycles[Bound.WEIGHT_MEMORY] == 1  # 10 state bits
    assert cycles[Bound.GENERATOR] == 16  # 64 trits / 4


def test_ternary_skips_zeros(machine):
    array = dataclasses.replace(machine.compute_array, zero_handling="skipped")
    skipping = dataclasses.replace(machine, compute_array=array)
    cycles = layer_cycles(layer(LayerKind.POINTWISE, **TERNARY), skipping)
    assert cycles[Bound.COMPUTE] == 22  # 17 non-zeros * 20 frames / 16 adders = 21.25
    assert bound_of(cycles) is Bound.ACTIVATION_MEMORY  # 40, as above


def test_few_frames_are_bound_by_the_generator(machine):
    short = layer(LayerKind.POINTWISE, in_frames=2, out_frames=2, **TERNARY)
    assert bound_of(layer_cycles(short, machine)) is Bound.GENERATOR  # 16 against 64 * 2 / 16 = 8


def test_ternary_without_adders_runs_on_macs(machine):
    array = dataclasses.replace(machine.compute_array, ternary_adders=0)
    plain = dataclasses.replace(machine, compute_array=array)
    cycles = layer_cycles(layer(LayerKind.POINTWISE, **TERNARY), plain)
    assert cycles[Bound.COMPUTE] == 160  # as dense


@pytest.mark.parametrize(
    ("kind", "cycles"),
    [
        (LayerKind.BATCH_NORM, 80),  # 160 outputs / 2 lanes
        (LayerKind.RESIDUAL_ADD, 80),
        (LayerKind.AVERAGE_POOL, 80),
        (LayerKind.ACTIVATION, 0),
    ],
)
def test_vector_lanes(machine, kind, cycles):
    assert layer_cycles(layer(kind), machine)[Bound.COMPUTE] == cycles


def test_activation_function_is_bound_by_nothing(machine):
    assert bound_of(layer_cycles(layer(LayerKind.ACTIVATION), machine)) is Bound.NOTHING


def test_among_equals_compute_is_named():
    assert bound_of({Bound.COMPUTE: 3, Bound.WEIGHT_MEMORY: 3}) is Bound.COMPUTE


def test_refuses_an_unknown_kind(machine):
    unknown = layer(LayerKind.ACTIVATION)
    object.__setattr__(unknown, "kind", "attention")
    with pytest.raises(InvalidLayer, match="no latency model for layers of kind 'attention'"):
        layer_cycles(unknown, machine)


def test_refuses_a_convolution_without_weights(machine):
    with pytest.raises(InvalidLayer, match="needs trained or generated weights"):
        layer_cycles(layer(LayerKind.CONVOLUTION), machine)
