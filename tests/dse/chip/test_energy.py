"""Energy of an exported chip's logic: the simulator against Icarus, committed figures, the docs."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.chip_energy import CLOCK, SPENT, circuit_pj, delays_table, table
from benchmarks.chip_logic import read_rows
from benchmarks.clock_and_control import (
    CIRCUITS,
    FILE,
    Cell,
    Library,
    Pin,
    read_cell,
    read_library,
    simulate,
    synthesise,
)
from benchmarks.gates import (
    ONE,
    Flat,
    Placed,
    Run,
    flatten,
    loads,
    simulate_gates,
    timing,
    truth_table,
)

ROOT = Path(__file__).parents[3]
LIBERTY = ROOT.parent / "shared" / "liberty"
SMALL = ROOT / "dse" / "rtl" / "libraries" / "small_130nm.lib"
ROWS = read_rows(ROOT / "benchmarks" / "chip_energy.csv")


def test_the_table_of_the_docs_is_what_was_measured():
    docs = (ROOT / "docs" / "how-to" / "chip.md").read_text(encoding="utf-8")
    assert ROWS
    for machine in {row["machine"] for row in ROWS}:
        assert table(ROWS, machine) in docs
        assert delays_table(ROWS, machine) in docs


def test_truth_tables_by_hand():
    assert truth_table("!(A&B)", ("A", "B")) == (0b0111,)
    assert truth_table("(A * !B) + (!A * B)", ("A", "B")) == (0b0110,)
    # Seven pins take two words: the first has all rows in which the seventh is 0.
    assert truth_table("G", tuple("ABCDEFG")) == (0, 2**64 - 1)


def small_library(text: str) -> Library:
    return Library(
        name="small",
        text=text,
        voltage_v=1.8,
        femto=1000.0,
        slew=0.1,
        gate="",
        tied="",
        buffer="buf",
        register="dff",
    )


@pytest.mark.parametrize(
    ("gated", "delays"),
    [
        (False, "unit"),
        pytest.param(True, "unit", marks=pytest.mark.soak),
        pytest.param(False, "library", marks=pytest.mark.soak),
    ],
)
def test_every_net_changes_as_often_as_in_icarus(gated, delays, tmp_path):
    pytest.importorskip("pyosys")
    if (gated or delays == "library") and not LIBERTY.is_dir():
        pytest.skip("no folder ../shared/liberty: the small library has no clock gates, no delays")
    library = small_library(SMALL.read_text(encoding="utf-8"))
    if gated or delays == "library":
        library = read_library("sky130", [LIBERTY / "sky130hd_tt.lib.gz"])
    circuit, stimulus, warm = CIRCUITS["loop_nest"]()
    stimulus = stimulus[: warm + 100]
    netlist = synthesise(circuit, library, gated, tmp_path)
    kinds = {c["type"] for c in netlist["cells"].values() if not c["type"].startswith("$")}
    cells = {kind: read_cell(library, kind) for kind in sorted(kinds)}
    ports = {n: p["bits"] for n, p in netlist["ports"].items() if p["direction"] == "input"}
    flat = flatten({"loop_nest": netlist}, "loop_nest", library, lambda *_: "all")
    times, load = timing(library, delays), loads(flat)
    given = None
    if delays == "library":
        outputs = [
            (flat.kind(cell.kind), pin, cell.pins[pin.name][0])
            for cell in flat.cells
            for pin in flat.kind(cell.kind).pins.values()
            if pin.output and cell.pins.get(pin.name)
        ]
        assert len(outputs) == len(flat.cells)  # each has one
        given = [times.of(kind, pin, load[net]) for kind, pin, net in outputs]
        assert max(given) > 3 * min(given) > 30
    icarus = simulate(netlist, cells, ports, stimulus, warm, tmp_path, given, times.inputs)
    run = Run(
        clock="clk",
        inputs=[name for name in ports if name != "clk"],
        cycles=stimulus,
        start=warm,
        most=len(stimulus),
    )
    toggled = simulate_gates(flat, run, {}, tmp_path, delays)
    assert toggled.cycles == [100]
    ours = {}
    placed = iter(flat.cells)
    for cell in netlist["cells"].values():
        if cell["type"].startswith("$"):
            continue
        for pin, bits in next(placed).pins.items():
            if isinstance(cell["connections"][pin][0], int):
                ours[f"n{cell['connections'][pin][0]}"] = int(toggled.toggles[0, bits[0]])
    assert sum(ours.values()) > 1000
    # A gated clock falls a unit after the clock: Icarus counts that of the cycle before the first
    # one, and has stopped at that of the last one.
    late = {
        f"n{bit}"
        for cell in netlist["cells"].values()
        if cell["type"] in cells and cells[cell["type"]].gates
        for bit in cell["connections"]["GCLK"]
    }
    for net, count in ours.items():
        assert abs(count - icarus[net]) <= (net in late), net


def test_a_memory_and_a_register_by_hand(tmp_path):
    # A memory of two words of one bit, 0 and 1 by its image; its output feeds a flip-flop.
    dff = Cell("dff", 1.0, {n: Pin(n, n == "Q", 2.0, "IQ") for n in ("D", "CLK", "Q")})
    dff.clock, dff.next_state = "CLK", "D"
    clk, address, q, out = range(2, 6)
    pins = {"clk": [clk], "enable": [ONE], "write": [0], "address": [address]}
    memory = Placed(
        "memory_macro", "m", pins | {"data": [0], "q": [q]}, {"WORDS": 2, "IMAGE": "two.hex"}
    )
    register = Placed("dff", "r", {"D": [q], "CLK": [clk], "Q": [out]}, {})
    flat = Flat([memory, register], {"clk": [clk], "address": [address]}, 6, small_library(FILE))
    flat.kinds["dff"] = dff
    cycles = [{"address": at} for at in (0, 1, 0, 1, 1)]
    run = Run(clock="clk", inputs=["address"], cycles=cycles, start=0, most=5)
    toggled = simulate_gates(flat, run, {"two.hex": "0\n1\n"}, tmp_path).toggles[0]
    # Read in cycles 0 to 4: 0 1 0 1 1, and a cycle later in the flip-flop: 0 0 1 0 1.
    assert toggled[[clk, address, q, out]].tolist() == [10, 3, 3, 3]
    # 1/2 C V² of the pins that are driven: 3 changes of D, 10 of CLK, 2 pF each at 1.8 V.
    energy = circuit_pj(flat, toggled)["r"]
    assert energy["logic_pj"] == pytest.approx(3 * 2.0 * 1.8**2 / 2)
    assert energy["pins_pj"] == pytest.approx(10 * 2.0 * 1.8**2 / 2)
    assert np.all(circuit_pj(flat, 0 * toggled)["r"][name] == 0 for name in SPENT)


def test_clock_gates_are_a_part_by_themselves():
    for row in ROWS:
        assert (float(row["gates_pj"]) > 0) == (row["part"] == CLOCK)
