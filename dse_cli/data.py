"""`dse data`: look at a folder of spoken words or sentences, make one, fetch one."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from dse.errors import InvalidInput
from dse.speech.download import ARCHIVES, fetch
from dse.speech.inspection import Inspection, inspect
from dse.speech.sentence_folders import holds_sentences
from dse.speech.sentence_synthesis import SentenceSynthesis, synthesize_sentences
from dse.speech.speech_commands import SPLITS
from dse.speech.synthesis import Synthesis, synthesize
from dse_cli.sentence_data import look_at_sentences, print_sentences, say_counts
from dse_cli.terminal import Screen, say

_DEFAULTS = Synthesis()
_SENTENCES = SentenceSynthesis()
FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Inspect, synthesize or fetch spoken words and sentences."""


@command.command("inspect")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--characters",
    type=FOLDER,
    help="Of sentences: the vocabulary, one character a line.  [default: English]",
)
@click.option(
    "--write-characters",
    type=FOLDER,
    help="Of sentences: write a vocabulary of the training transcripts into this file.",
)
def inspect_command(
    folder: Path, as_json: bool, characters: Path | None, write_characters: Path | None
) -> None:
    """Decode every recording of DIR and say what it holds: splits, speakers, damage.

    DIR has words in the layout of Speech Commands, or sentences in that of LibriSpeech or with
    manifests as NeMo writes them; what lies in it tells which.
    """
    if holds_sentences(folder):
        with _progress("recordings") as report:
            task, sentences = look_at_sentences(folder, characters, write_characters, report)
        if as_json:
            say(json.dumps(sentences.to_dict(), indent=1))
        else:
            print_sentences(sentences, task)
        return
    for name, given in (("characters", characters), ("write-characters", write_characters)):
        if given is not None:
            raise InvalidInput(f"--{name} is for sentences, and {folder} holds none: leave it out")
    with _progress("clips") as report:
        found = inspect(folder, report)
    if as_json:
        say(json.dumps(found.to_dict(), indent=1))
    else:
        _print(found)


@command.command("synthesize")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--sentences", is_flag=True, help="Sentences with transcripts, not words.")
@click.option(
    "--words", help="Words, separated by commas.  [default: the ten commands and ten more]"
)
@click.option(
    "--speakers",
    type=int,
    help=f"Made-up people.  [default: {_DEFAULTS.speakers}; of sentences {_SENTENCES.speakers}]",
)
@click.option(
    "--clips-per-word",
    type=click.IntRange(max=100_000),
    help=f"Clips of each word, at least one a speaker.  [default: {_DEFAULTS.clips_per_word}]",
)
@click.option(
    "--sentences-each",
    type=click.IntRange(1, 1_000),
    help=f"Sentences of each speaker.  [default: {_SENTENCES.sentences_each}]",
)
@click.option("--seed", default=_DEFAULTS.seed, show_default=True, help="Other numbers, others.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), help="Processes.  [default: one a core, at most 8]"
)
def synthesize_command(
    folder: Path,
    sentences: bool,
    words: str | None,
    clips_per_word: int | None,
    sentences_each: int | None,
    jobs: int | None,
    **common: Any,
) -> None:
    """Make a corpus of synthetic words, or of sentences, in DIR, offline, with eSpeak NG.

    The same options give the same sounds. An interrupted command goes on when it is run again.
    """
    of_words = {"words": words, "clips_per_word": clips_per_word}
    of_sentences = {"sentences_each": sentences_each}
    for name, given in (of_words if sentences else of_sentences).items():
        if given is not None:
            wrong, right = ("sentences", "words") if sentences else ("words", "sentences")
            option = f"--{name.replace('_', '-')}"
            raise InvalidInput(f"{option} is for {right}, and these are {wrong}: leave it out")
    jobs = jobs or min(8, os.cpu_count() or 1)
    chosen = common | (of_sentences if sentences else of_words)
    chosen = {name: value for name, value in chosen.items() if value is not None}
    with _progress("clips") as report:
        if sentences:
            said = _make_sentences(folder, SentenceSynthesis(**chosen), jobs, report)
        else:
            said = _make_words(folder, chosen, jobs, report)
    say(f"{said} in {folder}")


