"""`dse import`: networks, machines and technologies of other tools."""

from collections import defaultdict
from pathlib import Path

import click
from rich.table import Table

from cost_models.strict_yaml import dump_yaml
from cost_models.workload import Layer, LayerKind, Workload
from dse.design.point import USUAL, Block, DesignPoint
from dse.files import write_text
from dse.interchange.nemo import ImportedNetwork, import_nemo
from dse.networks.lowering import lower
from dse_cli.import_tools import TOOL_IMPORTS
from dse_cli.options import FRAMES_RANGE, OUTPUTS_RANGE, USUAL_FRAMES
from dse_cli.terminal import Screen


@click.group(name="import")
def command() -> None:
    """Import a network, a machine or a technology of another tool."""


for _command in TOOL_IMPORTS:
    command.add_command(_command)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the design as YAML to this file (replaced if it exists).",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value before the file is read, such as model.repeat=2; may be repeated.",
)
@click.option(
    "--outputs",
    type=OUTPUTS_RANGE,
    help="Outputs of the head, blank included. [default: what the file says]",
)
@click.option(
    "--frames",
    type=FRAMES_RANGE,
    help=f"Frames for the MACs. [default: what the file says, or {USUAL_FRAMES}]",
)
def nemo(
    file: Path, out: Path | None, changes: tuple[str, ...], outputs: int | None, frames: int | None
) -> None:
    """Read the MatchboxNet, MarbleNet, QuartzNet or Jasper of a NeMo YAML FILE."""
    network = import_nemo(file, _overrides(changes), outputs=outputs)
    frames = frames or network.frames or USUAL[network.point.head].frames
    workload = lower(network.point, frames=frames, outputs=network.outputs)
    console = Screen(soft_wrap=True)
    console.print(_block_table(network.point))
    console.print(_kind_table(workload))
    console.print(
        f"{network.point.label}: {workload.trained_parameters:,} trained parameters, "
        f"{workload.macs:,} MACs for {frames} frames, {network.outputs} outputs",
        highlight=False,
        markup=False,
    )
    if out is None:
        console.print("design not written: add --out design.yaml", highlight=False)
    else:
        write_text(out, _design_yaml(network, file, frames))
        console.print(f"design written to {out}", highlight=False, markup=False)


def _overrides(changes: tuple[str, ...]) -> dict[str, str]:
    overrides = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not (key and equals):
            raise click.BadParameter(f"{change!r} must be KEY=VALUE", param_hint="--set")
        overrides[key] = value
    return overrides


def _block_table(point: DesignPoint) -> Table:
    table = Table(title=f"{point.features} features per frame, {point.head} head")
    table.add_column("block")
    for heading in ("repeats", "channels", "kernel", "stride", "dilation"):
        table.add_column(heading, justify="right")
    table.add_column("type")
    table.add_column("skip")
    for block in point.blocks:
        sizes = (
            block.repeats,
            block.out_channels,
            block.kernel_size,
            block.stride,
            block.dilation,
        )
        skip = "-" if block.skip is None else block.skip.kind
        table.add_row(block.name, *map(str, sizes), _convolution(block), skip)
    return table


def _convolution(block: Block) -> str:
    if block.separable:
        return "separable"
    return "dense" if block.kernel_size > 1 else "dense 1x1"


def _kind_table(workload: Workload) -> Table:
    """Layers by kind, those with trained parameters alone; the total is of all layers."""
    kinds: dict[str, list[Layer]] = defaultdict(list)
    for layer in workload.layers:
        kinds[_kind(layer)].append(layer)
    table = Table()
    table.add_column("kind")
    for heading in ("layers", "trained parameters", "MACs"):
        table.add_column(heading, justify="right")
    for kind, layers in kinds.items():
        parameters = sum(layer.trained_parameters for layer in layers)
        macs = sum(layer.macs for layer in layers)
        if parameters:
            table.add_row(kind, str(len(layers)), f"{parameters:,}", f"{macs:,}")
    table.add_section()
    table.add_row("total", "", f"{workload.trained_parameters:,}", f"{workload.macs:,}")
    return table


def _kind(layer: Layer) -> str:
    if layer.name.startswith("head."):
        return "head"
    if layer.kind is LayerKind.POINTWISE and layer.name.endswith(".skip"):
        return "skip"
    return layer.kind.value.replace("_", " ")


def _design_yaml(network: ImportedNetwork, file: Path, frames: int) -> str:
    design = dump_yaml(network.point.to_dict())
    return (
        f"# Imported from the NeMo file {file.name!r}; "
        f"outputs: {network.outputs}, counted at {frames} frames.\n{design}"
    )
