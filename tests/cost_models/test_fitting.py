"""Memories that are as large as a design needs: which size they get, and that it is like any."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models import (
    Accelerator,
    InvalidAccelerator,
    InvalidFile,
    MemoryLevel,
    Technology,
    UnmappableLayer,
    Workload,
    estimate,
    load_accelerator,
    load_technology,
)
from cost_models.fitting import Fitting, sizes_bits, worth
from cost_models.library import DATA
from cost_models.workload import Layer, LayerKind, WeightSource

KWS = load_accelerator("kws_ternary")
LOW_LEAKAGE = load_technology(KWS.technology)
OWN = ("word_bits", "read_pj_per_bit", "write_pj_per_bit", "area_um2", "leakage_uw")
FREE = dict.fromkeys(OWN)
"""Figures of the technology's table, and words as wide as the port."""


def fit(machine: Accelerator, *names: str, **changes: object) -> Accelerator:
    """The machine with memories that are to fit: those of these names, or all but a DRAM."""
    wanted = names or [memory.name for memory in machine.memories if memory.kind != "dram"]
    return dataclasses.replace(
        machine,
        memories=tuple(
            dataclasses.replace(memory, capacity_bits="fit", **FREE, **changes)
            if memory.name in wanted
            else memory
            for memory in machine.memories
        ),
    )


def layer(channels: int = 8, frames: int = 16, out: int = 8, **changes: object) -> Layer:
    return Layer(
        **{
            "name": "layer",
            "kind": LayerKind.POINTWISE,
            "in_channels": channels,
            "out_channels": out,
            "in_frames": frames,
            "out_frames": frames,
            "weights": WeightSource.TRAINED,
            "rescaled": False,
        }
        | changes
    )


def sizes(cost) -> dict[str, int]:
    return {memory.name: memory.bits for memory in cost.accelerator.memories}


# Sizes that there are


def test_four_sizes_a_doubling_and_the_ends_of_the_table(technology: Technology) -> None:
    memory = MemoryLevel(
        name="a",
        kind="sram",
        holds=("weights",),
        capacity_bits="fit",
        bandwidth_bits_per_cycle=32,
    )
    found = sizes_bits(memory, technology)
    # The table's ends are 1,000 and 100,000; 4 x 256, 5 x 256, 6 x 256, 7 x 256, 4 x 512, ...
    assert found[:6] == (1_000, 1_024, 1_280, 1_536, 1_792, 2_048)
    assert found[-3:] == (81_920, 98_304, 100_000)
    assert all(larger <= 1.25 * smaller for smaller, larger in itertools.pairwise(found))


def test_sizes_begin_where_the_port_can_be_built() -> None:
    [buffer] = fit(KWS, "input_buffer").to_fit
    # 256^2 / 8 = 8,192 bits for a word of 256 bits; two of them side by side need two such banks.
    assert sizes_bits(buffer, LOW_LEAKAGE)[0] == 8_192
    wide = dataclasses.replace(buffer, bandwidth_bits_per_cycle=512)
    assert sizes_bits(wide, LOW_LEAKAGE)[0] == 16_384
    widest = dataclasses.replace(buffer, bandwidth_bits_per_cycle=10**7)
    with pytest.raises(InvalidAccelerator, match="no rows for a port of 10,000,128 bits"):
        sizes_bits(widest, LOW_LEAKAGE)
    beyond = dataclasses.replace(buffer, bandwidth_bits_per_cycle=10**9)
    with pytest.raises(InvalidAccelerator, match=r"a port of 1,000,000,000 bits .*, wider than"):
        sizes_bits(beyond, LOW_LEAKAGE)


def test_a_register_file_has_the_same_steps() -> None:
    [file] = fit(KWS, "input_buffer", kind="register_file").to_fit
    found = sizes_bits(file, LOW_LEAKAGE)
    assert found[:3] == (256, 320, 384) and found[-1] == 8_192


# What a design needs


