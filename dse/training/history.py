"""What a training did: its epochs, the best of them, `history.csv`, and what came out. No torch."""

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dse.errors import InvalidFile
from dse.files import check_kinds, write_text
from dse.sheets import csv_lines

FILE_NAME = "history.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch.

    Of a task of words, errors are shares of clips told wrongly, losses nats per clip. Of a task of
    sentences, errors are CER or WER, as the task says, and at most 1; losses nats per character.
    """

    epoch: int
    """1-based."""
    learning_rate: float
    """Of the epoch's last step."""
    training_loss: float
    """As it was minimised: augmented clips, label smoothing and class weights included."""
    training_error: float
    """On the augmented clips, while the weights moved; of sentences the CER, which may exceed 1."""
    validation_loss: float
    """Plain cross-entropy, or CTC, on clean clips."""
    validation_error: float
    seconds: float
    """Training and validation, wall clock; not reproducible, unlike all others."""
    validation_cer: float | None = None
    """Of sentences: changes of characters per character, which may exceed 1; None of words."""
    validation_wer: float | None = None
    """Likewise of words per word."""

    def to_dict(self) -> dict[str, float]:
        """All fields but those that this task does not have."""
        plain = dataclasses.asdict(self)
        return {name: value for name, value in plain.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What came out of a training, finished or stopped after some of its epochs."""

    validation_error: float
    """Share of validation clips told wrongly, or CER or WER of sentences, at the best epoch: chosen
    as the lowest of all epochs and so a little optimistic; the testing split is not. Of a task with
    `wake` the share of wake words that the network of that epoch misses."""
    quantised_error: float | None = None
    """Likewise in whole numbers (`dse.training.best_scores`); None where the network has no such
    form, or was not kept."""
    best_epoch: int
    epochs: int
    history: tuple[EpochRecord, ...]
    seconds: float
    """Of all epochs, also those before an interruption."""
    device: str
    computed: str
    """How, such as `cpu, 1 thread, float32, fast path`."""
    note: str = ""
    """What a person should know, such as a damaged checkpoint that was not used."""


def best_record(history: Sequence[EpochRecord]) -> EpochRecord:
    """The epoch of the lowest validation error; of equal ones the lower loss, then the earlier.

    Errors of a small split are often equal, as they are whole numbers of clips; losses hardly ever.

    Args:
        history: at least one epoch, in order.
    """
    return min(history, key=lambda record: (record.validation_error, record.validation_loss))


def write_history(folder: Path, history: Sequence[EpochRecord]) -> None:
    """Write `history.csv` in one step: a column a field that the task has, a line an epoch."""
    records = [record.to_dict() for record in history]
    names = [
        field.name
        for field in dataclasses.fields(EpochRecord)
        if field.default is dataclasses.MISSING or any(field.name in each for each in records)
    ]
    lines = ([record.get(name) for name in names] for record in records)
    write_text(folder / FILE_NAME, csv_lines(names, lines), parents=False)


def read_history(folder: Path) -> tuple[EpochRecord, ...]:
    """Read `history.csv`; every number is the one that was written.

    Raises:
        InvalidFile: there is none, or a line is no record.
        InvalidInput: something in the folder is no file.
    """
    path = folder / FILE_NAME
    try:
        check_kinds(folder)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidFile(f"{path} does not exist: no epoch was finished in this folder") from None
    return history_from_text(text, str(path))


def history_from_text(text: str, path: str) -> tuple[EpochRecord, ...]:
    """What `history.csv` of the given text says; `path` stands for it in messages.

    Raises:
        InvalidFile: a line is no record.
    """
    history = []
    for line, row in enumerate(csv.DictReader(text.splitlines()), start=2):
        try:
            epoch = int(row.pop("epoch"))
            numbers = {name: float(value) for name, value in row.items()}
            history.append(EpochRecord(epoch=epoch, **numbers))
        except (KeyError, TypeError, ValueError):
            raise InvalidFile(f"not a record of an epoch ({path}:{line})") from None
    return tuple(history)
