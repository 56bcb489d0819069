"""Earlier trainings in the error model: what they tell, and how their weight falls."""

import math
import random
from functools import cache

import numpy as np
import optuna
import pytest

from cost_models import load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml
from dse.design.space_file import space_from_node
from dse.pareto import hypervolume
from dse.pricing.budget import Budget, Limit
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from search import transfer
from search.candidates import Pool, PricedDesigns
from search.common import NAMES, Describer
from search.experience import SHIPPED, read_prior
from search.known_cost import Aim, KnownCostSampler
from search.suggest import suggest
from search.transfer import Experience, Hyper, OwnHyper, Task, Transferred
from tests.search.test_known_cost import find_error_band

SPACE = """
blocks: [1, 2, 3]
repeats: [1, 2]
channels: [16, 32, 64]
kernel: [7, 13]
policy: [P0, P1, P3]
density: [0.0625, 0.25]
prologue_stride: 2
"""
"""Small, so that a pool is the whole space."""


@cache
def pool() -> Pool:
    space = space_from_node(parse_yaml(SPACE, "space"), in_channels=40)
    machine = Machine(load_accelerator("kws_ternary"), load_technology("low_leakage_45nm"))
    budget = Budget((Limit("trained_parameters", 30_000.0),))
    return Pool(Sweep(space, Pricing((machine,), frames=64, outputs=12, budget=budget)))


@cache
def aim() -> Aim:
    priced = pool().price(list(pool().space.enumerate()))
    logs = np.log10(priced.columns["energy_pj"])
    box = {"error": [0.0, 1.0], "energy_pj": [float(logs.min()), float(logs.max())]}
    return Aim(("error", "energy_pj"), "error", box)


def at_random(seed: int, trainings: int) -> float:
    """The hypervolume of so many random designs that keep the limits."""
    priced, logs = drawn(seed, trainings)
    points = np.column_stack([np.exp(logs), aim().scale_costs(priced.columns)])
    return hypervolume(points, np.ones(2))


HYPER = Hyper(variance=0.05, lengths=(2.0,) * len(NAMES), own_share=0.2, noise=0.01)
OWN = OwnHyper(variance=0.02, lengths=(1.0, 0.8, 1.5), noise=0.006)


def drawn(seed: int, count: int) -> tuple[PricedDesigns, np.ndarray]:
    """Random designs within the limits, and the logarithms of their errors."""
    designs = list(pool().space.enumerate())
    random.Random(seed).shuffle(designs)
    priced = pool().price(designs).take(range(count))  # fails where so many keep them not
    errors = [
        find_error_band(values, {name: float(c[at]) for name, c in priced.columns.items()})
        for at, values in enumerate(priced.values)
    ]
    return priced, np.log(errors)


@cache
def earlier(sign: float = 1.0) -> Experience:
    """Sixty designs of another task: errors are twice as high, or in the opposite order."""
    priced, logs = drawn(5, 60)
    errors = 2 * np.exp(logs.mean() + sign * (logs - logs.mean()))
    features = Describer(pool().sweep).describe(priced.values, priced.columns)
    return Experience((Task("earlier", features, errors),), HYPER)


def searched(experience: Experience, trainings: int, seed: int = 3) -> tuple[list[float], list]:
    """Hypervolumes after each training, and the designs."""
    sampler = KnownCostSampler(pool(), aim(), seed=seed, experience=experience)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    points, designs, volumes = [], [], []
    for _ in range(trainings):
        trial = study.ask()
        values = suggest(trial, pool().space)
        priced = pool().price([values])
        assert len(priced) == 1, "over a limit"
        columns = {name: float(figures[0]) for name, figures in priced.columns.items()}
        error = find_error_band(values, columns)
        study.tell(trial, [error, columns["energy_pj"]])
        points.append([error, float(aim().scale_costs(priced.columns)[0, 0])])
        designs.append(values)
        volumes.append(hypervolume(np.array(points), np.ones(2)))
    return volumes, designs


