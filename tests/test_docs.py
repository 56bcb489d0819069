"""Commands of the documents exist, their Python runs, and their links and paths lead somewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.design.families.matchboxnet import AXES
from dse.training.recipe import Recipe
from dse_cli import group

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
ROOMS = "cost_models|dse|search|dashboard|dse_cli|tests|benchmarks|docs|examples"
OF_OURS = re.compile(rf"`((?:{ROOMS})/[\w./-]+)`")


def code_blocks(path: Path, *languages: str) -> list[str]:
    return [text for language, text in BLOCK.findall(path.read_text()) if language in languages]


COMMAND_LINES = sorted(
    {
        line.split("#")[0].strip()
        for path in DOCUMENTS
        for block in code_blocks(path, "", "sh", "console")
        for line in block.splitlines()
        if line.strip().startswith("dse ")
    }
)


def test_the_readme_is_a_screen_with_a_picture() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 60 and "![" in readme


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


def test_the_example_of_a_design_point_runs() -> None:
    page = ROOT / "docs" / "concepts" / "design-points.md"
    (example,) = code_blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(example, page.name, "exec"), names)
    assert names["workload"].macs == 804_352  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_of_ours_lead_somewhere(path: Path) -> None:
    """`dse/pareto.py` in a text is a file; a name in capitals is to be filled in."""
    named = {name for name in OF_OURS.findall(path.read_text()) if not re.search("[A-Z]{2}", name)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_axis_column_and_recipe_field_is_documented() -> None:
    search = (ROOT / "docs" / "how-to" / "search.md").read_text()
    assert [name for name in (*COST_COLUMNS, *STREAM_COLUMNS) if f"`{name}`" not in search] == []
    spelled = search.replace("`_", "`prologue_") + search.replace("`_", "`epilogue_")
    assert [name for name in AXES if f"`{name}`" not in spelled] == []
    training = (ROOT / "docs" / "how-to" / "training.md").read_text()
    assert [name for name in Recipe.__slots__ if f"`{name}`" not in training] == []


def test_no_document_names_a_folder_of_the_machine_it_was_written_on() -> None:
    for path in DOCUMENTS:
        assert str(Path.home()) + "/" not in path.read_text(), path


def test_the_site_has_no_broken_link_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    for name in ("zensical.toml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").rglob("*.md")))  # and one for what is not there
    loaded = re.compile(r'(?:src|<link rel="stylesheet" href)="https?:')
    assert [page.name for page in pages if loaded.search(page.read_text())] == []
