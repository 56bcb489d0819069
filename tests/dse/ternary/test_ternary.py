"""The generator's reference model: bits against a naive recurrence, then what follows from them."""

import hashlib

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dse.design.published import published
from dse.errors import InvalidDesign
from dse.networks.network import build_network
from dse.networks.ternary_convolution import TernaryConv1d
from dse.ternary.generators import Generator
from dse.ternary.generators.shift_register import lfsr_bits
from dse.ternary.matrix import check_density, count_nonzeros, start_state, ternary_matrix

STATE_BITS = 127

DENSITIES = (0.5, 0.25, 0.125, 0.0625, 0.03125)


def naive_bits(state: list[int], count: int) -> list[int]:
    """One bit at a time, as the shift register makes them."""
    bits = list(state)
    for _ in range(count):
        bits.append(bits[-127] ^ bits[-97])
    return bits[len(state) :]


def naive_state(seed: int, layer: str) -> list[int]:
    digest = int.from_bytes(hashlib.sha256(f"ternary-dse/{seed}/{layer}".encode()).digest(), "big")
    return [digest >> (255 - place) & 1 for place in range(127)]


# --- the stream of bits


def test_a_start_state_is_the_first_127_bits_of_a_hash() -> None:
    state = start_state(3, "B2.1.pw")
    assert state.dtype == np.uint8 and state.tolist() == naive_state(3, "B2.1.pw")


def test_small_streams_follow_from_the_recurrence_by_hand() -> None:
    # Only the oldest bit is 1. bit[127] = bit[0] ^ bit[30] = 1; the next that sees a 1 is
    # bit[127 + 97] = bit[97] ^ bit[127] = 1, then bit[254] = bit[127] ^ bit[157] = 1.
    state = np.zeros(STATE_BITS, dtype=np.uint8)
    state[0] = 1
    ones = np.flatnonzero(lfsr_bits(state, 200)) + STATE_BITS
    assert ones.tolist() == [127, 224, 254, 321]


@pytest.mark.parametrize("count", [0, 1, 96, 97, 98, 127, 128, 500, 20_000])
def test_many_bits_at_a_time_equal_one_bit_at_a_time(count: int) -> None:
    bits = lfsr_bits(start_state(1, "a"), count)
    assert bits.shape == (count,) and bits.dtype == np.uint8
    assert bits.tolist() == naive_bits(naive_state(1, "a"), count)


@settings(deadline=None)
@given(st.integers(0, 2**127 - 1), st.integers(0, 700), st.integers(0, 700))
def test_a_stream_goes_on_where_it_stopped(number: int, first: int, second: int) -> None:
    state = np.array([number >> place & 1 for place in range(127)], dtype=np.uint8)
    whole = lfsr_bits(state, first + second)
    history = np.concatenate([state, whole[:first]])[-STATE_BITS:]
    assert np.array_equal(lfsr_bits(history, second), whole[first:])


def test_no_state_is_all_zero() -> None:
    assert all(start_state(seed, "a").any() for seed in range(1000))


def test_the_period_is_2_to_the_127_minus_1() -> None:
    # The recurrence's polynomial x^127 + x^30 + 1 over GF(2), as a number. It has no root, and
    # x^(2^127) = x modulo it; 127 is prime, so it is irreducible. 2^127 - 1 is prime as well
    # (Lucas-Lehmer), so x, which is not 1, has that order: the longest period there is.
    polynomial = 1 << 127 | 1 << 30 | 1

    def square(value: int) -> int:
        product = 0
        for place in range(value.bit_length()):
            product |= (value >> place & 1) << (2 * place)
        while product.bit_length() > 127:
            product ^= polynomial << (product.bit_length() - 128)
        return product

    value = 0b10
    for _ in range(127):
        value = square(value)
    assert value == 0b10
    assert polynomial.bit_count() % 2 == 1  # x = 1 is no root; nor is x = 0
    mersenne, residue = 2**127 - 1, 4
    for _ in range(125):
        residue = (residue * residue - 2) % mersenne
    assert residue == 0


# --- from bits to a matrix


