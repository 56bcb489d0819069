"""Weights and activations of few bits: rounding by hand, costs, whole numbers, training."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import dump_yaml, parse_yaml
from cost_models.workload import LayerKind
from dse.design.families.matchboxnet import matchboxnet
from dse.design.places import check_bits
from dse.design.point import DesignPoint, point_from_node
from dse.errors import InvalidDesign, InvalidField
from dse.export.c_code import build_and_check, c_files, compiler
from dse.files import write_together
from dse.networks.lowering import lower
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.training.integer import quantise_network
from dse.training.integer_scores import scores_of_clips
from dse.training.recipe import Recipe
from dse.training.rounded import rounded_scores
from dse.training.rounding import activation_step, limit_of, round_to, weight_steps
from dse.training.source import Source, untrained

FRAMES = 12
SMALL = {
    "blocks": 2,
    "channels": 8,
    "kernel": 3,
    "prologue_channels": 8,
    "prologue_kernel": 3,
    "epilogue_channels": 8,
    "epilogue_kernel": 3,
    "final_channels": 8,
}


def point(**axes: int | str) -> DesignPoint:
    return matchboxnet({**SMALL, **axes}, in_channels=8)


def test_steps_and_limits_by_hand() -> None:
    assert [limit_of(bits) for bits in (8, 4, 2)] == [127, 7, 1]
    weights = torch.tensor([[1.27, -0.5, 0.0], [0.0, 0.0, 0.0]])
    # The largest magnitude over 127; a channel of zeros has step 1.
    torch.testing.assert_close(weight_steps(weights, 8), torch.tensor([0.01, 1.0]))
    # Nine weights of +-1 and one of 2: a step of 2 would round the ones to 0 or 2, all off by 1
    # (9 in all); 0.94 x 2 and more leave them at 0; a step of 1.04 is off by 0.04 at each of nine,
    # and by 0.96 at the one that is cut: 9 x 0.0016 + 0.9216 = 0.936, the least of all shares.
    trits = torch.tensor([[1.0, -1.0] * 4 + [1.0, 2.0]])
    assert weight_steps(trits, 2).item() == pytest.approx(2 * 0.52)
    assert round_to(trits, 1.04, 2)[0, -2:].tolist() == pytest.approx([1.04, 1.04])
    assert activation_step(torch.tensor([0.0, 6.35, -2.0]), 8) == pytest.approx(0.05)
    assert activation_step(torch.zeros(3), 4) == 1.0


def test_the_gradient_passes_rounding_and_stops_where_a_number_is_cut() -> None:
    values = torch.tensor([0.4, 1.2, 9.0, -9.0], requires_grad=True)
    rounded = round_to(values, 1.0, 4)
    assert rounded.tolist() == [0.0, 1.0, 7.0, -7.0]
    rounded.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None and values.grad.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_bits_of_layers() -> None:
    workload = lower(
        point(weight_bits=4, activation_bits_b1=4, skip="identity_or_dense"), frames=12, outputs=3
    )
    bits = {
        layer.name: (layer.weight_bits, layer.input_bits, layer.output_bits)
        for layer in workload.layers
        if layer.kind in (LayerKind.DEPTHWISE, LayerKind.POINTWISE, LayerKind.RESIDUAL_ADD)
    }
    assert bits["Conv1.0.dw"] == (4, 8, 8)
    assert bits["B1.0.dw"] == (4, 8, 4)  # reads Conv1's eight bits
    assert bits["B1.0.pw"] == (4, 4, 4)
    assert bits["B1.add"][1:] == (8, 4)  # the bare skip is Conv1's tensor
    assert bits["B2.0.dw"] == (4, 4, 8)
    assert bits["B2.add"][1:] == (8, 8)
    head = {layer.name: layer for layer in workload.layers}["head.linear"]
    assert (head.weight_bits, head.input_bits) == (8, 8)


def test_trits_keep_their_bits_and_circulant_blocks_shrink() -> None:
    trits = lower(point(policy="P1", weight_bits=4), frames=12, outputs=3)
    made = {layer.name: layer.weight_bits for layer in trits.layers}
    assert (made["B1.0.pw"], made["B1.0.dw"], made["B1.skip"]) == (2, 4, 4)
    values = {"policy": "P1", "policy_mixer": "block_circulant", "circulant_size": 4}
    layers = lower(point(**values, weight_bits=4), frames=12, outputs=3).layers
    circulant = {layer.name: layer for layer in layers}["B1.0.pw"]
    assert circulant.stored_matrix_bits == 8 * 8 // 4 * 4


def test_fewer_bits_cost_less_of_everything_but_sums() -> None:
    machine = load_accelerator("kws_int8")
    technology = load_technology(machine.technology)
    costs = [
        estimate(lower(point(**axes), frames=FRAMES, outputs=3), machine, technology)
        for axes in ({}, {"weight_bits": 4}, {"weight_bits": 4, "activation_bits": 4})
    ]
    energies = [cost.energy_pj for cost in costs]
    assert energies == sorted(energies, reverse=True) and energies[2] < energies[1] < energies[0]
    matrices = sum(
        layer.weight_entries
        for layer in costs[0].workload.layers
        if layer.kind in (LayerKind.DEPTHWISE, LayerKind.POINTWISE)
    )
    stored = [cost.workload.total(lambda layer: layer.stored_bits) for cost in costs]
    assert stored[0] - stored[1] == 4 * matrices  # what a machine stores is in whole words of it
    assert costs[2].activation_bits < costs[1].activation_bits == costs[0].activation_bits


@pytest.mark.parametrize(
    "axes",
    [
        {"weight_bits": 4, "activation_bits": 4},
        {"weight_bits_b2": 2, "activation_bits_b1": 4, "policy": "P2", "density": 0.5},
    ],
)
def test_a_sweep_prices_bits_as_an_estimate_does(axes: dict[str, int | str]) -> None:
    machine = load_accelerator("kws_ternary")
    technology = load_technology(machine.technology)
    design = point(**axes)
    cost = estimate(lower(design, frames=FRAMES, outputs=3), machine, technology)
    offer = Pricing([Machine(machine, technology)], frames=FRAMES, outputs=3).best(design)
    assert offer.columns["energy_pj"] == pytest.approx(cost.energy_pj)
    assert offer.columns["latency_cycles"] == cost.latency_cycles
    assert offer.columns["stored_bits"] == cost.stored_bits


def test_files_keys_and_names() -> None:
    usual, few = point(), point(weight_bits=4, activation_bits_b1=4)
    assert "bits" not in dump_yaml(usual.to_dict())  # keys of designs of eight bits stay
    read = point_from_node(parse_yaml(dump_yaml(few.to_dict()), "design.yaml"))
    assert read == few and read.key == few.key != usual.key
    assert few.summary == "2x1x8 w4 a4/8"
    assert few.has_few_bits and not usual.has_few_bits
    with pytest.raises(InvalidField, match="weight_bits must be 8, 4 or 2, not 3"):
        dataclasses.replace(usual.blocks[0], weight_bits=3)
    with pytest.raises(InvalidDesign, match="Conv1 of 2x1x8 w4 a4/8 has weights of 4 and activat"):
        check_bits(few, "the chip")


def trained_a_bit(design: DesignPoint) -> tuple[Source, torch.Tensor]:
    """A source whose batch norms know their data, and clips."""
    torch.manual_seed(4)
    source = untrained(design, 3)
    clips = torch.randn(16, 8, FRAMES)
    source.network.train()
    with torch.no_grad():
        for _ in range(30):
            source.network(clips)
    source.network.eval()
    return source, clips


@pytest.mark.parametrize(
    "axes",
    [
        {"weight_bits": 4},
        {"weight_bits": 2, "activation_bits": 4},
        {"activation_bits": 4, "policy": "P2", "density": 0.5},
        {"weight_bits": 4, "policy": "P4", "policy_mixer": "monarch", "monarch_blocks": 2},
    ],
)
def test_rounded_scores_are_near_the_integer_network(
    axes: dict[str, int | str], tmp_path: Path
) -> None:
    source, clips = trained_a_bit(point(**axes))
    whole = quantise_network(source, clips)
    for stage in whole.stages:
        for path in stage.paths:
            if path.weights is not None and path.kind == "convolution":
                assert np.abs(path.weights).max() <= limit_of(int(axes.get("weight_bits", 8)))
    quantised = whole.quantise(clips.numpy())
    exact = scores_of_clips(whole, quantised) / 65_536
    with torch.no_grad():
        rounded = rounded_scores(source.network, source.point, clips).numpy()
        floats = source.network(clips).numpy()
    off = np.abs(rounded - exact).mean()
    # The rounding that training feels is the rounding that happens, but for values that lie between
    # two steps and fall to either side, and what follows from these in later layers.
    assert off < 0.8 * np.abs(floats - exact).mean() or off < 0.02
    if compiler() is not None:
        write_together(tmp_path / "c", c_files(whole, quantised[:4]))
        assert build_and_check(tmp_path / "c").startswith("PASS")


def test_eight_bits_are_the_floats_but_for_small_steps() -> None:
    source, clips = trained_a_bit(point())
    with torch.no_grad():
        rounded = rounded_scores(source.network, source.point, clips)
        torch.testing.assert_close(rounded, source.network(clips), rtol=0.05, atol=0.05)


def test_training_with_rounding_learns_what_rounding_afterwards_loses() -> None:
    torch.manual_seed(0)
    design = point(weight_bits=2, activation_bits=4)
    source = untrained(design, 3)
    network = source.network.train()
    clips, labels = torch.randn(24, 8, FRAMES), torch.arange(24) % 3
    losses = {}
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(160):
        rounding = step >= 80
        if step == 80:
            losses["before"] = _loss(source, clips, labels)
        scores = rounded_scores(network, design, clips) if rounding else network(clips)
        loss = torch.nn.functional.cross_entropy(scores, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert _loss(source, clips, labels) < 0.5 * losses["before"]


def _loss(source: Source, clips: torch.Tensor, labels: torch.Tensor) -> float:
    source.network.eval()
    with torch.no_grad():
        scores = rounded_scores(source.network, source.point, clips)
    source.network.train()
    return float(torch.nn.functional.cross_entropy(scores, labels))


def test_a_recipe_rounds_in_its_last_epochs_and_keeps_its_key() -> None:
    assert [Recipe(epochs=epochs).float_epochs for epochs in (40, 3, 1)] == [30, 2, 1]
    assert Recipe().key == "f0b464af"
    assert Recipe(rounded_share=0.5).key != Recipe().key
