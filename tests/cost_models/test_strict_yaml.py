import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.errors import InvalidFile, InvalidInput, require
from cost_models.reading import build, read_value
from cost_models.strict_yaml import MAX_BYTES, Node, dump_yaml, parse_yaml, read_yaml


@dataclass(frozen=True, kw_only=True)
class Engine:
    power_kw: float
    fuel: Literal["petrol", "diesel"] = "petrol"


@dataclass(frozen=True, kw_only=True)
class Car:
    name: str
    engine: Engine
    doors: int = 4
    electric: bool = False
    gears: tuple[float, ...] = ()
    owner: str | None = None
    prices: dict[str, int] | None = None
    extra: Node | None = None

    def __post_init__(self) -> None:
        require(self.doors >= 1, "doors", "at least 1", self.doors)
        if self.name == "Edsel":
            raise InvalidInput("nobody wants an Edsel")


def read(text: str) -> Car:
    return build(Car, parse_yaml(text, "car.yaml"))


def refusal(text: str) -> str:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    return str(caught.value)


def test_a_complete_file_becomes_a_dataclass() -> None:
    car = read(
        "name: Beetle\n"
        "engine: {power_kw: 25, fuel: petrol}\n"
        "doors: 2\n"
        "gears: [3.6, 2, 1e+0]\n"
        "owner: null\n"
        "prices: {new: 5000, used: 300}\n"
        "extra: {colour: red}\n"
    )
    assert car.engine == Engine(power_kw=25.0, fuel="petrol")
    assert isinstance(car.engine.power_kw, float)
    assert car.gears == (3.6, 2.0, 1.0)
    assert car.owner is None and car.electric is False and car.doors == 2
    assert car.prices == {"new": 5000, "used": 300}
    assert car.extra is not None and car.extra.plain() == {"colour": "red"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: a\nengine: {power_kw: 1}\nowners: b\n",
            "unknown key 'owners': did you mean 'owner'? known keys here are name, engine, doors, "
            "electric, gears, owner, prices, extra (car.yaml:3)",
        ),
        (
            "name: a\nengine:\n  power_kw: 1\n  zzz: 2\n",
            "unknown key 'engine.zzz': known keys here are power_kw, fuel (car.yaml:4)",
        ),
        (
            "name: a\ndoors: 2\nname: b\n",
            "duplicate key 'name': it already stands on line 1 (car.yaml:3)",
        ),
        ("name: a\n", "missing key 'engine' (car.yaml:1)"),
        ("name: a\nengine: {}\n", "missing key 'engine.power_kw' (car.yaml:2)"),
        ("- 1\n", "the file must be a mapping of keys, not a list (car.yaml:1)"),
        ("name: a\nengine: fast\n", "engine must be a mapping of keys, not 'fast' (car.yaml:2)"),
        (
            "name: a\nengine: {power_kw: 1}\ndoors: 0\n",
            "doors must be at least 1, not 0 (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\ndoors: 2.0\n",
            "doors must be a whole number, not 2.0 (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\ndoors: true\n",
            "doors must be a whole number, not True (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: one}\n",
            "engine.power_kw must be a number, not 'one' (car.yaml:2)",
        ),
        (
            "name: a\nengine: {power_kw: 1, fuel: hay}\n",
            "engine.fuel must be one of petrol, diesel, not 'hay' (car.yaml:2)",
        ),
        (
            "name: 3\nengine: {power_kw: 1}\n",
            "name must be a text, not 3 (car.yaml:1)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\nelectric: yes\n",
            "electric must be true or false, not 'yes' (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\ngears: 3\n",
            "gears must be a list, not 3 (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\ngears:\n  - 1\n  - {}\n",
            "gears[1] must be a number, not a mapping (car.yaml:5)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\nprices: [1]\n",
            "prices must be a mapping of keys, not a list (car.yaml:3)",
        ),
        (
            "name: a\nengine: {power_kw: 1}\nprices: {new: }\n",
            "prices.new must be a whole number, not empty (car.yaml:3)",
        ),
        ("name: Edsel\nengine: {power_kw: 1}\n", "nobody wants an Edsel (car.yaml:1)"),
    ],
)
def test_wrong_content_is_named_with_file_line_and_key(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty (a.yaml:1)"),
        ("# nothing\n", "the file is empty (a.yaml:1)"),
        (
            "a: 1\n\tb: 2\n",
            "not readable as YAML: a tab as indentation: YAML takes spaces (a.yaml:2)",
        ),
        (
            "a: *b\n",
            "not readable as YAML: an alias (*name) without its anchor (&name) (a.yaml:1)",
        ),
        (
            "a: 1\n--- \nb: 2\n",
            "not readable as YAML: it has a second document (---): keep one (a.yaml:2)",
        ),
        ("[1]: 2\n", "a key must be a plain word (a.yaml:1)"),
        ("a: !!python/name:os.system x\n", "cannot read the value 'x' (a.yaml:1)"),
        ("a: !!int x\n", "cannot read the value 'x' (a.yaml:1)"),
        ("a: !!int ''\n", "cannot read the value '' (a.yaml:1)"),
        ("b: 1\na: !!bool maybe\n", "cannot read the value 'maybe' (a.yaml:2)"),
        ("a: !!timestamp 2020-01-31\n", "cannot read the value '2020-01-31' (a.yaml:1)"),
        ("a: !!timestamp x\n", "cannot read the value 'x' (a.yaml:1)"),
        ("a: !!binary aGk=\n", "cannot read the value 'aGk=' (a.yaml:1)"),
        (
            "a: 18446744073709551616\n",
            "the whole number '18446744073709551616' is too large: numbers stay below 2^64, "
            "18,446,744,073,709,551,616 (a.yaml:1)",
        ),
        (
            f"b: 1\na: 0x{'1' * 5000}\n",
            f"the whole number '0x{'1' * 77}... is too large: numbers stay below 2^64, "
            "18,446,744,073,709,551,616 (a.yaml:2)",
        ),
        (
            'a: "\\e[31mred"\n',
            "the text '\\x1b[31mred' has the control character '\\x1b': leave it out (a.yaml:1)",
        ),
        (
            '"x\\0y": 1\n',
            "the text 'x\\x00y' has the control character '\\x00': leave it out (a.yaml:1)",
        ),
        (
            f"{'k' * 300}: 1\n",
            f"the key '{'k' * 79}... is too long: it has 300 letters, and 200 are allowed "
            "(a.yaml:1)",
        ),
    ],
)
def test_what_is_not_yaml_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=f"^{re.escape(message)}$"):
        parse_yaml(text, "a.yaml")


