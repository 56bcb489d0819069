"""Every family against an independent reading of its definition, one entry at a time."""

import dataclasses
import functools
import itertools
import math
import time

import numpy as np
import pytest

from dse.design.places import main_place, skip_place
from dse.design.published import published
from dse.errors import InvalidInput
from dse.ternary.generators import FAMILIES, REGISTERS, Generator, as_generator, find_family
from dse.ternary.generators.counter_arx import arx, entries_per_word
from dse.ternary.generators.shift_register import is_irreducible, jump_ahead, lfsr_bits
from dse.ternary.matrix import check_density, nonzero_mask, start_state, ternary_matrix

EVERY = [
    (Generator(), 0.25),
    (Generator(), 97 / 256),
    (Generator(threshold_bits=4), 3 / 16),
    (Generator(threshold_bits=16), 12_345 / 65_536),
    (Generator(taps=(521, 353)), 0.125),
    (Generator(taps=(89, 51)), 0.5),
    (Generator(taps=(64, 63, 61, 60), override=True), 0.125),
    (Generator(shift=1, override=True), 0.25),
    (Generator(shift=20), 0.25),
    (Generator(family="lfsr_and"), 1.0),
    (Generator(family="lfsr_and"), 0.125),
    (Generator(family="lfsr_and", taps=(521, 353)), 1 / 32),
    (Generator(family="one_hot"), 0.125),
    (Generator(family="one_hot"), 1.0),
    (Generator(family="one_hot", signs="balanced"), 0.125),
    (Generator(family="one_hot", signs="balanced", shift=20), 0.5),
    (Generator(family="counter_arx"), 97 / 256),
    (Generator(family="counter_arx", threshold_bits=7, rounds=8), 0.25),
    (Generator(family="counter_arx", threshold_bits=16), 0.25),
    (Generator(family="sobol"), 0.25),
    (Generator(family="sobol"), 1 / 16),
    (Generator(family="sobol", rounds=8), 1.0),
]
BALANCED = Generator(family="one_hot", signs="balanced")
IDS = [f"{generator.label}-{density:.4g}" for generator, density in EVERY]


# --- one entry at a time, in plain Python


