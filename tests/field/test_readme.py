"""The list of field cases is true, and no reader of the program is without one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LISTED = re.findall(
    r"^\| ([\w/.]+\.py(?:::\w+)?) \|", (Path(__file__).parent / "README.md").read_text(), re.M
)
PACKAGES = ("cost_models", "dse", "search", "dashboard")
THROUGH_OTHERS = {
    "open_evaluated": "of open_study",
    "read_resolved": "of parse_resolved, and of its lock",
    "opened": "of read_content; and the lock of a study, which is not read",
    "open_storage": "of a database, whose damage is tried in tests/search",
    "read_all_rows": "of read_rows",
    "read_folder": "of read_study, and of read_resolved",
    "read_space": "of read_study: the same section, of any file",
    "load_speech": "of load_features and load_sentences",
    "load_or_compute": "of load_features and load_sentences",
    "read_contents": "of load_features and load_sentences",
    "read_array": "of load_features and load_sentences",
    "read_whole": "of load_sentences; as read_clip, whose damage is in test_sounds.py",
}
"""Readers that are not named in a case, as they are thin: whose cases are theirs."""


def file_of(place: str) -> Path:
    name = place.partition("::")[0]
    return ROOT / name if "/" in name else Path(__file__).parent / name


def readers() -> Iterator[str]:
    """Public functions that take a path first and read what lies there."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, ast.FunctionDef) or not node.args.args:
                    continue
                kind = node.args.args[0].annotation
                reads = re.match("(?:read|load|import|open|parse)(?:_|ed$)|describe$", node.name)
                if reads and kind is not None and "Path" in ast.unparse(kind):
                    yield node.name


def test_each_case_of_the_list_exists() -> None:
    assert len(LISTED) > 30
    for place in LISTED:
        text = file_of(place).read_text(encoding="utf-8")
        _, _, test = place.partition("::")
        assert f"def {test}(" in text if test else text, place


def test_each_file_here_is_in_the_list() -> None:
    here = {path.name for path in Path(__file__).parent.glob("*.py")}
    assert here - set(LISTED) <= {Path(__file__).name, "__init__.py"}


def test_every_reader_of_the_program_has_a_case() -> None:
    cases = "\n".join(file_of(place).read_text(encoding="utf-8") for place in set(LISTED))
    found = set(readers())
    without = {name for name in found if not re.search(rf"\b{name}\b", cases)}
    assert without <= set(THROUGH_OTHERS) <= found
    assert len(found) > 30
