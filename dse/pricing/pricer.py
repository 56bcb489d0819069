"""The pricer: any number of designs on one machine, from one network to ten million.

    parts of the book  --each priced once-->  PartPricer  --sums of rows-->  columns of costs
    generators of each design                          -->  area of the machine built for it
    columns            --memories, limits-->  which designs are feasible

A book whose designs are listened to has each part twice, as one inference and as one hop. Then a
design has both kinds of columns, and its memories must hold what the stream needs, as that is what
the machine is built for; one that the hop does not fit has no columns of a hop, and is infeasible.

Whoever has designs comes here: a sweep with digits of a space, what-if with trained networks, the
sampler with candidates, a study with one network for all of its machines. Figures equal those of
`cost_models.estimate` to the last bit (tests/dse/pricing), so that a design costs the same wherever
it is asked for.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cost_models import Accelerator, Technology
from cost_models.batch import PartPricer
from cost_models.cost import state_home
from cost_models.fitted_batch import MachinePricers
from cost_models.machine_area import machine_area_um2, sum_bands
from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.pricing.book import NO_PART, Cut, DesignBook, Numbers
from dse.pricing.budget import Budget
from dse.pricing.machine import Machine

Figures = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

AREA_COLUMNS = ("area_um2", "area_low_um2", "area_high_um2")


class Costs(NamedTuple):
    """Costs of designs on one machine, in the order in which the designs were cut."""

    columns: dict[str, Figures]
    """By the names of `Cost.columns`, each of shape (designs,); NaN for designs that cannot be
    built, or that the machine cannot execute."""
    feasible: Mask
    """Which can be built and executed, are not dead (`dse.design.matrices`), fit the memories, and
    keep the limits; shape (designs,)."""


class Events(NamedTuple):
    """What happens in designs on one machine."""

    machine: Accelerator
    """With the sizes that its designs need."""
    places: Numbers
    """Of the designs in their cut."""
    counts: Figures
    """Of the price list's events without leakage, shape (designs, entries)."""
    cycles: Figures
    generators: Numbers
    """Place in the book of those that each design needs."""
    hop: tuple[Figures, Figures] | None = None
    """Likewise the events and cycles of one hop of a stream; None where there is none."""


class _Priced(NamedTuple):
    """Designs that can be built and executed, and the machine that they get."""

    places: Numbers
    """Of the designs in their cut."""
    networks: Numbers
    """Their parts."""
    on: PartPricer
    """Prices one inference."""
    hops: PartPricer | None
    """Prices one hop, on the same machine; None where there is no stream, or the hop does not fit
    them."""


