"""Cells and area of a circuit, synthesised by Yosys with a cell library.

One flow, Yosys' default: `synth`, flip-flops and logic mapped to the library's cells (ABC, for
area). Figures depend on Yosys' version, which the extra `rtl` pins; layout adds wires and clocks.

    read_verilog, chparam       the modules, with LANES and the rest set
    synth -flatten              hierarchy dissolved, so that logic is shared across modules
    dfflibmap                   flip-flops to the library's; first, since ABC sees logic alone
    abc                         the logic between them to the library's gates
    stat -json                  cells by type, and the sum of their areas

Areas of two processes are not comparable in um2. In gate equivalents, area / area of the smallest
two-input NAND, they come close: that is the figure to compare with papers.

Which cell is an inverter or a NAND is found by its function, not by its name (`nand2_1`, `ND2D1`),
which each library chooses for itself.
"""

import gzip
import io
import itertools
import json
import math
import re
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from cost_models.content import read_content
from dse.errors import InvalidInput, printable, short
from dse.rtl.yosys import Circuit, read_commands, run_script

DEFAULT_LIBRARY = "small_130nm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisedArea:
    """What a circuit takes in one library: cells before placement, nothing for wires."""

    cells: int
    flip_flops: int
    area_um2: float
    nand2_um2: float
    """Area of the library's smallest two-input NAND."""

    @property
    def gate_equivalents(self) -> float:
        """Area in two-input NANDs, to compare circuits across libraries and processes."""
        return self.area_um2 / self.nand2_um2


def default_library() -> Path:
    """Path of the small library that comes with this program, for first figures without a PDK.

    For figures to quote, give the library of the process that is meant.
    """
    return Path(str(resources.files("dse.rtl"))) / "libraries" / f"{DEFAULT_LIBRARY}.lib"


def synthesise(circuit: Circuit, libraries: tuple[Path, ...] = ()) -> SynthesisedArea:
    """Synthesise a circuit: how many cells of a library it takes, and their area.

    No constraint on timing is given: the result is small, not fast.

    Args:
        circuit: module and parameters.
        libraries: Liberty files, `.lib` or `.lib.gz`, read together; the small one where empty.

    Raises:
        InvalidInput: Yosys is not installed; a library is missing, unreadable, lacks a cell, or has
            no area of one that the circuit takes.
    """
    libraries = libraries or (default_library(),)
    facts = _facts(libraries)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [_read_text(path) for path in libraries]
        for index, text in enumerate(texts):
            usable = _WRONGLY_UNUSED.sub("", text)
            (folder / f"cells{index}.lib").write_text(usable, encoding="utf-8")
        given = " ".join(f"-liberty cells{index}.lib" for index in range(len(texts)))
        report = folder / "report.json"
        run_script(
            [
                *read_commands(circuit, folder),
                f"synth -flatten -top {circuit.top}",
                f"dfflibmap {given}",
                f"abc {given}",
                "opt_clean -purge",
                f"tee -o {report.name} stat -json {given}",
            ],
            folder,
        )
        text = report.read_text(encoding="utf-8")
    return _taken(json.loads(text[text.index("{") :])["design"], facts)


def _taken(found: Mapping[str, Any], facts: "_Facts") -> SynthesisedArea:
    """What Yosys' `stat` counts, unless the library lacks a cell or its area.

    Raises:
        InvalidInput: names the cell.
    """
    # Names with `$` are Yosys' own gates, which no cell of the library could take the place of;
    # `$scopeinfo` is a remark about dissolved modules, no gate.
    kinds: dict[str, int] = found["num_cells_by_type"]
    rest = [kind for kind in kinds if kind.startswith("$") and kind != "$scopeinfo"]
    if rest:
        raise InvalidInput(
            f"the library lacks a cell for {rest[0]}: give one with an inverter, a NAND of two "
            "inputs and a D flip-flop"
        )
    without = sorted(facts.without_area & kinds.keys())
    if without:
        raise InvalidInput(
            f"cell {without[0]} of the library has no area, and the circuit takes "
            f"{kinds[without[0]]:,} of it: give it one"
        )
    return SynthesisedArea(
        cells=sum(count for kind, count in kinds.items() if kind != "$scopeinfo"),
        flip_flops=sum(count for kind, count in kinds.items() if kind in facts.registers),
        area_um2=float(found["area"]),
        nand2_um2=facts.nand2_um2,
    )


MAX_BYTES = 512_000_000
"""Of a library, unpacked: those of a foundry have tens of megabytes."""
MOST_UM2 = 1e9
"""Of a cell: 10 cm2, more than any chip."""
LEAST_UM2 = 1e-3
"""A transistor of any node has more: a smaller area is one in other units."""
MAX_FUNCTION = 500
"""Letters of a function that is evaluated; the longest of a standard cell have a hundred."""

