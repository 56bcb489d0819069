"""Samplers by name.

Each trial gets a sampler of its own seed, so that a study that was stopped and resumed proposes
what it would have proposed undisturbed.
"""

import optuna


def make_sampler(name: str, seed: int, trial_number: int) -> optuna.samplers.BaseSampler:
    """The sampler that proposes one trial.

    Args:
        name: `tpe`, `nsga2` or `random`.
        seed: of the study.
        trial_number: of the trial to be proposed.

    Raises:
        ValueError: there is no such sampler.
    """
    own_seed = (seed * 1_000_003 + trial_number) % 2**32  # numpy takes no larger one
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=own_seed)
    if name == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=own_seed, population_size=20)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=own_seed)
    raise ValueError(f"sampler must be tpe, nsga2 or random, not {name!r}")
