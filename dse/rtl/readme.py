"""What an exported folder says of itself: a README for people, a core file for FuseSoC.

The README is the block's data sheet: ports, the order of events at them, what may change at run
time, and the commands that simulate, lint and synthesise it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dse.rtl.designs import GeneratorBlock
from dse.ternary.order import order_words
from dse.ternary.quantised import ACTIVATION_BITS

Words = Mapping[str, tuple[int, int]]
"""Input that is taken with `load` -> (width, value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShape:
    """What an engine's README says of its layer."""

    inputs: int
    outputs: int
    frames: int
    """At a time."""
    sum_bits: int
    vectors: int
    """Frames in the test vectors."""


def generator_readme(
    block: GeneratorBlock, words: Words, title: str, cycles: int, sources: list[str]
) -> str:
    """The data sheet of a generator.

    Args:
        block: family, density and lanes.
        words: the start words of the matrix.
        title: what matrix it is.
        cycles: to make it.
        sources: Verilog files but the test bench.
    """
    return f"""\
# {title}

{_facts(block, words)}- {cycles} cycles for the whole matrix

{_WRITTEN}
## Ports of `ternary_generator`

| port | bits | |
|---|---|---|
{_control_rows(block)}| `nonzero` | LANES | out: lane l is not zero |
| `negative` | LANES | out: lane l is -1; meaningless where `nonzero` is 0 |

One parameter: LANES, here {block.lanes}. {_lanes_rule(block)}

## Order of events

| rising edge with | the outputs are then |
|---|---|
| `load` = 1 | the first LANES trits of row 0; `enable` does not matter |
| `load` = 0, `enable` = 1 | the next LANES trits, {order_words(block.generator.tile)} |
| `load` = 0, `enable` = 0 | what they were, for as long as you like |

The stream runs through all rows without a gap and does not stop after the last one; `load` begins
again, at any time.

All registers are of one clock and change at its rising edge. There is no reset: `load` sets every
register, and before the first one the outputs are undefined. There are no latches, no gated clocks,
no memories. Outputs are logic behind registers, so `enable` and `load` have no path to them.

## What may change at run time

{_run_time(block)}

{_commands("ternary_generator", sources)}"""


def engine_readme(
    block: GeneratorBlock, words: Words, title: str, shape: EngineShape, sources: list[str]
) -> str:
    """The data sheet of an engine.

    Args:
        block: the generator's family, density and lanes.
        words: the start words of the matrix.
        title: what layer it is.
        shape: of the layer and its test vectors.
        sources: Verilog files but the test bench.
    """
    chunks = shape.inputs // block.lanes
    return f"""\
# {title}

{_facts(block, words)}\
- {shape.inputs} inputs of {ACTIVATION_BITS} bits, {shape.outputs} outputs of {shape.sum_bits} \
bits; frames at a time: {shape.frames}
- {chunks * shape.outputs} cycles for them, {chunks} an output
- test vectors: {shape.vectors} frames

{_WRITTEN}
## Ports of `ternary_engine`

| port | bits | |
|---|---|---|
{_control_rows(block)}| `activations` | FRAMES * LANES * {ACTIVATION_BITS} | in: {_ACTIVATIONS} |
| `chunk` | CHUNK_BITS | out: which inputs are wanted now, 0 to {chunks - 1} |
| `valid` | 1 | out: `sums` are those of output `number` |
| `number` | OUTPUT_BITS | out: 0 to {shape.outputs - 1} |
| `sums` | FRAMES * SUM_BITS | out: two's complement, frame 0 lowest |

    sums[f] = sum over all inputs c of matrix[number, c] * activation[c, f], exactly

## Order of events

1. One rising edge with `load` before each group of FRAMES frames: it takes the words of the table
   and begins with output 0. `load` has priority over `enable`.
2. Every rising edge with `enable` takes the activations of inputs `chunk` * LANES and up. `chunk`
   counts up by itself and starts over for each output: inputs are read {shape.outputs} times, once
   an output, so keep them in a buffer next to the engine. `chunk` is a register: a buffer that
   answers in the same cycle can take it as address. One that answers a cycle later is addressed
   with what follows (`chunk` + 1, or 0 after {chunks - 1}) while `enable` is high.
3. `valid` is high for one cycle after the edge that took an output's last chunk.

**Waiting.** `enable` is "activations are there and there is room for sums": low, nothing moves.
There is no other handshake. Whoever receives sums has the cycle in which `valid` is high; one that
cannot take them then holds `enable` low from that cycle on: `valid` falls, `sums` and `number`
stay.

All registers are of one clock and change at its rising edge. There is no reset: after the first
`load` every control output is defined, and `sums` are from the first `valid` on. There are no
latches, no gated clocks, no memories.

**Timing.** One cycle holds the generator's logic, log2(LANES) adders of the tree, and the
accumulator. Where that is too long, put registers between the generator's `nonzero` and `negative`
and the accumulator, and delay the accumulator's `enable` by as many cycles; `chunk` follows it.

**Scale.** Activations are round(x / s), s the largest magnitude / 127; s * sums is what the float
layer gives. Batch norm and requantisation are not part of the engine.

## What may change at run time

{_run_time(block)}
INPUTS and OUTPUTS are wired in: another layer of the same shape needs another seed, one of another
shape another engine. Activations and frames are yours.

{_commands("ternary_engine", sources)}"""


_WRITTEN = """\
Written by `dse export` (ternary-dse, Apache-2.0). Verilog-2005. The vectors come from the reference
model in Python; the test bench compares them with the circuit and prints PASS or FAIL.
"""


def _facts(block: GeneratorBlock, words: Words) -> str:
    start = ", ".join(f"{name} = {width}'h{value:x}" for name, (width, value) in words.items())
    return (
        f"- generator {block.generator.label}, density {block.density:g}, {block.lanes} lanes\n"
        f"- start: {start}\n"
    )


def _control_rows(block: GeneratorBlock) -> str:
    k = block.decision_bits
    rows = [
        ("clk", "1", "rising edge"),
        ("load", "1", "in: take the words below and begin"),
        ("enable", "1", "in: move on"),
        ("seed", str(block.state_bits), f"in, with `load`: {block.family.SEED}"),
    ]
    for word, bits in block.word_bits.items():
        if word in _WORDS:
            rows.append((word, str(bits), f"in, with `load`: {_WORDS[word].format(2**k)}"))
    return "".join(f"| `{name}` | {bits} | {text} |\n" for name, bits, text in rows)


_WORDS = {
    "limit": "density * {} - 1",
    "last_block": "(inputs - LANES) / {}, the blocks of a row but those of a cycle",
}
_ACTIVATIONS = (
    "inputs chunk * LANES and up, two's complement; lane 0 of frame 0 in the lowest byte, then "
    "lane 1; frame after frame"
)


def _lanes_rule(block: GeneratorBlock) -> str:
    """Which other lanes there may be."""
    same = "Another number of lanes gives the same trits in the same order, more or fewer a cycle"
    rule = block.family.lanes_rule(block.generator, block.density)
    return f"{same}{rule}. The vectors here are for this one."


def _run_time(block: GeneratorBlock) -> str:
    """Words that are taken with `load`, and what is wired in."""
    always = (
        "`seed`: any layer and any `ternary_seed`, from "
        "`dse.ternary.matrix.start_state(seed, layer, generator)`."
    )
    if "limit" in block.word_bits:
        k = block.decision_bits
        return f"{always}\n`limit`: any density n/{2**k}; {2**k - 1} makes every entry non-zero."
    return f"{always}\nThe density, {block.density:g}, is wired in."


def _commands(top: str, sources: list[str]) -> str:
    listed = " ".join(sources)
    return f"""\
## Simulate, lint, synthesise

    iverilog -g2005 -Wall -o test_bench {listed} test_bench.v
    vvp test_bench

    verilator --lint-only -Wall --top-module {top} {listed}
    yosys -p "read_verilog {listed}; synth -top {top}; stat"
    fusesoc --cores-root . run --target sim {_vlnv(top)}

`dse generator area` gives the area in your cell library.
"""


def fusesoc_core(top: str, sources: Iterable[str], vectors: Iterable[str]) -> str:
    """A core description for FuseSoC (CAPI2): modules, and a target that runs the test bench.

    Args:
        top: name of the top module, and of the core.
        sources: Verilog files but the test bench.
        vectors: files that the test bench reads.
    """
    verilog = "".join(f"      - {name}\n" for name in sources)
    # The simulation runs in a folder of its own: vectors are copied there.
    copied = "".join(f"      - {name}: {{file_type: user, copyto: {name}}}\n" for name in vectors)
    return f"""\
CAPI=2:
name: {json.dumps(_vlnv(top))}
description: Written by dse export (ternary-dse)
filesets:
  rtl:
    file_type: verilogSource-2005
    files:
{verilog}  bench:
    file_type: verilogSource-2005
    files:
      - test_bench.v
{copied}targets:
  default:
    filesets: [rtl]
    toplevel: {top}
  sim:
    filesets: [rtl, bench]
    toplevel: test_bench
    flow: sim
    flow_options: {{tool: icarus, iverilog_options: [-g2005]}}
"""


def _vlnv(top: str) -> str:
    """Vendor, library, name and version, as FuseSoC names cores."""
    return f"ternary-dse:rtl:{top}:1.0"
