"""What a design is trained on, and how: all that a training needs besides the design.

A process that trains for a study makes one `Training` and hands it one design after the other. This
module loads without torch; `Training.train` loads it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dse.design.point import DesignPoint
from dse.files import inside
from dse.training.history import EpochRecord, TrainingResult
from dse.training.recipe import Recipe

if TYPE_CHECKING:
    from dse.speech.loading import Features  # loads torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a design is trained on, and how."""

    features: "Features"
    recipe: Recipe
    seed: int
    device: str
    designs: Path
    """Each trained design gets a folder here, named by its key; this one must be there."""

    def folder(self, key: str) -> Path:
        """Of the design of a key.

        Raises:
            InvalidInput: it leads out of `designs`.
        """
        return inside(self.designs, key)

    def train(
        self,
        point: DesignPoint,
        report: Callable[[EpochRecord], None] | None = None,
        until: int | None = None,
    ) -> TrainingResult:
        """Train the design, going on from its last checkpoint where there is one.

        Args:
            point: the design.
            report: called after each epoch.
            until: stop after so many epochs, counted from the first of all, and ready to go on:
                the rungs of a study call again with more. All of the recipe's where it is None.

        Raises:
            TrainingFailed: no number came out; the message says why.
            OSError: the disk is full, or `designs` is gone: moved away with its study, say, where
                making it anew would split the study in two.
        """
        from dse.training.run import train  # loads torch

        folder = self.folder(point.key)
        folder.mkdir(exist_ok=True)
        return train(
            point,
            self.features,
            self.recipe,
            seed=self.seed,
            folder=folder,
            device=self.device,
            report=report,
            until=until,
        )