def naive_entry(
    generator: Generator, density: float, state: list[int], row: int, column: int, columns: int
) -> int:
    """The entry as the family's docstring defines it; slow, and shares no code with it."""
    entry = row * columns + column
    k = generator.threshold_bits
    block = round(1 / density)
    if generator.family == "lfsr_threshold":
        *u, sign = naive_window(generator, state, entry, k + 1)
        return 0 if number(u) >= density * 2**k else -1 if sign else 1
    if generator.family == "lfsr_and":
        j = block.bit_length() - 1
        *u, sign = naive_window(generator, state, entry, j + 1)
        return 0 if 0 in u else -1 if sign else 1
    if generator.family == "one_hot":
        *place, sign = naive_window(generator, state, entry // block, block.bit_length())
        if generator.signs == "balanced" and entry // block % 2:
            sign = 1 - naive_window(generator, state, entry // block - 1, block.bit_length())[-1]
        return 0 if number(place) != column % block else -1 if sign else 1
    if generator.family == "counter_arx":
        per_word = max(2**n for n in range(6) if 2**n * (k + 1) <= 32)
        word = naive_arx(
            (number(state[32:]) + entry // per_word) % 2**32, number(state[:32]), generator.rounds
        )
        bits = [int(digit) for digit in f"{word:032b}"][entry % per_word * (k + 1) :][: k + 1]
        return 0 if number(bits[:k]) >= density * 2**k else -1 if bits[k] else 1
    assert generator.family == "sobol"
    place_bits = block.bit_length() - 1
    output = (number(state[32:48]) + row) % 2**16
    b = column // block
    point = (output + block * 40_503 * b) % 2**16
    digits = []
    for digit in range(place_bits):
        pascal = sum(math.comb(j, digit) * (point >> j & 1) for j in range(16))
        digits.append((pascal + state[48 + digit]) % 2)
    word = naive_arx(output << 16 | b // 32, number(state[:32]), generator.rounds)
    sign = int(f"{word:032b}"[b % 32])
    return 0 if number(digits) != column % block else -1 if sign else 1


def number(bits: list[int]) -> int:
    return int("".join(map(str, bits)) or "0", 2)


def naive_window(generator: Generator, state: list[int], index: int, width: int) -> list[int]:
    first = len(state) + index * (generator.shift or width)
    bits = naive_stream(generator.taps, tuple(state))
    assert first + width <= len(bits)
    return bits[first : first + width]


@functools.cache
def naive_stream(taps: tuple[int, ...], state: tuple[int, ...]) -> list[int]:
    """The state and the 10,000 bits that follow: the tests of this file look no further."""
    bits = list(state)
    while len(bits) < len(state) + 10_000:
        bits.append(sum(bits[-tap] for tap in taps) % 2)
    return bits


def naive_arx(word: int, key: int, rounds: int) -> int:
    x, y = divmod(word, 2**16)
    for index in range(rounds):
        half = key >> 16 if index % 2 == 0 else key % 2**16
        x = ((x % 2**7 << 9 | x >> 7) + y) % 2**16 ^ half ^ index
        y = (y << 2 & 0xFFFF | y >> 14) ^ x
    return x << 16 | y


@pytest.mark.parametrize(("generator", "density"), EVERY, ids=IDS)
def test_a_matrix_is_its_definition_entry_by_entry(generator: Generator, density: float) -> None:
    rows, columns = 6, 16 * 4
    state = start_state(7, "B1.0.pw", generator).tolist()
    expected = [
        [naive_entry(generator, density, state, row, column, columns) for column in range(columns)]
        for row in range(rows)
    ]
    matrix = ternary_matrix(7, "B1.0.pw", rows, columns, density, generator)
    assert matrix.dtype == np.int8
    assert matrix.tolist() == expected


def test_the_mixing_function_is_the_one_of_the_docstring() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, 50, dtype=np.uint32)
    for rounds, key in ((1, 0), (6, 0xDEADBEEF), (7, 2**32 - 1)):
        expected = [naive_arx(int(word), key, rounds) for word in words]
        assert arx(words, key, rounds).tolist() == expected
    # One round by hand: x = 0, y = 1, key 0: x = 0 + 1 = 1; y = 4 XOR 1 = 5.
    assert arx(np.array([1], dtype=np.uint32), 0, 1).tolist() == [0x0001_0005]


@pytest.mark.parametrize(
    ("threshold_bits", "entries"), [(1, 16), (3, 8), (4, 4), (7, 4), (8, 2), (15, 2), (16, 1)]
)
def test_a_word_makes_a_power_of_two_of_entries(threshold_bits: int, entries: int) -> None:
    assert entries_per_word(threshold_bits) == entries


# --- what holds for every family


@pytest.mark.parametrize(("generator", "density"), EVERY, ids=IDS)
def test_jumping_ahead_is_going_there(generator: Generator, density: float) -> None:
    family, columns = find_family(generator), 64
    state = start_state(1, "a", generator)
    tall = family.matrix(generator, density, state, 40, columns)
    for rows in (0, 1, 17, 39):
        jumped = family.jump(generator, density, state, rows * columns, columns)
        rest = family.matrix(generator, density, jumped, 40 - rows, columns)
        assert np.array_equal(rest, tall[rows:])


@pytest.mark.parametrize("taps", [*REGISTERS.values(), (64, 63, 61, 60)])
def test_a_register_jumps_as_far_as_it_would_step(taps: tuple[int, ...]) -> None:
    state = lfsr_bits(np.eye(taps[0], dtype=np.uint8)[0], taps[0], taps)
    for count in (0, 1, taps[0] - 1, taps[0], 1000, 123_457):
        walked = np.concatenate([state, lfsr_bits(state, count, taps)])[-taps[0] :]
        assert np.array_equal(jump_ahead(state, count, taps), walked)
    # 2^89 - 1 steps are a full turn.
    if taps[0] == 89:
        assert np.array_equal(jump_ahead(state, 2**89 - 1, taps), state)
        assert not np.array_equal(jump_ahead(state, 2**88, taps), state)


def test_the_registers_offered_have_full_period() -> None:
    # 2^N - 1 is prime for these N (Lucas-Lehmer), so an irreducible polynomial is a primitive one.
    for bits, taps in REGISTERS.items():
        assert taps[0] == bits and is_irreducible(taps)
        mersenne, residue = 2**bits - 1, 4
        for _ in range(bits - 2):
            residue = (residue * residue - 2) % mersenne
        assert residue == 0
    assert not is_irreducible((127, 96))
    assert not is_irreducible((89, 50))


@pytest.mark.parametrize("family", FAMILIES)
def test_seeds_and_layers_have_matrices_of_their_own(family: str) -> None:
    generator = Generator(family=family)  # type: ignore[arg-type]
    different = {
        ternary_matrix(seed, layer, 16, 16, 0.5, generator).tobytes()
        for seed in range(4)
        for layer in ("B1.0.pw", "B1.1.pw", "a")
    }
    assert len(different) == 12


@pytest.mark.parametrize("family", FAMILIES)
def test_families_have_the_density_they_are_asked_for(family: str) -> None:
    generator = Generator(family=family)  # type: ignore[arg-type]
    for density in (0.5, 0.25, 0.125, 0.03125):
        matrix = ternary_matrix(1, "a", 256, 256, density, generator)
        nonzeros = int(np.count_nonzero(matrix))
        # 65,536 entries: four standard errors of independent ones.
        assert abs(nonzeros - 65_536 * density) < 4 * (65_536 * density * (1 - density)) ** 0.5
        assert abs(int(matrix.sum())) < 4 * nonzeros**0.5
        if family in ("one_hot", "sobol"):
            assert set(np.count_nonzero(matrix, axis=1)) == {round(256 * density)}


def test_the_mask_is_the_pattern_of_the_matrix() -> None:
    matrix = ternary_matrix(1, "a", 5, 7, 0.25)
    mask = nonzero_mask(1, "a", 5, 7, 0.25, Generator())
    assert len(mask) == 5  # 35 bits
    bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8))
    assert bits[:35].tolist() == (matrix != 0).ravel().astype(int).tolist()
    assert not bits[35:].any()


def test_all_matrices_of_a_large_network_take_less_than_a_second() -> None:
    point = published("quartznet-15x5-P4")
    places, channels = [], point.in_channels
    for block in point.blocks:
        for repeat in range(block.repeats):
            if block.mixer.kind == "ternary":
                places.append(
                    main_place(block, repeat, channels if repeat == 0 else block.out_channels, 1)
                )
        if block.skip is not None and block.skip.kind == "ternary":
            places.append(skip_place(block, block.skip, channels, 1))
        channels = block.out_channels
    assert sum(place.in_channels * place.out_channels for place in places) == 14_565_376
    for family in FAMILIES:
        generator = Generator(family=family)
        best = 1e9
        for _ in range(3):  # the machine may be busy
            start = time.process_time()
            for place in places:
                ternary_matrix(
                    1, place.name, place.out_channels, place.in_channels, 0.25, generator
                )
            best = min(best, time.process_time() - start)
            if best < 1:
                break
        assert best < 1, f"{family}: {best:.2f} s"


# --- Sobol' paths


def test_sobol_paths_are_spread_evenly() -> None:
    # The definition's own claim: of any B outputs from a multiple of B on, each input sees one.
    for density, seed in itertools.product((0.5, 0.25, 0.125, 1 / 16), range(5)):
        block = round(1 / density)
        generator = Generator(family="sobol")
        family = find_family(generator)
        state = start_state(seed, "a", generator)
        output = int("".join(map(str, state[32:48])), 2)
        matrix = family.matrix(generator, density, state, 64 + block, 64)
        begin = -output % block
        aligned = matrix[begin : begin + 64] != 0
        per_input = aligned.reshape(-1, block, 64).sum(axis=1)
        assert np.all(per_input == 1)
        assert np.all(aligned.sum(axis=1) == 64 * density)


@pytest.mark.parametrize("density", [0.5, 0.25, 0.125])
def test_sobol_rows_differ_and_have_full_rank(density: float) -> None:
    for seed in range(10):
        matrix = ternary_matrix(seed, "a", 64, 64, density, Generator(family="sobol"))
        assert len({row.tobytes() for row in matrix != 0}) > 32
        assert np.linalg.matrix_rank(matrix.astype(float)) >= 63


# --- what is refused


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"family": "lsfr"},
            "family must be one of lfsr_threshold, lfsr_and, one_hot, "
            "counter_arx, sobol, not 'lsfr'",
        ),
        (
            {"family": "one_hot", "threshold_bits": 7},
            "threshold_bits must be left out for family "
            "one_hot (it is of counter_arx, lfsr_threshold), not 7",
        ),
        (
            {"family": "sobol", "taps": (89, 51)},
            "taps must be left out for family sobol (it is of "
            "lfsr_and, lfsr_threshold, one_hot), not [89, 51]",
        ),
        ({"threshold_bits": 0}, "threshold_bits must be from 1 to 16, not 0"),
        ({"threshold_bits": 17}, "threshold_bits must be from 1 to 16, not 17"),
        ({"shift": -1}, "shift must be from 0 to 64, not -1"),
        (
            {"taps": (127,)},
            "taps must be two or more numbers from 4096 down to 1, each smaller "
            "than the one before, not [127]",
        ),
        (
            {"taps": (97, 127)},
            "taps must be two or more numbers from 4096 down to 1, each smaller "
            "than the one before, not [97, 127]",
        ),
        (
            {"taps": (16, 11)},
            "taps must be at least 61 state bits long: a register of 16 bits repeats "
            "after 2^16 - 1 bits, within one network (set override to accept), not [16, 11]",
        ),
        (
            {"taps": (127, 126, 125, 120)},
            "taps must be two: where more taps stand side by side, "
            "the sign of an entry follows from its neighbours' (set override to accept), "
            "not [127, 126, 125, 120]",
        ),
        (
            {"taps": (64, 33)},
            "taps must be of a register whose period is prime: 2^64 - 1 is not; "
            "lengths are 61, 89, 107, 127, 521, 607, 1279 (set override to accept), not [64, 33]",
        ),
        (
            {"taps": (127, 96)},
            "taps must be of an irreducible polynomial such as [89, 51] or "
            "[127, 97] or [521, 353] or [607, 460] (set override to accept), not [127, 96]",
        ),
        (
            {"family": "counter_arx", "rounds": 4},
            "rounds must be at least 6: with fewer, "
            "neighbouring counters give trits that follow one another (set override to accept), "
            "not 4",
        ),
        ({"family": "sobol", "rounds": 0}, "rounds must be from 1 to 32, not 0"),
        (
            {"family": "sobol", "signs": "balanced"},
            "signs must be left out for family sobol (it is of one_hot), not 'balanced'",
        ),
        (
            {"family": "one_hot", "signs": "even"},
            "signs must be random or balanced, not 'even'",
        ),
    ],
)
def test_bad_parameters_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Generator(**fields)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_overriding_accepts_what_is_only_bad() -> None:
    for fields in ({"taps": (16, 11)}, {"taps": (64, 63, 61, 60)}, {"taps": (127, 96)}):
        assert Generator(**fields, override=True).taps == fields["taps"]
    Generator(family="counter_arx", rounds=4, override=True)
    with pytest.raises(InvalidInput):
        Generator(taps=(97, 127), override=True)


