"""The machines that a study chooses from: all combinations of the values of its hardware axes.

    hardware:
      machine: [kws_ternary, kws_int8]                  # names, or files
      clock_mhz: [5, 10, 20]
      trits_per_cycle: [8, 32]                          # lanes of the generator, where there is one
      arrays: {trees: {rows: [2, 4]}}                   # where there is such an array
      memories: {weight_sram: {capacity_bits: [262144, 1048576]}}

No training depends on the machine, so each network is priced on every one of them, and none of
these axes costs a training (`dse.pricing.pricing`).
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cost_models import Accelerator, Technology
from cost_models.accelerator import ZeroHandling
from cost_models.energy import leakages_uw, price_list
from cost_models.machine_area import machine_area_um2
from cost_models.strict_yaml import Node, read_value, refuse_unknown_keys
from dse.errors import InvalidFile, InvalidInput
from dse.pricing.machine import Machine
from dse.pricing.what_if import ArrayChange, MemoryChange, varied

MOST = 256
"""Machines of a study: each network is priced on all of them, 10 ms each."""

_PLAIN = {"clock_mhz": float, "vector_lanes": int, "trits_per_cycle": int}
_PARTS: dict[str, dict[str, Any]] = {
    "arrays": {
        "rows": int,
        "columns": int,
        "lanes": int,
        "operand_bits": int,
        "accumulator_bits": int,
        "zero_handling": ZeroHandling,
    },
    "memories": {"capacity_bits": int, "bandwidth_bits_per_cycle": int},
}
_SHOWN = {"clock_mhz": "{:g} MHz", "vector_lanes": "{} vector lanes", "trits_per_cycle": "{} trits"}

Load = Callable[[str], tuple[Accelerator, Technology]]


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machines of a study, each with a name of its own."""

    machines: tuple[Machine, ...]
    """The first one stands for all where one must."""
    skipped: int = 0
    """Combinations that cannot exist, such as an SRAM beyond the technology's table."""

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
        """Whether the machine has what the axis changes."""
        if self.part:
            return any(part.name == self.owner for part in getattr(machine, self.part))
        return self.field != "trits_per_cycle" or machine.generator is not None

    def shown(self, value: Any) -> str:
        """`20 MHz`, `trees rows 4`, `weight_sram 131.072 kbit`."""
        if self.field == "capacity_bits":
            return f"{self.owner} {value / 1000:.12g} kbit"
        if self.part:
            return f"{self.owner} {self.field.replace('_', ' ')} {value}"
        return _SHOWN[self.field].format(value)


def hardware_from_node(node: Node, load: Load, default: str) -> Hardware:
    """Read the `hardware` section of a study.

    Args:
        node: the section.
        load: a machine and its technology, by name or file.
        default: machine where the section names none.

    Raises:
        InvalidFile: an unknown key or part, a value that cannot be, too many machines, or none.
    """
    if not isinstance(node.value, dict):
        raise node.error("hardware must be a mapping such as {clock_mhz: [5, 10]}")
    refuse_unknown_keys(node, {"machine": str, **_PLAIN, **_PARTS})
    named = node.value.get("machine")
    names = (default,) if named is None else _values(named, str)
    bases = [_loaded(name, load, named or node) for name in names]
    axes = list(_axes(node))
    for axis, where in axes:
        if not any(axis.matters(machine) for machine, _ in bases):
            what = f"{axis.part}.{axis.owner}" if axis.part else "a generator"
            raise where.error(
                f"hardware: none of {', '.join(names)} has {what}: remove it, or name a machine "
                "that has"
            )
    return _combined(node, bases, [axis for axis, _ in axes])


def _loaded(name: str, load: Load, where: Node) -> tuple[Accelerator, Technology]:
    try:
        return load(name)
    except InvalidFile:
        raise
    except InvalidInput as error:
        raise where.error(f"hardware.machine: {error}") from None


def _axes(node: Node) -> Iterator[tuple[_Axis, Node]]:
    """The axes of the section, and where they stand."""
    for field, kind in _PLAIN.items():
        if field in node.value:
            yield _Axis("", "", field, _values(node.value[field], kind)), node.value[field]
    for part, fields in _PARTS.items():
        owners = node.value.get(part)
        if owners is None:
            continue
        for owner, changes in _mapping(owners).items():
            refuse_unknown_keys(changes, _mapping(changes) and fields)
            for field, child in changes.value.items():
                yield _Axis(part, owner, field, _values(child, fields[field])), child


def _mapping(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict) or not node.value:
        raise node.error(f"{node.key} must be a mapping, such as {{trees: {{rows: [2, 4]}}}}")
    return node.value


def _values(node: Node, kind: Any) -> tuple[Any, ...]:
    """One value, or a list of different ones; numbers are above 0."""
    children = node.value if isinstance(node.value, list) else [node]
    values = tuple(read_value(kind, child) for child in children)
    if not values:
        raise node.error(f"{node.key} must be a value or a list of values, not an empty list")
    for value, child in zip(values, children, strict=True):
        if isinstance(value, int | float) and not 0 < value < float("inf"):
            raise child.error(f"{node.key} must be above 0, not {value:g}")
        if values.count(value) > 1:
            raise child.error(f"{node.key}: {value} stands there twice: leave one out")
    return values


def _combined(
    node: Node, bases: Sequence[tuple[Accelerator, Technology]], axes: Sequence[_Axis]
) -> Hardware:
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
    return Hardware(tuple(machines), skipped)


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
    # A memory beyond the technology's table shows itself only here.
    price_list(machine, technology)
    leakages_uw(machine, technology)
    machine_area_um2(machine, technology, [])
    return machine