def test_common_features_are_those_of_the_network_by_hand() -> None:
    """Conv1 11 s2; one block of two kernels 7; Conv2 29 with dilation 2; Conv3 1."""
    values = pool().space.walk(
        lambda choice: {
            "blocks": 1,
            "repeats": 2,
            "kernel": 7,
            "policy": "P0",
            "channels": 32,
        }.get(choice.name, choice.values[0])
    )
    priced = pool().price_all([values])[0]
    [row] = Describer(pool().sweep).describe([values], priced.columns)
    found = dict(zip(NAMES, row, strict=True))
    assert found["trained"] == pytest.approx(math.log2(priced.columns["trained_parameters"][0]))
    assert found["depth"] == math.log2(1 + 2 + 1 + 1)
    assert found["width"] == pytest.approx((7 + 5 + 7 + 7) / 4)
    assert found["stride"] == 1 and found["skips"] == 1 / 4
    field = 1 + 10 + 2 * (6 + 6) + 2 * 28 * 2
    assert found["field"] == pytest.approx(math.log2(field / 64))
    assert found["frozen"] == 0 and found["sparsity"] == pytest.approx(0, abs=0.1)


def test_ternary_designs_are_sparse_and_frozen_and_nothing_else_changes() -> None:
    rng = random.Random(1)
    ternary = next(v for v in iter(lambda: pool().space.sample(rng), None) if v["policy"] == "P3")
    dense = pool().space.walk(lambda choice: {**ternary, "policy": "P0"}[choice.name])
    priced = pool().price_all([ternary, dense])[0]
    one, other = Describer(pool().sweep).describe([ternary, dense], priced.columns)
    at = {name: index for index, name in enumerate(NAMES)}
    for name in ("depth", "width", "field", "stride", "skips"):
        assert one[at[name]] == other[at[name]]
    assert one[at["sparsity"]] > other[at["sparsity"]] and one[at["trained"]] < other[at["trained"]]
    assert 0 < one[at["frozen"]] < 1 and other[at["frozen"]] == 0


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = earlier().tasks[0].features[rng.permutation(60)[:count]] + rng.normal(
        0, 0.1, (count, len(NAMES))
    )
    features = np.hstack([rng.uniform(0, 1, (count, 2)), np.ones((count, 1)), common])
    return features, np.exp(rng.normal(-1, 0.3, count))


