"""Gate-level simulation of whole chips: every change of every net, glitches included.

A mapped netlist of Yosys (JSON, with or without hierarchy) becomes one flat list of cells, and
`gates.c` simulates it with delays: what `benchmarks.clock_and_control.simulate` does in Icarus,
fast enough for a whole inference. Memories are behavioural. Without delays (as Verilator simulates)
nothing would glitch. A gate takes

    unit       one unit, a flip-flop two: as many pulses as paths differ in gates
    library    what the liberty file says at the gate's load, without wires (mean of rise and fall
               and of its inputs, at a usual slope): paths differ in time, and pulses that are
               shorter than a gate's delay end there
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.clock_and_control import Cell, Library, Pin, read_cell

Modules = dict[str, dict[str, Any]]

ZERO, ONE = 0, 1
"""Nets that never change."""
MACRO = {"memory_macro": 1, "two_port_macro": 2}
"""Memory -> ports."""
LOGIC, REGISTER, GATE_CLOCK, GATE_ENABLE, MEMORY = range(5)
"""What reads a net, as `gates.c` has it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A cell of the flat netlist."""

    kind: str
    """Of the library, or a memory."""
    part: str
    pins: dict[str, list[int]]
    """Pin -> nets."""
    parameters: dict[str, Any]


@dataclass(slots=True)
class Flat:
    """A circuit without hierarchy."""

    cells: list[Placed]
    ports: dict[str, list[int]]
    nets: int
    library: Library
    kinds: dict[str, Cell] = field(default_factory=dict)

    def kind(self, name: str) -> Cell:
        """A cell of the library."""
        if name not in self.kinds:
            self.kinds[name] = read_cell(self.library, name)
        return self.kinds[name]


class _Nets:
    """Nets that are one by whatever name: a port's bit is a net of both modules."""

    def __init__(self) -> None:
        self.above = [ZERO, ONE]

    def new(self) -> int:
        self.above.append(len(self.above))
        return len(self.above) - 1

    def find(self, net: int) -> int:
        while self.above[net] != net:
            self.above[net] = self.above[self.above[net]]
            net = self.above[net]
        return net

    def join(self, one: int, other: int) -> None:
        one, other = self.find(one), self.find(other)
        self.above[max(one, other)] = min(one, other)  # a constant stays one


def flatten(
    modules: Modules, top: str, library: Library, part_of: Callable[[str, str, str], str]
) -> Flat:
    """All cells of a circuit, with nets numbered through.

    Args:
        modules: as Yosys writes them in JSON.
        top: name of the outermost one.
        library: of the cells.
        part_of: (instance, its module, part of the module around it) -> its part.
    """
    nets = _Nets()
    found: list[Placed] = []

    def visit(name: str, part: str, outside: dict[str, list[int]]) -> dict[str, list[int]]:
        module = modules[name]
        own: dict[int | str, int] = {"0": ZERO, "1": ONE, "x": ZERO, "z": ZERO}

        def net(bit: int | str) -> int:
            if bit not in own:
                own[bit] = nets.new()
            return own[bit]

        ports = {port: [net(b) for b in each["bits"]] for port, each in module["ports"].items()}
        for port, bits in outside.items():
            for inner, outer in zip(ports[port], bits, strict=True):
                nets.join(inner, outer)
        for instance, cell in module["cells"].items():
            kind = cell["type"]
            pins = {pin: [net(b) for b in bits] for pin, bits in cell["connections"].items()}
            if kind in modules and kind not in MACRO:
                visit(kind, part_of(instance, kind, part), pins)
            elif not kind.startswith("$"):
                given = {k: _parameter(v) for k, v in cell.get("parameters", {}).items()}
                found.append(Placed(kind, part, pins, given))
        return ports

    ports = visit(top, part_of("", top, ""), {})
    number: dict[int, int] = {ZERO: ZERO, ONE: ONE}

    def final(bits: list[int]) -> list[int]:
        return [number.setdefault(nets.find(net), len(number)) for net in bits]

    cells = [
        Placed(c.kind, c.part, {p: final(b) for p, b in c.pins.items()}, c.parameters)
        for c in found
    ]
    ports = {port: final(bits) for port, bits in ports.items()}
    return Flat(cells=cells, ports=ports, nets=len(number), library=library)


def _parameter(text: str) -> int | str:
    return int(text, 2) if text and set(text) <= set("01") else text


# --- what gates.c reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What happens to the inputs, and what is watched."""

    clock: str
    inputs: list[str]
    """Ports, the clock left out."""
    cycles: list[dict[str, int]]
    """Values of the inputs, 0 where they are not named; the last cycle stays."""
    start: int
    """Cycles before it are not counted."""
    most: int
    """Cycles, at most."""
    group: str = ""
    """Port whose value says to which group a cycle belongs."""
    groups: int = 1
    done: str = ""
    """Port that ends it; without one the inputs do."""
    valid: str = ""
    watched: str = ""
    """Port whose value is told where `valid` is 1 at the end of a cycle."""


