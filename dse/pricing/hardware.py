"""The machines that a study chooses from: all combinations of the values of its hardware axes.

    hardware:
      machine: [kws_ternary, kws_int8]                  # names, or files
      technology: [low_leakage_45nm, low_leakage_22nm]  # likewise
      clock_mhz: [5, 10, 20]
      trits_per_cycle: [8, 32]                          # lanes of the generator, where there is one
      arrays: {trees: {rows: [2, 4]}}                   # where there is such an array
      memories: {weight_sram: {capacity_bits: [fit, 262144, 1048576]}}

No training depends on the machine, so each network is priced on every one of them, and none of
these axes costs a training (`dse.pricing.pricing`).
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from cost_models import Accelerator, Technology
from cost_models.accelerator import Fit, MemoryKind, ZeroHandling
from cost_models.allowed import Allowed
from cost_models.energy import leakages_uw, price_list
from cost_models.fitting import sizes_bits
from cost_models.machine_area import machine_area_um2
from cost_models.reading import build
from cost_models.strict_yaml import Node
from dse.errors import InvalidFile, InvalidInput, require
from dse.pricing.machine import Machine
from dse.pricing.what_if import ArrayChange, MemoryChange, varied

MOST = 256
"""Machines of a study: each network is priced on all of them, 10 ms each."""

AboveZero = Annotated[float, Allowed(gt=0, words="above 0")]
Size = Annotated[int, Allowed(gt=0, words="above 0")]


def _check_choices(section: Any) -> None:
    """Each axis has values, and each of them once."""
    for field in dataclasses.fields(section):
        values = getattr(section, field.name)
        if isinstance(values, tuple):
            distinct = len(values) == len(set(values)) > 0
            require(distinct, field.name, "a value, or a list of different ones", list(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayChoices:
    """What may vary of one compute array: a value, or a list of values, for each key."""

    rows: Size | tuple[Size, ...] | None = None
    columns: Size | tuple[Size, ...] | None = None
    lanes: Size | tuple[Size, ...] | None = None
    operand_bits: Size | tuple[Size, ...] | None = None
    accumulator_bits: Size | tuple[Size, ...] | None = None
    zero_handling: ZeroHandling | tuple[ZeroHandling, ...] | None = None

    def __post_init__(self) -> None:
        """Values are different."""
        _check_choices(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChoices:
    """What may vary of one memory."""

    capacity_bits: Size | Fit | tuple[Size | Fit, ...] | None = None
    """`fit` among them: as large as each design needs."""
    kind: MemoryKind | tuple[MemoryKind, ...] | None = None
    bandwidth_bits_per_cycle: Size | tuple[Size, ...] | None = None

    def __post_init__(self) -> None:
        """Values are different."""
        _check_choices(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareSection:
    """The `hardware` section of a study file: a value, or a list of values, for each key."""

    machine: str | tuple[str, ...] | None = None
    """Names of the library, or files; the study's machine where it is left out."""
    technology: str | tuple[str, ...] | None = None
    """Names of the library, or files; the machines' own, or the study's, where it is left out."""
    clock_mhz: AboveZero | tuple[AboveZero, ...] | None = None
    vector_lanes: Size | tuple[Size, ...] | None = None
    trits_per_cycle: Size | tuple[Size, ...] | None = None
    """Lanes of the generator; of machines that have one."""
    arrays: dict[str, ArrayChoices] | None = None
    """By name of the array; of machines that have it."""
    memories: dict[str, MemoryChoices] | None = None
    """By name of the memory; of machines that have it."""

    def __post_init__(self) -> None:
        """Values are different."""
        _check_choices(self)


_PLAIN = ("clock_mhz", "vector_lanes", "trits_per_cycle")
_SHOWN = {"clock_mhz": "{} MHz", "vector_lanes": "{} vector lanes", "trits_per_cycle": "{} trits"}

