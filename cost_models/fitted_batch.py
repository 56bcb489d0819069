"""Networks on machines whose memories fit them: which network gets which machine, many at once.

    networks --needs--> keys --each once--> machines --PartPricer each--> the best for each network

Networks of one key choose among the same machines (`cost_models.fitting`), so a space of millions
meets some dozens of them. A machine prices only the parts of its own networks. One whose sizes are
all known is the plain case: one key, one machine.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator
from cost_models.batch import WHOLE_PART, Figures, Numbers, PartBook, PartPricer, stored_bits
from cost_models.errors import InvalidAccelerator
from cost_models.fitting import Fitting, worth
from cost_models.technology import Technology
from cost_models.tile_search import Objective


class MachinePricers:
    """A pricer for each machine that networks of a book get; they are kept."""

    def __init__(
        self,
        parts: PartBook,
        machine: Accelerator,
        technology: Technology,
        objective: Objective = "edp",
        kept: Callable[[Numbers], Numbers] | None = None,
    ) -> None:
        """Know a machine.

        Args:
            parts: of the networks.
            machine: its memories may have to fit.
            technology: its constants.
            objective: of mappings, and of the sizes of tile buffers.
            kept: bits that networks keep between inferences beside their activations, the state of
                streams, for which a memory that fits must have room; nothing where it is left out.

        Raises:
            InvalidAccelerator: a memory is outside the technology's table, or can be built in no
                size.
        """
        self._book, self._machine, self._kept = parts, machine, kept
        self._technology, self._objective = technology, objective
        self._plain = None
        if machine.to_fit:
            self._fitting = Fitting(machine, technology)
        else:
            self._plain = PartPricer(parts, machine, technology, objective)
        self._pricers: dict[tuple[int, ...], PartPricer | None] = {}
        """By the sizes of the memories to fit; None of machines that cannot be."""
        self._needs = np.zeros((0, 2))

    def find(self, networks: Numbers) -> Iterator[tuple[Numbers, PartPricer]]:
        """The machines of networks, each with the indices of those that get it.

        Networks that no machine can execute are in no group.

        Args:
            networks: numbers of their parts in order, shape (networks, parts).
        """
        if self._plain is not None:
            self._plain.price_parts()
            yield np.flatnonzero(self._plain.executable(networks)), self._plain
            return
        distinct, which = np.unique(self._keys(networks), axis=0, return_inverse=True)
        for index, key in enumerate(distinct.tolist()):
            here = np.flatnonzero(which.reshape(-1) == index)
            pricers = [each for each in map(self._pricer, self._fitting.machines(key)) if each]
            yield from self._best(networks, here, pricers)

    def _keys(self, networks: Numbers) -> Numbers:
        """Keys of networks by what they need (`Fitting.keys`)."""
        if len(self._needs) < len(self._book):
            parts = np.arange(len(self._book))
            numbers, starts, _ = self._book.layers(parts)
            stored = stored_bits(self._book.book, self._machine)[numbers]
            alive = self._book.part_peaks(parts)[:, WHOLE_PART]
            self._needs = np.stack([np.add.reduceat(stored, starts), alive], axis=1)
        needs = self._needs[networks].astype(np.int64)
        alive = needs[:, :, 1].max(axis=1)
        if self._kept is not None:
            alive = alive + self._kept(networks)
        return self._fitting.keys(needs[:, :, 0].sum(axis=1), alive)

    def _pricer(self, machine: Accelerator) -> PartPricer | None:
        sizes = tuple(memory.bits for memory in machine.memories)
        if sizes not in self._pricers:
            try:
                found = PartPricer(self._book, machine, self._technology, self._objective)
            except InvalidAccelerator:  # too slow for its clock
                found = None
            self._pricers[sizes] = found
        return self._pricers[sizes]

    def _best(
        self, networks: Numbers, here: Numbers, pricers: list[PartPricer]
    ) -> Iterator[tuple[Numbers, PartPricer]]:
        """Networks `here` with the best of some machines, the first of equal ones."""
        worths = np.full((len(pricers), len(here)), np.inf)
        for row, pricer in enumerate(pricers):
            pricer.price_parts(networks[here])
            usable = pricer.executable(networks[here])
            worths[row, usable] = 0.0
            if len(pricers) > 1:
                worths[row, usable] = self._worth(pricer, networks[here[usable]])
        if pricers:
            best = worths.argmin(axis=0)
            possible = np.isfinite(worths.min(axis=0))
            for row, pricer in enumerate(pricers):
                if (mine := here[possible & (best == row)]).size:
                    yield mine, pricer

    def _worth(self, pricer: PartPricer, networks: Numbers) -> Figures:
        columns = pricer.price(networks)
        found: npt.NDArray[np.float64] = worth(
            columns["energy_pj"], columns["latency_cycles"], self._objective
        )
        return found
