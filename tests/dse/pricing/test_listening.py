"""Designs on a stream, priced by their parts: the figures of `stream` and `estimate`."""

import dataclasses
import itertools

import numpy as np
import pytest

from cost_models import estimate
from cost_models.cost import stream_misfits
from cost_models.errors import InvalidInput
from cost_models.streaming import stream
from dse.columns import COST_COLUMNS, LABELS, STREAM_COLUMNS
from dse.design.point import DesignPoint
from dse.design.space import SearchSpace
from dse.networks.lowering import lower
from dse.pricing.budget import Budget, Limit
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.pricing.what_if import Fleet
from tests.dse.pricing.test_sweep import FRAMES, OUTPUTS, machine, space

AXES = (
    "{blocks: [1, 2], repeats: [1, 2], channels: [8, 12], stride: [1, 2], prologue_stride: [1, 2], "
    "prologue_channels: 8, prologue_kernel: 3, kernel: 5, dilation: [1, 2], "
    "skip: [dense, identity_or_ternary, none], skip_norm: [true, false], "
    "block_mixer: [ternary, low_rank, partly_ternary], rank: 4, activation_bits: [8, 4], "
    "epilogue_kernel: 5, epilogue_channels: 8, final_channels: 8}"
)
MACHINES = {
    "all stays": machine("kws_ternary"),
    "some activations stay": machine("tpu_like", activation_sram=8_192),
    "fit": machine("kws_ternary", weight_sram="fit", activation_sram="fit", input_buffer="fit"),
}


def pricing(*machines: Machine, hop: int | None, **options: object) -> Pricing:
    listening = None if hop is None else Listening(hop, frame_ms=10.0)
    return Pricing(machines, frames=FRAMES, outputs=OUTPUTS, listening=listening, **options)  # type: ignore[arg-type]


def as_a_whole(point: DesignPoint, on: Machine, hop: int) -> dict[str, float] | None:
    """Columns of a hop as `dse estimate --stream` finds them; None where it refuses the hop."""
    window = lower(point, frames=FRAMES, outputs=OUTPUTS)
    try:
        found = stream(window, hop)
    except InvalidInput:
        return None
    machine = (on.accelerator, on.technology, on.objective)
    cost = estimate(found.workload, *machine, kept_bits=found.state_bits)
    total = cost.columns(rate=100 / hop)  # 100 frames a second
    return {
        "hop_energy_pj": total["energy_pj"],
        "hop_energy_low_pj": total["energy_low_pj"],
        "hop_energy_high_pj": total["energy_high_pj"],
        "hop_latency_us": total["latency_us"],
        "hop_activation_bits": total["activation_bits"],
        "stream_state_bits": found.state_bits,
        "wait_us": found.wait_frames * 10_000.0,
        "listening_power_uw": total["average_power_uw"],
    } | {
        name: figure
        for name, figure in estimate(window, cost.accelerator, *machine[1:]).columns().items()
    }


@pytest.mark.parametrize("which", MACHINES)
def test_designs_by_parts_equal_the_whole_network_bit_for_bit(which: str) -> None:
    found, on = space(AXES), MACHINES[which]
    met = {"listens": 0, "no hop": 0}
    for hop in (20, 3):
        for chunk in Sweep(found, pricing(on, hop=hop)).run(sample=8, seed=hop):
            assert set(chunk.columns) == {*COST_COLUMNS, *STREAM_COLUMNS}
            for row, digits in enumerate(chunk.digits):
                point = found.point(chunk.piece.values(digits))
                expected = as_a_whole(point, on, hop)
                got = {name: float(figures[row]) for name, figures in chunk.columns.items()}
                if expected is None:
                    assert all(np.isnan(got[name]) for name in STREAM_COLUMNS)
                    assert not np.isnan(got["energy_pj"])
                    assert not chunk.feasible[row]
                    met["no hop"] += 1
                else:
                    assert got == expected, point.summary
                    met["listens"] += 1
    assert min(met.values()) >= 2


def test_one_inference_costs_what_it_did() -> None:
    found, on = space(AXES), MACHINES["all stays"]
    designs = list(itertools.islice(found.enumerate(), 0, 400, 9))
    with_hop, without = (
        Sweep(found, prices).pricing.pricers[0].price(Sweep(found, prices).cut(designs))
        for prices in (pricing(on, hop=2), pricing(on, hop=None))
    )
    assert set(without.columns) == set(COST_COLUMNS)
    for name in COST_COLUMNS:
        np.testing.assert_array_equal(with_hop.columns[name], without.columns[name])


def strided(stride: int, channels: int = 8) -> SearchSpace:
    return space(
        f"{{blocks: 1, repeats: 1, channels: {channels}, stride: {stride}, prologue_kernel: 3, "
        f"prologue_channels: {channels}, kernel: 5, skip: none, epilogue_kernel: 5, "
        "epilogue_channels: 8, final_channels: 8}"
    )


def only(found: SearchSpace) -> DesignPoint:
    [values] = found.enumerate()
    return found.point(values)


