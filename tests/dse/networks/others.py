"""Networks of others in plain PyTorch, as their papers describe them; and an independent count.

None of them knows this project: what `dse.trace` says of them is held against what PyTorch's own
modules do when they run, and against the printed figures.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class TemporalBlock(nn.Module):
    """Two convolutions of nine frames and a shortcut, a 1x1 with a stride where frames halve."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 9, stride=2, padding=4, bias=False)
        self.first_norm = nn.BatchNorm1d(outputs)
        self.second = nn.Conv1d(outputs, outputs, 9, padding=4, bias=False)
        self.second_norm = nn.BatchNorm1d(outputs)
        self.shortcut = nn.Sequential(
            nn.Conv1d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()
        )

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = functional.relu(self.first_norm(self.first(inputs)))
        outputs = self.second_norm(self.second(outputs))
        return functional.relu(outputs + self.shortcut(inputs))


class TCResNet8(nn.Module):
    """S. Choi and others, Temporal Convolution for Real-time Keyword Spotting, Interspeech 2019."""

    def __init__(self, classes: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv1d(40, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(16)
        self.blocks = nn.Sequential(
            TemporalBlock(16, 24), TemporalBlock(24, 32), TemporalBlock(32, 48)
        )
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.dropout = nn.Dropout(0.5)
        self.scores = nn.Linear(48, classes)

    def forward(self, features: Tensor) -> Tensor:
        outputs = self.blocks(functional.relu(self.norm(self.conv(features))))
        return self.scores(self.dropout(self.pool(outputs).squeeze(-1)))


class M5(nn.Module):
    """W. Dai and others, Very Deep CNNs for Raw Waveforms, ICASSP 2017: from samples to classes."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        widths = [(1, 128, 80, 4), (128, 128, 3, 1), (128, 256, 3, 1), (256, 512, 3, 1)]
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride in widths:
            layers += [nn.Conv1d(inputs, outputs, kernel, stride), nn.BatchNorm1d(outputs)]
            layers += [nn.ReLU(), nn.MaxPool1d(4)]
        self.layers = nn.Sequential(*layers)
        self.scores = nn.Linear(512, classes)

    def forward(self, samples: Tensor) -> Tensor:
        outputs = self.layers(samples.unsqueeze(1))
        outputs = functional.avg_pool1d(outputs, outputs.shape[-1])
        return functional.log_softmax(self.scores(outputs.permute(0, 2, 1)).squeeze(1), dim=-1)


class SeparableBlock(nn.Module):
    """A causal block after Conv-TasNet (Y. Luo, N. Mesgarani, 2019): 1x1, depthwise, two 1x1.

    Norms are batch norms, whose statistics need no frame that is still to come. The last block has
    nobody to hand its sum to.
    """

    def __init__(self, channels: int, hidden: int, dilation: int, *, last: bool) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels, hidden, 1)
        self.enter_slope, self.enter_norm = nn.PReLU(), nn.BatchNorm1d(hidden)
        self.before = 2 * dilation
        self.depthwise = nn.Conv1d(hidden, hidden, 3, dilation=dilation, groups=hidden)
        self.slope, self.norm = nn.PReLU(hidden), nn.BatchNorm1d(hidden)
        self.residual = None if last else nn.Conv1d(hidden, channels, 1)
        self.skip = nn.Conv1d(hidden, channels, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.enter_norm(self.enter_slope(self.enter(inputs)))
        hidden = self.depthwise(functional.pad(hidden, (self.before, 0)))
        hidden = self.norm(self.slope(hidden))
        if self.residual is not None:
            inputs = inputs + self.residual(hidden)
        return inputs, self.skip(hidden)


class Separator(nn.Module):
    """Two blocks in a row, whose skips are summed to a mask for each channel and frame."""

    def __init__(self, channels: int = 16, hidden: int = 32) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SeparableBlock(channels, hidden, 2**at, last=at == 1) for at in range(2)
        )
        self.mask = nn.Conv1d(channels, channels, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        skips = torch.zeros(())
        for number, block in enumerate(self.blocks):
            inputs, skip = block(inputs)
            skips = skip if number == 0 else skips + skip
        return torch.sigmoid(self.mask(skips))


def count(network: nn.Module, example: Tensor) -> tuple[int, int]:
    """Trained parameters and MACs of a clip, by PyTorch's own modules: entries times outputs.

    A hook sees each convolution run; each of its outputs is a product with one row of its weights.
    """
    macs = 0

    def see(module: nn.Module, _: tuple[Tensor, ...], outputs: Tensor) -> None:
        nonlocal macs
        row = module.weight[0].numel()  # type: ignore[union-attr,operator,index]
        macs += outputs[0].numel() * row

    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    hooks = [
        each.register_forward_hook(see) for each in network.modules() if isinstance(each, kinds)
    ]
    with torch.no_grad():
        network.eval()(example)
    for hook in hooks:
        hook.remove()
    return sum(each.numel() for each in network.parameters()), macs


class DSCNN(nn.Module):
    """DS-CNN-S of Y. Zhang and others, Hello Edge, 2017, as MLPerf Tiny has it: 49 x 10 MFCC."""

    def __init__(self, classes: int = 12, channels: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, channels, (10, 4), stride=2, padding=(5, 1))]
        layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Dropout(0.2)]
        for _ in range(4):
            layers += [nn.Conv2d(channels, channels, 3, padding=1, groups=channels)]
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d((25, 5))
        self.scores = nn.Linear(channels, classes)

    def forward(self, features: Tensor) -> Tensor:
        return self.scores(self.pool(self.layers(features)).flatten(1))


class SubSpectralNorm(nn.Module):
    """A batch norm of each channel's five bands of bins."""

    def __init__(self, channels: int, bands: int = 5) -> None:
        super().__init__()
        self.bands = bands
        self.norm = nn.BatchNorm2d(channels * bands)

    def forward(self, inputs: Tensor) -> Tensor:
        clips, channels, bins, frames = inputs.shape
        banded = inputs.view(clips, channels * self.bands, bins // self.bands, frames)
        return self.norm(banded).view(clips, channels, bins, frames)


class BroadcastBlock(nn.Module):
    """Depthwise over bins; the mean over bins, depthwise over frames, is added to each bin."""

    def __init__(self, inputs: int, outputs: int, dilation: int, stride: int = 1) -> None:
        super().__init__()
        self.enter = (
            None
            if inputs == outputs and stride == 1
            else nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
            )
        )
        self.of_bins = nn.Sequential(
            nn.Conv2d(
                outputs,
                outputs,
                (3, 1),
                stride=(stride, 1),
                padding=(1, 0),
                groups=outputs,
                bias=False,
            ),
            SubSpectralNorm(outputs),
        )
        self.of_frames = nn.Sequential(
            nn.Conv2d(
                outputs,
                outputs,
                (1, 3),
                padding=(0, dilation),
                dilation=(1, dilation),
                groups=outputs,
                bias=False,
            ),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.Dropout2d(0.1),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        entered = inputs if self.enter is None else self.enter(inputs)
        bins = self.of_bins(entered)
        outputs = bins + self.of_frames(bins.mean(dim=2, keepdim=True))
        return functional.relu(outputs + inputs if self.enter is None else outputs)


class BCResNet1(nn.Module):
    """B. Kim and others, Broadcasted Residual Learning, Interspeech 2021: 40 mel bins, tau = 1."""

    def __init__(self, classes: int = 12) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=(2, 1), padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU()
        )
        stages = [(8, 2, 1), (12, 2, 2), (16, 4, 2), (20, 4, 1)]
        blocks: list[nn.Module] = []
        inputs = 16
        for number, (outputs, repeats, stride) in enumerate(stages):
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(BroadcastBlock(inputs, outputs, 2**number, step))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.leave = nn.Sequential(
            nn.Conv2d(20, 20, 5, padding=(0, 2), groups=20, bias=False),
            nn.Conv2d(20, 32, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(32, classes, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.leave(self.blocks(self.enter(features))).flatten(1)
