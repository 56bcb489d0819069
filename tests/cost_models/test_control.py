"""Control, collector and assembly: derived by hand from the parts of a machine of the library."""

import dataclasses

import pytest

from cost_models import load_accelerator, load_technology
from cost_models.band import ZERO
from cost_models.control import (
    address_bits,
    alignment_area_um2,
    assembly_bits,
    collector_area_um2,
    collector_bits,
    control_area_um2,
    nest_area_um2,
    shared_bits,
)
from cost_models.selection import (
    fetch_bits,
    loading_area_um2,
    loading_bits,
    operand_area_um2,
    selection_area_um2,
    tree_choice_area_um2,
    unit_area_um2,
    vector_area_um2,
    vector_bits,
)

TECHNOLOGY = load_technology("sky130_130nm")


def test_a_nest_by_hand():
    # 3 counters of 8 bits: a flip-flop 30.03, a selection 10.65, half an adder 9.9, an AND of two
    # inputs 13.26; an address bit: 30.03, an adder 19.8, a selection 10.65, and three ways of 3/8.
    counters = 24 * (30.03 + 10.65 + 9.9 + 13.26)
    expected = counters + 12 * (30.03 + 19.8 + 10.65 * (1 + 9 / 8))
    assert nest_area_um2(TECHNOLOGY, 12).mid == pytest.approx(expected)


def test_streams_of_a_machine_by_hand():
    # weights: 16,384 words of 64 bits; the buffer: 32 words of 256, filled and read; activations:
    # 8,192 words in and out. Activations have a channel and a frame, too.
    machine = load_accelerator("kws_ternary")
    assert sorted(address_bits(machine)) == sorted([14, 5 + 16, 5 + 16, 13 + 16, 13 + 16])
    # and the passes, whose trees have 16 sums, the records, and the generator
    nests = sum(nest_area_um2(TECHNOLOGY, bits).mid for bits in (14, 21, 21, 29, 29, 4, 8, 8))
    # a score of 32 bits, compared, with its class and a count of classes, 16 bits each
    score = 64 * 30.03 + 32 * 13.45 + 16 * 19.8 / 2
    # 8 sums of two sources, three places of activations, words of the host, trits or stored weights
    chosen = (8 * 24 + 2 * 29 + 64 + 256) * 10.65
    assert control_area_um2(machine, TECHNOLOGY).mid == pytest.approx(nests + score + chosen)


def test_without_a_buffer_the_vector_unit_has_a_nest_to_read_by():
    # kws_tiny: 4,096 words of 32 bits of weights and of activations, a tree of 8 sums
    machine = load_accelerator("kws_tiny")
    assert sorted(address_bits(machine)) == [12, 28, 28]
    nests = sum(nest_area_um2(TECHNOLOGY, bits).mid for bits in (12, 28, 28, 28, 3, 8, 8))
    score = 64 * 30.03 + 32 * 13.45 + 16 * 19.8 / 2
    chosen = (4 * 24 + 2 * 28 + 32 + 32) * 10.65
    expected = nests + score + chosen + 8 * 30.03  # the frame of what was read
    assert control_area_um2(machine, TECHNOLOGY).mid == pytest.approx(expected)


def test_arrays_share_what_they_take_operands_from():
    # inputs of 512 bits for the units and 1,024 for the trees; weights of 512 and 256 stand in one
    # register where both are stored
    assert shared_bits(load_accelerator("kws_ternary")) == {"macs": 0, "trees": 512}
    assert shared_bits(load_accelerator("kws_ternary_stored")) == {"macs": 0, "trees": 512 + 256}
    assert shared_bits(load_accelerator("kws_int8")) == {"macs": 0}


def test_what_waits_by_hand():
    machine = load_accelerator("kws_ternary")
    # 64 sums of 24 bits, and 63 adders: every unit's sum may be a part of one
    assert collector_bits(machine) == 64 * 24
    # of 8 scores one leaves; sums of 8 rows, of 4 trees and of all units come in a way of their own
    area = 64 * 24 * (30.03 + 10.65) + 63 * 24 * 19.8 + (7 + 8 + 4 + 1) * 24 * 10.65
    assert collector_area_um2(machine, TECHNOLOGY).mid == pytest.approx(area)
    # weights of the units 512 bits in words of 64; trits 256 bits, 64 a cycle; inputs of the trees
    # 1,024 bits in words of 256: of each all but the last word; and the buffer's words of 256 from
    # the activations' of 64
    assert assembly_bits(machine) == 448 + 192 + 768 + 192
    # the buffer: 256 bits turned by 5 selections, and 32 addresses of 5 bits are a word or the next
    turned = (256 * 5 + 32 * 5) * 10.65 + 5 * (19.8 + 30.03)
    # activations: 8 banks of 8 + 13 bits written from 8 lanes; read, 7 selections a bit; rows of 7
    # lanes by a selection and three ways, an adder, and ten bits of adders for banks; one row and a
    # half and three multiples of 8 bits for all; 8 banks know 8 lanes by 3 bits, and lanes theirs
    chosen = 8 * 8 * 21 * 3 / 8 + 7 * 64 + 7 * 13 * (1 + 9 / 8)
    added = 7 * (13 + 10) + 13 + 6 + 3 * 8
    diagonal = chosen * 10.65 + added * 19.8 + 8 * 8 * 3 * 6.63 + 24 * 30.03
    assert alignment_area_um2(machine, TECHNOLOGY).mid == pytest.approx(turned + diagonal)


