"""`dse export checkpoint|onnx|header|design|machine|technology`: as a model or as data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cost_models import load_accelerator, load_technology
from cost_models.scaling import scale_technology
from cost_models.strict_yaml import dump_yaml
from cost_models.writing import accelerator_yaml, technology_yaml
from dse.design.places import check_bits
from dse.design.point import USUAL, DesignPoint
from dse.errors import InvalidInput
from dse.files import write_text, write_together
from dse.studies.folder import CHECKPOINT, RESOLVED
from dse_cli.asked import load_design, read_asked
from dse_cli.options import (
    FRAMES,
    FRAMES_RANGE,
    OUTPUTS_RANGE,
    SEED_RANGE,
    USUAL_OUTPUTS,
    file_out_option,
    folder_out_option,
)
from dse_cli.terminal import say

if TYPE_CHECKING:
    from dse.training.source import Source

VECTORS = 4


_OUTPUTS = click.option(
    "--outputs",
    type=OUTPUTS_RANGE,
    help=f"Outputs of an untrained network.  [default: {USUAL_OUTPUTS}]",
)
_SEED = click.option(
    "--seed", type=SEED_RANGE, help="Of an untrained network's weights.  [default: 1]"
)
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of speech: int8 takes the ranges of activations from its training clips.",
)


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT")
@file_out_option("PyTorch file to write, such as model.pt.")
def checkpoint(checkpoint: str, out: Path) -> None:
    """Write a trained network as one PyTorch file: weights, design, features, seeds.

    \b
      dse export checkpoint trained/best.pt --out model.pt
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    from dse.export.checkpoint import export_checkpoint

    source = load_source(checkpoint, None, None)
    export_checkpoint(source, out)
    say(f"{source.title}: written to {out}")
    say("read it with dse.training.checkpoint.load_network, or torch.load(..., weights_only=True)")


@click.command()
@click.argument("design", metavar="DESIGN_OR_CHECKPOINT")
@file_out_option("ONNX file to write.")
@click.option("--int8", is_flag=True, help="Quantise: QDQ, weights per channel.")
@click.option(
    "--ternary",
    type=click.Choice(["float", "int8"]),
    default="float",
    show_default=True,
    help="How entries of ternary matrices are stored; not with --int8.",
)
@click.option(
    "--opset",
    type=int,
    help="Version of the operators, 17 to 27.  [default: the newest; older runtimes need less]",
)
@_DATA
@_OUTPUTS
@_SEED
def onnx(
    design: str,
    out: Path,
    int8: bool,
    ternary: str,
    opset: int | None,
    data: Path | None,
    outputs: int | None,
    seed: int | None,
) -> None:
    """Write a network as ONNX, any number of clips and frames, checked in onnxruntime.

    \b
      dse export onnx trained/best.pt --out model.onnx
      dse export onnx trained/best.pt --int8 --data speech --out model.int8.onnx
      dse export onnx matchboxnet-3x1x64-P2 --out untrained.onnx
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if int8 and ternary != "float":
        raise click.UsageError("choose one of --int8 and --ternary int8")
    if data is not None and not int8:
        raise click.UsageError("--data is for --int8: floats need no ranges")
    _needs_onnx()
    from dse.export.onnx import OPSET, export_onnx
    from dse.export.onnx_int8 import export_onnx_int8
    from dse.training.source import calibration_pictures, random_pictures

    source = load_source(design, outputs, seed)
    opset = OPSET if opset is None else opset
    if int8:
        check_bits(source.point, "ONNX with --int8")
        pictures = calibration_pictures(source, data)
        export_onnx_int8(source, out, pictures, opset=opset)
    else:
        pictures = random_pictures(source.point.features, VECTORS)
        export_onnx(
            source.network,
            out,
            in_channels=source.point.features,
            opset=opset,
            ternary="int8" if ternary == "int8" else "float",
        )
    from dse.export.comparison import compare_onnx

    say(f"{source.title}: written to {out}, {out.stat().st_size:,} bytes, opset {opset}")
    say(f"onnxruntime against torch: {compare_onnx(source, out, pictures)}")


@click.command()
@click.argument("design", metavar="DESIGN_OR_CHECKPOINT")
@folder_out_option
@_DATA
@click.option(
    "--frames",
    type=FRAMES_RANGE,
    help="Longest clip.  [default: what it was trained on; of sentences, what it was priced at; of "
    f"an untrained network {FRAMES}]",
)
@click.option("--check/--no-check", default=True, help="Compile and run the test vectors.")
@_OUTPUTS
@_SEED
def header(
    design: str,
    out: Path,
    data: Path | None,
    frames: int | None,
    check: bool,
    outputs: int | None,
    seed: int | None,
) -> None:
    """Write a network as C for microcontrollers: int8 weights, scales, seeds of matrices.

    A folder with model.h, a small reference in C99 without floats, and test vectors that a C
    compiler, where there is one, checks bit for bit.

    \b
      dse export header trained/best.pt --data speech --out firmware
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    from dse.export.c_code import build_and_check, c_files, compiler, weight_bytes, work_bytes
    from dse.export.comparison import compare_integer
    from dse.training.integer import quantise_network
    from dse.training.source import calibration_pictures, pictures_of_length

    source = load_source(design, outputs, seed)
    pictures = calibration_pictures(source, data)
    vectors = pictures_of_length(source, pictures, frames)[:VECTORS]
    longest = vectors.shape[2]
    if source.point.head == "pooled":
        pictures = pictures[:, :, :longest]
    network = quantise_network(source, pictures)
    files = c_files(network, network.quantise(vectors.numpy()))
    write_together(out, files)
    say(source.title)
    say(
        f"{weight_bytes(network):,} bytes of constants, {work_bytes(network, longest):,} bytes of "
        f"memory for {longest} frames"
    )
    say(f"whole numbers against torch: {compare_integer(source, network, pictures)}")
    say(f"files in {out}: {', '.join(sorted(files))}")
    if not check:
        return
    if compiler() is None:
        say("not compiled: there is no C compiler (cc, gcc or clang)")
        return
    verdict = build_and_check(out)
    say(f"C compiler: {verdict}")
    if not verdict.startswith("PASS"):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("design", metavar="DESIGN_OR_CHECKPOINT")
