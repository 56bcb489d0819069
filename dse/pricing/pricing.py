"""What a study prices its designs on: its machines, under its limits.

No training depends on the machine. So a network is priced on all machines of its study: it has one
error and as many costs as there are machines.

    best     the machine that the row of a trial names: of those that keep the limits, the one of
             the least product of the costs that are objectives
    offers   those that keep the limits and that no other machine beats in all these costs: the
             points of a study's frontier and hypervolume
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cost_models import estimate
from cost_models.cost import misfits, stream_misfits
from cost_models.streaming import stream
from dse.columns import COST_COLUMNS, MEASURED_COLUMNS, STREAM_COLUMNS
from dse.design.matrices import find_dead
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.pareto import pareto_mask
from dse.pricing.book import Cut, DesignBook
from dse.pricing.budget import Budget
from dse.pricing.listening import Listening, price_hop
from dse.pricing.machine import Machine
from dse.pricing.pricer import Figures, Mask, Pricer

LEAST_COST = 1e-12
"""Costs of 0 have no logarithm."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a machine makes of a design: its costs there, and whether it may be built there."""

    machine: Machine
    columns: dict[str, float]
    """Of a row; counts are whole numbers, as `Cost.columns` has them. Those of a stream are there
    where the study listens and the hop fits the design."""
    reason: str = ""
    """Why it must not be built there; empty where it may."""
    dead: bool = False
    """Nothing of its input reaches the scores (`dse.design.matrices`)."""
    no_stream: str = ""
    """Why the hop of a study that listens does not fit the design; empty where it does."""


class Pricing:
    """Prices designs on all machines of a study, which share the book of what is priced.

    Two questions with two answers. While searching, a trial has one row, hence one machine: `best`.
    When a frontier is drawn, a network may stand on it several times, on different machines:
    `offer`. Both price by a `Pricer`, so that a row and a frontier agree on each figure.
    """

    def __init__(
        self,
        machines: Sequence[Machine],
        *,
        frames: int,
        outputs: int,
        budget: Budget | None = None,
        rate: float = 1.0,
        objectives: Sequence[str] = ("error", "energy_pj"),
        listening: Listening | None = None,
    ) -> None:
        """Know the machines.

        Args:
            machines: that a study chooses from; often one.
            frames: input frames of one inference.
            outputs: classes.
            budget: limits on costs.
            rate: inferences a second, of the average power.
            objectives: of the study; their costs decide between machines.
            listening: how a stream is taken in; None where nobody asks what a hop costs.
        """
        self.machines = tuple(machines)
        self.budget, self.rate = budget or Budget(), rate
        self.costs = tuple(name for name in objectives if name not in MEASURED_COLUMNS)
        self.book = DesignBook(frames, outputs, listening)
        self.offered: dict[str, tuple[Offer, ...]] = {}
        """Key of a network -> what `offer` found."""

    @cached_property
    def pricers(self) -> tuple[Pricer, ...]:
        """One a machine, in their order.

        Raises:
            InvalidInput: a memory of a machine is outside its technology's table.
        """
        return tuple(self.on(machine) for machine in self.machines)

    def on(self, machine: Machine) -> Pricer:
        """A new pricer of the same designs on any machine, also one that the study does not have.

        It shares the book, so nothing is lowered again, but has priced nothing yet.

        Args:
            machine: to price on.

        Raises:
            InvalidInput: a memory of the machine is outside its technology's table.
        """
        return Pricer(self.book, machine, self.budget, self.rate)

    def best(self, point: DesignPoint) -> Offer:
        """A network on the machine that suits it (`choose`).

        Where it keeps the limits on none, on the one on which it is nearest to keeping them.

        Raises:
            InvalidInput: no machine can execute it.
        """
        cut = self.book.cut([point])
        priced = [(pricer.machine, pricer.price(cut).columns) for pricer in self.pricers]
        dead = find_dead(point) if self.book.dead_designs(cut).any() else ""
        no_stream = self._why_no_stream(point, cut)
        offers = [
            self._offer(machine, columns, dead, no_stream)
            for machine, columns in priced
            if not np.isnan(columns["energy_pj"][0])
        ]
        if not offers:
            # The pricer knows that it cannot be executed, as NaN, but not why. `estimate` goes the
            # slow way, layer by layer, and raises the sentence that a person can act on.
            workload = lower(point, frames=self.book.frames, outputs=self.book.outputs)
            estimate(workload, self.machines[0].accelerator, self.machines[0].technology)
            if self.book.listening is not None:
                price_hop(workload, self.machines[0], self.book.listening.hop_frames)
            raise AssertionError(f"{self.machines[0]} executes what the pricer says it cannot")
        feasible = np.array([not offer.reason for offer in offers])
        if not feasible.any():
            return min(offers, key=self.excess)
        return offers[choose(_stacked(self.costs, offers), feasible)]

    # Reasons are said only of single designs: of a million nobody reads them (`Pricer.price`).
    def _offer(
        self, machine: Machine, figures: Mapping[str, Figures], dead: str, no_stream: str
    ) -> Offer:
        """What is known of a single design, in words where it must not be built."""
        columns = _plain(figures, 0)
        too_large = _misfits(columns, machine)
        reasons = filter(None, (dead, no_stream, self.budget.explain(columns), *too_large))
        return Offer(machine, columns, "; ".join(reasons), bool(dead), no_stream)

    def _why_no_stream(self, point: DesignPoint, cut: Cut) -> str:
        """Why a design has no hop; empty where it has, or nobody asks."""
        listening, streamed = self.book.listening, self.book.streamed
        if listening is None or streamed is None:
            return ""
        if all(streamed.fit(networks).all() for _, networks in cut.groups):
            return ""
        # That it does not fit is known by parts; the sentence is that of the network as a whole.
        workload = lower(point, frames=self.book.frames, outputs=self.book.outputs)
        try:
            stream(workload, listening.hop_frames)
        except InvalidInput as error:
            return str(error)
        raise AssertionError(f"{point.label} has a hop, and a part of it has none")

    def excess(self, offer: Offer) -> float:
        """How far a design is beyond the limits; 0 where it keeps them.

        Shares of the bounds, summed, and 1 for each thing that does not fit, for being dead, or for
        having no hop and each limit on one: as bad as a column at twice its limit. Only the order
        means something, for `best` and for a sampler's way back.
        """
        limits = tuple(each for each in self.budget.limits if each.column in offer.columns)
        not_known = len(self.budget.limits) - len(limits)
        too_large = _misfits(offer.columns, offer.machine)
        faults = len(too_large) + offer.dead + bool(offer.no_stream) + not_known
        return Budget(limits).excess(offer.columns) + faults

    def offer(self, points: Mapping[str, DesignPoint]) -> None:
        """Find the offers of networks that are new, by their keys; all of them at once.

        They get a book of their own: what a machine has priced would fill the memory if all
        machines of a study kept it for all networks.
        """
        new = {key: point for key, point in points.items() if key not in self.offered}
        if not new:
            return
        book = DesignBook(self.book.frames, self.book.outputs, self.book.listening)
        cut = book.cut(list(new.values()))
        priced = [Pricer(book, each, self.budget, self.rate).price(cut) for each in self.machines]
        for row, key in enumerate(new):
            costs = [[each.columns[name][row] for name in self.costs] for each in priced]
            feasible = np.array([each.feasible[row] for each in priced])
            # A network has one error on all machines, so it decides nothing here and is left out.
            # NaN is dominated, so a machine that breaks a limit is never offered.
            best = pareto_mask(np.where(feasible[:, None], np.array(costs), np.nan))
            self.offered[key] = tuple(
                Offer(self.machines[at], _plain(priced[at].columns, row))
                for at in np.flatnonzero(best)
            )


