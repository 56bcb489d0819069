"""`dse machine new`: a machine file of one's own, from a few answers, with comments.

    questions, or options  ->  text with comments  ->  read as any machine file is  ->  written

What is not asked has the value of `kws_ternary`, whose shape it is: MAC units, ternary adder trees
beside them, a memory of weights and one of activations. Everything else is for the editor; the
comments say what may stand there.
"""

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from cost_models import load_accelerator, load_technology
from cost_models.errors import InvalidInput as InvalidMachine
from cost_models.strict_yaml import dump_yaml
from cost_models.units import KIBIBYTE_BITS
from dse.errors import InvalidInput
from dse.files import write_text
from dse_cli.options import TECHNOLOGIES, Number, file_out_option
from dse_cli.terminal import say

MOST_SIDE = 4_096
"""Rows or columns of an array: TPU v1 has 256."""
MOST_KIB = 1 << 20
SUMS_A_TREE = 16
"""A trit serves so many frames before the next is made, as in `kws_ternary`."""
SUM_BITS = 24
ENDINGS = (".yaml", ".yml")

Size = tuple[int, int]
Kib = float | Literal["fit"]


class SizeType(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """Rows and columns: `8x8`; `none` is an array that is not there."""

    name = "ROWSxCOLUMNS"

    def __init__(self, *, none: bool = False) -> None:
        self.none = none

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Size | None:
        """What a person typed."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if self.none and value == "none":
            return None
        found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", value)
        if found is None or max(map(int, found.groups())) > MOST_SIDE:
            other = ", or none" if self.none else ""
            self.fail(
                f"{value!r} is not such as 8x8, at most {MOST_SIDE} a side{other}", param, ctx
            )
        return int(found[1]), int(found[2])


class KibType(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """A capacity in KiB; `fit` is what the design needs that runs."""

    name = "KIB|fit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Kib:
        """What a person typed."""
        if value == "fit":
            return "fit"
        number: float = Number(0.125, MOST_KIB).convert(value, param, ctx)
        return number


QUESTIONS: dict[str, tuple[str, Any, Any]] = {
    "description": ("What it is, in a line", str, "My machine"),
    "macs": ("Multiply-accumulate units, rows x columns", SizeType(), "8x8"),
    "trees": ("Ternary adder trees x lanes of each, or none", SizeType(none=True), "4x32"),
    "ternary": (
        "Ternary matrices are",
        click.Choice(["generated", "stored", "refused"]),
        "generated",
    ),
    "trits_per_cycle": ("Trits that the generator makes a cycle", click.IntRange(1, 4_096), "32"),
    "weights_kib": (
        "Memory of weights, in KiB, or fit: as large as the design needs",
        KibType(),
        "fit",
    ),
    "activations_kib": ("Memory of activations, likewise", KibType(), "fit"),
    "port_bits": ("Bits that a memory gives or takes a cycle", click.IntRange(8, 65_536), "64"),
    "vector_lanes": ("Results that post-processing takes a cycle", click.IntRange(1, 4_096), "8"),
    "clock_mhz": ("Clock, in MHz", Number(1e-3, 1e5), "10"),
    "technology": ("Technology: a name or a file", str, "low_leakage_45nm"),
}
"""Option -> the question, the type of its answer, and the answer where none is given."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for name, (text, kind, usual) in reversed(QUESTIONS.items()):
        text = f"{TECHNOLOGIES}." if name == "technology" else f"{text}."
        option = click.option(
            f"--{name.replace('_', '-')}", name, type=kind, help=f"{text}  [default: {usual}]"
        )
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Make a machine of your own."""


@command.command()
@file_out_option("YAML file to write; its name is the machine's.")
@_options
def new(out: Path, **given: Any) -> None:
    """Write a commented machine file, from options or from what is asked.

    In a terminal, each option that was left out is asked for; Enter takes what stands in brackets.
    Elsewhere its default is taken.

    \b
      dse machine new --out my_chip.yaml
      dse machine new --out my_chip.yaml --macs 4x4 --trees 2x32 --weights-kib 32 --clock-mhz 5
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if not out.name.endswith(ENDINGS):
        raise InvalidInput(f"--out must end in .yaml, not {out.name!r}: machines are read so")
    if out.exists():
        raise InvalidInput(f"{out} is there already, and may be edited: name another --out")
    answers = {name: _answer(name, value, given) for name, value in given.items()}
    technology = answers["technology"]
    # A file is seen from the machine's own, as whoever reads that does.
    load_technology(out.parent / technology if technology.endswith(ENDINGS) else technology)
    text = machine_text(answers)
    _check(text, out.name)
    write_text(out, text)
    say(f"{out.stem}: written to {out}; edit it, each key has a comment")
    say(f"what it costs: dse estimate matchboxnet-3x1x64-P3 --machine {_place(out)}")


def _answer(name: str, value: Any, given: dict[str, Any]) -> Any:
    """The option; the answer in a terminal; the default."""
    context = click.get_current_context()
    if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
        return value
    text, kind, usual = QUESTIONS[name]
    unasked = name == "trits_per_cycle" and given["ternary"] in ("stored", "refused")
    if in_terminal() and not unasked:
        given[name] = click.prompt(text, default=usual, type=kind)
        return given[name]
    return kind(usual) if kind is str else kind.convert(usual, None, context)


def in_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def _place(out: Path) -> str:
    """A path that no name of the library is taken for."""
    return str(out) if out.is_absolute() or len(out.parts) > 1 else f"./{out}"


def _check(text: str, name: str) -> None:
    """Raise `InvalidInput` where the machine cannot exist: nothing is written then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            load_accelerator(path)
        except InvalidMachine as error:
            raise InvalidInput(str(error).replace(f"{folder}/", "")) from None


def machine_text(answers: dict[str, Any]) -> str:
    """The machine file of the answers, with a comment on each key."""
    rows, columns = answers["macs"]
    lines = [
        "# A machine of ternary-dse. Its name is that of this file. All keys, with units and",
        "# defaults: `dse schema accelerator --format markdown`; how they are priced:",
        "# docs/evidence/model.md.",
        f"description: {_quoted(answers['description'])}",
        "# Where the sizes come from: a data sheet, a publication, or whose choice they are.",
        'source: "Sizes as `dse machine new` was answered"',
        "# What a bit, an addition and a square micrometre cost: a name, or a file beside this.",
        f"technology: {_quoted(answers['technology'])}",
        f"clock_mhz: {answers['clock_mhz']:g}",
        "# Results a cycle that become int8: batch norm, residual adds, means.",
        f"vector_lanes: {answers['vector_lanes']}",
        "# generated: made on chip from a seed; stored: read from memory, two bits each; refused.",
        f"ternary_weights: {answers['ternary']}",
    ]
    if answers["ternary"] == "generated":
        lines += [
            "# saved_states: 1 lets it make a piece of a matrix again from its beginning.",
            f"generator: {{trits_per_cycle: {answers['trits_per_cycle']}}}",
        ]
    lines += [
        "arrays:",
        "  - name: macs",
        "    element: mac                   # or ternary_adder, ternary_tree",
        f"    rows: {rows}",
        f"    columns: {columns}",
        "    operand_bits: 8                # widest weight or activation",
        "    weights: {capacity_bits: 8}    # what stays in each element: one weight",
        "    latched: [inputs]              # inputs of a pass stand in a latch before the array",
        f"    outputs: {{capacity_bits: {SUM_BITS}}}   # one sum",
    ]
    if answers["trees"] is not None:
        trees, lanes = answers["trees"]
        lines += [
            "  - name: trees",
            "    element: ternary_tree",
            f"    rows: {trees}                        # trees, each with one sum at a time",
            f"    columns: {lanes}                    # lanes of a tree: inputs it adds in a cycle",
            "    weights: {capacity_bits: 2}    # a trit",
            "    latched: [inputs]",
            f"    # {SUMS_A_TREE} sums a tree: a trit serves as many frames before the next.",
            f"    outputs: {{capacity_bits: {SUMS_A_TREE * SUM_BITS}}}",
        ]
    port = answers["port_bits"]
    lines += [
        "memories:                          # innermost first; kinds: sram, register_file, dram,",
        "  - name: weight_sram              # and mask_rom, eflash, rram, mram of weights alone",
        "    kind: sram",
        "    holds: [weights]",
        f"    capacity_bits: {_capacity(answers['weights_kib'])}",
        f"    bandwidth_bits_per_cycle: {port}   # its port; word_bits: an access",
        "  - name: activation_sram",
        "    kind: sram",
        "    holds: [inputs, outputs]",
        f"    capacity_bits: {_capacity(answers['activations_kib'])}",
        f"    bandwidth_bits_per_cycle: {port}",
        "    ports: shared                  # or separate: reads and writes in the same cycle",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As YAML on one line."""
    return dump_yaml({"key": text}).removeprefix("key: ").replace("\n", " ").strip()


def _capacity(kib: Kib) -> str:
    if kib == "fit":
        return "fit             # as large as the design needs, or a number of bits"
    return f"{round(kib * KIBIBYTE_BITS)}          # {kib:g} KiB; or fit: as the design needs"
