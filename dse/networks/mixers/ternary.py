"""Constant sparse random ternary 1x1 convolution (arXiv 2103.17142).

Entries -1, 0, +1 that are never trained and never stored: the design's generator
(`dse.ternary.generators`) makes them from its seed and the layer's name, on chip as here. No
multiplications.
"""

from typing import TYPE_CHECKING, Any

from cost_models.generator import GeneratorSpec
from cost_models.workload import Layer, WeightSource
from dse.design.places import Place
from dse.networks.mixers.layers import matrix_layer
from dse.ternary.generators import Generator, find_family, has
from dse.ternary.matrix import count_nonzeros, nonzero_mask

if TYPE_CHECKING:
    from dse.networks.ternary_convolution import TernaryConv1d


def lower(place: Place, in_frames: int, out_frames: int, before: str) -> tuple[Layer, ...]:
    """The layer that a machine executes; its non-zeros are counted on the matrix.

    Not density * rows * columns: a random matrix is off that by chance, and a machine that skips
    zeros waits for its fullest row, which only the matrix itself (`nonzero_mask`) tells.
    """
    density, generator = _rule(place)
    rows, columns = place.generated_rows, place.in_channels
    made = generated_fields(place.ternary_seed, place.name, rows, columns, density, generator)
    return (matrix_layer(place, in_frames, out_frames, out_channels=rows, **made),)


def generated_fields(
    seed: int, layer: str, rows: int, columns: int, density: float, generator: Generator
) -> dict[str, Any]:
    """What a layer says of a generated matrix: where it comes from, and which entries are zero.

    Args:
        seed: of the design.
        layer: the name that the matrix is generated under.
        rows: output channels.
        columns: input channels.
        density: share of entries that are not zero.
        generator: what makes it.
    """
    matrix = (seed, layer, rows, columns, density, generator)
    return {
        "weights": WeightSource.GENERATED,
        "nonzeros": count_nonzeros(*matrix),
        "nonzero_mask": nonzero_mask(*matrix),
        "generator": generator_spec(density, generator),
        "matrix_tile": (generator.tile[0], generator.tile[1]) if generator.tile else None,
        "weight_bits": 2,
    }


def build(place: Place) -> "TernaryConv1d":
    """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)), nothing to train."""
    # Imported here: what a search prices must not load torch.
    from dse.networks.ternary_convolution import TernaryConv1d

    density, generator = _rule(place)
    return TernaryConv1d(
        place.in_channels,
        place.generated_rows,
        density=density,
        generator=generator,
        seed=place.ternary_seed,
        layer=place.name,
        stride=place.stride,
    )


def generator_spec(density: float, generator: Generator) -> GeneratorSpec:
    """What a machine needs to know of a generator at a density."""
    family = find_family(generator)
    return GeneratorSpec(
        family=generator.family,
        state_bits=family.state_bits(generator),
        decision_bits=family.decision_bits(generator, density),
        rounds=generator.rounds if has(generator.family, "rounds") else 0,
        paired_signs=generator.signs == "balanced",
    )


def _rule(place: Place) -> tuple[float, Generator]:
    density, generator = place.mixer.density, place.mixer.generator
    assert density is not None and generator is not None  # Mixer checked it
    return density, generator
