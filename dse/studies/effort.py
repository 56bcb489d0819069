"""When a study ends: limits of what may be spent, and signs that more would not help.

Two counts are kept apart. *Spent* is what rows say has been trained. *In training* is what has been
submitted and will be trained in any case: it is added before a limit is compared, or several
workers would overshoot it by as many trainings as there are workers.

    without rungs    each full training counts as epochs_each epochs; one that failed does not
    with rungs       epochs count one by one, as many designs share the budget of a few
    patience         (volume now - volume `trainings` ago) / volume now < improvement
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from cost_models.allowed import Allowed, check_fields
from dse.studies.frontier import hypervolume_share
from dse.studies.rows import Evaluation

Amount = Annotated[int, Allowed(ge=1, le=10**9, words="at least 1")]
"""Trainings, epochs, candidates: more is a slip, and no float could hold thousands of digits."""

Volume = Callable[[Sequence[Evaluation], Mapping[str, Sequence[float]]], float]

MAX_REPEATS = 100
"""So many duplicates or invalid points in a row end a study: its space is exhausted."""

MAX_FAILURES = 5
"""So many failed trainings end a study in which nothing else was trained: the next would fail, too.
Most likely it is the recipe, the data or the memory, and not the design."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The `patience` section of a study file: when more trainings are not worth it."""

    trainings: Amount = 20
    improvement: Annotated[float, Allowed(gt=0.0, lt=1.0)] = 0.01
    """Relative, of the hypervolume, over so many trainings."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What may be spent; the first limit that is reached ends the study."""

    trainings: int
    """Full trainings, or as many epochs where rungs divide them among more designs."""
    epochs_each: int
    """Of a full training."""
    rungs: bool
    candidates: int
    """Designs that are priced one by one."""
    epochs: int | None = None
    """Of all designs together."""
    hours: float | None = None
    """Of training, summed over the designs and divided by the workers."""
    patience: Patience | None = None

    def spent_epochs(self, rows: Sequence[Evaluation]) -> int:
        """Epochs trained so far; `rows` are the last ones of the trials."""
        return sum(row.epochs or 0 for row in rows if row.status not in ("duplicate", "reused"))

    def trained(self, rows: Sequence[Evaluation]) -> int:
        """Designs trained for all epochs, also those whose error is over a limit."""
        return sum(row.full or row.over_in_error for row in rows)

    def share(self, rows: Sequence[Evaluation]) -> float:
        """Of what may be spent in trainings or epochs, how much is."""
        shares = [self._count_epochs(rows, 0) / (self.trainings * self.epochs_each)]
        if self.epochs is not None:
            shares.append(self.spent_epochs(rows) / self.epochs)
        return min(1.0, max(shares))

    def _count_epochs(self, rows: Sequence[Evaluation], in_training: int) -> int:
        if self.rungs:
            return self.spent_epochs(rows) + in_training
        return self.trained(rows) * self.epochs_each + in_training

    def trainings_left(
        self, rows: Sequence[Evaluation], in_training: int = 0, epochs_in_training: int = 0
    ) -> int:
        """Full trainings that may still be started, by trainings, epochs and candidates.

        Hours are not among them: nobody knows how long a training will take.

        Args:
            rows: the last ones of the trials.
            in_training: designs submitted.
            epochs_in_training: epochs that they will take.
        """
        left = self.trainings * self.epochs_each - self._count_epochs(rows, epochs_in_training)
        if self.epochs is not None:
            left = min(left, self.epochs - self.spent_epochs(rows) - epochs_in_training)
        by_epochs = -(-left // self.epochs_each)  # the last one may go over
        return max(0, min(by_epochs, self.candidates - len(rows) - in_training))

    def spent_by(
        self,
        last: Sequence[Evaluation],
        workers: int,
        in_training: int = 0,
        epochs_in_training: int = 0,
    ) -> str:
        """Which limit is reached of what may be spent; empty while none is.

        Args:
            last: the last rows of the trials.
            workers: trainings at a time.
            in_training: designs submitted.
            epochs_in_training: epochs that they will take.
        """
        if self._count_epochs(last, epochs_in_training) >= self.trainings * self.epochs_each:
            if self.rungs:
                return (
                    f"{self.spent_epochs(last):,} epochs are trained, as {self.trainings} designs"
                )
            return f"{self.trained(last)} designs are trained"
        if failed := _all_failed(last):
            return failed
        if len(last) + in_training >= self.candidates:
            return f"{len(last)} candidates are priced"
        if self.epochs is not None and self.spent_epochs(last) + epochs_in_training >= self.epochs:
            return f"{self.spent_epochs(last):,} epochs are trained"
        hours = sum(row.training_seconds or 0.0 for row in last) / 3600 / workers
        if self.hours is not None and hours >= self.hours:
            return f"{hours:.2g} hours are spent on training"
        return ""

    def pointless_by(
        self,
        last: Sequence[Evaluation],
        box: Mapping[str, Sequence[float]],
        volume: Volume = hypervolume_share,
    ) -> str:
        """Why searching on is not worth it, though more may be spent; empty while it is."""
        if _repeats_itself(last):
            return f"the last {MAX_REPEATS} candidates brought no new design"
        return self._out_of_patience(last, box, volume)

    def _out_of_patience(
        self, rows: Sequence[Evaluation], box: Mapping[str, Sequence[float]], volume: Volume
    ) -> str:
        """Whether the last trainings were worth it; costs two hypervolumes, so it is asked last."""
        if self.patience is None:
            return ""
        trained = [index for index, row in enumerate(rows) if row.full]
        if len(trained) <= self.patience.trainings:
            return ""
        # Rows above the first of the last `trainings` full trainings: what was known before them.
        before = volume(rows[: trained[-self.patience.trainings]], box)
        now = volume(rows, box)
        if now > 0 and (now - before) / now < self.patience.improvement:
            return (
                f"the last {self.patience.trainings} trainings raised the hypervolume by less than "
                f"{self.patience.improvement:.2%}"
            )
        return ""


def _all_failed(rows: Sequence[Evaluation]) -> str:
    """Why a study in which every training fails is given up; empty for any other."""
    failed = [row for row in rows if row.status == "failed"]
    if len(failed) < MAX_FAILURES or any(row.error is not None for row in rows):
        return ""
    return f"every training failed, {len(failed)} of them; the last one: {failed[-1].reason}"


def _repeats_itself(rows: Sequence[Evaluation]) -> bool:
    """Whether the last candidates were all trained before, failed before, or are no networks."""
    recent = rows[-MAX_REPEATS:]
    if len(recent) < MAX_REPEATS:
        return False
    known = {row.key for row in rows[:-MAX_REPEATS] if row.status == "failed"}
    for row in recent:
        again = row.status == "failed" and row.key in known
        if not again and row.status not in ("duplicate", "invalid"):
            return False
    return True