def test_weights_get_the_smallest_macro_that_holds_them(
    machine: Accelerator, technology: Technology
) -> None:
    on = fit(machine, "weight_sram")
    # 8 x 8 weights of 8 bits: 512 bits, below the smallest macro; 16 x 10 x 8 = 1,280, a size of
    # its own; one output more: 1,408, and the next one is 1,536.
    for out, channels, expected in ((8, 8, 1_000), (10, 16, 1_280), (11, 16, 1_536)):
        cost = estimate(Workload("one", (layer(channels, out=out),)), on, technology)
        assert cost.stored_bits == 8 * out * channels
        assert sizes(cost) == {"weight_sram": expected, "activation_sram": 100_000}
        assert cost.misfits == ()


def test_activations_get_what_is_alive_and_what_a_stream_keeps(
    machine: Accelerator, technology: Technology
) -> None:
    workload = Workload("one", (layer(),))  # in and out: 2 x 8 x 16 x 8 = 2,048
    on = fit(machine, "activation_sram")
    assert sizes(estimate(workload, on, technology))["activation_sram"] == 2_048
    kept = estimate(workload, on, technology, kept_bits=1)
    assert sizes(kept)["activation_sram"] == 2_560


def test_one_memory_for_both_holds_both_together(
    machine: Accelerator, technology: Technology
) -> None:
    shared = dataclasses.replace(
        machine.memories[1], name="sram", holds=("weights", "inputs", "outputs")
    )
    on = fit(dataclasses.replace(machine, memories=(shared,)))
    # 512 bits of weights beside 2,048: exactly 2,560.
    cost = estimate(Workload("one", (layer(),)), on, technology)
    assert sizes(cost) == {"sram": 2_560} and cost.misfits == ()


def test_homes_below_a_dram_hold_all_that_stays(
    machine: Accelerator, technology: Technology
) -> None:
    dram = MemoryLevel(
        name="dram",
        kind="dram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=10**9,
        bandwidth_bits_per_cycle=16,
    )
    on = dataclasses.replace(fit(machine), memories=(*fit(machine).memories, dram))
    workload = Workload("two", (layer(name="one"), layer(name="two")))
    cost = estimate(workload, on, technology)
    assert sizes(cost) == {"weight_sram": 1_024, "activation_sram": 2_048, "dram": 10**9}
    # Weights stay between inferences; of activations, features come and scores go.
    assert [each.traffic_bits("dram", "weights") for each in cost.layers] == [0, 0]
    assert [each.output_on_chip for each in cost.layers] == [True, False]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 64), st.integers(1, 40), st.integers(1, 64), st.data())
def test_it_costs_what_a_machine_of_these_sizes_costs(channels, frames, out, data) -> None:
    on = fit(KWS, *data.draw(st.sampled_from([("weight_sram",), ("activation_sram",), ()])))
    workload = Workload("one", (layer(channels, frames, out),))
    cost = estimate(workload, on, LOW_LEAKAGE)
    named = tuple(
        dataclasses.replace(memory, capacity_bits=sizes(cost)[memory.name])
        for memory in KWS.memories
    )
    same = estimate(workload, dataclasses.replace(KWS, memories=named), LOW_LEAKAGE)
    assert same.columns() == cost.columns()
    assert np.array_equal(same.counts, cost.counts)
    assert same.areas_um2 == cost.areas_um2
    assert cost.accelerator.as_asked == on


# What hands tiles inwards


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_a_tile_buffer_has_the_best_size_and_the_smallest_of_these(objective) -> None:
    workload = Workload("one", (layer(96, 100, 64, kernel_size=3, kind=LayerKind.CONVOLUTION),))
    on = fit(KWS, "input_buffer")
    best = estimate(workload, on, LOW_LEAKAGE, objective)
    size = sizes(best)["input_buffer"]
    for power in range(13, 19):
        other = estimate(workload, on.sized([2**power]), LOW_LEAKAGE, objective)
        figures = [worth(each.energy_pj, each.latency_cycles, objective) for each in (best, other)]
        assert figures[0] < figures[1] or (figures[0] == figures[1] and size <= 2**power)


