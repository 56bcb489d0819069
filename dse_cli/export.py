"""`dse export`: hardware as Verilog with test bench and vectors; models and files of other tools.

This module has the Verilog; `dse_cli.export_model` and `dse_cli.export_tools` have the rest.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np

from dse.design.places import Place, ternary_place
from dse.errors import InvalidDesign, InvalidInput
from dse.files import write_together
from dse.rtl.designs import GeneratorBlock
from dse.rtl.export import EngineExport, GeneratorExport
from dse.rtl.icarus import has_icarus, run_test_bench
from dse.ternary.generators.shift_register import Bits
from dse.ternary.matrix import start_state
from dse_cli.asked import load_design
from dse_cli.export_chip import chip
from dse_cli.export_model import MODEL_COMMANDS
from dse_cli.export_tools import TOOL_COMMANDS
from dse_cli.generator_options import generator_options, read_generator
from dse_cli.options import SEED_RANGE, folder_out_option
from dse_cli.terminal import say

DEFAULT_LANES = 16
DEFAULT_VECTORS = 8


@click.group(name="export")
def command() -> None:
    """Export a design: hardware as Verilog, the model, or files of other tools."""


for _command in (*MODEL_COMMANDS, *TOOL_COMMANDS, chip):
    command.add_command(_command)


WIDTH = click.IntRange(max=16_384)
"""Of a matrix: the widest that a design may have."""
VECTORS = click.IntRange(max=100_000)
"""Of a test: more take a simulator days."""

_LANES = click.option(
    "--lanes", default=DEFAULT_LANES, show_default=True, help="Trits made in a cycle."
)
_CHECK = click.option(
    "--check/--no-check",
    default=True,
    help="Run the test bench, where Icarus Verilog is installed.",
)


@command.command()
@click.argument("design", required=False)
@click.option("--layer", default="B1.0.pw", show_default=True, help="Its start state follows.")
@generator_options()
@click.option("--density", type=float, help="Share of non-zero entries. [default: 0.25]")
@click.option("--fan-in", type=int, help="Non-zero entries of a row, instead of --density.")
@click.option("--rows", type=WIDTH, default=64, show_default=True, help="Outputs of the layer.")
@click.option("--columns", type=WIDTH, default=64, show_default=True, help="Inputs of the layer.")
@click.option(
    "--seed", type=SEED_RANGE, default=1, show_default=True, help="The design's ternary_seed."
)
@click.option("--state", help="Start state in hexadecimal, instead of seed and layer.")
@_LANES
@folder_out_option
@_CHECK
def generator(
    design: str | None,
    layer: str,
    density: float | None,
    fan_in: int | None,
    rows: int,
    columns: int,
    seed: int,
    state: str | None,
    lanes: int,
    out: Path,
    check: bool,
    **parameters: Any,
) -> None:
    """Write the generator of one matrix.

    With DESIGN, a YAML file or the name of a published network, family, density, shape and seed are
    those of its --layer; without, those of the options.

    \b
      dse export generator --density 0.125 --lanes 32 --out generator
      dse export generator --family sobol --rows 128 --columns 64 --out paths
      dse export generator matchboxnet-3x1x64-P2 --layer B2.0.pw --out b2
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if design is not None:
        _refuse_options("layer", "lanes", "out", "check", "design", "state")
        point = load_design(design)
        made = build_generator(ternary_place(point, layer), lanes, point.label)
        if state is not None:
            made = _replace_state(made, state)
    else:
        found = read_generator(**parameters)
        for name, value in (("rows", rows), ("columns", columns)):
            if value < 1:
                raise InvalidDesign(f"{name} must be at least 1, not {value}")
        share = _density(density, fan_in, columns)
        block = GeneratorBlock(generator=found, density=share, lanes=lanes)
        made = GeneratorExport(
            block=block,
            state=start_state(seed, layer, found),
            rows=rows,
            columns=columns,
            title=f"layer {layer}, seed {seed}",
        )
        made = made if state is None else _replace_state(made, state)
    _write(out, made.files(), check)


