"""Energy of single blocks of arithmetic in cell libraries: where technologies' prices come from.

    python -m benchmarks.block_energy benchmarks/block_energy.csv \
        --library sky130=sky130hd_tt.lib.gz --library asap7=simple.lib.gz,invbuf.lib.gz,...

A block stands between flip-flops that take new operands with each clock, as in a machine:

    operands ->| flip-flops |-> block ->| flip-flops |

It is mapped like a chip (`benchmarks.chip_logic`: Yosys' default flow), block and flip-flops apart,
and run gate by gate on `CYCLES` operands (`benchmarks.gates`), with the library's delays and with a
unit a gate, so that glitches count. A row has what one cycle of a block spends in logic, what the
flip-flops around it do beside, and their clock pins, by the library's internal energies and pin
capacitances, without wires and leakage.

Operands, all from one fixed seed:

    normal   n, normal with a deviation of 40, as int8; of other widths the same share of the range.
             A 1x1 convolution behind a depthwise one has such inputs: no ReLU stands between them
    relu     max(0, n): half of them are 0. Depthwise convolutions have such inputs
    sums     of 64 products of normal ones, 24 bits: normal with a deviation of 2^14
    factors  of 15 bits, the first one 1, as `dse.training.integer` has them
    uniform  all bits at random
    held     a new one each 16 cycles
    trits    not 0 with a probability that stands behind them, signs even
    still    the same in all cycles: a block then spends nothing

No chip is looked at here, and no constant is fitted to one: benchmarks/chip_energy.py compares.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.chip_energy import circuit_pj
from benchmarks.clock_and_control import FILE, Library, gate_commands, read_library
from benchmarks.gates import Delays, Run, flatten, simulate_gates
from dse.columns import significant
from dse.rtl.designs import module_text
from dse.rtl.yosys import run_script

COLUMNS = (
    "library",
    "block",
    "operands",
    "delays",
    "logic_fj",
    "registers_fj",
    "pins_fj",
    "settled",
)
CYCLES = 2000
SEED = 1
HELD = 16
"""Cycles of an operand that is held."""

Draw = Callable[[np.random.Generator, int], npt.NDArray[np.int64]]
"""(random numbers, bits) -> values of all cycles."""


def relu(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """Activations after a ReLU."""
    return np.maximum(normal(rng, bits), 0)


def normal(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """Signed values with a deviation of 40 of 128."""
    most = (1 << bits - 1) - 1
    return _rounded(rng.normal(0, 40 / 128 * 2.0 ** (bits - 1), CYCLES), most)


def sums(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """Sums of 64 products of normal values of 8 bits: 40 * 40 * 8 = 2^13.6."""
    return _rounded(rng.normal(0, 2.0**14, CYCLES), (1 << bits - 1) - 1)


def factors(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """A new one each cycle: columns are frames, so that each step is of another channel."""
    return rng.integers(1 << bits - 2, 1 << bits - 1, CYCLES)


def shifts(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """By 8 to 15 bits."""
    return rng.integers(8, 16, CYCLES)


def repeated(draw: Draw) -> Draw:
    """A new one each `HELD` cycles."""

    def drawn(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
        return np.repeat(draw(rng, bits)[::HELD], HELD)[:CYCLES]

    return drawn


def _rounded(values: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.int64]:
    return np.clip(np.rint(values), -most, most).astype(np.int64)


def uniform(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """All bits at random."""
    return rng.integers(0, 1 << bits, CYCLES)


def still(rng: np.random.Generator, bits: int) -> npt.NDArray[np.int64]:
    """One value."""
    return np.full(CYCLES, int(rng.integers(0, 1 << bits)))


def lanes(draw: Draw, count: int) -> Draw:
    """Values of 8 bits side by side; `draw` makes those of a lane."""

    def drawn(rng: np.random.Generator, bits: int) -> Any:
        values = np.zeros(CYCLES, dtype=object)
        for lane in range(count):
            values |= (draw(rng, 8) & 255).astype(object) << 8 * lane
        return values

    return drawn


def chance(probability: float) -> Draw:
    """Bits that are 1 with a probability."""

    def drawn(rng: np.random.Generator, bits: int) -> Any:
        values = np.zeros(CYCLES, dtype=object)
        for bit in range(bits):
            values |= (rng.random(CYCLES) < probability).astype(object) << bit
        return values

    return drawn


held = repeated(normal)


@dataclass(frozen=True, slots=True)
class Block:
    """A circuit between flip-flops."""

    inputs: dict[str, int]
    """Operand -> bits."""
    output_bits: int
    body: str
    """Verilog that makes `y` of the operands; `clk` is there, too."""
    draws: dict[str, tuple[Draw, ...]]
    """Name of the operands' distribution -> how each is drawn."""
    modules: tuple[str, ...] = ()
    """Texts of what it is made of."""


