"""Whole spaces priced at once: the same designs as enumeration, the same figures as `estimate`."""

import dataclasses
import functools
import math
from collections import Counter
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cost_models import estimate, load_accelerator, load_technology
from cost_models.errors import InvalidInput
from cost_models.strict_yaml import parse_yaml
from dse.columns import COST_COLUMNS
from dse.design.families import DEFAULT
from dse.design.families.family import Values
from dse.design.point import Block
from dse.design.space import Choice, SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidFile
from dse.networks.lowering import lower, lower_block, output_frames
from dse.pricing import sweep as module
from dse.pricing.budget import Budget, Limit
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Chunk, Sweep, cut_pieces

IN_CHANNELS, FRAMES, OUTPUTS = 12, 40, 3


def space(axes: str | dict[str, Any]) -> SearchSpace:
    text = axes if isinstance(axes, str) else yaml.safe_dump(axes)
    return space_from_node(parse_yaml(text, "space.yaml"), in_channels=IN_CHANNELS)


def machine(name: str = "kws_ternary", **memories: int | Literal["fit"]) -> Machine:
    """A machine of the library; memories of other capacities, in bits, with ports that fit."""
    accelerator = load_accelerator(name)
    assert set(memories) <= {memory.name for memory in accelerator.memories}
    changed = tuple(
        dataclasses.replace(
            memory,
            capacity_bits=memories[memory.name],
            bandwidth_bits_per_cycle=min(64, memory.bandwidth_bits_per_cycle),
            word_bits=None,
        )
        if memory.name in memories
        else memory
        for memory in accelerator.memories
    )
    accelerator = dataclasses.replace(accelerator, memories=changed)
    return Machine(accelerator, load_technology(accelerator.technology))


def swept(found: SearchSpace, *machines: Machine, **options: Any) -> list[Chunk]:
    sweep = sweep_of(found, *(machines or (machine(),)), budget=options.pop("budget", Budget()))
    return list(sweep.run(**options))


def sweep_of(found: SearchSpace, *machines: Machine, budget: Budget | None = None) -> Sweep:
    return Sweep(found, Pricing(machines, frames=FRAMES, outputs=OUTPUTS, budget=budget))


def designs(chunks: list[Chunk]) -> list[Values]:
    return [chunk.piece.values(digits) for chunk in chunks for digits in chunk.digits]


def same(values: Values) -> frozenset[tuple[str, Any]]:
    return frozenset(values.items())


def one_by_one(found: SearchSpace, values: Values, on: Machine) -> dict[str, float] | None:
    """What `estimate` says of one design; None where it cannot be built or executed."""
    try:
        workload = lower(found.point(values), frames=FRAMES, outputs=OUTPUTS)
        return estimate(workload, on.accelerator, on.technology, on.objective).columns()
    except InvalidInput:
        return None


def check_equal(found: SearchSpace, chunks: list[Chunk], every: int = 1) -> Counter[str]:
    """Hold every design (or some) against `estimate`, bit for bit; how many there were."""
    seen: Counter[str] = Counter()
    for chunk in chunks:
        assert set(chunk.columns) == set(COST_COLUMNS)
        for row in range(0, len(chunk.digits), every):
            values = chunk.piece.values(chunk.digits[row])
            expected = one_by_one(found, values, chunk.machine)
            got = {name: float(figures[row]) for name, figures in chunk.columns.items()}
            if expected is None:
                assert all(math.isnan(figure) for figure in got.values()), values
                assert not chunk.feasible[row]
                seen["invalid"] += 1
            else:
                assert got == expected, values
                seen["valid"] += 1
    return seen


# --- random spaces


