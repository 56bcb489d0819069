"""What a network is, for people who must build it: a sentence, and a row a block."""

from dse.design.mixer import Mixer
from dse.design.point import Block, DesignPoint
from dse.report.content import Cell, Column, Table

MOST_NAMED = 6
"""Blocks that a sentence lists."""


def network_words(point: DesignPoint) -> str:
    """`4 blocks (Conv1 32, B1 16, ... channels), ...; 3 of its 5 1x1 matrices are ternary ...`."""
    blocks = point.blocks
    if len(blocks) <= MOST_NAMED:
        listed = ", ".join(
            f"{block.name} {f'{block.repeats} x ' if block.repeats > 1 else ''}{block.out_channels}"
            for block in blocks
        )
        shape = f"{len(blocks)} block{'s' if len(blocks) > 1 else ''} ({listed} channels)"
    else:
        widths = [block.out_channels for block in blocks]
        shape = f"{len(blocks)} blocks of {min(widths)} to {max(widths)} channels"
    head = "a pooled head" if point.head == "pooled" else "a head at every frame"
    mixers = [mixer for block in blocks for mixer in _mixers(block)]
    ternary = [mixer for mixer in mixers if mixer.kind == "ternary"]
    others = [mixer for mixer in mixers if mixer.kind not in ("dense", "ternary")]
    if others:
        counted = ", ".join(
            f"{sum(mixer.kind == kind for mixer in mixers)} {kind}"
            for kind in dict.fromkeys(mixer.kind for mixer in mixers)
        )
        return f"{shape} and {head}; of its {len(mixers)} 1x1 matrices {counted}"
    if not ternary:
        return f"{shape} and {head}; all its matrices are trained"
    kinds = " or ".join(dict.fromkeys(_density(mixer) for mixer in ternary))
    count = "all" if len(ternary) == len(mixers) else f"{len(ternary)} of"
    return (
        f"{shape} and {head}; {count} its {len(mixers)} 1x1 matrices are constant and ternary, "
        f"{kinds} of their entries not zero"
    )


def _mixers(block: Block) -> list[Mixer]:
    """Of the matrices that mix channels; an identity is none."""
    # Each sub-block has a 1x1 of its own: one mixer in the design, `repeats` matrices.
    main = [block.mixer] * block.repeats
    if not block.mixes:
        main = []  # a convolution over frames
    return [mixer for mixer in [*main, block.skip] if mixer and mixer.kind != "identity"]


def _density(mixer: Mixer) -> str:
    return f"{100 * (mixer.density or 0.0):.3g} %"


def blocks_table(point: DesignPoint, number: int) -> Table:
    """A row a block, and how its channels are mixed: what is needed to write the network down.

    Args:
        point: the design.
        number: of the design in its report: the table is `blocks_2`.
    """
    columns = (
        Column(name="block", heading="block", form="text"),
        Column(name="repeats", heading="sub-blocks", form="count"),
        Column(name="in_channels", heading="channels in", form="count"),
        Column(name="out_channels", heading="out", form="count"),
        Column(name="kernel_size", heading="kernel", form="count"),
        *([Column(name="kernel_bins", heading="of bins", form="count")] if point.has_bins else []),
        Column(name="stride", heading="stride", form="count"),
        *([Column(name="bin_stride", heading="of bins", form="count")] if point.has_bins else []),
        Column(name="dilation", heading="dilation", form="count"),
        Column(name="kind", heading="convolution", form="text"),
        Column(name="mixer", heading="1x1 matrices", form="text"),
        Column(name="skip", heading="skip", form="text"),
    )
    rows: list[tuple[Cell, ...]] = []
    channels = point.in_channels
    for block in point.blocks:
        rows.append(
            (
                block.name,
                block.repeats,
                channels,
                block.out_channels,
                block.kernel_size,
                *([block.kernel_bins] if point.has_bins else []),
                block.stride,
                *([block.bin_stride] if point.has_bins else []),
                block.dilation,
                _kind(block),
                _mixer_words(block.mixer),
                _skip_words(block),
            )
        )
        channels = block.out_channels
    return Table(
        name=f"blocks_{number}",
        title="The network, block by block",
        columns=columns,
        rows=tuple(rows),
        note="A sub-block is a convolution, batch norm and ReLU; the first one has the stride. "
        + (
            "After the last block: average over time, then a trained linear layer."
            if point.head == "pooled"
            else "After the last block: a trained 1x1 with bias at every frame."
        ),
    )


def _kind(block: Block) -> str:
    if block.separable:
        alone = max(block.kernel_size, block.kernel_bins, block.stride, block.bin_stride) == 1
        kind = "1x1" if alone else "depthwise, then 1x1"
    else:
        kind = "1x1" if block.mixes else "over all channels"
    return kind if block.groups == 1 else f"{kind}, {block.groups} groups"


def _skip_words(block: Block) -> str | None:
    if block.skip is None:
        return None
    further = f", and trained from {', '.join(block.skips_from)}" if block.skips_from else ""
    return f"{_mixer_words(block.skip)}{further}"


def _mixer_words(mixer: Mixer) -> str:
    if mixer.kind == "ternary":
        assert mixer.generator is not None  # Mixer checked it
        return f"ternary, {_density(mixer)}, {mixer.generator.label}"
    if mixer.kind == "dense":
        return "trained"
    sizes = {key: size for key, size in mixer.parameters.items() if key != "generator"}
    words = [f"{key} {size:.6g}" for key, size in sizes.items()]
    words += [mixer.generator.label] if mixer.generator is not None else []
    return ", ".join([mixer.kind, *words])
