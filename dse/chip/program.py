"""The layers of an inference in order, with their tensors: what the controller is given to run.

An integer network's stage is a step a path, and where two paths meet a step that adds them:

    one path        tensor -> convolution -> int8
    two paths       tensor -> convolution -> int8;  block's input -> convolution -> int8;  int8
    identity skip   tensor -> convolution -> int8;  int8 and block's input -> int8
    head            tensor -> means -> matrix -> scores, which leave the chip
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cost_models.accelerator import Accelerator
from cost_models.cost import Cost, LayerCost
from cost_models.estimation import estimate
from cost_models.technology import Technology
from cost_models.workload import LayerKind, Workload
from dse.chip.machine import SUM_BITS
from dse.chip.tensors import Tensor
from dse.errors import InvalidDesign
from dse.training.integer import INT8_LIMIT, IntegerNetwork, Path, Rounding, Stage

Kind = Literal["convolution", "sum", "mean"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One descriptor's work."""

    name: str
    """Of the workload's layer."""
    kind: Kind
    source: str
    """Tensor that it reads, and a second one of a sum."""
    target: str
    """Tensor that it writes; empty for scores."""
    second: str = ""
    path: Path | None = None
    """Of a convolution."""
    rounding: Rounding | None = None
    """Of its sums, and of a sum's first tensor; means have one for all channels, which depends on
    their frames."""
    second_rounding: Rounding | None = None
    """Of a sum's second tensor."""
    relu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """All steps of an inference, their tensors, and what the model says of them."""

    network: IntegerNetwork
    steps: tuple[Step, ...]
    tensors: tuple[Tensor, ...]
    cost: Cost
    """What `dse estimate` says."""

    def layer(self, name: str) -> LayerCost:
        """What the model says of the layer that a step runs."""
        return next(each for each in self.cost.layers if each.layer.name == name)


FEATURES = "features"


def make_program(
    network: IntegerNetwork, workload: Workload, machine: Accelerator, technology: Technology
) -> Program:
    """The steps of a network, with the mappings that the model chooses.

    Args:
        network: in whole numbers.
        workload: of the same design, as `dse.networks.lowering.lower` makes it.
        machine: that is built.
        technology: that mappings are chosen in.

    Raises:
        InvalidDesign: a sum may need more than the accumulators have, the head is framewise, or a
            layer has two dimensions.
    """
    if plane := next((layer for layer in workload.layers if layer.two_dimensional), None):
        raise InvalidDesign(
            f"{plane.name} has frames of {plane.in_bins} bins, and the exported chip runs layers "
            "of one dimension: use a design whose frequencies are channels"
        )
    if not any(layer.kind is LayerKind.AVERAGE_POOL for layer in workload.layers):
        raise InvalidDesign(
            f"{workload.name} has a framewise head, which the exported chip cannot run: use a "
            "design with a pooled head"
        )
    steps = [step for stage in _with_sources(network) for step in stage]
    last = steps[-1].target
    steps += [
        Step(name="head.pool", kind="mean", source=last, target="head.pool"),
        Step(
            name="head.linear",
            kind="convolution",
            source="head.pool",
            target="",
            path=head_path(network),
            rounding=network.head.rounding,
        ),
    ]
    for step in steps:
        _check_sums(step)
    return Program(
        network=network,
        steps=tuple(steps),
        tensors=_tensors(steps, workload),
        cost=estimate(workload, machine, technology),
    )


def head_path(network: IntegerNetwork) -> Path:
    """The head's matrix as a path: a 1x1 convolution of one frame, the means."""
    head = network.head
    return Path(
        name="head.linear",
        kind="convolution",
        weights=head.weights[:, :, None],
        in_channels=head.weights.shape[1],
        rounding=head.rounding,
    )


def _with_sources(network: IntegerNetwork) -> list[list[Step]]:
    found, before, kept = [], FEATURES, FEATURES
    for stage in network.stages:
        kept = before if stage.begins_block else kept
        found.append(_stage_steps(stage, before, kept))
        before = found[-1][-1].target
    return found


def _stage_steps(stage: Stage, before: str, kept: str) -> list[Step]:
    if stage.added is None:
        return [_path_step(stage.paths[0], before, stage.name, stage.relu)]
    steps, tensors = [], []
    for path, source in zip(stage.paths, (before, kept), strict=True):
        tensors.append(source)
        if path.rounding is not None:
            steps.append(_path_step(path, source, path.name, relu=False))
            tensors[-1] = path.name
    one, other = stage.added
    name = f"{stage.name.split('.')[0]}.add"
    added = Step(
        name=name,
        kind="sum",
        source=tensors[0],
        second=tensors[1],
        target=name,
        rounding=one,
        second_rounding=other,
        relu=stage.relu,
    )
    return [*steps, added]


def _path_step(path: Path, source: str, target: str, relu: bool) -> Step:
    if path.weights is None:
        raise InvalidDesign(
            f"{path.name} cannot run on the exported chip: it scales its input by itself, without "
            "a matrix; give it one, or another path to meet"
        )
    return Step(
        name=path.name,
        kind="convolution",
        source=source,
        target=target,
        path=path,
        rounding=path.rounding,
        relu=relu,
    )


def _check_sums(step: Step) -> None:
    """Raise unless every sum fits the accumulators, whatever the input."""
    if step.path is None or step.path.weights is None:
        return
    weights = np.abs(step.path.weights.astype(np.int64))
    most = int(weights.reshape(len(weights), -1).sum(axis=1).max()) * INT8_LIMIT
    if most >= 2 ** (SUM_BITS - 1):
        raise InvalidDesign(
            f"{step.name} cannot run on the exported chip: its sums may reach {most:,}, and its "
            f"accumulators have {SUM_BITS} bits; use fewer channels"
        )


def _tensors(steps: list[Step], workload: Workload) -> tuple[Tensor, ...]:
    layers = {layer.name: layer for layer in workload.layers}
    first = workload.layers[0]
    shapes = {FEATURES: (first.in_channels, first.in_frames)}
    made = {FEATURES: -1}
    used = {FEATURES: 0}
    for number, step in enumerate(steps):
        for name in filter(None, (step.source, step.second)):
            used[name] = number
        if step.target:
            layer = layers[step.name]
            shapes[step.target] = layer.out_channels, layer.out_frames
            made[step.target] = used[step.target] = number
    return tuple(
        Tensor(name=name, channels=channels, frames=frames, first=made[name], last=used[name])
        for name, (channels, frames) in shapes.items()
    )
