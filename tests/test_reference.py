"""The generated pages of the reference are what the program says of itself today.

`python -m tests.test_reference` writes them; `make docs` does that before it builds the site.
"""

import ast
import copy
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click
import pytest

import dse
from dse.columns import COST_COLUMNS, LABELS, MEASURED_COLUMNS, STREAM_COLUMNS
from dse_cli import COMMANDS, group
from dse_cli.schema import KINDS, tables

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
WIDTH = 100


def describe_commands() -> str:
    """Every command with the text of its `--help`."""
    lines = [
        "# Commands",
        "",
        "What `dse COMMAND --help` prints; `python -m tests.test_reference` writes this page.",
        "",
    ]
    for context in walk(group, "dse", None):
        names = context.command_path
        level = max(2, len(names.split()))
        lines += [f"{'#' * level} {names}", "", "```text", context.get_help().rstrip(), "```", ""]
    return "\n".join(lines)


def walk(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[click.Context]:
    """A command and all below it, in the order of the help.

    Copies of them: click remembers, for each command, the names of `--help` of the first context
    that asked, and in a process of tests that may be another test's.
    """
    command = copy.copy(command)
    command._help_option = None
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **command.context_settings,
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from walk(found, below, context)


def describe_columns() -> str:
    """Every column that may be an objective or a limit."""
    lines = [
        "# Columns of the results",
        "",
        "A name ends in its unit; what has none is a count, or a share from 0 to 1. All are",
        "minimised, and all may be limits (`max_COLUMN`, `min_COLUMN`). People are shown the unit",
        "on the right. `python -m tests.test_reference` writes this page.",
        "",
        "| column | known | is | shown in |",
        "|---|---|---|---|",
    ]
    for name in (*MEASURED_COLUMNS, *COST_COLUMNS, *STREAM_COLUMNS):
        label, unit, factor = LABELS[name]
        known = "after the training" if name in MEASURED_COLUMNS else "before"
        known += ", with `stream`" if name in STREAM_COLUMNS else ""
        shown = unit or ("as it is" if factor == 1 else f"x {factor:g}")
        lines.append(f"| `{name}` | {known} | {label} | {shown} |")
    lines += [
        "",
        "`_low_` and `_high_` are the ends of the band that the sources of the constants leave.",
        "How each is counted or estimated: [cost model](../evidence/model.md).",
        "",
    ]
    return "\n".join(lines)


def describe_library() -> str:
    """Every name of `dse.__all__`: signature and docstring."""
    lines = [
        "# Library",
        "",
        "What `from dse import ...` promises, for notebooks and programs (`examples/tour.ipynb`).",
        "`import dse` loads none of it: each name is loaded when it is first asked for.",
        "`python -m tests.test_reference` writes this page from the docstrings.",
        "",
    ]
    for name in sorted(dse.__all__, key=str.lower):
        found = getattr(dse, name)
        lines += [f"## {name}", "", "```python", _signature(found), "```", ""]
        lines += ["```text", inspect.getdoc(found) or "", "```", ""]
        lines += _members(found) if inspect.isclass(found) else []
    return "\n".join(lines)


def _signature(found: object) -> str:
    """As the source has it, a line an argument where one line is too long."""
    [node] = ast.parse(textwrap.dedent(inspect.getsource(found))).body  # type: ignore[arg-type]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    node.body, node.decorator_list = [ast.Expr(ast.Constant(...))], []
    line = ast.unparse(node).removesuffix("\n    ...").removesuffix(":")
    if len(line) <= WIDTH:
        return line
    head, tail = line.split("(", 1)
    arguments = re.sub(r", (?=\*|\w+:)", ",\n    ", tail[: tail.rindex(") -> ")])
    return f"{head}(\n    {arguments},\n){tail[tail.rindex(') -> ') + 1 :]}"


def _members(found: type) -> list[str]:
    """Fields, properties and methods of a class that have a docstring, by its first line."""
    rows = []
    for name, member in vars(found).items():
        of = member.func if isinstance(member, functools.cached_property) else member
        told = inspect.getdoc(of) if callable(of) or isinstance(of, property) else None
        if told and not name.startswith("_"):
            call = f"{name}()" if inspect.isfunction(of) and of is member else name
            rows.append(f"| `{call}` | {told.splitlines()[0]} |")
    return ["| member | is |", "|---|---|", *rows, ""] if rows else []


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": describe_commands,
    "columns.md": describe_columns,
    "library.md": describe_library,
    **{f"{kind}.md": partial(tables, kind) for kind in KINDS},
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_program_says(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "python -m tests.test_reference"


def test_an_earlier_context_changes_no_page() -> None:
    one = click.Command("one")
    click.Context(one, help_option_names=["--sos"]).get_help()
    (_, context) = walk(click.Group("few", commands={"one": one}), "few", None)
    assert "--help" in context.get_help() and "--sos" not in context.get_help()


def test_every_command_is_there() -> None:
    text = (REFERENCE / "commands.md").read_text()
    assert [name for name in COMMANDS if f"\n## dse {name}\n" not in text] == []


if __name__ == "__main__":
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else REFERENCE
    for name, describe in PAGES.items():
        (into / name).write_text(describe())