def test_tags_of_python_objects_execute_nothing() -> None:
    node = parse_yaml("a: !!python/object/apply:os.system [exit]", "a.yaml")
    assert node.plain() == {"a": ["exit"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Numbers and booleans of YAML 1.2, and nothing else: each of these has bitten somebody.
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("OFF", "OFF"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e+2", -150.0),
        (".inf", float("inf")),
        ("12:30", "12:30"),
        ("2020-01-31", "2020-01-31"),
        ("010", "010"),
        ("0o17", 15),
        ("0x1F", 31),
        ("77_000", 77_000),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
        ("=", "="),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    plain = parse_yaml(f"a: {text}", "a.yaml").plain()["a"]
    assert plain == value and type(plain) is type(value)


def test_words_of_speech_commands_stay_words() -> None:
    assert parse_yaml("[yes, no, on, off]", "a.yaml").plain() == ["yes", "no", "on", "off"]


def test_anchors_are_copies_reported_where_they_are_used() -> None:
    node = parse_yaml("a: &x 3\nb:\n  c: *x\n", "a.yaml")
    used = node.value["b"].value["c"]
    assert (used.value, used.line, used.key) == (3, 3, "b.c")


def test_an_alias_bomb_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(InvalidFile, match=r"^more than 100,000 YAML nodes, aliases expanded \("):
        parse_yaml("\n".join(lines), "bomb.yaml")


@pytest.mark.parametrize("text", ["&a [*a]", "[" * 5000, "a: &a {b: *a}"])
def test_endless_or_very_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="more than 64 levels, or an alias within its own anchor"):
        parse_yaml(text, "deep.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def message(path: Path) -> str:
        with pytest.raises(InvalidFile) as caught:
            read_yaml(path)
        return str(caught.value).replace(str(tmp_path), "DIR")

    (tmp_path / "large.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes("a: é\n".encode("latin-1"))
    (tmp_path / "file").write_text("a: 1")
    assert message(tmp_path / "none.yaml") == (
        "DIR/none.yaml does not exist: check the name, or create the file"
    )
    assert message(tmp_path) == "DIR is a folder: name a YAML file"
    assert message(tmp_path / "file" / "b") == "DIR/file/b cannot be read: not a directory"
    assert message(tmp_path / "large.yaml") == (
        "DIR/large.yaml is too large: a YAML file has at most 1,000,000 bytes"
    )
    assert message(tmp_path / "latin.yaml") == (
        "DIR/latin.yaml is not UTF-8 text (byte 3): save it as UTF-8"
    )


def test_a_device_is_not_read() -> None:
    with pytest.raises(InvalidFile, match=r"^/dev/null is no regular file: name a YAML file$"):
        read_yaml("/dev/null")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(path).plain() == {"a": 1, "b": 2}


def test_numbers_without_end_are_refused_briefly() -> None:
    node = parse_yaml("1" + "0" * 400 + ".0", "a.yaml")
    with pytest.raises(InvalidFile, match=r"^the file must be a finite number, not inf \(a"):
        read_value(float, node)
    for digits in (20, 400, 5000):
        text = "1" + "0" * digits
        shown = f"'{text}'" if digits == 20 else f"'{text[:79]}..."
        with pytest.raises(InvalidFile) as caught:
            parse_yaml(text, "a.yaml")
        assert str(caught.value) == (
            f"the whole number {shown} is too large: numbers stay below 2^64, "
            "18,446,744,073,709,551,616 (a.yaml:1)"
        )
    assert parse_yaml(str(2**64 - 1), "a.yaml").plain() == 2**64 - 1


def test_of_thousands_of_problems_the_first_are_told() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_yaml("a: 1\n" * 1000, "a.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[0] == "duplicate key 'a': it already stands on line 1 (a.yaml:2)"
    assert lines[20] == "... and 979 more problems like these"


def test_one_of_several_kinds() -> None:
    assert read_value(int | tuple[int, ...], parse_yaml("[1, 2]", "a.yaml")) == (1, 2)
    assert read_value(int | tuple[int, ...], parse_yaml("3", "a.yaml")) == 3
    with pytest.raises(InvalidFile, match=r"must be a whole number or a text, not 1\.5"):
        read_value(int | str, parse_yaml("1.5", "a.yaml"))


def test_true_is_neither_a_number_nor_a_text() -> None:
    for kind, message in (
        (int, "must be a whole number, not True"),
        (float, "must be a number, not True"),
        (str, "must be a text, not True"),
        (Literal["true"], "must be one of true, not True"),
        (Literal[1], "must be one of 1, not True"),
    ):
        with pytest.raises(InvalidFile, match=message):
            read_value(kind, parse_yaml("true", "a.yaml"))


def test_a_list_with_a_wrong_entry_is_told_by_the_entry() -> None:
    node = parse_yaml("{a: [1, x]}", "a.yaml")
    with pytest.raises(InvalidFile, match=r"^a\[1\] must be a whole number, not 'x' \(a.yaml:1\)$"):
        read_value(dict[str, int | tuple[int, ...]], node)


def test_five_errors_are_told_at_once_in_the_order_of_their_lines() -> None:
    assert refusal(
        "nam: Beetle\n"
        "engine:\n"
        "  power_kw: strong\n"
        "  fuel: hay\n"
        "doors: 2.5\n"
        "gears: [3.6, [], 1]\n"
        "prices: {new: 5000}\n"
    ).splitlines() == [
        "unknown key 'nam': did you mean 'name'? known keys here are name, engine, doors, "
        "electric, gears, owner, prices, extra (car.yaml:1)",
        "engine.power_kw must be a number, not 'strong' (car.yaml:3)",
        "engine.fuel must be one of petrol, diesel, not 'hay' (car.yaml:4)",
        "doors must be a whole number, not 2.5 (car.yaml:5)",
        "gears[1] must be a number, not a list (car.yaml:6)",
    ]


def test_all_doubled_keys_are_told_at_once() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n", "a.yaml")
    assert str(caught.value).splitlines() == [
        "duplicate key 'b.c': it already stands on line 2 (a.yaml:2)",
        "duplicate key 'a': it already stands on line 1 (a.yaml:3)",
    ]


plain_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(1 - 2**64, 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]))
    | st.sampled_from(["1e5", "yes", "0o7", "12:30", "null", "~", "-", "=", "010", "+1", ".inf"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), children, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(plain_data)
def test_what_is_dumped_is_read_back(plain: Any) -> None:
    assert parse_yaml(dump_yaml({"a": plain}), "a.yaml").plain() == {"a": plain}
