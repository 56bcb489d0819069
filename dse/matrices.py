"""The ternary matrices of a design, one by one, and what there is to say of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.mixers.place import Place, main_place, skip_place
from dse.point import DesignPoint
from dse.ternary import ternary_matrix

Trits = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixFacts:
    """Counted on one matrix."""

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


def ternary_places(point: DesignPoint) -> Iterator[Place]:
    """The places of a network whose matrix is ternary, in order of execution."""
    channels = point.in_channels
    for block in point.blocks:
        before = channels
        for repeat in range(block.repeats):
            if block.mixer.kind == "ternary":
                yield main_place(block, repeat, channels, point.ternary_seed)
            channels = block.out_channels
        if block.skip is not None and block.skip.kind == "ternary":
            yield skip_place(block, block.skip, before, point.ternary_seed)


def matrix_at(place: Place) -> Trits:
    """The matrix of a place, shape (output channels, input channels)."""
    mixer = place.mixer
    assert mixer.density is not None and mixer.generator is not None  # Mixer checked it
    return ternary_matrix(
        place.ternary_seed,
        place.name,
        place.out_channels,
        place.in_channels,
        mixer.density,
        mixer.generator,
    )


def facts_of(place: Place, matrix: Trits) -> MatrixFacts:
    """Counts of one matrix."""
    return MatrixFacts(
        layer=place.name,
        rows=place.out_channels,
        columns=place.in_channels,
        nonzeros=int(np.count_nonzero(matrix)),
        negatives=int(np.sum(matrix < 0)),
        dead_rows=int(np.sum(~matrix.any(axis=1))),
        dead_columns=int(np.sum(~matrix.any(axis=0))),
    )
