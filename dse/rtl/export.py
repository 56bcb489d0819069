"""Folders of Verilog: modules, a top for one design, a self-checking test bench, vectors.

Functions here return texts by file name; writing them is the command line's. Vectors come from the
reference model, so a test bench that passes says that hardware and reference agree.

A generator alone is checked by all its trits, an engine by sums. The engine's loops, in time:

    for group of FRAMES frames:                     `load` once before each
        for output r:
            for chunk of LANES inputs:              one cycle, with `enable`
                LANES trits of row r are made, and used at once by all frames of the group
                for frame in group:                 side by side, a tree and accumulator each
                    sum[frame] += sum over lanes of trit[lane] * activation[lane, frame]
            `valid`: FRAMES sums of output r

No weight is ever stored: the matrix is made again for each group, INPUTS * OUTPUTS / LANES cycles a
group. More frames share each trit, for more trees; more lanes shorten it, for a wider tree.

Vectors are text for `$readmemh`: a word in hexadecimal a line, most significant digit first. Hence
the reversals below: what is lowest in a word stands last in its line.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign
from dse.rtl.designs import GeneratorBlock, module_text
from dse.rtl.readme import EngineShape, engine_readme, fusesoc_core, generator_readme
from dse.rtl.yosys import Circuit
from dse.ternary.generators import find_family
from dse.ternary.generators.shift_register import Bits
from dse.ternary.generators.sobol import check_lanes_divide
from dse.ternary.order import arrange, order_name, order_words
from dse.ternary.quantised import ACTIVATION_BITS, SUM_BITS, mix_quantised

ENGINE_MODULES = ("ternary_accumulator", "ternary_tree")
MOST_FRAMES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorExport:
    """One matrix on one generator: a circuit whose whole output can be checked, trit by trit."""

    block: GeneratorBlock
    state: Bits
    rows: int
    columns: int
    title: str
    """What it is, for the comments: `layer B1.0.pw of matchboxnet-3x1x64, seed 1`."""

    @property
    def stream(self) -> npt.NDArray[np.int8]:
        """What the hardware must make, in this order: trits of the reference model."""
        block = self.block
        made = find_family(block.generator).matrix(
            block.generator, block.density, self.state, self.rows, self.columns
        )
        return made.ravel()

    @property
    def matrix(self) -> npt.NDArray[np.int8]:
        """The trits where they stand, (rows, columns)."""
        stream = self.stream.reshape(self.rows, self.columns)
        return arrange(stream, self.block.generator.tile)

    @property
    def words(self) -> dict[str, tuple[int, int]]:
        """Inputs that are taken with `load`: name -> (width, value)."""
        return self.block.start_words(self.state, self.columns)

    @property
    def cycles(self) -> int:
        """To make the whole matrix, LANES trits each; the last one may have some to spare."""
        return math.ceil(self.rows * self.columns / self.block.lanes)

    def files(self) -> dict[str, str]:
        """File name -> text."""
        sources = {f"{name}.v": module_text(name) for name in self.block.modules}
        sources["ternary_generator.v"] = _generator_top(self.block, self.title)
        return {
            **sources,
            "test_bench.v": _generator_bench(self),
            "trits.hex": trits_hex(self.stream, self.block.lanes),
            "ternary_generator.core": fusesoc_core("ternary_generator", sources, ["trits.hex"]),
            "README.md": generator_readme(
                self.block, self.words, self.title, self.cycles, list(sources)
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineExport:
    """One quantised ternary layer on a generator, an add/sub tree and accumulators.

    Raises:
        InvalidDesign: lanes do not divide the inputs, frames not the test vectors, or the test
            vectors are of another layer.
    """

    generator: GeneratorExport
    activations: npt.NDArray[np.int8]
    """(inputs, frames); what the test bench feeds."""
    frames: int = 1
    """Frames that share each trit: every frame has a tree and an accumulator of its own."""
    sum_bits: int = SUM_BITS

    def __post_init__(self) -> None:
        """Check that frames and lanes divide what is there.

        A chunk must not hold entries of two rows: they would belong to different sums.
        """
        check_lanes_divide(self.generator.block.lanes, self.generator.columns)
        if self.generator.block.generator.tile:
            order = order_name(self.generator.block.generator.tile)
            raise InvalidDesign(
                f"the engine takes a matrix row by row, and this one is made in order {order}: "
                "export the chip, whose arrays take tiles, or use a design of order rows"
            )
        if not 1 <= self.frames <= MOST_FRAMES:
            raise InvalidDesign(f"frames must be from 1 to {MOST_FRAMES}, not {self.frames}")
        inputs, frames = self.activations.shape
        if inputs != self.generator.columns:
            raise InvalidDesign(
                f"activations must have {self.generator.columns} inputs, not {inputs}"
            )
        if frames < self.frames or frames % self.frames:
            raise InvalidDesign(
                f"activations must be a multiple of {self.frames} frames, not {frames}"
            )

    @property
    def chunks(self) -> int:
        """Pieces of LANES inputs in a row, that is cycles an output takes."""
        return self.generator.columns // self.generator.block.lanes

    @property
    def sums(self) -> npt.NDArray[np.int32]:
        """What the hardware must compute: exact sums of the reference, (outputs, frames)."""
        return mix_quantised(self.generator.matrix, self.activations)

    def circuit(self) -> Circuit:
        """What Yosys reads: top, accumulator, tree and generator.

        It has no parameters to set: the top's defaults are already those of this layer.
        """
        names = (*self.generator.block.modules, *ENGINE_MODULES)
        return Circuit(
            top="ternary_engine",
            parameters={},
            sources=(*(module_text(name) for name in names), _engine_top(self)),
        )

    def files(self) -> dict[str, str]:
        """File name -> text."""
        names = (*self.generator.block.modules, *ENGINE_MODULES)
        sources = {f"{name}.v": module_text(name) for name in names}
        sources["ternary_engine.v"] = _engine_top(self)
        return {
            **sources,
            "test_bench.v": _engine_bench(self),
            "activations.hex": activations_hex(
                self.activations, self.generator.block.lanes, self.frames
            ),
            "sums.hex": sums_hex(self.sums, self.frames, self.sum_bits),
            "ternary_engine.core": fusesoc_core(
                "ternary_engine", sources, ["activations.hex", "sums.hex"]
            ),
            "README.md": engine_readme(
                self.generator.block,
                self.generator.words,
                self.generator.title,
                EngineShape(
                    inputs=self.generator.columns,
                    outputs=self.generator.rows,
                    frames=self.frames,
                    sum_bits=self.sum_bits,
                    vectors=self.activations.shape[1],
                ),
                list(sources),
            ),
        }


# --- vectors


def trits_hex(stream: npt.NDArray[np.int8], lanes: int) -> str:
    """A line a cycle: signs, then non-zeros, of all lanes, lane 0 the least significant bit.

    A word is {negative[LANES-1:0], nonzero[LANES-1:0]} in Verilog's order, of 2 * LANES bits. Rows
    follow each other without a gap, so a cycle may end one row and begin the next; the last line is
    filled with zeros, which the test bench does not compare.

    Args:
        stream: -1, 0, 1 in the order in which they are made.
        lanes: trits a cycle.
    """
    trits = np.concatenate([stream, np.zeros(-stream.size % lanes, dtype=np.int8)])
    cycles = trits.reshape(-1, lanes)
    digits = -(-2 * lanes // 4)
    lines = zip(cycles < 0, cycles != 0, strict=True)
    return "".join(
        f"{_number(signs) << lanes | _number(mask):0{digits}x}\n" for signs, mask in lines
    )


def activations_hex(activations: npt.NDArray[np.int8], lanes: int, frames: int) -> str:
    """A line a cycle: `lanes` inputs of `frames` frames, lane 0 of frame 0 in the lowest byte.

    Line number: group * chunks + chunk. Byte number in a word: frame * lanes + lane.

    Args:
        activations: (inputs, frames of all groups) int8, as two's complement.
        lanes: divide the inputs.
        frames: of a group; divide the frames of all.
    """
    # Axes are (chunk, lane, group, frame), wanted as (group, chunk | frame, lane): lines | bytes.
    inputs, total = activations.shape
    groups = activations.reshape(inputs // lanes, lanes, total // frames, frames)
    lines = groups.transpose(2, 0, 3, 1).reshape(-1, frames * lanes)
    return "".join(f"{line[::-1].astype(np.uint8).tobytes().hex()}\n" for line in lines)


def sums_hex(sums: npt.NDArray[np.int32], frames: int, bits: int) -> str:
    """A line an output and group of frames, group by group; frame 0 in the lowest bits.

    Args:
        sums: (outputs, frames of all groups).
        frames: of a group.
        bits: width of a sum; it is written as two's complement, that is modulo 2^bits. A sum that
            does not fit would wrap here as it does in the circuit.
    """
    outputs, total = sums.shape
    groups = sums.reshape(outputs, total // frames, frames).transpose(1, 0, 2)
    digits = -(-frames * bits // 4)
    lines = []
    for group in groups.reshape(-1, frames):
        word = sum((int(value) % 2**bits) << (bits * place) for place, value in enumerate(group))
        lines.append(f"{word:0{digits}x}\n")
    return "".join(lines)


def _number(bits: npt.NDArray[np.bool_]) -> int:
    """A row of bits as a number, the first one the least significant."""
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


# --- texts


def _instance(block: GeneratorBlock, words: Mapping[str, object]) -> str:
    parameters = ", ".join(
        f".{name}({'LANES' if name == 'LANES' else value})"
        for name, value in block.parameters.items()
    )
    inputs = "".join(f" .{name}({name})," for name in words)
    return (
        f"    {block.top} #(\n        {parameters}\n    ) generator (\n"
        f"        .clk(clk), .load(load), .enable(enable),{inputs}\n"
        "        .nonzero(nonzero), .negative(negative)\n    );\n"
    )


def _input_lines(block: GeneratorBlock) -> str:
    return "".join(
        f"    input  [{width - 1}:0] {name},\n" for name, width in block.word_bits.items()
    )


def _generator_top(block: GeneratorBlock, title: str) -> str:
    return f"""\
