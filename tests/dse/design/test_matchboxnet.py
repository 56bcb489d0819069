from functools import partial

import pytest

from dse.design.families.matchboxnet import MATCHBOXNET, matchboxnet
from dse.design.families.residual import kinds_used
from dse.design.mixer import IDENTITY
from dse.design.published import PUBLISHED, published, published_values
from dse.errors import InvalidDesign
from dse.networks.lowering import lower
from dse.ternary.generators import FAMILIES


def test_per_block_values_override_the_common_one() -> None:
    point = matchboxnet(
        {"blocks": 2, "channels": 32, "channels_b2": 48, "kernel_b2": 21, "repeats_b1": 3}
    )
    first, second = point.blocks[1], point.blocks[2]
    assert (first.out_channels, first.kernel_size, first.repeats) == (32, 13, 3)
    assert (second.out_channels, second.kernel_size, second.repeats) == (48, 21, 1)


def test_skip_rules() -> None:
    # B1 turns 128 channels into 64, B2 keeps 64.
    kinds = {
        rule: [block.skip and block.skip.kind for block in matchboxnet({"skip": rule}).blocks[1:3]]
        for rule in ("dense", "ternary", "identity_or_dense", "identity_or_ternary", "none")
    }
    assert kinds == {
        "dense": ["dense", "dense"],
        "ternary": ["ternary", "ternary"],
        "identity_or_dense": ["dense", "identity"],
        "identity_or_ternary": ["ternary", "identity"],
        "none": [None, None],
    }


def test_dropping_the_norm_of_identity_skips_gives_the_count_derived_for_it() -> None:
    # 77,214 less the two 64x64 skips and their norms (2 * 4,096 + 2 * 128), and less B1's (128).
    point = matchboxnet({"skip": "identity_or_dense", "skip_norm": False})
    count = lower(point, frames=128, outputs=30).trained_parameters
    assert count == 77_214 - 2 * 4096 - 3 * 128


def test_a_strided_block_of_equal_width_has_no_identity_skip() -> None:
    point = matchboxnet({"skip": "identity_or_ternary", "stride_b2": 2})
    assert point.blocks[2].skip is not None and point.blocks[2].skip.kind == "ternary"
    assert point.blocks[3].skip == IDENTITY


def test_policy_equals_the_places_that_it_stands_for() -> None:
    by_policy = matchboxnet({"policy": "P3", "density": 0.5})
    by_place = matchboxnet(
        {
            "block_mixer": "ternary",
            "skip": "identity_or_ternary",
            "prologue_mixer": "ternary",
            "epilogue_mixer": "ternary",
            "density": 0.5,
        }
    )
    assert by_policy.key == by_place.key


def test_seed_is_part_of_the_design_only_where_something_is_ternary() -> None:
    assert matchboxnet({"ternary_seed": 5}).key == matchboxnet({}).key
    ternary = {"policy": "P1"}
    assert matchboxnet({**ternary, "ternary_seed": 5}).key != matchboxnet(ternary).key
    used = partial(kinds_used, MATCHBOXNET)
    assert used({"skip_b2": "ternary"}) == {"ternary"}
    assert not used({"skip": "dense"}) and not used({"policy": "P0"})
    assert used({"skip": "identity_or_ttq", "final_mixer": "bitnet"}) == {"ttq", "bitnet"}
    assert used({"policy": "P2", "policy_mixer": "monarch"}) == {"monarch"}


def test_parameters_matter_to_the_generators_that_have_them() -> None:
    def key(**values: int | float | str) -> str:
        return matchboxnet({"policy": "P1", "density": 0.25} | values).key

    plain = {family: key(generator=family) for family in FAMILIES}
    assert len(set(plain.values())) == len(FAMILIES)
    matter = {
        "state_bits": (521, {"lfsr_threshold", "lfsr_and", "one_hot"}),
        "threshold_bits": (12, {"lfsr_threshold", "counter_arx"}),
        "rounds": (8, {"counter_arx", "sobol"}),
        "signs": ("balanced", {"one_hot"}),
    }
    for axis, (value, families) in matter.items():
        for family in FAMILIES:
            changed = key(**{"generator": family, axis: value}) != plain[family]
            assert changed == (family in families), (axis, family)
            values: dict[str, int | float | str | bool] = {"policy": "P1", "generator": family}
            assert MATCHBOXNET.matters(axis, values) == (family in families), (axis, family)
            assert not MATCHBOXNET.matters(axis, {"policy": "P0", "generator": family})


def test_names_of_the_literature() -> None:
    for name in PUBLISHED:
        assert published(name).name == name
        assert published(f"{name}-P2").name == f"{name}-P2"
    assert matchboxnet({"policy": "P2"}, name="mine").name == "mine"
    assert published("matchboxnet-3x1x64-P0").key == published("matchboxnet-3x1x64").key
    assert published_values("quartznet-5x5", MATCHBOXNET) is None
    with pytest.raises(InvalidDesign, match=r"there is no published network 'matchbox': use"):
        published("matchbox")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"policy": "P1", "skip": "dense"}, "leave out either 'policy' or 'skip'"),
        ({"skip": "conv"}, "'skip' must be one of dense, ternary, scaled_ternary"),
        ({"blocks": 1.5}, "'blocks' must be a whole number, not 1.5"),
        ({"blocks": True}, "'blocks' must be a whole number, not True"),
        ({"blocks": 99}, "'blocks' must be at most 32, not 99"),
        ({"skip_norm": 1}, "'skip_norm' must be one of true, false, not 1"),
        ({"prologue_kernel_b1": 3}, "'prologue_kernel' is one value for the whole network"),
        ({"channels_b0": 3}, "there is no axis 'channels_b0'"),
        (
            {"policy": "P1", "generator": "one_hot", "density": 0.125, "channels": 20},
            "needs blocks of 8 inputs, which do not divide 20 channels",
        ),
        ({"generator": "mersenne"}, "'generator' must be one of lfsr_threshold, lfsr_and, one_hot"),
        ({"state_bits": 64}, "'state_bits' must be one of 89, 127, 521, 607, not 64"),
    ],
)
def test_bad_values_are_refused(values: dict[str, int | float | str | bool], message: str) -> None:
    with pytest.raises(InvalidDesign) as caught:
        matchboxnet(values)
    assert message in str(caught.value)
