"""Cells and area of a block, synthesised by Yosys with a cell library.

One flow, Yosys' default: `synth`, flip-flops and logic mapped to the library's cells (ABC, for
area). Figures depend on Yosys' version, which the extra `rtl` pins; layout adds wires and clocks.
"""

import gzip
import json
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path

from dse.errors import InvalidInput
from dse.rtl.yosys import Block, read_commands, run_script

DEFAULT_LIBRARY = "small_130nm"


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisedArea:
    """What a block takes in one library."""

    cells: int
    flip_flops: int
    area_um2: float
    nand2_um2: float
    """Area of the library's smallest two-input NAND."""

    @property
    def gate_equivalents(self) -> float:
        """Area in two-input NANDs."""
        return self.area_um2 / self.nand2_um2


def default_library() -> Path:
    """The small library that comes with this program."""
    return Path(str(resources.files("dse.rtl"))) / "libraries" / f"{DEFAULT_LIBRARY}.lib"


def synthesise(block: Block, libraries: tuple[Path, ...] = ()) -> SynthesisedArea:
    """Synthesise a block.

    Args:
        block: module and parameters.
        libraries: Liberty files, `.lib` or `.lib.gz`, read together; the small one where empty.

    Raises:
        InvalidInput: Yosys is not installed; a library is missing, unreadable or lacks a cell.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [_text_of(path) for path in libraries or (default_library(),)]
        files = []
        for index, text in enumerate(texts):
            files.append(folder / f"cells{index}.lib")
            files[-1].write_text(text, encoding="utf-8")
        given = " ".join(f"-liberty {path}" for path in files)
        report = folder / "report.json"
        try:
            run_script(
                [
                    *read_commands(block, folder),
                    f"synth -flatten -top {block.top}",
                    f"dfflibmap {given}",
                    f"abc {given}",
                    "opt_clean -purge",
                    f"tee -o {report} stat -json {given}",
                ]
            )
        except InvalidInput as error:
            if "cannot be legalized" not in str(error):
                raise
            raise InvalidInput(
                "the library has no D flip-flop: add the file that has the flip-flops"
            ) from None
        text = report.read_text(encoding="utf-8")
    found = json.loads(text[text.index("{") :])["design"]
    kinds: dict[str, int] = found["num_cells_by_type"]
    rest = [kind for kind in kinds if kind.startswith("$") and kind != "$scopeinfo"]
    if rest:
        raise InvalidInput(
            f"the library lacks a cell for {rest[0]}: give one with an inverter, a NAND of two "
            "inputs and a D flip-flop"
        )
    registers, nand2_um2 = _facts(tuple(libraries) or (default_library(),))
    return SynthesisedArea(
        cells=sum(count for kind, count in kinds.items() if kind != "$scopeinfo"),
        flip_flops=sum(count for kind, count in kinds.items() if kind in registers),
        area_um2=float(found["area"]),
        nand2_um2=nand2_um2,
    )


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidInput(f"library {path} cannot be read: {error}") from None
    if not re.search(r"^\s*library\s*\(", text, re.M):
        raise InvalidInput(f"library {path} is no Liberty file: it has no `library (...)`")
    return text


@lru_cache(maxsize=8)
def _facts(libraries: tuple[Path, ...]) -> tuple[frozenset[str], float]:
    """Names of the cells that hold a bit, and the area of a NAND; large libraries take seconds."""
    cells = _cells([_text_of(path) for path in libraries])
    registers = frozenset(name for name, body in cells if re.search(r"\bff\s*\(", body))
    return registers, _nand2_um2(cells)


_TELLING = ("cell", "area", "function", "ff")


def _cells(texts: list[str]) -> list[tuple[str, str]]:
    """Name and body of each cell."""
    found = []
    for whole in texts:
        # Most lines are timing tables: tens of megabytes that no search has to go through.
        lines = (line for line in whole.splitlines() if any(word in line for word in _TELLING))
        text = "\n".join(lines)
        parts = re.split(r'\bcell\s*\(\s*"?([^")\s]+)"?\s*\)', text)
        found += list(zip(parts[1::2], parts[2::2], strict=True))
    return found


def _nand2_um2(cells: list[tuple[str, str]]) -> float:
    """Area of the smallest cell that is a NAND of two inputs."""
    areas = []
    for _, body in cells:
        functions = re.findall(r'\bfunction\s*:\s*"([^"]*)"', body)
        area = re.search(r"\barea\s*:\s*\"?([0-9.]+)", body)
        if area and len(functions) == 1 and _is_nand2(functions[0]):
            areas.append(float(area[1]))
    if not areas:
        raise InvalidInput("the library has no NAND of two inputs to count gate equivalents in")
    return min(areas)


def _is_nand2(function: str) -> bool:
    text = re.sub(r"[\s()]", "", function)
    # !(A&B), or !A+!B; `*` and `|` are the other ways to write them.
    negated = re.fullmatch(r"!\(+\s*\w+\s*\)*\s*[&*]\s*\(*\s*\w+\s*\)+", function.strip())
    return bool(negated) or re.fullmatch(r"!\w+[+|]!\w+", text) is not None
