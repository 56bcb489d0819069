"""What if the machine were another one: every trained design priced anew, none trained anew.

Errors belong to networks and stay; costs belong to the machine. `Fleet` holds the designs of a
study cut into their blocks, so that another machine is the price of some hundred blocks and then
sums of rows (`dse.pricing.pricer`): the figures are those of `estimate`, to the last bit.

    fleet = Fleet(points, frames=128, outputs=12)
    columns, valid = fleet.price(varied(machine, clock_mhz=50), technology)
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cost_models import Accelerator, Constant, Technology
from cost_models.accelerator import Fit, MemoryKind, ZeroHandling
from cost_models.application import UW_PER_PJ_PER_S
from cost_models.energy import leakages_uw, price_list
from cost_models.machine_area import sum_bands
from cost_models.sram import Spread
from cost_models.strict_yaml import dump_yaml
from dse.design.mixer import Mixer
from dse.design.point import DesignPoint
from dse.errors import InvalidInput
from dse.pareto import pareto_mask
from dse.pricing.book import DesignBook
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricer import Costs, Events, Figures, Pricer, machine_area
from dse.ternary.generators import Generator

SOURCE = "what-if: chosen by a person, measured by nobody"
"""Source of a constant that was set by hand."""


MOVED = ("energy", "average_power", "area", "leakage", "hop_energy", "listening_power")
"""Beginnings of the columns that a technology's constants move."""


class Fleet:
    """Trained networks, cut into the parts that they share, ready to be priced on any machine."""

    def __init__(
        self,
        points: Sequence[DesignPoint],
        *,
        frames: int,
        outputs: int,
        rate: float = 1.0,
        listening: Listening | None = None,
    ) -> None:
        """Cut networks.

        Args:
            points: the networks.
            frames: of one inference.
            outputs: of the head.
            rate: inferences a second, of the average power.
            listening: how a stream is taken in; None where nobody asks what a hop costs.
        """
        self.points = tuple(points)
        self.rate = rate
        self.book = DesignBook(frames, outputs, listening)
        self.cut = self.book.cut(self.points)

    def __len__(self) -> int:
        """Designs in it."""
        return len(self.points)

    def some(self, places: Sequence[int]) -> "Fleet":
        """A fleet of a few of the networks, with a book of its own: cut anew.

        Args:
            places: of the networks in `points`, in the order that the new fleet is to have.
        """
        points = [self.points[at] for at in places]
        book = self.book
        return Fleet(
            points,
            frames=book.frames,
            outputs=book.outputs,
            rate=self.rate,
            listening=book.listening,
        )

    def price(self, machine: Accelerator, technology: Technology) -> Costs:
        """Costs of all designs on a machine, without any limit.

        Args:
            machine: that executes them.
            technology: its constants.

        Raises:
            InvalidInput: a memory of the machine is outside its technology's table.
        """
        return self._pricer(machine, technology).price(self.cut)

    def _pricer(self, machine: Accelerator, technology: Technology) -> Pricer:
        return Pricer(self.book, Machine(machine, technology), rate=self.rate)

    def robustness(
        self,
        machine: Accelerator,
        technology: Technology,
        errors: Sequence[float],
        objectives: Sequence[str],
        *,
        samples: int = 200,
        seed: int = 1,
    ) -> Figures:
        """Share of drawn technologies in which each design is on the frontier of the fleet.

        Each constant is drawn within its own band, half of the draws below the middle figure; it is
        the same in all designs of a draw. Mappings stay those of the middle figures, so counts and
        cycles do, and designs that cannot be executed are on no frontier.

            energy of a draw = counts @ prices of the draw      (designs, events) @ (events,)

        Constants are wrong for all designs alike, so most of an uncertain energy cancels between
        two designs. What does not cancel is where they differ in kind: many additions against much
        traffic. So bands of two designs that overlap do not say that their order is unknown.

        Args:
            machine: that executes the designs.
            technology: its constants, with bands.
            errors: of the designs.
            objectives: `error` and columns of the cost; all minimised.
            samples: technologies to draw.
            seed: of the draws.

        Returns:
            Between 0 and 1, a figure a design.
        """
        pricer = self._pricer(machine, technology)
        columns, valid = pricer.price(self.cut)
        events = pricer.events(self.cut)
        on = np.zeros(len(self))
        here = np.flatnonzero(valid)
        if not len(here):
            return on
        rng = np.random.default_rng(seed)
        fixed = {"error": np.asarray(errors, dtype=float)} | columns
        points = np.stack([fixed[name][here] for name in objectives], axis=1)
        for _ in range(samples):
            # Only columns that a technology's constants move are computed anew; latency, counts and
            # the error stay. Column 1 of the prices is the middle figure: what was drawn.
            drawn = drawn_technology(technology, rng)
            for place, name in enumerate(objectives):
                if name.startswith(MOVED):
                    column = np.zeros(len(self))
                    for each in events:
                        column[each.places] = self._drawn(name, each, drawn)
                    points[:, place] = column[here]
            on[here[pareto_mask(points)]] += 1
        return on / samples

    def _drawn(self, name: str, events: Events, drawn: Technology) -> Figures:
        """A column of the designs of one machine under a drawn technology."""
        machine = events.machine
        if name.startswith("area"):
            column = np.zeros(len(events.places))
            for one in np.unique(events.generators).tolist():
                area_um2, _, _ = machine_area(machine, drawn, self.book, one)
                column[events.generators == one] = area_um2
            return column
        leakage = sum_bands(leakages_uw(machine, drawn).values()).mid
        if name.startswith("leakage"):
            return np.full(len(events.places), leakage)
        prices = price_list(machine, drawn)
        happens, rate = (events.counts, events.cycles), self.rate
        if name.startswith(("hop", "listening")):
            if events.hop is None or self.book.listening is None:  # the hop does not fit them
                return np.full(len(events.places), np.nan)
            happens, rate = events.hop, self.book.listening.hops_per_second
        counts = prices.with_time(*happens)
        if name.startswith(("energy", "hop_energy")):
            energy: Figures = counts @ prices.prices_pj[:, 1]
            return energy
        spent = prices.without_leakage(counts) @ prices.prices_pj[:, 1]
        dynamic = spent * (rate * UW_PER_PJ_PER_S)
        power: Figures = dynamic + leakage
        return power


