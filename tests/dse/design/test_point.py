from pathlib import Path
from typing import Any

import pytest

from cost_models.errors import InvalidFile, InvalidInput
from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.design.families.matchboxnet import matchboxnet
from dse.design.mixer import DENSE, IDENTITY, Mixer
from dse.design.point import Block, DesignPoint, point_from_node
from dse.design.published import published
from dse.ternary.generators import Generator

TERNARY = Mixer(kind="ternary", density=0.25, generator=Generator(family="one_hot"))


def block(**fields: Any) -> Block:
    return Block(**({"name": "B1", "out_channels": 8, "kernel_size": 3} | fields))


def read(text: str) -> DesignPoint:
    return point_from_node(parse_yaml(text, "design.yaml"))


@pytest.mark.parametrize(
    "point",
    [
        published("matchboxnet-3x2x64"),
        published("matchboxnet-3x2x64-P4"),
        published("quartznet-5x5-P2"),
        DesignPoint(
            blocks=(
                block(mixer=TERNARY, skip=IDENTITY, skip_norm=False, dropout=0.1, dilation=2),
                block(name="B2", separable=False, groups=2, stride=2, repeats=3, skip=DENSE),
            ),
            in_channels=8,
            head="framewise",
            ternary_seed=7,
            name="1e5",
        ),
    ],
    ids=lambda point: str(point.label),
)
def test_a_point_survives_being_written_and_read(point: DesignPoint) -> None:
    again = read(dump_yaml(point.to_dict()))
    assert again == point
    assert (again.key, again.name) == (point.key, point.name)


def test_the_smallest_design_a_person_writes() -> None:
    point = read("blocks:\n  - {name: B1, out_channels: 64, kernel_size: 3}\n")
    assert point == DesignPoint(blocks=(block(out_channels=64),))


def test_the_key_of_a_design_never_changes() -> None:
    # Results of earlier studies refer to designs by this key. Never change this test to make it
    # pass: a change of it needs a new SCHEMA_VERSION.
    assert matchboxnet({}).key == "4adb5ed97d55"
    assert published("matchboxnet-3x1x64-P2").key == "43b28d0d647d"


