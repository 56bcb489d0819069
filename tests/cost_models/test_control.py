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
)
from cost_models.selection import (
    loading_area_um2,
    operand_area_um2,
    selection_area_um2,
    unit_area_um2,
    vector_area_um2,
)

TECHNOLOGY = load_technology("sky130_130nm")


def test_a_nest_by_hand():
    # 3 counters of 8 bits: a flip-flop 30.03, a selection 10.65, half an adder 9.9, an AND of two
    # inputs 13.26; an address bit: 30.03, an adder 19.8, three selections 31.95.
    counters = 24 * (30.03 + 10.65 + 9.9 + 13.26)
    expected = counters + 12 * (30.03 + 19.8 + 31.95)
    assert nest_area_um2(TECHNOLOGY, 12).mid == pytest.approx(expected)


def test_streams_of_a_machine_by_hand():
    # weights: 16,384 words of 64 bits; the buffer: 32 words of 256, filled and read; activations:
    # 8,192 words in and out. Activations have a channel and a frame, too.
    machine = load_accelerator("kws_ternary")
    assert sorted(address_bits(machine)) == sorted([14, 5 + 16, 5 + 16, 13 + 16, 13 + 16])
    # and the passes, whose trees have 16 sums, the records, and the generator
    nests = sum(nest_area_um2(TECHNOLOGY, bits).mid for bits in (14, 21, 21, 29, 29, 4, 8, 8))
    assert control_area_um2(machine, TECHNOLOGY).mid == pytest.approx(nests)


def test_what_waits_by_hand():
    machine = load_accelerator("kws_ternary")
    # 64 sums of 24 bits, and 63 adders: every unit's sum may be a part of one
    assert collector_bits(machine) == 64 * 24
    area = 64 * 24 * (30.03 + 10.65) + 63 * 24 * 19.8
    assert collector_area_um2(machine, TECHNOLOGY).mid == pytest.approx(area)
    # weights of the units 512 bits in words of 64; trits 256 bits, 64 a cycle; inputs of the trees
    # 1,024 bits in words of 256: of each all but the last word; and the buffer's words of 256 from
    # the activations' of 64
    assert assembly_bits(machine) == 448 + 192 + 768 + 192
    # the buffer's port is turned by 5 selections a bit, that of the activations by 3, twice; 32 and
    # 8 banks with addresses of 5 and 13 bits
    area = (256 * 5 + 64 * 3 * 2) * 10.65 + (32 * 5 + 8 * 13) * (19.8 + 10.65)
    assert alignment_area_um2(machine, TECHNOLOGY).mid == pytest.approx(area)


def test_the_choice_among_mappings_by_hand():
    # 64 MAC units: a value from 2 places, a weight from 4, as int8 or as a trit (4 places of 2
    # bits): 8 + 24 + 8 + 6 selections of 10.65, and 16 ANDs of two inputs.
    machine = load_accelerator("kws_ternary")
    units = 64 * (46 * 10.65 + 16 * 13.26)
    assert unit_area_um2(machine, TECHNOLOGY).mid == pytest.approx(units)
    # operands of 1,024 bits of inputs and 512 of weights, whose words of 8 bytes are turned
    assert operand_area_um2(machine, TECHNOLOGY).mid == pytest.approx((1536 + 64 * 3) * 10.65)
    # 8 lanes take their own record of 48 bits or one of 8; a word is 36 places of results of 8 bits
    vector = (15 * 48 + 36 * 8) * 10.65
    assert vector_area_um2(machine, TECHNOLOGY).mid == pytest.approx(vector)
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
