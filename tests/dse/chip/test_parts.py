"""The parts of the chip's exporter: nests, places of tensors, words, images, refusals."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models import load_accelerator
from dse.chip.as_built import as_built
from dse.chip.convolutions import Place, word_fields
from dse.chip.images import image_hex, records
from dse.chip.machine import chip_machine
from dse.chip.nests import COUNT_BITS, LOOPS, Loop, encode_deltas, encode_last, make_nest
from dse.chip.tensors import Tensor, place_tensors
from dse.chip.vectors import MEAN_STEPS, exact_reciprocal
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.errors import InvalidDesign
from dse.networks.lowering import lower
from dse_cli.estimate import load_design
from tests.dse.chip.small import small_chip

BITS = 16


def walk(nest):
    """Addresses as `loop_nest.v` forms them: one addition a step."""
    lasts, deltas = encode_last(nest), encode_deltas(nest, BITS)
    counts = [(lasts >> COUNT_BITS * depth) % 2**COUNT_BITS for depth in range(LOOPS)]
    width = len(nest.first)
    steps = [
        [(deltas >> BITS * (depth * width + which)) % 2**BITS for which in range(width)]
        for depth in range(LOOPS)
    ]
    index, address, found = [0] * LOOPS, list(nest.first), []
    while True:
        found.append([value % 2**BITS for value in address])
        turning = next((d for d in range(LOOPS) if index[d] < counts[d]), None)
        if turning is None:
            return found
        index = [0] * turning + [index[turning] + 1] + index[turning + 1 :]
        address = [value + step for value, step in zip(address, steps[turning], strict=True)]


LOOP = st.builds(
    Loop,
    st.integers(1, 4),
    st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
    st.sampled_from([frozenset(), frozenset({"tile"})]),
)


@given(st.lists(LOOP, max_size=5))
def test_a_nest_adds_up_to_its_addresses(loops):
    nest = make_nest((3, -7), loops, "it")
    plain = np.array([[3, -7]])
    for loop in loops:
        plain = np.concatenate(
            [plain + number * np.array(loop.strides) for number in range(loop.count)]
        )
    assert np.array_equal(nest.addresses(), plain)
    assert walk(nest) == (plain % 2**BITS).tolist()


def test_a_nest_with_too_many_loops_is_refused():
    loops = [Loop(2, (3**depth,)) for depth in range(6)]
    with pytest.raises(InvalidDesign, match=r"it takes 6 loops of up to 2 iterations, and the"):
        make_nest((0,), loops, "it")


@given(st.integers(1, 300))
def test_a_reciprocal_divides_every_mean(frames):
    multiplier, shift = exact_reciprocal(frames)
    sums = np.unique(np.linspace(0, 127 * frames, 5000).round().astype(np.int64))
    numerators = MEAN_STEPS * sums + frames // 2
    assert np.array_equal((numerators * multiplier) >> shift, numerators // frames)


def tensor(name, channels, first, last, planes=1):
    return Tensor(name=name, channels=channels, frames=8, planes=planes, first=first, last=last)


def test_tensors_fill_a_memory_to_the_last_row():
    tensors = [
        tensor("in", 16, -1, 2),
        tensor("dw", 16, 0, 1),
        tensor("main", 8, 1, 3, planes=3),
        tensor("skip", 8, 2, 3, planes=3),
        tensor("sum", 8, 3, 4),
    ]
    rows = place_tensors(tensors, 8, 64, "sram")
    for one in tensors:
        for other in tensors:
            apart = (
                rows[one.name] + one.rows(8) <= rows[other.name]
                or rows[other.name] + other.rows(8) <= rows[one.name]
            )
            assert one is other or not one.meets(other) or apart
    with pytest.raises(InvalidDesign, match=r"alive at a time take 4,096 bits.*'sram' has 4,032"):
        place_tensors(tensors, 8, 63, "sram")


@pytest.mark.parametrize(
    ("a_step", "axis", "loops", "lanes"),
    [
        (8, "T", (("N", 8, 1),), 8),  # a channel's frames
        (4, "T", (("N", 16, 1), ("T", 4, 4)), 8),  # four frames of two channels
        (4, "N", (("T", 16, 1), ("N", 4, 4)), 8),  # two frames of four channels
        (1, "T", (("N", 6, 1), ("N", 2, 6)), 6),  # six channels, from any one on
        (3, "N", (("T", 4, 1),), 3),  # three channels, and no more in other banks
    ],
)
def test_results_become_full_words(a_step, axis, loops, lanes):
    target = Place(tensor=tensor("out", 16, 0, 0), row=0, lanes=8)
    assert word_fields(a_step, axis, loops, target, "it")["results_a_word"] == lanes


def test_records_and_images_are_words():
    text = image_hex(records([1], None, [-1]), 8)
    assert text == "0000000000000001\nffffffffffffffff\n"


def test_widths_are_those_of_the_integer_network():
    built = as_built(lower(load_design("matchboxnet-3x1x64"), frames=64, outputs=12))
    bits = {layer.name: (layer.input_bits, layer.output_bits) for layer in built.layers}
    assert bits["B1.0.dw"] == (8, 8)
    assert bits["B1.0.pw"] == bits["B1.skip"] == (8, 24)
    assert bits["B1.add"] == (24, 8)
    assert bits["head.pool"] == (8, 16)
    assert next(layer for layer in built.layers if layer.name == "head.linear").out_frames == 2


def test_a_block_without_matrix_on_its_skip_adds_what_it_read():
    point = MATCHBOXNET.build({"blocks": 1, "prologue_channels": 64, "policy": "P2"}, name="it")
    built = as_built(lower(point, frames=64, outputs=12))
    bits = {layer.name: (layer.input_bits, layer.output_bits) for layer in built.layers}
    assert bits["Conv1.0.pw"] == (8, 8)  # rounded behind its ReLU, before the sum reads it
    assert bits["B1.0.pw"] == (8, 24)
    assert bits["B1.add"] == (16, 8)  # 24 and 8


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (
            "edge_tpu_like",
            r"interconnect of array 'macs' \(machine .*yaml:\d+\) must be broadcast, not multi",
        ),
        (
            "kws_ternary_skipped",
            r"zero_handling of array 'trees' \(machine .*:\d+\) must be dense, not skip",
        ),
        ("kws_int8_dram", "memories must be one memory of weights"),
    ],
)
def test_machines_that_the_circuit_cannot_be_are_refused(machine, sentence):
    with pytest.raises(
        InvalidDesign, match=f"^the exported chip cannot be {machine}: {sentence}.*; change the"
    ):
        chip_machine(load_accelerator(machine))


def test_a_smaller_vector_unit_is_refused():
    machine = dataclasses.replace(load_accelerator("kws_int8"), vector_lanes=4)
    with pytest.raises(InvalidDesign, match=r"vector_lanes must be as many as .* they are 4 and 8"):
        chip_machine(machine)


def test_a_matrix_in_tiles_of_the_trees_is_taken_as_it_is_made():
    export = small_chip("kws_ternary", policy="P2", prologue_channels=64, matrix_order="4x32")
    fields = export.loaded[0][3]
    words = fields["weight"].addresses()[:, 0] // 8
    assert export.program.layer("B1.0.pw").mapping.unrolled == (4, 32, 1)
    assert words.tolist() == 4 * list(range(0, 16, 4))  # 4 words a pass, 4 passes, 4 times over


def test_generated_rows_that_are_narrower_than_trees_are_refused():
    with pytest.raises(
        InvalidDesign, match=r"B1.0.pw cannot run .* rows of 16 inputs do not begin"
    ):
        small_chip("kws_ternary", policy="P2", channels=32).files()


def test_strides_are_refused():
    with pytest.raises(InvalidDesign, match=r"Conv1.0.dw cannot run .* its stride is 2"):
        small_chip("kws_int8", frames=128, prologue_stride=2).files()