def test_the_key_tells_networks_apart_and_not_their_names() -> None:
    point = matchboxnet({}, name="a")
    assert point.key == matchboxnet({}, name="b").key
    assert point == matchboxnet({}, name="b")
    assert point.key != matchboxnet({"kernel": 15}).key
    assert point.label == "a" and matchboxnet({}).label == "3x1x64"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"out_channels": 0}, "out_channels must be from 1 to 16,384, not 0"),
        ({"stride": 0}, "stride must be from 1 to 1,024, not 0"),
        ({"dilation": 1_000_000}, "dilation must be from 1 to 1,024, not 1000000"),
        (
            {"kernel_size": 4},
            "kernel_size must be odd, so that padding keeps the number of frames, not 4",
        ),
        ({"dropout": 1.0}, "dropout must be in [0, 1), not 1.0"),
        ({"dropout": float("nan")}, "dropout must be in [0, 1), not nan"),
        (
            {"name": "B.1"},
            "name must be a capital letter, then letters and digits, such as Conv1, not 'B.1'",
        ),
        (
            {"name": "train"},
            "name must be a capital letter, then letters and digits, such as Conv1, not 'train'",
        ),
        ({"mixer": TERNARY, "groups": 2}, "groups must be 1 for a ternary mixer, not 2"),
        (
            {"mixer": TERNARY, "separable": False},
            "block B1: a convolution over 3 frames cannot be ternary; make the block separable, or "
            "its kernel 1",
        ),
    ],
)
def test_a_block_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        block(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "ternary"}, "a ternary mixer needs density and generator"),
        (
            {"kind": "dense", "density": 0.5},
            "density must be left out for kind dense, not 0.5",
        ),
        (
            {"kind": "identity", "generator": Generator()},
            "generator must be left out for kind identity, not 'lfsr_threshold'",
        ),
        (
            {"kind": "ternary", "density": 0.3, "generator": Generator()},
            "density must be n/256 for generator lfsr_threshold with 8 threshold bits, not 0.3: "
            "the nearest are 0.296875 and 0.30078125",
        ),
    ],
)
def test_a_mixer_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Mixer(**fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((), "blocks must be a list of at least one block, not []"),
        (
            (block(), block()),
            "blocks must be distinct in their names, not ['B1', 'B1']",
        ),
        (
            (block(mixer=IDENTITY),),
            "B1.0.pw: an identity cannot turn 6 channels into 8; use a dense or ternary mixer, or "
            "equal widths",
        ),
        (
            (block(skip=IDENTITY),),
            "B1.skip: an identity cannot turn 6 channels into 8; use a dense or ternary mixer, or "
            "equal widths",
        ),
        (
            (block(out_channels=6, skip=IDENTITY, stride=2),),
            "B1.skip: an identity cannot skip frames; use stride 1, or a dense or ternary mixer",
        ),
        (
            (block(out_channels=6, mixer=IDENTITY, separable=False, kernel_size=1, stride=2),),
            "B1.0.pw: an identity cannot skip frames; use stride 1, or a dense or ternary mixer",
        ),
        (
            (block(mixer=TERNARY),),
            "B1.0.pw: generator one_hot at density 0.25 needs blocks of 4 inputs, which do not "
            "divide 6 channels: change density or channels",
        ),
        (
            (block(groups=4),),
            "block B1: 4 groups do not divide 6 input and 8 output channels",
        ),
    ],
)
def test_blocks_that_do_not_fit_their_input_are_refused(
    blocks: tuple[Block, ...], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        DesignPoint(blocks=blocks, in_channels=6)
    assert str(caught.value) == message


def test_the_width_of_the_features_is_bounded() -> None:
    with pytest.raises(InvalidInput, match=r"^in_channels must be from 1 to 16,384, not 100000$"):
        DesignPoint(blocks=(block(),), in_channels=100_000)


def test_later_sub_blocks_are_checked_at_their_own_width() -> None:
    # 8 inputs suit blocks of 8, the 12 channels of the second sub-block do not.
    mixer = Mixer(kind="ternary", density=0.125, generator=Generator(family="one_hot"))
    DesignPoint(blocks=(block(out_channels=12, mixer=mixer),), in_channels=8)
    with pytest.raises(
        InvalidInput, match=r"^B1\.1\.pw: generator one_hot at density 0\.125 needs"
    ):
        DesignPoint(blocks=(block(out_channels=12, mixer=mixer, repeats=2),), in_channels=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "schema_version: 3\nblocks: []\n",
            "schema_version 3 cannot be read: this program reads 2; use the program that "
            "wrote the file (design.yaml:1)",
        ),
        ("in_channels: 3\n", "missing key 'blocks' (design.yaml:1)"),
        (
            "blocks:\n  - {name: B1, out_channels: 8, kernel_size: 3}\n"
            "  - name: B2\n    out_channels: 8\n    kernel_size: 4\n",
            "blocks[1].kernel_size must be odd, so that padding keeps the number of frames, not 4 "
            "(design.yaml:5)",
        ),
        (
            "blocks:\n  - name: B1\n    out_channels: 8\n    kernel: 3\n",
            "unknown key 'blocks[0].kernel': did you mean 'kernel_size'? known keys here are name, "
            "out_channels, kernel_size, kernel_bins, repeats, stride, bin_stride, dilation, "
            "dropout, separable, depthwise_norm, groups, mixer, skip, skip_norm, skips_from, "
            "weight_bits, activation_bits (design.yaml:4)",
        ),
        (
            "blocks:\n  - {name: B1, out_channels: 8, kernel_size: 3, skips_from: [B1]}\n",
            "block B1 has skips from B1 and none of its own: give it a skip (design.yaml:2)",
        ),
        (
            "blocks:\n  - {name: B1, out_channels: 8, kernel_size: 3, stride: 2}\n"
            "  - {name: B2, out_channels: 8, kernel_size: 3, skip: {}, skips_from: [B1]}\n",
            "block B2: the input of B1 has other frames than its sum, as B1 has stride 2: use "
            "stride 1 between them (design.yaml:1)",
        ),
        (
            "blocks:\n  - {name: B1, out_channels: 8, kernel_size: 3}\n"
            "  - {name: B2, out_channels: 8, kernel_size: 3, skip: {}, skips_from: [B3]}\n",
            "block B2: skips_from must name blocks before it, each once, not 'B3' (design.yaml:1)",
        ),
        (
            "head: both\nblocks:\n  - {name: B1, out_channels: 8, kernel_size: 3}\n",
            "head must be one of pooled, framewise, not 'both' (design.yaml:1)",
        ),
        (
            "blocks:\n  - name: B1\n    out_channels: 8\n    kernel_size: 3\n"
            "    mixer: {kind: ternary, density: 2, generator: lfsr_threshold}\n",
            "density must be in (0, 1], not 2.0 (design.yaml:5)",
        ),
        (
            "blocks:\n  - name: B1\n    out_channels: 8\n    kernel_size: 3\n"
            "    mixer: {kind: ternary, density: 0.5, fan_in: one_hot}\n",
            "unknown key 'blocks[0].mixer.fan_in': known keys here are kind, density, generator, "
            "trained_share, groups, rank, blocks, block_size, code_length, code_bits "
            "(design.yaml:5)",
        ),
        (
            "schema_version: 1\nblocks:\n  - {name: B1, out_channels: 8, kernel_size: 3}\n",
            "schema_version 1 cannot be read: this program reads 2; use the program that wrote the "
            "file (design.yaml:1)",
        ),
        (
            "blocks:\n  - name: B1\n    out_channels: 8\n    kernel_size: 3\n"
            "    mixer:\n      kind: ternary\n      density: 0.5\n"
            "      generator: {family: counter_arx, rounds: 4}\n",
            "blocks[0].mixer.generator.rounds must be at least 6: with fewer, neighbouring "
            "counters give trits that follow one another (set override to accept), not 4 "
            "(design.yaml:8)",
        ),
        (
            "blocks:\n  - name: B1\n    out_channels: 8\n    kernel_size: 3\n"
            "    mixer: {kind: ternary, density: 0.5, generator: lsfr}\n",
            "blocks[0].mixer.generator.family must be one of lfsr_threshold, lfsr_and, "
            "one_hot, counter_arx, sobol, not 'lsfr' (design.yaml:5)",
        ),
        ("3\n", "the file must be a mapping of keys, not 3 (design.yaml:1)"),
    ],
)
def test_a_wrong_design_file_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    assert str(caught.value) == message


