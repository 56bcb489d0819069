"""Statistics of matrices, each beside those of ideal ones of the same size and density.

Ideal matrices come from numpy's PCG64: independent entries, or one non-zero entry a block for the
families that promise that, their signs in pairs where they are balanced. A statistic's deviation is
the difference of the two means over many matrices, in standard deviations: within about 4 there is
nothing to see; beyond `FLAG` it is no accident. Structure that a family promises (exact fan-out)
deviates by design.

The standard error of that difference is itself estimated, from few matrices badly. So the
difference is Welch's t, and the deviation is the normal variable that is as unlikely as that t
(Wallace, Annals of Mathematical Statistics 30, 1959): the same number means the same however many
matrices there are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.ternary.generators import Generator, find_family
from dse.ternary.generators.shift_register import Trits
from dse.ternary.matrix import check_density, start_state

FLAG = 5.0
"""Deviations beyond are flagged: chance does that to one of 1.7 million statistics."""
MOST_DEVIATION = 99.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistic:
    """One property of a generator's matrices."""

    name: str
    measured: float
    ideal: float
    deviation: float
    """Standard deviations between the two; signed."""


@dataclass(frozen=True, slots=True)
class Quality:
    """All statistics of one generator at one density, in the order of `STATISTICS`."""

    generator: Generator
    density: float
    size: int
    matrices: int
    statistics: tuple[Statistic, ...]

    def __getitem__(self, name: str) -> Statistic:
        """A statistic by its name, a key of `STATISTICS`."""
        return next(each for each in self.statistics if each.name == name)

    @property
    def flagged(self) -> tuple[Statistic, ...]:
        """Those that are no accident."""
        return tuple(each for each in self.statistics if abs(each.deviation) > FLAG)


def measure(generator: Generator, density: float, *, size: int, matrices: int) -> Quality:
    """Statistics over square matrices of different seeds.

    Repeatable: seeds are 0, 1, 2, ... and the ideal matrices have a fixed seed of their own. Twice
    as many matrices make a real defect's deviation about sqrt(2) times larger, and leave that of
    chance as it is.

    Args:
        generator: with its parameters.
        density: one that it can make.
        size: rows and columns.
        matrices: how many, at least 2.

    Raises:
        InvalidDesign: the generator cannot make this density, or its parameters are known to be bad
            and not overridden.
    """
    check_density(density, generator, size)
    family = find_family(generator)

    def made() -> Iterator[Trits]:
        for seed in range(matrices):
            state = start_state(seed, "quality", generator)
            yield family.matrix(generator, density, state, size, size)

    # The yardstick has what the family promises: against independent entries, exact fan-in would
    # be flagged everywhere for its virtue.
    ideal_of = ideal_blocks if family.EXACT_FAN_IN else ideal_entries
    if generator.signs == "balanced":
        ideal_of = ideal_pairs
    rng = np.random.default_rng(20_210_317)
    ours = np.array([_measure_all(matrix) for matrix in made()])
    theirs = np.array([_measure_all(ideal_of(rng, size, density)) for _ in range(matrices)])
    found = []
    for column, name in enumerate(STATISTICS):
        mean, ideal = float(ours[:, column].mean()), float(theirs[:, column].mean())
        found.append(Statistic(name, mean, ideal, deviation(ours[:, column], theirs[:, column])))
    return Quality(generator, density, size, matrices, tuple(found))


def deviation(ours: Floats, theirs: Floats) -> float:
    """How far two means lie apart, as a standard normal variable of the same probability.

        t = (mean1 - mean2) / sqrt(v1 + v2)                      v = variance / matrices
        f = (v1 + v2)^2 / (v1^2 / (n - 1) + v2^2 / (n - 1))      Welch and Satterthwaite's
        z = (8 f + 1) / (8 f + 3) * sqrt(f * ln(1 + t^2 / f))    Wallace

    With f degrees of freedom t = 6 is common where f = 3 and unheard of where f = 300; z is
    comparable between the two. Wallace's formula gives it without the probability itself, which
    underflows where t is large.

    Args:
        ours: one number a matrix, at least 2.
        theirs: as many.

    Returns:
        z with the sign of the difference, at most `MOST_DEVIATION` in size.
    """
    difference = float(ours.mean() - theirs.mean())
    parts = [float(values.var(ddof=1)) / len(values) for values in (ours, theirs)]
    if difference == 0:
        return 0.0
    if sum(parts) == 0:  # two constants, such as ranks: different for certain
        return float(np.copysign(MOST_DEVIATION, difference))
    squares = sum(part**2 / (len(ours) - 1) for part in parts)
    freedom = sum(parts) ** 2 / squares  # degrees of, after Welch
    t_squared = difference**2 / sum(parts)
    normal = (
        (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t_squared / freedom))
    )
    return float(np.copysign(min(normal, MOST_DEVIATION), difference))