Load = Callable[[str, str | None], tuple[Accelerator, Technology]]
"""A machine in a technology, both by name or file; in its own one where that is None."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machines of a study, each with a name of its own."""

    machines: tuple[Machine, ...]
    """The first one stands for all where one must."""
    skipped: int = 0
    """Combinations that cannot exist, such as an SRAM beyond the technology's table."""
    reason: str = dataclasses.field(default="", compare=False)
    """Why the first of them cannot; not kept in a study's record."""

    def machine(self, name: str) -> Machine:
        """The machine that a row names. Raises `InvalidInput` where there is none."""
        for machine in self.machines:
            if machine.accelerator.name == name:
                return machine
        raise InvalidInput(f"the study has no machine '{name}' among its {len(self.machines)}")

    def to_dict(self) -> dict[str, Any]:
        """As a study's record has it: machines and technologies with everything spelled out."""
        technologies = {each.technology.name: each.technology for each in self.machines}
        return {
            "skipped": self.skipped,
            "machines": [
                {"accelerator": each.accelerator.to_dict(), "technology": each.technology.name}
                for each in self.machines
            ],
            "technologies": {
                name: dataclasses.asdict(technology) for name, technology in technologies.items()
            },
        }


@dataclass(frozen=True, slots=True)
class _Axis:
    """One choice, for the machines that have the part."""

    part: str
    """`arrays`, `memories`, or empty for the machine itself."""
    owner: str
    """Name of the array or memory."""
    field: str
    values: tuple[Any, ...]

    def matters(self, machine: Accelerator) -> bool:
        """Whether the machine has what the axis changes: a part of that name, or a generator."""
        if self.part:
            return any(part.name == self.owner for part in getattr(machine, self.part))
        return self.field != "trits_per_cycle" or machine.generator is not None

    def shown(self, value: Any) -> str:
        """`20 MHz`, `trees rows 4`, `weight_sram 131.072 kbit`: its part of the machine's name.

        Rows of results name their machine by it, so different values read differently: numbers have
        as many digits as tell them from all others (`repr`). A kbit is 1,000 bits.
        """
        if value == "fit":
            return f"{self.owner} fit"
        if self.field == "kind":
            return f"{self.owner} {value.replace('_', ' ')}"
        if self.field == "capacity_bits":
            return f"{self.owner} {_told(value / 1000)} kbit"
        if self.part:
            return f"{self.owner} {self.field.replace('_', ' ')} {value}"
        return _SHOWN[self.field].format(_told(value))


def _told(value: float) -> str:
    """`20` or `13.333333`: no digit more than tells the number from all others."""
    return repr(value).removesuffix(".0")


def hardware_from_node(node: Node, load: Load, default: str) -> Hardware:
    """Read the `hardware` section of a study.

    Args:
        node: the section.
        load: a machine and its technology, each by name or file.
        default: machine where the section names none.

    Raises:
        InvalidFile: an unknown key or part, a value that cannot be, too many machines, or none.
    """
    # An axis is an error only where no base machine has the part. Where some have it, the others
    # pass it by: a machine without a generator comes once, not once a value of `trits_per_cycle`.
    section = build(HardwareSection, node)
    names = (default,) if section.machine is None else _several(section.machine)
    technologies = (None,) if section.technology is None else _several(section.technology)
    bases = [_loaded(name, technology, load, node) for name in names for technology in technologies]
    axes = list(_axes(section, node))
    for axis, where in axes:
        if not any(axis.matters(machine) for machine, _ in bases):
            what = f"{axis.part}.{axis.owner}" if axis.part else "a generator"
            raise where.error(
                f"hardware: none of {', '.join(names)} has {what}: remove it, or name a machine "
                "that has"
            )
    return _combined(node, bases, [axis for axis, _ in axes])


def _loaded(
    name: str, technology: str | None, load: Load, node: Node
) -> tuple[Accelerator, Technology]:
    """A machine, named with its technology where the section says in which."""
    try:
        machine, constants = load(name, technology)
    except InvalidFile:
        raise
    except InvalidInput as error:
        key = "technology" if str(error).startswith("no technology") else "machine"
        raise node.value.get(key, node).error(f"hardware.{key}: {error}") from None
    return machine if technology is None else in_technology(machine, constants), constants


