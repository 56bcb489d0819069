"""The README's commands exist, its Python runs, and the links of all documents lead somewhere."""

import re
import shlex
from pathlib import Path

import click
import pytest

from dse.columns import COST_COLUMNS
from dse.design.families.matchboxnet import AXES
from dse.training.recipe import Recipe
from dse_cli import COMMANDS, group

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COMMAND_LINES = sorted(
    {
        line.split("#")[0].strip()
        for path in DOCUMENTS
        for block in re.findall(r"```(?:sh|console)?\n(.*?)```", path.read_text(), re.S)
        for line in block.splitlines()
        if line.strip().startswith("dse ")
    }
)


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.S)


def test_the_readme_shows_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"dse {name}" not in readme] == []


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_commands_in_documents_parse(line: str) -> None:
    """Every command and option that a document shows is there; nothing is run."""
    words = shlex.split(line.replace("...", ""))[1:]
    command: click.Command = group
    context = click.Context(group, info_name="dse")
    while isinstance(command, click.Group):
        if not words or words[0] in ("COMMAND", "--help", "--version"):
            return
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context)
    options = {name for parameter in command.params for name in parameter.opts}
    options |= {name for parameter in command.params for name in parameter.secondary_opts}
    used = {word.split("=")[0] for word in words if word.startswith("--")} - {"--help"}
    assert used <= options, f"no option {', '.join(sorted(used - options))}"


def test_the_readme_example_runs() -> None:
    (example,) = code_blocks(ROOT / "README.md", "python")
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["workload"].macs == 804_352  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_axis_column_and_recipe_field_is_documented() -> None:
    search = (ROOT / "docs" / "search.md").read_text()
    assert [name for name in COST_COLUMNS if f"`{name}`" not in search] == []
    spelled = search.replace("`_", "`prologue_") + search.replace("`_", "`epilogue_")
    assert [name for name in AXES if f"`{name}`" not in spelled] == []
    training = (ROOT / "docs" / "training.md").read_text()
    assert [name for name in Recipe.__slots__ if f"`{name}`" not in training] == []


def test_no_document_names_a_folder_of_the_machine_it_was_written_on() -> None:
    for path in DOCUMENTS:
        assert str(Path.home()) + "/" not in path.read_text(), path