// Generator of the ternary matrix of {title}.
//
// {block.generator.label} at density {block.density:g}.
// After `load`, each cycle with `enable` gives the next LANES trits,
// {order_words(block.generator.tile)}; the number of lanes changes none.
module ternary_generator #(
    parameter LANES = {block.lanes}
) (
    input  clk,
    input  load,
    input  enable,
{_input_lines(block)}    output [LANES-1:0] nonzero,
    output [LANES-1:0] negative  // where nonzero
);
{_instance(block, block.word_bits)}endmodule
"""


def _engine_top(export: EngineExport) -> str:
    block, generator = export.generator.block, export.generator
    return f"""\
// Ternary mixing engine of {generator.title}.
//
// Generator, add/sub trees and accumulators: sum[r] = sum over c of matrix[r, c] * activation[c],
// for FRAMES frames at once. After `load`, while `enable` is high, `activations` must hold inputs
// chunk * LANES and up of every frame; `valid` comes with the sums of output `number`.
module ternary_engine #(
    parameter LANES = {block.lanes},
    parameter INPUTS = {generator.columns},
    parameter OUTPUTS = {generator.rows},
    parameter FRAMES = {export.frames},
    parameter SUM_BITS = {export.sum_bits},
    parameter CHUNKS = INPUTS / LANES,
    parameter CHUNK_BITS = CHUNKS > 1 ? $clog2(CHUNKS) : 1,
    parameter OUTPUT_BITS = OUTPUTS > 1 ? $clog2(OUTPUTS) : 1
) (
    input  clk,
    input  load,
    input  enable,
{_input_lines(block)}    input  [FRAMES*LANES*{ACTIVATION_BITS}-1:0] activations,
    output [CHUNK_BITS-1:0] chunk,
    output valid,
    output [OUTPUT_BITS-1:0] number,
    output [FRAMES*SUM_BITS-1:0] sums
);
    wire [LANES-1:0] nonzero;
    wire [LANES-1:0] negative;

