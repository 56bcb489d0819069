"""The ternary matrices of a design, one by one, and what there is to say of each.

A matrix is drawn, so it may turn out with empty rows or columns, and a sparse small one with no
entry at all. A row of zeros is a channel that is constant; of columns, one that nobody hears. Where
every way around a block is cut, nothing of the input gets through:

    x --+-- B1.0.pw (no entry) --(+)-- constant, and so are the scores
        +-- B1.skip (no entry) ---+    with an identity or a trained skip they are not

Such a network is dead: it costs what it costs, and no training teaches it anything. So is one whose
matrices all have entries, but none where the channels are that still carry something
(`dse.design.channels`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dse.design.channels import live_channels, useful_channels
from dse.design.places import Place, main_place, skip_place, ternary_places
from dse.design.point import Block, DesignPoint
from dse.ternary.matrix import count_nonzeros, start_state, ternary_matrix

Trits = npt.NDArray[np.int8]


FEW = 0.05
"""Share of rows or columns of zeros that nobody needs to be told: at density 0.25 one column of a
hundred is zeros where 16 rows could fill it."""


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


def cut_through(block: Block, in_channels: int, ternary_seed: int) -> tuple[Place, ...]:
    """The places without any entry that leave no way around a block; none where one is left.

    Args:
        block: of a network.
        in_channels: that it reads.
        ternary_seed: of the network.
    """
    main = [
        main_place(block, repeat, in_channels if repeat == 0 else block.out_channels, ternary_seed)
        for repeat in range(block.repeats if block.mixes else 0)
    ]
    cut = next((place for place in main if _is_empty(place)), None)
    if cut is None:
        return ()
    if block.skip is None:
        return (cut,)
    skip = skip_place(block, block.skip, in_channels, ternary_seed)
    return (cut, skip) if _is_empty(skip) else ()


def _is_empty(place: Place) -> bool:
    """Whether a matrix has no entry at all: all its rows are generated, and all are zeros."""
    mixer, rows = place.mixer, place.generated_rows
    if not rows or rows < place.out_channels or mixer.density is None or mixer.generator is None:
        return False
    seed, columns = place.ternary_seed, place.in_channels
    return not count_nonzeros(seed, place.name, rows, columns, mixer.density, mixer.generator)


def dead_words(places: tuple[Place, ...]) -> str:
    """Why a network is dead, with what to do; empty where it is not.

    Args:
        places: as `cut_through` finds them.
    """
    if not places:
        return ""
    names = " and ".join(place.name for place in places)
    first = places[0]
    return (
        f"the scores do not depend on the input: {names} {'has' if len(places) == 1 else 'have'} "
        f"no entry (density {first.mixer.density:.6g}, {first.in_channels} inputs, ternary_seed "
        f"{first.ternary_seed}); raise the density, widen the block, or take the generator one_hot"
    )


def find_dead(point: DesignPoint) -> str:
    """Why the scores of a network are constant; empty where they are not.

    The first block that nothing gets through is named: with its matrices that have no entry, or
    with how few of its inputs still carry something.
    """
    channels, live = point.in_channels, point.in_channels
    for block, found in zip(point.blocks, live_channels(point), strict=False):
        if not found.any():
            cut = cut_through(block, channels, point.ternary_seed)
            return dead_words(cut) or (
                f"the scores do not depend on the input: {live} of {channels} inputs of "
                f"{block.name} carry any of it, and its matrices have no entry on the way from "
                f"these to its outputs (ternary_seed {point.ternary_seed}); raise the density, "
                "widen the block, or take the generator one_hot"
            )
        channels, live = block.out_channels, int(found.sum())
    return ""


def idle_words(point: DesignPoint) -> str:
    """Blocks of whose output channels more than `FEW` carry nothing of the input to the scores.

    Constant ones, and those that nothing hears, whichever matrix on the way makes them so. They
    cost as much as the others. Empty where no block has so many.
    """
    told = []
    both = zip(point.blocks, live_channels(point), useful_channels(point), strict=True)
    for block, live, useful in both:
        idle, width = int((~(live & useful)).sum()), block.out_channels
        if idle > FEW * width:
            told.append(f"{block.name} {idle} of {width} ({idle / width:.0%})")
    if not told:
        return ""
    return f"channels that carry nothing from the input to the scores: {', '.join(told)}"


def matrix_words(point: DesignPoint) -> str:
    """What the draw of the matrices came to, where it matters; else empty.

    A dead network first of all; then matrices with more than `FEW` of their rows or columns zeros:
    where most of them are, and what makes fewer; and blocks with as many idle channels.
    """
    return find_dead(point) or "; ".join(filter(None, (_zero_words(point), idle_words(point))))


def _zero_words(point: DesignPoint) -> str:
    """Where rows and columns of zeros are; empty where they are few."""
    facts = list(_facts(point))
    lacking = [
        each
        for each in facts
        if each.dead_rows > FEW * each.rows or each.dead_columns > FEW * each.columns
    ]
    if not lacking:
        return ""
    rows, columns = (
        sum(each.dead_rows for each in lacking),
        sum(each.dead_columns for each in lacking),
    )
    worst = max(lacking, key=lambda each: (each.dead_rows + each.dead_columns) / each.rows)
    return (
        f"{len(lacking)} of {len(facts)} generated matrices have zeros only in {rows:,} rows "
        f"(outputs that hear nothing) and {columns:,} columns (inputs that nobody hears), most in "
        f"{worst.layer}: {worst.dead_rows} of {worst.rows} rows, {worst.dead_columns} of "
        f"{worst.columns} columns; a higher density makes fewer, and the generator one_hot gives "
        "every row an entry"
    )


def _facts(point: DesignPoint) -> Iterator[MatrixFacts]:
    for place in ternary_places(point).values():
        yield count_facts(place, matrix_at(place))


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
