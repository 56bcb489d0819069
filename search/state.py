"""How far a study is, and who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dse.design.point import DesignPoint
from dse.studies.rows import Evaluation
from search.survey import Survey


@dataclass(frozen=True, slots=True)
class State:
    """How far a study is."""

    trained: int
    """Designs that were trained for all epochs."""
    trainings: int
    candidates: int
    max_candidates: int
    frontier: int
    """Designs on the frontier."""
    hypervolume: float
    """Share of the study's box that the trained designs dominate."""
    done: float = 0.0
    """Share of the effort that is spent."""


class Progress(Protocol):
    """Who watches a study."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """A part of the preparation, such as features, is at `done` of `total`."""

    def data(self, findings: Sequence[str]) -> None:
        """The data are loaded; what they say against the errors measured on them."""

    def started(self, found: Survey, state: State) -> None:
        """The space is surveyed; the search begins or goes on."""

    def training(self, point: DesignPoint, cost: dict[str, float], epochs: int) -> None:
        """A design keeps the limits and is going to be trained, or to go on, up to `epochs`."""

    def epoch(self, point: DesignPoint, record: Any) -> None:
        """An epoch of a design is done (`dse.training.run.EpochRecord`)."""

    def evaluated(self, row: Evaluation, state: State) -> None:
        """A row was recorded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of a study came to."""

    rows: list[Evaluation]
    """The last row of each trial."""
    state: State
    ended_by: str
    """The reason in words."""

    @property
    def words(self) -> str:
        """How a run ended; a study without one design to show for it has not finished well."""
        return f"{'finished' if self.state.frontier else 'stopped'}: {self.ended_by}"