{_instance(block, block.word_bits)}
    ternary_accumulator #(
        .LANES(LANES), .CHUNKS(CHUNKS), .OUTPUTS(OUTPUTS), .FRAMES(FRAMES),
        .ACTIVATION_BITS({ACTIVATION_BITS}), .SUM_BITS(SUM_BITS)
    ) accumulator (
        .clk(clk), .load(load), .enable(enable), .nonzero(nonzero), .negative(negative),
        .activations(activations), .chunk(chunk), .valid(valid), .number(number), .sums(sums)
    );
endmodule
"""


def _constants(words: Mapping[str, tuple[int, int]]) -> str:
    return "".join(
        f"    localparam [{width - 1}:0] {name.upper()} = {width}'h{value:x};\n"
        for name, (width, value) in words.items()
    )


def _connections(words: Mapping[str, object]) -> str:
    return "".join(f".{name}({name.upper()}), " for name in words)


_CLOCK = """\
    reg clk = 0;
    reg load = 0;
    reg enable = 0;
    integer dice = 1;
    integer mismatches = 0;
    integer checked = 0;

    always #5 clk = !clk;
"""

_VERDICT = """\
        if (mismatches == 0 && checked == {expected})
            $display("PASS: %0d {what}, 0 mismatches", checked);
        else
            $display("FAIL: %0d of %0d {what} differ; expected {expected}", mismatches, checked);
        $finish;
"""


# Both benches change inputs at the falling edge and look before the next rising one, so there is
# no race with the registers, which change at the rising edge. The passes with pauses hold `enable`
# low now and then: a circuit that moves on without it is found out. Comparisons use `!==`, to which
# an undefined bit (x) is a mismatch; `!=` would let it pass. And PASS needs the full number of
# comparisons, so that a bench which compares nothing cannot pass.


def _generator_bench(export: GeneratorExport) -> str:
    # Twice: once at full speed, once with pauses, and `load` in between must begin again.
    trits = export.rows * export.columns
    verdict = _VERDICT.format(expected=2 * trits, what="trits")
    return f"""\
