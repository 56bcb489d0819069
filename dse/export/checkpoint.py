"""A trained network as one PyTorch file: state dict, design, features, seeds of its matrices.

    from dse.training.checkpoint import load_network
    network, about = load_network("model.pt")
    scores = network(pictures)         # normalised with about.mean and about.deviation

It is a checkpoint of `dse.training.checkpoint` without the optimiser, plus `ternary`: what makes
each ternary matrix. `torch.load(path, weights_only=True)` reads it where this package is not
installed.

With `weights_only` the reader makes no objects of classes that a file names, so a file from a
stranger cannot run code; tensors and plain data are all that may be inside.
"""

import dataclasses
import io
from pathlib import Path

import torch

from dse.design.matrices import seeds
from dse.errors import InvalidInput
from dse.files import replacing
from dse.training.checkpoint import save_checkpoint
from dse.training.source import Source


def export_checkpoint(source: Source, path: Path) -> None:
    """Write the file in one step; the optimiser's state, of use to go on training alone, stays out.

    Raises:
        InvalidInput: the network is untrained: there are no weights worth a file.
        OSError: the file cannot be written.
    """
    if source.checkpoint is None:
        raise InvalidInput(
            f"{source.point.label} has no trained weights: give a checkpoint such as best.pt "
            "(`dse train` writes it), or export the design as YAML"
        )
    with replacing(path) as temporary:
        save_checkpoint(dataclasses.replace(source.checkpoint, optimiser=None), temporary)
        plain = torch.load(temporary, map_location="cpu", weights_only=True)
        buffer = io.BytesIO()
        torch.save(plain | {"ternary": seeds(source.point)}, buffer)
        temporary.write_bytes(buffer.getvalue())
