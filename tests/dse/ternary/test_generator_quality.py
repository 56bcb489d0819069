"""The statistics: they pass ideal matrices and sound generators, and flag those known to be bad."""

import numpy as np
import pytest

from dse.errors import InvalidInput
from dse.ternary.generators import Generator
from dse.ternary.quality import (
    FLAG,
    KNOWN_BAD,
    STATISTICS,
    deviation,
    ideal_blocks,
    ideal_entries,
    lag_correlations,
    measure,
)

SOUND = (
    Generator(),
    Generator(family="lfsr_and"),
    Generator(family="one_hot"),
    Generator(family="counter_arx"),
)
"""One of each family that is held to be like chance."""
MORE = (
    Generator(taps=(89, 51)),
    Generator(taps=(521, 353)),
    Generator(taps=(607, 460)),
    Generator(family="counter_arx", threshold_bits=7, rounds=8),
)


@pytest.mark.parametrize(
    "generator",
    [*SOUND, *(pytest.param(each, marks=pytest.mark.soak) for each in MORE)],
    ids=lambda generator: generator.label,
)
def test_sound_generators_are_like_ideal_ones(generator: Generator) -> None:
    for density in (0.5, 0.125, 0.03125):
        assert measure(generator, density, size=128, matrices=12).flagged == ()


@pytest.mark.parametrize(
    ("generator", "density", "statistics"),
    [
        # Overlapping windows.
        (KNOWN_BAD[0], 0.125, ("lag correlation of zeros", "fan-in variance")),
        # Adjacent taps: signs follow their neighbours'.
        (KNOWN_BAD[1], 0.0625, ("lag correlation",)),
        (KNOWN_BAD[1], 0.03125, ("lag correlation of zeros",)),
        (KNOWN_BAD[2], 0.125, ("lag correlation of zeros",)),  # four rounds
        (KNOWN_BAD[3], 0.125, ("lag correlation",)),  # 16 bits: the stream repeats
    ],
)
def test_bad_generators_are_flagged(
    generator: Generator, density: float, statistics: tuple[str, ...]
) -> None:
    quality = measure(generator, density, size=256, matrices=12)
    assert {quality[name] for name in statistics} <= set(quality.flagged)


def test_bad_generators_are_refused_without_override() -> None:
    for generator in KNOWN_BAD:
        fields = {name: value for name, value in generator.to_dict().items() if name != "override"}
        fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
        with pytest.raises(InvalidInput, match="set override to accept"):
            measure(Generator(**fields), 0.25, size=16, matrices=2)


def test_the_adjacent_taps_make_signs_opposite_twelve_entries_apart() -> None:
    # What hardware.md reports of the pentanomial 64, 63, 61, 60 at density 1/16.
    generator = KNOWN_BAD[1]
    from dse.ternary.matrix import ternary_matrix

    trits = ternary_matrix(1, "a", 256, 256, 1 / 16, generator).ravel()
    both = (trits[12:] != 0) & (trits[:-12] != 0)
    assert both.sum() > 100
    assert np.all(trits[12:][both] == -trits[:-12][both])


def test_sobol_paths_are_even_by_design() -> None:
    quality = measure(Generator(family="sobol"), 0.125, size=128, matrices=8)
    assert quality["fan-out variance"].measured < 1 < quality["fan-out variance"].ideal
    for name in ("density", "negative share", "dead rows", "rank", "lag correlation"):
        assert abs(quality[name].deviation) < FLAG


@pytest.mark.parametrize("matrices", [3, 8, 16])
def test_a_deviation_is_as_unlikely_as_welchs_t(matrices: int) -> None:
    # scipy's own test of two means, and the normal quantile of its probability.
    from scipy.stats import norm, ttest_ind

    rng = np.random.default_rng(matrices)
    for shift in (0.0, 1.0, 4.0, 20.0):
        ours, theirs = rng.normal(shift, 1, matrices), rng.normal(0, 0.3, matrices)
        p = ttest_ind(ours, theirs, equal_var=False).pvalue
        expected = norm.isf(p / 2) * np.sign(ours.mean() - theirs.mean())
        assert deviation(ours, theirs) == pytest.approx(expected, rel=0.05, abs=0.01)


def test_constants_that_differ_do_so_for_certain() -> None:
    assert deviation(np.full(4, 256.0), np.full(4, 255.0)) == 99
    assert deviation(np.full(4, 254.0), np.full(4, 255.0)) == -99
    assert deviation(np.full(4, 256.0), np.full(4, 256.0)) == 0


def test_few_matrices_flag_nothing_by_chance() -> None:
    # Standard errors of four matrices are so uncertain that a plain t is beyond 6 every so often.
    flagged = [
        measure(generator, density, size=32, matrices=4).flagged
        for generator in (Generator(), Generator(family="counter_arx"))
        for density in (0.5, 0.125, 0.0625, 0.03125)
    ]
    assert flagged == [()] * 8


def test_statistics_of_matrices_by_hand() -> None:
    matrix = np.array([[1, 0, -1, 0], [0, 0, 0, 0], [-1, 0, 1, 0], [1, 0, 1, 0]], dtype=np.int8)
    found = {name: statistic(matrix) for name, statistic in STATISTICS.items()}
    assert found["density"] == 6 / 16
    assert found["negative share"] == 2 / 6
    assert found["dead rows"] == 1 and found["dead columns"] == 2
    assert found["fan-in variance"] == pytest.approx(0.75)  # 2, 0, 2, 2
    assert found["fan-out variance"] == pytest.approx(2.25)  # 3, 0, 3, 0
    assert found["row correlation"] == pytest.approx(1)  # the third row is minus the first
    assert found["column correlation"] == pytest.approx(1 / 3)  # (-1 - 1 + 1) / 3
    assert found["rank"] == 2
    assert found["repeated rows"] == 1


def test_lag_correlations_are_those_of_the_definition() -> None:
    values = np.random.default_rng(0).normal(size=200)
    centred = values - values.mean()
    by_fourier = lag_correlations(values)
    assert len(by_fourier) == 100
    for lag in (1, 7, 100):
        pairs = 200 - lag
        expected = float(np.sum(centred[lag:] * centred[:-lag])) / centred.var() / pairs**0.5
        assert by_fourier[lag - 1] == pytest.approx(expected)
    assert not lag_correlations(np.ones(10)).any()


def test_ideal_matrices_are_what_they_are_held_to_be() -> None:
    rng = np.random.default_rng(0)
    entries = ideal_entries(rng, 256, 0.125)
    assert abs(np.count_nonzero(entries) - 8192) < 4 * (65_536 * 0.125 * 0.875) ** 0.5
    blocks = ideal_blocks(rng, 64, 0.125)
    assert set(np.count_nonzero(blocks.reshape(-1, 8), axis=1)) == {1}
