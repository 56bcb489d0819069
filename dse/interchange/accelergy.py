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

An action may have several energies, one for each choice of its arguments (bits that toggle, say).
Accelergy's own summary gives their average, with the least and the greatest: that is how they are
read here, too, as a value with a band, unless `--take COMPONENT.ACTION:max` chooses. Rows are
judged when they are taken: what nobody takes does not stop an import.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node, read_yaml
from cost_models.technology import Constant, Technology
from dse.errors import InvalidInput, short

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
_LEAST = {"pJ": 2.87e-9, "um2": 1e-3}
"""Of a figure that is not 0. Energy: kT ln 2 at 300 K (R. Landauer, "Irreversibility and heat
generation in the computing process", 1961), which no event of logic goes below; area: less than a
transistor of any node has. What is smaller was written in joules, or in mm2."""
_MOST = 1e12
_OTHERS = {
    "architecture": "an architecture, which Accelergy makes tables of",
    "compound_components": "components, which Accelergy makes tables of",
    "primitive_components": "components, which Accelergy makes tables of",
    "action_counts": "counts of actions",
    "energy_estimation": "energies of a whole run",
    "energy_estimates": "energies of a whole run",
}
"""Files of the same tool that are no tables, by their first key."""
MOST_NAMED = 10
"""Components in a message or a note; an architecture may have thousands."""


@dataclass(frozen=True, slots=True)
class ImportedTechnology:
    """A technology, where each of its new constants comes from, and what was not taken.

    `taken` has a line for each constant that was replaced: all others are still the base's, of
    another node perhaps, and whoever prices with the result should read which.
    """

    technology: Technology
    taken: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Figure:
    """An energy or an area; with what it varies between, if it depends on arguments."""

    value: float
    low: float
    high: float

    def chosen(self, choice: str) -> "_Figure":
        value = {"min": self.low, "max": self.high, "average": self.value}[choice]
        return _Figure(value, value, value)

    def constant(self, divisor: float, source: str) -> Constant:
        """Divided; the band is left out where there is none, or where it reaches down to 0."""
        if self.low == self.high:
            return Constant(value=self.value / divisor, source=source)
        low = self.low / divisor if self.low > 0 else None
        return Constant(
            value=self.value / divisor, low=low, high=self.high / divisor, source=source
        )


Rows = dict[str, list[Node]]
"""The rows of a component by action; an area has the action ''."""


@dataclass(frozen=True, slots=True)
class _Tables:
    """The components of a file, still unjudged."""

    file: str
    unit: str
    components: dict[str, Rows]
    """By name, with the ranges of Timeloop: `system.pe[1..168].mac`."""

    def named(self, name: str) -> list[str]:
        """Components of a name; with or without its ranges."""
        if name in self.components:
            return [name]
        return [each for each in self.components if _bare(each) == name]

    def figure(self, name: str, action: str) -> _Figure | None:
        """What the components of a name say of an action; None where none of them has it.

        Raises:
            InvalidInput: they say different things, or one has a figure that cannot be.
        """
        found = [
            (each, _figure(self.components[each][action], self.unit))
            for each in self.named(name)
            if action in self.components[each]
        ]
        if len({figure for _, figure in found}) > 1:
            listed = ", ".join(f"{each} {figure.value:g}" for each, figure in found[:MOST_NAMED])
            raise InvalidInput(
                f"{self.file} has {len(found)} tables of {name} with different figures of "
                f"'{action or 'area'}' ({listed} {self.unit}): take one of them by its whole name, "
                "ranges included"
            )
        return found[0][1] if found else None