def test_a_size_that_is_too_small_for_a_tile_is_passed_over(
    machine: Accelerator, technology: Technology
) -> None:
    # A register file with a port of one bit may have 1, 4, 5, ... bits; an input has 8.
    port = {"kind": "register_file", "bandwidth_bits_per_cycle": 1}
    buffer = dataclasses.replace(machine.memories[1], name="buffer", holds=("inputs",), **port)
    arrays = tuple(dataclasses.replace(each, latched=("inputs",)) for each in machine.arrays)
    memories = (buffer, *machine.memories)
    on = fit(dataclasses.replace(machine, arrays=arrays, memories=memories), "buffer")
    workload = Workload("one", (layer(),))
    for size in (1, 4, 5, 6, 7):
        with pytest.raises(UnmappableLayer, match="in 'buffer'"):
            estimate(workload, on.sized([size]), technology)
    assert sizes(estimate(workload, on, technology))["buffer"] >= 8


# Refusals


def test_what_is_larger_than_any_macro_is_refused_with_need_and_remedy(
    machine: Accelerator, technology: Technology
) -> None:
    on = fit(machine, "weight_sram")
    with pytest.raises(InvalidAccelerator) as caught:
        estimate(Workload("one", (layer(128, out=128),)), on, technology)
    assert str(caught.value) == (
        "capacity_bits of 'weight_sram' is fit: the design needs 131,072 bits, and the largest "
        "that can be built in round has 100,000; use a smaller design, another technology, or a "
        "DRAM behind a memory with a number of bits"
    )


def test_a_memory_that_is_too_slow_for_the_clock_is_refused() -> None:
    # 16 Mbit take 5.2 ns, and a cycle 5; the smallest would do.
    int8 = load_accelerator("kws_int8")
    on = dataclasses.replace(fit(int8, "weight_sram"), clock_mhz=200.0)
    workload = Workload("one", (layer(2_048, 1, 1_000),))
    with pytest.raises(InvalidAccelerator, match="whose 'weight_sram' takes"):
        estimate(workload, on, LOW_LEAKAGE)


def test_without_a_design_there_is_no_size() -> None:
    [memory] = fit(KWS, "weight_sram").to_fit
    assert memory.size_words == "as many bits as the design needs"
    with pytest.raises(InvalidAccelerator, match=r"'weight_sram' has no size yet.*name a design"):
        assert memory.bits
    [sized] = [each for each in fit(KWS, "weight_sram").sized([2**16]).memories if each.fitted]
    assert sized.size_words == "65,536 bits (fit)"


def test_needs_beyond_all_machines_have_no_machines() -> None:
    fitting = Fitting(fit(KWS, "weight_sram"), LOW_LEAKAGE)
    keys = fitting.keys(np.array([1, 2**24, 2**24 + 1]), np.array([1, 1, 1]))
    counts = [len(fitting.machines(key)) for key in keys.tolist()]
    assert counts == [1, 1, 0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("capacity_bits: 1048576", "capacity_bits: fits", "capacity_bits must be"),
        ("capacity_bits: 1048576", "capacity_bits: 0", "capacity_bits must be"),
        (
            "kind: sram, holds: [weights]",
            "kind: dram, holds: [weights]",
            "capacity_bits must be a number of bits for a DRAM: it is another chip, not 'fit'",
        ),
        (
            "bandwidth_bits_per_cycle: 64}",
            "bandwidth_bits_per_cycle: 64, leakage_uw: {value: 1.0, source: s}}",
            "a number of bits where leakage_uw is given, which belongs to one size, not 'fit'",
        ),
    ],
)
def test_bad_files(tmp_path, old, new, message) -> None:
    text = (DATA / "accelerators" / "kws_ternary.yaml").read_text()
    if "capacity_bits" not in old:
        text = text.replace("capacity_bits: 1048576", "capacity_bits: fit")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InvalidFile, match="memories") as caught:
        load_accelerator(path)
    assert message in str(caught.value) and "mine.yaml:" in str(caught.value)
