"""`dse export zigzag|scalesim|accelforge|nemo`: a design on a machine as other tools' files."""

from pathlib import Path

import click

from cost_models import load_accelerator, load_technology
from dse.design.point import USUAL
from dse.files import write_text, write_together
from dse.interchange.exporting import tool_files
from dse.interchange.nemo_export import nemo_yaml
from dse.networks.lowering import lower
from dse.pricing.comparable import say_technology
from dse_cli.export_model import load_point
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES,
    FRAMES_RANGE,
    OUTPUTS,
    OUTPUTS_RANGE,
    USUAL_OUTPUTS,
    file_out_option,
    folder_out_option,
)
from dse_cli.terminal import say

_TOOLS = {
    "zigzag": (
        "Write workload and hardware YAML of ZigZag.",
        "zigzag-dse 3.9.1, with the package six, which it needs and does not name",
        "get_hardware_performance_zigzag('workload.yaml', 'hardware.yaml', 'mapping.yaml')",
    ),
    "scalesim": (
        "Write topology, layout and cfg of SCALE-Sim.",
        "scalesim 3.0.0, with numpy below 2",
        "python -m scalesim.scale -c scalesim.cfg -t topology.csv -l layout.csv -p out",
    ),
    "accelforge": (
        "Write architecture and workload YAML of AccelForge, Timeloop's successor.",
        "accelforge 1.0, with Python 3.12",
        "Spec.from_yaml('arch.yaml', 'workload.yaml').map_workload_to_arch()",
    ),
}


def _tool_command(tool: str) -> click.Command:
    help_text, needs, use = _TOOLS[tool]

    @click.command(
        name=tool,
        help=f"{help_text}\n\nDESIGN is a checkpoint, a YAML file or a published name. The files "
        f"are for {needs}.",
        short_help=help_text,
    )
    @click.argument("design")
    @click.option("--machine", default=DEFAULT_MACHINE, show_default=True, help="Name or file.")
    @click.option("--technology", help="Instead of the machine's own: a name or YAML file.")
    @click.option("--frames", default=FRAMES, show_default=True, type=FRAMES_RANGE)
    @click.option("--outputs", default=OUTPUTS, show_default=True, type=OUTPUTS_RANGE)
    @folder_out_option
    def command(
        design: str, machine: str, technology: str | None, frames: int, outputs: int, out: Path
    ) -> None:
        point = load_point(design)
        accelerator = load_accelerator(machine)
        constants = load_technology(technology or accelerator.technology)
        workload = lower(point, frames=frames, outputs=outputs)
        files = tool_files(tool, workload, accelerator, constants)
        write_together(out, files)
        words = say_technology(accelerator, constants)
        say(f"{point.label} on {accelerator.name} in {words}: {', '.join(files)}")
        left = ["batch norm, records of channels, activations, pooling, leakage"]
        if len(accelerator.arrays) > 1:
            left.append("arrays of ternary elements: their layers run on the multipliers")
        if accelerator.generator is not None:
            left.append("the generator: its weights are free")
        say(f"left out: {'; '.join(left)}")
        say(f"for {needs}: {use}")

    return command


@click.command()
@click.argument("design")
@file_out_option("YAML file to write.")
@click.option(
    "--outputs",
    type=OUTPUTS_RANGE,
    help="Outputs of the head, blank included.  [default: classes of a checkpoint, or "
    f"{USUAL_OUTPUTS}]",
)
def nemo(design: str, out: Path, outputs: int | None) -> None:
    """Write a network without ternary matrices as NeMo YAML: preprocessor, encoder, decoder.

    \b
      dse export nemo matchboxnet-3x2x64 --outputs 30 --out matchboxnet.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    labels: tuple[str, ...] = ()
    point = load_point(design)
    if design.endswith(".pt") and outputs is None:
        from dse.training.checkpoint import load_checkpoint

        labels = load_checkpoint(Path(design)).classes
    count = outputs or len(labels) or USUAL[point.head].outputs
    if point.head == "framewise":
        labels = labels[:-1]  # the last one is the blank, which NeMo adds by itself
    write_text(out, nemo_yaml(point, outputs=count, labels=labels))
    say(f"{point.label}: {count} outputs, written to {out}")


TOOL_COMMANDS = (*(_tool_command(tool) for tool in _TOOLS), nemo)
