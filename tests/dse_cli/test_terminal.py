"""Nothing that a person typed, or a file says, steers the terminal on its way out."""

import io
import re
from pathlib import Path

import pytest
from rich.table import Table

import dse_cli
from dse_cli import main
from dse_cli.terminal import Screen, say

EVIL = "\x1b[31mred\x1b]0;title\x07\u202e\x9b2J\udcff"
SHOWN = "?[31mred?]0;title???2J?"
COMMANDS = [
    ["estimate", EVIL],
    ["estimate", f"{EVIL}.yaml"],
    ["estimate", "matchboxnet-3x1x64", "--machine", EVIL],
    ["estimate", "matchboxnet-3x1x64", "--rate", EVIL],
    ["estimate", "matchboxnet-3x1x64", "--compare", EVIL],
    ["estimate", "matchboxnet-3x1x64", f"--{EVIL}"],
    [EVIL],
    ["frontier", EVIL],
    ["report", EVIL],
    ["search", f"{EVIL}.yaml"],
    ["sweep", f"{EVIL}.yaml"],
    ["dashboard", EVIL],
    ["import", "nemo", f"{EVIL}.yaml"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=range(len(COMMANDS)))
def test_an_error_shows_what_was_typed_and_obeys_none_of_it(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out + err
    )
    assert "red" in err


def test_a_file_s_name_is_said_without_what_steers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a\x1b[2Jb.yaml"
    with pytest.raises(SystemExit) as caught:
        main(["export", "design", "matchboxnet-3x1x64", "--out", str(out)])
    assert caught.value.code == 0 and out.is_file()
    assert "a?[2Jb.yaml" in capsys.readouterr().out


def test_say_and_tables_are_harmless_and_our_own_colours_stay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say(EVIL)
    assert capsys.readouterr().out == f"{SHOWN}\n"
    written = io.StringIO()
    screen = Screen(file=written, force_terminal=True, color_system="standard", width=60)
    table = Table(title=EVIL)
    table.add_column(EVIL)
    table.add_row(EVIL)
    screen.print(table)
    screen.print(EVIL, style="bold", markup=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", written.getvalue())  # of styles; none is red
    assert text.count("red") == 4 and "\x1b" not in text and "\x1b[31m" not in written.getvalue()
    assert "\x1b[1m" in written.getvalue()


def test_there_is_no_other_way_out() -> None:
    """A command that prints past the guard would be the hole in it."""
    for path in Path(dse_cli.__file__).parent.glob("*.py"):
        if path.name not in ("terminal.py", "__init__.py"):
            found = re.findall(
                r"click\.s?echo|(?<!\w)Console\((?!\))|(?<![\w.])print\(", path.read_text()
            )
            assert not found, path.name
