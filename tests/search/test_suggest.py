import optuna
import pytest
from optuna.trial import FixedTrial

from cost_models.strict_yaml import parse_yaml
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from search.samplers import make_sampler
from search.suggest import suggest, write_parameters

SPACE = """
blocks: {low: 1, high: 3}
policy: [P0, P1, P4]
density: {low: 0.0625, high: 0.5, log: true}
channels: {low: 16, high: 64, step: 16, per_block: true}
dropout: {low: 0, high: 0.3, step: 0.1}
kernel: 13
"""


def space() -> SearchSpace:
    return space_from_node(parse_yaml(SPACE, "study.yaml"))


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random"])
def test_whatever_a_sampler_proposes_belongs_to_the_space(name: str) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for number in range(40):
        study.sampler = make_sampler(name, 1, number)
        trial = study.ask()
        values = suggest(trial, space())
        assert space().contains(values)
        study.tell(trial, [float(values["blocks"]), float(values.get("density", 1.0))])


def test_parameters_are_the_inverse_of_suggest() -> None:
    import random

    for seed in range(100):
        values = space().sample(random.Random(seed))
        assert suggest(FixedTrial(write_parameters(space(), values)), space()) == values


def test_fixed_axes_are_no_parameters() -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    trial = study.ask()
    values = suggest(trial, space())
    assert values["kernel"] == 13 and "kernel" not in trial.params


def test_the_same_seed_and_number_propose_the_same() -> None:
    def propose(seed: int) -> dict[str, object]:
        study = optuna.create_study(sampler=make_sampler("tpe", seed, 4), direction="minimize")
        return dict(suggest(study.ask(), space()))

    assert propose(1) == propose(1)
    assert any(propose(1) != propose(seed) for seed in range(2, 6))


@pytest.mark.parametrize("name", ["tpe", "nsga2", "random"])
def test_the_largest_seed_of_a_study_is_one_of_the_sampler(name: str) -> None:
    assert make_sampler(name, 2**32 - 1, 10**6) is not None


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(
        ValueError, match="sampler must be tpe, nsga2, nsga3, gp, qmc or random, not 'best'"
    ):
        make_sampler("best", 1, 0)
