"""Every value is derived in the comments, from the round numbers of conftest.py."""

import dataclasses

import pytest

from cost_models import Component, InvalidLayer, Layer, LayerKind, WeightSource
from cost_models.energy import layer_energy_pj, prices

# Weight memory of 1,000 bits: 1 pJ/bit read. Activation memory of 100,000 bits: 4 pJ/bit read,
# 32 pJ/bit written. An addition with its accumulator: (0.02 + 0.03) * 24 bits = 1.2 pJ.


def layer(kind, **changes):
    shape = {"in_channels": 4, "out_channels": 4, "in_frames": 5, "out_frames": 5}
    return Layer(**{"name": "layer", "kind": kind} | shape | changes)


def energy(layer, machine, technology):
    return layer_energy_pj(layer, machine, prices(machine, technology))


def test_depthwise(machine, technology):
    depthwise = layer(LayerKind.DEPTHWISE, groups=4, kernel_size=3, weights=WeightSource.TRAINED)
    assert energy(depthwise, machine, technology) == pytest.approx(
        {
            # 4 channels * 3 taps * 5 frames = 60 MACs of 0.01 * 8 * 8 + 1.2 = 1.84 pJ
            Component.MULTIPLY_ACCUMULATE: 60 * 1.84,
            Component.WEIGHT_READ: 12 * 8 * 1.0,
            Component.ACTIVATION_READ: 4 * 5 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 4 * 5 * 8 * 32.0,
        }
    )


def test_linear_with_bias(machine, technology):
    linear = layer(
        LayerKind.LINEAR, in_frames=1, out_frames=1, weights=WeightSource.TRAINED, bias=True
    )
    assert energy(linear, machine, technology) == pytest.approx(
        {
            Component.MULTIPLY_ACCUMULATE: 16 * 1.84,
            Component.POST_PROCESSING: 4 * 1.2,  # one addition a bias
            Component.WEIGHT_READ: 16 * 8 + 4 * 24,  # biases at the width of the accumulator
            Component.ACTIVATION_READ: 4 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 4 * 8 * 32.0,
        }
    )


def ternary_layer(**changes):
    ternary = {
        "weights": WeightSource.GENERATED,
        "nonzeros": 6,
        "generator_state_bits": 10,
        "weight_bits": 2,
    }
    return layer(LayerKind.POINTWISE, **ternary | changes)


def test_ternary_on_adders_that_clock_zeros(machine, technology):
    assert energy(ternary_layer(), machine, technology) == pytest.approx(
        {
            # 6 non-zeros * 5 frames * 0.05 * 24 + 16 entries * 5 frames * 0.04 * 24
            Component.TERNARY_ADDITION: 30 * 1.2 + 80 * 0.96,
            Component.WEIGHT_READ: 10 * 1.0,  # the generator's start state
            Component.ACTIVATION_READ: 4 * 5 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 4 * 5 * 8 * 32.0,
            # 16 trits in 4 cycles: 4 * 10 state bits * 0.1 + 16 * 3 threshold bits * 0.2
            Component.GENERATOR: 4 * 1.0 + 16 * 0.6,
        }
    )


def test_ternary_on_adders_that_skip_zeros(machine, technology):
    array = dataclasses.replace(machine.compute_array, zero_handling="skipped")
    skipping = dataclasses.replace(machine, compute_array=array)
    parts = energy(ternary_layer(), skipping, technology)
    assert parts[Component.TERNARY_ADDITION] == pytest.approx(30 * (1.2 + 0.96))


def test_ternary_stored_and_multiplied(machine, technology):
    array = dataclasses.replace(machine.compute_array, ternary_adders=0)
    plain = dataclasses.replace(
        machine, compute_array=array, ternary_weights="stored", generator=None
    )
    assert energy(ternary_layer(), plain, technology) == pytest.approx(
        {
            # all 80 positions, zeros too: 0.01 * 2 * 8 + 1.2 = 1.36 pJ
            Component.MULTIPLY_ACCUMULATE: 80 * 1.36,
            Component.WEIGHT_READ: 16 * 2 * 1.0,
            Component.ACTIVATION_READ: 4 * 5 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 4 * 5 * 8 * 32.0,
        }
    )


def test_weights_in_dram(machine, technology):
    memory = dataclasses.replace(machine.weight_memory, kind="dram")
    external = dataclasses.replace(machine, weight_memory=memory)
    dense = layer(LayerKind.POINTWISE, weights=WeightSource.TRAINED)
    parts = energy(dense, external, technology)
    assert parts[Component.WEIGHT_READ] == pytest.approx(16 * 8 * 50.0)


def test_batch_norm_after_ternary_scales_every_output(machine, technology):
    # 20 outputs: a multiplication 0.01 * 8 * 24 = 1.92 pJ and an addition; two numbers a channel
    assert energy(layer(LayerKind.BATCH_NORM), machine, technology) == pytest.approx(
        {
            Component.POST_PROCESSING: 20 * (1.92 + 1.2),
            Component.WEIGHT_READ: 4 * 2 * 24 * 1.0,
        }
    )


def test_folded_batch_norm_reads_its_bias(machine, technology):
    folded = layer(LayerKind.BATCH_NORM, folded=True)
    assert energy(folded, machine, technology) == pytest.approx(
        {Component.WEIGHT_READ: 4 * 24 * 1.0}
    )


def test_residual_add_reads_two_tensors(machine, technology):
    assert energy(layer(LayerKind.RESIDUAL_ADD), machine, technology) == pytest.approx(
        {
            Component.POST_PROCESSING: 20 * 1.2,
            Component.ACTIVATION_READ: 2 * 20 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 20 * 8 * 32.0,
        }
    )


def test_average_pool_multiplies_once_a_channel(machine, technology):
    assert energy(
        layer(LayerKind.AVERAGE_POOL, out_frames=1), machine, technology
    ) == pytest.approx(
        {
            Component.POST_PROCESSING: 20 * 1.2 + 4 * 1.92,
            Component.ACTIVATION_READ: 20 * 8 * 4.0,
            Component.ACTIVATION_WRITE: 4 * 8 * 32.0,
        }
    )


def test_activation_functions_are_free_by_statement(machine, technology):
    assert energy(layer(LayerKind.ACTIVATION), machine, technology) == {}


def test_every_kind_has_a_model(machine, technology):
    for kind in LayerKind:
        weights = WeightSource.TRAINED if kind in ("depthwise", "pointwise") else WeightSource.NONE
        if kind in ("convolution", "linear"):
            weights = WeightSource.TRAINED
        spent = energy(layer(kind, weights=weights), machine, technology)
        # Activation functions are free in this model, as its document says; nothing else is.
        assert (sum(spent.values()) > 0) == (kind != LayerKind.ACTIVATION), kind


def test_refuses_an_unknown_kind(machine, technology):
    unknown = layer(LayerKind.ACTIVATION)
    object.__setattr__(unknown, "kind", "attention")
    with pytest.raises(InvalidLayer) as error:
        energy(unknown, machine, technology)
    assert str(error.value) == "layer: there is no energy model for layers of kind 'attention'"


def test_refuses_a_convolution_without_weights(machine, technology):
    with pytest.raises(InvalidLayer) as error:
        energy(layer(LayerKind.POINTWISE), machine, technology)
    assert str(error.value) == "layer: a pointwise layer needs trained or generated weights"
