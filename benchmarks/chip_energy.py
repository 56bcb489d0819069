"""Energy of an exported chip's logic, gate by gate on a clip, beside the model's.

    python -m benchmarks.chip_energy benchmarks/chip_energy.csv --machine kws_tiny \
        --library sky130=sky130hd_tt.lib.gz --library asap7=simple.lib.gz,invbuf.lib.gz,... \
        --checkpoint trained/small/best.pt --data speech

The chip is mapped as in `benchmarks.chip_logic`, with clock gates, and every change of every net is
counted while it runs an inference (`benchmarks.gates`, with the library's delays and with a unit a
gate: what glitches cost). Its scores must be the integer network's. Then

    energy = sum over cells  changes of a pin * internal energy at its load   (of the library)
           + sum over pins   changes of its net * V^2 / 2 * its capacitance

without wires, as the model has those apart, and without leakage. A pin's capacitance belongs to the
part that reads it. The model's side: its counts of the layers times the prices of the technology of
the same library. Memories, descriptors and the store of records are macros: on neither side.
"""

import argparse
import csv
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chip import CLASSES, RUNS, point_of
from benchmarks.chip_logic import (
    CONTROL,
    DESIGNS,
    PARTS,
    TECHNOLOGIES,
    Modules,
    netlists,
    read_rows,
    side_by_side,
)
from benchmarks.clock_and_control import Library, read_library
from benchmarks.gates import MACRO, Delays, Flat, Run, Toggled, flatten, loads, simulate_gates
from cost_models import load_accelerator, load_technology
from cost_models.energy import Component, Entry, price_list
from dse.chip.export import FEATURES, ChipExport
from dse.columns import significant
from dse.networks.lowering import lower
from dse.training.integer import quantise_network
from dse.training.source import calibration_pictures, trained, untrained

COLUMNS = (
    "machine",
    "library",
    "delays",
    "settled_ns",
    "part",
    "logic_pj",
    "pins_pj",
    "gates_pj",
    "model_pj",
)
DELAYS: tuple[Delays, ...] = ("library", "unit")
CLOCK = "clock gates"
"""A part by itself, wherever the gates stand."""
SPENT = ("logic_pj", "pins_pj", "gates_pj")
NO_WIRE = 1e-12
"""pJ a bit and mm: a constant has to be positive."""


def export(machine: str, checkpoint: Path | None, data: Path | None) -> ChipExport:
    """The chip of a machine with one clip: of speech, or of noise where nothing was trained."""
    name = DESIGNS.get(machine, "small-P2")
    frames = next(run[2] for run in RUNS if run[:2] == (name, machine))
    source = untrained(point_of(name), CLASSES) if checkpoint is None else trained(checkpoint)
    pictures = calibration_pictures(source, data)[:, :, :frames]
    network = quantise_network(source, pictures)
    accelerator = load_accelerator(machine)
    return ChipExport(
        network=network,
        workload=lower(source.point, frames=pictures.shape[2], outputs=source.outputs),
        machine=accelerator,
        technology=load_technology(accelerator.technology),
        features=network.quantise(pictures[:1].numpy()),
    )


def flat_chip(modules: Modules, library: Library) -> Flat:
    """All cells of a mapped chip with their parts."""

    def part_of(instance: str, kind: str, part: str) -> str:
        return CONTROL if "loop_nest" in kind else PARTS.get(instance.split(".")[-1], part)

    [top] = [name for name in modules if name.split("\\")[-1] == "chip"]
    return flatten(modules, top, library, lambda i, k, p: part_of(i, k, p) or CONTROL)


def stimulus(chip: ChipExport) -> tuple[list[dict[str, int]], int]:
    """Inputs of each cycle as the test bench gives them, and the cycle in which the run begins."""
    place = chip.places[FEATURES]
    tensor, lanes = place.tensor, place.lanes
    words = [int(line, 16) for line in chip.files()["features.hex"].split()]
    cycles = [{"reset": 1}] * 3
    for channel in range(tensor.channels):
        for word in range(place.pitch):
            real = min(lanes, tensor.frames - word * lanes)
            cycles.append(
                {
                    "host_write": 1,
                    "host_row": place.row + channel * place.pitch,
                    "host_channel": channel,
                    "host_frame": word * lanes,
                    "host_pitch": place.pitch,
                    "host_lanes": (1 << real) - 1,
                    "host_data": words[channel * place.pitch + word],
                }
            )
    return [*cycles, {"go": 1}, {}], len(cycles)


