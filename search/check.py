"""Look at a study before it is searched: what its space, machines, limits and data come to.

Designs are priced as a search prices them, and counted:

    of 500 designs             which can be built, some machine executes, the hop of a stream fits,
                               its memories hold
    keep one limit             whatever the others say
    keep all                   on one and the same machine
    would, without one limit   the limit without which most would is the one that binds

A limit on an error can only be judged after a training, so it is named and not counted.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.design.families.family import Values
from dse.errors import InvalidInput
from dse.pricing.book import NO_PART, Cut
from dse.pricing.budget import Limit
from dse.pricing.pricer import held
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.speech.task import Task
from dse.speech.transcription import Transcription
from dse.studies.spec import StudySpec
from search.survey import SAMPLE

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """What one limit does to the designs."""

    limit: Limit
    passes: int
    """Designs that keep it on a machine that executes and holds them."""
    without: int
    """Designs that would keep all limits if it were not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceCheck:
    """What the designs of a space come to on the machines of a study, each design counted once."""

    priced: int
    whole: bool
    """All designs of the space were priced; otherwise some at random."""
    built: int
    """Of those priced, which are networks that something of their input gets through."""
    executed: int
    """Of those, which some machine executes."""
    listen: int
    """Of those, which the hop of the study's stream fits; all where it has none."""
    held: int
    """Of those, which the memories of such a machine hold."""
    feasible: int
    """Of those, which keep all limits on such a machine."""
    dead: int
    """Of those priced, networks that nothing of their input gets through (`dse.design.matrices`):
    none of the counts below has them."""
    limits: tuple[LimitCheck, ...]
    unused: tuple[str, ...]
    """Machines on which no design is feasible."""
    not_executed: str
    """Why the first network that no machine executes is executed by none; empty without any."""
    no_hop: str
    """Why the hop does not fit the first network that it does not fit; empty without any."""

    @property
    def binding(self) -> LimitCheck | None:
        """The limit that keeps most designs away; None where none does so alone."""
        best = max(self.limits, key=lambda each: each.without, default=None)
        return best if best is not None and best.without > self.feasible else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """What the data of a study are, by the names of their files."""

    outputs: int
    """Of a network for them."""
    words: str
    """What is told apart or written down, and what is counted: `3 classes; clips`."""
    counts: dict[str, int]
    """Clips or utterances of each split."""
    findings: tuple[str, ...]
    """What speaks against errors that are measured on them."""


def check_space(spec: StudySpec, outputs: int) -> SpaceCheck:
    """Price the space of a study, or so many designs of it at random as its search will survey.

    Args:
        spec: the study.
        outputs: classes of its data.
    """
    spec = spec.of_outputs(outputs)
    space = spec.space
    whole = space.size <= SAMPLE
    rng = random.Random(spec.seed)
    designs = list(space.enumerate()) if whole else [space.sample(rng) for _ in range(SAMPLE)]
    pricing = spec.make_pricing(outputs)
    cut = Sweep(space, pricing).cut(designs)
    return _count(designs, cut, pricing, spec, whole)


def _count(
    designs: Sequence[Values], cut: Cut, pricing: Pricing, spec: StudySpec, whole: bool
) -> SpaceCheck:
    limits = spec.budget.limits
    count = len(designs)
    executed, listen, fits, feasible = (np.zeros(count, dtype=np.bool_) for _ in range(4))
    passes = np.zeros((len(limits), count), dtype=np.bool_)
    without = np.zeros((len(limits), count), dtype=np.bool_)
    dead = pricing.book.dead_designs(cut)
    unused = []
    for pricer in pricing.pricers:
        columns, here = pricer.price(cut)
        runs = np.isfinite(columns["energy_pj"]) & ~dead
        holds = runs & held(columns, pricer.machine.accelerator)
        executed |= runs
        listen |= runs & np.isfinite(columns.get("hop_energy_pj", columns["energy_pj"]))
        fits |= holds
        feasible |= here
        kept = np.array([limit.excess(columns) <= 0 for limit in limits])
        for at in range(len(limits)):
            passes[at] |= holds & kept[at]
            without[at] |= holds & np.delete(kept, at, axis=0).all(axis=0)
        if not here.any():
            unused.append(pricer.machine.accelerator.name)
    built = _built(cut) & ~dead
    return SpaceCheck(
        priced=count,
        whole=whole,
        built=int(built.sum()),
        executed=int(executed.sum()),
        listen=int(listen.sum()),
        held=int(fits.sum()),
        feasible=int(feasible.sum()),
        dead=int(dead.sum()),
        limits=tuple(
            LimitCheck(limit, int(passes[at].sum()), int(without[at].sum()))
            for at, limit in enumerate(limits)
        ),
        unused=tuple(unused),
        not_executed=_why_not(designs, built & ~executed, pricing, spec),
        no_hop=_why_no_hop(designs, executed & ~listen, pricing, spec),
    )


def _built(cut: Cut) -> Mask:
    """Which designs are networks; shape (designs,)."""
    built = np.zeros(cut.designs, dtype=np.bool_)
    for places, networks in cut.groups:
        built[places] = (networks != NO_PART).all(axis=1)
    return built


def _why_not(designs: Sequence[Values], which: Mask, pricing: Pricing, spec: StudySpec) -> str:
    """Why the first of these designs is executed by no machine, such as for its matrix order."""
    for at in np.flatnonzero(which)[:1]:
        try:
            pricing.best(spec.space.point(designs[at]))
        except InvalidInput as error:
            return str(error)
    return ""


def _why_no_hop(designs: Sequence[Values], which: Mask, pricing: Pricing, spec: StudySpec) -> str:
    """Why the hop does not fit the first of these designs."""
    for at in np.flatnonzero(which)[:1]:
        return pricing.best(spec.space.point(designs[at])).no_stream
    return ""


def check_data(spec: StudySpec) -> DataCheck:
    """Look into the data folder of a study; nothing is decoded.

    Raises:
        InvalidData: there is no such folder, or it cannot be used: a word has no clips in it, a
            class none in a split, a split no utterances.
        InvalidInput: there is no such device.
    """
    from dse.training.devices import choose_device  # loads torch

    choose_device(spec.device)
    if isinstance(spec.task, Transcription):
        return _check_sentences(spec, spec.task)
    return _check_words(spec, spec.task)


def _check_words(spec: StudySpec, task: Task) -> DataCheck:
    from dse.speech.features import check_wake, told_by_names
    from dse.speech.speech_commands import SPLITS, draw, scan
    from dse.speech.wake_recordings import check_recordings

    corpus = scan(spec.data_folder)
    drawing = draw(corpus, task)
    if task.wake is not None:
        check_wake(drawing, task.wake)
        check_recordings(corpus, task.wake)
    return DataCheck(
        outputs=len(drawing.classes),
        words=f"{len(drawing.classes)} classes; clips",
        counts={split: len(drawing.split(split)) for split in SPLITS},
        findings=told_by_names(corpus, drawing),
    )


def _check_sentences(spec: StudySpec, task: Transcription) -> DataCheck:
    from dse.speech.sentence_corpus import refuse_missing_splits
    from dse.speech.sentence_folders import scan_sentences
    from dse.speech.sentence_inspection import told_by_transcripts

    corpus = scan_sentences(spec.data_folder)
    refuse_missing_splits(corpus)
    return DataCheck(
        outputs=task.usual_classes,
        words=f"{len(task.characters)} characters and blank; utterances",
        counts={str(split): count for split, count in corpus.counts.items()},
        findings=told_by_transcripts(corpus, task),
    )
