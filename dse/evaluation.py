"""Evaluate a design point: cost first, and training only for what keeps the limits."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cost_models import Accelerator, Cost, Technology, estimate
from dse.budget import Budget
from dse.lowering import lower
from dse.point import DesignPoint
from dse.task import FeatureSpec, Task

if TYPE_CHECKING:
    from dse.features import SpeechFeatures
    from dse.recipe import Recipe
    from dse.training import EpochRecord, TrainingResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What a design is priced on."""

    accelerator: Accelerator
    technology: Technology
    budget: Budget
    frames: int
    outputs: int
    rate: float = 1.0
    """Inferences a second, of the average power."""

    def price(self, point: DesignPoint) -> Cost:
        """Cost of one inference of the design.

        Raises:
            InvalidAccelerator: the machine cannot execute it.
        """
        workload = lower(point, frames=self.frames, outputs=self.outputs)
        return estimate(workload, self.accelerator, self.technology)

    def columns(self, cost: Cost) -> dict[str, float]:
        """The columns of a row."""
        return dict(cost.columns(self.rate))

    def infeasibility(self, cost: Cost) -> str:
        """Why a design of this cost must not be built; empty where it may."""
        over = self.budget.explain(self.columns(cost))
        return "; ".join(filter(None, (over, *cost.misfits)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a design is trained on, and how."""

    features: "SpeechFeatures"
    task: Task
    spec: FeatureSpec
    recipe: "Recipe"
    seed: int
    device: str
    designs: Path
    """Each trained design gets a folder here, named by its key."""

    def train(
        self,
        point: DesignPoint,
        report: "Callable[[EpochRecord], None] | None" = None,
        until: int | None = None,
    ) -> "TrainingResult":
        """Train the design, going on from its last checkpoint where there is one.

        Args:
            point: the design.
            report: called after each epoch.
            until: stop after so many epochs; all of the recipe's where it is None.

        Raises:
            TrainingFailed: no number came out; the message says why.
        """
        from dse.training import train  # loads torch

        return train(
            point,
            self.features,
            self.recipe,
            seed=self.seed,
            folder=self.designs / point.key,
            device=self.device,
            report=report,
            task=self.task,
            spec=self.spec,
            until=until,
        )


def utc_now() -> str:
    """The time now, UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
