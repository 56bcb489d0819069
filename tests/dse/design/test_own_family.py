"""A family of one's own: read from its file, tried, refused in a sentence with file and line."""

import copy
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cost_models import estimate, load_accelerator, load_technology
from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.design.families import FAMILIES, own
from dse.design.families.family import Axis, Family, Part
from dse.design.families.own import block_family, family_from_text, read_family
from dse.design.point import Block
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidDesign, InvalidFile, InvalidInput
from dse.networks.lowering import lower
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep

EXAMPLE = Path(__file__).parents[3] / "examples" / "own-family" / "dilated.py"

SMALL = """
from dse.design.families.own import Axis, Block, block_family

def blocks(chosen):
    return [Block(name="A", out_channels=chosen("channels"), kernel_size=3)]

FAMILY = block_family(
    name="small", axes={"channels": Axis(default=8, help="channels")}, blocks=blocks
)
"""


def space(axes: str, folder: Path = EXAMPLE.parent) -> SearchSpace:
    return space_from_node(parse_yaml(f"family: dilated.py\n{axes}", "s.yaml"), folders=(folder,))


# --- the example


def test_the_example_by_hand() -> None:
    family = read_family(EXAMPLE)
    # First: 3 * 40 + 40 * 16 + 2 * 16. Two blocks: 5 * 16 + 16 * 16 + 2 * 16. Head: 16 * 3 + 3.
    point = family.build({"blocks": 2, "channels": 16}, in_channels=40)
    assert [block.dilation for block in point.blocks] == [1, 1, 2]
    workload = lower(point, frames=30, outputs=3)
    assert workload.trained_parameters == 792 + 2 * 368 + 51
    mixed = family.build({"blocks": 2, "channels": 16, "mixer_b2": "ternary"}, in_channels=40)
    assert (
        workload.trained_parameters - 16 * 16
        == lower(mixed, frames=30, outputs=3).trained_parameters
    )
    assert mixed.summary == "2x1x16 ternary 0.25"


def test_axes_of_mixing_layers_matter_where_a_place_has_them() -> None:
    family = read_family(EXAMPLE)
    assert not family.matters("density", {"mixer": "dense"})
    assert not family.matters("density", {"mixer": "bitnet"})
    assert family.matters("density", {"mixer": "ternary"})
    assert family.matters("density", {"mixer_b2": "ternary"})
    assert not family.matters("mixer_b3", {"blocks": 2})
    found = space(
        "blocks: [1, 2]\nmixer: {values: [dense, ternary], per_block: true}\ndensity: [0.25, 0.5]\n"
    )
    # One block: 1 + 2; two: dense both, or a ternary one with one of two densities.
    assert found.size == 3 + (1 + 3 * 2) == len(list(found.enumerate()))


def test_a_sweep_of_it_equals_one_by_one() -> None:
    found = space("blocks: [1, 2, 3]\nmixer: [dense, ternary]\nchannels: [8, 16]\nkernel: [3, 5]\n")
    accelerator = load_accelerator("kws_ternary")
    machine = Machine(accelerator, load_technology(accelerator.technology))
    seen = 0
    for chunk in Sweep(found, Pricing((machine,), frames=30, outputs=3)).run():
        for row, digits in enumerate(chunk.digits):
            point = found.point(chunk.piece.values(digits))
            costs = {name: float(each[row]) for name, each in chunk.columns.items()}
            workload = lower(point, frames=30, outputs=3)
            assert costs == estimate(workload, accelerator, machine.technology).columns()
            seen += 1
    assert seen == found.size == 24


def test_a_record_of_its_space_needs_no_file(tmp_path: Path) -> None:
    found = space("channels: [8, 16]\n")
    plain = found.to_dict()
    assert plain["family"]["file"] == "dilated.py" and set(plain["family"]) == {
        "file",
        "digest",
        "text",
    }
    node = parse_yaml(dump_yaml(plain), "resolved.yaml")
    again = space_from_node(node, recorded=True)
    assert again.family is found.family and again.digest == found.digest
    # A study file, which also comes from a page, holds no program.
    with pytest.raises(InvalidFile, match=r"space\.family must be one of .*, not \{'file'"):
        space_from_node(node, folders=(EXAMPLE.parent,))
    changed = EXAMPLE.read_text().replace("default=32", "default=16")
    (tmp_path / "dilated.py").write_text(changed)
    assert space("channels: [8, 16]\n", tmp_path).digest != found.digest
    plain["family"]["text"] = changed
    with pytest.raises(InvalidFile, match=r"dilated\.py is not the one of its digest \(resolved"):
        space_from_node(parse_yaml(dump_yaml(plain), "resolved.yaml"), recorded=True)