@dataclass(frozen=True, slots=True)
class Toggled:
    """What happened."""

    toggles: npt.NDArray[np.uint64]
    """Changes, (groups, nets)."""
    cycles: list[int]
    """Of each group."""
    watched: list[int]
    settled: float
    """From a rising clock to the last change, the longest of all cycles: in units of delay, or in
    the library's unit of time."""


Delays = Literal["unit", "library"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Delays in ticks of `gates.c`."""

    of: Callable[[Cell, Pin, float], int]
    """(cell, output, its load) -> delay."""
    inputs: int
    memory: int
    tick: float
    """In the library's unit of time; 1 where a gate has a unit."""


TICKS = 500
"""Of the usual slope, which is a little less than a usual delay: finer than it differs."""


def timing(library: Library, delays: Delays) -> Timing:
    """Of a library; what is not a gate (inputs, memories) answers like a flip-flop."""
    if delays == "unit":
        return Timing(lambda cell, pin, load: 2 if cell.next_state else 1, 5, 2, 1.0)
    tick = library.slew / TICKS
    register = read_cell(library, library.register)
    [out] = [pin for pin in register.pins.values() if pin.output]
    most_pins = 4 * max(pin.capacitance for pin in register.pins.values())
    usual = round(out.delay(library.slew, most_pins) / tick)

    def of(cell: Cell, pin: Pin, load: float) -> int:
        # A flip-flop is never faster than a clock gate, or what stands behind one would be late.
        return max(2 if cell.next_state else 1, round(pin.delay(library.slew, load) / tick))

    return Timing(of, usual, usual, tick)


def simulate_gates(
    flat: Flat, run: Run, images: dict[str, str], folder: Path, delays: Delays = "unit"
) -> Toggled:
    """Simulate a netlist; registers and memories begin at 0.

    Args:
        flat: the netlist.
        run: its inputs.
        images: texts of the memories' images by name.
        folder: for files.
        delays: of gates.
    """
    times = timing(flat.library, delays)
    for name, text in images.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "netlist.txt").write_text(
        "\n".join(_lines(flat, run, times)) + "\n", encoding="utf-8"
    )
    source = Path(__file__).with_name("gates.c")
    subprocess.run(["gcc", "-O3", "-o", "gates", str(source)], cwd=folder, check=True)
    done = subprocess.run(
        ["./gates", "netlist.txt", "counts.bin"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    *watched, last, settled = done.stdout.split("\n")[:-1]
    counts = np.fromfile(folder / "counts.bin", dtype=np.uint64).reshape(run.groups, flat.nets)
    return Toggled(
        counts,
        [int(n) for n in last.split()[1:]],
        [int(w, 2) for w in watched],
        int(settled.split()[1]) * times.tick,
    )


@dataclass(slots=True)
class _Description:
    """Lines of each section, and who reads each net."""

    load: npt.NDArray[np.float64]
    """Capacitance of the pins that each net drives."""
    times: Timing
    readers: list[list[tuple[int, int, int]]]
    logic: list[str] = field(default_factory=list)
    registers: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    memories: list[str] = field(default_factory=list)
    ones: list[int] = field(default_factory=lambda: [ONE])
    table_words: int = 0
    pins: int = 0

    def read(self, nets: list[int], kind: int, cell: int) -> None:
        """Pins of a cell in the order of its table's bits: a net may be several of them."""
        masks: dict[int, int] = {}
        for at, net in enumerate(nets):
            masks[net] = masks.get(net, 0) | 1 << at
        for net, mask in masks.items():
            self.readers[net].append((kind, cell, mask))

    def table(self, function: str, pins: tuple[str, ...]) -> str:
        words = truth_table(function, pins)
        self.table_words += len(words)
        return " ".join([str(len(words)), *(f"{word:x}" for word in words)])


def loads(flat: Flat) -> npt.NDArray[np.float64]:
    """Capacitance of the pins that each net drives, in the library's unit, shape (nets,)."""
    load = np.zeros(flat.nets)
    for cell in flat.cells:
        if cell.kind in MACRO:
            continue
        for pin, bits in cell.pins.items():
            if bits and not flat.kind(cell.kind).pins[pin].output:
                load[bits[0]] += flat.kind(cell.kind).pins[pin].capacitance
    return load


def _lines(flat: Flat, run: Run, times: Timing) -> Iterator[str]:
    found = _Description(loads(flat), times, [[] for _ in range(flat.nets)])
    for cell in flat.cells:
        _describe(found, flat, cell)
    yield f"nets {flat.nets} tables {found.table_words} pins {found.pins}"
    yield f"readers {sum(map(len, found.readers))} groups {run.groups}"
    for name in ("logic", "registers", "gates", "memories"):
        lines = getattr(found, name)
        if name == "logic":
            yield f"memory {times.memory}"
        yield f"{name} {len(lines)}"
        yield from lines
    yield "fans"
    for each in found.readers:
        yield " ".join(map(str, [len(each), *(number for reader in each for number in reader)]))
    yield " ".join(map(str, ["ones", len(found.ones), *found.ones]))
    [clock] = flat.ports[run.clock]
    inputs = [net for port in run.inputs for net in flat.ports[port]]
    yield f"clock {clock}"
    yield " ".join(map(str, ["inputs", times.inputs, len(inputs), *inputs]))
    yield f"cycles {len(run.cycles)}"
    for values in run.cycles:
        yield "".join(
            str(values.get(port, 0) >> at & 1)
            for port in run.inputs
            for at in range(len(flat.ports[port]))
        )
    yield f"from {run.start} most {run.most}"
    group = flat.ports[run.group] if run.group else []
    yield " ".join(map(str, ["group", len(group), *group]))
    yield f"done {flat.ports[run.done][0] if run.done else -1}"
    watched = flat.ports[run.watched] if run.watched else []
    valid = flat.ports[run.valid][0] if run.valid else -1
    yield " ".join(map(str, ["watch", valid, len(watched), *watched]))


def _describe(found: _Description, flat: Flat, cell: Placed) -> None:
    if cell.kind in MACRO:
        _describe_memory(found, cell)
        return
    kind = flat.kind(cell.kind)
    nets = {pin: bits[0] for pin, bits in cell.pins.items() if bits}
    inputs = tuple(p.name for p in kind.pins.values() if not p.output and p.name in nets)
    outputs = [p for p in kind.pins.values() if p.output and p.name in nets]
    if kind.gates:
        number = len(found.gates)
        enable = next(n for n in inputs if n in ("GATE", "ENA"))
        found.readers[nets["CLK"]].append((GATE_CLOCK, number, 0))
        found.readers[nets[enable]].append((GATE_ENABLE, number, 0))
        found.gates.append(f"{nets['CLK']} {nets[enable]} {nets['GCLK']}")
    elif kind.next_state:
        number = len(found.registers)
        data = tuple(n for n in inputs if n != kind.clock)
        found.read([nets[n] for n in data], REGISTER, number)
        found.readers[nets[kind.clock]].append((REGISTER, number, 0))
        outs = " ".join([str(len(outputs)), *(str(nets[p.name]) for p in outputs)])
        delay = max(found.times.of(kind, p, found.load[nets[p.name]]) for p in outputs)
        table = found.table(kind.next_state, (*data, "IQ"))
        found.registers.append(f"{outs} {delay} {1 << len(data)} 0 {table}")
        found.ones += [nets[p.name] for p in outputs if p.function == "IQN"]
    else:
        for output in outputs:
            found.read([nets[n] for n in inputs], LOGIC, len(found.logic))
            table = found.table(output.function, inputs)
            delay = found.times.of(kind, output, found.load[nets[output.name]])
            found.logic.append(f"{nets[output.name]} {delay} {table}")


def _describe_memory(found: _Description, cell: Placed) -> None:
    ports, pins, given = MACRO[cell.kind], cell.pins, cell.parameters
    names = (
        ("enable", "write", "address", "data", "q")
        if ports == 1
        else ("read", "write", "write_address", "read_address", "data", "q")
    )
    nets = [net for name in names for net in pins[name]]
    found.pins += len(nets)
    found.readers[pins["clk"][0]].append((MEMORY, len(found.memories), 0))
    image = str(given.get("IMAGE", "")).strip() or "-"
    lines = given.get("IMAGE_WORDS", given["WORDS"]) if image != "-" else 0
    sizes = (ports, given["WORDS"], len(pins["q"]), len(pins[names[2]]))
    found.memories.append(" ".join(map(str, [*sizes, *nets, image, lines])))


@cache
def truth_table(function: str, pins: tuple[str, ...]) -> tuple[int, ...]:
    """Values of a library's function, 64 a word: bit n where pin i is bit i of n."""
    size = 1 << len(pins)
    everything = (1 << size) - 1
    known = {"everything": everything}
    for at, pin in enumerate(pins):
        known[pin] = sum(1 << n for n in range(size) if n >> at & 1)
    text = function.replace("*", "&").replace("+", "|").replace("!", "~")
    value = eval(text, {"__builtins__": {}}, known) & everything
    return tuple(value >> at & (2**64 - 1) for at in range(0, size, 64))
