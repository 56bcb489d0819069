"""Energy of clock, control and broadcast in synthesised machines, beside that of their arithmetic.

    python -m benchmarks.clock_and_control benchmarks/clock_and_control.csv \
        --library sky130=sky130hd_tt.lib.gz --library asap7=simple.lib.gz,invbuf.lib.gz,...

Machines of `benchmarks/verilog`: arrays with registers of operands and a programmable loop nest
that makes all addresses. Each is synthesised (Yosys, flow area), its registers with an enable once
with clock gates and once without, and simulated gate by gate (Icarus, a unit of delay a gate, so
that glitches count) on inputs after a ReLU, normal weights, and trits of a density of 1/4.

    energy = sum over cells  toggles of a pin * internal energy at its load   (of the library)
           + sum over nets   toggles * V^2 / 2 * (capacitance of its pins + wire)

A wire is taken to be 1.5 cells long for each pin that it drives, at `WIRE_FF_PER_UM`. What a row of
the file counts is by cycle: `clock` pins of flip-flops and the wire between them, `gates` of the
clock, `logic`. A clock tree is not synthesised: `cost_models.overhead` adds it, from the figures of
single cells (rows with the circuit `cell`).
"""

import argparse
import csv
import gzip
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dse.rtl.designs import module_text
from dse.rtl.yosys import Circuit, read_commands, run_script

COLUMNS = (
    "library",
    "voltage_v",
    "circuit",
    "gated",
    "group",
    "cells",
    "flip_flops",
    "clock_gates",
    "area_um2",
    "clock_fj",
    "gates_fj",
    "logic_fj",
    "nets_fj",
)
WIRE_FF_PER_UM = 0.2
"""R. Ho, K. Mai, M. Horowitz, The future of wires, Proc. IEEE 89(4), 2001 (recalled): nearly the
same at every node."""
FILLED = 0.7
"""Of the area, by cells."""
CELLS_A_PIN = 1.5
CYCLES = 400
SMALLEST_GATED = 4
GROUPS = ("control", "operands", "array", "generator")
FILE = "\n/* next file */\n"
LOOPS = (16, 8, 4, 4)
"""Iterations, innermost first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A cell library: its text, and the cells that take part."""

    name: str
    text: str
    voltage_v: float
    femto: float
    """fJ a unit of its energies, and fF a unit of capacitance."""
    slew: float
    """A usual transition, in its unit of time."""
    gate: str
    """Cell, enable, clock and output of a clock gate; what is tied to zero."""
    tied: str
    buffer: str
    """Cell of a clock tree."""
    register: str
    time_ns: float = 1.0
    """ns a unit of its time."""


@dataclass(slots=True)
class Pin:
    """Of a cell: what it loads, what it computes, what a toggle of it spends inside."""

    name: str
    output: bool
    capacitance: float
    function: str
    inside: list[tuple[list[float], list[float], Any]] = field(default_factory=list)
    behind: list[tuple[list[float], list[float], Any]] = field(default_factory=list)
    """Delays of an output, for each input that changes it, rising and falling."""

    def delay(self, slew: float, load: float) -> float:
        """Mean over inputs, rise and fall, in the library's unit of time.

        Raises:
            AssertionError: the library has no delays of this pin.
        """
        assert self.behind, self.name
        return float(np.mean([_look_up(*table, slew, load) for table in self.behind]))

    def spent(self, slew: float, load: float) -> float:
        """Mean over rise, fall and states of the other pins, in the library's unit."""
        if not self.inside:
            return 0.0
        return float(np.mean([_look_up(*table, slew, load) for table in self.inside]))


@dataclass(slots=True)
class Cell:
    """Of a library."""

    name: str
    area: float
    pins: dict[str, Pin]
    clock: str = ""
    """Pin that clocks a flip-flop."""
    next_state: str = ""
    gates: bool = False


# --- Liberty


def read_library(name: str, paths: list[Path]) -> Library:
    """A library of which only the text is read; cells are parsed when they are met."""
    parts = [p.read_bytes() for p in paths]
    text = FILE.join(
        (gzip.decompress(p) if p.startswith(b"\x1f\x8b") else p).decode("utf-8", "replace")
        for p in parts
    )
    if name == "asap7":
        return Library(
            name=name,
            text=text,
            voltage_v=0.7,
            femto=1.0,
            slew=20.0,
            gate="ICGx1_ASAP7_75t_R ENA:CLK:GCLK",
            tied="SE",
            buffer="BUFx4_ASAP7_75t_R",
            register="DFFHQNx1_ASAP7_75t_R",
            time_ns=1e-3,
        )
    return Library(
        name=name,
        text=text,
        voltage_v=1.8,
        femto=1000.0,
        slew=0.12,
        gate="sky130_fd_sc_hd__dlclkp_1 GATE:CLK:GCLK",
        tied="",
        buffer="sky130_fd_sc_hd__clkbuf_4",
        register="sky130_fd_sc_hd__dfxtp_1",
    )


