"""Matrices that are not worth their randomness: dead rows, columns, and networks."""

import dataclasses

import numpy as np
import pytest
import torch

from cost_models import load_accelerator, load_technology
from dse.design.families.family import Values
from dse.design.families.matchboxnet import matchboxnet
from dse.design.matrices import count_facts, find_dead, matrix_at, matrix_words
from dse.design.places import ternary_places
from dse.design.point import DesignPoint
from dse.design.published import published
from dse.design.space import Choice, SearchSpace
from dse.networks.network import build_network
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep

THIN: Values = {
    "blocks": 3,
    "channels": 6,
    "policy": "P3",
    "density": 1 / 256,
    "prologue_channels": 6,
    "epilogue_channels": 6,
}
"""The field case: five of seven matrices of 6 x 6 have no entry at density 1/256."""


def thin(**changes: int | float | str) -> DesignPoint:
    return matchboxnet(THIN | changes, in_channels=6)


def pricing() -> Pricing:
    machine = load_accelerator("kws_ternary_stored")
    return Pricing([Machine(machine, load_technology(machine.technology))], frames=16, outputs=3)


def moves(point: DesignPoint) -> bool:
    """Whether the scores of a network of these matrices differ between two inputs, in torch."""
    torch.manual_seed(1)
    network = build_network(point, 3).eval()
    one, other = torch.randn(2, point.in_channels, 16)
    with torch.no_grad():
        return not torch.equal(network(one[None]), network(other[None]))


def test_a_network_that_nothing_gets_through() -> None:
    point = thin()
    empty = [name for name, place in ternary_places(point).items() if not matrix_at(place).any()]
    assert "Conv1.0.pw" in empty and len(empty) >= 3
    assert not moves(point)
    words = find_dead(point)
    assert words == (
        "the scores do not depend on the input: Conv1.0.pw has no entry (density 0.00390625, 6 "
        "inputs, ternary_seed 1); raise the density, widen the block, or take the generator one_hot"
    )
    assert matrix_words(point) == words
    offer = pricing().best(point)
    assert offer.dead and offer.reason == words and offer.columns["energy_pj"] > 0
    assert pricing().excess(offer) == 1


@pytest.mark.parametrize("policy", ["P1", "P2", "P3"])
def test_a_skip_is_a_way_around(policy: str) -> None:
    """Dense skips (P1) and identities (P2) let the input through; under P3 Conv1 has none."""
    point = thin(policy=policy)
    assert bool(find_dead(point)) == (policy == "P3") == (not moves(point))
    if policy != "P3":
        assert "rows (outputs that hear nothing)" in matrix_words(point)


def test_both_ways_around_a_block() -> None:
    """A block whose matrix and skip are both empty is named with both."""
    seeds = (thin(policy="P1", ternary_seed=seed, skip_norm=True) for seed in range(1, 40))
    for point in seeds:
        mixer = point.blocks[1].mixer
        blocks = tuple(
            dataclasses.replace(block, skip=mixer) if block.name == "B1" else block
            for block in point.blocks
        )
        both = dataclasses.replace(point, blocks=blocks)
        facts = {name: matrix_at(at).any() for name, at in ternary_places(both).items()}
        dead = find_dead(both)
        assert bool(dead) == (not facts["B1.0.pw"] and not facts["B1.skip"])
        if dead:
            assert "B1.0.pw and B1.skip have no entry" in dead and not moves(both)
            return
    raise AssertionError("no seed of 40 leaves both empty")


def test_rows_and_columns_of_zeros_are_counted() -> None:
    point = published("matchboxnet-1x1x16-P1")
    sparse = matchboxnet({"blocks": 1, "channels": 16, "policy": "P1", "density": 1 / 32})
    [place] = ternary_places(sparse).values()
    facts = count_facts(place, matrix_at(place))
    matrix = matrix_at(place)
    assert facts.dead_rows == sum(not row.any() for row in matrix)
    assert f"zeros only in {facts.dead_rows} rows" in matrix_words(sparse)
    assert f"{facts.dead_columns} of {facts.columns} columns" in matrix_words(sparse)
    assert matrix_words(point) == ""  # 4 of 128 columns: few
    assert matrix_words(published("matchboxnet-1x1x16")) == ""


def test_a_sweep_finds_the_same_ones_infeasible() -> None:
    seeds = tuple(range(1, 30))
    choices = [Choice(name, (value,)) for name, value in THIN.items()]
    order = ("blocks", "policy", "density", "ternary_seed")
    choices.append(Choice("ternary_seed", seeds))
    choices.sort(key=lambda each: order.index(each.name) if each.name in order else 9)
    space = SearchSpace(tuple(choices), in_channels=6)
    [chunk] = Sweep(space, pricing()).run()
    dead = [bool(find_dead(space.point(values))) for values in space.enumerate()]
    assert any(dead) and chunk.feasible.tolist() == [not each for each in dead]
    assert np.isfinite(chunk.columns["energy_pj"]).all()
