"""What if the machine were another one: every trained design priced anew, none trained anew.

Errors belong to networks and stay; costs belong to the machine. `Fleet` holds the designs of a
study cut into their blocks, so that another machine is the price of some hundred blocks and then
sums of columns (`cost_models.batch`): the figures are those of `estimate`, to the last bit.

    fleet = Fleet(points, frames=128, outputs=12)
    columns, valid = fleet.price(varied(machine, clock_mhz=50), technology)
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cost_models import Accelerator, Constant, Technology
from cost_models.accelerator import ZeroHandling
from cost_models.application import UW_PER_PJ_PER_S
from cost_models.batch import PartBook, PartPricer
from cost_models.energy import leakages_uw, price_list
from cost_models.generator import GeneratorSpec
from cost_models.machine_area import sum_of
from cost_models.strict_yaml import dump_yaml
from cost_models.technology import Spread
from cost_models.workload import Layer
from dse.design.point import DesignPoint, Mixer
from dse.errors import InvalidInput
from dse.networks.lowering import lower_block, lower_head, output_frames
from dse.pareto import pareto_mask
from dse.pricing.machine_columns import area_columns, fits
from dse.ternary.generators import Generator

Numbers = npt.NDArray[np.int64]
Figures = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SOURCE = "what-if: chosen by a person, measured by nobody"
"""Source of a constant that was set by hand."""


class Fleet:
    """Networks cut into blocks that they share, ready to be priced on any machine."""

    def __init__(
        self, points: Sequence[DesignPoint], *, frames: int, outputs: int, rate: float = 1.0
    ) -> None:
        """Cut networks into blocks.

        Args:
            points: the networks.
            frames: of one inference.
            outputs: of the head.
            rate: inferences a second, of the average power.
        """
        self.points = tuple(points)
        self.rate = rate
        self.frames, self.outputs = frames, outputs
        self._parts = PartBook()
        self._known: dict[object, int] = {}
        self._specs: list[GeneratorSpec] = []
        self._spec_of_part: list[int] = []
        networks = [self._network(point, frames) for point in self.points]
        self._groups: list[tuple[Numbers, Numbers]] = []
        for length in sorted({len(network) for network in networks}):
            members = [i for i, network in enumerate(networks) if len(network) == length]
            rows = np.array([networks[i] for i in members], dtype=np.int64)
            self._groups.append((np.array(members, dtype=np.int64), rows))

    def __len__(self) -> int:
        """Designs in it."""
        return len(self.points)

    def _network(self, point: DesignPoint, frames: int) -> list[int]:
        """Numbers of the blocks of a network, its head last."""
        channels, numbers = point.in_channels, []
        for block in point.blocks:
            key = (block, channels, frames, point.ternary_seed)
            if key not in self._known:
                self._known[key] = self._add(
                    lower_block(block, channels, frames, point.ternary_seed)
                )
            numbers.append(self._known[key])
            channels, frames = block.out_channels, output_frames(frames, block.stride)
        key_of_head = (point.head, channels, frames)
        if key_of_head not in self._known:
            layers = lower_head(point.head, channels, frames, self.outputs)
            self._known[key_of_head] = self._add(layers)
        return [*numbers, self._known[key_of_head]]

    def _add(self, layers: list[Layer]) -> int:
        specs = [layer.generator for layer in layers if layer.generator is not None]
        number = -1
        if specs:
            if specs[0] not in self._specs:
                self._specs.append(specs[0])
            number = self._specs.index(specs[0])
        self._spec_of_part.append(number)
        return self._parts.add(layers)

    def price(
        self, machine: Accelerator, technology: Technology
    ) -> tuple[dict[str, Figures], Mask]:
        """Costs of all designs on a machine.

        Args:
            machine: that executes them.
            technology: its constants.

        Returns:
            column of `Cost.columns` -> a figure a design, NaN where the machine cannot execute it;
            and which designs it executes and its memories hold.

        Raises:
            InvalidInput: a memory of the machine is outside its technology's table.
        """
        pricer = PartPricer(self._parts, machine, technology)
        pricer.price_parts()
        columns: dict[str, Figures] = {}
        executable = np.zeros(len(self), dtype=np.bool_)
        for members, networks in self._groups:
            valid = pricer.valid[networks].all(axis=1)
            executable[members[valid]] = True
            if not valid.any():
                continue
            priced = pricer.price(networks[valid], self.rate)
            priced |= self._areas(machine, technology, networks[valid])
            for name, figures in priced.items():
                column = columns.setdefault(name, np.full(len(self), np.nan))
                column[members[valid]] = figures
        if not columns:
            return columns, executable
        return columns, executable & fits(columns, machine)

    def _areas(
        self, machine: Accelerator, technology: Technology, networks: Numbers
    ) -> dict[str, Figures]:
        generators = np.array(self._spec_of_part, dtype=np.int64)[networks].max(axis=1)
        return area_columns(machine, technology, generators, self._specs)

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
        columns, valid = self.price(machine, technology)
        counts, cycles = self._counts(machine, technology)
        on = np.zeros(len(self))
        here = np.flatnonzero(valid)
        if not len(here):
            return on
        rng = np.random.default_rng(seed)
        fixed = {"error": np.asarray(errors, dtype=float)} | columns
        points = np.stack([fixed[name][here] for name in objectives], axis=1)
        for _ in range(samples):
            drawn = drawn_technology(technology, rng)
            for place, name in enumerate(objectives):
                if name.startswith("energy"):
                    prices = price_list(machine, drawn)
                    energy = prices.with_leakage(counts, cycles) @ prices.prices_pj[:, 1]
                    points[:, place] = energy[here]
                elif name == "average_power_uw":
                    prices = price_list(machine, drawn)
                    dynamic = (counts @ prices.prices_pj[:, 1]) * (self.rate * UW_PER_PJ_PER_S)
                    leakage = self._drawn_machine(machine, drawn, "leakage_uw")
                    points[:, place] = (dynamic + leakage)[here]
                elif name.startswith(("area", "leakage")):
                    points[:, place] = self._drawn_machine(machine, drawn, name)[here]
            on[here[pareto_mask(points)]] += 1
        return on / samples

    def _counts(self, machine: Accelerator, technology: Technology) -> tuple[Figures, Figures]:
        """Events without leakage, and cycles, of all designs; 0 where they cannot be executed."""
        pricer = PartPricer(self._parts, machine, technology)
        pricer.price_parts()
        counts = np.zeros((len(self), len(pricer.pricer.prices.entries)))
        cycles = np.zeros(len(self))
        for members, networks in self._groups:
            valid = pricer.valid[networks].all(axis=1)
            if valid.any():
                _, counted, latency, _ = pricer.counts(networks[valid])
                counts[members[valid]], cycles[members[valid]] = counted, latency
        return counts, cycles

    def _drawn_machine(self, machine: Accelerator, drawn: Technology, name: str) -> Figures:
        column = np.zeros(len(self))
        if name.startswith("leakage"):
            return column + sum_of(leakages_uw(machine, drawn).values()).mid
        for members, networks in self._groups:
            column[members] = self._areas(machine, drawn, networks)["area_um2"]
        return column


def drawn_technology(technology: Technology, rng: np.random.Generator) -> Technology:
    """A technology whose constants are drawn within their bands, each as if it were certain."""
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
    """Below the middle as likely as above; even over the logarithm on each side."""
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

    capacity_bits: int | None = None
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

    Raises:
        InvalidInput: the parts do not fit each other; or there is no such array or memory.
    """
    fields: dict[str, Any] = {"name": name, "clock_mhz": clock_mhz, "vector_lanes": vector_lanes}
    if ternary_weights == "stored":
        fields |= {"ternary_weights": "stored"}
        machine = dataclasses.replace(machine, generator=None, ternary_weights="stored")
    elif machine.generator is not None and trits_per_cycle is not None:
        fields["generator"] = dataclasses.replace(
            machine.generator, trits_per_cycle=trits_per_cycle
        )
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
    """How a frontier changed."""

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
