"""QuartzNet as a family of axes: the published counts, policies, blocks in a row, its space."""

import copy
import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.strict_yaml import parse_yaml
from dse.design.families import FAMILIES
from dse.design.families.family import Family, Part, Values
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.families.quartznet import QUARTZNET, quartznet
from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint
from dse.design.policies import POLICIES, apply_policy, make_dense
from dse.design.published import published, published_values
from dse.design.replacement import replaced_places
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile
from dse.networks.lowering import lower
from dse.networks.network import build_network


def trained(point: DesignPoint, outputs: int = 29) -> int:
    return lower(point, frames=100, outputs=outputs).trained_parameters


def space(axes: str) -> SearchSpace:
    return space_from_node(parse_yaml(f"family: quartznet\n{axes}", "space.yaml"))


# --- counts


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({}, 6_713_181),
        ({"block_repeats": 2}, 12_818_781),
        ({"block_repeats": 3}, 18_924_381),
        # NeMo's 5x3: two of five sub-blocks fewer in each block. A sub-block behind the first has
        # C K + C C + 2 C: 256 (33 + 256 + 2), 256 (39 + ...), 512 (51 + 512 + 2), ...
        (
            {"repeats": 3},
            6_713_181 - 2 * (256 * (291 + 297) + 512 * (51 + 63 + 75 + 3 * 514)),
        ),
        # Grouped 1x1 of the blocks alone: C1, C2 and skips stay dense.
        ({"block_repeats": 3, "block_mixer": "grouped", "mixer_groups": 2}, 12_108_637),
        ({"block_repeats": 3, "block_mixer": "grouped"}, 8_700_765),
        ({"block_repeats": 3, "policy": "P1", "policy_mixer": "grouped"}, 8_700_765),
        ({"policy": "P1"}, 2_256_733),
        ({"policy": "P2"}, 1_470_301),
        ({"policy": "P3"}, 1_191_773),
        ({"policy": "P4"}, 667_485),
        ({"block_repeats": 2, "policy": "P3"}, 1_792_349),
        ({"block_repeats": 3, "policy": "P4"}, 1_868_637),
        # The last six blocks, which are B4 and B5 of the paper: 1x1 of 5 * 512 * 512, skips of
        # 512 * 512.
        ({"block_repeats": 3, "policy": "half"}, 18_924_381 - 6 * 6 * 512 * 512),
        # B2 of 256 channels and B4 of 512.
        ({"policy": "alternate"}, 6_713_181 - 5 * 256**2 - 5 * 512**2),
    ],
)
def test_counts_are_the_published_and_derived_ones(values: Values, count: int) -> None:
    assert trained(quartznet(values)) == count


def test_torch_has_as_many_parameters() -> None:
    for values in ({"repeats": 2}, {"policy": "half", "block_repeats": 2, "repeats": 1}):
        network = build_network(quartznet(values), 29)
        assert sum(each.numel() for each in network.parameters()) == trained(quartznet(values))


def test_names_are_the_axes_that_they_say() -> None:
    assert published("quartznet-15x5") == quartznet({"block_repeats": 3}, name="any")
    assert published("quartznet-5x5-P2") == quartznet({"policy": "P2"})
    assert published("quartznet-5x5-half:grouped") == quartznet(
        {"policy": "half", "policy_mixer": "grouped"}
    )
    assert published_values("quartznet-10x3", QUARTZNET) == {"block_repeats": 2, "repeats": 3}
    assert published_values("quartznet-5x5", MATCHBOXNET) is None
    assert published_values("quartznet-7x5", QUARTZNET) is None
    with pytest.raises(InvalidDesign, match="there is no published network 'quartznet-7x5': use"):
        published("quartznet-7x5")


# --- blocks in a row


