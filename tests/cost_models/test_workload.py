"""Every expected value is derived in the comment above it."""

import dataclasses
from typing import Any

import pytest

from cost_models.errors import InvalidField, InvalidLayer
from cost_models.generator import GeneratorSpec
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource, Workload

SPEC = GeneratorSpec(family="lfsr_threshold", state_bits=127, decision_bits=8)


def layer(kind: LayerKind, **fields: Any) -> Layer:
    sizes = {"in_channels": 6, "out_channels": 6, "in_frames": 10, "out_frames": 10}
    return Layer(**({"name": "a", "kind": kind, "rescaled": False} | sizes | fields))


def counts(one: Layer) -> dict[str, int]:
    names = (
        "weight_entries",
        "trained_parameters",
        "generated_weights",
        "stored_bits",
        "macs",
        "multiplications",
        "additions",
        "dense_additions",
        "weight_traffic_bits",
        "input_traffic_bits",
        "output_traffic_bits",
    )
    return {name: getattr(one, name) for name in names if getattr(one, name)}


def test_constant_weights_are_stored_and_multiplied_but_not_trained() -> None:
    one = layer(LayerKind.POINTWISE, weights=WeightSource.CONSTANT)
    assert (one.trained_parameters, one.stored_bits, one.macs) == (0, 6 * 6 * 8, 6 * 6 * 10)


def test_trained_trits_are_stored_in_two_bits_and_multiply_nothing() -> None:
    one = layer(
        LayerKind.POINTWISE, weights=WeightSource.TRAINED_TERNARY, weight_bits=2, nonzeros=20
    )
    assert (one.trained_parameters, one.stored_bits, one.generated_weights) == (36, 72, 0)
    assert (one.macs, one.additions, one.dense_additions) == (0, 20 * 10, 36 * 10)


def test_a_matrix_of_fewer_numbers_than_entries() -> None:
    # Circulant blocks of 3 x 3: 2 x 2 blocks of 3 numbers, each used in 3 rows.
    one = layer(
        LayerKind.POINTWISE, weights=WeightSource.TRAINED, matrix_numbers=12, matrix_bits=96
    )
    assert (one.trained_parameters, one.stored_bits, one.macs) == (12, 96, 36 * 10)
    with pytest.raises(InvalidLayer, match="a: matrix_numbers and matrix_bits are left out where"):
        layer(LayerKind.ACTIVATION, matrix_numbers=1)


def test_depthwise() -> None:
    # 6 channels, 3 taps: 6 * (6 / 6) * 3 = 18 weights of 8 bits; stride 2: 5 frames out of 10.
    one = layer(
        LayerKind.DEPTHWISE,
        kernel_size=3,
        stride=2,
        out_frames=5,
        groups=6,
        weights=WeightSource.TRAINED,
    )
    assert counts(one) == {
        "weight_entries": 18,
        "trained_parameters": 18,
        "stored_bits": 144,
        "macs": 90,
        "multiplications": 90,
        "additions": 90,
        "dense_additions": 90,
        "weight_traffic_bits": 144,
        "input_traffic_bits": 6 * 10 * 8,
        "output_traffic_bits": 6 * 5 * 8,
    }


def test_pointwise() -> None:
    # 6 -> 4 channels: 24 weights; 24 * 10 frames = 240 MACs.
    one = layer(LayerKind.POINTWISE, out_channels=4, weights=WeightSource.TRAINED, weight_bits=4)
    assert counts(one) == {
        "weight_entries": 24,
        "trained_parameters": 24,
        "stored_bits": 96,
        "macs": 240,
        "multiplications": 240,
        "additions": 240,
        "dense_additions": 240,
        "weight_traffic_bits": 96,
        "input_traffic_bits": 480,
        "output_traffic_bits": 320,
    }
    # Two groups: each output sees half of the inputs.
    grouped = dataclasses.replace(one, groups=2)
    assert (grouped.weight_entries, grouped.macs) == (12, 120)


