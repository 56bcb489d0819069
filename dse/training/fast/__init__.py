"""The training path of networks in the layout in which processors are fast: (C, T, N).

Channels come first, so that a 1x1 convolution is one large matrix product, a depthwise convolution
one small banded product per channel, and batch norm and ReLU run over whole rows. `fast_scores`
computes what `SpeechNetwork.forward` does, on the same parameters and buffers; the network itself,
its state and its checkpoints know nothing of it.
"""

from dse.training.fast.forward import fast_scores

__all__ = ["fast_scores"]
