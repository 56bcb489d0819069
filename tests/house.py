"""Prints the house: rooms by floor, their files, lines and comments, and which rooms each imports.

    python -m tests.house                  # this checkout
    python -m tests.house ../before        # another one, to compare
    python -m tests.house --mermaid        # the imports as a picture, for Mermaid

A room is a folder or a loose file of `dse`; the other packages are a room each. A room stands one
floor above the highest room that it imports. Where rooms import each other in a circle, the one
with the fewest arrows into the circle is set down first, and those arrows count as "back up".
"""

import argparse
import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("cost_models", "dse", "search", "dashboard", "dse_cli")


@dataclass(frozen=True, slots=True)
class Room:
    """What stands in a room, and where its arrows lead."""

    files: int
    lines: int
    comments: int
    """Lines with a comment for people."""
    imports: frozenset[str]
    """Other rooms, also those that a function imports when it is called."""


def module_name(path: Path, root: Path) -> str:
    """`dse/pricing/sweep.py` is `dse.pricing.sweep`, a package's `__init__` the package."""
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """`dse.pricing.sweep` stands in `dse.pricing`, and `search.loop` in `search`."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "dse" else 1])


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported name with its module, and whether it is loaded when the file is.

    It is not where the import stands in a function, or under `if TYPE_CHECKING`.
    """

    def visit(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", at_once
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if guarded or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_once = False
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_once)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")), True)


def sources(root: Path) -> list[Path]:
    """All Python files of the product."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def comment_lines(text: str) -> int:
    """Lines with a comment for people: what only tools read does not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not re.match(r"#\s*(fmt:|noqa|type:|pragma)", comment) for comment in comments)


def read_rooms(root: Path) -> dict[str, Room]:
    """The rooms of a checkout; `dse/__init__.py` is the room `dse`, which imports nothing."""
    paths: dict[str, list[Path]] = {}
    for path in sources(root):
        paths.setdefault(room_of(module_name(path, root)), []).append(path)
    rooms = {}
    for name, inside in paths.items():
        texts = [path.read_text(encoding="utf-8") for path in inside]
        wanted = {room_of(module) for path in inside for module, _ in imports(path)}
        rooms[name] = Room(
            files=len(inside),
            lines=sum(text.count("\n") for text in texts),
            comments=sum(map(comment_lines, texts)),
            imports=frozenset(wanted & paths.keys() - {name, "dse"}),
        )
    return rooms


def reached(graph: Mapping[str, Set[str]], start: str) -> set[str]:
    """All that `start` imports, directly or not; `start` itself only where it is in a circle."""
    found: set[str] = set()
    ahead = set(graph[start])
    while ahead:
        found |= ahead
        ahead = {after for name in ahead for after in graph[name]} - found
    return found


def floors(rooms: Mapping[str, Room]) -> tuple[dict[str, int], int]:
    """The floor of each room, the ground being 0, and how many arrows lead back up."""
    level: dict[str, int] = {}
    back_up = 0
    while waiting := {name: rooms[name].imports - level.keys() for name in rooms.keys() - level}:
        ready = [name for name, missing in waiting.items() if not missing]
        if not ready:
            # All wait for a circle. What is in the lowest one reaches nothing outside of it.
            reach = {name: reached(waiting, name) for name in sorted(waiting)}
            lowest = [name for name in reach if all(name in reach[each] for each in reach[name])]
            ready = [min(lowest, key=lambda name: len(waiting[name]))]
            back_up += len(waiting[ready[0]])
        level |= {
            name: 1 + max((level[each] for each in rooms[name].imports & level.keys()), default=-1)
            for name in ready
        }
    return level, back_up


def table(rooms: Mapping[str, Room]) -> str:
    """Markdown: the top floor first, as one would draw a house."""
    level, back_up = floors(rooms)
    lines = ["| floor | room | files | lines | comments | imports |", "|--:|---|--:|--:|--:|---|"]
    for name in sorted(rooms, key=lambda name: (-level[name], name)):
        room = rooms[name]
        wanted = ", ".join(f"`{each}`" for each in sorted(room.imports)) or "nothing"
        lines.append(
            f"| {level[name]} | `{name}` | {room.files} | {room.lines:,} "
            f"| {room.comments / room.lines:.1%} | {wanted} |"
        )
    inside = {name: room for name, room in rooms.items() if name.startswith("dse.")}
    arrows = {name: Room(0, 0, 0, room.imports & inside.keys()) for name, room in inside.items()}
    level_in_dse, back_up_in_dse = floors(arrows)
    for what, some, high, back in (
        ("whole house", rooms, level, back_up),
        ("dse", arrows, level_in_dse, back_up_in_dse),
    ):
        count = sum(len(room.imports) for room in some.values())
        lines += [
            "",
            f"{what}: {len(some)} rooms, {1 + max(high.values())} floors, {count} arrows, "
            f"{back} back up",
        ]
    return "\n".join(lines)


def habits(root: Path) -> str:
    """A few figures of how the product is written."""
    paths = sources(root)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    lines = [text.count("\n") for text in texts]
    trees = [ast.walk(ast.parse(text)) for text in texts]
    described = [
        ast.get_docstring(node) or ""
        for tree in trees
        for node in tree
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    late = sum(not at_once for path in paths for _, at_once in imports(path))
    return (
        f"{sum(lines):,} lines in {len(paths)} files (median {statistics.median(lines):.0f}, most "
        f"{max(lines)}); {sum(map(comment_lines, texts)) / sum(lines):.1%} are comments\n"
        f"words of a public docstring: median "
        f"{statistics.median(len(text.split()) for text in described):.0f}\n"
        f"names imported in functions or for type checking: {late}; "
        f"`# fmt: skip`: {sum(text.count('# fmt: skip') for text in texts)}"
    )


def mermaid(rooms: Mapping[str, Room]) -> str:
    """A graph with the top floor on top."""
    lines = ["flowchart TD"]
    for name, room in sorted(rooms.items()):
        lines += [f"    {name} --> {each}" for each in sorted(room.imports)]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--mermaid", action="store_true", help="the imports for Mermaid")
    given = parser.parse_args(arguments)
    rooms = read_rooms(given.checkout)
    if given.mermaid:
        print(mermaid(rooms))
    else:
        print(table(rooms), habits(given.checkout), sep="\n\n")


if __name__ == "__main__":
    main()
