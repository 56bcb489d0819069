"""A study that is not yet: the form's answers as YAML, and what is known before anything runs.

Costs are known before a training, errors after it. So a space can be judged by half: how many of
its designs keep the limits, and how much network the energy buys.
"""

import base64
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cost_models import Accelerator, Technology
from cost_models.reading import build
from cost_models.strict_yaml import Node, dump_yaml, parse_yaml
from dashboard.settings import Settings
from dashboard.studies import find_studies
from dse.columns import MEASURED_COLUMNS, OBJECTIVE_COLUMNS
from dse.design.point import USUAL, Head, Sizes
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidFile, InvalidInput, steers
from dse.pareto import pareto_mask
from dse.pricing.budget import Budget, budget_from_node
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.speech.sentence_folders import holds_sentences
from dse.speech.task import FeatureSpec
from dse.studies.folder import GIVEN
from dse.studies.rows import FULL
from dse.studies.study import open_study
from dse.studies.study_file import StreamSection

MOST_DRAFT = 200_000
"""Characters of a draft."""

DEFAULT_AXES = {
    "blocks": "{low: 1, high: 3}",
    "channels": "{low: 16, high: 64, step: 16}",
    "policy": "[P0, P2, P4]",
    "density": "[0.25, 0.5]",
}
"""Axes of a new study, as they stand in its file."""

BEGINNINGS: dict[Head, dict[str, Any]] = {
    "pooled": {
        "space": {axis: parse_yaml(text, axis).plain() for axis, text in DEFAULT_AXES.items()},
        "limits": {"max_trained_parameters": 20_000},
        "baselines": ["matchboxnet-3x1x64"],
        "recipe": {"epochs": 16},
    },
    "framewise": {
        "space": {
            "family": "quartznet",
            "repeats": 1,
            "channels": {"low": 32, "high": 96, "step": 16},
            "kernel": 13,
            "policy": ["P0", "half"],
            "prologue_channels": 64,
            "epilogue_channels": 64,
            "final_channels": 128,
        },
        "limits": {"max_trained_parameters": 100_000},
        "baselines": None,
        "recipe": {"base": "sentences", "epochs": 30},
    },
}
"""What a draft begins with where its task changes from words to sentences, and back: networks that
tell one answer a clip write down nothing, and the other way round. Sentences begin with the
networks of docs/evidence/results/speech-recognition.md."""


def data_folders(settings: Settings) -> list[Path]:
    """Folders of speech that a search may be started on: known ones and those beside them."""
    found = list(settings.data)
    for folder in find_studies(settings.folders).values():
        try:
            found.append(open_study(folder).asked.data_folder)
        except InvalidInput:
            continue
    for around in (settings.root, settings.root.parent):
        try:
            beside = (path for path in sorted(around.iterdir()) if path.is_dir())
            found += [path for path in beside if _holds_words(path) or holds_sentences(path)]
        except OSError:
            continue
    return [path for path in dict.fromkeys(map(Path.resolve, found)) if path.is_dir()]


def _holds_words(path: Path) -> bool:
    """Whether a folder has the layout of Speech Commands: the lists of its splits."""
    return os.path.exists(path / "validation_list.txt")


def study_yaml(
    *,
    name: str,
    data_folder: str,
    task: Mapping[str, Any],
    axes: Mapping[str, str],
    machine: str,
    technology: str | None,
    objectives: Sequence[str],
    limits: Mapping[str, float],
    baselines: Sequence[str],
    epochs: int,
    sampler: str,
    trainings: int,
    seed: int,
    rungs: Mapping[str, int] | None = None,
) -> str:
    """The study file of a form, as text.

    Axes come as they were typed (`{low: 16, high: 64, step: 16}`), and each is read as YAML by
    itself, so that an error names its axis. Whether it all makes a study is not asked here
    (`dashboard.launching.check`). What is left at "none" has no key, so that the file says only
    what a person chose. Arguments are named as the keys of the file are, but for `epochs`, which is
    the recipe's, and `data_folder` and `task`, which are those of `data`; limits are in base units.

    Raises:
        InvalidFile: what was typed for an axis is no YAML.
    """
    space = {axis: parse_yaml(text, f"axis {axis}").plain() for axis, text in axes.items()}
    plain: dict[str, Any] = {
        "name": name,
        "data": {"folder": data_folder, "task": dict(task)},
        "space": space,
        "machine": machine,
        **({"technology": technology} if technology else {}),
        "objectives": list(objectives),
        **({"limits": dict(limits)} if limits else {}),
        **({"baselines": list(baselines)} if baselines else {}),
        "recipe": {"epochs": epochs},
        "sampler": sampler,
        **({"rungs": dict(rungs)} if rungs else {}),
        "trainings": trainings,
        "seed": seed,
    }
    return dump_yaml(plain)


def read_draft(text: str) -> dict[str, Any]:
    """A draft as plain data.

    Raises:
        InvalidFile: it is no YAML, or no mapping.
    """
    node = parse_yaml(text, "study").plain()
    if not isinstance(node, dict):
        raise InvalidFile("a study file is a mapping of keys: docs/how-to/search.md describes them")
    return node


def value_at(node: Mapping[str, Any], path: str) -> Any:
    """What stands at a place of a draft (`data.task.kind`); None where nothing does."""
    found: Any = node
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def with_value(text: str, path: str, value: Any) -> str:
    """The draft with another value at a place; all else that it says stays, also what no form has.

    Args:
        text: YAML. Its comments are lost.
        path: keys with dots between them.
        value: None takes the key out, and sections that are empty then.

    Raises:
        InvalidFile: as `read_draft`.
    """
    node = read_draft(text)
    _put(node, path.split("."), value)
    return dump_yaml(node)