def drawn_technology(technology: Technology, rng: np.random.Generator) -> Technology:
    """A technology whose constants are drawn within their bands, each as if it were certain.

    Constants are drawn independently of one another. The rows of the SRAM table are not: one factor
    scales the energies of all sizes, one the areas, one the leakages. Their spread is one of the
    whole table, and a larger memory must not become the cheaper one by the luck of a draw.
    """
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(technology):
        value = getattr(technology, field.name)
        if isinstance(value, Constant):
            band = value.band
            fields[field.name] = Constant(
                value=_between(band.low, band.mid, band.high, rng), source=value.source
            )
    sram = technology.sram
    factors = {
        name: _spread(getattr(sram, name), rng)
        for name in ("energy_spread", "area_spread", "leakage_spread")
    }
    rows = tuple(
        dataclasses.replace(
            row,
            read_pj_per_bit=row.read_pj_per_bit * factors["energy_spread"],
            write_pj_per_bit=row.write_pj_per_bit * factors["energy_spread"],
            area_um2=row.area_um2 * factors["area_spread"],
            leakage_uw=row.leakage_uw * factors["leakage_spread"],
        )
        for row in sram.rows
    )
    return dataclasses.replace(technology, **fields, sram=dataclasses.replace(sram, rows=rows))


def _spread(spread: Spread, rng: np.random.Generator) -> float:
    return _between(spread.low, 1.0, spread.high, rng)


def _between(low: float, mid: float, high: float, rng: np.random.Generator) -> float:
    """Below the middle as likely as above; even over the logarithm on each side.

        mid * (end / mid)^u,  u uniform in [0, 1),  end = low or high with 1/2 each

    So the middle figure is the median however lopsided the band is. All three must be above 0.
    """
    end = low if rng.random() < 0.5 else high
    return mid * math.exp(rng.random() * math.log(end / mid))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayChange:
    """What becomes of an array; None leaves it as it is."""

    rows: int | None = None
    columns: int | None = None
    lanes: int | None = None
    operand_bits: int | None = None
    accumulator_bits: int | None = None
    zero_handling: ZeroHandling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChange:
    """What becomes of a memory; None leaves it as it is."""

    kind: MemoryKind | None = None
    capacity_bits: int | Fit | None = None
    bandwidth_bits_per_cycle: int | None = None
    access_pj_per_bit: float | None = None
    """To read or write a bit."""


