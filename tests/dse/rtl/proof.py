"""A proof that the number of lanes never changes a matrix, for every start state and every length.

Simulation compares some matrices; this compares all. Let `narrow` and `wide` be one generator with
l and n * l lanes. Yosys' SAT solver shows, for every state S and every limit at once, that

    n steps of narrow from S give the trits that one step of wide gives from S,
    and end in the state that this step of wide ends in,

and that `load` puts both into the same state. By induction the streams are equal for ever.
Registers become inputs (state now) and outputs (state next), so what is solved has no clock.

Between the n steps of narrow the state is named (`_Register.between`), which the solver checks as
well; without that, it would have to find out by itself that equal sums are mixed into equal words.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dse.errors import InvalidDesign, InvalidInput
from dse.rtl.designs import GeneratorBlock
from dse.rtl.yosys import Circuit, read_commands, run_script
from dse.ternary.generators.counter_arx import entries_per_word
from dse.ternary.generators.sobol import STEP


@dataclass(frozen=True, slots=True)
class _Register:
    """A register of both circuits, as Verilog that may use `<name>` of any register's input."""

    bits: int
    now: str
    """In wide, before its step."""
    between: str | None = None
    """In narrow, after `{i}` of its steps; None: what the step before it says."""
    narrow: str | None = None
    """Offset of narrow's value where the two registers mean different things; `last_held` only."""


def lanes_change_nothing(block: GeneratorBlock, lanes: int, circuit: Circuit | None = None) -> bool:
    """Whether a generator makes the same trits with another number of lanes, from any state.

    Args:
        block: with few lanes.
        lanes: a multiple of those. Up to 128 take seconds, for `sobol` eight blocks do.
        circuit: what to hold against it instead of the block's modules with `lanes`.

    Returns:
        True where that is proved, False where a state was found for which it is not so.

    Raises:
        InvalidInput: lanes are no multiple; Yosys is not installed, or ran out of time.
    """
    wide = GeneratorBlock(generator=block.generator, density=block.density, lanes=lanes)
    if lanes % block.lanes:
        raise InvalidDesign(f"lanes must be a multiple of {block.lanes}, not {lanes}")
    steps = lanes // block.lanes
    registers = _registers(block, wide)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands: list[str] = []
        for side, found in (("narrow", block.circuit()), ("wide", circuit or wide.circuit())):
            commands += _without_clock(side, found, registers, folder)
        (folder / "both.v").write_text(_both(block, steps, registers), encoding="utf-8")
        commands += [
            "design -reset",
            *(f"read_verilog {file}.v" for file in ("narrow", "wide", "both")),
            "hierarchy -check -top both",
            "proc",
            "flatten",
            "opt -full",
            "sat -verify -prove same 1 both",
        ]
        try:
            run_script(commands, folder)
        except InvalidInput as error:
            if "proof did fail" not in str(error):
                raise
            return False
    return True


def _without_clock(
    side: str, circuit: Circuit, registers: Mapping[str, _Register], folder: Path
) -> list[str]:
    """Commands that write a module whose registers are ports NAME.q (now) and NAME.d (next)."""
    names = " ".join(f"{side}/w:{register}" for register in registers)
    return [
        "design -reset",
        *read_commands(circuit, folder, f"{side}_source"),
        f"hierarchy -top {circuit.top}",
        "proc",
        "flatten",
        f"rename {circuit.top} {side}",
        f"setattr -set keep 1 {names}",
        "opt_clean",
        f"expose -evert-dff {names} {side}/t:$*dff*",
        "opt_clean",
        f"write_verilog -noattr {side}.v",
    ]