def test_it_is_itself_in_this_process_and_made_anew_in_another(tmp_path: Path) -> None:
    family = read_family(EXAMPLE)
    assert pickle.loads(pickle.dumps(family)) is family is copy.deepcopy(family)
    (tmp_path / "family.pickle").write_bytes(pickle.dumps(family))
    code = (
        "import pickle, sys; family = pickle.load(open(sys.argv[1], 'rb')); "
        "print(family.build({'channels': 24}).key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "family.pickle")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == family.build({"channels": 24}).key


# --- what is refused


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "no Python: invalid syntax (my_net.py:1)"),
        ("x = 1\n\n\n  y = 2\n", "no Python: unexpected indent (my_net.py:4)"),
        ("x = 1\n", "it defines no FAMILY: end it with FAMILY = block_family(...) (my_net.py:1)"),
        (
            "x = 1\nFAMILY = 3\n",
            "FAMILY is 3, and must be a family: what block_family, residual_family or Family makes "
            "(my_net.py:2)",
        ),
        (
            "import no_such_thing\nFAMILY = 1\n",
            "it cannot be executed: ModuleNotFoundError: No module named 'no_such_thing': a family "
            "is one file, which imports installed packages only (my_net.py:1)",
        ),
        (
            "def f():\n    return 1 / 0\nFAMILY = f()\n",
            "it cannot be executed: ZeroDivisionError: division by zero (my_net.py:2)",
        ),
        ("import sys\nFAMILY = 1\nsys.exit(3)\n", "cannot be executed: SystemExit: 3 (my_net.py:3"),
        ("FAMILY = 1 # \x1b[31m\n", "my_net.py has control characters: save it as plain text"),
        (
            changed('name="small"', 'name="quartznet"'),
            "a family's name has small letters, digits and '_', and is none of matchboxnet, "
            "quartznet, tcresnet, dscnn, not 'quartznet' (my_net.py:7)",
        ),
        (
            changed('{"channels": A', '{"in_channels": Axis(default=1, help=""), "channels": A'),
            "no axis may be called 'in_channels': names have small letters, digits and '_', and "
            "are none of family, in_channels and none such as channels_b2, which is a block's own",
        ),
        (
            changed('{"channels": A', '{"width_b2": Axis(default=1, help=""), "channels": A'),
            "no axis may be called 'width_b2'",
        ),
        (
            changed("default=8,", "default=8, per_block=True,"),
            "axis 'channels' is per_block, and there is no axis 'blocks' that numbers them",
        ),
        (
            changed("default=8,", "default=8, maximum=4,"),
            "family small: 'channels' must be at most 4, not 8 (my_net.py:7)",
        ),
        (
            changed('chosen("channels")', 'chosen("chanels")'),
            "family small: 'parts' failed: KeyError: 'chanels' (my_net.py:5)",
        ),
        (
            changed("kernel_size=3", "kernel_size=4"),
            "kernel_size must be odd, so that padding keeps the number of frames, not 4",
        ),
        (changed("return [", "return []; ["), "family small: its defaults make no network: "),
        (
            changed(
                "    return [",
                '    if chosen("channels") > 8: raise TypeError("no")\n    return [',
            ),
            "'parts' failed: TypeError: no (my_net.py:5)",
        ),
        (
            changed("blocks=blocks", 'blocks=blocks, places=("mixer",)'),
            "'mixer' stands among places or beside an axis, and is no axis",
        ),
    ],
)
def test_a_file_that_is_no_family_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        family_from_text("my_net.py", text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_is_refused_with_the_line_of_the_study(tmp_path: Path) -> None:
    for content, message in (
        (b"\xff\xfe\x00", "is text in UTF-16: save it as UTF-8 (s.yaml:1)"),
        (b"x" * 200_000, "is too large: a Python file that defines a family has at most 100,000"),
        (None, "does not exist: check the name, or create the file (s.yaml:1)"),
        (b"\xe9 = 1", "is not UTF-8 text (byte 0)"),
        (b"FAMILY = None\n", "space.family: FAMILY is None, and must be a family"),
    ):
        (tmp_path / "dilated.py").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "dilated.py").write_bytes(content)
        with pytest.raises(InvalidFile) as caught:
            space("channels: 8\n", tmp_path)
        assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_family_is_looked_for_beside_the_study_then_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "mine.py").write_text(SMALL)
    node = parse_yaml("family: net/mine.py\nchannels: [8, 9]", "s.yaml")
    assert space_from_node(node, folders=(tmp_path,)).family.name == "small"
    # A study's folder has a copy, where the file itself has gone.
    (tmp_path / "study").mkdir()
    (tmp_path / "net" / "mine.py").rename(tmp_path / "study" / "mine.py")
    found = space_from_node(node, folders=(tmp_path, tmp_path / "study"))
    assert found.family.name == "small"
    with pytest.raises(InvalidFile, match="and here only families of the library are read: match"):
        space_from_node(node)


