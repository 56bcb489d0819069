"""The known-cost sampler on a space whose errors are a formula."""

import math
import random
from functools import cache

import numpy as np
import optuna
import pytest

from cost_models import load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml
from dse.design.families.family import Values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.pareto import hypervolume
from dse.pricing.budget import Budget, Limit
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from search.candidates import Pool, identify, mutate
from search.known_cost import EPOCHS_FRACTION, OBSERVED_ERROR, Aim, KnownCostSampler
from search.suggest import read_parameters, suggest

SPACE = """
blocks: {low: 1, high: 4}
repeats: [1, 2]
channels: {low: 16, high: 96, step: 16, per_block: true}
kernel: [7, 13]
policy: [P0, P1, P3]
density: [0.0625, 0.125, 0.25, 0.5]
prologue_stride: 2
"""
BUDGET = Budget((Limit("trained_parameters", 30_000.0),))


@cache
def pool() -> Pool:
    space = space_from_node(parse_yaml(SPACE, "space"), in_channels=40)
    machine = Machine(load_accelerator("kws_ternary"), load_technology("low_leakage_45nm"))
    return Pool(Sweep(space, Pricing((machine,), frames=64, outputs=12, budget=BUDGET)))


@cache
def aim() -> Aim:
    sample = pool().price([pool().space.sample(random.Random(seed)) for seed in range(300)])
    logs = np.log10(sample.columns["energy_pj"])
    return Aim(
        ("error", "energy_pj"),
        "error",
        {"error": [0.0, 1.0], "energy_pj": [float(logs.min()), float(logs.max())]},
    )


def find_error_band(values: Values, columns: dict[str, float]) -> float:
    """Falls with the weights, ternary ones counting a quarter; repeats and long kernels help."""
    weights = columns["trained_parameters"] + 0.25 * columns["generated_weights"]
    help_of = 1.1 * (values["kernel"] == 13) + 1.2 * (values["repeats"] == 2)
    return float(min(1.0, 0.9 * math.exp(-0.35 * math.log10(weights / 1000) - 0.1 * help_of)))


@cache
def searched() -> tuple[optuna.Study, float]:
    """Twenty trainings of the sampler with seed 3, and the hypervolume reached."""
    sampler = KnownCostSampler(pool(), aim(), seed=3)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    points: list[list[float]] = []
    for _ in range(20):
        trial = study.ask()
        values = suggest(trial, pool().space)
        priced = pool().price([values])
        if not len(priced):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        columns = {name: float(figures[0]) for name, figures in priced.columns.items()}
        error = find_error_band(values, columns)
        study.tell(trial, [error, columns["energy_pj"]])
        points.append([error, float(aim().scale_costs(priced.columns)[0, 0])])
    return study, hypervolume(np.array(points), np.ones(2))


def study_after(trainings: int) -> optuna.Study:
    """A study of its own that has got so far."""
    study = optuna.create_study(directions=["minimize"] * 2)
    study.add_trials(searched()[0].trials[:trainings])
    return study


def test_it_finds_more_with_a_third_of_the_trainings_than_random() -> None:
    assert searched()[1] > max(at_random(seed, 60) for seed in range(2))


def at_random(seed: int, trainings: int) -> float:
    """The hypervolume of so many random designs that keep the limits."""
    rng = random.Random(seed)
    priced = pool().price([pool().space.sample(rng) for _ in range(5 * trainings)])
    found = priced.take(range(trainings))  # fails where so many did not keep them
    errors = [
        find_error_band(values, {name: figures[number] for name, figures in found.columns.items()})
        for number, values in enumerate(found.values)
    ]
    points = np.column_stack([errors, aim().scale_costs(found.columns)])
    return hypervolume(points, np.ones(2))


def test_nothing_over_the_limits_and_nothing_twice() -> None:
    study, _ = searched()
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
    tried = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(tried) == len(set(tried)) == 20


def test_a_proposal_depends_on_seed_number_and_record_only() -> None:
    trials = searched()[0].get_trials()
    fresh = KnownCostSampler(pool(), aim(), seed=3)
    proposed = fresh.propose(trials[:13], 13)
    assert proposed == read_parameters(pool().space, trials[13].params)
    other = KnownCostSampler(pool(), aim(), seed=6)
    assert other.propose(trials[:3], 3) != fresh.propose(trials[:3], 3)


def test_workers_that_ask_at_once_get_different_designs() -> None:
    study = study_after(14)
    study.sampler = KnownCostSampler(pool(), aim(), seed=7)
    asked = [suggest(study.ask(), pool().space) for _ in range(4)]
    assert len({identify(values) for values in asked}) == 4


def test_a_training_that_was_stopped_early_is_learnt_from() -> None:
    """Told that small designs are as good after a ninth of the epochs, it asks for small ones."""
    sampler, study = KnownCostSampler(pool(), aim(), seed=8), study_after(13)
    before = sampler.propose(study.get_trials(), 99)
    for number in range(6):
        study.sampler = optuna.samplers.RandomSampler(seed=number)
        trial = study.ask()
        suggest(trial, pool().space)
        trial.set_user_attr(OBSERVED_ERROR, 0.02)
        trial.set_user_attr(EPOCHS_FRACTION, 1 / 9)
    after = sampler.propose(study.get_trials(), 99)
    assert before is not None and after is not None and before != after