def some(values: list[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


@st.composite
def axes_of_spaces(draw: st.DrawFn) -> dict[str, Any]:
    """A few axes, each with a few values, some of them for each block alone."""

    def axis(values: list[Any], most: int = 3) -> Any:
        chosen = draw(some(values, most))
        return {"values": chosen, "per_block": True} if draw(st.booleans()) else chosen

    axes: dict[str, Any] = {"blocks": draw(some([1, 2, 3], 2))}
    ternary = draw(st.sampled_from(["policy", "mixers", "none"]))
    if ternary == "policy":
        axes["policy"] = draw(some(["P0", "P1", "P2", "P3", "P4"]))
    elif ternary == "mixers":
        axes["block_mixer"] = axis(["dense", "ternary"], 2)
        axes["skip"] = axis(["dense", "ternary", "identity_or_ternary", "none"], 2)
        axes["final_mixer"] = draw(some(["dense", "ternary"], 2))
    if ternary != "none":
        axes["generator"] = draw(some(["lfsr_threshold", "one_hot", "counter_arx", "sobol"], 2))
        axes["density"] = draw(some([0.25, 0.5], 2))
        axes |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "threshold_bits": some([4, 8], 2),
                    "state_bits": some([89, 127], 2),
                    "rounds": some([6, 7], 2),
                    "signs": some(["random", "balanced"], 2),
                    "ternary_seed": some([1, 2], 2),
                },
            )
        )
    # Blocks of 2 or 4 do not divide 6 or 10 channels; a growth of 1 makes even kernels.
    axes["channels"] = axis([6, 8, 10, 12])
    axes["kernel"] = draw(some([3, 5, 7], 2))
    optional = {
        "kernel_growth": [0, 1, 2],
        "repeats": [1, 2],
        "stride": [1, 2],
        "dilation": [1, 2],
        "dropout": [0.0, 0.1],
    }
    for name in draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=3)):
        axes[name] = (
            draw(some(optional[name], 2)) if name == "kernel_growth" else axis(optional[name], 2)
        )
    for name, values in (
        ("skip_norm", [True, False]),
        ("prologue_channels", [8, 12]),
        ("prologue_stride", [1, 2]),
        ("epilogue_channels", [8, 16]),
        ("final_channels", [8, 16]),
    ):
        axes[name] = draw(some(values, 2))
    axes |= {"prologue_kernel": 3, "epilogue_kernel": 5}
    return axes


def space_or_nothing(axes: dict[str, Any]) -> SearchSpace:
    try:
        return space(axes)
    except InvalidFile:  # a generator that cannot make a density
        assume(False)
        raise


slowly = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.filter_too_much]
)


# --- pieces


@given(axes_of_spaces())
@slowly
def test_pieces_cover_a_space_exactly_once(axes: dict[str, Any]) -> None:
    found = space_or_nothing(axes)
    assume(found.size <= 5_000)
    pieces = cut_pieces(found)
    listed = [
        piece.values(digits)
        for piece in pieces
        for digits in piece.digits(np.arange(piece.size, dtype=np.int64))
    ]
    expected = [same(values) for values in found.enumerate()]
    assert len(listed) == len(expected) == found.size == sum(piece.size for piece in pieces)
    assert Counter(map(same, listed)) == Counter(expected)


def test_digits_are_the_number_in_mixed_radix_last_axis_fastest() -> None:
    [piece] = cut_pieces(space("{blocks: 1, channels: [6, 8], repeats: [1, 2], stride: [1, 2, 3]}"))
    # The free axes, in the order of the family: repeats (2), channels (2), stride (3).
    assert [choice.name for choice in piece.free] == ["repeats", "channels", "stride"]
    # 7 = 1 * 6 + 0 * 3 + 1.
    assert piece.digits(np.array([0, 7, 11])).tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 2]]
    assert piece.values([1, 0, 1]) == {"blocks": 1, "repeats": 2, "channels": 6, "stride": 2}


def test_axis_is_none_where_it_does_not_matter() -> None:
    found = space("{blocks: [1, 2], policy: [P0, P1], density: [0.25, 0.5], kernel: [3, 5]}")
    for chunk in swept(found):
        for name in ("blocks", "policy", "density", "kernel"):
            given_values = [chunk.piece.values(digits).get(name) for digits in chunk.digits]
            assert chunk.axis(name) == given_values


# --- the same figures as `estimate`

SMALL = """
blocks: [1, 2]
policy: [P0, P1, P4]
density: [0.25, 0.5]
generator: [lfsr_threshold, one_hot]
channels: {values: [8, 12], per_block: true}
kernel: [3, 5]
prologue_channels: [8, 12]
epilogue_channels: 8
final_channels: 8
prologue_stride: [1, 2]
"""