def read_cell(library: Library, name: str) -> Cell:
    """Pins, tables and functions of a cell."""
    start = re.search(rf'cell\s*\(\s*"?{re.escape(name)}"?\s*\)', library.text)
    assert start is not None, name
    groups = _groups(library.text, start.start())
    tree = next(groups)
    cell = Cell(name, float(tree["area"][0]), {})
    cell.gates = "clock_gating_integrated_cell" in tree
    for kind, label, group in tree["groups"]:
        if kind == "ff":
            cell.next_state = group["next_state"][0]
            cell.clock = group["clocked_on"][0].strip("()! ")
        if kind != "pin" or group.get("direction", [""])[0] == "internal":
            continue
        pin = Pin(
            label,
            group["direction"][0] == "output",
            float(group.get("capacitance", ["0"])[0]),
            group.get("function", [""])[0],
        )
        for inner, _, power in group["groups"]:
            if inner == "timing" and pin.output:
                pin.behind += [
                    _table(table)
                    for edge, _, table in power["groups"]
                    if edge in ("cell_rise", "cell_fall")
                ]
            if inner != "internal_power" or power.get("related_pg_pin", ["VDD"])[0] == "VSS":
                continue
            for edge, _, table in power["groups"]:
                if edge in ("rise_power", "fall_power"):
                    pin.inside.append(_table(table))
        cell.pins[label] = pin
    return cell


def _groups(text: str, at: int) -> Iterator[dict[str, Any]]:
    """The group that begins at a place: attributes as lists, groups within as triples."""
    token = re.compile(
        r"/\*.*?\*/|([\w.]+)\s*\(([^()]*)\)\s*(\{|;?)|([\w.]+)\s*:\s*([^;\n]*);?|(\})", re.S
    )
    stack: list[dict[str, Any]] = [{"groups": []}]
    for found in token.finditer(text, at):
        name, inside, opens, key, value, closes = found.groups()
        if opens == "{":
            group: dict[str, Any] = {"groups": []}
            stack[-1]["groups"].append((name, inside.strip(' "'), group))
            stack.append(group)
        elif name:
            stack[-1].setdefault(name, []).append(inside)
        elif key:
            stack[-1].setdefault(key, []).append(value.strip(' "'))
        elif closes:
            done = stack.pop()
            if len(stack) == 1:
                yield done
                return


def _table(group: dict[str, Any]) -> tuple[list[float], list[float], Any]:
    def numbers(text: str) -> list[float]:
        return [float(each) for each in re.findall(r"-?[\d.]+(?:e-?\d+)?", text)]

    first = numbers(group.get("index_1", ["0"])[0])
    second = numbers(group.get("index_2", ["0"])[0])
    values = np.array(numbers(group["values"][0])).reshape(len(first), -1)
    return first, second, values


def _look_up(
    first: list[float], second: list[float], values: Any, slew: float, load: float
) -> float:
    row = int(np.argmin([abs(each - slew) for each in first]))
    if values.shape[1] == 1:
        return float(values[row, 0])
    return float(np.interp(load, second, values[row]))


# --- a netlist and its simulation


def synthesise(circuit: Circuit, library: Library, gated: bool, folder: Path) -> dict[str, Any]:
    """Cells and nets of a mapped circuit, hierarchy kept in the names."""
    given = ""
    for at, text in enumerate(library.text.split(FILE)):
        (folder / f"cells{at}.lib").write_text(text, encoding="utf-8")
        given += f" -liberty cells{at}.lib"
    run_script(
        [
            *read_commands(circuit, folder),
            f"synth -top {circuit.top}",
            *(gate_commands(library) if gated else []),
            f"dfflibmap{given}",
            f"abc{given}",
            "flatten",
            "opt_clean -purge",
            "write_json netlist.json",
        ],
        folder,
    )
    modules = json.loads((folder / "netlist.json").read_text())["modules"]
    return next(m for m in modules.values() if m["attributes"].get("top"))


def gate_commands(library: Library) -> list[str]:
    """Commands that put flip-flops with a common enable behind a clock gate."""
    tied = f" -tie_lo {library.tied}" if library.tied else ""
    return [f"clockgate -pos {library.gate} -min_net_size {SMALLEST_GATED}{tied}"]


