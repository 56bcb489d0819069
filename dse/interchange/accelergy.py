"""Accelergy and Timeloop: tables of energies (ERT) and areas (ART), read into a technology.

An ERT lists components with actions in pJ, an ART components in um2; neither says how wide a
component is. Widths are read from names such as `system.mult8`, `add16`, `reg32`, or given by hand:
`multiplication_pj_per_bit2=system.pe.mac.mac_random/64` takes that action, divided by 64. What no
table has stays as it is in the technology that one begins with. Random data is preferred to
repeated: `mult_random` before `mult_reused`.

    addition, register     pJ per bit    = energy / width       linear: a bit slice is repeated
    multiplication         pJ per bit^2  = energy / width^2     one cell for each pair of bits

An ERT is the "energy reference table", an ART the "area reference table" that Accelergy writes from
an architecture and its estimators (Cacti, Aladdin and others); Timeloop multiplies its entries with
action counts. Here they are made independent of the width, and become `Constant`s with a source.
"""

import dataclasses
import math
import re
from collections.abc import Iterable
from pathlib import Path

from cost_models.strict_yaml import Node, read_yaml
from cost_models.technology import Constant, Technology
from dse.errors import InvalidInput

_ENERGIES = {
    # name with its width -> constant, power of the width
    r"mult(?:iplier)?": ("multiplication_pj_per_bit2", 2),
    r"add(?:er)?": ("addition_pj_per_bit", 1),
    r"reg(?:ister)?": ("register_write_pj_per_bit", 1),
}
_AREAS = {
    r"add(?:er)?": ("adder_um2_per_bit", 1),
    r"reg(?:ister)?": ("register_um2_per_bit", 1),
}
# Parts of action names, best first. A component has several figures, such as `mult_random` (both
# operands new in each cycle), `mult_reused` (one is held) and `mult_gated` (off).
_PREFERRED = ("random", "write", "add", "mult", "access", "read")
_LEAST_EXPONENT, _MOST_EXPONENT = -12, 12


@dataclasses.dataclass(frozen=True, slots=True)
class ImportedTechnology:
    """A technology, and where each of its new constants comes from.

    `taken` has a line for each constant that was replaced: all others are still the base's, of
    another node perhaps, and whoever prices with the result should read which.
    """

    technology: Technology
    taken: tuple[str, ...]


def import_tables(
    ert: Path | str,
    base: Technology,
    *,
    art: Path | str | None = None,
    takes: Iterable[str] = (),
) -> ImportedTechnology:
    """Put the figures of an ERT, and of an ART, into a technology.

    Names are read first, takes second, so a take wins over what a name says. Of several widths of a
    component (`mult8`, `mult16`) the first in the file counts: the technology has one constant, and
    the division by the width assumes that all widths would give the same.

    Args:
        ert: YAML of energies in pJ.
        base: what is not in the tables.
        art: YAML of areas in um2.
        takes: `CONSTANT=COMPONENT.ACTION/DIVISOR` for energies, `CONSTANT=COMPONENT/DIVISOR` for
            areas; before what names say.

    Raises:
        InvalidFile: a file cannot be read, or an energy in it is nonsense.
        InvalidInput: a take names what does not exist, or nothing was found.
    """
    ert = Path(ert)
    energies = _energies(ert)
    areas = {} if art is None else _areas(Path(art))
    found: dict[str, Constant] = {}
    for component in energies:
        _guess(found, component, _pick(energies[component]), _ENERGIES, ert.name, "pJ")
    for component, area in areas.items():
        _guess(found, component, ("", area), _AREAS, Path(str(art)).name, "um2")
    for take in takes:
        constant, value = _take(take, energies, areas, ert.name)
        found[constant] = value
    if not found:
        listed = ", ".join(list(energies)[:10])
        raise InvalidInput(
            f"no name in {ert} says what it is and how wide, such as mult8: say it with --take "
            f"CONSTANT=COMPONENT.ACTION/DIVISOR; components are {listed}"
        )
    technology = dataclasses.replace(
        base,
        name=ert.stem,
        description=f"{base.description}; with figures of {ert.name}",
        **found,  # type: ignore[arg-type]
    )
    taken = tuple(f"{key} = {value.value:.6g}: {value.source}" for key, value in found.items())
    return ImportedTechnology(technology, taken)