def test_a_block_stands_several_times_and_each_copy_has_its_axes() -> None:
    values: Values = {
        "blocks": 3,
        "block_repeats": 1,
        "block_repeats_b2": 3,
        "channels": 32,
        "channels_b2": 48,
        "kernel_b2": 5,
        "stride_b2": 2,
        "density": 0.25,
        "density_b2": 0.5,
        "block_mixer_b2": "ternary",
        "activation_bits_b3": 4,
    }
    point = quartznet(values)
    assert [block.name for block in point.blocks] == [
        "C1",
        "B1",
        "B2",
        "B3",
        "B4",
        "B5",
        "C2",
        "C3",
    ]
    assert [block.out_channels for block in point.blocks] == [256, 32, 48, 48, 48, 32, 512, 1024]
    # Kernels of blocks without one of their own are those of the paper's first and third.
    assert [block.kernel_size for block in point.blocks] == [33, 33, 5, 5, 5, 51, 87, 1]
    # Of copies the first one strides.
    assert [block.stride for block in point.blocks] == [2, 1, 2, 1, 1, 1, 1, 1]
    assert [block.mixer.density for block in point.blocks] == [None] * 2 + [0.5] * 3 + [None] * 3
    assert [block.activation_bits for block in point.blocks] == [8, 8, 8, 8, 8, 4, 8, 8]
    assert point.head == "framewise"


def test_more_blocks_than_the_paper_has_are_like_its_last() -> None:
    blocks = quartznet({"blocks": 7}).blocks
    assert [(block.kernel_size, block.out_channels) for block in blocks[5:8]] == [(75, 512)] * 3


def test_a_kernel_that_is_given_is_that_of_all_blocks_unless_it_grows() -> None:
    def kernels(**values: int) -> list[int]:
        return [block.kernel_size for block in quartznet(dict(values)).blocks[1:-2]]

    assert kernels() == [33, 39, 51, 63, 75]
    assert kernels(kernel=11) == [11] * 5
    assert kernels(kernel=11, kernel_growth=4, kernel_b3=3) == [11, 15, 3, 23, 27]
    assert not QUARTZNET.matters("kernel_growth", {"blocks": 5})
    assert QUARTZNET.matters("kernel_growth", {"blocks": 5, "kernel": 11})


# --- policies


def test_every_second_block_counts_blocks_with_a_skip() -> None:
    for point in (quartznet({"block_repeats": 2}), published("matchboxnet-6x1x64")):
        places = replaced_places("alternate", point.blocks, 64)
        names = [
            block.name for block, place in zip(point.blocks, places, strict=True) if place.main
        ]
        assert names == [f"B{number}" for number in range(2, len(point.blocks) - 2, 2)]
        assert not any(place.skip for place in places)


def test_half_is_greedy_from_the_last_block_as_derived_by_hand() -> None:
    # MatchboxNet-3x1x64 has 73,344 trained parameters before its head, and half is 36,672. B3's 1x1
    # and skip (4,096 each), B2's, and B1's (8,192 each): 40,576 are left, nearer than ever before.
    point = published("matchboxnet-3x1x64-half")
    assert trained(point, 30) == 40_576 + 129 * 30
    assert point.summary == "3x1x64 P2 0.25"
    # QuartzNet-5x5: 6,683,456 and 3,341,728. After B5 and B4 (1,572,864 each) 3,537,728 are left;
    # B3's 1x1 (1,179,648) would leave less than half by more; its skip (131,072) leaves 3,406,656;
    # not B2's 1x1 (327,680), but its skip (65,536): 3,341,120.
    point = published("quartznet-5x5-half")
    assert [(block.mixer != DENSE, block.skip != DENSE) for block in point.blocks[1:-2]] == [
        (False, False),
        (False, True),
        (False, True),
        (True, True),
        (True, True),
    ]
    assert point.blocks[2].skip == IDENTITY
    assert trained(point) == 3_341_120 + 29 * 1025
    assert point.summary == "5x5x256/512 half 0.25"