def simulate(
    netlist: dict[str, Any],
    cells: dict[str, Cell],
    ports: dict[str, list[int]],
    stimulus: list[dict[str, int]],
    warm: int,
    folder: Path,
    delays: list[int] | None = None,
    inputs_at: int = 5,
) -> Counter[str]:
    """Toggles of each net, by its number, over the cycles after the first `warm` ones.

    Args:
        netlist: flat, as Yosys writes it.
        cells: kinds of cells, by name.
        ports: inputs, by name.
        stimulus: values of the inputs in each cycle.
        warm: cycles that are not counted.
        folder: for files.
        delays: of the cells of `cells` in the netlist's order, whole units; where it is left out a
            gate has one and a flip-flop two.
        inputs_at: units behind the clock at which inputs change.
    """
    half = 500 if delays is None else 40 * max(delays)
    lines = ["`timescale 1ns/1ps", *map(_model, cells.values()), "module bench;", "reg clk = 0;"]
    nets = {b for c in netlist["cells"].values() for bs in c["connections"].values() for b in bs}
    nets |= {b for bits in ports.values() for b in bits}
    inputs = [b for name, bits in ports.items() if name != "clk" for b in bits]
    lines.append(f"reg [{len(inputs) - 1}:0] vector, vectors [0:{len(stimulus) - 1}];")
    lines += [f"wire n{net};" for net in nets if isinstance(net, int)]
    lines += [f"assign n{net} = vector[{at}];" for at, net in enumerate(inputs)]
    lines += [f"assign n{net} = clk;" for net in ports["clk"]]
    placed = 0
    for index, cell in enumerate(netlist["cells"].values()):
        if cell["type"] not in cells:
            continue
        wired = (
            f".{pin}({f'n{b[0]}' if isinstance(b[0], int) else _tie(b[0])})"
            for pin, b in cell["connections"].items()
        )
        delay = "" if delays is None else f"#(.DELAY({delays[placed]})) "
        lines.append(f"{cell['type']} {delay}c{index} ({', '.join(wired)});")
        placed += 1
    lines += [
        "integer i;",
        'initial begin $readmemh("vectors.hex", vectors); vector = vectors[0];',
        f"for (i = 0; i < {len(stimulus)}; i = i + 1) begin",
        f'if (i == {warm}) begin $dumpfile("bench.vcd"); $dumpvars(1, bench); end',
        f"#{half} clk = 1; #{inputs_at} if (i + 1 < {len(stimulus)}) vector = vectors[i + 1];",
        f"#{half - inputs_at} clk = 0; end $finish; end endmodule",
    ]
    words = []
    for values in stimulus:
        word, place = 0, 0
        for name, bits in ports.items():
            if name != "clk":
                word |= (values.get(name, 0) & ((1 << len(bits)) - 1)) << place
                place += len(bits)
        words.append(f"{word:x}")
    (folder / "vectors.hex").write_text("\n".join(words))
    (folder / "bench.v").write_text("\n".join(lines))
    subprocess.run(["iverilog", "-g2005", "-o", "bench.vvp", "bench.v"], cwd=folder, check=True)
    subprocess.run(["vvp", "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True)
    return _toggles(folder / "bench.vcd")


def _tie(bit: str) -> str:
    return f"1'b{bit}" if bit in "01" else ""


def _model(cell: Cell) -> str:
    """Verilog of a cell with a delay; flip-flops begin at random, as silicon does."""
    pins = ", ".join(f"{'output' if p.output else 'input'} {p.name}" for p in cell.pins.values())
    head = f"module {cell.name} ({pins});"
    if cell.gates:
        clock, enable = "CLK", next(n for n in cell.pins if n in ("GATE", "ENA"))
        return (
            f"{head} parameter DELAY = 1; reg held = 0; always @* if (!{clock}) held = {enable};"
            f" assign #1 GCLK = {clock} & held; endmodule"
        )
    if cell.next_state:
        [out] = [p.name for p in cell.pins.values() if p.output][:1]
        inverted = "~" if cell.pins[out].function == "IQN" else ""
        return (
            f"{head} parameter DELAY = 2; reg q; initial q = $random;"
            f" assign #(DELAY - 1) {out} = {inverted}q;"
            f" always @(posedge {cell.clock}) q <= #1 {_verilog(cell.next_state)}; endmodule"
        )
    assigns = (
        f"assign #DELAY {p.name} = {_verilog(p.function)};" for p in cell.pins.values() if p.output
    )
    return f"{head} parameter DELAY = 1; {' '.join(assigns)} endmodule"


def _verilog(function: str) -> str:
    text = function.replace("*", "&").replace("+", "|").replace("!", "~")
    return re.sub(r"\bIQ\b", "q", text)


def _toggles(path: Path) -> Counter[str]:
    """Changes of each net in a value change dump."""
    names: dict[str, str] = {}
    last: dict[str, str] = {}
    counts: Counter[str] = Counter()
    with path.open() as file:
        for line in file:
            if line.startswith("$var"):
                _, _, width, code, name, *_ = line.split()
                if width == "1" and re.fullmatch(r"n\d+", name):
                    names[code] = name
            elif line[0] in "01x":
                code = line[1:].strip()
                if code in names:
                    before = last.get(code)
                    last[code] = line[0]
                    if before is not None and before != line[0]:
                        counts[names[code]] += 1
    return counts


# --- energies


def measure(name: str, library: Library, gated: bool) -> list[dict[str, Any]]:
    """Rows of the file: one a part of a machine, and its cycle's energies."""
    circuit, stimulus, warm = CIRCUITS[name]()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        netlist = synthesise(circuit, library, gated, folder)
        kinds = {c["type"] for c in netlist["cells"].values() if not c["type"].startswith("$")}
        cells = {kind: read_cell(library, kind) for kind in sorted(kinds)}
        ports = {n: p["bits"] for n, p in netlist["ports"].items() if p["direction"] == "input"}
        toggles = simulate(netlist, cells, ports, stimulus, warm, folder)
    return _account(name, library, gated, netlist, cells, toggles, len(stimulus) - warm, ports)


def _account(
    name: str,
    library: Library,
    gated: bool,
    netlist: dict[str, Any],
    cells: dict[str, Cell],
    toggles: Counter[str],
    cycles: int,
    ports: dict[str, list[int]],
) -> list[dict[str, Any]]:
    placed = {n: c for n, c in netlist["cells"].items() if c["type"] in cells}
    area = sum(cells[c["type"]].area for c in placed.values())
    pitch_um = (area / len(placed) / FILLED) ** 0.5
    wire = CELLS_A_PIN * pitch_um * WIRE_FF_PER_UM / library.femto
    load: Counter[int] = Counter()
    clocks = set()
    for cell in placed.values():
        kind = cells[cell["type"]]
        for pin, bits in cell["connections"].items():
            if not kind.pins[pin].output and isinstance(bits[0], int):
                load[bits[0]] += kind.pins[pin].capacitance + wire
                if pin == kind.clock or (kind.gates and pin == "CLK"):
                    clocks.add(bits[0])
    groups = sorted({_group(n) for n in placed})
    rows = {
        group: dict.fromkeys(COLUMNS, 0.0)
        | {
            "library": library.name,
            "voltage_v": library.voltage_v,
            "circuit": name,
            "gated": int(gated),
            "group": group,
        }
        for group in groups
    }
    unit = library.femto / cycles
    for place, cell in placed.items():
        row, kind = rows[_group(place)], cells[cell["type"]]
        row["cells"] += 1
        row["flip_flops"] += bool(kind.next_state)
        row["clock_gates"] += kind.gates
        row["area_um2"] += kind.area
        for pin, bits in cell["connections"].items():
            if not isinstance(bits[0], int):
                continue
            each, happened = kind.pins[pin], toggles[f"n{bits[0]}"]
            inside = happened * each.spent(library.slew, load[bits[0]]) * unit
            charged = happened * library.voltage_v**2 / 2 * unit
            if kind.gates:
                row["gates_fj"] += inside
            elif pin == kind.clock:
                row["clock_fj"] += inside
            else:
                row["logic_fj"] += inside
            if each.output and bits[0] not in clocks:
                row["nets_fj"] += charged * load[bits[0]]
            elif not each.output and bits[0] in clocks:
                share = "gates_fj" if kind.gates else "clock_fj"
                row[share] += charged * (each.capacitance + wire)
    return list(rows.values())


def _group(name: str) -> str:
    found = re.search(rf"\b({'|'.join(GROUPS)})\.", name)
    return found.group(1) if found else "top"


def cell_rows(library: Library) -> list[dict[str, Any]]:
    """What single cells of a clock spend in a cycle, a rise and a fall of the clock.

    `clock_fj` is inside and at the clock's pin, `nets_fj` at the output, which drives 16 flip-flops
    (a buffer) or none (a gate that is closed, a flip-flop that stands still).
    """
    rows = []
    sinks = read_cell(library, library.register)
    pins = 16 * sinks.pins[sinks.clock].capacitance
    for group, kind in (
        ("flip_flop", library.register),
        ("clock_gate", library.gate.split()[0]),
        ("buffer", library.buffer),
    ):
        cell = read_cell(library, kind)
        clock = cell.clock or (
            "CLK" if cell.gates else next(iter(n for n, p in cell.pins.items() if not p.output))
        )
        output = next(p for p in cell.pins.values() if p.output)
        volts = library.voltage_v**2 * library.femto
        inside = 2 * cell.pins[clock].spent(library.slew, 0) * library.femto
        driven = 2 * output.spent(library.slew, pins) * library.femto
        rows.append(
            dict.fromkeys(COLUMNS, 0.0)
            | {
                "library": library.name,
                "voltage_v": library.voltage_v,
                "circuit": "cell",
                "gated": int(cell.gates),
                "group": group,
                "cells": 1,
                "area_um2": cell.area,
                "clock_fj": inside + volts * cell.pins[clock].capacitance,
                "gates_fj": 0.0 if cell.clock else driven,
                "nets_fj": 0.0 if cell.clock else volts * pins,
            }
        )
    return rows


# --- circuits and their inputs


def verilog(name: str) -> str:
    """A module of `benchmarks/verilog`."""
    return (Path(__file__).parent / "verilog" / f"{name}.v").read_text(encoding="utf-8")


def programme(addresses: int) -> list[dict[str, int]]:
    """Cycles that write limits and steps into the loop nest, and begin."""
    words = [each - 1 for each in LOOPS]
    for address in range(addresses):
        words += [1 + address, 7 * address + 3, 0xFFF0 + address, 0xFF00]
    set_up = [{"set": 1, "word": at, "value": value} for at, value in enumerate(words)]
    return [{}, *set_up, {"load": 1}]


def activations(rng: np.random.Generator, count: int) -> int:
    """Values of 8 bits after a ReLU, the first one lowest."""
    values = np.clip(np.maximum(rng.normal(0, 40, count), 0), 0, 127).astype(np.uint8)
    return int.from_bytes(values.tobytes(), "little")


def _loop_nest() -> tuple[Circuit, list[dict[str, int]], int]:
    circuit = Circuit(top="loop_nest", parameters={}, sources=(verilog("loop_nest"),))
    before = programme(3)
    return circuit, [*before, *[{"enable": 1}] * CYCLES], len(before)


def _mac(rows: int = 4, columns: int = 4) -> tuple[Circuit, list[dict[str, int]], int]:
    circuit = Circuit(
        top="mac_machine",
        parameters={"ROWS": rows, "COLUMNS": columns},
        sources=(verilog("mac_machine"), verilog("loop_nest")),
    )
    rng = np.random.default_rng(1)
    before, running = programme(3), []
    for _ in range(CYCLES):
        weights = np.clip(rng.normal(0, 40, rows), -128, 127).astype(np.int8)
        running.append(
            {
                "enable": 1,
                "weights": int.from_bytes(weights.tobytes(), "little"),
                "inputs": activations(rng, columns),
            }
        )
    return circuit, before + running, len(before)


def _ternary(lanes: int = 16, frames: int = 4) -> tuple[Circuit, list[dict[str, int]], int]:
    names = ("lfsr_threshold", "lfsr_stream", "at_most", "ternary_tree")
    circuit = Circuit(
        top="ternary_machine",
        parameters={"LANES": lanes, "FRAMES": frames},
        sources=(
            verilog("ternary_machine"),
            verilog("loop_nest"),
            verilog("mac_machine").split("module mac_array")[0].split("endmodule", 1)[1],
            *map(module_text, names),
        ),
    )
    rng = np.random.default_rng(2)
    before = programme(2)
    before[-1] |= {"seed": int(rng.integers(1, 2**62)) * 2**60 + 1, "limit": 63}
    running = [{"enable": 1, "inputs": activations(rng, lanes * frames)} for _ in range(CYCLES)]
    return circuit, before + running, len(before)


CIRCUITS = {"loop_nest": _loop_nest, "mac_4x4": _mac, "ternary_16x4": _ternary}


def main() -> None:
    """Measure all circuits in the libraries that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--library", action="append", required=True, help="NAME=FILE,FILE")
    arguments = parser.parse_args()
    rows = []
    for given in arguments.library:
        name, paths = given.split("=")
        library = read_library(name, [Path(each) for each in paths.split(",")])
        rows += cell_rows(library)
        for circuit in CIRCUITS:
            for gated in (False, True):
                rows += measure(circuit, library, gated)
                print(*rows[-1].values(), flush=True)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