def test_what_the_program_wrote_is_what_it_reads(tmp_path: Path) -> None:
    point = published("matchboxnet-6x2x64-P3")
    path = tmp_path / "design.yaml"
    path.write_text(dump_yaml(point.to_dict()), encoding="utf-8")
    assert read(path.read_text(encoding="utf-8")).key == point.key


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"policy": "P0"}, "4adb5ed97d55"),
        ({"policy": "P1", "repeats": 2}, "459b7f3a9755"),
        ({"policy": "P4"}, "b5327e04033b"),
        ({"policy": "P2", "generator": "one_hot", "density": 0.125}, "361a44e6ac14"),
        ({"policy": "P3", "density": 97 / 256, "ternary_seed": 7}, "3f64ae992328"),
    ],
)
def test_designs_keep_their_keys(values: dict[str, int | float | str | bool], key: str) -> None:
    # Results of studies are found by these keys. Never refresh them.
    assert matchboxnet(values).key == key


BARE = """\
schema_version: 2
in_channels: 8
head: pooled
ternary_seed: 3
blocks:
  - name: B1
    out_channels: 8
    kernel_size: 3
    mixer: {kind: ternary, density: 0.25, generator: lfsr_threshold}
    skip: {kind: ternary, density: 0.5, generator: one_hot}
"""


def test_a_generator_may_be_a_bare_name() -> None:
    point = read(BARE)
    threshold, one_hot = (Generator(family=family) for family in ("lfsr_threshold", "one_hot"))
    assert point.blocks[0].mixer == Mixer(kind="ternary", density=0.25, generator=threshold)
    assert point.blocks[0].skip == Mixer(kind="ternary", density=0.5, generator=one_hot)
    assert point.key == "9320158c953f"  # results of studies are found by it
    assert read(dump_yaml(point.to_dict())).key == point.key


def test_a_generator_with_parameters_survives_the_file_and_has_a_key_of_its_own() -> None:
    generators = (
        Generator(),
        Generator(threshold_bits=12),
        Generator(taps=(521, 353)),
        Generator(family="lfsr_and"),
        Generator(family="one_hot", signs="balanced"),
        Generator(family="counter_arx", rounds=8),
        Generator(family="sobol"),
        Generator(taps=(64, 63, 61, 60), override=True),
        Generator(shift=1, override=True),
    )
    keys = set()
    for generator in generators:
        mixer = Mixer(kind="ternary", density=0.25, generator=generator)
        point = DesignPoint(blocks=(block(mixer=mixer),), in_channels=8)
        assert read(dump_yaml(point.to_dict())) == point
        keys.add(point.key)
    assert len(keys) == len(generators)


def test_parameters_at_their_defaults_may_be_spelled_out() -> None:
    spelled = BARE.replace(
        "generator: lfsr_threshold",
        "generator: {family: lfsr_threshold, taps: [127, 97], threshold_bits: 8}",
    )
    assert spelled != BARE and read(spelled).key == read(BARE).key
