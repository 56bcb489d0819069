"""What does not fit together in a study file is refused, at the line that says it.

Each key may be sound by itself; a space of sentences with a task of words, few bits that no
objective feels, or a hop longer than the window would each spend hours of training on nothing.
"""

import dataclasses
from collections.abc import Sequence

from cost_models.strict_yaml import Node
from dse.columns import (
    STREAM_COLUMNS,
)
from dse.design.families import FAMILIES
from dse.design.space import SearchSpace
from dse.pricing.budget import Limit
from dse.speech.transcription import SpeechTask, Transcription
from dse.studies.study_file import StudyFile

BITS = ("weight_bits", "activation_bits")
"""Axes of precision."""


def of_features(space: SearchSpace, file: StudyFile, node: Node) -> SearchSpace:
    """The space with as many features a frame as the data will have.

    Raises:
        InvalidFile: the space says another number, or its networks are for the other task.
    """
    coefficients, section = file.data.features.coefficients, node.value["space"]
    _check_head(space, file.data.task, section)
    if "in_channels" not in section.value:
        return dataclasses.replace(space, in_channels=coefficients)
    if space.in_channels != coefficients:
        raise section.error(
            f"space.in_channels is {space.in_channels}, and data.features.coefficients "
            f"{coefficients}: leave in_channels out"
        )
    return space


def _check_head(space: SearchSpace, task: SpeechTask, section: Node) -> None:
    """A network of words has one answer a clip, one of sentences an answer a frame."""
    wanted = "framewise" if isinstance(task, Transcription) else "pooled"
    if space.family.head != wanted:
        fitting = [each.name for each in FAMILIES.values() if each.head == wanted]
        place = section.value.get("family", section)
        raise place.error(
            f"space.family is {space.family.name}, whose networks have a {space.family.head} head, "
            f"and a task of kind {task.kind} needs a {wanted} one: use {' or '.join(fitting)}"
        )


def check_one_dimension(space: SearchSpace, file: StudyFile, node: Node) -> None:
    """Refuse what is of networks over frames alone, where those of the space move over bins, too.

    Raises:
        InvalidFile: each of its trainings would end without what is asked of it.
    """
    if not space.family.over_bins:
        return
    why = f"the networks of family {space.family.name} move over bins of a frame"
    if "quantised_error" in file.objectives:
        raise node.value["objectives"].error(
            f"quantised_error is of whole numbers, and {why}, which have no form in them: use error"
        )
    if file.recipe.kept_share < 1:
        raise node.value["recipe"].error(
            f"recipe.kept_share {file.recipe.kept_share:g} keeps a share of frames, and {why}: "
            "leave it out"
        )


def check_stream(file: StudyFile, node: Node, limits: Sequence[Limit]) -> None:
    """Refuse columns of a stream without one, and beside one what it already says.

    Raises:
        InvalidFile: the hop is longer than an inference, a rate stands beside it, or a column that
            is limited or minimised has no meaning.
    """
    objectives, limited = set(file.objectives), {limit.column for limit in limits}
    used = {name: "objectives" for name in objectives} | {name: "limits" for name in limited}
    if file.stream is None:
        for name in sorted(used.keys() & set(STREAM_COLUMNS)):
            raise node.value[used[name]].error(
                f"{used[name]}: {name} is of a design that listens to a stream: say how many "
                "frames it takes at a time, such as `stream: {hop_frames: 4}`"
            )
        return
    if file.rate is not None:
        raise node.value["rate"].error(
            "rate: hops a second follow from stream.hop_frames and data.features.hop_ms: leave "
            "rate out, or stream"
        )
    if "average_power_uw" in used:
        raise node.value[used["average_power_uw"]].error(
            f"{used['average_power_uw']}: average_power_uw is of single inferences, and this study "
            "listens to a stream: use listening_power_uw"
        )
    hop, frames = file.stream.hop_frames, file.data.features.frames
    if hop > frames:
        raise node.value["stream"].error(
            f"stream.hop_frames is {hop:,}, longer than the {frames:,} frames of an inference: use "
            "a shorter hop, or more data.features.frames"
        )


def check_bits(space: SearchSpace, file: StudyFile, node: Node) -> None:
    """Refuse few bits where no objective feels them: floats learn as well, whatever bits cost."""
    if "quantised_error" in file.objectives:
        return
    for choice in space.choices:
        base, _ = space.family.split(choice.name)
        if base in BITS and (least := min(map(int, choice.values))) < 8:
            where = node.value["space"].value[choice.name]
            raise where.error(
                f"'{choice.name}' has {least} bits, and 'error' is that of the network in floats, "
                "which bits do not change: put quantised_error among the objectives, in place of "
                "error or beside it"
            )
