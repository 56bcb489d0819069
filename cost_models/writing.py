"""Machines and technologies as YAML that `cost_models.library` reads back."""

import dataclasses
from typing import Any

from cost_models.accelerator import Accelerator
from cost_models.strict_yaml import dump_yaml
from cost_models.technology import Technology


def accelerator_yaml(machine: Accelerator) -> str:
    """The file of a machine; its name is the file's."""
    return dump_yaml(_without_defaults(machine, {"name"}))


def technology_yaml(technology: Technology) -> str:
    """The file of a technology; its name is the file's."""
    return dump_yaml(_without_defaults(technology, {"name"}))


def _without_defaults(value: Any, left_out: frozenset[str] | set[str] = frozenset()) -> Any:
    """A dataclass as plain data, fields that stand at their default left out."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: _without_defaults(getattr(value, field.name))
            for field in dataclasses.fields(value)
            # `where` is the place that a memory was read from, not part of it.
            if field.name not in left_out
            and field.name != "where"
            and getattr(value, field.name) != field.default
        }
    if isinstance(value, tuple):
        return [_without_defaults(part) for part in value]
    return str(value) if isinstance(value, str) else value
