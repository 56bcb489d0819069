"""The layers of an inference in order, with their tensors: what the controller is given to run.

An integer network's stage is a step a path, and where two paths meet a step that adds them:

    one path        tensor -> convolution -> int8
    two paths       tensor -> convolution -> sums;  block's input -> convolution -> sums;  int8
    identity skip   tensor -> convolution -> sums;  sums and block's input -> int8
    head            tensor -> means -> matrix, a digit a frame -> scores
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cost_models.accelerator import Accelerator
from cost_models.cost import Cost, LayerCost
from cost_models.estimation import estimate
from cost_models.technology import Technology
from cost_models.workload import Workload
from dse.chip.as_built import DIGITS, SUM_BITS, as_built
from dse.chip.tensors import Tensor
from dse.errors import InvalidDesign
from dse.training.integer import INT8_LIMIT, IntegerNetwork, Path, Stage, Whole

Kind = Literal["convolution", "sum", "mean", "score"]


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
    multipliers: Whole | None = None
    """Where it requantises, of the first tensor and, in a sum, of the second."""
    second_multipliers: Whole | None = None
    offsets: Whole | None = None
    shift: int = 0
    relu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """All steps of an inference, their tensors, and what the model says of them."""

    network: IntegerNetwork
    steps: tuple[Step, ...]
    tensors: tuple[Tensor, ...]
    cost: Cost
    """Of the workload as built."""
    lowered: Cost
    """Of the workload as `dse estimate` prices it."""

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
        InvalidDesign: a sum may need more than the accumulators have, or the head is framewise.
    """
    built = as_built(workload)
    steps = [step for stage in _with_sources(network) for step in stage]
    last = steps[-1].target
    head = network.head
    matrix = head_path(network)
    steps += [
        Step(name="head.pool", kind="mean", source=last, target="head.pool"),
        Step(
            name="head.linear",
            kind="convolution",
            source="head.pool",
            target="head.linear",
            path=matrix,
        ),
        Step(
            name="head.argmax",
            kind="score",
            source="head.linear",
            target="",
            multipliers=head.multipliers,
            offsets=head.offsets,
            shift=head.shift,
        ),
    ]
    for step in steps:
        _check_sums(step)
    return Program(
        network=network,
        steps=tuple(steps),
        tensors=_tensors(steps, built, workload),
        cost=estimate(built, machine, technology),
        lowered=estimate(workload, machine, technology),
    )


def head_path(network: IntegerNetwork) -> Path:
    """The head's matrix as a path: a 1x1 convolution of two frames, the digits of the means."""
    head = network.head
    return Path(
        name="head.linear",
        kind="convolution",
        weights=head.weights[:, :, None],
        in_channels=head.weights.shape[1],
        multipliers=head.multipliers,
    )


def _with_sources(network: IntegerNetwork) -> list[list[Step]]:
    found, before, kept = [], FEATURES, FEATURES
    for stage in network.stages:
        kept = before if stage.begins_block else kept
        found.append(_stage_steps(stage, before, kept))
        before = found[-1][-1].target
    return found


def _stage_steps(stage: Stage, before: str, kept: str) -> list[Step]:
    main = stage.paths[0]
    if len(stage.paths) == 1:
        return [
            Step(
                name=main.name,
                kind="convolution",
                source=before,
                target=stage.name,
                path=main,
                multipliers=main.multipliers,
                offsets=stage.offsets,
                shift=stage.shift,
                relu=stage.relu,
            )
        ]
    skip, block = stage.paths[1], stage.name.split(".")[0]
    steps = [Step(name=main.name, kind="convolution", source=before, target=main.name, path=main)]
    beside = kept
    if skip.kind != "identity":
        beside = skip.name
        steps.append(
            Step(name=skip.name, kind="convolution", source=kept, target=skip.name, path=skip)
        )
    added = Step(
        name=f"{block}.add",
        kind="sum",
        source=main.name,
        second=beside,
        target=f"{block}.add",
        multipliers=main.multipliers,
        second_multipliers=skip.multipliers,
        offsets=stage.offsets,
        shift=stage.shift,
        relu=stage.relu,
    )
    return [*steps, added]


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


def _tensors(steps: list[Step], built: Workload, workload: Workload) -> tuple[Tensor, ...]:
    layers = {layer.name: layer for layer in built.layers}
    first = workload.layers[0]
    shapes = {FEATURES: (first.in_channels, first.in_frames, 1)}
    made = {FEATURES: -1}
    used = {FEATURES: 0}
    for number, step in enumerate(steps):
        for name in filter(None, (step.source, step.second)):
            used[name] = number
        if step.target:
            layer = layers[step.name]
            channels, frames = layer.out_channels, layer.out_frames
            wide = step.kind == "convolution" and step.multipliers is None
            frames = DIGITS if step.kind == "mean" else frames
            shapes[step.target] = (channels, frames, SUM_BITS // 8 if wide else 1)
            made[step.target] = used[step.target] = number
    return tuple(
        Tensor(
            name=name,
            channels=channels,
            frames=frames,
            planes=planes,
            first=made[name],
            last=used[name],
        )
        for name, (channels, frames, planes) in shapes.items()
    )