def import_tables(
    ert: Path | str,
    base: Technology,
    *,
    art: Path | str | None = None,
    takes: Iterable[str] = (),
) -> ImportedTechnology:
    """Put the figures of an ERT, and of an ART, into a technology.

    Names are read first, takes second, so a take wins over what a name says. Of several widths of a
    component (`mult8`, `mult16`) the first in the file counts, and a note tells the others: the
    technology has one constant, and the division by the width assumes that all widths would give
    the same.

    Args:
        ert: YAML of energies in pJ.
        base: what is not in the tables.
        art: YAML of areas in um2.
        takes: `CONSTANT=COMPONENT.ACTION/DIVISOR` for energies, `CONSTANT=COMPONENT/DIVISOR` for
            areas; before what names say. `COMPONENT.ACTION:max` takes the greatest of an action's
            energies, `:min` the least, else their average counts.

    Raises:
        InvalidFile: a file cannot be read, or an energy that is taken is nonsense.
        InvalidInput: a take names what does not exist, or nothing was found.
    """
    ert, notes = Path(ert), list[str]()
    energies = _energies(ert, notes)
    areas = _Tables("", "um2", {}) if art is None else _areas(Path(art), notes)
    found: dict[str, Constant] = {}
    used: set[str] = set()
    others: dict[str, list[str]] = {}  # by constant: figures of other widths
    for tables, patterns in ((energies, _ENERGIES), (areas, _AREAS)):
        for component in tables.components:
            _guess(found, used, component, tables, patterns, notes, others)
    notes += [note for each in others.values() for note in _first_of(each)]
    found |= _taken_by_hand(takes, energies, areas, used)
    if not found:
        raise _nothing_found(ert, energies, notes)
    every = dict.fromkeys((*energies.components, *areas.components))
    rest = [each for each in every if each not in used]
    if rest:
        more = f" and {len(rest) - MOST_NAMED} more" if len(rest) > MOST_NAMED else ""
        notes.append(f"nothing is taken of {', '.join(rest[:MOST_NAMED])}{more}")
    technology = dataclasses.replace(
        base,
        name=ert.stem,
        description=f"{base.description}; with figures of {ert.name}",
        **found,  # type: ignore[arg-type]
    )
    taken = tuple(f"{key} = {_shown(value)}: {value.source}" for key, value in found.items())
    return ImportedTechnology(technology, taken, tuple(dict.fromkeys(notes)))


def _taken_by_hand(
    takes: Iterable[str], energies: _Tables, areas: _Tables, used: set[str]
) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for take in takes:
        constant, value, components = _take(take, energies, areas)
        if constant in found:
            raise InvalidInput(f"--take names {constant} twice: leave one out")
        found[constant] = value
        used.update(components)
    return found


def _nothing_found(ert: Path, energies: _Tables, notes: Sequence[str]) -> InvalidInput:
    listed = ", ".join(list(energies.components)[:MOST_NAMED])
    why = "; ".join(notes[:3]) or "no name says what it is and how wide, such as mult8"
    return InvalidInput(
        f"nothing is taken of {ert} ({why}): say it with --take "
        f"CONSTANT=COMPONENT.ACTION/DIVISOR; components are {listed}"
    )


def _first_of(notes: Sequence[str]) -> list[str]:
    """Notes of one kind; of very many the first."""
    if len(notes) <= MOST_NAMED:
        return list(notes)
    return [*notes[:MOST_NAMED], f"and {len(notes) - MOST_NAMED:,} more like these"]


def _shown(constant: Constant) -> str:
    if constant.low is None and constant.high is None:
        return f"{constant.value:.6g}"
    ends = ["unknown" if end is None else f"{end:.6g}" for end in (constant.low, constant.high)]
    return f"{constant.value:.6g} ({' to '.join(ends)})"


# ---- reading ----


def _tables(path: Path, kind: str, notes: list[str]) -> Node:
    """The tables of a file, or of the summary that Accelergy writes beside it."""
    root = read_yaml(path, doubled=notes)
    keys = root.value if isinstance(root.value, dict) else {}
    for key, inner in ((kind, "tables"), (f"{kind}_summary", "table_summary")):
        body = keys.get(key)
        if body is not None and isinstance(body.value, dict) and inner in body.value:
            _check_beside(body, inner, kind, notes)
            notes += [
                f"{each} is left out: {_BESIDE[each[:3]]}"
                for each in keys
                if each != key and each in ("ERT", "ERT_summary", "ART", "ART_summary")
            ]
            tables: Node = body.value[inner]
            if not isinstance(tables.value, list | dict) or not tables.value:
                raise tables.error(f"{tables.key} must be a list of components")
            return tables
    other = "ART" if kind == "ERT" else "ERT"
    for key in keys:
        if key.startswith(other):
            remedy = "give it with --art" if other == "ART" else "give it before --art"
            raise root.error(f"this is an {other}, not an {kind}: {remedy}")
        if key in _OTHERS:
            raise root.error(
                f"this file holds {_OTHERS[key]}: run Accelergy, and give the {kind}.yaml that it "
                "writes"
            )
    check_kind(root, "accelergy")
    raise root.error(
        f"an {kind} has a key '{kind}.tables', its summary '{kind}_summary.table_summary'"
    )


_BESIDE = {
    "ERT": "the tables of energies come first, give it as a file of its own to read another",
    "ART": "areas are read of the file that --art names, which may be the same one",
}
"""Of a file that holds several tables."""