MACHINES = {
    "no DRAM, generated": machine("kws_ternary"),
    "skipped zeros": machine("kws_ternary_skipped"),
    "stored": machine("kws_int8"),
    # Of tensors of 8 or 12 channels x 40 or 20 frames x 8 bits, up to three are alive together.
    "some activations stay": machine("tpu_like", activation_sram=9_000),
    # About half of the networks fit.
    "some weights stay": machine("kws_int8_dram", weight_sram=9_000),
    "both": machine("edge_tpu_like", weight_sram=9_000, activation_sram=9_000),
    "latency": dataclasses.replace(machine("eyeriss_like"), objective="latency"),
    "fit": machine("kws_ternary", weight_sram="fit", activation_sram="fit", input_buffer="fit"),
}


@functools.cache
def small_on(which: str) -> list[Chunk]:
    """All designs of `SMALL` on a machine of `MACHINES`, not to be changed."""
    return swept(space(SMALL), MACHINES[which])


@pytest.mark.parametrize("which", MACHINES)
def test_every_design_equals_estimate_bit_for_bit(which: str) -> None:
    found, chunks = space(SMALL), small_on(which)
    assert sum(len(chunk.digits) for chunk in chunks) == found.size
    # Every seventh: no axis has seven values, so each meets each.
    assert check_equal(found, chunks, every=7)["valid"] > 50


def test_weights_and_activations_share_a_memory_that_holds_both() -> None:
    # As `Cost.misfits` says: each alone would fit a memory of 20,000 bits that many do not fit
    # together.
    shared = load_accelerator("kws_int8")
    only = dataclasses.replace(
        shared.memories[0],
        name="sram",
        holds=("weights", "inputs", "outputs"),
        capacity_bits=20_000,
    )
    on = Machine(dataclasses.replace(shared, memories=(only,)), load_technology(shared.technology))
    found = space(SMALL)
    seen: Counter[tuple[bool, bool]] = Counter()
    for chunk in swept(found, on):
        for row in range(0, len(chunk.digits), 7):
            values = chunk.piece.values(chunk.digits[row])
            workload = lower(found.point(values), frames=FRAMES, outputs=OUTPUTS)
            misfits = estimate(workload, on.accelerator, on.technology, on.objective).misfits
            assert chunk.feasible[row] == (not misfits), (values, misfits)
            seen[bool(chunk.feasible[row]), any("together" in each for each in misfits)] += 1
    assert seen[True, False] > 5 and seen[False, True] > 5


def test_machines_of_these_tests_lie_on_the_edge_of_residency() -> None:
    """Without this, `some ... stay` above would say nothing."""
    columns = {
        name: np.concatenate([chunk.columns[name] for chunk in small_on("both")])
        for name in ("activation_bits", "stored_bits")
    }
    assert columns["activation_bits"].min() < 9_000 < columns["activation_bits"].max()
    assert columns["stored_bits"].min() < 9_000 < columns["stored_bits"].max()


@given(
    axes_of_spaces(),
    st.sampled_from(["no DRAM, generated", "skipped zeros", "both"]),
    st.integers(0, 99),
)
@settings(parent=slowly, max_examples=12)
def test_designs_of_random_spaces_equal_estimate(
    axes: dict[str, Any], which: str, seed: int
) -> None:
    found = space_or_nothing(axes)
    check_equal(found, swept(found, MACHINES[which], sample=5, seed=seed))


@st.composite
def quartznets(draw: st.DrawFn) -> dict[str, Any]:
    """Small QuartzNets: copies of blocks, their own densities, policies of the whole network."""

    def some_of(*values: Any) -> list[Any]:
        return draw(some(list(values), 2))

    axes: dict[str, Any] = {"family": "quartznet", "blocks": some_of(1, 2)}
    axes |= {"block_repeats": some_of(1, 2), "repeats": some_of(1, 2)}
    axes["policy"] = draw(some(["P0", "P2", "P4", "alternate", "half"], 3))
    axes |= {"density": some_of(0.25, 0.5), "generator": "one_hot"}
    own = st.fixed_dictionaries(
        {},
        optional={
            "density_b1": some([0.25, 0.5], 2),
            "block_repeats_b2": some([1, 3], 2),
            "channels_b2": some([6, 8], 2),
            "kernel_b1": some([3, 5], 2),
            "policy_mixer": some(["ternary", "grouped"], 2),
        },
    )
    two = 2 in axes["blocks"]
    axes |= {name: found for name, found in draw(own).items() if two or not name.endswith("_b2")}
    axes |= {"channels": some_of(8, 12), "stride": some_of(1, 2), "kernel": 3}
    axes |= {"prologue_channels": some_of(8, 12), "prologue_kernel": 3, "epilogue_kernel": 5}
    axes |= {"epilogue_channels": some_of(8, 16), "final_channels": some_of(8, 16)}
    return axes