def varied(
    machine: Accelerator,
    *,
    name: str | None = None,
    clock_mhz: float | None = None,
    vector_lanes: int | None = None,
    trits_per_cycle: int | None = None,
    ternary_weights: Literal["generated", "stored"] | None = None,
    arrays: Mapping[str, ArrayChange] | None = None,
    memories: Mapping[str, MemoryChange] | None = None,
) -> Accelerator:
    """The machine with some of its parts changed; what is None or not named stays.

    Args:
        machine: to begin with; it is not changed.
        name: of the result.
        clock_mhz: of the whole machine. Energies per event do not follow it (the supply voltage is
            not scaled); leakage per inference does, by the time that an inference takes.
        vector_lanes: of the unit for batch norm, residual additions and pooling.
        trits_per_cycle: lanes of the generator; without effect on a machine that has none.
        ternary_weights: `stored` takes the generator away, and the weights come from memory;
            `generated` changes nothing, as a generator cannot be made up for a machine without one.
        arrays: by name of the array.
        memories: by name of the memory.

    Raises:
        InvalidInput: the parts do not fit each other; or there is no such array or memory.
    """
    fields: dict[str, Any] = {"name": name, "clock_mhz": clock_mhz, "vector_lanes": vector_lanes}
    # None means "as it is" in `fields`; the generator, whose absence is None too, is taken away by
    # a replacement of its own. Both fields at once: a machine refuses one without the other.
    if ternary_weights == "stored":
        fields |= {"ternary_weights": "stored"}
        machine = dataclasses.replace(machine, generator=None, ternary_weights="stored")
    elif machine.generator is not None and trits_per_cycle is not None:
        fields["generator"] = dataclasses.replace(
            machine.generator, trits_per_cycle=trits_per_cycle
        )
    if clock_mhz is not None:
        fields["where"] = ""  # no longer what the file says
    for kind, changes in (("array", arrays or {}), ("memory", memories or {})):
        known = [part.name for part in (machine.arrays if kind == "array" else machine.memories)]
        for missing in set(changes) - set(known):
            raise InvalidInput(
                f"{machine.name} has no {kind} '{missing}': it has {', '.join(known)}"
            )
    fields["arrays"] = tuple(
        _changed(each, (arrays or {}).get(each.name)) for each in machine.arrays
    )
    fields["memories"] = tuple(
        _changed(each, (memories or {}).get(each.name)) for each in machine.memories
    )
    return dataclasses.replace(
        machine, **{key: value for key, value in fields.items() if value is not None}
    )


def _changed(part: Any, change: ArrayChange | MemoryChange | None) -> Any:
    """An array or memory with what its change names."""
    if change is None:
        return part
    wanted = {
        field.name: value
        for field in dataclasses.fields(change)
        if (value := getattr(change, field.name)) is not None
    }
    sums = wanted.get("accumulator_bits")
    if sums is not None and part.outputs is not None and part.outputs.capacity_bits < sums:
        # What holds the sums grows with them.
        wanted["outputs"] = dataclasses.replace(part.outputs, capacity_bits=sums)
    access_pj = wanted.pop("access_pj_per_bit", None)
    if access_pj is not None:
        constant = Constant(value=access_pj, source=SOURCE)
        wanted |= {"read_pj_per_bit": constant, "write_pj_per_bit": constant}
    return dataclasses.replace(part, **wanted) if wanted else part


def machine_yaml(machine: Accelerator, *, based_on: str) -> str:
    """A machine as the text of a file that `load_accelerator` reads.

    Args:
        machine: the machine.
        based_on: name of the machine that it was varied from; empty where nothing was.
    """
    plain = machine.to_dict()
    del plain["name"]  # the file's name is
    if based_on:
        plain["description"] = f"{based_on}, varied in the dashboard; was: {machine.description}"
        plain["source"] = f"What-if of {based_on}, sizes chosen by hand. {machine.source}"
    return dump_yaml(_plain(plain))


def _plain(value: Any) -> Any:
    """Without what is left out, and with lists for tuples."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def regenerated(point: DesignPoint, generator: Generator) -> DesignPoint:
    """The network with its ternary matrices made by another generator, of the same densities.

    It is another network, which nobody trained: its costs can be known, its error cannot.

    Raises:
        InvalidInput: the generator cannot make a density of the network.
    """
    blocks = tuple(
        dataclasses.replace(
            block,
            mixer=_regenerated(block.mixer, generator),
            skip=None if block.skip is None else _regenerated(block.skip, generator),
        )
        for block in point.blocks
    )
    return dataclasses.replace(point, blocks=blocks)


def _regenerated(mixer: Mixer, generator: Generator) -> Mixer:
    if mixer.kind != "ternary":
        return mixer
    return dataclasses.replace(mixer, generator=generator)


@dataclass(frozen=True, slots=True)
class Moves:
    """How a frontier changed: keys of designs, each in exactly one of the three."""

    entered: tuple[str, ...]
    left: tuple[str, ...]
    stayed: tuple[str, ...]


def moves(before: Sequence[str], after: Sequence[str]) -> Moves:
    """Which keys entered, left and stayed, in the order of the frontiers."""
    old, new = set(before), set(after)
    return Moves(
        entered=tuple(key for key in after if key not in old),
        left=tuple(key for key in before if key not in new),
        stayed=tuple(key for key in after if key in old),
    )