@pytest.mark.parametrize(
    ("generator", "density", "columns", "message"),
    [
        (
            Generator(shift=1),
            0.25,
            None,
            "shift must be 0 or at least 9, the bits of an entry, not "
            "1: entries that share bits are correlated, and rows die (set override to accept)",
        ),
        (
            Generator(taps=(127, 126)),
            0.25,
            None,
            "taps [127, 126] lie 1 bits apart, within the 9 bits of an entry: entries a fixed "
            "distance apart are correlated; use taps further apart "
            "(set override to accept)",
        ),
        (Generator(taps=(89, 51), threshold_bits=16), 0.25, None, ""),
        (
            Generator(family="lfsr_and"),
            0.3,
            None,
            "density must be 1/2^j for generator lfsr_and, not 0.3: the nearest are 0.25 and 0.5",
        ),
        (
            Generator(family="lfsr_and"),
            2.0**-20,
            None,
            "density must be at least 1/2^16 for generator lfsr_and, not 9.5367431640625e-07",
        ),
        (
            Generator(family="counter_arx", threshold_bits=7),
            0.1,
            None,
            "density must be n/128 for "
            "generator counter_arx with 7 threshold bits, not 0.1: the nearest are 0.09375 and "
            "0.1015625",
        ),
        (
            Generator(family="sobol"),
            0.375,
            None,
            "density must be 1/B with B a power of two for "
            "generator sobol, not 0.375: the nearest are 0.25 and 0.5",
        ),
        (
            Generator(family="sobol"),
            0.125,
            20,
            "generator sobol at density 0.125 needs blocks of 8 "
            "inputs, which do not divide 20 channels: change density or channels",
        ),
        (
            Generator(family="one_hot"),
            1 / 64,
            48,
            "generator one_hot at density 0.015625 makes one "
            "non-zero entry in 64 inputs, but there are 48: use a density of 1/32 or more",
        ),
        (
            BALANCED,
            1 / 16,
            16,
            "balanced signs of generator one_hot at density 0.0625 need two non-zero entries or "
            "more in a row, and 16 inputs have one: use a higher density or random signs",
        ),
        (
            dataclasses.replace(BALANCED, tile=(4, 12)),
            0.25,
            None,
            "balanced signs of generator one_hot at density 0.25 need pairs of blocks, 8 inputs, "
            "which do not divide the 12 columns of a tile: change density, tile or signs",
        ),
        (
            dataclasses.replace(BALANCED, tile=(4, 8)),
            0.25,
            20,
            "balanced signs of generator one_hot at density 0.25 in tiles of 8 columns need pairs "
            "of blocks, 8 inputs, which do not divide 20 channels: change density, channels, tile "
            "or signs",
        ),
        (
            # The second of two blocks shows the sign bit of the first, 32 bits before its own:
            # 30 before one of its places.
            dataclasses.replace(BALANCED, shift=32),
            0.25,
            None,
            "taps [127, 97] lie 30 bits apart, within the 32 bits of an entry: entries a fixed "
            "distance apart are correlated; use taps further apart (set override to accept)",
        ),
        (Generator(family="one_hot", shift=32), 0.25, None, ""),
    ],
)
def test_what_a_family_cannot_make_is_refused(
    generator: Generator, density: float, columns: int | None, message: str
) -> None:
    if not message:
        check_density(density, generator, columns)
        return
    with pytest.raises(InvalidInput) as caught:
        check_density(density, generator, columns)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("family", "entries", "message"),
    [
        ("one_hot", 6, "one_hot goes on by whole blocks of 4 entries, not by 6"),
        (
            BALANCED,
            12,
            "one_hot with balanced signs goes on by whole pairs of blocks, 8 entries, not by 12",
        ),
        ("counter_arx", 3, "counter_arx goes on by whole words of 2 entries, not by 3"),
        ("sobol", 100, "sobol goes on by whole rows of 64 entries, not by 100"),
    ],
)
def test_a_jump_into_the_middle_is_refused(
    family: str | Generator, entries: int, message: str
) -> None:
    generator = as_generator(family)
    with pytest.raises(InvalidInput) as caught:
        find_family(generator).jump(generator, 0.25, start_state(1, "a", generator), entries, 64)
    assert str(caught.value) == message


def test_irreducible_but_adjacent_taps_are_refused_by_where_they_lie() -> None:
    # x^127 + x + 1 is irreducible, yet its taps 127 and 126 fall into the bits of one entry.
    assert is_irreducible((127, 126))
    generator = dataclasses.replace(Generator(), taps=(127, 126), override=True)
    check_density(0.25, generator)
