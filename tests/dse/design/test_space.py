import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.strict_yaml import parse_yaml
from dse.design.families.matchboxnet import AXES, matchboxnet
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidFile

EXAMPLE = """
blocks: {low: 1, high: 3}
policy: [P0, P1, P4]
density: {low: 0.0625, high: 0.5, step: 0.0625}
channels: {low: 16, high: 64, step: 16, per_block: true}
kernel: {low: 9, high: 17, step: 2}
dropout: {low: 0, high: 0.3, step: 0.1}
"""


def space(text: str) -> SearchSpace:
    return space_from_node(parse_yaml(text, "study.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(InvalidFile) as caught:
        space(text)
    return str(caught.value)


def test_size_is_what_enumeration_gives() -> None:
    # blocks 1: 3 channels; 2: 9. Policy P0 has no density: 1 + 2 * 2 = 5 choices of policy.
    small = space(
        "{blocks: [1, 2], policy: [P0, P1, P3], density: [0.25, 0.5], "
        "channels: {low: 16, high: 48, step: 16, per_block: true}}"
    )
    assert small.size == 3 * 5 + 9 * 5
    assignments = list(small.enumerate())
    assert len({str(values) for values in assignments}) == small.size
    assert all(small.contains(values) for values in assignments)


def test_seeds_and_signs_of_generated_matrices_are_searched_where_they_matter() -> None:
    found = space(
        "{policy: [P0, P1], generator: [lfsr_threshold, one_hot], signs: [random, balanced], "
        "ternary_seed: {low: 1, high: 5}}"
    )
    # Without ternary matrices none matters; seeds of both generators, signs of one_hot.
    assert found.size == 1 + 5 * (1 + 2)
    made = [found.point(values) for values in found.enumerate()]
    assert len({point.key for point in made}) == found.size
    words = Counter(point.summary for point in made)
    assert words["3x1x64 P1 one_hot balanced 0.25"] == words["3x1x64 P1 one_hot 0.25"] == 5


def test_example_has_the_size_derived_by_hand() -> None:
    # per depth: 4^blocks channels * (1 + 2 * 8 densities) * 5 kernels * 4 dropouts
    assert space(EXAMPLE).size == (4 + 16 + 64) * 17 * 5 * 4


@given(seed=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_every_sample_belongs_to_the_space_and_makes_a_network(seed: int) -> None:
    example = space(EXAMPLE)
    values = example.sample(random.Random(seed))
    assert example.contains(values)
    assert example.point(values).key == example.point(dict(reversed(values.items()))).key
    assert not example.contains({**values, "repeats": 1})
    assert not example.contains({**values, "kernel": 8})


def test_both_ends_of_every_range_are_reached() -> None:
    example, rng = space(EXAMPLE), random.Random(0)
    seen: dict[str, set[object]] = {}
    for _ in range(2000):
        for name, value in example.sample(rng).items():
            seen.setdefault(name, set()).add(value)
    assert seen["blocks"] == {1, 2, 3}
    assert seen["kernel"] == {9, 11, 13, 15, 17}
    assert seen["channels_b3"] == {16, 32, 48, 64}
    assert seen["density"] == {n / 16 for n in range(1, 9)}
    assert seen["dropout"] == {0.0, 0.1, 0.2, 0.3}


def test_a_logarithmic_axis_is_drawn_evenly_over_octaves() -> None:
    density = space("{policy: P1, density: {low: 0.0625, high: 0.5, log: true}}")
    draws = Counter(
        int(float(density.sample(random.Random(seed))["density"]) * 256).bit_length()
        for seed in range(3000)
    )
    # 16..31, 32..63 and 64..127 are an octave each: about a third of the draws.
    for octave in (5, 6, 7):
        assert 850 < draws[octave] < 1150


def test_inactive_axes_are_left_out() -> None:
    example = space(EXAMPLE)
    for seed in range(200):
        values = example.sample(random.Random(seed))
        assert ("density" in values) == (values["policy"] != "P0")
        present = {name for name in values if name.startswith("channels_b")}
        assert present == {f"channels_b{n}" for n in range(1, int(values["blocks"]) + 1)}


def test_complete_places_a_published_network() -> None:
    example = space(EXAMPLE)
    completed = example.complete({"blocks": 3, "repeats": 1, "channels": 64})
    assert completed is not None and example.contains(completed)
    assert completed["policy"] == "P0" and completed["channels_b3"] == 64
    published = matchboxnet({"blocks": 3})
    assert example.point({**completed, "dropout": 0.0}).key == published.key
    assert example.complete({"blocks": 3, "repeats": 2, "channels": 64}) is None  # not in here
    assert example.complete({"blocks": 6, "repeats": 1, "channels": 64}) is None
    policy = example.complete({"blocks": 2, "policy": "P4", "density": 0.25, "channels": 32})
    assert policy is not None and policy["density"] == 0.25


def test_digest_follows_the_content() -> None:
    assert space(EXAMPLE).digest == space(EXAMPLE).digest
    assert space(EXAMPLE).digest != space(EXAMPLE.replace("high: 17", "high: 19")).digest


def test_default_of_every_axis_is_matchboxnet_3x1x64() -> None:
    point = matchboxnet(
        {name: axis.default for name, axis in AXES.items() if name not in ("policy",)}
    )
    assert point.key == matchboxnet({}).key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chanels: 3", "there is no axis 'chanels'"),
        (
            "channels: {low: 64, high: 16}",
            "'channels' is an empty range: low 64 is above high 16 (study.yaml:1)",
        ),
        (
            "channels: {low: 16, high: 100, step: 16}",
            "'channels' never reaches its high end 100 from 16 in steps of 16: use 96 or 112",
        ),
        ("kernel: 4", "'kernel' must be odd, not 4"),
        ("channels: []", "'channels' has no values: list at least one"),
        (
            f"channels: {[*range(1, 10_002)]}",
            "'channels' has more than 10,000 values: list fewer",
        ),
        ('density: "0.25"', "'density' must be a number, not '0.25'"),
        ("density: true", "'density' must be a number, not True"),
        ("density: abc", "'density' must be a number, not 'abc'"),
        ("density: [[0.25]]", "'density' must be a number, not [0.25]"),
        ("channels: [16, 16]", "'channels' lists a value twice"),
        ("policy: [P7]", "'policy' must be one of P0, P1, P2, P3, P4, alternate, half, not 'P7'"),
        (
            "{policy: P1, skip: dense}",
            "'policy' chooses 'skip' as well: leave out either 'policy' or 'skip'",
        ),
        ("{policy: P1, density: 0.3}", "the nearest are 0.296875 and 0.300781"),
        ("{policy: P1, density: {low: 0.1, high: 0.5}}", "density: low must be n/256"),
        (
            "{policy: P1, generator: [lfsr_threshold, one_hot], density: [0.25, 0.375]}",
            "density must be 1/B with B a power of two for generator one_hot, not 0.375: the "
            "nearest are 0.25 and 0.5 (or leave out one_hot)",
        ),
        (
            "{policy: P1, generator: [lfsr_threshold, lfsr_and], density: 0.75}",
            "density must be 1/2^j for generator lfsr_and, not 0.75: the nearest are 0.5 and 1.0",
        ),
        (
            "{policy: P1, threshold_bits: [4, 8], density: 0.15625}",
            "density must be n/16 for generator lfsr_threshold with 4 threshold bits, not 0.15625",
        ),
        (
            "{policy: P1, generator: counter_arx, rounds: [4, 6]}",
            "rounds must be at least 6: with fewer, neighbouring counters give trits",
        ),
        (
            "{policy: P1, generator: one_hot, signs: [random, even]}",
            "'signs' must be one of random, balanced, not 'even'",
        ),
        (
            "{policy: P1, generator: one_hot, signs: balanced, matrix_order: 4x12}",
            "need pairs of blocks, 8 inputs, which do not divide the 12 columns of a tile",
        ),
        ("threshold_bits: 17", "threshold_bits must be from 1 to 16, not 17"),
        ("{policy: P1, fan_in: iid}", "there is no axis 'fan_in'; axes are blocks, policy"),
        ("dropout: {low: 0, high: 0.3}", "'dropout' needs a step"),
        ("dropout: 1.5", "dropout must be in [0, 1), not 1.5"),
        ("prologue_kernel: {low: 3, high: 9, step: 2, per_block: true}", "cannot be per_block"),
        ("blocks: {low: 0, high: 3}", "'blocks' must be at least 1, not 0"),
        ("channels: {low: 1.5, high: 3}", "'channels' takes whole numbers"),
        ("channels: {low: 1, high: 8, log: true, step: 2}", "cannot have both log and step"),
        ("{blocks: [1, 2], channels_b3: 8}", "'channels_b3' is of a block that no design has"),
        (
            "{blocks: 2, channels_b2: 8, channels: {values: [8, 16], per_block: true}}",
            "'channels_b2' has no effect beside 'channels' with per_block, which gives block 2 its",
        ),
        (
            "{blocks: [1, 2], channels: 16, channels_b1: 8, channels_b2: 8}",
            "'channels' has no effect beside 'channels_b1' to 'channels_b2', which give all 2",
        ),
        (
            "{blocks: 2, kernel: {values: [3, 5], per_block: true}, kernel_growth: [0, 2]}",
            "'kernel_growth' has no effect where each block has its own 'kernel': leave it out",
        ),
        ("{blocks: 3, kernel_b2: 3, kernel_b3: 5, kernel_growth: 4}", "'kernel_growth' has no"),
        ("policy: {values: [P1, P2], log: true}", "'policy' cannot be logarithmic: log needs"),
        (
            "family: resnet",
            "space.family must be one of matchboxnet, quartznet, tcresnet, dscnn, or a Python file",
        ),
        ("channels: {low: 1, hihg: 8}", "unknown key 'channels.hihg': did you mean 'high'?"),
    ],
)
def test_bad_axes_are_refused_in_one_sentence(text: str, message: str) -> None:
    assert message in refusal(text)
    assert "study.yaml:1" in refusal(text)