def test_it_is_the_conditional_of_one_normal_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: all rows, earlier and own, and the new designs in one matrix, conditioned at once."""
    monkeypatch.setattr(transfer, "SLOPE", 0.0)
    features, errors = rows(8, 1)
    fresh, _ = rows(5, 2)
    found = Transferred(earlier(), features, errors, OWN).predict(fresh)
    task = earlier().tasks[0]
    mean = float(np.log(task.errors).mean())
    residual = np.log(errors) - earlier().prior(features[:, 3:])[0]
    expected = np.exp((np.log(errors) - residual) + residual.mean())
    odds = (1 - expected) / expected
    every = np.vstack([task.features, features[:, 3:], fresh[:, 3:]]) / transfer.SCALES
    owner = np.repeat([0, 1], [60, 13])
    shared = transfer.kernel(every, every, HYPER)
    same = owner[:, None] == owner[None, :]
    joint = shared + transfer.LEVEL**2 * same
    joint[:60, :60] += 0.2 * shared[:60, :60] + 0.01 * np.eye(60)
    own = np.vstack([features, fresh])[:, :3]
    joint[60:, 60:] += 0.02 * transfer.matern(own, own, OWN.lengths)
    joint[60:68, 60:68] += 0.006 * np.diag(odds / odds.mean())
    told = np.concatenate([np.log(task.errors), np.log(errors)]) - mean
    gain = joint[68:, :68] @ np.linalg.inv(joint[:68, :68] + 1e-8 * np.eye(68))
    assert found[0] == pytest.approx(mean + gain @ told, abs=1e-5)
    variance = np.diag(joint)[68:] - np.einsum("ij,ij->i", gain, joint[68:, :68])
    assert found[1] == pytest.approx(np.sqrt(variance), rel=1e-4)


def test_the_slope_of_the_likelihood_is_that_of_small_steps() -> None:
    model = Transferred(earlier(), *rows(12, 3), OWN)
    at = np.log([OWN.variance, *OWN.lengths, OWN.noise])
    _, slope = model.unlikelihood(transfer._unpacked(at))
    for index, step in enumerate(1e-5 * np.eye(5)):
        ahead, behind = (
            model.unlikelihood(transfer._unpacked(at + sign * step))[0] for sign in (1, -1)
        )
        assert slope[index] == pytest.approx((ahead - behind) / 2e-5, rel=1e-3, abs=1e-6)


def test_noise_of_rows_is_told_apart_by_what_is_expected_not_by_luck() -> None:
    mean = np.log([0.1, 0.5])
    weights = transfer._odds(mean, np.zeros(2))
    assert weights[0] / weights[1] == pytest.approx((0.9 / 0.1) / (0.5 / 0.5))
    assert weights.mean() == pytest.approx(1)


def test_a_few_trainings_with_experience_beat_many_random_ones() -> None:
    volumes, designs = searched(earlier(), 6)
    assert volumes[-1] > at_random(0, 20)
    assert len({tuple(sorted(each.items())) for each in designs}) == 6


def test_a_prior_that_is_wrong_in_all_costs_trainings_and_not_the_study() -> None:
    wrong, _ = searched(earlier(-1.0), 18)
    right, _ = searched(earlier(), 4)
    assert wrong[3] < right[3], "it is believed at first"
    assert wrong[-1] > at_random(0, 18), "and not for long"


def test_the_weight_of_earlier_tasks_falls_with_each_own_training() -> None:
    """Told the opposite of what holds, predictions follow the own rows the more there are."""
    priced, truth = drawn(9, 76)
    features = np.hstack(
        [
            pool().make_features(priced),
            np.ones((76, 1)),
            Describer(pool().sweep).describe(priced.values, priced.columns),
        ]
    )
    agreement = []
    for count in (0, 12, 45):
        own = transfer.fit_own(earlier(-1.0), features[:count], np.exp(truth[:count]))
        model = Transferred(earlier(-1.0), features[:count], np.exp(truth[:count]), own)
        agreement.append(np.corrcoef(model.predict_mean(features[45:]), truth[45:])[0, 1])
    assert agreement[0] < 0 < agreement[1] < agreement[2] and agreement[2] > 0.9


def test_earlier_tasks_are_forgotten_where_own_rows_speak_against_them() -> None:
    priced, logs = drawn(2, 12)
    own = [pool().make_features(priced), np.ones((12, 1))]
    own.append(Describer(pool().sweep).describe(priced.values, priced.columns))
    for sign, kept in ((1.0, True), (-1.0, False)):
        chosen, _ = transfer.choose(earlier(sign), np.hstack(own), np.exp(logs))
        assert (len(chosen.tasks) > 0) == kept
        assert chosen.level == pytest.approx(earlier(sign).level)
    first, _ = transfer.choose(earlier(-1.0), np.hstack(own)[:1], np.exp(logs[:1]))
    assert first is earlier(-1.0)


def test_the_same_seed_proposes_the_same_and_pending_designs_are_not_repeated() -> None:
    study = optuna.create_study(directions=["minimize"] * 2)
    proposed = []
    for number in range(3):  # nothing has come back yet
        one, other = (
            KnownCostSampler(pool(), aim(), seed=4, experience=earlier()).propose(
                study.get_trials(), number
            )
            for _ in range(2)
        )
        assert one is not None and one == other
        proposed.append(tuple(sorted(one.items())))
        study.sampler = KnownCostSampler(pool(), aim(), seed=4, experience=earlier())
        suggest(study.ask(), pool().space)
    assert len(set(proposed)) == 3


def test_the_shipped_prior_is_of_this_program_and_its_tables_tell_of_each_other() -> None:
    """What one table alone says of the networks of another, on other data, holds there."""
    prior = read_prior(SHIPPED)
    commands, digits = prior.tasks[:2]
    assert len(commands.errors) == 300
    told = Experience((digits,), prior.hyper).prior(commands.features)[0]
    assert np.corrcoef(told, np.log(commands.errors))[0, 1] > 0.6
    assert transfer.fit_hyper((digits,)) == transfer.fit_hyper((digits,))