def simulate_chip(chip: ChipExport, flat: Flat, folder: Path, delays: Delays) -> Toggled:
    """Run the clip through the gates; a cycle belongs to the layer of the controller.

    Raises:
        AssertionError: a score is not the integer network's.
    """
    cycles, start = stimulus(chip)
    inputs = [p for p in flat.ports if p in ("reset", "go") or p.startswith("host_")]
    run = Run(
        clock="clk",
        inputs=inputs,
        cycles=cycles,
        start=start,
        most=10**7,
        group="layer",
        groups=len(chip.program.steps),
        done="done",
        valid="score_valid",
        watched="score",
    )
    images = {name: text for name, text in chip.files().items() if name.endswith(".hex")}
    toggled = simulate_gates(flat, run, images, folder, delays)
    expected = [int(score) % 2**32 for score in chip.scores[0]]
    assert toggled.watched == expected, (toggled.watched, expected)
    return toggled


def circuit_pj(flat: Flat, toggles: Any) -> dict[str, dict[str, float]]:
    """Part -> energy in pJ of its logic, its clock pins, and the clock gates in front of them."""
    library = flat.library
    load = loads(flat)
    placed = [cell for cell in flat.cells if cell.kind not in MACRO]
    pj = library.femto * 1e-3
    half = library.voltage_v**2 / 2
    found: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(SPENT, 0.0))
    spent: dict[tuple[str, str, float], float] = {}
    for cell in placed:
        kind, row = flat.kind(cell.kind), found[cell.part]
        for pin, bits in cell.pins.items():
            if not bits or not toggles[bits[0]]:
                continue
            each, happened = kind.pins[pin], float(toggles[bits[0]])
            key = (cell.kind, pin, round(float(load[bits[0]]), 6))
            if key not in spent:
                spent[key] = each.spent(library.slew, float(load[bits[0]]))
            energy = spent[key] + (0.0 if each.output else half * each.capacitance)
            name = "gates_pj" if kind.gates else "pins_pj" if pin == kind.clock else "logic_pj"
            row[name] += happened * energy * pj
    return dict(found)


def part_of(entry: Entry) -> str:
    """The circuit's part that does what the model prices; empty for what is on neither side."""
    if entry.component is Component.POST_PROCESSING:
        return "vector unit"
    if entry.component is Component.GENERATOR:
        return "generator"
    if entry.component is Component.CONTROL:
        return CONTROL
    if entry.component is Component.CLOCK:
        return CLOCK
    array = "trees and sums" if entry.part.startswith("tree") else "MAC units and sums"
    if entry.component in (Component.MULTIPLY_ACCUMULATE, Component.TERNARY_ADDITION):
        return array
    if entry.component is Component.REGISTER:
        return array if entry.operand == "outputs" else "operands"
    return ""


def model_pj(chip: ChipExport, technology_name: str) -> dict[str, float]:
    """Part -> energy in pJ that the model says, wires and leakage left out."""
    machine = chip.chip.machine
    technology = load_technology(technology_name)
    wire = technology.wire_pj_per_bit_mm
    assert wire is not None  # technologies of libraries have it
    no_wire = replace(wire, value=NO_WIRE, low=None, high=None)
    bare = replace(technology, wire_pj_per_bit_mm=no_wire)
    prices = price_list(machine, bare)
    found: dict[str, float] = defaultdict(float)
    layers = chip.program.cost.layers
    counts = np.sum([layer.counts for layer in layers], axis=0)
    for entry, count in zip(layers[0].prices.entries, counts, strict=True):
        if part := part_of(entry):
            found[part] += count * prices.prices_pj[prices.position[entry], 1]
    return dict(found)


