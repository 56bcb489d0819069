"""A design on a machine, as reports and the command line show it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cost_models import Band, Cost
from cost_models.cost import stream_misfits
from cost_models.streaming import Stream
from cost_models.workload import Workload
from dse.design.point import DesignPoint


class Named(Protocol):
    """What tables of costs ask of a network: how it is called."""

    @property
    def label(self) -> str:
        """For people."""

    @property
    def key(self) -> str:
        """Of a design; empty for layers that were none."""


@dataclass(frozen=True, slots=True)
class Layers:
    """A network that is no design of ours: how it is called, and its layers."""

    label: str
    workload: Workload
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A network with its whole cost on one machine, and what is known of it besides."""

    point: Named
    """A design, or layers that another tool described, of which only the name is known."""
    cost: Cost
    """By layer, with machine and technology."""
    stream: Stream | None = None
    """What the machine keeps from hop to hop; None where each inference stands alone."""
    trial: str = ""
    """Of the study that evaluated it: `trial 7`; empty where none did."""
    recorded: Mapping[str, float] = field(default_factory=dict)
    """Columns of its cost as the study has them: those of the cost model of that day."""
    error: Band | None = None
    """Of its validation clips in percent, with its 95 % interval; None where it was not trained."""
    quantised_error: float | None = None
    """The same in whole numbers, in percent; None where nobody looked."""
    why: str = ""
    """Why it is shown: `lowest error`."""

    @property
    def design(self) -> DesignPoint:
        """The network itself, for what asks more than its name.

        Raises:
            TypeError: there is none behind these layers, which is a mistake of the caller.
        """
        if not isinstance(self.point, DesignPoint):
            raise TypeError(f"{self.point.label} is layers of another tool, not a design")
        return self.point

    def named(self) -> str:
        """`1x1x64 (trial 7)`: distinct within a study."""
        return f"{self.point.label} ({self.trial})" if self.trial else self.point.label

    @property
    def misfits(self) -> tuple[str, ...]:
        """What does not fit, one sentence each; the state that a stream keeps included.

        A stream keeps the history of its convolutions between hops (`cost_models.streaming`), in
        the memory of the activations and beside those that are alive during a hop: both together
        must fit. The cost is computed all the same.
        """
        if self.stream is None:
            return self.cost.misfits
        cost = self.cost
        return stream_misfits(
            cost.stored_bits, cost.activation_bits, self.stream.state_bits, cost.accelerator
        )