def test_iid_entries_take_eight_bits_and_a_sign_in_row_major_order() -> None:
    rows, columns = 5, 7
    bits = naive_bits(naive_state(1, "B1.0.pw"), rows * columns * 9)
    expected = []
    for entry in range(rows * columns):
        *number, sign = bits[9 * entry : 9 * entry + 9]
        u = int("".join(map(str, number)), 2)
        expected.append(0 if u >= 96 else -1 if sign else 1)  # 96 / 256 = 0.375
    matrix = ternary_matrix(1, "B1.0.pw", rows, columns, 0.375)
    assert matrix.dtype == np.int8
    assert matrix.tolist() == np.reshape(expected, (rows, columns)).tolist()


def test_one_hot_blocks_take_the_place_and_a_sign_in_row_major_order() -> None:
    rows, columns = 3, 16
    bits = naive_bits(naive_state(1, "B1.skip"), rows * columns // 8 * 4)
    expected = [0] * (rows * columns)
    for block in range(rows * columns // 8):
        a, b, c, sign = bits[4 * block : 4 * block + 4]
        expected[8 * block + 4 * a + 2 * b + c] = -1 if sign else 1
    matrix = ternary_matrix(1, "B1.skip", rows, columns, 0.125, "one_hot")
    assert matrix.tolist() == np.reshape(expected, (rows, columns)).tolist()


@pytest.mark.parametrize(("density", "rule"), [(1.0, "one_hot"), (1.0, "lfsr_threshold")])
def test_density_1_leaves_only_signs(density: float, rule: str) -> None:
    assert np.all(np.abs(ternary_matrix(1, "a", 4, 4, density, rule)) == 1)


@pytest.mark.parametrize("rule", ["lfsr_threshold", "one_hot"])
def test_a_taller_matrix_starts_with_the_smaller_one(rule: str) -> None:
    # And so the number of lanes that work at a time, or the number of rows made, changes nothing.
    tall = ternary_matrix(5, "a", 64, 32, 0.25, rule)
    for rows in (1, 2, 7, 63):
        assert np.array_equal(ternary_matrix(5, "a", rows, 32, 0.25, rule), tall[:rows])


def test_seeds_and_layers_have_matrices_of_their_own() -> None:
    def matrix(seed: int, layer: str) -> bytes:
        return ternary_matrix(seed, layer, 16, 16, 0.5).tobytes()

    different = {matrix(seed, layer) for seed in range(4) for layer in ("B1.0.pw", "B1.1.pw", "a")}
    assert len(different) == 12
    assert matrix(1, "a") == matrix(1, "a")


@pytest.mark.parametrize(
    ("arguments", "digest"),
    [
        (
            (1, "Conv1.0.pw", 128, 64, 0.25, "lfsr_threshold"),
            "5253d256c7de003007530144cb99f44a68627e75541a95b6016379a5e8afece3",
        ),
        (
            (1, "B1.0.pw", 64, 128, 0.125, "lfsr_threshold"),
            "237a97d889a03cbe75a3ee93e772a2badc90007013a4d81d718b6a84c6bb0220",
        ),
        (
            (2026, "B3.skip", 64, 64, 0.37890625, "lfsr_threshold"),
            "97af05bddc27e8ca84eee40223a865adfd6cc7aede01fd50c087fcf58636acb7",
        ),
        (
            (1, "B2.1.pw", 64, 64, 0.125, "one_hot"),
            "be01ba25dddaa86beee9a6ba3b74aaa8768248750b473c5aecef03ffadce96c8",
        ),
        (
            (-5, "C3.0.pw", 1024, 512, 0.03125, "one_hot"),
            "925f9f996596dab78b22b65e27c416280f3d784195c532177ea3eb2673b23995",
        ),
    ],
)
def test_every_machine_makes_the_same_matrix(
    arguments: tuple[int, str, int, int, float, str], digest: str
) -> None:
    # Trained networks depend on these bytes. Never refresh them: a change breaks every checkpoint.
    assert hashlib.sha256(ternary_matrix(*arguments).tobytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("density", "rule", "message"),
    [
        (0.0, "lfsr_threshold", "density must be in (0, 1], not 0.0"),
        (1.5, "lfsr_threshold", "density must be in (0, 1], not 1.5"),
        (float("nan"), "lfsr_threshold", "density must be in (0, 1], not nan"),
        (
            0.1,
            "lfsr_threshold",
            "density must be n/256 for generator lfsr_threshold with 8 threshold bits, not 0.1: "
            "the nearest are 0.09765625 and "
            "0.1015625",
        ),
        (
            0.001,
            "lfsr_threshold",
            "density must be n/256 for generator lfsr_threshold with 8 threshold bits, not 0.001: "
            "the nearest is 0.00390625",
        ),
        (
            0.3,
            "one_hot",
            "density must be 1/B with B a power of two for generator one_hot, not 0.3: the nearest "
            "are 0.25 and 0.5",
        ),
        (
            0.75,
            "one_hot",
            "density must be 1/B with B a power of two for generator one_hot, not 0.75: the "
            "nearest are 0.5 and 1.0",
        ),
    ],
)
def test_a_density_that_cannot_be_made_is_refused(density: float, rule: str, message: str) -> None:
    with pytest.raises(InvalidDesign) as caught:
        ternary_matrix(1, "a", 8, 8, density, rule)
    assert str(caught.value) == message


def test_the_densities_that_a_message_offers_can_be_made() -> None:
    offered = 0
    for density in np.linspace(0.001, 0.999, 97):
        for rule in ("lfsr_threshold", "one_hot"):
            try:
                check_density(float(density), rule)
            except InvalidDesign as error:
                for word in str(error).rpartition("nearest ")[2].split():
                    if word[0].isdigit():
                        check_density(float(word), rule)
                        offered += 1
    assert offered > 97 * 2  # about two for each of both rules


@pytest.mark.parametrize("density", [5e-324, 2.0**-1030, 2.0**-60])
def test_a_block_larger_than_the_matrix_is_refused(density: float) -> None:
    with pytest.raises(
        InvalidDesign, match=r"inputs, but there are 64: use a density of 1/64 or more"
    ):
        check_density(density, "one_hot", 64)


# --- statistics, each against what independent entries would give (4 to 5 standard errors)


def normal_deviation(count: float, trials: int, probability: float) -> float:
    """How many standard errors a count is away from its expectation."""
    variance = trials * probability * (1 - probability)
    return abs(count - trials * probability) / float(variance**0.5)


@pytest.mark.parametrize("density", [*DENSITIES, 1 / 256, 97 / 256, 255 / 256])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_density_and_signs_are_those_of_independent_entries(density: float, size: int) -> None:
    matrix = ternary_matrix(1, f"{size}", size, size, density)
    nonzeros = int(np.count_nonzero(matrix))
    assert normal_deviation(nonzeros, size * size, density) < 4
    assert normal_deviation(np.count_nonzero(matrix == -1), nonzeros, 0.5) < 4
    assert count_nonzeros(1, f"{size}", size, size, density, Generator()) == nonzeros


@pytest.mark.parametrize("density", [0.5, 0.25, 0.125, 0.03125])
def test_one_hot_has_exact_fan_in_and_no_dead_rows(density: float) -> None:
    matrix = ternary_matrix(1, "a", 64, 64, density, "one_hot")
    assert np.all(np.count_nonzero(matrix, axis=1) == 64 * density)
    block = round(1 / density)
    assert np.all(np.count_nonzero(matrix.reshape(-1, block), axis=1) == 1)
    nonzeros = int(64 * 64 * density)
    assert count_nonzeros(1, "a", 64, 64, density, Generator(family="one_hot")) == nonzeros
    assert normal_deviation(np.count_nonzero(matrix == -1), nonzeros, 0.5) < 4


@pytest.mark.parametrize("density", [0.0625, 0.03125])
def test_iid_leaves_as_many_dead_rows_as_independent_entries(density: float) -> None:
    # A row of 64 is empty with probability (1 - d)^64: 1.6 % at 1/16, 13.1 % at 1/32. Generators
    # with overlapping windows leave 56 % at 1/16.
    rows = 64 * 200
    dead = sum(
        int(np.sum(~ternary_matrix(1, f"layer{index}", 64, 64, density).any(axis=1)))
        for index in range(200)
    )
    assert normal_deviation(dead, rows, (1 - density) ** 64) < 4


def largest_correlation(values: npt.NDArray[np.float64], lags: int) -> float:
    """Of a stream with itself, over lags 1..lags, in standard errors."""
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    return max(
        abs(float(np.mean(centred[lag:] * centred[:-lag]))) / variance * (len(values) - lag) ** 0.5
        for lag in range(1, lags + 1)
    )


@pytest.mark.parametrize("density", DENSITIES)
def test_entries_are_uncorrelated_at_all_small_lags(density: float) -> None:
    # 300 lags of 65,536 entries: 4.5 standard errors happen by chance once in 500 such tests, and
    # this is one fixed matrix. Adjacent taps and overlapping windows give 20 to 30.
    matrix = ternary_matrix(1, "a", 256, 256, density).ravel()
    assert largest_correlation(np.abs(matrix).astype(float), 300) < 4.5
    assert largest_correlation(matrix.astype(float), 300) < 4.5


@pytest.mark.parametrize("density", [0.5, 0.25, 0.125])
def test_matrices_have_full_rank(density: float) -> None:
    # Overlapping windows leave rank 14 of 64 (at 1/16).
    assert np.linalg.matrix_rank(ternary_matrix(1, "a", 64, 64, density).astype(float)) == 64


def test_matrices_of_two_layers_are_uncorrelated() -> None:
    one, other = (ternary_matrix(1, name, 256, 256, 0.5).astype(float) for name in ("a", "b"))
    assert abs(np.mean(one * other)) / 0.5 * 256 < 4


# --- the layer in torch


def layer(stride: int = 1) -> TernaryConv1d:
    return TernaryConv1d(
        12, 8, density=0.25, generator=Generator(), seed=3, layer="B1.skip", stride=stride
    )


def test_the_layers_weight_is_the_matrix() -> None:
    weight = layer().weight
    assert weight.shape == (8, 12, 1) and weight.dtype == torch.float32
    expected = ternary_matrix(3, "B1.skip", 8, 12, 0.25)
    assert np.array_equal(weight[:, :, 0].numpy(), expected)


def test_the_layer_has_nothing_to_train_and_nothing_to_store() -> None:
    assert list(layer().parameters()) == []
    assert layer().state_dict() == {}
    network = build_network(published("matchboxnet-3x1x64-P4"), 30)
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_678
    ternary = [module for module in network.modules() if isinstance(module, TernaryConv1d)]
    assert len(ternary) == 7 and not any("pw" in key for key in network.state_dict())


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_layer_adds_and_subtracts(stride: int) -> None:
    # Whole numbers are exact in any order of addition: a difference of two sums.
    inputs = torch.randint(-50, 50, (2, 12, 10)).float()
    matrix = ternary_matrix(3, "B1.skip", 8, 12, 0.25)
    seen = inputs[:, :, ::stride].numpy()
    for row in range(8):
        plus, minus = seen[:, matrix[row] == 1].sum(axis=1), seen[:, matrix[row] == -1].sum(axis=1)
        assert np.array_equal(layer(stride)(inputs)[:, row].numpy(), plus - minus)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_matrix_survives_every_number_format(dtype: torch.dtype) -> None:
    original = layer().weight.clone()
    moved = layer().to(dtype)
    assert moved.weight.dtype == dtype
    assert torch.equal(moved.to(torch.float32).weight, original)
    assert torch.equal(layer().to("cpu").weight, original)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_matrix_survives_a_move_to_the_gpu() -> None:
    assert torch.equal(layer().cuda().weight.cpu(), layer().weight)


def test_every_1x1_of_a_large_network_can_be_made() -> None:
    # QuartzNet-15x5 with all its matrices ternary: 17 million entries.
    network = build_network(published("quartznet-15x5-P4"), 29)
    entries = sum(
        module.weight.numel() for module in network.modules() if isinstance(module, TernaryConv1d)
    )
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_868_637
    # All pointwise matrices, C3, and the one skip between blocks of different width.
    assert entries == 13_910_016 + 512 * 1024 + 256 * 512