def ideal_entries(rng: np.random.Generator, size: int, density: float) -> Trits:
    """Independent entries: non-zero with probability `density`, either sign as likely."""
    sign = 1 - 2 * rng.integers(0, 2, (size, size), dtype=np.int8)
    trits: Trits = (rng.random((size, size)) < density) * sign
    return trits


def ideal_blocks(rng: np.random.Generator, size: int, density: float) -> Trits:
    """One non-zero entry in each block of 1/density, at a place and of a sign drawn evenly.

    Args:
        rng: draws places and signs.
        size: rows and columns; blocks divide it.
        density: 1/B with B a whole number.
    """
    block = round(1 / density)
    blocks = size * size // block
    trits = np.zeros((blocks, block), dtype=np.int8)
    sign = 1 - 2 * rng.integers(0, 2, blocks, dtype=np.int8)
    trits[np.arange(blocks), rng.integers(0, block, blocks)] = sign
    return trits.reshape(size, size)


def ideal_pairs(rng: np.random.Generator, size: int, density: float) -> Trits:
    """The same with balanced signs: blocks in pairs of opposite ones, of which one is drawn."""
    blocks = ideal_blocks(rng, size, density).reshape(-1, round(1 / density))
    signs = blocks.sum(axis=1, dtype=np.int8)
    blocks[1::2] *= (-signs[: len(signs) // 2 * 2 : 2] * signs[1::2])[:, None]
    return blocks.reshape(size, size)


def lag_correlations(values: Floats) -> Floats:
    """Of a stream with itself at lags 1 to half its length, in standard errors.

        r[lag] = sum over i of x[i] * x[i + lag] / (variance * sqrt(pairs)),  pairs = count - lag

    Of independent entries each is about standard normal. The largest of many is not: it grows with
    the number of lags, so it is held against that of ideal matrices, never against 0.

    Args:
        values: shape (count,).

    Returns:
        Shape (count // 2,), the first of lag 1; zeros where all values are equal.
    """
    # The inverse transform of the power spectrum is the autocorrelation (Wiener and Khinchin), of
    # a circle: zeros up to twice the length keep the end of the stream from meeting its beginning.
    count = len(values)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * count)
    sums = np.fft.irfft(np.abs(spectrum) ** 2)[: count // 2 + 1]
    variance = sums[0] / count
    if variance == 0:
        return np.zeros(count // 2)
    pairs = count - np.arange(1, count // 2 + 1)
    correlations: Floats = sums[1:] / variance / np.sqrt(pairs)
    return correlations


def _largest_cosine(rows: Floats) -> float:
    """The largest |cosine| between two different rows; rows of zeros have no direction."""
    lengths = np.sqrt((rows**2).sum(axis=1))
    rows = rows[lengths > 0] / lengths[lengths > 0, None]
    cosines = np.abs(rows @ rows.T)
    np.fill_diagonal(cosines, 0)
    return float(cosines.max(initial=0.0))


def _repeats(matrix: Trits) -> float:
    """Rows that are another one or its negative; dead ones do not count."""
    seen, repeated = set(), 0
    for row in matrix:
        if row.any():
            first = row[np.flatnonzero(row)[0]]
            text = (row * first).tobytes()
            repeated += text in seen
            seen.add(text)
    return float(repeated)


STATISTICS: dict[str, Callable[[Trits], float]] = {
    "density": lambda m: float(np.count_nonzero(m)) / m.size,
    "negative share": lambda m: float(np.sum(m < 0)) / max(int(np.count_nonzero(m)), 1),
    "dead rows": lambda m: float(np.sum(~m.any(axis=1))),
    "dead columns": lambda m: float(np.sum(~m.any(axis=0))),
    "fan-in variance": lambda m: float(np.var(np.count_nonzero(m, axis=1))),
    "fan-out variance": lambda m: float(np.var(np.count_nonzero(m, axis=0))),
    "row correlation": lambda m: _largest_cosine(m.astype(np.float64)),
    "column correlation": lambda m: _largest_cosine(m.T.astype(np.float64)),
    "lag correlation": lambda m: float(np.abs(lag_correlations(m.ravel().astype(float))).max()),
    "lag correlation of zeros": lambda m: float(
        np.abs(lag_correlations((m.ravel() != 0).astype(float))).max()
    ),
    "rank": lambda m: float(np.linalg.matrix_rank(m.astype(np.float64))),
    "repeated rows": _repeats,
}
"""Name -> what is averaged over matrices. Correlations are the largest of a matrix: cosines of two
rows or columns; of the stream with itself in standard errors, over all lags up to half of it."""


def _measure_all(matrix: Trits) -> list[float]:
    return [statistic(matrix) for statistic in STATISTICS.values()]


KNOWN_BAD = (
    Generator(shift=1, override=True),
    Generator(family="lfsr_and", taps=(64, 63, 61, 60), override=True),
    Generator(family="counter_arx", rounds=4, override=True),
    Generator(taps=(16, 15, 13, 4), override=True),
)
"""Overlapping windows, adjacent taps, too few rounds, a register that is too short."""
