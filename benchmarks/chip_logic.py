"""Area of an exported chip's logic, part by part, beside the model's figures for the same machine.

    python -m benchmarks.chip_logic benchmarks/chip_logic.csv --machine kws_tiny \
        --library sky130=sky130hd_tt.lib.gz --library asap7=simple.lib.gz,invbuf.lib.gz,...

Rows of the machines and libraries that are asked for take the place of those in the file; others
stay. The designs are those of `benchmarks/chip.py`, untrained.

Memories are macros and stay black boxes: those of the machine, and what holds descriptors,
multipliers and offsets. What is left is mapped to a library without clock gates (Yosys, flow area):
a part is dissolved into one netlist, parts and loop nests stay apart. The model's figures are those
of the technology that was fitted to the same library, without its memories, and without the share
that stands for clock tree and wiring: no placement on either side.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.chip import CLASSES, RUNS, point_of
from benchmarks.clock_and_control import (
    FILE,
    Cell,
    Library,
    gate_commands,
    read_cell,
    read_library,
)
from cost_models import load_accelerator, load_technology
from cost_models.accelerator import ComputeArray
from cost_models.area import (
    multiplier_area_um2,
    register_area_um2,
    register_file_area_um2,
)
from cost_models.control import alignment_area_um2, control_area_um2
from cost_models.machine_area import machine_area_um2
from cost_models.selection import (
    loading_area_um2,
    operand_area_um2,
    tree_choice_area_um2,
    unit_area_um2,
    vector_area_um2,
)
from cost_models.technology import Technology
from cost_models.workload import FACTOR_BITS
from dse.chip.export import ChipExport
from dse.chip.machine import SUM_BITS
from dse.files import write_text
from dse.networks.lowering import lower
from dse.rtl.yosys import run_script
from dse.training.integer import quantise_network
from dse.training.source import calibration_pictures, untrained

COLUMNS = (
    "machine",
    "library",
    "part",
    "cells",
    "flip_flops",
    "flip_flops_um2",
    "circuit_um2",
    "model_um2",
)
TECHNOLOGIES = {"sky130": "sky130_130nm", "asap7": "asap7_7nm"}
DESIGNS = {
    "kws_int8": "matchboxnet-3x1x64",
    "kws_ternary": "matchboxnet-3x1x64-P3",
    "kws_ternary_stored": "matchboxnet-3x1x64-P3",
}
"""Design of a machine; `kws_tiny` runs the small one."""
LONGEST_S = 3600.0
"""Patience with one chip: kws_ternary takes ten minutes on a busy machine."""
LOADING = "loading of records"
PARTS = {
    "macs": "MAC units and sums",
    "trees": "trees and sums",
    "fetch": "operands",
    "stored": "operands",
    "generator": "generator",
    "vectors": "vector unit",
    "results": "vector unit",
    "collects": "collector",
    "parameters": LOADING,
    "filler": "operands",
    "activations": "alignment of words",
    "ring": "alignment of words",
}
"""Instance -> part. All else is control, and so is every loop nest, wherever it stands."""
CONTROL = "control"
ALIGNMENT = "alignment of words"
MULTIPLIERS = "multipliers of the vector unit"
"""A row without cells of its own: what the model has of the vector unit for them."""


def export(machine: str) -> ChipExport:
    """The chip of a machine, with one clip of noise."""
    name = DESIGNS.get(machine, "small-P2")
    frames = next((run[2] for run in RUNS if run[:2] == (name, machine)), 64)
    source = untrained(point_of(name), CLASSES)
    pictures = calibration_pictures(source, None)[:, :, :frames]
    network = quantise_network(source, pictures)
    own = Path(__file__).with_name(f"{machine}.yaml")
    accelerator = load_accelerator(own if own.exists() else machine)
    return ChipExport(
        network=network,
        workload=lower(source.point, frames=frames, outputs=source.outputs),
        machine=accelerator,
        technology=load_technology(accelerator.technology),
        features=network.quantise(pictures[:1].numpy()),
    )


Modules = dict[str, dict[str, Any]]


def netlists(chip: ChipExport, libraries: list[Library], gated: bool = False) -> dict[str, Modules]:
    """Library -> modules of the mapped chip by name, parts kept apart; with clock gates or not."""
    kept = [
        "setattr -set keep_hierarchy 1 chip/t:*",
        "setattr -mod -set keep_hierarchy 1 *loop_nest*",
    ]
    return _mapped(chip, "chip", {}, kept, libraries, gated)


def trees_alone(chip: ChipExport, library: Library) -> Modules:
    """Modules of the mapped tree array alone, with the parameters that it has in the chip."""
    names = ("ROWS", "COLUMNS", "DEPTH")
    sizes = {name: chip.parameters[f"TREE_{name}"] for name in names}
    return _mapped(chip, "tree_array", sizes, [], [library])[library.name]


def _mapped(
    chip: ChipExport,
    top: str,
    sizes: dict[str, int],
    kept: list[str],
    libraries: list[Library],
    gated: bool = False,
) -> dict[str, Modules]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        commands = [
            *_read(chip, folder),
            *(f"chparam -set {name} {value} {top}" for name, value in sizes.items()),
            f"hierarchy -top {top}",
            "proc",
            *kept,
            f"synth -flatten -top {top}",
            "design -save unmapped",
        ]
        for library in libraries:
            given = _write(library, folder)
            commands += [
                "design -load unmapped",
                *(gate_commands(library) if gated else []),
                f"dfflibmap{given}",
                f"abc{given}",
                "opt_clean -purge",
                f"write_json {library.name}.json",
            ]
        run_script(commands, folder, LONGEST_S)
        return {
            library.name: json.loads((folder / f"{library.name}.json").read_text())["modules"]
            for library in libraries
        }


def _read(chip: ChipExport, folder: Path) -> list[str]:
    """Commands that read a chip's Verilog; macros without their bodies."""
    commands = []
    for name, text in chip.files().items():
        write_text(folder / name, text)
        if name.endswith(".v") and name != "test_bench.v":
            kind = "-lib" if "macro" in name else "-DSYNTHESIS"
            commands.append(f"read_verilog {kind} {name}")
    return commands


