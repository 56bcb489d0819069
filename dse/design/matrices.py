"""The ternary matrices of a design, one by one, and what there is to say of each."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.design.places import Place, ternary_places
from dse.design.point import DesignPoint
from dse.ternary.matrix import start_state, ternary_matrix

Trits = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixFacts:
    """What is counted on one matrix: facts of its very entries, where density is an intention."""

    layer: str
    rows: int
    columns: int
    nonzeros: int
    negatives: int
    dead_rows: int
    """Rows of zeros: outputs that are 0 whatever the input."""
    dead_columns: int
    """Columns of zeros: inputs that nothing hears."""

    @property
    def density(self) -> float:
        """Share of entries that are not zero."""
        return self.nonzeros / (self.rows * self.columns)


def matrix_at(place: Place) -> Trits:
    """The generated rows of a place, shape (generated rows, input channels)."""
    mixer = place.mixer
    assert mixer.density is not None and mixer.generator is not None  # Mixer checked it
    return ternary_matrix(
        place.ternary_seed,
        place.name,
        place.generated_rows,
        place.in_channels,
        mixer.density,
        mixer.generator,
    )


def count_facts(place: Place, matrix: Trits) -> MatrixFacts:
    """Counts of one matrix.

    Args:
        place: where it stands.
        matrix: as `matrix_at` makes it.
    """
    return MatrixFacts(
        layer=place.name,
        rows=place.generated_rows,
        columns=place.in_channels,
        nonzeros=int(np.count_nonzero(matrix)),
        negatives=int(np.sum(matrix < 0)),
        dead_rows=int(np.sum(~matrix.any(axis=1))),
        dead_columns=int(np.sum(~matrix.any(axis=0))),
    )


def seeds(point: DesignPoint) -> list[dict[str, Any]]:
    """What makes each ternary matrix, as plain data: enough to make it again without this package.

    `start_state` is hexadecimal, its first bit the most significant of the first digit, padded with
    zeros at the end to whole bytes; docs/evidence/generator.md says what each family does with it.
    """
    rows: list[dict[str, Any]] = []
    for place in ternary_places(point).values():
        generator, density = place.mixer.generator, place.mixer.density
        assert generator is not None and density is not None  # Mixer checked it
        state = start_state(place.ternary_seed, place.name, generator)
        rows.append(
            {
                "layer": place.name,
                "outputs": place.generated_rows,
                "inputs": place.in_channels,
                "density": density,
                "generator": generator.to_dict(),
                "seed": place.ternary_seed,
                "state_bits": len(state),
                "start_state": np.packbits(state).tobytes().hex(),
            }
        )
    return rows
