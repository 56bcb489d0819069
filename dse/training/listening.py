"""Write down what recordings say, with the network of a checkpoint.

    network, checkpoint = load_network("trained/best.pt")
    text = listen(network, checkpoint, Path("sentence.wav"))

Sound goes the way of the training: brought to the sample rate of the features, made into frames,
normalised over the utterance. The network's own sounds, characters and design are in the
checkpoint, and nothing else is needed.
"""

from pathlib import Path

import torch

from dse.errors import InvalidInput, printable
from dse.networks.network import SpeechNetwork
from dse.speech.audio import UnreadableSound, duration_s, read_whole
from dse.speech.left_out import LONGEST_S
from dse.speech.sentence_computation import frames_of
from dse.speech.transcription import Transcription
from dse.training.checkpoint import Checkpoint
from dse.training.decoding import Beam, greedy


def listen(
    network: SpeechNetwork, checkpoint: Checkpoint, path: Path, beam: Beam | None = None
) -> str:
    """The text of one recording.

    Args:
        network: of the checkpoint, in evaluation mode, on the CPU.
        checkpoint: says characters and features.
        path: a WAV or FLAC file.
        beam: searches for the likeliest text; the likeliest path is taken without it.

    Raises:
        InvalidInput: the network tells words apart, or the file is not there or cannot be heard.
    """
    if not path.exists():
        raise InvalidInput(f"{path} does not exist: name WAV or FLAC files")
    characters = characters_of(checkpoint)
    spec = checkpoint.features
    # A transform reflects half of its window at either end, so a sound must be longer than that.
    shortest_s = (spec.fft_size // 2 + 2) / spec.sample_rate_hz
    try:
        length_s = duration_s(path)
        if not shortest_s <= length_s <= LONGEST_S:
            raise InvalidInput(
                f"{path} has {length_s:.2f} s: recordings of {shortest_s:.2f} to {LONGEST_S:g} s "
                "are heard, cut it at pauses"
            )
        sound = read_whole(path, spec.sample_rate_hz, LONGEST_S).samples
    except UnreadableSound as error:
        raise InvalidInput(
            f"{path} cannot be heard ({printable(str(error))}): name WAV or FLAC files"
        ) from None
    frames = torch.from_numpy(frames_of(sound, spec)).float().t()[None]
    with torch.inference_mode():
        scores = network(frames)
    if beam is not None:
        return beam.text(scores[0])
    return greedy(scores, torch.tensor([scores.shape[2]]), characters)[0]


def characters_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What a network writes down.

    Raises:
        InvalidInput: it tells words apart.
    """
    if not isinstance(checkpoint.task, Transcription):
        raise InvalidInput(
            "the network of this checkpoint tells words apart: name one that was trained with "
            "--task transcription"
        )
    return checkpoint.task.characters
