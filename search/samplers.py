"""Samplers by name: ours (`search.known_cost`) and Optuna's, made fit for a study that is killed.

Optuna's samplers hold a random generator that moves with each call. A study that was stopped and
resumed would start it anew and propose other designs than one that ran through. So each trial gets
a sampler of its own, with a seed made of the study's and of the trial's number; what it learns from
is the storage, which is the same either way.

A new sampler is a name in `dse.studies.study_file.SamplerName` and a case in `make_sampler`; one
that must know costs stands beside the known-cost one in `Samplers`.
"""

import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from dse.pricing.sweep import Sweep
from dse.studies.spec import StudySpec
from search.candidates import Pool
from search.known_cost import Aim, KnownCostSampler
from search.transfer import Experience


class Samplers:
    """The sampler of each trial of a study."""

    def __init__(
        self,
        spec: StudySpec,
        sweep: Sweep,
        box: Mapping[str, Sequence[float]],
        experience: Experience | None = None,
    ) -> None:
        self.name, self.seed = spec.sampler, spec.seed
        self.known_cost: KnownCostSampler | None = None
        if spec.sampler == "known_cost":
            most = min(
                (limit.bound for limit in spec.measured_budget.limits if limit.upper), default=1.0
            )
            aim = Aim(spec.objectives, spec.measured, box, most)
            pool = Pool(sweep, aim.costs)
            self.known_cost = KnownCostSampler(pool, aim, seed=spec.seed, experience=experience)

    def choose(
        self, number: int, *, at_random: bool = False, decided: bool = False
    ) -> optuna.samplers.BaseSampler:
        """The sampler that proposes one trial of the study.

        Args:
            number: of the trial.
            at_random: the study's sampler repeats itself; the known-cost one never does.
            decided: what the trial tries is fixed, and nothing is asked of the sampler.
        """
        if self.known_cost is not None and not decided:
            return self.known_cost  # its proposals depend on the trial's number already
        at_random = at_random or decided
        return SamplerOfTrial("random" if at_random else self.name, self.seed, number)


class SamplerOfTrial(optuna.samplers.BaseSampler):
    """One of Optuna's samplers, asked for one trial; an axis drawn alone has a seed of its own.

    A trial may be killed between two axes. Those that are left are then drawn as if nothing had
    happened, which a sampler whose draws depend on how many it made before could not do.
    """

    def __init__(self, name: str, seed: int, trial_number: int) -> None:
        self.name, self.seed, self.number = name, seed, trial_number
        self.whole = make_sampler(name, seed, trial_number)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Axes that the sampler draws together; the others come one by one."""
        return self.whole.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw them."""
        return self.whole.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        distribution: BaseDistribution,
    ) -> Any:
        """Draw one axis."""
        own = make_sampler(self.name, self.seed ^ zlib.crc32(param_name.encode()), self.number)
        return own.sample_independent(study, trial, param_name, distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """What the sampler itself does there."""
        self.whole.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """What the sampler itself does there."""
        self.whole.after_trial(study, trial, state, values)


class _NumberedQMC(optuna.samplers.QMCSampler):
    """A trial takes the point of its own number.

    Optuna's takes the next one at each call, and a trial that was killed is asked for again.
    """

    def __init__(self, seed: int, number: int) -> None:
        super().__init__(seed=seed, scramble=True, warn_independent_sampling=False)
        self.number = number

    def _find_sample_id(
        self, study: optuna.Study, search_space: dict[str, BaseDistribution]
    ) -> int:
        return self.number


def make_sampler(name: str, seed: int, trial_number: int) -> optuna.samplers.BaseSampler:
    """One of Optuna's samplers for one trial.

    Args:
        name: `tpe`, `nsga2`, `nsga3`, `gp`, `qmc` or `random`.
        seed: of the study.
        trial_number: of the trial to be proposed.

    Raises:
        ValueError: there is no such sampler.
    """
    own_seed = (seed * 1_000_003 + trial_number) % 2**32  # numpy takes no larger one
    samplers = optuna.samplers
    if name == "tpe":
        return samplers.TPESampler(seed=own_seed)
    if name == "nsga2":
        return samplers.NSGAIISampler(seed=own_seed, population_size=20)
    if name == "nsga3":
        return samplers.NSGAIIISampler(seed=own_seed, population_size=20)
    if name == "random":
        return samplers.RandomSampler(seed=own_seed)
    if name in ("gp", "qmc"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if name == "gp":
                return samplers.GPSampler(seed=own_seed, warn_independent_sampling=False)
            # One sequence for the whole study: its points are told apart by their numbers.
            return _NumberedQMC(seed, trial_number)
    raise ValueError(f"sampler must be tpe, nsga2, nsga3, gp, qmc or random, not {name!r}")