def test_waits_and_states_by_hand() -> None:
    """Kernels 3, 5 with stride 2, and 5 with dilation 2 behind it; hops of 4 frames.

    wait    1 + 2 + 4 frames of twice the length = 11 frames = 110 ms
    state   Conv1 reads 12 channels: 2 frames; B1 reads 8: hop 4 makes 2 outputs from
            (2 - 1) * 2 + 4 + 1 = 7, 3 of them old; Conv2 reads 8: 2 outputs from
            1 + 8 + 1 = 10, 8 of them old. Its frames come two a hop, 20 a window: ring of 10 sums.
    """
    columns = pricing(machine(), hop=4).best(only(strided(2))).columns
    assert columns["wait_us"] == 110_000
    ring = 10 * 8 * 24
    assert columns["stream_state_bits"] == 8 * (2 * 12 + 3 * 8 + 8 * 8) + ring


def test_power_is_hops_and_leakage() -> None:
    offer = pricing(machine(), hop=4).best(only(strided(1)))
    columns = offer.columns
    # 25 hops a second; the energy of a hop has its own leakage, which flows all the time anyway.
    leaked_pj = columns["leakage_uw"] * columns["hop_latency_us"]
    power = (columns["hop_energy_pj"] - leaked_pj) * 25e-6 + columns["leakage_uw"]
    assert columns["listening_power_uw"] == pytest.approx(power, rel=1e-12)


def test_a_hop_beside_the_strides_is_a_reason_and_not_an_error() -> None:
    budget = Budget((Limit("hop_latency_us", 30_000.0), Limit("wait_us", 1.0)))
    prices = pricing(machine(), hop=3, budget=budget)
    offer = prices.best(only(strided(2)))
    assert offer.reason == (
        "a hop of 3 frames does not fit the network's strides: use a multiple of 2"
    )
    assert not set(offer.columns) & set(STREAM_COLUMNS)
    # No hop, and two limits that nobody can judge: as bad as three columns at twice their limits.
    assert prices.excess(offer) == 3
    assert offer.no_stream


def test_the_state_must_fit_where_activations_are_at_home() -> None:
    point = only(strided(1, channels=128))
    columns = pricing(machine(), hop=4).best(point).columns
    needed = columns["hop_activation_bits"] + columns["stream_state_bits"]
    assert columns["hop_activation_bits"] < needed / 2
    small = machine("kws_ternary", activation_sram=int(needed) - 1)
    reason = pricing(small, hop=4).best(point).reason
    assert reason == (
        f"activations of a hop and what is kept between hops take {needed:,} bits, and "
        f"'activation_sram' of kws_ternary has {needed - 1:,}"
    )
    enough = machine("kws_ternary", activation_sram=int(needed))
    assert not pricing(enough, hop=4).best(point).reason
    # A window would not have fitted: who listens need not hold one.
    assert columns["activation_bits"] > needed
    assert pricing(enough, hop=None).best(point).reason


def test_weights_beside_the_state_where_one_memory_has_both() -> None:
    on = machine("kws_ternary").accelerator
    memories = tuple(
        dataclasses.replace(each, holds=("weights", "inputs", "outputs"), capacity_bits=8_192)
        for each in on.memories
        if each.name == "activation_sram"
    )
    both = dataclasses.replace(on, memories=memories)
    assert stream_misfits(4_000, 2_000, 2_192, both) == ()
    assert stream_misfits(4_000, 2_000, 2_193, both) == (
        "weights, activations of a hop and what is kept between hops take 8,193 bits, and "
        "'activation_sram' of kws_ternary has 8,192",
    )


def test_what_if_prices_a_hop_on_another_machine() -> None:
    points = [only(strided(1)), only(strided(2))]
    fleet = Fleet(points, frames=FRAMES, outputs=OUTPUTS, listening=Listening(1, 10.0))
    on = machine("kws_int8")
    columns, fits = fleet.price(on.accelerator, on.technology)
    assert fits.tolist() == [True, False]  # the second has stride 2
    expected = as_a_whole(points[0], on, 1)
    assert expected is not None
    assert columns["listening_power_uw"][0] == expected["listening_power_uw"]
    objectives = ("error", "listening_power_uw")
    shares = fleet.robustness(on.accelerator, on.technology, [0.1, 0.1], objectives, samples=2)
    assert shares.tolist() == [1.0, 0.0]


def test_a_frame_of_other_length_makes_other_hops() -> None:
    listening = Listening(hop_frames=5, frame_ms=20.0)
    assert listening.hop_us == 100_000
    assert listening.hops_per_second == 10
    assert listening.words == "5 frames a hop, 10 hops a second"
    assert Listening(1, 10.0).words == "1 frame a hop, 100 hops a second"


def test_every_column_of_a_stream_has_a_label() -> None:
    assert set(STREAM_COLUMNS) <= set(LABELS)


def test_a_network_with_an_answer_a_frame_listens() -> None:
    """Nothing is averaged over a window, so no ring of sums is kept: 10 of 8 channels x 24 bits."""
    pooled = only(strided(2))
    framewise = dataclasses.replace(pooled, head="framewise")
    kept = [
        pricing(machine(), hop=4).best(point).columns["stream_state_bits"]
        for point in (pooled, framewise)
    ]
    assert kept[0] - kept[1] == 10 * 8 * 24
