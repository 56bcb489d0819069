"""What `dse data inspect` prints of a folder of sentences."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from dse.files import write_text
from dse.speech.findings import many
from dse.speech.sentence_inspection import SentenceInspection, SplitSummary, inspect_sentences
from dse.speech.transcription import Transcription
from dse.speech.transcripts import characters_text, read_characters
from dse_cli.terminal import Screen

_MOST_NAMED = 20


def look_at_sentences(
    folder: Path,
    characters: Path | None,
    write_to: Path | None,
    report: Callable[[str, int, int], None],
) -> tuple[Transcription, SentenceInspection]:
    """Decode a folder of sentences.

    Args:
        folder: which holds sentences.
        characters: file of the vocabulary; the English one where it is None.
        write_to: file for a vocabulary of the data.
        report: told the progress.

    Returns:
        The task that says who is left out, and what was found.
    """
    task = Transcription()
    if characters is not None:
        task = Transcription(characters=read_characters(characters))
    found = inspect_sentences(folder, task, report)
    if write_to is not None:
        write_text(write_to, characters_text(sorted(found.characters)))
    return task, found


def print_sentences(found: SentenceInspection, task: Transcription) -> None:
    """A table with a row for each split, and lines below it."""
    console = Screen(soft_wrap=True)
    lengths = ("shortest", "median", "longest")  # 80 columns in all
    headings = ("split", "there", "used", "speakers", "hours", *lengths)
    table = Table(*headings, title=str(found.folder), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for split, summary in found.splits.items():
        table.add_row(split, *_cells(summary))
    console.print(table)
    for line in _lines(found, task):
        console.print(line, highlight=False, markup=False)


def _cells(summary: SplitSummary) -> Iterator[str]:
    for count in (summary.utterances, summary.used, summary.speakers):
        yield f"{count:,}"
    yield f"{summary.hours:.2f}"
    for duration_s in summary.durations_s or ():
        yield f"{duration_s:.2f} s"


def _lines(found: SentenceInspection, task: Transcription) -> Iterator[str]:
    layout = "LibriSpeech's folders" if found.layout == "librispeech" else "manifests"
    yield f"Layout: {layout}; {many(found.speakers, 'speaker', 'speakers')}"
    said = (f"{each.words:,} words {split}" for split, each in found.splits.items())
    yield f"Transcripts: {', '.join(said)}"
    yield (
        f"Rates: {say_counts(found.sample_rates, ' Hz')}; formats: {say_counts(found.formats)}; "
        + (f"channels: {say_counts(found.channels)}")
    )
    listed = " ".join(f"'{each}'" if each == " " else each for each in sorted(found.characters))
    yield f"Characters: {len(found.characters)}: {listed}"
    unsaid = [each for each in task.characters if each not in found.characters]
    if unsaid:
        yield f"In the vocabulary but not in the transcripts: {' '.join(unsaid)}"
    if found.passed_over:
        yield f"Passed over, as their names tell no split: {', '.join(found.passed_over)}"
    if found.skipped:
        yield f"{len(found.skipped):,} utterances are left out:"
        yield from (f"  {line}" for line in found.skipped[:_MOST_NAMED])
        if len(found.skipped) > _MOST_NAMED:
            yield f"  ... and {len(found.skipped) - _MOST_NAMED:,} more (--json names all)"
    if found.findings:
        yield "What speaks against errors measured on this folder:"
        yield from (f"  {finding}" for finding in found.findings)


def say_counts(counts: dict[Any, int], unit: str = "") -> str:
    """`16000 Hz (240), 8000 Hz (3)`: the most frequent first."""
    common = Counter(counts).most_common()
    return ", ".join(f"{key}{unit} ({count:,})" for key, count in common) or "none"