def test_generated_pointwise() -> None:
    # 7 of 24 entries are not zero: 7 additions a frame, no multiplication, and nothing stored or
    # read but the three records with the 127 + 8 bits that start the generator.
    one = layer(
        LayerKind.POINTWISE,
        out_channels=4,
        weights=WeightSource.GENERATED,
        nonzeros=7,
        generator=SPEC,
        weight_bits=2,
    )
    assert counts(one) == {
        "weight_entries": 24,
        "generated_weights": 24,
        "stored_bits": 144,
        "additions": 70,
        "dense_additions": 240,
        "weight_traffic_bits": 144,
        "input_traffic_bits": 480,
        "output_traffic_bits": 320,
    }


def test_convolution() -> None:
    # 4 * 6 * 3 = 72 weights.
    one = layer(LayerKind.CONVOLUTION, out_channels=4, kernel_size=3, weights=WeightSource.TRAINED)
    assert (one.weight_entries, one.macs, one.stored_bits) == (72, 720, 576)


def test_linear_with_bias() -> None:
    # 6 * 5 weights of 8 bits and 5 biases at the accumulators' 24 bits; biases are added.
    one = layer(
        LayerKind.LINEAR,
        out_channels=5,
        in_frames=1,
        out_frames=1,
        weights=WeightSource.TRAINED,
        bias=True,
    )
    assert counts(one) == {
        "weight_entries": 30,
        "trained_parameters": 35,
        "stored_bits": 30 * 8 + 5 * 24,
        "macs": 30,
        "multiplications": 30,
        "additions": 35,
        "dense_additions": 35,
        "weight_traffic_bits": 360,
        "input_traffic_bits": 48,
        "output_traffic_bits": 40,
    }


def test_batch_norm() -> None:
    # Gain and offset of 6 channels are trained either way, and kept in the records of the layer
    # before. Alone: one multiplication and one addition for 6 * 10 values; folded: nothing to do.
    alone = layer(LayerKind.BATCH_NORM)
    assert counts(alone) == {
        "trained_parameters": 12,
        "multiplications": 60,
        "additions": 60,
        "dense_additions": 60,
    }
    folded = layer(LayerKind.BATCH_NORM, folded=True)
    assert counts(folded) == {"trained_parameters": 12}


TRAINED = WeightSource.TRAINED


@pytest.mark.parametrize(
    ("kind", "fields", "records"),
    [
        ("depthwise", {"groups": 6, "kernel_size": 3, "weights": TRAINED}, 6),
        ("linear", {"out_channels": 5, "weights": TRAINED, "bias": True}, 5),
        ("residual_add", {}, 12),  # a channel's two tensors have steps of their own
        ("average_pool", {"out_frames": 1}, 1),
        ("batch_norm", {}, 0),
        ("activation", {}, 0),
    ],
)
def test_records_of_channels(kind: str, fields: dict[str, Any], records: int) -> None:
    one = layer(LayerKind(kind), rescaled=True, **fields)
    # 16 bits of factor, 5 of shift, 27 of offset, in which a bias is
    assert one.stored_bits == one.weight_entries * 8 + records * (16 + 5 + 27)


def test_layers_without_weights() -> None:
    assert counts(layer(LayerKind.ACTIVATION)) == {}
    # Two tensors of 6 * 10 values of 8 bits are read, one is written.
    assert counts(layer(LayerKind.RESIDUAL_ADD)) == {
        "additions": 60,
        "dense_additions": 60,
        "input_traffic_bits": 960,
        "output_traffic_bits": 480,
    }
    # 10 frames are added up for each of 6 channels, then each sum is multiplied by 1/10.
    assert counts(layer(LayerKind.AVERAGE_POOL, out_frames=1)) == {
        "multiplications": 6,
        "additions": 60,
        "dense_additions": 60,
        "input_traffic_bits": 480,
        "output_traffic_bits": 48,
    }


def test_maxima() -> None:
    # One comparison an output; ReLU is done on the way out, so it moves nothing.
    assert layer(LayerKind.ACTIVATION).comparisons == 60
    argmax = layer(LayerKind.ARGMAX, out_channels=1, out_frames=10)
    assert (argmax.comparisons, argmax.input_traffic_bits) == (10, 480)
    # Softmax of 60 values: a comparison each, two multiplications and two additions each.
    softmax = layer(LayerKind.SOFTMAX)
    assert (softmax.comparisons, softmax.multiplications, softmax.additions) == (60, 120, 120)
    assert softmax.macs == 0