class Pricer:
    """Prices designs of a book on one machine; remembers the parts that it has priced."""

    def __init__(
        self, book: DesignBook, machine: Machine, budget: Budget | None = None, rate: float = 1.0
    ) -> None:
        """Know a machine.

        Args:
            book: of the designs.
            machine: executes them.
            budget: limits that decide what is feasible; they change no figure.
            rate: inferences a second, of the average power.

        Raises:
            InvalidInput: a memory of the machine is outside its technology's table.
        """
        self.book, self.machine = book, machine
        self.budget, self.rate = budget or Budget(), rate
        self._machines = MachinePricers(
            book.parts, machine.accelerator, machine.technology, machine.objective
        )
        self._hops = None
        if streamed := book.streamed:
            # A machine is built once, and for what it does all day: for the stream.
            self._hops = MachinePricers(
                streamed.parts,
                machine.accelerator,
                machine.technology,
                machine.objective,
                streamed.state_bits,
            )
        self._windows: dict[PartPricer, PartPricer] = {}
        """By the pricer of hops on a machine: that of inferences on the same one."""
        self._areas: dict[tuple[PartPricer, int], tuple[float, float, float]] = {}
        """By the machine, and the place of its generators in the book."""

    def price(self, cut: Cut) -> Costs:
        """Costs of designs, as the book has cut them.

        Parts that are new in the book are priced first, each once; the rest is gathering rows of a
        table and adding them. So the time is that of the new parts plus some 30 additions a part.

        Args:
            cut: by this pricer's own book; another book's numbers mean other parts.

        Returns:
            Costs in the order of the designs that were cut, whatever their numbers of parts; no
            columns where the cut has no designs.
        """
        # Groups have their own order. `places` leads from a row of a group back to its design:
        #
        #     design     0   1   2   3   4
        #     6 parts    x       x       x       places 0 2 4
        #     8 parts        x       x           places 1 3
        #
        # What is not executable is never written, and stays NaN and infeasible.
        columns: dict[str, Figures] = {}
        feasible = np.zeros(cut.designs, dtype=np.bool_)
        names = COST_COLUMNS if self._hops is None else (*COST_COLUMNS, *STREAM_COLUMNS)
        if cut.designs:
            columns = {name: np.full(cut.designs, np.nan) for name in names}
        for each in self._executable(cut):
            for name, figures in self._columns(each).items():
                columns[name][each.places] = figures
            feasible[each.places] = ~self.book.find_dead(each.networks)
        if columns:
            feasible &= held(columns, self.machine.accelerator) & self.budget.kept(columns)
        return Costs(columns, feasible)

    def events(self, cut: Cut) -> list[Events]:
        """What happens in designs, whatever it costs: the part that no technology changes.

        Returns:
            One for each machine that designs get; those that cannot be executed are in none.
        """
        found = []
        for here, networks, on, hops in self._executable(cut):
            _, counts, cycles, _ = on.counts(networks)
            generators = self.book.find_generators(networks)
            hop = None if hops is None else hops.counts(networks)[1:3]
            found.append(Events(on.machine, here, counts, cycles, generators, hop))
        return found

    def _executable(self, cut: Cut) -> Iterator[_Priced]:
        """Designs that can be built and executed, their parts, and the machine that they get."""
        for places, networks in cut.groups:
            # In two steps: `NO_PART` is -1, which as an index would be the last part of the book.
            built = (networks != NO_PART).all(axis=1)
            if not built.all():
                places, networks = places[built], networks[built]
            if self._hops is not None and self.book.streamed is not None:
                streams = self.book.streamed.fit(networks)
                yield from self._listening(places[streams], networks[streams], self._hops)
                if streams.all():
                    continue
                places, networks = places[~streams], networks[~streams]
            for here, on in self._machines.find(networks):
                if len(here) == len(networks):  # all of them, in their order: no copy
                    yield _Priced(places, networks, on, None)
                else:
                    yield _Priced(places[here], networks[here], on, None)

    def _listening(
        self, places: Numbers, networks: Numbers, machines: MachinePricers
    ) -> Iterator[_Priced]:
        """The same of designs that the hop fits, on the machines that they get as streams."""
        if not len(networks):
            return
        for here, hops in machines.find(networks):
            if hops not in self._windows:
                constants, objective = self.machine.technology, self.machine.objective
                self._windows[hops] = PartPricer(
                    self.book.parts, hops.machine, constants, objective
                )
            on = self._windows[hops]
            on.price_parts(networks[here])
            here = here[on.executable(networks[here])]
            yield _Priced(places[here], networks[here], on, hops)

    def _columns(self, priced: _Priced) -> dict[str, Figures]:
        """All columns of executable networks; area alone does not add over parts.

        Energy and cycles belong to the execution and are sums. Area belongs to the machine: it is
        built once, with the generators that the whole network needs, so there are as many areas as
        sets of generators, mostly one.
        """
        _, networks, on, hops = priced
        generators = self.book.find_generators(networks)
        technology = self.machine.technology
        for one in set(np.unique(generators).tolist()):
            if (on, one) not in self._areas:
                self._areas[on, one] = machine_area(on.machine, technology, self.book, one)
        columns = on.price(networks, self.rate)
        columns |= {name: np.empty(len(networks)) for name in AREA_COLUMNS}
        for one in np.unique(generators).tolist():
            for name, area_um2 in zip(AREA_COLUMNS, self._areas[on, one], strict=True):
                columns[name][generators == one] = area_um2
        return columns if hops is None else columns | self._hop_columns(networks, hops)

    def _hop_columns(self, networks: Numbers, hops: PartPricer) -> dict[str, Figures]:
        """Columns of one hop of networks that it fits (`dse.pricing.listening`)."""
        listening, streamed = self.book.listening, self.book.streamed
        assert listening is not None and streamed is not None  # who else has hops
        hop = hops.price(networks, listening.hops_per_second)
        return {
            "hop_energy_pj": hop["energy_pj"],
            "hop_energy_low_pj": hop["energy_low_pj"],
            "hop_energy_high_pj": hop["energy_high_pj"],
            "hop_latency_us": hop["latency_us"],
            "hop_activation_bits": hop["activation_bits"],
            "stream_state_bits": streamed.state_bits(networks).astype(np.float64),
            "wait_us": streamed.wait_frames(networks) * listening.frame_us,
            "listening_power_uw": hop["average_power_uw"],
        }


def machine_area(
    machine: Accelerator, technology: Technology, book: DesignBook, generators: int
) -> tuple[float, float, float]:
    """Area of a machine whose generator is built for the matrices of a design, `AREA_COLUMNS`.

    Args:
        machine: is built.
        technology: in this process.
        book: of the design.
        generators: place in `book.generators` of those that the design needs.
    """
    # A machine that stores its ternary weights has no generator, whatever makes the matrices.
    needed = () if machine.generator is None else book.generators[generators]
    area = sum_bands(machine_area_um2(machine, technology, needed).values())
    return area.mid, area.low, area.high


def held(columns: Mapping[str, Figures], machine: Accelerator) -> Mask:
    """Which networks the backing memories hold (`cost_models.cost.misfits` says what is too large).

    The backing memory of an operand is the last of its chain, from which all of it comes. Weights
    must fit as a whole, as they are needed again at the next inference; of the activations only the
    most bits that are alive at a time. One memory for both must hold both together.

    On a stream it is the activations of a hop that must fit, and the state beside them where
    activations are at home (`cost_models.cost.stream_misfits`).

    Args:
        columns: `stored_bits` and `activation_bits`, each of shape (designs,), or those of a hop
            where they are there; NaN fits nowhere.
        machine: whose memories they are.
    """
    weights, inputs = machine.chain("weights")[-1], machine.chain("inputs")[-1]
    stored, state = columns["stored_bits"], columns.get("stream_state_bits")
    alive = columns["activation_bits" if state is None else "hop_activation_bits"]
    fits: Mask = np.isfinite(stored) & np.isfinite(alive)
    for memory, bits in ((weights, stored), (inputs, alive)):
        if memory.capacity_bits != "fit":  # it is as large as the design needs
            fits &= bits <= memory.bits
    if weights is inputs and inputs.capacity_bits != "fit":
        fits &= stored + alive <= inputs.bits
    home = state_home(machine)
    if state is not None and home.capacity_bits != "fit":
        fits &= alive + state <= home.bits
        if home is weights:
            fits &= stored + alive + state <= home.bits
    return fits