def _write(library: Library, folder: Path) -> str:
    """Options that give a library to Yosys."""
    given = ""
    for at, text in enumerate(library.text.split(FILE)):
        (folder / f"{library.name}{at}.lib").write_text(text, encoding="utf-8")
        given += f" -liberty {library.name}{at}.lib"
    return given


def account(modules: Modules, library: Library, top: str = "chip") -> dict[str, dict[str, float]]:
    """Part -> cells, flip-flops, their area and all area, in µm²."""
    known: dict[str, Cell] = {}
    parts: dict[str, dict[str, float]] = {}

    def visit(name: str, part: str) -> None:
        for instance, cell in modules[name]["cells"].items():
            kind = cell["type"]
            if kind in modules and "macro" not in kind:
                inside = PARTS.get(instance.split(".")[-1], part)
                visit(kind, CONTROL if "loop_nest" in kind else inside)
            elif not kind.startswith("$") and "macro" not in kind:
                if kind not in known:
                    known[kind] = read_cell(library, kind)
                each = known[kind]
                row = parts.setdefault(part, dict.fromkeys(COLUMNS[3:7], 0.0))
                row["cells"] += 1
                row["circuit_um2"] += each.area
                if each.next_state:
                    row["flip_flops"] += 1
                    row["flip_flops_um2"] += each.area

    # A module by itself is the part whose name its instance has in the chip.
    [name] = [n for n in modules if n.split("\\")[-1] == top and "macro" not in n]
    visit(name, "trees and sums" if top == "tree_array" else CONTROL)
    return parts


def model(chip: ChipExport, technology: Technology) -> dict[str, float]:
    """Part -> µm² of the cost model, memories left out."""
    machine = chip.chip.machine
    specs = [
        layer.generator
        for layer in chip.workload.layers
        if machine.generates(layer) and layer.generator is not None
    ]
    areas = {
        name: band.mid
        for name, band in machine_area_um2(machine, technology, specs).items()
        if name not in {memory.name for memory in machine.memories}
    }
    named = ("vector unit", "generator", "collector")
    found = {each: areas[each] for each in named if each in areas}
    found[LOADING] = loading_area_um2(machine, technology).mid
    if specs:  # the register of start words stands where the circuit loads them
        start = register_area_um2(technology, max(spec.start_bits for spec in specs)).mid
        found["generator"] -= start
        found[LOADING] += start
    found[CONTROL] = control_area_um2(machine, technology).mid
    found[ALIGNMENT] = alignment_area_um2(machine, technology).mid
    found["operands"] = areas.get("assembly", 0.0)
    for array in machine.arrays:
        sums = sums_um2(array, technology)
        name = "MAC units and sums" if array.element == "mac" else "trees and sums"
        found[name] = areas[array.name] + sums
        found["operands"] += areas[f"registers of {array.name}"] - sums
    found["MAC units and sums"] += unit_area_um2(machine, technology).mid
    if "trees and sums" in found:
        found["trees and sums"] += tree_choice_area_um2(machine, technology).mid
    found["operands"] += operand_area_um2(machine, technology).mid
    found["vector unit"] += vector_area_um2(machine, technology).mid
    lanes = chip.chip.lanes
    found[MULTIPLIERS] = lanes * multiplier_area_um2(technology, SUM_BITS, FACTOR_BITS).mid
    return found


