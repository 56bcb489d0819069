"""`dse transcribe`: what a trained network hears in recordings, written down."""

from pathlib import Path

import click

from dse.errors import InvalidInput
from dse.training.checkpoint import load_network
from dse.training.decoding import Beam
from dse.training.listening import characters_of, listen
from dse_cli.options import Number
from dse_cli.terminal import say

MOST_BEAM = 10_000
"""Beginnings: beyond it a second of sound takes minutes."""


@click.command(short_help="Write down what a trained network hears.")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--beam",
    type=click.IntRange(1, MOST_BEAM),
    help="Search for the likeliest text, keeping so many beginnings; without it the likeliest "
    "output of each frame is taken.",
)
@click.option(
    "--lm",
    type=click.Path(path_type=Path),
    help="With --beam: n-gram model of characters, | for the space (ARPA, or KenLM's binary form).",
)
@click.option(
    "--lm-weight",
    default=1.0,
    show_default=True,
    type=Number(0, 1000),
    help="Of the model's log10 against the network's natural logarithm.",
)
def command(
    checkpoint: Path, files: tuple[Path, ...], beam: int | None, lm: Path | None, lm_weight: float
) -> None:
    """Write down what the network of CHECKPOINT, a best.pt, hears in FILES.

    A line a file, its name and what it says, with a tab between them.

    \b
      dse transcribe trained/my_design/seed-1/best.pt sentence.wav
      dse transcribe best.pt *.flac --beam 50 --lm characters.arpa
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if lm is not None and beam is None:
        raise InvalidInput("--lm needs --beam: the greedy text asks no model, add --beam 50")
    network, found = load_network(checkpoint)
    characters = characters_of(found)
    search = None if beam is None else Beam(characters, beam, lm, lm_weight)
    for path in files:
        say(f"{path}\t{listen(network, found, path, search)}")