def _multiplier(a: int, b: int) -> Block:
    return Block(
        {"a": a, "b": b},
        a + b,
        "assign y = $signed(a) * $signed(b);",
        {
            "relu, normal": (relu, normal),
            "normal, normal": (normal, normal),
            "relu, held": (relu, held),
            "uniform, uniform": (uniform, uniform),
            "still, still": (still, still),
        },
    )


def _adder(bits: int) -> Block:
    return Block(
        {"a": bits, "b": bits},
        bits,
        "assign y = a + b;",
        {"uniform, uniform": (uniform, uniform), "normal, normal": (normal, normal)},
    )


def _tree(count: int) -> Block:
    return Block(
        {"a": 8 * count, "nonzero": count, "negative": count},
        9 + int(np.log2(count)),
        f"ternary_tree #(.LANES({count}), .ACTIVATION_BITS(8)) tree "
        "(.activations(a), .nonzero(nonzero), .negative(negative), .sum(y));",
        {
            f"{name}, trits {density}": (lanes(draw, count), chance(density), chance(0.5))
            for name, draw in (("normal", normal), ("relu", relu))
            for density in (0.125, 0.25, 0.5, 1.0)
        },
        (module_text("ternary_tree"),),
    )


MAC = """reg signed [23:0] total;
always @(posedge clk) total <= y;
assign y = (first ? 24'd0 : total) + $signed(a) * $signed(b);"""

SHIFTER = "assign y = $signed(a) >>> b;"

RESCALED = """wire signed [39:0] product = $signed(a) * $signed(f);
wire signed [39:0] shifted = product >>> s;
assign y = shifted[23:0] + c;"""


def blocks() -> dict[str, Block]:
    """All that are measured."""
    begins = chance(1 / 64)  # a sum begins anew after 64 additions
    mac = {
        name: (first, second, begins)
        for name, (first, second) in {
            "relu, normal": (relu, normal),
            "normal, normal": (normal, normal),
            "relu, held": (relu, held),
            "normal, held": (normal, held),
        }.items()
    }
    found = {f"multiplier {a}x{b}": _multiplier(a, b) for a, b in SIZES}
    found |= {f"adder {bits}": _adder(bits) for bits in (16, 24, 32)}
    found["mac 8x8+24"] = Block({"a": 8, "b": 8, "first": 1}, 24, MAC, mac)
    found |= {f"tree {count}": _tree(count) for count in (8, 16, 32)}
    found["adder 24"].draws["sums, sums"] = (sums, sums)
    found["multiplier 24x16"].draws.update(
        {"sums, factors": (sums, factors), "sums, held factors": (sums, repeated(factors))}
    )
    found["rescaled 24x16"] = Block(
        {"a": 24, "f": 16, "s": 5, "c": 24},
        24,
        RESCALED,
        {
            "sums, factors": (sums, factors, shifts, sums),
            "sums, held factors": (sums, repeated(factors), repeated(shifts), sums),
        },
    )
    found["shifter 40"] = Block(
        {"a": 40, "b": 5}, 40, SHIFTER, {"normal, shifts": (normal, shifts)}
    )
    found["comparator 24"] = Block(
        {"a": 24, "b": 24},
        1,
        "assign y = $signed(a) < $signed(b);",
        {"normal, normal": (normal, normal), "uniform, uniform": (uniform, uniform)},
    )
    found["selection 64"] = Block(
        {"a": 64, "b": 64, "s": 1},
        64,
        "assign y = s ? a : b;",
        {"uniform, uniform, even": (lanes(uniform, 8), lanes(uniform, 8), chance(0.5))},
    )
    return found


SIZES = ((4, 4), (8, 8), (16, 16), (24, 16))


def verilog(block: Block) -> str:
    """The block and the flip-flops around it, each a module."""
    ports = "".join(f", input [{n - 1}:0] {name}" for name, n in block.inputs.items())
    names = "".join(f", .{name}(held_{name})" for name in block.inputs)
    kept = "".join(
        f"wire [{n - 1}:0] held_{name}; flip_flops #({n}) operand_{name} "
        f"(.clk(clk), .d({name}), .q(held_{name}));\n"
        for name, n in block.inputs.items()
    )
    out = f"[{block.output_bits - 1}:0]"
    return f"""
module flip_flops #(parameter N = 1) (input clk, input [N-1:0] d, output reg [N-1:0] q);
always @(posedge clk) q <= d;
endmodule
module block (input clk{ports}, output {out} y);
{block.body}
endmodule
module bench (input clk{ports}, output {out} result);
{kept}wire {out} y;
block block (.clk(clk){names}, .y(y));
flip_flops #({block.output_bits}) result_register (.clk(clk), .d(y), .q(result));
endmodule
"""