# ABC takes the bare presence of the attribute for `true`. In libraries that say `dont_use : false`
# of every cell it would find none.
_WRONGLY_UNUSED = re.compile(r"\bdont_use\s*:\s*\"?false\"?\s*;?", re.IGNORECASE)


def _read_text(path: Path) -> str:
    """A library without comments, which may have cells in them."""
    data = read_content(path, MAX_BYTES, "a library")
    try:
        if data.startswith(b"\x1f\x8b") or path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
                data = b"".join(iter(lambda: _bounded(unpacked, path), b""))
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"library {path} cannot be read: {error}") from None
    # Windows' editors begin a file with a mark of three bytes, which Yosys takes for a word.
    text = data.decode("utf-8-sig", "replace")
    before, *comments = text.split("/*")
    text = before + "".join(comment.partition("*/")[2] for comment in comments)
    text = re.sub(r"\\[ \t]*\r?\n", " ", text)  # a line that goes on in the next
    if not re.search(r"^\s*library\s*\(", text, re.M):
        raise InvalidInput(f"library {path} is no Liberty file: it has no `library (...)`")
    if text.count("{") > text.count("}"):
        raise InvalidInput(f"library {path} is cut off: it has more `{{` than `}}`")
    if included := re.search(r"^\s*include_file\s*\(([^)]{0,200})\)", text, re.M):
        raise InvalidInput(
            f"library {path} includes {short(included[1].strip())}, which is not followed: name "
            "both files"
        )
    unit = re.search(r'\barea_unit\s*:\s*"?\s*([^";}\n]{1,40})', text)
    if unit and unit[1].strip().lower().replace("^", "") not in ("um2", "1um2", "1.0um2", "1 um2"):
        raise InvalidInput(
            f"library {path} has areas in {short(unit[1].strip())}: um2 are read; give them in um2"
        )
    return text


