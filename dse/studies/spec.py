"""What a study is, as data: everything that a search needs to know.

`dse.studies.reading` makes a `StudySpec` of a person's file; `StudySpec.resolved` spells every
default out, so that a study can be repeated when the defaults have changed.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models import Accelerator, Technology
from dse.columns import (
    LABELS,
    MEASURED_COLUMNS,
    first_measured,
)
from dse.design.space import SearchSpace
from dse.pricing.budget import Budget
from dse.pricing.comparable import say_technology
from dse.pricing.hardware import Hardware
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.speech.task import FeatureSpec, Task, Wake
from dse.speech.transcription import SpeechTask, Transcription
from dse.studies.baselines import Baseline, baseline_at
from dse.studies.effort import Effort, Patience
from dse.studies.filled import solved_space
from dse.studies.rungs import Rungs
from dse.studies.study_file import Controls, SamplerName, StreamSection, listening_of
from dse.training.recipe import Recipe

SCHEMA_VERSION = 1


PRIORS = ("none", "shape", "shipped")
"""Words for `prior`; anything else is a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study, read and checked."""

    name: str
    base_folder: Path
    """Relative paths of the study file are seen from here."""
    data_folder: Path
    task: SpeechTask
    features: FeatureSpec
    space: SearchSpace
    hardware: Hardware
    """The machines that networks are priced on: one, or all combinations of hardware axes."""
    recipe: Recipe
    objectives: tuple[str, ...]
    budget: Budget
    """Limits on what is known before training."""
    measured_budget: Budget
    """Limits on what only a training tells."""
    fill: Mapping[str, float] | None = None
    """The column that each design fills, and how much of it; None where widths are searched."""
    rate: float | None = None
    """Inferences a second, which the machine must keep; None where nobody asked."""
    stream: StreamSection | None = None
    """How a stream is taken in; None where each inference stands alone."""
    baselines: tuple[Baseline, ...]
    controls: Controls = "none"
    """Whether the last trainings are dense controls of the frontier (`search.controls`)."""
    warm_start: tuple[Path, ...] = ()
    """Folders of earlier studies, whose designs are tried and whose trainings are not repeated."""
    prior: str = "none"
    """What the known-cost sampler knows at the beginning: one of `PRIORS`, or a file's path."""
    sampler: SamplerName
    rungs: Rungs | None = None
    trainings: int
    """The study ends when so many designs are trained."""
    candidates: int
    """... or when so many are priced."""
    epochs: int | None = None
    """... or when so many epochs are trained, of all designs together."""
    hours: float | None = None
    """... or so many hours."""
    patience: Patience | None = None
    """... or when the hypervolume has nearly stopped growing."""
    seed: int
    device: str

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All that networks are priced on; the first one stands for all where one must."""
        return self.hardware.machines

    @property
    def accelerator(self) -> Accelerator:
        """Of the first machine."""
        return self.machines[0].accelerator

    @property
    def technology(self) -> Technology:
        """Of the first machine."""
        return self.machines[0].technology

    @property
    def of_sentences(self) -> bool:
        """Whether its errors are rates of edits, and not shares of clips."""
        return isinstance(self.task, Transcription)

    @property
    def samples(self) -> str:
        """What its errors are counted over, for people."""
        if self.wake is not None:
            return "wake words"
        return "utterances" if self.of_sentences else "clips"

    @property
    def wake(self) -> Wake | None:
        """What its errors are rejections of; None where they are of clips or sentences."""
        return self.task.wake if isinstance(self.task, Task) else None

    @property
    def units(self) -> str:
        """What a mistake is made of, for people: clips, wake words, or what error rates count."""
        if isinstance(self.task, Transcription):
            return "characters" if self.task.error == "cer" else "words"
        return self.samples

    @property
    def error_name(self) -> str:
        """What its errors are, for headings and axes: of clips, of wake words, rates of edits."""
        if isinstance(self.task, Transcription):
            return "character error rate" if self.task.error == "cer" else "word error rate"
        if self.wake is not None:
            return f"false rejection rate at {self.wake.false_alarms_per_hour:g} alarms/h"
        return "error"

    @property
    def epoch_error_name(self) -> str:
        """What epochs of its trainings are judged by: with `wake` by clips, as those are many."""
        return self.error_name if self.wake is None else "share of clips told wrongly"

    def name_column(self, column: str) -> str:
        """The name of a column for people, as `LABELS` has it, with `error_name` for an error."""
        name = LABELS[column][0]
        return name.replace("error", self.error_name, 1) if column in MEASURED_COLUMNS else name

    @property
    def several_machines(self) -> bool:
        """Whether the study chooses the machine, too."""
        return len(self.machines) > 1

    @property
    def machine_words(self) -> str:
        """Names of the machine and of its technology; where there are several, how many."""
        if self.several_machines:
            return f"{len(self.machines)} machines"
        technology = say_technology(self.accelerator, self.technology)
        return f"{self.accelerator.name}, {technology}"

    @property
    def limits(self) -> dict[str, float]:
        """All limits, as a study file has them: `max_...` and `min_...` of columns."""
        return self.budget.to_dict() | self.measured_budget.to_dict()

    @property
    def inferences_per_second(self) -> float:
        """What the average power of a row is of: the study's rate, or `usual_rate` without one."""
        return self.rate or usual_rate(self.task, self.features)

    @property
    def listening(self) -> Listening | None:
        """How a stream is taken in, with the duration of a frame; None where there is none."""
        return listening_of(self.stream, self.features)

    @property
    def measured(self) -> str:
        """The column of a network's mistakes that a search models."""
        return first_measured(self.objectives)

    @property
    def needs_int8(self) -> bool:
        """Whether a network without a form in whole numbers is of no use."""
        names = (*self.objectives, *(limit.column for limit in self.measured_budget.limits))
        return "quantised_error" in names

    @property
    def effort(self) -> Effort:
        """When the study ends."""
        return Effort(
            trainings=self.trainings,
            epochs_each=self.recipe.epochs,
            rungs=self.rungs is not None,
            candidates=self.candidates,
            epochs=self.epochs,
            hours=self.hours,
            patience=self.patience,
        )

    def of_outputs(self, outputs: int) -> "StudySpec":
        """The same for so many classes, which only the data say: filled designs depend on them."""
        if self.fill is None:
            return self
        space = solved_space(
            self.space, self.fill, self.machines, self.features.frames, outputs, self.listening
        )
        baselines = (
            each if each.values is None or each.published else baseline_at(each.values, space)
            for each in self.baselines
        )
        return dataclasses.replace(self, space=space, baselines=tuple(baselines))

    def make_pricing(self, outputs: int) -> Pricing:
        """Prices designs on its machines and under its limits, for so many classes."""
        return Pricing(
            self.machines,
            budget=self.budget,
            frames=self.features.frames,
            outputs=outputs,
            rate=self.inferences_per_second,
            objectives=self.objectives,
            listening=self.listening,
        )

    def resolved(self) -> dict[str, Any]:
        """All of it as plain data, defaults spelled out: what `resolved.yaml` and resuming compare.

        Folders are absolute and machines have all their figures, so that nothing outside of it is
        needed to know what the study was asked. `dse.studies.resolved` reads it back.
        """
        plain = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "base_folder": str(self.base_folder.resolve()),
            "data_folder": str(self.data_folder.resolve()),
            "task": self.task.to_dict(),
            "features": self.features.to_dict(),
            "space": self.space.to_dict(),
            "accelerator": self.accelerator.to_dict(),
            "technology": dataclasses.asdict(self.technology),
            "hardware": self.hardware.to_dict() if self.several_machines else None,
            "recipe": self.recipe.to_dict(),
            "objectives": list(self.objectives),
            "limits": self.limits,
            "fill": None if self.fill is None else dict(self.fill),
            "rate": self.rate,
            "stream": None if self.stream is None else dataclasses.asdict(self.stream),
            "baselines": [baseline.to_plain() for baseline in self.baselines],
            "controls": self.controls,
            "warm_start": [str(folder) for folder in self.warm_start],
            "prior": self.prior,
            "sampler": self.sampler,
            "rungs": None if self.rungs is None else dataclasses.asdict(self.rungs),
            "trainings": self.trainings,
            "candidates": self.candidates,
            "epochs": self.epochs,
            "hours": self.hours,
            "patience": None if self.patience is None else dataclasses.asdict(self.patience),
            "seed": self.seed,
            "device": self.device,
        }
        # Through JSON: tuples become lists and enumerations texts, as YAML will give them back.
        return dict(json.loads(json.dumps(plain)))


def usual_rate(task: SpeechTask, features: FeatureSpec) -> float:
    """Inferences a second where nobody says: one of words, of sentences as fast as people speak.

    A word may begin at any time, so a spotter that looks once a second is one choice of many
    (`rate`). Speech that is written down is all heard, once: an inference of F frames every F hops.
    """
    if not isinstance(task, Transcription):
        return 1.0
    return 1e3 / (features.frames * features.hop_ms)  # milliseconds a second
