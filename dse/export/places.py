"""The ternary matrices of a design: where they stand, and what makes each."""

from typing import Any

import numpy as np

from dse.errors import InvalidDesign
from dse.mixers import Place, main_place, skip_place
from dse.point import DesignPoint
from dse.ternary import start_state


def places(point: DesignPoint) -> dict[str, Place]:
    """All 1x1 matrices of a design by the names of their layers, in order of execution."""
    found: dict[str, Place] = {}
    channels = point.in_channels
    for block in point.blocks:
        inputs = channels
        for repeat in range(block.repeats):
            if block.separable or block.kernel_size == 1:
                place = main_place(block, repeat, inputs, point.ternary_seed)
                found[place.name] = place
            inputs = block.out_channels
        if block.skip is not None:
            place = skip_place(block, block.skip, channels, point.ternary_seed)
            found[place.name] = place
        channels = block.out_channels
    return found


def ternary_places(point: DesignPoint) -> dict[str, Place]:
    """Those of `places` whose matrix is ternary."""
    return {name: place for name, place in places(point).items() if place.mixer.kind == "ternary"}


def ternary_place(point: DesignPoint, layer: str) -> Place:
    """The place of a ternary layer by its name.

    Raises:
        InvalidDesign: the design has no such layer, or it is not ternary.
    """
    every, ternary = places(point), ternary_places(point)
    if layer not in ternary:
        listed = f"ternary layers are {', '.join(ternary)}" if ternary else "it has no ternary one"
        what = f"is {every[layer].mixer.kind}" if layer in every else "does not exist"
        raise InvalidDesign(f"layer {layer} of {point.label} {what}: {listed}")
    return ternary[layer]


def seeds(point: DesignPoint) -> list[dict[str, Any]]:
    """What makes each ternary matrix, as plain data: enough to make it again without this package.

    `start_state` is hexadecimal, its first bit the most significant of the first digit, padded with
    zeros at the end to whole bytes; docs/generator.md says what each family does with it.
    """
    rows: list[dict[str, Any]] = []
    for place in ternary_places(point).values():
        generator, density = place.mixer.generator, place.mixer.density
        assert generator is not None and density is not None  # Mixer checked it
        state = start_state(place.ternary_seed, place.name, generator)
        rows.append(
            {
                "layer": place.name,
                "outputs": place.out_channels,
                "inputs": place.in_channels,
                "density": density,
                "generator": generator.to_dict(),
                "seed": place.ternary_seed,
                "state_bits": len(state),
                "start_state": np.packbits(state).tobytes().hex(),
            }
        )
    return rows