@command.command()
@click.argument("design")
@click.option("--layer", required=True, help="A ternary layer, such as B1.0.pw or B2.skip.")
@_LANES
@click.option(
    "--frames", type=VECTORS, default=1, show_default=True, help="Frames that share each trit."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of speech: test vectors are what reaches the layer of a trained network.",
)
@click.option(
    "--vectors",
    type=VECTORS,
    default=DEFAULT_VECTORS,
    show_default=True,
    help="Test vectors, times --frames.",
)
@folder_out_option
@_CHECK
def engine(
    design: str,
    layer: str,
    lanes: int,
    frames: int,
    data: Path | None,
    vectors: int,
    out: Path,
    check: bool,
) -> None:
    """Write the ternary mixing engine of one layer: generator, add/sub tree, accumulators.

    DESIGN is a checkpoint (best.pt), a YAML file or the name of a published network. Test vectors
    are the layer's activations on speech, as int8, for a checkpoint with --data; random ones
    otherwise.

    \b
      dse export engine matchboxnet-3x1x64-P2 --layer B1.0.pw --out engine
      dse export engine trained/best.pt --layer B1.0.pw --data speech --out engine
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if vectors < 1:
        raise InvalidDesign(f"vectors must be at least 1, not {vectors}")
    trained = design.endswith(".pt")
    if data is not None and not trained:
        raise InvalidInput(
            f"--data needs a trained network: give a checkpoint such as best.pt, not {design!r}"
        )
    if trained:
        from dse.training.checkpoint import load_checkpoint

        point = load_checkpoint(Path(design)).point
    else:
        point = load_design(design)
    place = ternary_place(point, layer)
    made = build_generator(place, lanes, point.label)
    count = vectors * frames
    if data is None:
        rng = np.random.default_rng(point.ternary_seed % 2**32)
        activations = rng.integers(-128, 128, (place.in_channels, count)).astype(np.int8)
    else:
        from dse.export.activations import speech_activations

        activations = speech_activations(Path(design), data, layer, count)
    _write(
        out,
        EngineExport(generator=made, activations=activations, frames=frames).files(),
        check,
    )


def build_generator(place: Place, lanes: int, label: str) -> GeneratorExport:
    """The generator block of a layer, and the state in which it starts.

    The state is a function of the network's seed and the layer's name, so that hardware which is
    loaded with it makes the very matrix that was trained with.

    Args:
        place: of a ternary matrix in a design, rows x columns = outputs x inputs.
        lanes: trits that the block makes in a cycle.
        label: of the design, for the title.
    """
    found, density = place.mixer.generator, place.mixer.density
    assert found is not None and density is not None  # Mixer checked it
    return GeneratorExport(
        block=GeneratorBlock(generator=found, density=density, lanes=lanes),
        state=start_state(place.ternary_seed, place.name, found),
        rows=place.generated_rows,
        columns=place.in_channels,
        title=f"layer {place.name} of {label}, seed {place.ternary_seed}",
    )


def _density(density: float | None, fan_in: int | None, columns: int) -> float:
    """Share of non-zero entries; a fan-in is the non-zero entries of a row, of so many columns."""
    if fan_in is None:
        return 0.25 if density is None else density
    if density is not None:
        raise click.UsageError("choose one of --density and --fan-in")
    if not 1 <= fan_in <= columns:
        raise InvalidDesign(
            f"fan-in must be from 1 to the {columns} inputs, not {fan_in}: change --fan-in or "
            "--columns"
        )
    return fan_in / columns


def _replace_state(made: GeneratorExport, text: str) -> GeneratorExport:
    """The same block started from a hexadecimal number instead of the hash of seed and layer."""
    bits = made.block.state_bits
    try:
        value = int(text, 16)
    except ValueError:
        raise InvalidDesign(
            f"--state must be a hexadecimal number of up to {bits} bits, not {text!r}"
        ) from None
    if not 0 <= value < 2**bits:
        raise InvalidDesign(
            f"--state must be a hexadecimal number of up to {bits} bits, not {text!r}"
        )
    # The first bit of the array is the most significant one of the number.
    state: Bits = np.array([int(digit) for digit in f"{value:0{bits}b}"], dtype=np.uint8)
    return GeneratorExport(
        block=made.block,
        state=state,
        rows=made.rows,
        columns=made.columns,
        title=f"start state {value:x}",
    )


def _refuse_options(*allowed: str) -> None:
    """With a design, what describes a generator comes from it."""
    context = click.get_current_context()
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in allowed and source is click.core.ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} comes from the design: leave it out, or the design")


def _write(out: Path, files: dict[str, str], check: bool) -> None:
    write_together(out, files)
    for line in files["README.md"].partition("\n## ")[0].splitlines():
        if line.startswith(("# ", "- ")):
            say(line.removeprefix("# "))
    say(f"files in {out}: {', '.join(sorted(files))}")
    if not check:
        return
    if not has_icarus():
        say("not simulated: Icarus Verilog (package iverilog) is not installed")
        return
    verdict = run_test_bench(out)
    say(f"Icarus Verilog: {verdict}")
    if not verdict.startswith("PASS"):
        raise click.exceptions.Exit(1)
