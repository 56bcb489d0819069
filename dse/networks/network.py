"""View 2 of a design point: the torch network that is trained.

Plain `nn.Conv1d` on (N, C, T), in the order of operations of the published networks. It owns the
parameters and is the oracle of `dse.training.fast`, which computes the same in a faster layout.
Where frames have bins, the network is that of `dse.networks.network_2d`.

A block with R sub-blocks F_1 .. F_R, each depthwise -> 1x1 -> batch norm (or convolution -> batch
norm), and a skip S:

    x_0 = x      x_r = dropout(relu(F_r(x_(r-1))))           r < R
                 y = dropout(relu(F_R(x_(R-1)) + S(x)))

There is neither norm nor ReLU between depthwise and 1x1, and the skip is added before the last
ReLU. Convolutions have no bias, as the batch norm behind them has one.

Source: Kriman et al., QuartzNet, arXiv 1910.10261; MatchboxNet, arXiv 2004.08531.
"""

from collections.abc import Mapping

import torch
from torch import nn

from dse.design.places import further_skip_place, main_place, skip_place
from dse.design.point import Block, DesignPoint
from dse.errors import InvalidDesign
from dse.networks.mixed_convolution import Factors
from dse.networks.mixers import MIXERS
from dse.networks.padding import norm_of_real, real_frames
from dse.processor import prepare

# NeMo's values, with which the published accuracies were reached (nemo: jasper.py, `init_weights`
# and `normalization`): eps 1e-3, momentum 0.1, Xavier-uniform convolutions.
BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.1


