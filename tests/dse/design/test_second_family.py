"""A family of this test's own goes through spaces, sampling, sweeps and lowering by its name."""

import random
from collections.abc import Mapping

import pytest

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import parse_yaml
from dse.design.families import FAMILIES
from dse.design.families.family import Axis, Family, Part, Value
from dse.design.point import Block, check_block
from dse.design.published import published_values
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile
from dse.networks.lowering import lower
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep

FRAMES, OUTPUTS, FEATURES = 30, 3, 10

# Separable blocks in a row, the first of which strides; a head at every frame; nothing ternary.
PLAIN = Family(
    name="plain",
    default="two blocks of 8 channels",
    axes={
        "blocks": Axis(default=2, maximum=4, decides=True, help="blocks in a row"),
        "width": Axis(default=8, per_block=True, help="channels of a block"),
        "kernel": Axis(default=3, odd=True, help="of every block"),
        "stride": Axis(default=1, help="of the first block"),
    },
    matters=lambda name, values: (PLAIN.split(name)[1] or 0) <= PLAIN.get(values, "blocks"),
    parts=lambda values: int(PLAIN.get(values, "blocks")) + 1,
    part=lambda values, index, in_channels: _part(values, index, in_channels),
    reach=lambda name, values: _reach(name, int(PLAIN.get(values, "blocks"))),
    head="framewise",
)


def _part(values: Mapping[str, Value], index: int, in_channels: int) -> Part:
    before = in_channels if index == 0 else PLAIN.get(values, "width", index)
    strides = (PLAIN.get(values, "stride"),) if index else ()
    if index == PLAIN.get(values, "blocks"):
        return Part("framewise", before, strides)
    block = Block(
        name=f"P{index + 1}",
        out_channels=PLAIN.get(values, "width", index + 1),
        kernel_size=PLAIN.get(values, "kernel"),
        stride=1 if index else PLAIN.get(values, "stride"),
    )
    check_block(block, before)
    return Part(block, before, strides)


def _reach(name: str, blocks: int) -> range:
    base, block = PLAIN.split(name)
    if base == "kernel":
        return range(blocks)
    return range(blocks + 1) if block is None else range(block - 1, block + 1)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "plain", PLAIN)


def space(axes: str) -> SearchSpace:
    return space_from_node(parse_yaml(f"family: plain\n{axes}", "space.yaml"), in_channels=FEATURES)


TEXT = "blocks: [1, 3]\nwidth: {values: [4, 6], per_block: true}\nkernel: [3, 5]\nstride: [1, 2]\n"


def test_it_is_read_counted_and_sampled() -> None:
    found = space(TEXT)
    assert found.family is PLAIN
    # Two widths a block, two kernels, two strides.
    assert found.size == (2 + 2**3) * 2 * 2 == len(list(found.enumerate()))
    values = found.sample(random.Random(3))
    assert found.contains(values)
    point = found.point(values, name="mine")
    assert (point.head, point.name, point.in_channels) == ("framewise", "mine", FEATURES)
    assert [block.kernel_size for block in point.blocks] == [values["kernel"]] * values["blocks"]  # type: ignore[operator]


def test_what_it_says_of_itself_is_what_a_file_says() -> None:
    found = space(TEXT)
    assert found.to_dict()["family"] == "plain"
    assert found.digest != space(TEXT.replace("[3, 5]", "[3, 7]")).digest


def test_a_sweep_of_it_equals_one_by_one() -> None:
    found = space(TEXT)
    accelerator = load_accelerator("kws_ternary")
    technology = load_technology(accelerator.technology)
    seen = 0
    machine = Machine(accelerator, technology)
    sweep = Sweep(found, Pricing((machine,), frames=FRAMES, outputs=OUTPUTS))
    for chunk in sweep.run():
        for row, digits in enumerate(chunk.digits):
            workload = lower(
                found.point(chunk.piece.values(digits)), frames=FRAMES, outputs=OUTPUTS
            )
            expected = estimate(workload, accelerator, technology).columns()
            assert {name: float(each[row]) for name, each in chunk.columns.items()} == expected
            seen += 1
    assert seen == found.size


def test_it_is_lowered_by_hand() -> None:
    values = {"blocks": 1, "width": 4, "kernel": 5, "stride": 2}
    workload = lower(PLAIN.build(values, in_channels=FEATURES), frames=FRAMES, outputs=OUTPUTS)
    # 30 frames leave 15. Depthwise 10 * 5, 1x1 10 * 4, head 4 * 3, at each of them.
    assert workload.macs == 15 * (10 * 5 + 10 * 4 + 4 * 3)


def test_it_completes_with_its_own_defaults() -> None:
    found = space("blocks: [2, 3]\nwidth: [6, 8]\nkernel: [3, 5]\n")
    assert found.complete({"kernel": 5}) == {"blocks": 2, "width": 8, "kernel": 5}
    assert found.complete({"stride": 2}) is None
    # A published network of another family is no design of this one.
    assert published_values("matchboxnet-3x1x64", PLAIN) is None


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("channels: 3", "there is no axis 'channels'; axes are blocks, width, kernel, stride"),
        ("kernel: 4", "'kernel' must be odd, not 4: use an odd low and step 2"),
        ("blocks: 5", "'blocks' must be at most 4, not 5"),
        ("width_b3: 4", "'width_b3' is of a block that no design has: blocks are at most 2"),
        ("policy: P1", "there is no axis 'policy'"),
    ],
)
def test_its_files_are_refused_in_its_own_words(axes: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        space(axes)
    assert message in str(caught.value)


def test_an_unknown_family_is_told_which_there_are() -> None:
    with pytest.raises(InvalidFile) as caught:
        space_from_node(parse_yaml("family: resnet", "space.yaml"))
    assert str(caught.value) == (
        "space.family must be one of matchboxnet, quartznet, tcresnet, dscnn, plain, or a Python "
        "file that defines a family, such as my_net.py, not 'resnet' (space.yaml:1)"
    )


def test_a_value_out_of_its_options_is_refused_at_the_point() -> None:
    with pytest.raises(InvalidDesign, match="'width_b2' must be a whole number"):
        PLAIN.build({"width_b2": 1.5})