def _check_beside(body: Node, inner: str, kind: str, notes: list[str]) -> None:
    """What stands beside the tables: another unit is refused, what is not known is told."""
    rest = {name: child for name, child in body.value.items() if name not in (inner, "version")}
    unit = "pJ" if kind == "ERT" else "um2"
    for name, child in rest.items():
        if "unit" not in name.lower():
            continue
        said = child.plain()
        words = [str(each) for each in (said.values() if isinstance(said, dict) else [said])]
        if any(word.lower().replace("^", "") != unit.lower() for word in words):
            raise child.error(
                f"{child.key} says {short(said)}: figures in {unit} are read; write them in {unit}"
            )
    unknown = [child.key for name, child in rest.items() if "unit" not in name.lower()]
    if unknown:
        notes.append(f"{', '.join(unknown[:MOST_NAMED])} is not known, and left out")


def _listed(tables: Node) -> list[tuple[str, Node]]:
    """Components by name; before version 0.3 a mapping, a list since."""
    if isinstance(tables.value, dict):
        return list(tables.value.items())
    for table in tables.value:
        if not isinstance(table.value, dict) or "name" not in table.value:
            raise table.error(f"{table.key} must be a component with a name")
    return [(_name(table.value["name"]), table) for table in tables.value]


def _name(node: Node) -> str:
    if not isinstance(node.value, str | int) or not 0 < len(str(node.value)) <= 200:
        raise node.error(f"{node.key} must be a name, of 200 letters at most")
    return str(node.value)


def _bare(name: str) -> str:
    """`system.pe[1..168].mac` of Timeloop: one of many equal ones."""
    return re.sub(r"\[[^\]]*\]", "", name)


def _energies(path: Path, notes: list[str]) -> _Tables:
    found: dict[str, Rows] = {}
    for name, table in _listed(_tables(path, "ERT", notes)):
        rows = found.setdefault(name, {})
        keys = table.value if isinstance(table.value, dict) else {}
        if "actions" in keys and isinstance(keys["actions"].value, list):
            named = [
                (row.value.get("name") if isinstance(row.value, dict) else None, row)
                for row in keys["actions"].value
            ]
        elif keys and "name" not in keys:  # before 0.3: {read: {energy: 1}, write: [...]}
            named = [
                (dataclasses.replace(row, value=action), each)
                for action, row in keys.items()
                for each in (row.value if isinstance(row.value, list) else [row])
            ]
        else:
            raise table.error(f"{table.key} must have a list of actions")
        for action, row in named:
            if action is None:
                notes.append(f"{row.key} has no name, and is left out ({row.where})")
            else:
                rows.setdefault(_name(action), []).append(row)
    return _Tables(path.name, "pJ", found)


def _areas(path: Path, notes: list[str]) -> _Tables:
    found: dict[str, Rows] = {}
    for name, table in _listed(_tables(path, "ART", notes)):
        found.setdefault(name, {}).setdefault("", []).append(table)
    return _Tables(path.name, "um2", found)


def _figure(rows: Sequence[Node], unit: str) -> _Figure:
    """What the rows of an action say together: their average, and between what they are.

    Raises:
        InvalidFile: a row has no figure, or two of equal arguments have different ones.
    """
    found: dict[str, _Figure] = {}
    for row in rows:
        keys = row.value if isinstance(row.value, dict) else {}
        given = keys["arguments"].plain() if "arguments" in keys else None
        # In whatever order they stand.
        arguments = repr(sorted(given.items()) if isinstance(given, dict) else given or "")
        figure = _row_figure(row, unit)
        bare = {"''", "[]"}
        if found and (arguments in bare) != (next(iter(found)) in bare):
            raise row.error(
                f"{row.key}: of the rows of this name, one has arguments and one has none: leave "
                "one out"
            )
        if found.setdefault(arguments, figure) != figure:
            raise row.error(
                f"{row.key} has {figure.value:g} {unit}, and a row before it of the same name "
                f"{found[arguments].value:g}: leave one out"
            )
    figures = list(found.values())
    return _Figure(
        math.fsum(each.value for each in figures) / len(figures),
        min(each.low for each in figures),
        max(each.high for each in figures),
    )


def _row_figure(row: Node, unit: str) -> _Figure:
    """What one row says: a number, or an average with its ends, as a summary has it."""
    key = "energy" if unit == "pJ" else "area"
    keys = row.value if isinstance(row.value, dict) else {}
    if key in keys:
        value = _number(keys[key], unit)
        other = keys.get(f"average_{key}")
        if other is not None and _number(other, unit) != value:
            raise row.error(
                f"{row.key} has {key} {value:g} and average_{key} {other.value:g}: leave one out"
            )
        return _Figure(value, value, value)
    if f"average_{key}" not in keys:
        raise row.error(f"{row.key} must have {key}, or average_{key}")
    value = _number(keys[f"average_{key}"], unit)
    low, high = (
        _number(keys[f"{end}_{key}"], unit) if f"{end}_{key}" in keys else value
        for end in ("min", "max")
    )
    if not low <= value <= high:
        raise row.error(
            f"{row.key}: the average {value:g} {unit} is not between min and max, {low:g} and "
            f"{high:g}"
        )
    return _Figure(value, low, high)


