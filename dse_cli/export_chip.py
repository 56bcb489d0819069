"""`dse export chip`: a network on a machine, all of it, as Verilog that runs its clips."""

from pathlib import Path

import click

from cost_models import load_accelerator, load_technology
from dse.design.places import check_bits, check_kinds, check_one_dimension
from dse.errors import InvalidInput
from dse.files import write_text, write_together
from dse_cli.export_model import load_source
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES,
    FRAMES_RANGE,
    OUTPUTS_RANGE,
    SEED_RANGE,
    folder_out_option,
)
from dse_cli.terminal import say

CLIPS = 1


@click.command()
@click.argument("design", metavar="DESIGN_OR_CHECKPOINT")
@click.option("--machine", default=DEFAULT_MACHINE, show_default=True, help="Name or file.")
@click.option("--technology", help="Instead of the machine's own: a name or YAML file.")
@folder_out_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of speech, for a checkpoint: ranges of activations, and the clips that are run.",
)
@click.option("--clips", default=CLIPS, show_default=True, help="Clips that the test bench runs.")
@click.option(
    "--frames",
    type=FRAMES_RANGE,
    help=f"Of a clip.  [default: what it was trained on, or {FRAMES}]",
)
@click.option("--outputs", type=OUTPUTS_RANGE, help="Outputs of an untrained network.")
@click.option("--seed", type=SEED_RANGE, help="Of an untrained network's weights.")
@click.option("--check/--no-check", default=True, help="Run the test bench, where there is one.")
def chip(
    design: str,
    machine: str,
    technology: str | None,
    out: Path,
    data: Path | None,
    clips: int,
    frames: int | None,
    outputs: int | None,
    seed: int | None,
    check: bool,
) -> None:
    """Write the whole machine as Verilog, with the network in its memories.

    Arrays, vector unit, memories and a controller whose loop nests run the mappings that the cost
    model chose; the test bench compares every score with the integer network's. What cannot be
    built is refused.

    \b
      dse export chip matchboxnet-3x1x64 --machine kws_int8 --out chip
      dse export chip trained/best.pt --machine kws_ternary --data speech --clips 20 --out chip
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    from dse.chip.comparison import compare_layers, comparison_table
    from dse.chip.export import ChipExport
    from dse.chip.simulation import find_simulator, simulate
    from dse.networks.lowering import lower
    from dse.training.integer import quantise_network
    from dse.training.source import CALIBRATION_CLIPS, calibration_pictures

    if not 1 <= clips <= CALIBRATION_CLIPS:
        raise InvalidInput(f"--clips must be from 1 to {CALIBRATION_CLIPS}, not {clips}")
    source = load_source(design, outputs, seed)
    check_one_dimension(source.point, "the chip")
    check_kinds(source.point, ("dense", "ternary", "identity"), "the chip")
    check_bits(source.point, "the chip")
    accelerator = load_accelerator(machine)
    pictures = calibration_pictures(source, data)
    length = pictures.shape[2] if frames is None else frames
    if length > pictures.shape[2]:
        raise InvalidInput(
            f"--frames must be at most the {pictures.shape[2]} frames of a clip, not {length}"
        )
    pictures = pictures[:, :, :length]
    network = quantise_network(source, pictures)
    export = ChipExport(
        network=network,
        workload=lower(source.point, frames=length, outputs=source.outputs),
        machine=accelerator,
        technology=load_technology(technology or accelerator.technology),
        features=network.quantise(pictures[:clips].numpy()),
    )
    files = export.files()
    write_together(out, files)
    say(f"{source.title} on {accelerator.name}: {len(export.program.steps)} layers")
    say(f"files in {out}: {', '.join(sorted(files))}")
    simulator = find_simulator() if check else None
    if simulator is None:
        if check:
            say("not simulated: neither Verilator nor Icarus Verilog is installed")
        return
    simulated = simulate(out, simulator)
    say(f"{simulator.capitalize()}: {simulated.verdict}")
    if not simulated.verdict.startswith("PASS"):
        raise click.exceptions.Exit(1)
    table = comparison_table(compare_layers(export.program, simulated))
    write_text(out / "README.md", f"{files['README.md']}\n## Circuit and model\n\n{table}")
    say(table, nl=False)