def _make_words(
    folder: Path, chosen: dict[str, Any], jobs: int, report: Callable[[str, int, int], None]
) -> str:
    if "words" in chosen:
        listed = chosen["words"].split(",")
        chosen["words"] = tuple(word.strip() for word in listed if word.strip())
    settings = Synthesis(**chosen)
    synthesize(folder, settings, jobs, report)
    return (
        f"{settings.clips:,} clips of {len(settings.words)} words by {settings.speakers} made-up "
        "speakers"
    )


def _make_sentences(
    folder: Path,
    settings: SentenceSynthesis,
    jobs: int,
    report: Callable[[str, int, int], None],
) -> str:
    synthesize_sentences(folder, settings, jobs, report)
    return f"{settings.clips:,} sentences by {settings.speakers} made-up speakers"


@command.command(
    "fetch",
    epilog="Speech Commands: CC BY 4.0, Pete Warden, Google. LibriSpeech: CC BY 4.0, Vassil "
    "Panayotov and others.",
)
@click.argument("name", metavar="NAME", type=click.Choice(list(ARCHIVES)))
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--url", help="A mirror of the same archive; its checksum must be the published one.")
def fetch_command(name: str, folder: Path, url: str | None) -> None:
    """Download the published archive NAME, check it, and unpack it into DIR.

    Words: speech-commands-v0.01 (30 words, 1.5 GB), speech-commands-v0.02 (35 words, 2.4 GB).
    Sentences: librispeech/dev-clean, dev-other, test-clean, test-other (5 h, 0.3 GB each),
    librispeech/train-clean-100 (6.4 GB), train-clean-360 (23 GB), train-other-500 (31 GB); all of
    them may go into one DIR. An interrupted download goes on when the command is run again.
    """
    with _progress("bytes") as report:
        fetch(ARCHIVES[name], folder, url, report)
    say(f"{name} is in {folder}")


@contextmanager
def _progress(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each stage; nothing where stderr is no terminal.

    Yields:
        What takes a stage's name, how much of it is done, and how much there is in all, with 0 for
        a length that nobody knows: an answer without one, of a server say.
    """
    columns: tuple[ProgressColumn, ...] = (
        (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(),)
    )
    console = Screen(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, Any] = {}
    with progress:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total or None)
            progress.update(tasks[stage], completed=done, total=total or None)

        yield report


def _print(found: Inspection) -> None:
    console = Screen(soft_wrap=True)
    table = Table("word", *SPLITS, "speakers", title=str(found.folder), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found.words:
        table.add_row(row.word, *(f"{row.clips[split]:,}" for split in SPLITS), str(row.speakers))
    table.add_section()
    totals = (f"{sum(row.clips[split] for row in found.words):,}" for split in SPLITS)
    table.add_row("all", *totals, str(sum(found.speakers.values()) - found.shared_speakers))
    console.print(table)
    for line in _lines(found):
        console.print(line, highlight=False, markup=False)


def _lines(found: Inspection) -> Iterator[str]:
    by = "validation_list.txt and testing_list.txt" if found.split_by == "lists" else "file names"
    yield f"Splits by {by}; speakers: " + ", ".join(
        f"{found.speakers[split]} {split}" for split in SPLITS
    )
    yield (
        f"Rates: {say_counts(found.sample_rates, ' Hz')}; formats: {say_counts(found.formats)}; "
        + (f"channels: {say_counts(found.channels)}")
    )
    if found.durations_s:
        shortest, median, longest = found.durations_s
        yield (
            f"Durations: {shortest:.2f} to {longest:.2f} s, median {median:.2f} s; all together "
            f"{found.total_s / 60:.1f} min"
        )
    yield f"Background noises: {len(found.noises)}, {sum(found.noises.values()):.0f} s"
    if found.doubles:
        yield f"{found.doubles} FLAC files beside a WAV file of the same name are passed over"
    if found.unreadable:
        yield f"{len(found.unreadable)} files cannot be read:"
        for name, reason in list(found.unreadable.items())[:20]:
            yield f"  {name}: {reason}"
        if len(found.unreadable) > 20:
            yield f"  ... and {len(found.unreadable) - 20} more (--json names all)"
    if found.findings:
        yield "What speaks against errors measured on this folder:"
        yield from (f"  {finding}" for finding in found.findings)