def _put(node: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    key, *rest = keys
    if rest:
        inner = node.get(key)
        node[key] = dict(inner) if isinstance(inner, Mapping) else {}
        _put(node[key], rest, value)
        value = node[key] or None
    if value is None:
        node.pop(key, None)
    else:
        node[key] = value


def packed(text: str) -> str:
    """A draft as an address has it: zlib, then base 64 in the letters of addresses."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpacked(word: str) -> str | None:
    """The draft of an address; None where it is none, was cut off, or is too long.

    A few letters can be a gigabyte of blanks: no more is unpacked than a draft may have.
    """
    try:
        content = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        whole = zlib.decompressobj()
        text = whole.decompress(content, MOST_DRAFT).decode()
    except (ValueError, zlib.error):
        return None
    return text if whole.eof and not steers(text.replace("\n", "")) else None


def flow(value: Any) -> str:
    """A value on one line, as it would be typed: `{low: 16, high: 64}`, `[P0, P2]`."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return dump_yaml([value]).strip().removeprefix("- ")


def clone_of(folder: Path, name: str) -> str:
    """The study file of a study under another name, to be searched from the folder of studies.

    Its paths were seen from where it stood, so the data are named in full.

    Raises:
        InvalidInput: the file is not in the study's folder, or cannot be read.
    """
    try:
        text = (folder / GIVEN).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise InvalidFile(
            f"the study file of {folder.name} is not in its folder: begin with a new study"
        ) from None
    renamed = with_value(text, "name", name)
    return with_value(renamed, "data.folder", str(open_study(folder).asked.data_folder))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sample of a space costs; nothing is trained.

    Says before a search whether its limits leave anything to train, and where designs lie.
    """

    size: int
    """Designs of the space."""
    sizes: Sizes
    """Of the inference that is priced."""
    sampled: int
    feasible: int
    frame: pd.DataFrame
    """The costs of those that can be built, with `feasible` and `frontier` (least energy for the
    most weights)."""


def preview(
    text: str, machine: Accelerator, technology: Technology, *, sample: int = 1_000
) -> Preview:
    """Price a sample of the space of a study file.

    Nothing is known yet of errors, so limits of measured columns (`max_error`) are left aside, and
    the frontier that is drawn takes the number of weights, trained and generated, for what a design
    may be able to learn. Inputs are the usual ones of the family's head, whatever the study's task
    is: costs compare designs of the sample, but are not the figures that the search will record.

    Args:
        text: of a study file; of it, `space`, `limits` and `stream` are read.
        machine: to price on.
        technology: its constants.
        sample: designs to draw, without replacement; all of a smaller space.

    Raises:
        InvalidInput: the space, the limits or the stream cannot be read.
    """
    node = parse_yaml(text, "study")
    if not isinstance(node.value, dict) or "space" not in node.value:
        raise InvalidFile("a study file needs a space")
    space: SearchSpace = space_from_node(node.value["space"])
    limits = node.value.get("limits")
    given = budget_from_node(limits, OBJECTIVE_COLUMNS).limits if limits else ()
    known = tuple(limit for limit in given if limit.column not in MEASURED_COLUMNS)
    priced_on = [Machine(accelerator=machine, technology=technology)]
    sizes = USUAL[space.family.head]
    pricing = Pricing(
        priced_on,
        frames=sizes.frames,
        outputs=sizes.outputs,
        budget=Budget(known),
        listening=_listening(node),
    )
    sweep = Sweep(space, pricing)
    # A chunk is designs of one piece of the space (the same axes matter), as arrays of columns.
    chunks = list(sweep.run(sample=sample, seed=1))
    columns = {
        name: np.concatenate([chunk.columns[name] for chunk in chunks if chunk.columns])
        for name in next((c.columns for c in chunks if c.columns), {})
    }
    frame = pd.DataFrame(columns)
    frame["feasible"] = np.concatenate([c.feasible for c in chunks if c.columns])
    sampled = len(frame)
    frame = frame[frame["energy_pj"].notna()].reset_index(drop=True)
    frame["weights"] = frame["trained_parameters"] + frame["generated_weights"]
    # `pareto_mask` minimises: most weights are least negative ones; NaN is never on a frontier.
    points = frame[["energy_pj", "weights"]].to_numpy() * [1, -1]
    points[~frame["feasible"].to_numpy()] = np.nan
    frame["frontier"] = pareto_mask(points)
    return Preview(sweep.size, sizes, sampled, int(frame["feasible"].sum()), frame)


def _listening(node: Node) -> Listening | None:
    """The stream of a study file; frames are as far apart as usual, as its inputs are the usual."""
    section = node.value.get("stream")
    if section is None or section.value is None:
        return None
    return Listening(build(StreamSection, section).hop_frames, FeatureSpec().hop_ms)


def seconds_of_an_epoch(settings: Settings, data_folder: Path) -> float | None:
    """Seconds of one epoch: median over the trainings of known studies on the same data.

    A rough figure for a forecast: it asks neither how large those networks were, nor how many were
    trained side by side, nor on which device. Trainings that were taken over from another study
    count with the seconds that their rows hold.

    Returns:
        None where no study on this folder has a full training.
    """
    from dashboard.session import load

    seconds: list[float] = []
    for label, folder in find_studies(settings.folders).items():
        try:
            if open_study(folder).asked.data_folder != data_folder:
                continue
            frame = load(label, folder).frame
        except InvalidInput:
            continue
        trained = frame[frame["status"].isin(FULL) & frame["training_seconds"].notna()]
        seconds += (trained["training_seconds"] / trained["epochs"].astype(float)).tolist()
    return float(np.median(seconds)) if seconds else None