def _bounded(unpacked: gzip.GzipFile, path: Path) -> bytes:
    """The next bytes of a packed library; a small file may unpack to any size."""
    if unpacked.tell() > MAX_BYTES:
        raise InvalidInput(f"library {path} is larger than {MAX_BYTES:,} bytes, unpacked")
    return unpacked.read(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What is known of libraries before Yosys reads them."""

    registers: frozenset[str]
    """Names of the cells that hold a bit."""
    nand2_um2: float
    """Area of the smallest NAND of two inputs."""
    without_area: frozenset[str]


@lru_cache(maxsize=8)
def _facts(libraries: tuple[Path, ...]) -> _Facts:
    """What the cells of libraries are; large ones take seconds.

    Remembered by path: a library that is changed while the process runs keeps its old facts.

    Raises:
        InvalidInput: a library is unreadable, has wrong areas, or lacks what every circuit needs.
    """
    cells = [cell for path in libraries for cell in _cells(path)]
    areas: dict[str, float] = {}
    for cell in cells:
        if areas.setdefault(cell.name, cell.area_um2) != cell.area_um2:
            raise InvalidInput(
                f"cell {cell.name} stands in the libraries twice, with areas of "
                f"{areas[cell.name]:g} and {cell.area_um2:g}: leave one out"
            )
    usable = [cell for cell in cells if cell.usable]
    registers = frozenset(cell.name for cell in usable if cell.holds_a_bit)
    if not registers:
        raise InvalidInput("the library has no D flip-flop: add the file that has the flip-flops")
    # Yosys' mapper crashes, or asks for something else, where one of these is missing.
    if not any(cell.computes(1, lambda a: not a) for cell in usable):
        raise InvalidInput("the library has no inverter: add the file that has the inverters")
    if not any(cell.computes(1, lambda a: a) for cell in usable):
        raise InvalidInput("the library has no buffer: add the file that has the buffers")
    nands = [cell.area_um2 for cell in usable if cell.computes(2, lambda a, b: not (a and b))]
    if not nands:
        raise InvalidInput("the library has no NAND of two inputs to count gate equivalents in")
    if not min(nands):
        raise InvalidInput("the library has no areas: its NAND of two inputs has none")
    return _Facts(
        registers=registers,
        nand2_um2=min(nands),
        without_area=frozenset(cell.name for cell in cells if not cell.has_area),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """What is read of a cell."""

    name: str
    area_um2: float
    """0 where it has none."""
    has_area: bool
    functions: tuple[str, ...]
    holds_a_bit: bool
    usable: bool
    """Not marked `dont_use : true`."""

    def computes(self, inputs: int, wanted: Callable[..., bool]) -> bool:
        """Whether it has one output, and that is this function of so many inputs.

        By its truth table, so `!(A & B)`, `(A*B)'` and `!A | !B` are all NANDs. Which name is which
        input does not matter for the functions asked for here: they are symmetric.
        """
        if len(self.functions) != 1 or self.holds_a_bit or len(self.functions[0]) > MAX_FUNCTION:
            return False
        text = self.functions[0]
        names = sorted(set(re.findall(r"[A-Za-z_]\w*", text)))
        if len(names) != inputs:
            return False
        rows = itertools.product((False, True), repeat=inputs)
        try:
            return all(
                evaluate_function(text, dict(zip(names, row, strict=True))) == wanted(*row)
                for row in rows
            )
        except (ValueError, RecursionError):
            return False


_TELLING = ("cell", "area", "function", "ff", "dont_use")


def _cells(path: Path) -> list[_Cell]:
    """The cells of a library."""
    # Most lines are timing tables: tens of megabytes that no search has to go through.
    lines = (
        line for line in _read_text(path).splitlines() if any(word in line for word in _TELLING)
    )
    # No parser of Liberty: from `cell (NAME)` to the next one goes the body of a cell. A split by a
    # pattern with one group gives [head, name, body, name, body, ...].
    parts = re.split(r'\bcell\s*\(\s*"?([^")\s]+)"?\s*\)', printable("\n".join(lines)))
    found = []
    for name, whole in zip(parts[1::2], parts[2::2], strict=True):
        # Of the cell itself: others in it are its view under test, and at another voltage.
        body = re.split(r"\b(?:test|scaled)_cell\s*\(", whole, maxsplit=1)[0]
        areas = re.findall(r"(?<!\w)area\s*:\s*\"?([^\";}\n]*)", body)
        areas_um2 = {_area(each.strip(), name, path) for each in areas}
        if len(areas_um2) > 1:
            listed = " and ".join(f"{each:g}" for each in sorted(areas_um2))
            raise InvalidInput(
                f"cell {name[:80]} of library {path} has areas of {listed}: leave one out"
            )
        found.append(
            _Cell(
                name=name,
                area_um2=max(areas_um2, default=0.0),
                has_area=bool(areas_um2),
                functions=tuple(re.findall(r'\bfunction\s*:\s*"([^"]*)"', body)),
                holds_a_bit=re.search(r"\bff\s*\(", body) is not None,
                usable=_usable(body, name, path),
            )
        )
    return found


def _usable(body: str, name: str, path: Path) -> bool:
    """Whether a cell is not marked `dont_use : true`; Liberty has two words for yes and no."""
    said = {each.strip().lower() for each in re.findall(r'\bdont_use\s*:\s*"?([^";}\n]*)', body)}
    if not said <= {"true", "false"} or len(said) > 1:
        raise InvalidInput(
            f"cell {name[:80]} of library {path} says dont_use : "
            f"{' and '.join(sorted(said))[:80]}: one of true and false is needed"
        )
    return "true" not in said


def _area(text: str, name: str, path: Path) -> float:
    plain = re.fullmatch(r"[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]{1,3})?", text)
    try:
        area = float(text) if plain else math.nan
    except ValueError:
        area = math.nan
    if area == 0 or LEAST_UM2 <= area <= MOST_UM2:
        return area
    wanted = f"0, or a number of um2 from {LEAST_UM2:g} to {MOST_UM2:g}, is needed"
    said = text[:40].replace("\n", " ") or "nothing"
    raise InvalidInput(f"cell {name[:80]} of library {path} has an area of {said}: {wanted}")


def evaluate_function(text: str, values: Mapping[str, bool]) -> bool:
    """A Liberty function: `!` before or `'` behind for NOT; `&`, `*` or a space; `|` or `+`; `^`.

    A recursive descent, one function a level, the loosest first:

        either     = exclusive { ("|" | "+") exclusive }
        exclusive  = both { "^" both }
        both       = one { ["&" | "*"] one }
        one        = "!" one | ("(" either ")" | "0" | "1" | name) { "'" }

    Args:
        text: what stands in quotes behind `function`.
        values: of all names in it.

    Raises:
        ValueError: it is no such function.
    """
    tokens = re.findall(r"\w+|[!'&*|+^()]", text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise ValueError(text)
    place = 0

    def following() -> str:
        return tokens[place] if place < len(tokens) else ""

    def take() -> str:
        nonlocal place
        place += 1
        return tokens[place - 1] if place <= len(tokens) else ""

    # `|` and `&` rather than `or` and `and` below, which would leave the tokens of the second
    # operand where they are when the first one has decided.
    def either() -> bool:
        found = exclusive()
        while following() in ("|", "+"):
            take()
            found = exclusive() | found
        return found

    def exclusive() -> bool:
        found = both()
        while following() == "^":
            take()
            found = both() ^ found
        return found

    def both() -> bool:
        found = one()
        while (token := following()) and token not in "|+^)":
            if token in "&*":
                take()
            found = one() & found
        return found

    def one() -> bool:
        token = take()
        if token == "!":
            return not one()
        if token == "(":
            found = either()
            if take() != ")":
                raise ValueError(text)
        elif token in ("0", "1"):
            found = token == "1"
        elif token in values:
            found = values[token]
        else:
            raise ValueError(text)
        while following() == "'":
            take()
            found = not found
        return found

    found = either()
    if place != len(tokens):
        raise ValueError(text)
    return found
