"""What reaches a ternary layer: a trained network's activations on speech, as int8.

For the vectors of an exported engine. Random numbers would test its sums as well; these are what
the circuit will see in use, in sizes and in what follows what, as estimates of power from the
switching of wires need it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dse.errors import InvalidDesign, InvalidInput
from dse.networks.network import SpeechNetwork
from dse.networks.ternary_convolution import TernaryConv1d
from dse.speech.features import load_features
from dse.speech.mfcc import normalise
from dse.speech.sentence_features import load_sentences
from dse.speech.transcription import Transcription
from dse.ternary.quantised import quantise
from dse.training.checkpoint import load_network
from dse.training.source import pieces_of

CLIPS = 16
"""Of the testing split; their frames are drawn from."""


def layer_inputs(
    network: SpeechNetwork, layer: str, pictures: torch.Tensor
) -> npt.NDArray[np.float32]:
    """Inputs of a ternary layer, caught on the way while the network computes its scores.

    Args:
        network: in evaluation mode.
        layer: its name, such as `B1.0.pw`.
        pictures: normalised, (N, features, frames).

    Returns:
        (N, in_channels, frames at that layer), with bins behind frames where it has any.

    Raises:
        InvalidDesign: the network has no such ternary layer.
    """
    modules = {
        module.layer: module for module in network.modules() if isinstance(module, TernaryConv1d)
    }
    if layer not in modules:
        raise InvalidDesign(f"layer {layer} is not a ternary one: these are {', '.join(modules)}")
    seen: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0].detach())

    handle = modules[layer].register_forward_pre_hook(keep)
    try:
        with torch.inference_mode():
            network(pictures)
    finally:
        handle.remove()
    found: npt.NDArray[np.float32] = seen[0].numpy()
    return found


def speech_activations(
    checkpoint: Path, data: Path, layer: str, count: int
) -> npt.NDArray[np.int8]:
    """Frames of a layer's input on the testing clips of a folder, quantised to int8.

    Args:
        checkpoint: of a trained network.
        data: folder of speech that has the network's classes.
        layer: name of the ternary layer.
        count: frames wanted; drawn evenly from the first clips.

    Returns:
        (in_channels, count), whole numbers from -127 to 127; 127 is the largest magnitude in the
        frames of all the clips drawn from.

    Raises:
        InvalidInput: the clips have fewer frames.
    """
    network, found = load_network(checkpoint)
    if isinstance(found.task, Transcription):
        pictures = pieces_of(load_sentences(data, found.task, found.features).testing, CLIPS)
    else:
        testing = load_features(data, found.task, found.features).testing
        clips = torch.from_numpy(np.array(testing.features[:CLIPS, 0]))
        pictures = normalise(clips, found.mean, found.deviation)
    inputs = layer_inputs(network, layer, pictures)
    # Clips one after the other: a matrix of (channels, clips * frames). Its range gives the scale,
    # not that of the chosen frames: they are a sample, and the scale does not depend on `count`.
    frames = np.moveaxis(inputs, 1, 0).reshape(inputs.shape[1], -1)
    if count > frames.shape[1]:
        raise InvalidInput(
            f"{count} test vectors are more than the {frames.shape[1]} frames of the first "
            f"{min(CLIPS, len(pictures))} clips: use fewer"
        )
    chosen = np.linspace(0, frames.shape[1] - 1, count).round().astype(int)
    quantised, _ = quantise(frames)
    return quantised[:, chosen]