def _registers(block: GeneratorBlock, wide: GeneratorBlock) -> dict[str, _Register]:
    """The registers of a family's module, and what is true of them."""
    k = block.decision_bits
    if block.top == "counter_arx":
        words = block.lanes // entries_per_word(k)
        return {
            "key": _Register(32, "<key>"),
            "count": _Register(32, "<count>", f"<count> + 32'd{words} * 32'd{{i}}"),
            "limit_held": _Register(k, "<limit_held>"),
        }
    if block.top == "sobol":
        blocks, more = block.lanes >> k, wide.lanes >> k
        low = more - 1
        step = STEP * block.lanes % 2**16
        return {
            "key": _Register(32, "<key>"),
            "shift": _Register(16, "<shift>"),
            "row": _Register(16, "<row>", "<row>"),
            # A cycle of wide begins with a whole number of its blocks.
            "first": _Register(
                16, f"<first> & ~16'd{low}", f"<first> & ~16'd{low} | 16'd{blocks} * 16'd{{i}}"
            ),
            "offset": _Register(16, "<offset>", f"<offset> + 16'd{step} * 16'd{{i}}"),
            # The blocks of a row but those of a cycle: of a longer cycle, fewer.
            "last_held": _Register(
                16, f"<last_held> & ~16'd{low}", narrow=f" | 16'd{more - blocks}"
            ),
        }
    registers = {"stream.state": _Register(block.state_bits, "<stream.state>")}
    if block.top == "lfsr_threshold":
        registers["limit_held"] = _Register(k, "<limit_held>")
    return registers


def _both(block: GeneratorBlock, steps: int, registers: Mapping[str, _Register]) -> str:
    """A module with one wide step, `steps` narrow ones and one `load` of each: `same` says all."""
    words = {"seed": block.state_bits}
    if "limit_held" in registers:
        words["limit"] = block.decision_bits
    if "last_held" in registers:
        words["last_block"] = 16
    lanes = block.lanes
    ports = [f"input [{bits - 1}:0] {word}" for word, bits in words.items()]
    ports += [f"input [{each.bits - 1}:0] {_port(name)}" for name, each in registers.items()]
    body, claims = [], []

    def wires(prefix: str) -> dict[str, str]:
        for name, each in registers.items():
            body.append(f"wire [{each.bits - 1}:0] {prefix}{_port(name)};")
        return {name: f"{prefix}{_port(name)}" for name in registers}

    def instance(
        side: str, number: str, now: Mapping[str, str], trits: str, load: int = 0
    ) -> dict[str, str]:
        following = wires(f"{number}_")
        pins = [f".\\{name}.q ({now[name]}), .\\{name}.d ({following[name]})" for name in registers]
        pins += [f".{word}({word})" for word in words]
        body.append(
            f"{side} {number}(.clk(1'b0), .load(1'b{load}), .enable(1'b1), {trits} "
            f"{', '.join(pins)});"
        )
        return following

    def value(text: str, i: int = 0) -> str:
        for name in registers:
            text = text.replace(f"<{name}>", _port(name))
        return text.replace("{i}", str(i))

    def in_narrow(name: str, text: str) -> str:
        return f"({text}){registers[name].narrow or ''}"

    before = {name: value(each.now) for name, each in registers.items()}
    body.append(f"wire [{steps * lanes - 1}:0] nonzero, negative, n_nonzero, n_negative;")
    after = instance("wide", "wide_step", before, ".nonzero(nonzero), .negative(negative),")
    claims.append("nonzero == n_nonzero && (nonzero & negative) == (n_nonzero & n_negative)")
    now = {name: in_narrow(name, text) for name, text in before.items()}
    for i in range(steps):
        part = f"[{lanes * i} +: {lanes}]"
        trits = f".nonzero(n_nonzero{part}), .negative(n_negative{part}),"
        now = instance("narrow", f"step{i}", now, trits)
        if i < steps - 1:
            for name, each in registers.items():
                if each.between is not None:
                    named = f"{each.bits}'d0 | ({value(each.between, i + 1)})"
                    claims.append(f"{now[name]} == ({named})")
                    now[name] = named
    claims += [f"({in_narrow(name, after[name])}) == {now[name]}" for name in registers]
    loaded = [instance(side, f"{side}_load", before, "", load=1) for side in ("wide", "narrow")]
    # `last_held` is taken from `last_block`, which the user gives for the lanes.
    claims += [f"{loaded[0][name]} == {loaded[1][name]}" for name in registers]
    lines = [f"module both({', '.join(ports)}, output same);", *body]
    lines += [f"assign same = {' && '.join(f'({claim})' for claim in claims)};", "endmodule"]
    return "\n".join(lines) + "\n"


def _port(name: str) -> str:
    return name.replace(".", "_") + "_now"