// Self-checking test bench: the whole matrix of {export.title}, twice, the second time with pauses.
module test_bench;
    localparam LANES = {export.block.lanes};
    localparam TRITS = {trits};
    localparam CYCLES = {export.cycles};
{_constants(export.words)}
{_CLOCK}
    wire [LANES-1:0] nonzero;
    wire [LANES-1:0] negative;
    reg  [2*LANES-1:0] expected [0:CYCLES-1];
    reg  [2*LANES-1:0] wanted;
    integer pass, cycle, lane;

    ternary_generator #(.LANES(LANES)) dut (
        .clk(clk), .load(load), .enable(enable), {_connections(export.words)}
        .nonzero(nonzero), .negative(negative)
    );

    initial begin
        $readmemh("trits.hex", expected);
        for (pass = 0; pass < 2; pass = pass + 1) begin
            @(negedge clk) load = 1;
            @(negedge clk) load = 0;
            cycle = 0;
            while (cycle < CYCLES) begin
                enable = pass == 0 || $random(dice) % 3 != 0;
                wanted = expected[cycle];
                #1;
                if (enable) begin
                    for (lane = 0; lane < LANES; lane = lane + 1)
                        if (cycle * LANES + lane < TRITS) begin
                            checked = checked + 1;
                            if (nonzero[lane] !== wanted[lane]
                                || (wanted[lane] && negative[lane] !== wanted[LANES+lane]))
                                mismatches = mismatches + 1;
                        end
                    cycle = cycle + 1;
                end
                @(negedge clk);
            end
            enable = 0;
        end
{verdict}    end
endmodule
"""


def _engine_bench(export: EngineExport) -> str:
    # The buffer of activations answers in the same cycle: `inputs` is addressed by `chunk` itself.
    # Groups with an odd number run with pauses.
    generator = export.generator
    total = export.activations.shape[1]
    groups = total // export.frames
    verdict = _VERDICT.format(expected=generator.rows * total, what="sums")
    chunk_bits, number_bits = _index_bits(export.chunks), _index_bits(generator.rows)
    return f"""\
// Self-checking test bench: {total} frames of activations through {generator.title}, with pauses.
module test_bench;
    localparam LANES = {generator.block.lanes};
    localparam CHUNKS = {export.chunks};
    localparam OUTPUTS = {generator.rows};
    localparam FRAMES = {export.frames};
    localparam SUM_BITS = {export.sum_bits};
    localparam GROUPS = {groups};
    localparam PATIENCE = 4 * (CHUNKS * OUTPUTS + 16);  // cycles: an engine may never be done
{_constants(generator.words)}
{_CLOCK}
    reg  [FRAMES*LANES*{ACTIVATION_BITS}-1:0] inputs [0:GROUPS*CHUNKS-1];
    reg  [FRAMES*SUM_BITS-1:0] expected [0:GROUPS*OUTPUTS-1];
    reg  [FRAMES*SUM_BITS-1:0] wanted;
    wire [{chunk_bits - 1}:0] chunk;
    wire [{number_bits - 1}:0] number;
    wire valid;
    wire [FRAMES*SUM_BITS-1:0] sums;
    integer group, output_number, frame, cycle;

    wire [FRAMES*LANES*{ACTIVATION_BITS}-1:0] activations =
        inputs[group * CHUNKS + {{{32 - chunk_bits}'d0, chunk}}];

    ternary_engine dut (
        .clk(clk), .load(load), .enable(enable), {_connections(generator.words)}
        .activations(activations), .chunk(chunk), .valid(valid), .number(number), .sums(sums)
    );

    initial begin
        $readmemh("activations.hex", inputs);
        $readmemh("sums.hex", expected);
        for (group = 0; group < GROUPS; group = group + 1) begin
            load = 1;
            @(negedge clk) load = 0;
            if (valid !== 1'b0 || chunk !== 0)
                mismatches = mismatches + 1;
            output_number = 0;
            cycle = 0;
            while (output_number < OUTPUTS && cycle < PATIENCE) begin
                cycle = cycle + 1;
                enable = group % 2 == 0 || $random(dice) % 3 != 0;
                @(negedge clk);
                if (valid) begin
                    wanted = expected[group * OUTPUTS + output_number];
                    for (frame = 0; frame < FRAMES; frame = frame + 1) begin
                        checked = checked + 1;
                        if (sums[frame*SUM_BITS +: SUM_BITS] !== wanted[frame*SUM_BITS +: SUM_BITS]
                            || {{{32 - number_bits}'d0, number}} !== output_number)
                            mismatches = mismatches + 1;
                    end
                    output_number = output_number + 1;
                end
            end
        end
{verdict}    end
endmodule
"""


def _index_bits(count: int) -> int:
    """Width of an index of so many: what `$clog2` gives in the modules, at least 1."""
    return max(1, (count - 1).bit_length())