def _tables(path: Path, kind: str) -> list[Node]:
    """Components of a table, or of the summary that Accelergy writes beside it."""
    root = read_yaml(path, doubled=[])
    tables = None
    for key, inner in ((kind, "tables"), (f"{kind}_summary", "table_summary")):
        body = root.value.get(key) if isinstance(root.value, dict) else None
        if tables is None and body is not None and isinstance(body.value, dict):
            tables = body.value.get(inner)
    if tables is None:
        raise root.error(
            f"an {kind} has a key '{kind}.tables', its summary '{kind}_summary.table_summary'"
        )
    if not isinstance(tables.value, list) or not tables.value:
        raise tables.error(f"{tables.key} must be a list of components")
    for table in tables.value:
        if not isinstance(table.value, dict) or "name" not in table.value:
            raise table.error(f"{table.key} must be a component with a name")
    listed: list[Node] = tables.value
    return listed


def _component(table: Node) -> str:
    # `system.pe[1..168].mac` of Timeloop: one of many equal ones.
    return re.sub(r"\[[^\]]*\]", "", str(table.value["name"].value))


def _energies(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for table in _tables(path, "ERT"):
        actions = table.value.get("actions")
        if actions is None or not isinstance(actions.value, list):
            raise table.error(f"{table.key} must have a list of actions")
        of_action: dict[str, float] = {}
        for action in actions.value:
            if not isinstance(action.value, dict) or not {"name", "energy"} <= set(action.value):
                raise action.error(f"{action.key} must have name and energy")
            of_action[str(action.value["name"].value)] = _figure(action.value["energy"], "pJ")
        found[_component(table)] = of_action
    return found


def _areas(path: Path) -> dict[str, float]:
    return {
        _component(table): _figure(table.value["area"], "um2")
        for table in _tables(path, "ART")
        if "area" in table.value
    }


def _figure(node: Node, unit: str) -> float:
    """A number that a component can have: Accelergy has written 1.6e17 pJ for an underflow."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise node.error(f"{node.key} must be a number of {unit}")
    if value < 0 or (value and not -12 < math.log10(value) < 12):
        raise node.error(f"{node.key} must be from 0 to 1e12 {unit}, not {value:g}")
    return float(value)


def _pick(actions: dict[str, float]) -> tuple[str, float]:
    # The outer loop is over preferences: the best kind of action wins, wherever the file lists it.
    # An action of 0 pJ (idle, gated) says nothing about the cost of a bit.
    for wanted in _PREFERRED:
        for action, energy in actions.items():
            if wanted in action and energy > 0:
                return action, energy
    return "", 0.0


def _guess(
    found: dict[str, Constant],
    component: str,
    picked: tuple[str, float],
    patterns: dict[str, tuple[str, int]],
    file: str,
    unit: str,
) -> None:
    action, value = picked
    # Only the last part of the path names the component: `system.add_unit.mult8` is a multiplier.
    last = component.rpartition(".")[2].lower()
    for pattern, (constant, power) in patterns.items():
        match = re.fullmatch(rf"(?:int|fixed)?_?{pattern}_?(\d{{1,3}})", last)
        if match is None or value <= 0 or int(match[1]) < 1:
            continue
        width = int(match[1])
        source = f"{file}: {component} {action}".rstrip()
        if constant not in found:  # the first of several widths
            found[constant] = Constant(
                value=value / width**power, source=f"{source}, {value:g} {unit} for {width} bits"
            )


def _take(
    take: str, energies: dict[str, dict[str, float]], areas: dict[str, float], file: str
) -> tuple[str, Constant]:
    match = re.fullmatch(r"([a-z0-9_]{1,60})=([^=/]{1,200})(?:/([0-9.]{1,12}))?", take)
    known = {
        field.name
        for field in dataclasses.fields(Technology)
        if field.type in (Constant, "Constant")
    }
    if match is None or match[1] not in known:
        raise InvalidInput(
            f"--take {take[:80]!r} must be CONSTANT=COMPONENT.ACTION/DIVISOR; constants are "
            f"{', '.join(sorted(known))}"
        )
    constant, source, text = match[1], match[2], match[3] or "1"
    # `a.b.c` is component a.b.c of the ART, or action c of component a.b of the ERT: the name alone
    # does not tell, so the ART is asked first.
    component, _, action = source.rpartition(".")
    value = areas.get(source)
    if value is None and component in energies:
        value = energies[component].get(action)
    if value is None:
        raise InvalidInput(
            f"--take: the tables have no {source!r}; components are "
            f"{', '.join([*energies, *(area for area in areas if area not in energies)][:20])}"
        )
    try:
        divisor = float(text)
        return constant, Constant(value=value / divisor, source=f"{file}: {source} / {text}")
    except (ValueError, ZeroDivisionError, InvalidInput):
        raise InvalidInput(f"--take {take[:80]!r} does not make a positive number") from None