def test_the_choice_among_mappings_by_hand():
    # 64 MAC units: a value from 2 places, a weight from 3, as int8 or as a trit (3 places of 2
    # bits): 8 + 16 + 8 + 4 selections of 10.65, and 16 ANDs of two inputs; 8 columns choose 10 bits
    machine = load_accelerator("kws_ternary")
    units = 64 * (36 * 10.65 + 16 * 13.26) + 8 * 10 * 10.65
    assert unit_area_um2(machine, TECHNOLOGY).mid == pytest.approx(units)
    # three rows of 32 lanes take the first row's input of 8 bits and trit of 2, or their own
    trees = 3 * 32 * 10 * 10.65
    assert tree_choice_area_um2(machine, TECHNOLOGY).mid == pytest.approx(trees)


def test_what_fetches_operands_by_hand():
    machine = load_accelerator("kws_ternary")
    # a place of 5 + 16 bits, whether each of 32 bytes is padding; words that were read last of 14
    # and 8 bits; a word of 64 that waits; two counts of 6 bits for each of three operands
    flip_flops = 21 + 32 + 14 + 8 + 64 + 36
    assert fetch_bits(machine) == flip_flops
    # operands of 1,024 bits of inputs, 512 of weights, 256 of trits; words of 8 bytes are turned,
    # those of the memory and of the generator, and one of the memory waits or is new
    chosen = 1024 + 512 + 256 + 2 * 64 * 3 + 64
    added = 2 * 21 + 16 + (14 + 8) + 9  # a place twice, distances to both edges, words, counts
    compared = (14 + 8) + 2 * 32 * 6
    area = flip_flops * 30.03 + chosen * 10.65 + added * 19.8 + compared * 13.45 + 256 * 13.26
    assert operand_area_um2(machine, TECHNOLOGY).mid == pytest.approx(area)


def test_a_vector_unit_beside_its_lanes_by_hand():
    machine = load_accelerator("kws_ternary")
    # the sum of a mean, 8 bits of a score, which record, 9 flags
    assert vector_bits(machine) == 24 + 8 + 3 + 9
    # 8 lanes take their own record of 48 bits or one of 8; a word is 36 places of results of 8
    # bits; the first lane's mean; its score; places of 8 lanes, and how many: 4 bits, twice
    chosen = 15 * 48 + 36 * 8 + 24 + 8 * 6 + 2 * 4 * 9
    # 8 lanes of a mean: 4 adders of 9 bits, 2 of 10, 1 of 11, and the sum; a score; distances
    added = (36 + 20 + 11) + 24 + 8 + 16
    compared = 3 * 8 * 4 + 16
    area = 44 * 30.03 + chosen * 10.65 + added * 19.8 + compared * 13.45 + 64 * 13.26
    assert vector_area_um2(machine, TECHNOLOGY).mid == pytest.approx(area)


def test_loading_by_hand():
    machine = load_accelerator("kws_ternary")
    assert loading_bits(machine) == 48 + 38
    # words of 64 bits become records of 48; an address of 14 bits and three counters of 8
    loading = (48 + 38) * 30.03 + (2 * 64 + 48) * 10.65 + 38 * 19.8
    assert loading_area_um2(machine, TECHNOLOGY).mid == pytest.approx(loading)


def test_systolic_arrays_and_those_with_figures_of_their_own_have_none():
    for name in ("systolic_32x32", "edge_tpu_like"):
        machine = load_accelerator(name)
        assert (collector_bits(machine), assembly_bits(machine)) == (0, 0)
        assert control_area_um2(machine, TECHNOLOGY) == ZERO
        assert alignment_area_um2(machine, TECHNOLOGY) == ZERO
        assert selection_area_um2(machine, TECHNOLOGY) == ZERO


def test_a_wider_port_needs_less_assembly():
    machine = load_accelerator("kws_int8")
    wide = [
        dataclasses.replace(each, bandwidth_bits_per_cycle=2 * each.bandwidth_bits_per_cycle)
        for each in machine.memories
    ]
    assert assembly_bits(machine) == 448 + 256 + 192
    assert assembly_bits(dataclasses.replace(machine, memories=tuple(wide))) == 384 + 384