def test_a_design_that_goes_on_to_its_next_rung_leaves_no_memory() -> None:
    """Length scales were fitted to its earlier error; a study that is resumed never saw that."""
    lived, study = KnownCostSampler(pool(), aim(), seed=3), study_after(8)
    waiting = study.ask()
    suggest(waiting, pool().space)
    for error, fraction in ((0.9, 0.1), (0.2, 0.5)):
        waiting.set_user_attr(OBSERVED_ERROR, error)
        waiting.set_user_attr(EPOCHS_FRACTION, fraction)
        resumed = KnownCostSampler(pool(), aim(), seed=3)
        trials = study.get_trials()
        assert lived.propose(trials, 20) == resumed.propose(trials, 20)
        known = lived._read_trials(trials)
        trained = lived._price_trained(known.designs)
        features, errors = lived._make_features(trained, known.fractions), np.array(known.errors)
        fits = [one._fit_hyperparameters(features, errors) for one in (lived, resumed)]
        assert fits[0] == fits[1]


@pytest.mark.soak
def test_a_band_that_random_designs_hardly_ever_meet() -> None:
    band = Budget(
        (
            Limit("trained_parameters", 26_050.0),
            Limit("trained_parameters", 26_000.0, upper=False),
        )
    )
    space, machines = pool().space, pool().sweep.pricing.machines
    narrow = Pool(Sweep(space, Pricing(machines, frames=64, outputs=12, budget=band)))
    rng = random.Random(5)
    at_random = narrow.price([space.sample(rng) for _ in range(500)])
    assert len(at_random) <= 3
    sampler = KnownCostSampler(narrow, aim(), seed=3, startup=2)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    tried = set()
    for _ in range(3):
        trial = study.ask()
        values = suggest(trial, space)
        [parameters] = narrow.price([values]).columns["trained_parameters"]  # it is feasible
        assert 26_000 <= parameters <= 26_050
        tried.add(identify(values))
        study.tell(trial, [0.5, 1e6])
    assert len(tried) == 3
    again = KnownCostSampler(narrow, aim(), seed=3, startup=2)
    assert again.propose(study.get_trials()[:2], 2) == read_parameters(
        space, study.get_trials()[2].params
    )


def test_a_space_that_is_used_up_proposes_what_is_known_and_nothing_over_a_limit() -> None:
    space = space_from_node(parse_yaml("blocks: [1, 2]\nchannels: [16, 32, 96]", "space"))
    every = Sweep(space, Pricing(pool().sweep.pricing.machines, frames=64, outputs=12))
    priced = every.pricing.pricers[0].price(every.cut(list(space.enumerate())))
    most = float(np.median(priced.columns["trained_parameters"]))
    budget = Budget((Limit("trained_parameters", most),))
    sweep = Sweep(space, Pricing(every.pricing.machines, frames=64, outputs=12, budget=budget))
    count = len(Pool(sweep).draw(1, 0, [], set()))
    assert 0 < count < space.size == 6
    sampler = KnownCostSampler(Pool(sweep), aim(), seed=1)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    tried = []
    for _ in range(count + 5):
        trial = study.ask()
        values = suggest(trial, space)
        assert sweep.pricing.pricers[0].price(sweep.cut([values])).feasible.all()
        tried.append(identify(values))
        study.tell(trial, [0.5, 1e6])
    assert len(set(tried[:count])) == len(set(tried)) == count


def test_a_space_that_is_used_up_brings_nothing() -> None:
    space = space_from_node(parse_yaml("blocks: [1, 2]\nchannels: [16, 32]", "space"))
    sweep = Sweep(space, Pricing(pool().sweep.pricing.machines, frames=64, outputs=12))
    sampler = KnownCostSampler(Pool(sweep), aim(), seed=1)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    tried = set()
    for _ in range(4):
        trial = study.ask()
        tried.add(identify(suggest(trial, space)))
        study.tell(trial, [0.5, 1e6])
    assert len(tried) == 4 == space.size
    assert sampler.propose(study.get_trials(), 4) is None


def test_a_limit_on_the_error_moves_the_corner_of_the_box() -> None:
    strict = Aim(("error", "energy_pj"), "error", aim().box, most_measured=0.2)
    assert strict.worst_error == 0.2 and aim().worst_error == 1.0


def test_changed_designs_stay_in_the_space() -> None:
    space: SearchSpace = pool().space
    rng = random.Random(0)
    for _ in range(200):
        values = space.sample(rng)
        changed = mutate(space, values, rng)
        assert space.contains(changed)


@pytest.mark.parametrize("name", ["density", "channels_b3"])
def test_an_axis_that_does_not_matter_stands_in_the_middle(name: str) -> None:
    values = pool().space.walk(lambda choice: choice.values[0])
    assert name not in values  # one block, nothing ternary
    choice = next(choice for choice in pool().choices if choice.name == name)
    assert pool()._encode_axis(choice, [values]).tolist() == [[0.5]]
