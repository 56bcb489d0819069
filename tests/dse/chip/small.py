"""A small network on a machine of the library, as an exported chip."""

from typing import Any

from cost_models import load_accelerator, load_technology
from dse.chip.export import ChipExport
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.point import DesignPoint
from dse.networks.lowering import lower
from dse.training.integer import quantise_network
from dse.training.source import random_pictures, untrained

VALUES: dict[str, Any] = {
    "blocks": 1,
    "channels": 8,
    "prologue_channels": 16,
    "prologue_kernel": 9,
    "kernel": 11,
    "epilogue_channels": 8,
    "epilogue_kernel": 9,
    "final_channels": 8,
}
FRAMES = 64


def small_chip(machine: str, clips: int = 1, frames: int = FRAMES, **values: Any) -> ChipExport:
    """An untrained MatchboxNet of a few channels, and clips of noise."""
    point = MATCHBOXNET.build({**VALUES, **values}, in_channels=8, name="small")
    return chip_of(point, machine, clips, frames)


def chip_of(point: DesignPoint, machine: str, clips: int, frames: int) -> ChipExport:
    """An untrained network of 8 features and 5 classes, and clips of noise."""
    source = untrained(point, 5, seed=3)
    pictures = random_pictures(8, 4)[:, :, :frames]
    network = quantise_network(source, pictures)
    accelerator = load_accelerator(machine)
    return ChipExport(
        network=network,
        workload=lower(point, frames=frames, outputs=5),
        machine=accelerator,
        technology=load_technology(accelerator.technology),
        features=network.quantise(pictures[:clips].numpy()),
    )
