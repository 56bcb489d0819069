"""Live and useful channels: the masks against what moves, and what hears, in torch."""

import random

import numpy as np
import torch

from dse.design.channels import (
    Mask,
    Passage,
    forward,
    live_channels,
    passage,
    useful_channels,
)
from dse.design.families.family import Values
from dse.design.families.matchboxnet import matchboxnet
from dse.design.matrices import find_dead, idle_words, matrix_words
from dse.design.point import DesignPoint
from dse.errors import InvalidDesign
from dse.networks.network import build_network
from tests.dse.design.test_dead import pricing

KINDS = ("ternary", "ternary", "scaled_ternary", "dense", "grouped", "partly_ternary", "monarch")
PLACES = ("block_mixer", "prologue_mixer", "epilogue_mixer", "final_mixer")


def heard_and_told(point: DesignPoint) -> tuple[list[Mask], list[Mask]]:
    """Of each block the outputs that move with the input, and those that move the scores.

    Everything is made positive, so that no ReLU cuts anything and no two ways cancel.
    """
    torch.manual_seed(1)
    network = build_network(point, 3).double().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data.abs_()
    for parameter in network.parameters():
        parameter.data.add_(0.1)
    found: list[torch.Tensor] = []
    for block in network.blocks.values():
        block.register_forward_hook(lambda module, inputs, output: found.append(output))
    inputs = torch.rand(1, point.in_channels, 8, dtype=torch.double)
    scores = network(inputs.requires_grad_())
    before = found.copy()
    gradients = torch.autograd.grad(scores.sum(), before)
    found.clear()
    network(1.5 * inputs.detach() + 0.1)
    moved = [
        (one - other).abs().amax(-1)[0] > 1e-12 for one, other in zip(before, found, strict=True)
    ]
    told = [each.abs().amax(-1)[0] > 0 for each in gradients]
    return [each.numpy() for each in moved], [each.numpy() for each in told]


def random_network(draw: random.Random) -> DesignPoint | None:
    kinds: Values = {name: draw.choice(KINDS) for name in PLACES}
    values: Values = kinds | {
        "blocks": draw.randint(1, 3),
        "channels": draw.choice([4, 6, 8]),
        "repeats": draw.randint(1, 2),
        "density": draw.choice([1 / 32, 1 / 16, 1 / 8, 1 / 4]),
        "prologue_channels": draw.choice([4, 8]),
        "epilogue_channels": 8,
        "final_channels": 8,
        "ternary_seed": draw.randint(1, 99),
        "mixer_groups": 2,
        "monarch_blocks": 4,
        "skip": draw.choice(["none", "ternary", "identity_or_ternary", "dense"]),
    }
    try:
        return matchboxnet(values, in_channels=8)
    except InvalidDesign:  # monarch of 6 channels
        return None


def test_masks_are_what_torch_does() -> None:
    draw, dead, idle, cost = random.Random(3), 0, 0, pricing()
    points = [point for _ in range(40) if (point := random_network(draw))]
    found_dead = cost.book.dead_designs(cost.book.cut(points))
    for point, in_book in zip(points, found_dead, strict=True):
        moved, told = heard_and_told(point)
        live, useful = list(live_channels(point)), useful_channels(point)
        assert all(map(np.array_equal, live, moved)), point
        assert all(map(np.array_equal, useful, told)), point
        assert bool(find_dead(point)) == bool(in_book) == (not moved[-1].any())
        dead += bool(in_book)
        idle += bool(idle_words(point))
    assert dead > 4 and idle > 15


def test_counts_promise_no_more_than_the_masks_keep() -> None:
    draw = random.Random(5)
    for point in filter(None, (random_network(draw) for _ in range(60))):
        inputs = point.in_channels
        for block in point.blocks:
            sure = passage(block, inputs, point.ternary_seed)
            for live in np.eye(inputs, dtype=np.bool_):
                outputs = forward(block, inputs, point.ternary_seed, live).sum()
                assert outputs >= (sure.gives if sure.needs < 1 else sure.rest)
            inputs = block.out_channels
    assert Passage(0, 3, 0).is_sure and not Passage(1, 3, 0).is_sure


def test_a_network_whose_matrices_miss_each_other() -> None:
    """Each matrix has entries, but Conv2's are all at channels that Conv1 and B1 leave constant."""
    values: Values = {
        "blocks": 1,
        "channels": 6,
        "policy": "P3",
        "density": 1 / 16,
        "prologue_channels": 6,
        "epilogue_channels": 6,
    }
    point = matchboxnet(values, in_channels=6)
    words = find_dead(point)
    assert words.startswith(
        "the scores do not depend on the input: 3 of 6 inputs of Conv2 carry any of it, and its "
        "matrices have no entry on the way from these to its outputs (ternary_seed 1); raise"
    )
    assert matrix_words(point) == words
    offer = pricing().best(point)
    assert offer.dead and offer.reason == words
