"""Machines and technologies that come with the package, and files of the same form."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any

from cost_models.accelerator import OPERANDS, Accelerator, Register
from cost_models.allowed import Count
from cost_models.errors import InvalidInput, short
from cost_models.reading import Problems, build, read_value
from cost_models.recognised import check_kind
from cost_models.strict_yaml import Node, read_yaml
from cost_models.technology import Constant, Technology

DATA = Path(__file__).parent / "data"
YAML = (".yaml", ".yml")


def technology_names() -> list[str]:
    """Names that `load_technology` knows, sorted."""
    return _names("technologies")


def accelerator_names() -> list[str]:
    """Names that `load_accelerator` knows, sorted."""
    return _names("accelerators")


def load_technology(name_or_path: str | Path) -> Technology:
    """Read a technology of the library, or a YAML file of the same form.

    Args:
        name_or_path: one of `technology_names()`, or a path that ends in .yaml or .yml.

    Raises:
        InvalidInput: no technology has this name; the message lists those that exist.
        InvalidFile: the file is missing, or a key in it is unknown, missing, double or wrong.
    """
    path = _find("technologies", "technology", name_or_path)
    node = read_yaml(path)
    check_kind(node, "technology")
    return build(Technology, node, name=path.stem)


def load_accelerator(name_or_path: str | Path) -> Accelerator:
    """Read an accelerator of the library, or a YAML file of the same form.

    Args:
        name_or_path: one of `accelerator_names()`, or a path that ends in .yaml or .yml.

    Raises:
        InvalidInput: no accelerator has this name; the message lists those that exist.
        InvalidFile: the file is missing, or a key in it is unknown, missing, double or wrong.
    """
    path = _find("accelerators", "machine", name_or_path)
    node = read_yaml(path)
    check_kind(node, "machine")
    problems = Problems()
    per_bit = _per_bit(node, problems)
    with problems.part():
        machine = build(Accelerator, per_bit, name=path.stem)
    problems.tell()
    if Path(machine.technology).suffix not in YAML:
        try:
            _find("technologies", "technology", machine.technology)
        except InvalidInput as error:
            raise node.value["technology"].error(str(error)) from None
    return dataclasses.replace(
        machine,
        where=node.value["clock_mhz"].where,
        memories=tuple(map(_placed, machine.memories, node.value["memories"].value)),
        arrays=tuple(map(_placed, machine.arrays, node.value["arrays"].value)),
    )


def load_technology_of(machine: Accelerator, name_or_path: str | Path) -> Technology:
    """The technology that a machine names: of the library, or a file beside the machine's.

    Args:
        machine: a machine.
        name_or_path: where `load_accelerator` had it from.

    Raises:
        InvalidInput, InvalidFile: as `load_technology`.
    """
    beside = Path(name_or_path).parent / machine.technology
    if Path(machine.technology).suffix in YAML and beside.is_file():
        return load_technology(beside)
    return load_technology(machine.technology)


def _placed(part: Any, node: Node) -> Any:
    """An array with its registers, or a memory, that knows file and line of its description."""
    changes: dict[str, Any] = {"where": node.where}
    for operand in OPERANDS:
        if isinstance(getattr(part, operand, None), Register):
            changes[operand] = _placed(getattr(part, operand), node.value[operand])
    return dataclasses.replace(part, **changes)


def _per_bit(machine: Node, problems: Problems) -> Node:
    """The machine with energies per access, of a word, as energies per bit; places stay.

    A problem is an energy that is given in both ways, or per access of an unknown word.
    """
    parts = dict(machine.value) if isinstance(machine.value, dict) else {}
    for key in ("arrays", "memories"):
        if key in parts and isinstance(parts[key].value, list):
            converted = [_part_per_bit(child, problems) for child in parts[key].value]
            parts[key] = dataclasses.replace(parts[key], value=converted)
    return dataclasses.replace(machine, value=parts) if parts else machine


def _part_per_bit(part: Node, problems: Problems) -> Node:
    if not isinstance(part.value, dict):
        return part
    values = dict(part.value)
    for operand in OPERANDS:
        if operand in values:
            values[operand] = _part_per_bit(values[operand], problems)
    for action in ("read", "write"):
        access, bit = f"{action}_pj_per_access", f"{action}_pj_per_bit"
        if access in values:
            given = values.pop(access)
            with problems.part():
                if bit in values:
                    raise given.error(f"{given.key} and {bit} are both given: leave one out")
                if "word_bits" not in values:
                    remedy = "give word_bits, how wide an access is"
                    raise given.error(f"{given.key} is of a word: {remedy}")
                values[bit] = _divided(given, read_value(Count, values["word_bits"]))
    return dataclasses.replace(part, value=values)


def _divided(given: Node, word_bits: int) -> Node:
    """A constant per access of a word as the same per bit."""
    constant = build(Constant, given)
    figures = {name: getattr(constant, name) for name in ("value", "low", "high")}
    plain = {name: each / word_bits for name, each in figures.items() if each is not None}
    plain["source"] = f"{constant.source} ({constant.value:g} pJ for {word_bits} bits)"
    return dataclasses.replace(
        given,
        value={
            name: dataclasses.replace(given, value=each, key=f"{given.key}.{name}")
            for name, each in plain.items()
        },
    )


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (DATA / folder).glob("*.yaml"))


def _find(folder: str, noun: str, name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in YAML:
        return path
    name, known = str(name_or_path), _names(folder)
    if name in known:
        return DATA / folder / f"{name}.yaml"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise InvalidInput(
        f"no {noun} is called {short(name)}: {hint}known are {', '.join(known)}; "
        "a file of your own ends in .yaml"
    )