class SpeechNetwork(nn.Module):
    """The network of a design point: (N, features, frames) -> class scores.

    Module names are layer names of the workload but for their prefixes: `blocks.B1.body.0` holds
    `B1.0.dw` and `B1.0.pw`, `blocks.B1.skip` is `B1.skip`. Scores are logits, without softmax.
    Scores have shape (N, outputs) for a pooled head, (N, outputs, frames) for a framewise one.
    """

    def __init__(self, point: DesignPoint, outputs: int) -> None:
        """Build all blocks and the head; weights are drawn from torch's global generator."""
        super().__init__()
        self.blocks = nn.ModuleDict()
        self.build_blocks(point)
        channels = point.blocks[-1].out_channels
        self._heard = {name for block in point.blocks for name in block.skips_from}
        self.head = (
            PooledHead(channels, outputs)
            if point.head == "pooled"
            else nn.Conv1d(channels, outputs, kernel_size=1)
        )
        self.apply(_initialise)

    def build_blocks(self, point: DesignPoint) -> None:
        """Fill `blocks`, in their order; a network of two dimensions has others."""
        channels = point.in_channels
        reads: dict[str, int] = {}
        for block in point.blocks:
            reads[block.name] = channels
            self.blocks[block.name] = ResidualBlock(block, channels, point.ternary_seed, reads)
            channels = block.out_channels

    def forward(self, features: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """(N, features, frames) -> (N, outputs) or (N, outputs, frames).

        Args:
            features: of N clips.
            lengths: (N,), frames of each that are real; what stands behind them then changes no
                real frame (`dse.networks.padding`), and scores there mean nothing. None where all
                are real, and for a pooled head, which counts padding like all else.
        """
        real = None
        if lengths is not None:
            if isinstance(self.head, PooledHead):
                raise ValueError("a pooled head counts frames of padding: give it no lengths")
            real = real_frames(lengths.to(features.device), features.shape[2])
            features = features * real[:, None]
        kept: dict[str, torch.Tensor] = {}
        for name, block in self.blocks.items():
            assert isinstance(block, ResidualBlock)
            if name in self._heard:
                kept[name] = features
            features = block(features, real, *(kept[each] for each in block.further))
            real = None if real is None else real[:, :: block.stride]
        scores: torch.Tensor = self.head(features)
        return scores


class ResidualBlock(nn.Module):
    """Sub-blocks in a row, and the skip around them.

    `body[r]` is a Sequential whose last layer is the batch norm; `skip` is None, or a Sequential of
    the mixing layer and, with `skip_norm`, a batch norm; `further` has such a Sequential for each
    block of `skips_from`. `dse.training.fast` and `dse.training.integer` walk these modules: they
    rely on that order, and refuse `further` (`check_own_skips`).
    """

    def __init__(self, block: Block, in_channels: int, seed: int, reads: Mapping[str, int]) -> None:
        """Build the sub-blocks of `block` for inputs of `in_channels`.

        Args:
            block: of a network.
            in_channels: that it reads.
            seed: of the network.
            reads: channels that blocks up to it read, by their names.
        """
        super().__init__()
        self.stride = block.stride
        self.body = nn.ModuleList()
        channels = in_channels
        for repeat in range(block.repeats):
            self.body.append(_sub_block(block, repeat, channels, seed))
            channels = block.out_channels
        self.skip = (
            None
            if block.skip is None
            else nn.Sequential(
                MIXERS[block.skip.kind].build(skip_place(block, block.skip, in_channels, seed)),
                *([_batch_norm(block.out_channels)] if block.skip_norm else []),
            )
        )
        self.further = nn.ModuleDict()
        for name in block.skips_from:
            place = further_skip_place(block, name, reads[name], seed)
            norms = [_batch_norm(block.out_channels)] if block.skip_norm else []
            self.further[name] = nn.Sequential(MIXERS[place.mixer.kind].build(place), *norms)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(block.dropout)

    def forward(
        self, inputs: torch.Tensor, real: torch.Tensor | None = None, *further: torch.Tensor
    ) -> torch.Tensor:
        """(N, in_channels, T) -> (N, out_channels, ceil(T / stride)).

        Args:
            inputs: zero where they are not real.
            real: (N, T), bool, which frames are; None where all are. Outputs that are not real are
                zero, too.
            further: inputs of the blocks of `further`, in their order.
        """
        outputs = inputs
        last = len(self.body) - 1
        real = None if real is None else real[:, :: self.stride]
        for index, sub_block in enumerate(self.body):
            assert isinstance(sub_block, nn.Sequential)
            outputs = _in_a_row(sub_block, outputs, real)
            if index == last and self.skip is not None:
                outputs = outputs + _in_a_row(self.skip, inputs, real)
                for skip, source in zip(self.further.values(), further, strict=True):
                    assert isinstance(skip, nn.Sequential)
                    outputs = outputs + _in_a_row(skip, source, real)
            outputs = self.dropout(self.relu(outputs))
            if real is not None:
                outputs = outputs * real[:, None]
        return outputs


def _in_a_row(
    layers: nn.Sequential, values: torch.Tensor, real: torch.Tensor | None
) -> torch.Tensor:
    """What `layers(values)` gives, batch norms of real frames only."""
    if real is None:
        found: torch.Tensor = layers(values)
        return found
    for layer in layers:
        is_norm = isinstance(layer, nn.BatchNorm1d)
        values = norm_of_real(layer, values, real) if is_norm else layer(values)
    return values


class PooledHead(nn.Module):
    """Average over time, then a linear layer with bias: one vector of scores for the whole clip.

    The average takes clips of any length; frames of padding count in it like all others.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        """Build the linear layer."""
        super().__init__()
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.linear = nn.Linear(channels, outputs)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, channels, T) -> (N, outputs)."""
        scores: torch.Tensor = self.linear(self.pool(inputs)[:, :, 0])
        return scores


def _sub_block(block: Block, repeat: int, channels: int, seed: int) -> nn.Sequential:
    """(N, channels, T) -> (N, block.out_channels, ceil(T / stride)), without skip and ReLU."""
    stride = block.stride if repeat == 0 else 1
    padding = block.dilation * (block.kernel_size - 1) // 2
    layers: list[nn.Module] = []
    if block.separable:
        layers.append(
            nn.Conv1d(
                channels,
                channels,
                block.kernel_size,
                stride=stride,
                padding=padding,
                dilation=block.dilation,
                groups=channels,
                bias=False,
            )
        )
    if block.separable or block.kernel_size == 1:
        place = main_place(block, repeat, channels, seed)
        layers.append(MIXERS[block.mixer.kind].build(place))
    else:
        layers.append(
            nn.Conv1d(
                channels,
                block.out_channels,
                block.kernel_size,
                stride=stride,
                padding=padding,
                dilation=block.dilation,
                groups=block.groups,
                bias=False,
            )
        )
    layers.append(_batch_norm(block.out_channels))
    return nn.Sequential(*layers)


def _batch_norm(channels: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(channels, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)


def _initialise(module: nn.Module) -> None:
    """Xavier-uniform weights, biases of zero; mixing layers of other classes draw their own."""
    if isinstance(module, Factors):  # behind its convolutions: the modules within come first
        module.reset()
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def check_own_skips(block: ResidualBlock) -> None:
    """Raise `InvalidDesign` unless a block has no skip but that of its own input."""
    for name in block.further:
        raise InvalidDesign(
            f"skips from the input of {name} (dense residuals) are priced, and neither trained nor "
            "exported here: use a network without skips_from"
        )


def build_network(point: DesignPoint, outputs: int) -> SpeechNetwork:
    """The network of a design, freshly initialised.

    Weights are drawn from torch's global generator: seed it before, or wrap the call in
    `torch.random.fork_rng` where the caller's random numbers must not move.

    Args:
        point: the design.
        outputs: classes, or characters and blank of a framewise head.

    Returns:
        A network on the CPU, in training mode; of `dse.networks.network_2d` where frames have bins.

    Raises:
        InvalidDesign: outputs are less than 1.
    """
    if outputs < 1:
        raise InvalidDesign(f"outputs must be at least 1, not {outputs}")
    prepare()
    if point.has_bins:
        from dse.networks.network_2d import PixelNetwork  # it is made of this file

        return PixelNetwork(point, outputs)
    return SpeechNetwork(point, outputs)
