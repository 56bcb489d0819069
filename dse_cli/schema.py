"""`dse schema`: the keys of the files that people write, as JSON Schema or as tables.

Both come from the dataclasses that read the files (`cost_models.reading`), so that they cannot say
anything else than the program does. What is added here are the shorthands that a reader spells out
before the dataclass sees them, and the axes of a search space, which are its family's.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from cost_models import Accelerator, Technology
from cost_models.reading import adapter
from dse.design.families import DEFAULT, FAMILIES
from dse.design.families.family import Axis
from dse.design.point import DesignPoint
from dse.speech.task import FeatureSpec
from dse.studies.study_file import StudyFile
from dse.ternary.generators import FAMILIES as GENERATORS
from dse.training.recipe import RECIPES, Recipe
from dse_cli.terminal import say

Schema = dict[str, Any]


def _study(root: Schema, parts: Schema) -> None:
    recipe = root["properties"]["recipe"]
    recipe |= _or_named({"$ref": recipe.pop("$ref")}, RECIPES)
    root["properties"]["space"] |= {"$ref": "#/$defs/Space"}
    characters = parts["Transcription"]["properties"]["characters"]
    listed = {key: characters.pop(key) for key in ("type", "items")}
    characters["anyOf"] = [{"type": "string"}, listed]
    characters["description"] += " Or a text file with one a line, seen from the study file."
    parts["Space"] = _space()
    _recipe(parts["Recipe"], parts)


def _accelerator(root: Schema, parts: Schema) -> None:
    _without_name(root, parts)
    for part in (parts["Register"], parts["MemoryLevel"]):
        for action in ("read", "write"):
            part["properties"][f"{action}_pj_per_access"] = {
                "$ref": "#/$defs/Constant",
                "description": f"Of a word of `word_bits`, instead of `{action}_pj_per_bit`.",
            }


def _without_name(root: Schema, parts: Schema) -> None:
    del root["properties"]["name"]  # it is the file's
    root["required"].remove("name")


def _design(root: Schema, parts: Schema) -> None:
    root["properties"]["schema_version"] = {
        "type": "integer",
        "description": "Of the program that wrote the file; a person leaves it out.",
    }
    generator = parts["Mixer"]["properties"]["generator"]
    parts["Generator"]["properties"]["family"]["enum"] = list(GENERATORS)
    parts["Mixer"]["properties"]["generator"] = generator | _or_named(
        {"$ref": "#/$defs/Generator"}, GENERATORS
    )


def _recipe(root: Schema, parts: Schema) -> None:
    root["properties"]["base"] = {
        "enum": list(RECIPES),
        "description": "The recipe that says what this one leaves out; `default` without it.",
    }


def _or_named(schema: Schema, names: Any) -> Schema:
    return {"anyOf": [{"enum": list(names)}, schema]}


def _space() -> Schema:
    """The axes of all families: a value, a list, or a range.

    Written by hand, as no dataclass reads a space: its keys are the axes of a family, and those of
    a block have a twin for each place (`channels_b2`), which a pattern allows. A schema cannot say
    which family has which axes; the reader does.
    """
    properties: Schema = {
        "family": _or_named({"type": "string", "pattern": r"\.py$"}, FAMILIES)
        | {
            "default": DEFAULT.name,
            "description": "Of the library, or the Python file of a family of your own, seen from "
            "the study file.",
        },
        "in_channels": {
            "type": "integer",
            "description": "Features per frame; those of `data.features` where it is left out.",
        },
    }
    of_blocks: Schema = {}
    axes: dict[str, dict[str, Axis]] = {}
    for family in FAMILIES.values():
        for name, axis in family.axes.items():
            axes.setdefault(name, {})[family.name] = axis
    for name, families in axes.items():
        axis = next(iter(families.values()))
        shapes = _axis(axis)
        properties[name] = {"anyOf": shapes} | _default_and_text(families)
        if axis.per_block:
            of_blocks[f"^{name}_b[1-9][0-9]?$"] = {"anyOf": shapes}
    return _mapping("Space", properties, []) | {
        "description": "What may vary of a network: for each axis a value, a list of values, or a "
        "range such as `{low: 16, high: 96, step: 16}`.",
        "patternProperties": of_blocks,
    }


def _default_and_text(families: Mapping[str, Axis]) -> Schema:
    """What an axis is without being given, and is about; each family's where they differ."""
    help = next(iter(families.values())).help
    defaults = {name: _said_default(axis) for name, axis in families.items()}
    if len(set(defaults.values())) == 1 and len(families) == len(FAMILIES):
        return {"default": next(iter(families.values())).default, "description": help}
    each = ", ".join(f"{default} ({name})" for name, default in defaults.items())
    return {"description": f"{help}; default {each}"}


def _said_default(axis: Axis) -> str:
    return "/".join(map(_plain, axis.of_blocks or (axis.default,)))


def _axis(axis: Axis) -> list[Schema]:
    """What may stand for an axis; names have no range."""
    kind = {bool: "boolean", int: "integer", float: "number", str: "string"}[type(axis.default)]
    value: Schema = {"enum": list(axis.options)} if axis.options else {"type": kind}
    if axis.pattern:
        value["pattern"] = f"^({axis.pattern})$"
    named = bool(axis.options or axis.pattern)
    for end, bound in (("minimum", axis.minimum), ("maximum", axis.maximum)):
        if not named and bound is not None and math.isfinite(bound):
            value[end] = bound
    listed = {"type": "array", "items": value, "minItems": 1}
    flags: Schema = {flag: {"type": "boolean"} for flag in ("log", "per_block")}
    ends: Schema = {end: {"type": "number"} for end in ("low", "high", "step")}
    shapes = [
        value,
        listed,
        _mapping("a list for each block", {"values": listed} | flags, ["values"]),
    ]
    return shapes if named else [*shapes, _mapping("a range", ends | flags, ["low", "high"])]


