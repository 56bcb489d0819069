"""Folders of spoken words: list and split them, decode them, make or fetch one. Knows no torch."""

from dse.datasets.audio import UnreadableSound, read_clip, read_noise
from dse.datasets.speech_commands import (
    CLIP_S,
    NOISE_FOLDER,
    SPLITS,
    Clip,
    Corpus,
    Drawing,
    Example,
    Split,
    draw,
    scan,
    which_split,
)

__all__ = [
    "CLIP_S",
    "NOISE_FOLDER",
    "SPLITS",
    "Clip",
    "Corpus",
    "Drawing",
    "Example",
    "Split",
    "UnreadableSound",
    "draw",
    "read_clip",
    "read_noise",
    "scan",
    "which_split",
]