@given(
    st.lists(st.sampled_from((4, 8, 12)), min_size=1, max_size=4),
    st.integers(1, 3),
    st.booleans(),
)
@settings(deadline=None, max_examples=30)
def test_half_counts_as_lowering_does(widths: list[int], repeats: int, norm: bool) -> None:
    """What it leaves is no further from half than what any one place more or less would leave."""
    blocks = tuple(
        Block(
            name=f"B{number}",
            out_channels=width,
            kernel_size=3,
            repeats=repeats,
            skip=DENSE,
            skip_norm=norm,
        )
        for number, width in enumerate(widths)
    )
    point = DesignPoint(blocks=blocks, in_channels=8, head="framewise")
    ternary = Mixer(kind="frozen_dense")

    def left(of: DesignPoint) -> int:
        return trained(of, 1) - of.blocks[-1].out_channels - 1

    half = left(point) / 2
    found = apply_policy(point, "half", mixer=ternary)
    gap = abs(left(found) - half)
    for index, block in enumerate(found.blocks):
        for change in ("mixer", "skip"):
            now = getattr(block, change)
            other = dataclasses.replace(block, **{change: ternary if now == DENSE else DENSE})
            changed = (*found.blocks[:index], other, *found.blocks[index + 1 :])
            more = dataclasses.replace(found, blocks=changed)
            if now == DENSE:
                assert abs(left(more) - half) >= gap


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_a_policy_of_the_axes_is_the_policy_of_the_design(family: Family, policy: str) -> None:
    values: Values = {"channels": 32, "policy": policy, "policy_mixer": "frozen_dense"}
    dense = family.build({"channels": 32})
    expected = apply_policy(dense, policy, mixer=Mixer(kind="frozen_dense"))
    assert family.build(values).key == expected.key
    twin = family.build({**values, "policy_mixer": "dense"})
    assert twin.key == make_dense(expected).key


# --- reach


FEW: dict[str, list[Any]] = {
    "blocks": [1, 2, 3],
    "block_repeats": [1, 2],
    "separable": [True, False],
    "prologue_separable": [True, False],
    "policy": [*POLICIES],
    "policy_mixer": ["ternary", "grouped"],
    "block_mixer": ["dense", "ternary"],
    "skip": ["dense", "identity_or_ternary"],
    "mixer_groups": [2, 4],
    "density": [0.25, 0.5],
    "repeats": [1, 2],
    "width_percent": [50, 100],
    "channels": [8, 12],
    "kernel": [3, 5],
    "kernel_growth": [0, 2],
    "stride": [1, 2],
    "dilation": [1, 2],
    "dropout": [0.0, 0.5],
    "weight_bits": [8, 4],
    "activation_bits": [8, 4],
    "skip_norm": [True, False],
    "prologue_channels": [8, 12],
    "prologue_kernel": [3, 5],
    "prologue_stride": [1, 2],
    "epilogue_channels": [8, 12],
    "epilogue_kernel": [3, 5],
    "epilogue_dilation": [1, 2],
    "final_channels": [8, 12],
}


def parts_of(family: Family, values: Values) -> list[Part]:
    """All parts, without what no cost depends on."""
    found = [family.part(values, index, 8) for index in range(family.parts(values))]
    return [
        dataclasses.replace(part, content=dataclasses.replace(part.content, dropout=0.0))
        if isinstance(part.content, Block)
        else part
        for part in found
    ]


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_an_axis_changes_no_part_beyond_its_reach(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(list(FAMILIES.values())))
    names = [
        each
        for name in FEW
        if name in family.axes
        for each in (name, *(f"{name}_b{n}" for n in (1, 2) if family.axes[name].per_block))
    ]
    values: Values = {}
    by_policy = data.draw(st.booleans())
    for name in sorted(names, key=lambda each: list(family.axes).index(family.split(each)[0])):
        base, _ = family.split(name)
        left_out = ("block_mixer", "skip") if by_policy else ("policy", "policy_mixer")
        if base in left_out or not family.matters(name, values):
            continue
        if base in ("blocks", "channels") or data.draw(st.booleans()):
            values[name] = data.draw(st.sampled_from(FEW[base]))
    before = parts_of(family, values)
    for name, value in values.items():
        base, _ = family.split(name)
        if family.axes[base].decides:
            continue
        for other in FEW[base]:
            if other == value:
                continue
            after = parts_of(family, {**values, name: other})
            changed = {index for index, part in enumerate(before) if part != after[index]}
            assert changed <= set(family.reach(name, values)), (name, values)


