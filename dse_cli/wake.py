"""`dse wake`: how often a trained network wakes wrongly, and how often it misses a word."""

from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dse.errors import InvalidInput
from dse.files import write_text
from dse.sheets import csv_records
from dse.training.wake_words import (
    DetectionTradeOff,
    Timing,
    detection_trade_off,
    false_rejections_at,
)
from dse_cli.options import SEED_RANGE, Number, split_names
from dse_cli.terminal import Screen

SHOWN_RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 60.0)
"""False alarms an hour, of the table."""


@click.command(short_help="False alarms an hour against missed words, on a long recording.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of spoken words, whose testing clips and noises the recording is made of.",
)
@click.option("--words", help="Words that wake, separated by commas.  [default: the first class]")
@click.option(
    "--minutes", default=10.0, show_default=True, type=Number(0.1, 600), help="Of the recording."
)
@click.option(
    "--hop",
    "hop_frames",
    default=10,
    show_default=True,
    type=click.IntRange(1, 50),
    help="Frames from one window to the next.",
)
@click.option(
    "--smoothed-s", default=0.3, show_default=True, type=Number(0, 60), help="Mean of scores over."
)
@click.option(
    "--refractory-s", default=2.0, show_default=True, type=Number(0, 60), help="None wakes within."
)
@click.option(
    "--alarms-per-hour",
    default=1.0,
    show_default=True,
    type=Number(0, 1e5),
    help="That the answer is given for.",
)
@click.option("--seed", default=1, show_default=True, type=SEED_RANGE, help="Of the recording.")
@click.option("--csv", "csv", type=click.Path(path_type=Path), help="Write the whole curve.")
def command(
    checkpoint: Path,
    data: Path,
    words: str | None,
    minutes: float,
    hop_frames: int,
    smoothed_s: float,
    refractory_s: float,
    alarms_per_hour: float,
    seed: int,
    csv: Path | None,
) -> None:
    """Let the network of CHECKPOINT, a best.pt, listen to a long recording for words that wake it.

    The recording is made of the testing clips of a folder: words that wake among others, pauses
    between them, noise under all of it. Scores of overlapping windows are smoothed; where they
    reach a threshold the network wakes, and not again for a while. Each threshold gives false
    alarms an hour and a share of words that are missed.

    \b
      dse wake trained/my_design/seed-1/best.pt --data speech --words yes
      dse wake studies/demo/designs/KEY/best.pt --data speech --words yes,no --minutes 30
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    from dse.speech.long_recordings import record_long
    from dse.speech.speech_commands import scan
    from dse.training.checkpoint import load_network
    from dse.training.spotting import hear_stream, window_seconds

    network, found = load_network(checkpoint)
    wake = split_names(words) or [found.classes[0]]
    for word in wake:
        if word not in found.classes:
            raise InvalidInput(
                f"the network knows no word {word!r}: its classes are {', '.join(found.classes)}"
            )
    spec = found.features
    recording = record_long(
        scan(data), wake, minutes=minutes, rate_hz=spec.sample_rate_hz, seed=seed
    )
    posteriors = hear_stream(network, found, recording.samples, hop_frames)
    scores = posteriors[:, [found.classes.index(word) for word in wake]].sum(axis=1)
    hop_s = hop_frames * spec.hop_ms / 1000
    timing = Timing(hop_s, window_seconds(spec), smoothed_s, refractory_s)
    spoken = timing.place((begin, end) for begin, end, word in recording.placed if word in wake)
    curve = detection_trade_off(
        [(scores, spoken)],
        hops_per_second=1 / hop_s,
        smoothing_hops=timing.smoothing_hops,
        pause_hops=timing.pause_hops,
        late_hops=timing.late_hops,
    )
    console = Screen(highlight=False, soft_wrap=True)
    console.print(
        f"{recording.seconds / 60:.1f} minutes: {len(spoken)} x {', '.join(wake)} among "
        f"{len(recording.placed) - len(spoken)} other words, a window every {1000 * hop_s:g} ms",
        markup=False,
    )
    for line in recording.skipped:
        console.print(f"left out: {line}", markup=False)
    console.print(_table(curve, sorted({*SHOWN_RATES, alarms_per_hour})))
    console.print(
        f"at most {alarms_per_hour:g} false alarms an hour: "
        f"{false_rejections_at(curve, alarms_per_hour):.1%} of {len(spoken)} words are missed"
    )
    least = 3600 / recording.seconds
    if alarms_per_hour < least:
        console.print(
            f"one false alarm in this recording is {least:.3g} an hour: fewer than that means none "
            "here, so --minutes of more tell more"
        )
    if csv is not None:
        rows = [dict(zip(curve._fields, point, strict=True)) for point in _points(curve)]
        write_text(csv, csv_records(rows))
        console.print(f"curve: {csv}", markup=False)


def _points(curve: DetectionTradeOff) -> list[list[float]]:
    """A point a line: threshold, share of words missed, false alarms an hour."""
    return [[float(value) for value in point] for point in zip(*curve, strict=True)]


def _table(curve: DetectionTradeOff, rates: list[float]) -> Table:
    """The fewest misses within each rate of false alarms; a rate that gains nothing has no line."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("at most, an hour", "false alarms, an hour", "missed", "threshold"):
        table.add_column(name, justify="right")
    shown: list[float] = []
    for rate in rates:
        kept = [point for point in _points(curve) if point[2] <= rate]
        best = min(kept, key=lambda point: point[1:], default=None)
        if best is not None and best != shown:
            threshold, missed, alarms = shown = best
            table.add_row(f"{rate:g}", f"{alarms:.3g}", f"{missed:.1%}", f"{threshold:.3f}")
    return table
