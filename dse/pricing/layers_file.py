"""A network of layers as a file: what one program has traced, and another shows.

    {"schema_version": 1, "label": "TCResNet8", "notes": [...], "layers": [{"name": "conv", ...}]}

JSON. A layer has the fields of `cost_models.workload.Layer`; `nonzero_mask`, which entries of a
generated matrix are not zero, is in base64. `dse dashboard model.onnx` hands it to the page, which
neither runs a person's Python nor loads torch.
"""

import base64
import binascii
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cost_models.content import read_content
from cost_models.reading import build
from cost_models.strict_yaml import Node, parse_yaml
from cost_models.workload import Workload
from dse.errors import InvalidFile, InvalidInput
from dse.files import write_text
from dse.pricing.priced import Layers

SCHEMA_VERSION = 1
MASK = "nonzero_mask"
MAX_BYTES = 64_000_000


def write_layers(layers: Layers, path: Path, notes: Sequence[str] = ()) -> None:
    """Write a network of layers, in one step.

    Args:
        layers: with their label.
        path: of the file, in a folder that is there.
        notes: what is priced otherwise than its network has it, a sentence each.

    Raises:
        OSError: the file cannot be written.
    """
    plain = {
        "schema_version": SCHEMA_VERSION,
        "label": layers.label,
        "notes": list(notes),
        "layers": [_plain(layer) for layer in layers.workload.layers],
    }
    write_text(path, json.dumps(plain), parents=False)


def read_layers(path: Path) -> tuple[Layers, tuple[str, ...]]:
    """The layers of a file, and its notes.

    Raises:
        InvalidFile: it cannot be read, or is no file of `write_layers`.
    """
    try:
        text = read_content(path, MAX_BYTES, "a file of layers").decode()
        node = parse_yaml(text, str(path))
        found = node.value
        version, label = found["schema_version"].value, str(found["label"].value)
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version {version}")
        notes = tuple(str(note.value) for note in found["notes"].value)
        listed = [_without_mask(layer) for layer in found["layers"].value]
        whole = dataclasses.replace(
            node,
            value={
                "name": found["label"],
                "layers": dataclasses.replace(
                    found["layers"], value=[layer for layer, _ in listed]
                ),
            },
        )
        workload = build(Workload, whole)
        layers = tuple(
            dataclasses.replace(layer, nonzero_mask=mask)
            for layer, (_, mask) in zip(workload.layers, listed, strict=True)
        )
    except InvalidFile:
        raise
    except (InvalidInput, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidFile(
            f"{path} is no file of layers ({str(error)[:200]}): make it anew with dse dashboard"
        ) from None
    return Layers(label, Workload(label, layers)), notes


def _plain(layer: Any) -> dict[str, Any]:
    plain = dataclasses.asdict(layer)
    return plain | {MASK: base64.b64encode(layer.nonzero_mask).decode("ascii")}


def _without_mask(layer: Node) -> tuple[Node, bytes]:
    """A layer's other fields, and its mask."""
    fields = dict(layer.value)
    text = str(fields.pop(MASK).value)
    try:
        mask = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{MASK} is no base64: {error}") from None
    return dataclasses.replace(layer, value=fields), mask