# --- spaces


def test_a_space_of_it_is_read_counted_and_completed() -> None:
    found = space(
        "block_repeats: [1, 2, 3]\nrepeats: [3, 5]\npolicy: [P0, half, alternate]\n"
        "density: [0.25, 0.5]\n"
    )
    assert found.size == 3 * 2 * (1 + 2 + 2)
    assert found.family is QUARTZNET and found.to_dict()["family"] == "quartznet"
    names = ("quartznet-15x5", "quartznet-15x5-half")
    given_values = [published_values(name, QUARTZNET) for name in names]
    assert [each and found.complete(each) for each in given_values] == [
        {"block_repeats": 3, "policy": "P0", "repeats": 5},
        {"block_repeats": 3, "policy": "half", "density": 0.25, "repeats": 5},
    ]
    values = {"block_repeats": 3, "policy": "P0", "repeats": 5}
    assert found.point(values).key == published("quartznet-15x5").key


def test_one_width_for_all_blocks_does_not_contain_the_paper_s_network() -> None:
    # Its blocks have 256 and 512 channels, so 256 for all is another network.
    values = published_values("quartznet-5x5", QUARTZNET)
    assert values is not None
    assert space("channels: [256, 512]").complete(values) is None
    each = space("channels: {values: [256, 512], per_block: true}").complete(values)
    assert each == {f"channels_b{n}": width for n, width in enumerate((256, 256, 512, 512, 512), 1)}
    assert space("repeats: [5]").complete({"channels_b3": 512}) == {"repeats": 5}
    assert space("repeats: [5]").complete({"channels_b3": 256}) is None


def test_what_the_first_layer_has_too_matters_beside_blocks_of_their_own() -> None:
    text = (
        "blocks: 2\npolicy: [P1, P3]\ndensity: [0.25, 0.5]\ndensity_b1: 0.125\ndensity_b2: 0.5\n"
        "weight_bits: 4\nweight_bits_b1: 8\nweight_bits_b2: 8\n"
    )
    # Under P1 only blocks are ternary, and each has its own density; under P3 C1 and C2 are, too.
    assert space(text).size == 1 + 2
    point = quartznet(
        {"blocks": 2, "policy": "P3", "density": 0.5, "density_b1": 0.125, "density_b2": 0.25}
    )
    assert [block.mixer.density for block in point.blocks] == [0.5, 0.125, 0.25, 0.5, None]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("block_repeats: 17", "'block_repeats' must be at most 16, not 17"),
        ("block_repeats_b6: 2", "'block_repeats_b6' is of a block that no design has: blocks are"),
        ("channels: 0", "'channels' must be at least 1, not 0"),
        ("kernel: 34", "'kernel' must be odd, not 34: use an odd low and step 2"),
        ("kernel_growth: [2, 4]", "'kernel_growth' changes no design of this space: leave it out"),
        ("policy: half\nskip: none", "'policy' chooses 'skip' as well: leave out either"),
        (
            "policy: P1\ngenerator: lfsr_and\ndensity_b1: 0.3",
            "density must be 1/2^j for generator lfsr_and, not 0.3",
        ),
        ("block_repeat: 2", "there is no axis 'block_repeat' (did you mean 'block_repeats'?)"),
    ],
)
def test_bad_axes_are_refused_in_one_sentence(axes: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        space(axes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_matchboxnet_has_no_blocks_in_a_row() -> None:
    with pytest.raises(InvalidDesign, match="there is no axis 'block_repeats'"):
        MATCHBOXNET.build({"block_repeats": 2})


def test_a_family_stays_itself_in_another_process() -> None:
    for family in FAMILIES.values():
        assert pickle.loads(pickle.dumps(family)) is family
        assert copy.deepcopy(family) is family