def sums_um2(array: ComputeArray, technology: Technology) -> float:
    """Area of the registers of an array's sums, as `registers_area_um2` counts them."""
    bits = array.outputs.capacity_bits
    several = bits >= 2 * array.accumulator_bits
    area = register_file_area_um2 if several else register_area_um2
    return array.instances("outputs") * area(technology, bits).mid


def measure(machine: str, libraries: list[Library]) -> list[dict[str, Any]]:
    """Rows of the file for a machine."""
    chip = export(machine)
    rows = []
    for library, modules in netlists(chip, libraries).items():
        [used] = [each for each in libraries if each.name == library]
        circuit = account(modules, used)
        priced = model(chip, load_technology(TECHNOLOGIES[library]))
        for part in dict.fromkeys([*PARTS.values(), CONTROL, MULTIPLIERS]):
            if part in circuit or part in priced:
                row = {"machine": machine, "library": library, "part": part}
                row |= circuit.get(part, dict.fromkeys(COLUMNS[3:7], 0.0))
                rows.append(row | {"model_um2": priced.get(part, 0.0)})
    return rows


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a file; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows in the order of machines and libraries."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=lambda each: (each["machine"], each["library"])):
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def table(rows: list[dict[str, str]], machine: str) -> str:
    """Circuit beside model, in µm², as docs/how-to/chip.md shows them."""
    mine = [row for row in rows if row["machine"] == machine and row["part"] != MULTIPLIERS]
    return side_by_side(mine, f"part of `{machine}`, µm²", _compared)


def side_by_side(
    rows: list[dict[str, str]], heading: str, compared: Callable[[list[dict[str, str]]], str]
) -> str:
    """A table of parts, and of all logic, with three columns a library: circuit, model, ratio.

    Args:
        rows: of one machine, each part once a library.
        heading: of the parts.
        compared: the three cells of rows together.
    """
    found = {(row["library"], row["part"]): row for row in rows}
    libraries = list(dict.fromkeys(library for library, _ in found))
    heads = [f"{library} | model | ratio" for library in libraries]
    lines = [f"| {heading} | {' | '.join(heads)} |", "|---" * (1 + 3 * len(libraries)) + "|"]
    for part in dict.fromkeys(part for _, part in found):
        cells = [compared([found[each, part]]) for each in libraries]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    total = [compared([row for row in rows if row["library"] == each]) for each in libraries]
    return "\n".join([*lines, f"| all logic | {' | '.join(total)} |"])


def _compared(rows: list[dict[str, str]]) -> str:
    circuit, priced = (
        sum(float(row[name]) for row in rows) for name in ("circuit_um2", "model_um2")
    )
    ratio = f"{circuit / priced:.2f}" if priced else "not priced"
    return f"{_short(circuit)} | {_short(priced)} | {ratio}"


def _short(area_um2: float) -> str:
    return f"{area_um2:,.0f}" if area_um2 >= 100 or not area_um2 else f"{area_um2:.1f}"


def main() -> None:
    """Measure the machines in the libraries that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--machine", action="append", required=True)
    parser.add_argument("--library", action="append", required=True, help="NAME=FILE,FILE")
    asked = parser.parse_args()
    libraries = []
    for given in asked.library:
        name, paths = given.split("=")
        libraries.append(read_library(name, [Path(each) for each in paths.split(",")]))
    for machine in asked.machine:
        new = measure(machine, libraries)
        done = {(machine, library.name) for library in libraries}
        old = [r for r in read_rows(asked.output) if (r["machine"], r["library"]) not in done]
        write_rows(asked.output, old + new)
        print(table(read_rows(asked.output), machine), flush=True)


if __name__ == "__main__":
    main()