def _number(node: Node, unit: str) -> float:
    """A number that a component can have: Accelergy has written 1.6e17 pJ for an underflow."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise node.error(f"{node.key} must be a number of {unit}, not {short(value)}")
    if value and not _LEAST[unit] <= value <= _MOST:
        raise node.error(
            f"{node.key} must be 0, or from {_LEAST[unit]:g} to {_MOST:g} {unit}, not {value:g}"
        )
    return float(value)


# ---- taking ----


def _pick(tables: _Tables, component: str) -> tuple[str, _Figure] | None:
    # The outer loop is over preferences: the best kind of action wins, wherever the file lists it.
    # An action of 0 pJ (idle, gated) says nothing about the cost of a bit.
    for wanted in _PREFERRED:
        for action in tables.components[component]:
            if wanted in action:
                figure = _figure(tables.components[component][action], tables.unit)
                if figure.value > 0:
                    return action, figure
    return None


def _guess(
    found: dict[str, Constant],
    used: set[str],
    component: str,
    tables: _Tables,
    patterns: dict[str, tuple[str, int]],
    notes: list[str],
    others: dict[str, list[str]],
) -> None:
    """Take the figure of a component whose name says what it is and how wide, such as `mult8`."""
    # Only the last part of the path names the component: `system.add_unit.mult8` is a multiplier.
    last = _bare(component).rpartition(".")[2].lower()
    for pattern, (constant, power) in patterns.items():
        match = re.fullmatch(rf"(?:int|fixed)?_?{pattern}_?(\d{{1,3}})", last, re.ASCII)
        if match is None or int(match[1]) < 1:
            continue
        width = int(match[1])
        if tables.unit == "pJ":
            picked = _pick(tables, component)
        else:
            picked = ("", _figure(tables.components[component][""], tables.unit))
        if picked is None or picked[1].value <= 0:
            notes.append(f"{component} has no figure above 0: nothing is taken of it")
            continue
        action, figure = picked
        source = f"{tables.file}: {component} {action}".rstrip()
        made = figure.constant(
            width**power, f"{source}, {figure.value:g} {tables.unit} for {width} bits"
        )
        used.add(component)
        if constant not in found:
            found[constant] = made
        elif not math.isclose(made.value, found[constant].value, rel_tol=1e-9):
            others.setdefault(constant, []).append(
                f"{component} makes {made.value:.6g} of {constant}; taken is that of the first in "
                f"the file, {found[constant].value:.6g} ({found[constant].source})"
            )


def _take(take: str, energies: _Tables, areas: _Tables) -> tuple[str, Constant, list[str]]:
    pattern = r"([a-z0-9_]{1,60})=([^=/]{1,200}?)(?::(average|min|max))?(?:/([0-9.]{1,12}))?"
    match = re.fullmatch(pattern, take, re.ASCII)
    # Those of other units are in no such table.
    known = {
        field.name
        for field in dataclasses.fields(Technology)
        if field.type in (Constant, "Constant") and re.search("_pj_|_um2(?:_|$)", field.name)
    }
    known.discard("logic_leakage_nw_per_um2")
    if match is None or match[1] not in known:
        raise InvalidInput(
            f"--take {short(take)} must be CONSTANT=COMPONENT.ACTION/DIVISOR; constants are "
            f"{', '.join(sorted(known))}"
        )
    constant, source, choice, text = match[1], match[2], match[3], match[4] or "1"
    # `a.b.c` is component a.b.c of the ART, or action c of component a.b of the ERT: the name alone
    # does not tell, so the ART is asked first.
    tables, component, figure = areas, source, areas.figure(source, "")
    if figure is None:
        component, _, action = source.rpartition(".")
        tables, figure = energies, energies.figure(component, action)
    wanted = "um2" if "_um2" in constant else "pJ"
    if figure is not None and tables.unit != wanted:
        raise InvalidInput(
            f"--take {short(take)}: {constant} is in {wanted}, and {short(source)} in {tables.unit}"
        )
    if figure is None:
        names = dict.fromkeys([*energies.components, *areas.components])
        raise InvalidInput(
            f"--take: the tables have no {short(source)}; components are "
            f"{', '.join(list(names)[:MOST_NAMED])}"
        )
    if choice:
        figure = figure.chosen(choice)
    try:
        said = f"{source}:{choice}" if choice else source
        made = figure.constant(float(text), f"{tables.file}: {said} / {text}")
    except (ValueError, ZeroDivisionError):
        raise InvalidInput(f"--take {short(take)} does not make a positive number") from None
    return constant, made, tables.named(component)