def measure(chip: ChipExport, machine: str, library: Library) -> list[dict[str, Any]]:
    """Rows of the file for a machine in a library."""
    flat = flat_chip(netlists(chip, [library], gated=True)[library.name], library)
    model = model_pj(chip, TECHNOLOGIES[library.name])
    rows = []
    delays: Delays
    for delays in DELAYS:
        with tempfile.TemporaryDirectory() as folder:
            toggled = simulate_chip(chip, flat, Path(folder), delays)
        settled_ns = toggled.settled * library.time_ns if delays == "library" else ""
        given = {"machine": machine, "library": library.name, "delays": delays}
        circuit = circuit_pj(flat, toggled.toggles.sum(axis=0))
        rows += [given | {"settled_ns": settled_ns} | row for row in rows_of(circuit, model)]
    return rows


def rows_of(circuit: dict[str, dict[str, float]], model: dict[str, float]) -> list[dict[str, Any]]:
    """A row a part; clock gates are a part by themselves."""
    gates = {"logic_pj": 0.0, "pins_pj": 0.0, "gates_pj": 0.0}
    gates["gates_pj"] = sum(each["gates_pj"] for each in circuit.values())
    spent = {part: each | {"gates_pj": 0.0} for part, each in circuit.items()} | {CLOCK: gates}
    return [
        {"part": part}
        | spent.get(part, dict.fromkeys(SPENT, 0.0))
        | {"model_pj": model.get(part, 0.0)}
        for part in dict.fromkeys([*PARTS.values(), CONTROL, CLOCK])
        if part in spent or part in model
    ]


def table(rows: list[dict[str, str]], machine: str) -> str:
    """Circuit beside model, in nJ an inference, as docs/how-to/chip.md shows them."""
    mine = [row for row in rows if row["machine"] == machine and row["delays"] == "library"]
    return side_by_side(mine, f"part of `{machine}`, nJ", _compared)


def delays_table(rows: list[dict[str, str]], machine: str) -> str:
    """All logic with either kind of delays, and when the last net of a cycle is still."""
    lines = [
        "| all logic of `" + machine + "` | delays | nJ | over the model's | still after, ns |"
    ]
    lines.append("|---|---|---|---|---|")
    for library in dict.fromkeys(row["library"] for row in rows):
        for delays in DELAYS:
            mine = [
                row
                for row in rows
                if (row["machine"], row["library"], row["delays"]) == (machine, library, delays)
            ]
            settled = significant(float(mine[0]["settled_ns"])) if delays == "library" else "-"
            compared = _compared(mine).split(" | ")
            name = "of the library" if delays == "library" else "a unit a gate"
            lines.append(f"| {library} | {name} | {compared[0]} | {compared[2]} | {settled} |")
    return "\n".join(lines)


def _compared(rows: list[dict[str, str]]) -> str:
    circuit = sum(float(row[name]) for row in rows for name in SPENT) * 1e-3
    model = sum(float(row["model_pj"]) for row in rows) * 1e-3
    ratio = f"{circuit / model:.2f}" if model else "not priced"
    return f"{significant(circuit)} | {significant(model)} | {ratio}"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows in the order of machines and libraries."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(rows, key=lambda each: [each[name] for name in COLUMNS[:3]]):
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def main() -> None:
    """Measure the machines in the libraries that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--machine", default="kws_tiny")
    parser.add_argument("--library", action="append", required=True, help="NAME=FILE,FILE")
    parser.add_argument("--checkpoint", type=Path, help="of the machine's design, trained")
    parser.add_argument("--data", type=Path, help="folder of speech that it was trained on")
    asked = parser.parse_args()
    chip = export(asked.machine, asked.checkpoint, asked.data)
    for given in asked.library:
        name, paths = given.split("=")
        library = read_library(name, [Path(each) for each in paths.split(",")])
        new = measure(chip, asked.machine, library)
        old = [
            row
            for row in read_rows(asked.output)
            if (row["machine"], row["library"]) != (asked.machine, name)
        ]
        write_rows(asked.output, old + new)
    rows = read_rows(asked.output)
    print(table(rows, asked.machine), delays_table(rows, asked.machine), sep="\n\n", flush=True)


if __name__ == "__main__":
    main()