def _mapping(title: str, properties: Schema, required: list[str]) -> Schema:
    return {
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


KINDS: dict[str, tuple[type, Callable[[Schema, Schema], None]]] = {
    "study": (StudyFile, _study),
    "accelerator": (Accelerator, _accelerator),
    "technology": (Technology, _without_name),
    "design": (DesignPoint, _design),
    "recipe": (Recipe, _recipe),
    "features": (FeatureSpec, lambda root, parts: None),
}
"""What a person may write -> the dataclass that reads it, and what is added to its schema."""


def json_schema(kind: str) -> Schema:
    """The JSON Schema (draft 2020-12) of a kind of file: the root mapping, its parts in `$defs`.

    Pydantic makes it from the dataclass, its types, bounds, defaults and the texts below fields.
    The reader is one of a tuple of a single such dataclass (`cost_models.reading.adapter`), so the
    root is a part of its own or, where nothing else refers to it, written into `prefixItems`.

    Args:
        kind: of `KINDS`.
    """
    cls, add = KINDS[kind]
    generated: Schema = adapter(cls, docs=True).json_schema()
    parts: Schema = generated.get("$defs", {})
    root = parts.pop(cls.__name__, None) or generated["prefixItems"][0]
    add(root, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": parts}


# --- tables


def tables(kind: str) -> str:
    """The keys of a kind of file as Markdown: a table for each mapping in it.

    Tables come in the order in which a reader meets a mapping, breadth first, each of them once.

    Args:
        kind: of `KINDS`.
    """
    schema = json_schema(kind)
    lines = [
        f"# The keys of {'an' if kind[0] in 'aeiou' else 'a'} {kind} file",
        "",
        f"What `dse schema {kind} --format markdown` prints; `python -m tests.test_reference`",
        "writes this page.",
        "",
        *_table(schema, schema["$defs"]),
    ]
    waiting, done = list(_find_parts(schema)), set()
    while waiting:
        name = waiting.pop(0)
        part = schema["$defs"][name]
        if name not in done and "properties" in part:
            done.add(name)
            lines += ["", f"## {_words(name)}", "", *_table(part, schema["$defs"])]
            waiting += _find_parts(part)
    return "\n".join(lines) + "\n"


def _table(schema: Schema, parts: Schema) -> Iterator[str]:
    yield from (schema.get("description", "").split("\n\n")[0].replace("\n", " "), "")
    yield from ("| key | value | default | meaning |", "|---|---|---|---|")
    for name, value in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _default(value)
        meaning = value.get("description", "").replace("\n", " ")
        cells = (f"`{name}`", _value(value, parts) + _unit(name), default, meaning)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _default(schema: Schema) -> str:
    """What is taken where a key is left out; empty where that is nothing, or a whole mapping."""
    value = schema.get("default")
    if value is None or isinstance(value, dict):
        return ""
    return str(value) if isinstance(value, str) else json.dumps(value)


_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
}


def _value(schema: Schema, parts: Schema) -> str:
    """What may stand there, in words: the schema read from the outside in.

    A reference to a mapping becomes a link to its table, one to anything else is written out.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if "properties" not in parts[name]:
            return _value(parts[name], parts)
        words = _words(name).lower()
        return f"[{words}](#{words.replace(' ', '-')})"
    if "anyOf" in schema:
        branches = schema["anyOf"]
        words_of = (
            "a list of such" if each.get("items") in branches else _value(each, parts)
            for each in branches
        )
        return " or ".join(dict.fromkeys(filter(None, words_of)))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{_plain(each)}`" for each in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_value(schema['items'], parts)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"name: {_value(values, parts)}"
        return schema["title"] if "properties" in schema else "a mapping"
    return _TYPES.get(str(kind), "") + _bounds(schema)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _bounds(schema: Schema) -> str:
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {schema[key]:,}" for key, sign in signs.items() if key in schema)


_UNITS = {
    **{"pj": "pJ", "um2": "µm²", "uw": "µW", "nw": "nW", "mhz": "MHz", "hz": "Hz", "ms": "ms"},
    **{"db": "dB", "nm": "nm", "v": "V", "bits": "bits", "bit2": "bit²"},
}


def _unit(name: str) -> str:
    """The unit that ends a key's name: `read_pj_per_bit` is in pJ per bit."""
    found = re.search(r"_(pj|um2|uw|nw|mhz|hz|ms|db|nm|v|bits)(?:_per_(\w+))?$", name)
    if found is None:
        return ""
    per = f" per {_UNITS.get(found[2], found[2])}" if found[2] else ""
    return f", {_UNITS[found[1]]}{per}"


def _words(name: str) -> str:
    """`ComputeArray` -> `Compute array`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).capitalize()


def _find_parts(schema: Any) -> Iterator[str]:
    """Names of the parts that a schema refers to, in the order of the text, repeats included.

    It does not follow references, so a part that refers to itself ends nowhere in a circle.
    """
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            elif key != "$defs":
                yield from _find_parts(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _find_parts(each)


@click.command(short_help="Print which keys a file may have, as JSON Schema or tables.")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "markdown"]),
    default="json",
    show_default=True,
    help="JSON Schema, for editors; or tables, for people.",
)
def command(kind: str, form: str) -> None:
    """Print the keys of a KIND of file: types, units, bounds, defaults and meaning.

    An editor with a YAML language server completes and checks a file whose first line is

    \b
      # yaml-language-server: $schema=study.schema.json

    when `dse schema study > study.schema.json` has written that file beside it.
    """  # noqa: D301 (click's \b keeps line breaks)
    say(json.dumps(json_schema(kind), indent=2) if form == "json" else tables(kind).rstrip())