@file_out_option("YAML file to write.")
def design(design: str, out: Path) -> None:
    """Write a design as YAML: of a checkpoint, a published network or a NeMo file.

    \b
      dse export design matchboxnet-3x1x64-P2 --out design.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    point = load_point(design)
    write_text(out, dump_yaml(point.to_dict()))
    say(f"{point.label}: design {point.key} written to {out}")


@click.command()
@click.argument("machine")
@file_out_option("YAML file to write.")
def machine(machine: str, out: Path) -> None:
    """Write a machine as YAML: one of the library to start your own from, or a file.

    \b
      dse export machine kws_ternary --out my_chip.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    accelerator = load_accelerator(machine)
    write_text(out, accelerator_yaml(accelerator))
    say(f"{accelerator.name}: written to {out}; its name is that of the file")


@click.command()
@click.argument("technology")
@click.option("--node-nm", type=int, help="Scale to another node, 130 to 7.  [default: its own]")
@click.option("--voltage-v", type=float, help="Scale to another voltage.  [default: its own]")
@file_out_option("YAML file to write.")
def technology(technology: str, node_nm: int | None, voltage_v: float | None, out: Path) -> None:
    """Write a technology as YAML, each constant with source and band: edit it, and price with it.

    TECHNOLOGY is a name of the library, or a file. The name of the written one is that of its file.
    Scaled to another node or voltage, bands grow by what such scaling was found to be wrong by.

    \b
      dse export technology low_leakage_22nm --out my_process.yaml
      dse export technology low_leakage_22nm --node-nm 28 --out low_leakage_28nm.yaml
      dse estimate matchboxnet-3x1x64-P3 --technology my_process.yaml
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    constants = load_technology(technology)
    if (node_nm, voltage_v) != (None, None):
        node = constants.node_nm if node_nm is None else node_nm
        voltage = constants.voltage_v if voltage_v is None else voltage_v
        constants = scale_technology(constants, node, voltage)
    write_text(out, technology_yaml(constants))
    say(
        f"{constants.name}: {len(constants.sources)} constants with their sources, written to {out}"
    )


MODEL_COMMANDS = (checkpoint, onnx, header, design, machine, technology)


def load_source(design: str, outputs: int | None, seed: int | None) -> "Source":
    """The network of a checkpoint, or the untrained one of a design.

    Args:
        design: a checkpoint, told by its ending `.pt`, or a name that `load_design` takes.
        outputs: classes of an untrained network; None for the usual number.
        seed: of its random weights; None for 1.

    Raises:
        UsageError: outputs or seed are given for a checkpoint, which has its own.
        InvalidInput: there is no such design, or it cannot be read.
    """
    from dse.training.source import trained, untrained

    if design.endswith(".pt"):
        for option, value in (("--outputs", outputs), ("--seed", seed)):
            if value is not None:
                raise click.UsageError(f"{option} comes from the checkpoint: leave it out")
        return trained(Path(design))
    _refuse_trained(design)
    point = load_design(design)
    return untrained(
        point,
        USUAL[point.head].outputs if outputs is None else outputs,
        1 if seed is None else seed,
    )


def _refuse_trained(design: str) -> None:
    """A folder with trained weights is not exported without them.

    Raises:
        InvalidInput: it is a study's, or a trained design's; says which file has the weights.
    """
    folder = Path(design)
    if (folder / RESOLVED).is_file():
        asked = read_asked(design)
        assert asked.study is not None  # or it would have been refused
        row = asked.study.find(asked.point.key)
        folder = asked.study.find_folder(row)
    if (folder / CHECKPOINT).is_file():
        raise InvalidInput(f"{design} has trained weights: export {folder / CHECKPOINT}")


def load_point(design: str) -> DesignPoint:
    """The design of a checkpoint, a YAML file or a published name; only the first loads torch."""
    if design.endswith(".pt"):
        from dse.training.checkpoint import load_checkpoint

        return load_checkpoint(Path(design)).point
    return load_design(design)


def _needs_onnx() -> None:
    try:
        import onnx  # noqa: F401 (whether it is there)
        import onnxruntime  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        raise InvalidInput(
            "ONNX needs two more packages: pip install 'ternary-dse[onnx]'"
        ) from None