def netlist(block: Block, library: Library, folder: Path) -> Any:
    """Modules of the mapped bench, the block apart from the flip-flops around it."""
    sources = []
    for at, text in enumerate((*block.modules, verilog(block))):
        (folder / f"source{at}.v").write_text(text, encoding="utf-8")
        sources.append(f"read_verilog -DSYNTHESIS source{at}.v")
    given = ""
    for at, text in enumerate(library.text.split(FILE)):
        (folder / f"cells{at}.lib").write_text(text, encoding="utf-8")
        given += f" -liberty cells{at}.lib"
    commands = [
        *sources,
        "hierarchy -top bench",
        "proc",
        "setattr -set keep_hierarchy 1 bench/t:*",
        "synth -flatten -top bench",
        *gate_commands(library),
        f"dfflibmap{given}",
        f"abc{given}",
        "opt_clean -purge",
        "write_json bench.json",
    ]
    run_script(commands, folder)
    return json.loads((folder / "bench.json").read_text())["modules"]


def measure(name: str, block: Block, library: Library) -> Iterator[dict[str, Any]]:
    """A row for each distribution of the operands."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        modules = netlist(block, library, folder)
        flat = flatten(
            modules, "bench", library, lambda i, k, part: part or ("block" if i == "block" else "")
        )
        for operands, draws in block.draws.items():
            rng = np.random.default_rng(SEED)
            drawn = [
                draw(rng, bits) for draw, bits in zip(draws, block.inputs.values(), strict=True)
            ]
            masks = [(1 << bits) - 1 for bits in block.inputs.values()]
            cycles = [
                {
                    port: int(values[at]) & mask
                    for port, values, mask in zip(block.inputs, drawn, masks, strict=True)
                }
                for at in range(CYCLES)
            ]
            run = Run(clock="clk", inputs=[*block.inputs], cycles=cycles, start=HELD, most=CYCLES)
            delays: Delays
            for delays in ("library", "unit"):
                toggled = simulate_gates(flat, run, {}, folder, delays)
                spent = circuit_pj(flat, toggled.toggles.sum(axis=0))
                counted = 1e3 / (CYCLES - HELD)
                own, around = spent.get("block", {}), spent.get("", {})
                yield {
                    "library": library.name,
                    "block": name,
                    "operands": operands,
                    "delays": delays,
                    "logic_fj": own.get("logic_pj", 0.0) * counted,
                    "registers_fj": around.get("logic_pj", 0.0) * counted,
                    "pins_fj": around.get("pins_pj", 0.0) * counted,
                    "settled": toggled.settled,
                }


SHOWN = (
    ("multiplier 8x8", "normal, normal"),
    ("multiplier 8x8", "relu, normal"),
    ("multiplier 8x8", "relu, held"),
    ("multiplier 24x16", "sums, factors"),
    ("rescaled 24x16", "sums, factors"),
    ("adder 24", "normal, normal"),
    ("mac 8x8+24", "normal, normal"),
    ("mac 8x8+24", "relu, normal"),
    *(("tree 32", f"normal, trits {density}") for density in (0.125, 0.25, 0.5, 1.0)),
    ("tree 32", "relu, trits 0.25"),
    ("comparator 24", "normal, normal"),
    ("selection 64", "uniform, uniform, even"),
)
"""Block and operands of the table in docs/evidence/technologies.md."""


def energies_fj(rows: list[dict[str, str]]) -> dict[tuple[str, str, str, str], float]:
    """(library, block, operands, delays) -> energy of its logic in a cycle."""
    keys = COLUMNS[:4]
    return {tuple(row[key] for key in keys): float(row["logic_fj"]) for row in rows}  # type: ignore[misc]


def table(rows: list[dict[str, str]]) -> str:
    """Energies of a cycle in fJ, with the library's delays and, in brackets, a unit a gate."""
    known = energies_fj(rows)
    libraries = [*dict.fromkeys(row["library"] for row in rows)]
    lines = [f"| block | operands | {' | '.join(libraries)} |", "|---" * (2 + len(libraries)) + "|"]
    for block, operands in SHOWN:
        cells = (
            f"{significant(known[library, block, operands, 'library'])} "
            f"({significant(known[library, block, operands, 'unit'])})"
            for library in libraries
        )
        lines.append(f"| {block} | {operands} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all blocks in the libraries that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--library", action="append", required=True, help="NAME=FILE,FILE")
    arguments = parser.parse_args()
    rows = []
    for given in arguments.library:
        name, paths = given.split("=")
        library = read_library(name, [Path(each) for each in paths.split(",")])
        for block_name, block in blocks().items():
            for row in measure(block_name, block, library):
                rows.append(row)
                told = (f"{v:.5g}" if isinstance(v, float) else v for v in row.values())
                print(*told, flush=True)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    with arguments.output.open(newline="", encoding="utf-8") as file:
        print(table([*csv.DictReader(file)]))


if __name__ == "__main__":
    main()