def test_traffic_is_inputs_and_outputs() -> None:
    one = layer(LayerKind.ACTIVATION)
    assert one.activation_traffic_bits == 0
    add = layer(LayerKind.RESIDUAL_ADD)
    assert add.activation_traffic_bits == 960 + 480


@pytest.mark.parametrize("kind", list(LayerKind))
def test_every_kind_can_be_counted(kind: LayerKind) -> None:
    weights = WeightSource.TRAINED if kind in CONVOLUTIONS else WeightSource.NONE
    found = counts(layer(kind, weights=weights))
    assert all(value > 0 for value in found.values())
    assert ("weight_entries" in found) == (kind in CONVOLUTIONS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"in_channels": 0}, "a: in_channels must be at least 1, not 0"),
        ({"out_frames": -1}, "a: out_frames must be at least 1, not -1"),
        ({"groups": 4}, "a: in_channels 6 cannot be divided into 4 groups"),
        (
            {"in_channels": 4, "groups": 4},
            "a: out_channels 6 cannot be divided into 4 groups",
        ),
        (
            {"weights": WeightSource.GENERATED, "nonzeros": 37},
            "a: nonzeros must be in 0..36, not 37",
        ),
        (
            {"weights": WeightSource.GENERATED, "nonzeros": -1},
            "a: nonzeros must be in 0..36, not -1",
        ),
        (
            # 36 entries are 4.5 bytes
            {"weights": WeightSource.GENERATED, "nonzeros": 1, "nonzero_mask": b"0"},
            "a: nonzero_mask must have 5 bytes for 36 entries, not 1",
        ),
        (
            {"weights": WeightSource.GENERATED, "nonzeros": 4, "nonzero_mask": b"\xe0\0\0\0\0"},
            "a: nonzero_mask marks 3 entries, and nonzeros is 4",
        ),
        ({"weights": WeightSource.NONE}, "a: a pointwise layer needs trained or generated weights"),
        ({"kernel_size": 0}, "a: kernel_size must be at least 1, not 0"),
        ({"stride": 0}, "a: stride must be at least 1, not 0"),
        ({"dilation": -2}, "a: dilation must be at least 1, not -2"),
        ({"groups": 0}, "a: groups must be at least 1, not 0"),
        ({"weight_bits": 0}, "a: weight_bits must be at least 1, not 0"),
        ({"accumulator_bits": 0}, "a: accumulator_bits must be at least 1, not 0"),
    ],
)
def test_contradicting_sizes_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        layer(LayerKind.POINTWISE, **fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("state_bits", 0, "state_bits must be at least 1, not 0"),
        ("decision_bits", -1, "decision_bits must be at least 0, not -1"),
        ("rounds", -1, "rounds must be at least 0, not -1"),
        (
            "paired_signs",
            True,
            "paired_signs must be left out for family lfsr_threshold (it is of one_hot), not True",
        ),
    ],
)
def test_a_generator_has_a_state(field: str, value: int, message: str) -> None:
    with pytest.raises(InvalidField) as caught:
        dataclasses.replace(SPEC, **{field: value})
    assert str(caught.value) == message


def test_a_workload_adds_up_its_layers() -> None:
    one = layer(LayerKind.POINTWISE, weights=WeightSource.TRAINED)
    norm = layer(LayerKind.BATCH_NORM, name="b")
    workload = Workload("w", (one, norm))
    assert workload.trained_parameters == 36 + 12
    assert workload.macs == 360
    assert workload.additions == 360 + 60
    assert workload.total(lambda each: each.stored_bits) == 36 * 8


def test_a_workload_has_layers_with_distinct_names() -> None:
    with pytest.raises(InvalidLayer, match=r"^workload 'w' has no layers$"):
        Workload("w", ())
    one = layer(LayerKind.ACTIVATION)
    with pytest.raises(InvalidLayer, match=r"^workload 'w' has two layers named 'a'$"):
        Workload("w", (one, one))
