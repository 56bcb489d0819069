"""Machines and technologies that come with the package, and files of the same form."""

import dataclasses
import difflib
from pathlib import Path

from cost_models.accelerator import Accelerator
from cost_models.errors import InvalidInput
from cost_models.strict_yaml import Node, build, read_yaml
from cost_models.technology import Technology

DATA = Path(__file__).parent / "data"


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
    return build(Technology, read_yaml(path), name=path.stem)


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
    machine = build(Accelerator, node, name=path.stem)
    nodes: list[Node] = node.value["memories"].value
    for child in nodes:
        if "where" in child.value:  # ours, not the file's
            raise child.value["where"].error("unknown key 'memories.where'")
    memories = zip(machine.memories, nodes, strict=True)
    placed = tuple(dataclasses.replace(memory, where=child.where) for memory, child in memories)
    return dataclasses.replace(machine, memories=placed)


def _names(folder: str) -> list[str]:
    return sorted(path.stem for path in (DATA / folder).glob("*.yaml"))


def _find(folder: str, noun: str, name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    name, known = str(name_or_path), _names(folder)
    if name in known:
        return DATA / folder / f"{name}.yaml"
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise InvalidInput(
        f"no {noun} is called '{name}': {hint}known are {', '.join(known)}; "
        "a file of your own ends in .yaml"
    )