def choose(costs: Mapping[str, Figures], feasible: Mask) -> int:
    """The feasible machine of the least product of costs; of equal ones the first.

    A product needs no weights: other units, or all costs of one column doubled, change no choice.
    With energy and latency it is the energy-delay product. Its logarithm is compared, a sum.

    Args:
        costs: the objectives that are costs, each of shape (machines,).
        feasible: which machines keep the limits; one at least.
    """
    # NaN of machines that cannot execute the design becomes a harmless 1; they are not asked below.
    worth = np.zeros(len(feasible))
    for figures in costs.values():
        worth = worth + np.log10(np.maximum(np.where(feasible, figures, 1.0), LEAST_COST))
    return int(np.flatnonzero(feasible)[np.argmin(worth[feasible])])


def _stacked(names: Iterable[str], offers: Sequence[Offer]) -> dict[str, Figures]:
    return {name: np.array([float(each.columns[name]) for each in offers]) for name in names}


def _plain(columns: Mapping[str, Figures], row: int) -> dict[str, float]:
    """The costs of one design as plain numbers: counts stay whole."""
    physical = ("_pj", "_um2", "_uw", "_us")
    listens = "hop_energy_pj" in columns and not np.isnan(columns["hop_energy_pj"][row])
    return {
        name: float(columns[name][row]) if name.endswith(physical) else int(columns[name][row])
        for name in (*COST_COLUMNS, *(STREAM_COLUMNS if listens else ()))
    }


def _misfits(columns: Mapping[str, float], machine: Machine) -> tuple[str, ...]:
    """What of a design the memories do not hold: of a stream what each hop needs."""
    stored = int(columns["stored_bits"])
    if "stream_state_bits" not in columns:
        return misfits(stored, int(columns["activation_bits"]), machine.accelerator)
    hop, state = int(columns["hop_activation_bits"]), int(columns["stream_state_bits"])
    return stream_misfits(stored, hop, state, machine.accelerator)