@given(quartznets(), st.integers(0, 99))
@settings(parent=slowly, max_examples=4)
def test_designs_of_spaces_of_quartznets_equal_estimate(axes: dict[str, Any], seed: int) -> None:
    found = space_or_nothing(axes)
    check_equal(found, swept(found, MACHINES["both"], sample=8, seed=seed))


def test_a_whole_space_of_quartznets_equals_estimate() -> None:
    found = space(
        "{family: quartznet, blocks: 2, block_repeats: [1, 2], repeats: 1, kernel: 3, "
        "policy: [alternate, half], channels: [8, 12], density: 0.25, density_b2: [0.25, 0.5], "
        "prologue_channels: 8, prologue_kernel: [3, 5], epilogue_channels: 8, epilogue_kernel: 5, "
        "final_channels: 8}"
    )
    assert check_equal(found, swept(found))["valid"] == found.size


def test_several_machines_get_the_same_designs() -> None:
    found = space("{blocks: 1, policy: [P0, P1], channels: [8, 12], density: [0.25, 0.5]}")
    machines = [machine("kws_ternary"), machine("kws_int8"), machine("tpu_like")]
    chunks = swept(found, *machines)
    names = [chunk.machine.accelerator.name for chunk in chunks]
    # Piece by piece, and in each machine by machine.
    assert names == ["kws_ternary", "kws_int8", "tpu_like"] * (len(chunks) // 3)
    for first, second, third in zip(chunks[::3], chunks[1::3], chunks[2::3], strict=True):
        assert designs([first]) == designs([second]) == designs([third])
    assert check_equal(found, chunks)["valid"] == 3 * found.size


def test_a_chunk_on_another_machine_is_as_if_swept_there() -> None:
    found = space(SMALL)
    other = MACHINES["both"]
    sweep = sweep_of(found, machine("kws_ternary"))
    elsewhere = sweep.pricing.on(other)
    for chunk, expected in zip(sweep.run(), small_on("both"), strict=True):
        assert designs([chunk]) == designs([expected])
        columns, feasible = elsewhere.price(chunk.cut)
        assert feasible.tolist() == expected.feasible.tolist()
        for name in COST_COLUMNS:
            np.testing.assert_array_equal(columns[name], expected.columns[name])


def test_chunks_do_not_change_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    found, whole = space(SMALL), small_on("no DRAM, generated")
    monkeypatch.setattr(module, "CHUNK", 5)
    small = swept(found)
    assert len(small) > len(whole)
    assert max(len(chunk.digits) for chunk in small) == 5
    assert designs(small) == designs(whole)
    for name in COST_COLUMNS:
        together = [
            np.concatenate([each.columns[name] for each in all_]) for all_ in (small, whole)
        ]
        np.testing.assert_array_equal(*together)


def test_the_generator_is_built_for_each_design() -> None:
    """Its area follows the register and the threshold, which vary within a piece."""
    found = space(
        "{blocks: 1, policy: [P0, P1], channels: 8, density: 0.25, state_bits: [89, 127], "
        "threshold_bits: [4, 8]}"
    )
    on = machine()
    chunks = swept(found, on)
    assert check_equal(found, chunks)["valid"] == 5
    [ternary] = [chunk for chunk in chunks if chunk.piece.fixed["policy"] == "P1"]
    assert len(set(ternary.columns["area_um2"].tolist())) == 4


# --- what cannot be built or executed


def test_an_invalid_design_leaves_its_neighbours_alone() -> None:
    # One-hot at 1/4 needs a multiple of 4 inputs. B1's matrix reads Conv1's channels, Conv2's those
    # of B1: 10 channels anywhere are invalid, 8 and 12 are not.
    found = space(
        "{blocks: 1, policy: P3, generator: one_hot, density: 0.25, channels: [8, 10, 12], "
        "prologue_channels: [8, 10], epilogue_channels: 8, final_channels: 8}"
    )
    [chunk] = swept(found)
    valid = {
        (values["prologue_channels"], values["channels"]): not math.isnan(energy_pj)
        for values, energy_pj in zip(
            designs([chunk]), chunk.columns["energy_pj"].tolist(), strict=True
        )
    }
    assert valid == {
        (prologue, channels): prologue != 10 and channels != 10
        for prologue in (8, 10)
        for channels in (8, 10, 12)
    }
    assert check_equal(found, [chunk]) == {"valid": 2, "invalid": 4}
    assert chunk.feasible.tolist() == [valid[key] for key in valid]


def test_a_machine_that_refuses_ternary_weights_executes_the_dense_designs() -> None:
    on = machine("kws_int8")
    refusing = dataclasses.replace(
        on, accelerator=dataclasses.replace(on.accelerator, ternary_weights="refused")
    )
    found = space("{blocks: 1, policy: [P0, P1], channels: [8, 12], density: 0.25}")
    chunks = swept(found, refusing, on)
    assert check_equal(found, chunks) == {"valid": 2 + 4, "invalid": 2}
    by_policy = {
        (chunk.piece.fixed["policy"], chunk.machine is refusing): bool(chunk.feasible.all())
        for chunk in chunks
    }
    assert by_policy == {
        ("P0", True): True,
        ("P1", True): False,
        ("P0", False): True,
        ("P1", False): True,
    }


def test_what_does_not_fit_is_priced_and_not_feasible() -> None:
    # 131,072 bits of weights are 16,384 trained ones. Of 128 channels, 1x1 layers alone have
    # 128 * 128 in Conv3; of 8 channels, nothing has more than 29 * 8.
    found = space("{blocks: 1, channels: 8, prologue_channels: 8, epilogue_channels: [8, 128]}")
    on = machine("kws_tiny")
    assert on.accelerator.chain("weights")[-1].capacity_bits == 131_072
    [chunk] = swept(found, on)
    assert check_equal(found, [chunk]) == {"valid": 2}
    assert (chunk.columns["stored_bits"] > 131_072).tolist() == [False, True]
    assert chunk.feasible.tolist() == [True, False]


def test_weights_and_activations_share_the_memory_that_backs_both() -> None:
    found = space("{blocks: 1, channels: 8}")
    wide = machine("tpu_like")
    assert wide.accelerator.chain("weights")[-1] is wide.accelerator.chain("inputs")[-1]
    name = wide.accelerator.chain("weights")[-1].name
    [chunk] = swept(found, machine("tpu_like", **{name: 1_000_000}))  # words as below
    together = int(chunk.columns["stored_bits"][0] + chunk.columns["activation_bits"][0])
    for capacity, fits in ((together, True), (together - 1, False)):
        [chunk] = swept(found, machine("tpu_like", **{name: capacity}))
        assert chunk.feasible.tolist() == [fits]
        cost = estimate(
            lower(found.point(chunk.piece.values(chunk.digits[0])), frames=FRAMES, outputs=OUTPUTS),
            chunk.machine.accelerator,
            chunk.machine.technology,
        )
        assert (not cost.misfits) == fits


def test_what_no_macro_is_large_enough_for_has_no_cost() -> None:
    # A table that ends where the smallest designs do.
    fits = machine(weight_sram="fit", activation_sram="fit")
    rows = fits.technology.sram.rows[:1]
    most = rows[-1].capacity_bits
    sram = dataclasses.replace(fits.technology.sram, rows=rows)
    small = dataclasses.replace(fits, technology=dataclasses.replace(fits.technology, sram=sram))
    found = space(SMALL)
    seen: Counter[bool] = Counter()
    for chunk, whole in zip(swept(found, small), swept(found, fits), strict=True):
        larger = np.maximum(whole.columns["stored_bits"], whole.columns["activation_bits"])
        held = larger <= most
        assert (chunk.feasible == held).all()
        for name, figures in chunk.columns.items():
            assert (np.isnan(figures) == ~held).all(), name
        seen.update(held.tolist())
    assert min(seen[True], seen[False]) > 10
    pricing = Pricing([small], frames=FRAMES, outputs=OUTPUTS)
    large = chunk.piece.values(chunk.digits[int(np.flatnonzero(~held)[0])])
    with pytest.raises(InvalidInput, match="largest that can be built in low_leakage_45nm has 8,"):
        pricing.best(found.point(large))


def test_limits_decide_what_is_feasible_and_change_no_figure() -> None:
    found = space("{blocks: [1, 2], channels: [6, 8, 10, 12], kernel: [3, 5]}")
    free = swept(found)
    trained = np.concatenate([chunk.columns["trained_parameters"] for chunk in free])
    energy = np.concatenate([chunk.columns["energy_pj"] for chunk in free])
    most, least = float(np.median(trained)), float(np.quantile(energy, 0.25))
    budget = Budget(
        (Limit("trained_parameters", most, upper=True), Limit("energy_pj", least, upper=False))
    )
    limited = swept(found, budget=budget)
    feasible = np.concatenate([chunk.feasible for chunk in limited])
    assert feasible.tolist() == ((trained <= most) & (energy >= least)).tolist()
    assert 0 < feasible.sum() < len(feasible)
    for name in COST_COLUMNS:
        for one, other in zip(free, limited, strict=True):
            np.testing.assert_array_equal(one.columns[name], other.columns[name])


# --- samples

PIECES = "{blocks: [1, 2, 3], policy: [P0, P1], channels: [6, 8], density: [0.25, 0.5, 0.125]}"
"""3 x 2 designs of P0 and 3 x 2 x 3 of P1: pieces of 2 and of 6, 24 in all."""


@pytest.mark.parametrize("count", [1, 5, 12, 23, 24, 100])
def test_a_sample_has_its_size_and_nothing_twice(count: int) -> None:
    found = space(PIECES)
    assert found.size == 24
    for seed in range(5):
        drawn = [same(values) for values in designs(swept(found, sample=count, seed=seed))]
        assert len(drawn) == len(set(drawn)) == min(count, 24)
        assert all(found.contains(dict(values)) for values in drawn)


def test_a_sample_depends_on_its_seed_alone() -> None:
    found = space(PIECES)
    first = designs(swept(found, sample=10, seed=3))
    assert designs(swept(found, sample=10, seed=3)) == first
    assert designs(swept(found, machine("tpu_like"), sample=10, seed=3)) == first
    assert designs(swept(found, sample=10, seed=4)) != first


@pytest.mark.parametrize("sample", [None, 20])
def test_parts_are_the_sweep_whatever_their_number(
    sample: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that price a part each price every design once, and the same as one alone."""
    monkeypatch.setattr(module, "CHUNK", 2)
    found = space(PIECES)
    whole = designs(swept(found, sample=sample, seed=1))
    for parts in (1, 2, 3, 100):
        chunks = [swept(found, sample=sample, seed=1, part=n, parts=parts) for n in range(parts)]
        priced = [same(values) for part in chunks for values in designs(part)]
        assert Counter(priced) == Counter(same(values) for values in whole)


def test_every_design_is_drawn_as_often() -> None:
    # 24 designs, samples of 6: each is in a quarter of 400 samples, 100 with a deviation of 8.7.
    found = space(PIECES)
    sweep = sweep_of(found)
    drawn: Counter[tuple[int, int]] = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        for number, count in enumerate(sweep._counts(6, rng)):
            piece = sweep.pieces[number]
            for make_digits in module._digits(piece, count, rng):
                digits = make_digits()
                sizes = [len(choice.values) for choice in piece.free]
                drawn.update((number, int(np.ravel_multi_index(row, sizes))) for row in digits)
    assert len(drawn) == 24
    assert all(60 <= count <= 140 for count in drawn.values()), drawn


HUGE = {
    "blocks": [1, 8],
    "channels": {"low": 4, "high": 200, "step": 2, "per_block": True},
    "kernel": {"low": 3, "high": 41, "step": 2, "per_block": True},
    "repeats": {"values": [1, 2], "per_block": True},
}


def test_a_huge_space_is_sampled() -> None:
    found = space(HUGE)
    # Of 8 blocks (99 * 20 * 2)^8 designs, beyond what 64 bits count; of one block 3,960.
    assert found.size == 3_960**8 + 3_960 > 2**63
    chunks = swept(found, sample=40, seed=1)
    drawn = [same(values) for values in designs(chunks)]
    assert len(set(drawn)) == 40
    assert all(found.contains(dict(values)) for values in drawn)
    assert check_equal(found, chunks, every=8)["valid"] == 5


def test_pieces_of_a_huge_space_give_no_more_than_they_have() -> None:
    # P0: one design. P1: 2 densities * 4 registers * 200,000,000 seeds.
    found = SearchSpace(
        (
            Choice("policy", ("P0", "P1")),
            Choice("density", (0.25, 0.5)),
            Choice("state_bits", (89, 127, 521, 607)),
            Choice("ternary_seed", range(200_000_000)),  # type: ignore[arg-type]
        )
    )
    sweep = sweep_of(found)
    assert [piece.size for piece in sweep.pieces] == [1, 1_600_000_000]
    assert sweep.size > module.MOST_COLOURS
    counts = sweep._counts(1_600_000_000, np.random.default_rng(0))
    assert sorted(counts) in ([0, 1_600_000_000], [1, 1_599_999_999])


def test_a_draw_that_a_small_piece_cannot_give_goes_to_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if 24 designs were too many for exact draws: pieces of 2 would often be overdrawn.
    monkeypatch.setattr(module, "MOST_COLOURS", 1)
    found = space(PIECES)
    sweep = sweep_of(found)
    for seed in range(50):
        counts = sweep._counts(20, np.random.default_rng(seed))
        assert sum(count for count in counts if count is not None) == 20
        for count, piece in zip(counts, sweep.pieces, strict=True):
            assert count is not None and 0 <= count <= piece.size


# --- what a block depends on


def block_with_its_input(values: Values, index: int) -> object:
    """Layers of a block, or of the head its inputs, as a machine gets them."""
    try:
        part = DEFAULT.part(values, index, IN_CHANNELS)
    except InvalidInput:
        return "invalid"
    frames = FRAMES
    for stride in part.strides:
        frames = output_frames(frames, stride)
    if not isinstance(part.content, Block):
        return part.in_channels, frames
    return lower_block(part.content, part.in_channels, frames, part.ternary_seed)


@given(axes_of_spaces(), st.data())
@settings(parent=slowly, max_examples=60)
def test_other_axes_change_neither_a_block_nor_its_input(
    axes: dict[str, Any], data: st.DataObject
) -> None:
    found = space_or_nothing(axes)
    pieces = [piece for piece in cut_pieces(found) if piece.free]
    assume(pieces)
    piece = data.draw(st.sampled_from(pieces))
    values = {
        **piece.fixed,
        **{choice.name: data.draw(st.sampled_from(choice.values)) for choice in piece.free},
    }
    names = [choice.name for choice in piece.free]
    for index in range(found.family.parts(piece.fixed)):
        mine = [name for name in names if index in found.family.reach(name, piece.fixed)]
        expected = block_with_its_input(values, index)
        for choice in piece.free:
            if choice.name in mine:
                continue
            for value in choice.values:
                changed = {**values, choice.name: value}
                assert block_with_its_input(changed, index) == expected, (choice.name, index)


def test_a_part_is_not_reached_by_what_stands_behind_it() -> None:
    """Otherwise a block would be built anew for every value of all axes."""
    names = ["channels_b1", "channels_b2", "kernel_b2", "stride_b1", "stride_b2", "dropout"]
    names += ["prologue_kernel", "epilogue_channels", "final_channels"]

    def mine(index: int) -> list[str]:
        return [name for name in names if index in DEFAULT.reach(name, {"blocks": 2})]

    assert mine(0) == ["prologue_kernel"]
    assert mine(1) == ["channels_b1", "stride_b1"]
    assert mine(2) == ["channels_b1", "channels_b2", "kernel_b2", "stride_b1", "stride_b2"]
    assert mine(3) == ["channels_b2", "stride_b1", "stride_b2", "epilogue_channels"]
    assert mine(5) == ["stride_b1", "stride_b2", "final_channels"]


def test_every_axis_of_a_family_matters_somewhere_or_is_dropout() -> None:
    found = space(SMALL)
    for piece in cut_pieces(found):
        for choice in piece.free:
            assert found.family.matters(choice.name, piece.fixed)
            assert list(found.family.reach(choice.name, piece.fixed)), choice.name
