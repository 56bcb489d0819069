"""What a command is asked about: a design, a network of layers, one of a study's designs.

    matchboxnet-3x1x64-P3     a published network           a design
    my_design.yaml            ours, or NeMo's               a design
    studies/demo              a study's folder              a design, its machine and its rate
    my_net.py:build           a module of PyTorch           layers, traced
    my_net.onnx               a graph                       layers

A design can be changed (its policy, its frames, its outputs), trained and exported; layers are what
they are, and are priced. `read_asked` reads designs, `read_network` both.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import click

from cost_models import Accelerator, Technology, load_technology
from cost_models.strict_yaml import read_yaml
from cost_models.workload import CONVOLUTIONS, Workload
from dse.design.families.family import Family, Values
from dse.design.point import USUAL, DesignPoint, point_from_node
from dse.design.published import published, published_family, published_values
from dse.errors import InvalidInput
from dse.interchange.nemo import import_nemo
from dse.networks.module_file import is_module_file, read_module_file
from dse.pricing.priced import Layers
from dse.report.lengths import MS_PER_S
from dse.report.priced import load_machine
from dse.studies.folder import DESIGN, RESOLVED
from dse.studies.rows import check_results
from dse.studies.study import Study, open_study
from dse_cli.options import DEFAULT_MACHINE, FRAMES_PER_S
from dse_cli.terminal import say

FEWEST_SAMPLES = 2_000
"""Of a clip of raw audio: a quarter of a second at 8 kHz; as frames of 10 ms it is 20 seconds."""
MOST_LAYERS = 2_000
"""That are priced: a file of a megabyte may have tens of thousands, a network some hundred."""


def load_design(design: str) -> DesignPoint:
    """A design by the name of its YAML file, ours or NeMo's, or of a published network.

    What ends in `.yaml` or `.yml`, or exists, is a file; a file without `blocks` is NeMo's.

    Raises:
        InvalidInput: there is no such file or network, or something in it is wrong.
    """
    return read_asked(design).point


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is priced, where no option says otherwise."""

    point: DesignPoint
    frames: int
    outputs: int
    machine: str = DEFAULT_MACHINE
    rate: float = 1.0
    study: Study | None = None
    """That the design is of."""
    family: Family | None = None
    """None where nobody says it, as of a design file."""
    values: Values | None = None
    """Of its family's axes; None where nobody says them."""
    frames_per_s: float = FRAMES_PER_S
    notes: tuple[str, ...] = ()

    def load(self, machine: str, technology: str | None) -> tuple[Accelerator, Technology]:
        """A machine of the study, of the library or of a file, and what it is priced with."""
        own = () if self.study is None else self.study.asked.machines
        pair = next((each for each in own if each.accelerator.name == machine), None)
        if pair is None:
            return load_machine(machine, technology)
        return pair.accelerator, pair.technology if technology is None else load_technology(
            technology
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLayers:
    """A network that is no design of ours: its layers are priced as they are."""

    layers: Layers
    frames: int
    """Of its input: what its first layer reads."""
    frames_per_s: float
    notes: tuple[str, ...] = ()
    """What is priced otherwise than it stands there, a sentence each."""
    machine: str = DEFAULT_MACHINE
    rate: float = 1.0

    @property
    def outputs(self) -> int:
        """Scores of each frame of the output."""
        return self.layers.workload.layers[-1].out_channels

    def load(self, machine: str, technology: str | None) -> tuple[Accelerator, Technology]:
        """A machine of the library or of a file, and what it is priced with."""
        return load_machine(machine, technology)


def read_network(
    source: str,
    chosen: str | None = None,
    frames: int | None = None,
    outputs: int | None = None,
    seconds: float | None = None,
) -> Asked | AskedLayers:
    """A design or a network of layers, whichever a name or file is.

    Args:
        source: as the table above has it.
        chosen: of a study's designs.
        frames: of the input, of a design or of a graph that leaves them open.
        outputs: of a design.
        seconds: how long the input is: a design's is as many frames, a network's example has its
            frames already, and they last so long.

    Raises:
        InvalidInput: there is no such thing, something in it is wrong, or what is given is no
            matter of a network of layers.
    """
    if not _is_layers(source):
        if seconds is not None:
            frames = max(round(seconds * FRAMES_PER_S), 1)
        return read_asked(source, chosen, frames, outputs)
    if chosen is not None:
        raise click.UsageError("--design chooses from a study: name its folder first")
    if outputs is not None:
        raise InvalidInput(f"--outputs is for designs: {source} has its own outputs")
    notes: list[str] = []
    read = _read_module if is_module_file(source) else _read_graph
    workload = read(source, frames, notes)
    check_size(workload)
    frames = workload.layers[0].in_frames
    if seconds is None and frames >= FEWEST_SAMPLES and workload.layers[0].in_channels == 1:
        notes.append(
            f"the {frames:,} frames of one channel are taken as frames of 10 ms: if they are "
            "samples, say by --seconds how long they are"
        )
    return AskedLayers(
        layers=Layers(workload.name, workload),
        frames=frames,
        frames_per_s=FRAMES_PER_S if seconds is None else frames / seconds,
        notes=tuple(notes),
    )


def check_size(workload: Workload) -> None:
    """Raise `InvalidInput` where a network of layers is more, or less, than can be priced."""
    if len(workload.layers) > MOST_LAYERS:
        raise InvalidInput(
            f"{workload.name} has {len(workload.layers):,} layers, and at most {MOST_LAYERS:,} are "
            "priced: give a part of it"
        )
    if not any(layer.kind in CONVOLUTIONS for layer in workload.layers):
        raise InvalidInput(
            f"{workload.name} takes no time, as it has no layer with weights: there is nothing to "
            "price"
        )


def _is_layers(source: str) -> bool:
    return is_module_file(source) or source.endswith(".onnx")


def _read_module(source: str, frames: int | None, notes: list[str]) -> Workload:
    if frames is not None:
        raise InvalidInput(f"--frames is for designs: {source} has those of its example")
    module, example = read_module_file(source)
    from dse.networks.tracing import trace  # which loads torch

    return trace(module, example, notes=notes)


def _read_graph(source: str, frames: int | None, notes: list[str]) -> Workload:
    try:
        from dse.interchange.onnx_import import import_onnx
    except ImportError:
        raise InvalidInput("ONNX needs one more package: pip install 'ternary-dse[onnx]'") from None
    return import_onnx(Path(source), frames=frames, notes=notes)


def read_asked(
    design: str, chosen: str | None = None, frames: int | None = None, outputs: int | None = None
) -> Asked:
    """A design with its frames and outputs: as given, as its file or study says, or the usual.

    Raises:
        InvalidInput: there is no such file, network, study or row, or something in it is wrong; or
            it is a network of layers.
    """
    if _is_layers(design):
        raise InvalidInput(
            f"{design} is a network of layers, and a design is needed here: dse estimate prices it"
        )
    if os.path.isdir(design):
        if os.path.exists(os.path.join(design, RESOLVED)) or not os.path.exists(
            os.path.join(design, DESIGN)
        ):
            return _read_study(Path(design), chosen, frames, outputs)
        design = os.path.join(design, DESIGN)
    if chosen is not None:
        raise click.UsageError("--design chooses from a study: name its folder first")
    if design.endswith((".yaml", ".yml")) or os.path.exists(design):
        node = read_yaml(design)
        if isinstance(node.value, dict) and "blocks" not in node.value:
            found = import_nemo(Path(design), outputs=outputs)
            frames = frames or found.frames or USUAL[found.point.head].frames
            return Asked(point=found.point, frames=frames, outputs=found.outputs)
        point, family = point_from_node(node), None
    else:
        point, family = published(design), published_family(design)
    usual = USUAL[point.head]
    return Asked(
        point=point,
        frames=frames or usual.frames,
        outputs=outputs or usual.outputs,
        family=family,
        values=None if family is None else published_values(design, family),
    )


def _read_study(folder: Path, chosen: str | None, frames: int | None, outputs: int | None) -> Asked:
    """A design of a study, with all that its price depends on there."""
    study = open_study(folder)
    check_results(folder)
    if study.refused:
        say(f"dse: {study.refused}", err=True)
    if chosen is None and not study.frontier:
        raise InvalidInput(f"{folder} has no frontier yet: choose one of its rows with --design")
    row = (
        min(study.frontier, key=lambda row: row.column(study.asked.measured))
        if chosen is None
        else study.find(chosen)
    )
    point = study.build_point(row)
    if point is None:
        raise InvalidInput(
            f"nothing in {folder} says any more what {row.name or row.key} was: restore "
            f"{study.find_folder(row) / DESIGN}"
        )
    asked = study.asked
    return Asked(
        point=point,
        frames=frames or asked.features.frames,
        outputs=outputs or study.begun.outputs,
        machine=row.accelerator or asked.accelerator.name,
        rate=asked.inferences_per_second,
        frames_per_s=MS_PER_S / asked.features.hop_ms,
        study=study,
        family=asked.space.family,
        values={name: value for name, value in row.values.items() if value is not None}
        or published_values(row.source, asked.space.family),
    )