def test_a_value_that_fails_later_is_a_design_that_cannot_be_built() -> None:
    text = changed("kernel_size=3", "kernel_size={7: 3, 8: 3, 9: 3, 16: 3}[chosen('channels')]")
    family = family_from_text("later.py", text)
    with pytest.raises(InvalidDesign) as caught:
        family.build({"channels": 33})
    assert str(caught.value) == "'parts' failed: KeyError: 33 (later.py:5)"


# --- a family that would make a sweep and a design disagree


def pair(**functions: object) -> Family:
    """Two blocks, the second of its own width; functions in place of right ones."""

    def part(values: dict[str, int], index: int, in_channels: int) -> Part:
        widths = [in_channels, values.get("first", 8), values.get("second", 8)]
        strides = (2, 1)[:index]
        if index == 2:
            return Part("pooled", widths[2], strides)
        content = Block(
            name="AB"[index], out_channels=widths[index + 1], kernel_size=3, stride=2 - index
        )
        return Part(content, widths[index], strides)

    given = {
        "name": "pair",
        "default": "two of 8",
        "axes": {"first": Axis(default=8, help="width"), "second": Axis(default=8, help="width")},
        "matters": lambda name, values: True,
        "parts": lambda values: 3,
        "part": part,
        "reach": lambda name, values: (0, 1) if name == "first" else (1, 2),
    }
    return Family(**{**given, **functions})  # type: ignore[arg-type]


def test_right_functions_pass_and_a_reach_is_everything_where_it_is_left_out() -> None:
    own._check(pair())
    family = pair(reach=Family.__dataclass_fields__["reach"].default)
    own._check(family)
    assert list(family.reach("first", {})) == [0, 1, 2]


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (
            {"reach": lambda name, values: (0,) if name == "first" else (1, 2)},
            "'first' changes part 1, and reach does not say so: without reach, all are taken to",
        ),
        (
            {"part": lambda values, index, channels: pair().part(values, index, 9)},
            "part 0 says that it reads (channels, strides before, bits) (9, [], 8), and those "
            "before it leave (64, [], 8)",
        ),
        (
            {"parts": lambda values: 3 if values.get("first", 8) == 8 else 2},
            "'first' changes how many parts there are: give its axis decides=True",
        ),
        (
            {"parts": lambda values: 2},
            "family pair: parts must be blocks, and its pooled head behind them",
        ),
        ({"head": "framewise"}, "parts must be blocks, and its framewise head behind them"),
        ({"head": "both"}, "head must be pooled or framewise, not 'both'"),
    ],
)
def test_what_a_sweep_would_get_wrong_is_refused(
    functions: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        own._check(pair(**functions))
    assert message in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_families_of_the_library_are_right_by_the_same_trial(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(FAMILIES, family.name)
    own._check(family)


def test_random_designs_of_a_family_of_blocks_are_its_parts() -> None:
    def blocks(chosen: own.Chosen) -> list[Block]:
        return [
            Block(
                name=f"A{number}",
                out_channels=chosen("channels", number),
                kernel_size=3,
                stride=chosen("stride", number),
                activation_bits=chosen("activation_bits"),
            )
            for number in range(1, chosen("blocks") + 1)
        ]

    family = block_family(
        name="plain",
        axes={
            "blocks": Axis(default=2, maximum=4, help="blocks"),
            "channels": Axis(default=8, per_block=True, help="width"),
            "stride": Axis(default=1, per_block=True, help="stride"),
            "activation_bits": Axis(default=8, options=(8, 4), help="bits"),
        },
        blocks=blocks,
        head="framewise",
    )
    own._check(family)
    rng = random.Random(2)
    for _ in range(20):
        values = {
            "blocks": rng.randint(1, 4),
            "activation_bits": rng.choice((8, 4)),
            "channels_b1": rng.randint(1, 9),
            "stride_b2": rng.randint(1, 3),
        }
        own._check_parts(family, values)
    assert family.axes["blocks"].decides
