"""The parts of the chip's exporter: nests, places of tensors, words, images, refusals."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models import load_accelerator
from dse.chip.convolutions import Place, word_fields
from dse.chip.descriptors import nest_sizes
from dse.chip.images import image_hex, records, weight_image
from dse.chip.machine import chip_machine
from dse.chip.nests import COUNT_BITS, LOOPS, Loop, encode_deltas, encode_last, make_nest
from dse.chip.program import make_program
from dse.chip.tensors import Tensor, place_tensors
from dse.errors import InvalidDesign
from dse.training.integer import MEAN_STEPS, Head, Rounding
from tests.dse.chip.small import small_chip

BITS = 16


def walk(nest):
    """Addresses as `loop_nest.v` forms them: one addition a step."""
    lasts, deltas = encode_last(nest, COUNT_BITS), encode_deltas(nest, (BITS, BITS))
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


@given(st.integers(1, 10_000), st.floats(1, 256))
def test_a_factor_divides_by_the_frames_of_every_mean(frames, gain):
    head = Head(
        pooled=True,
        mean_gain=round(gain * MEAN_STEPS),
        weights=np.zeros((1, 1), dtype=np.int8),
        rounding=Rounding(factors=np.zeros(1), shifts=np.zeros(1), offsets=np.zeros(1)),
    )
    factor, shift = head.mean_rounding(frames)
    assert 0 <= factor < 2**15
    # All sums that stay within int8 are off by half a step, and by what 15 bits leave of 127.
    sums = np.linspace(0, 127 * frames / gain, 5000).astype(np.int64)
    means = (64 + (sums * factor >> shift)) >> 7
    assert np.abs(means - sums * gain / frames).max() <= 0.5 + 1 / 64 + 127 / 2**14


def tensor(name, channels, first, last):
    return Tensor(name=name, channels=channels, frames=8, first=first, last=last)


def test_tensors_fill_a_memory_to_the_last_row():
    tensors = [
        tensor("in", 16, -1, 2),
        tensor("dw", 16, 0, 1),
        tensor("main", 24, 1, 3),
        tensor("skip", 24, 2, 3),
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
    one, two = (
        Rounding(factors=np.array([factor]), shifts=np.array([shift]), offsets=np.array([offset]))
        for factor, shift, offset in ((1, 2, -1), (-1, 31, 64))
    )
    # {offset, shift, factor} of each, of two tensors in turns
    # side by side, each of 27 + 5 + 16 bits, whatever a word is: ffffffe20001, then 0000081fffff
    assert image_hex(records([one, two]), 8) == "ffffffffffe20001\n000000000000081f\n"


@pytest.mark.parametrize(
    ("machine", "values"),
    [
        ("kws_int8", {}),
        ("kws_ternary", {"prologue_channels": 32, "policy": "P2"}),
        ("kws_ternary_stored", {"prologue_channels": 32, "policy": "P2"}),
        ("kws_tiny", {"policy": "P2", "frames": 32}),  # words of 32 bits
    ],
)
def test_what_the_weight_memory_holds_is_what_the_model_counts(machine, values):
    export = small_chip(machine, **values)
    fitted = dataclasses.replace(export.machine, memories=fit(export.machine))
    image = export.loaded[1]
    assert 8 * len(image) == export.program.cost.stored_bits
    # so that a memory that is to fit is large enough, to the word
    again = dataclasses.replace(export, machine=fitted)
    assert again.loaded[1] == image
    assert 8 * len(image) <= again.chip.weights.bits < export.chip.weights.bits


def fit(machine):
    """Its memories, that of weights as large as the design needs."""
    return tuple(
        dataclasses.replace(each, capacity_bits="fit") if each.holds == ("weights",) else each
        for each in machine.memories
    )


def test_operands_at_the_edge_are_whole():
    # 9 channels are two passes of 5: the second has a row of weights that belongs to none.
    export = small_chip("kws_int8", final_channels=9)
    more = 8 * len(export.loaded[1]) - export.program.cost.stored_bits
    padded = {}
    for step in export.program.steps:
        if step.kind == "convolution":
            mapped = export.mapped(step)
            bits = 8 * len(weight_image(mapped, step.path.weights))
            padded[step.name] = bits - -(-mapped.layer.stored_matrix_bits // 64) * 64
    assert more == sum(padded.values()) > 0
    assert {name for name, bits in padded.items() if bits} <= {"Conv3.0.pw", "head.linear"}


def test_a_descriptor_is_as_wide_as_the_network_needs():
    fields = {"pass": make_nest((0,), [Loop(9, (1,)), Loop(3, (0,))], "it")}
    assert nest_sizes([fields, {}])["pass"] == (2, 4)
    small, large = small_chip("kws_tiny", frames=16), small_chip("kws_tiny", frames=64)
    assert small.descriptor_bits < large.descriptor_bits < 1000


def test_what_paths_meet_in_reads_two_tensors_of_bytes():
    export = small_chip("kws_int8")
    steps = {step.name: step for step in export.program.steps}
    add = steps["B1.add"]
    assert (add.kind, add.source, add.second) == ("sum", "B1.0.pw", "B1.skip")
    assert steps["B1.0.pw"].target == "B1.0.pw" and not steps["B1.0.pw"].relu and add.relu
    # a block without a matrix on its skip adds what it read
    bare = small_chip("kws_int8", prologue_channels=8, policy="P2")
    add = next(step for step in bare.program.steps if step.kind == "sum")
    assert (add.source, add.second) == ("B1.0.pw", "Conv1.0.pw")


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


def test_layers_with_bins_are_refused_by_name():
    export = small_chip("kws_int8")
    first, *others = export.workload.layers
    layers = (dataclasses.replace(first, in_bins=4, out_bins=4), *others)
    plane = dataclasses.replace(export.workload, layers=layers)
    with pytest.raises(InvalidDesign, match=f"{first.name} has frames of 4 bins, and the exported"):
        make_program(export.network, plane, export.machine, export.technology)