def in_technology(machine: Accelerator, technology: Technology) -> Accelerator:
    """The same machine in another technology, with a name that says so: rows name it by that."""
    name = f"{machine.name}, {technology.name}"
    return dataclasses.replace(machine, name=name, technology=technology.name)


def _axes(section: HardwareSection, node: Node) -> Iterator[tuple[_Axis, Node]]:
    """The axes of the section, and where they stand."""
    for name in _PLAIN:
        if (values := getattr(section, name)) is not None:
            yield _Axis("", "", name, _several(values)), node.value[name]
    for part in ("arrays", "memories"):
        for owner, choices in (getattr(section, part) or {}).items():
            place = node.value[part].value[owner].value
            for field in dataclasses.fields(choices):
                if (values := getattr(choices, field.name)) is not None:
                    yield _Axis(part, owner, field.name, _several(values)), place[field.name]


def _several(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)


def _combined(
    node: Node, bases: Sequence[tuple[Accelerator, Technology]], axes: Sequence[_Axis]
) -> Hardware:
    """The product of the axes on each base machine that has what they change.

        for base in bases:  for values in product(axes of that base):  one machine, or one skipped

    Combinations that cannot exist are counted, and refused only where they are all there are.
    """
    machines: list[Machine] = []
    skipped, reason = 0, ""
    count = 0
    for base, technology in bases:
        mine = [axis for axis in axes if axis.matters(base)]
        for values in itertools.product(*(axis.values for axis in mine)):
            count += 1
            if count > MOST:
                raise node.error(
                    f"hardware: more than {MOST} machines: give fewer values, or search twice"
                )
            try:
                machines.append(Machine(_built(base, technology, mine, values), technology))
            except InvalidInput as error:
                skipped, reason = skipped + 1, reason or str(error)
    if not machines:
        raise node.error(f"hardware: none of the {skipped} machines can exist: {reason}")
    _check_names(node, machines)
    return Hardware(tuple(machines), skipped, reason)


def _check_names(node: Node, machines: Sequence[Machine]) -> None:
    """Names tell machines apart in rows, and technologies in the study's record."""
    for kind in ("accelerator", "technology"):
        known: dict[str, Any] = {}
        for each in machines:
            part = getattr(each, kind)
            same = known.setdefault(part.name, part)
            if same is not part and (kind == "accelerator" or same != part):
                raise node.error(
                    f"hardware: two machines have the {kind} name '{part.name}': give one of "
                    "them another name in its file"
                )


def _built(
    base: Accelerator, technology: Technology, axes: Sequence[_Axis], values: Sequence[Any]
) -> Accelerator:
    """One machine, checked. Raises `InvalidInput` where it cannot exist or be priced."""
    changes: dict[str, Any] = {}
    parts: dict[str, dict[str, dict[str, Any]]] = {"arrays": {}, "memories": {}}
    for axis, value in zip(axes, values, strict=True):
        if axis.part:
            parts[axis.part].setdefault(axis.owner, {})[axis.field] = value
        else:
            changes[axis.field] = value
    named = (axis.shown(value) for axis, value in zip(axes, values, strict=True))
    machine = varied(
        base,
        name=", ".join([base.name, *named]),
        arrays={name: ArrayChange(**fields) for name, fields in parts["arrays"].items()},
        memories={name: MemoryChange(**fields) for name, fields in parts["memories"].items()},
        **changes,
    )
    # A memory beyond the technology's table shows itself only here: the machine alone is sound, but
    # nothing says what its SRAM costs. Better skipped now than found out in the middle of a search.
    # Of memories that are to fit, the smallest stand for all.
    smallest = [sizes_bits(memory, technology)[0] for memory in machine.to_fit]
    checked = machine.sized(smallest)
    price_list(checked, technology)
    leakages_uw(checked, technology)
    machine_area_um2(checked, technology, [])
    return machine
