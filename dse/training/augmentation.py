"""Holes cut into pictures during training: SpecAugment and SpecCutout, a batch at a time.

Masked values become 0, which is the mean of each coefficient once the pictures are normalised.

A hole h of a clip is the product of two 1-D masks, rows[h, q] and columns[h, t], 1 inside and 0
outside. With H holes

    cover[q, t] = sum_h rows[h, q] columns[h, t]        a matrix product, (Q, H) @ (H, T)
    out[q, t]   = max(0, 1 - cover[q, t]) x[q, t]       holes may overlap

A time mask has all rows, a frequency mask all columns, a rectangle of SpecCutout neither.

`dse.training.recipe.Augmentation` says how many and how large.

Source: Park et al., SpecAugment, arXiv 1904.08779; DeVries & Taylor, Cutout, arXiv 1708.04552;
counts and widths of MatchboxNet, arXiv 2004.08531, section 3, and NeMo `SpectrogramAugmentation`.
"""

import torch
from torch import Tensor

from dse.training.recipe import Augmentation


def augment(
    batch: Tensor,
    settings: Augmentation,
    generator: torch.Generator,
    lengths: Tensor | None = None,
) -> Tensor:
    """A copy of `batch` with holes; each clip gets its own.

    Each width is drawn from 0 to its limit, each position so that the hole lies within the picture.
    Without `lengths`, columns of padding count as picture: a hole there changes nothing, as they
    are 0 already. With them, all holes lie within the real columns of each clip, so that an
    utterance loses as much beside a long one as beside its like.
    Holes are built from 1-D masks and one small matrix product, which is cheaper than masks of the
    size of the batch for each of them.

    Args:
        batch: (clips, coefficients, frames), normalised.
        settings: how many and how large.
        generator: on the device of `batch`; the same state gives the same holes.
        lengths: (clips,), real columns of each, on the device of `batch`; all where it is None.

    Returns:
        (clips, coefficients, frames), never `batch` itself.
    """
    clips, rows, columns = batch.shape
    # A time mask is a rectangle of all rows, a frequency mask one of all columns.
    widest = torch.tensor(
        [settings.time_width] * settings.time_masks
        + [columns] * settings.frequency_masks
        + [settings.rectangle_time] * settings.rectangles,
        device=batch.device,
    )
    highest = torch.tensor(
        [rows] * settings.time_masks
        + [settings.frequency_width] * settings.frequency_masks
        + [settings.rectangle_frequency] * settings.rectangles,
        device=batch.device,
    )
    if len(widest) == 0:
        return batch.clone()
    random = torch.rand(clips, len(widest), 4, generator=generator, device=batch.device)
    wide = _stretches(random[..., :2], widest, columns, lengths)
    high = _stretches(random[..., 2:], highest, rows)
    wide[:, settings.time_masks : settings.time_masks + settings.frequency_masks] = True
    high[:, : settings.time_masks] = True
    # How many holes cover each point: the sum over holes of high x wide. Then 1 where none does,
    # else 0, as a product is several times faster than a masked copy.
    cover = torch.bmm(high.transpose(1, 2).to(batch.dtype), wide.to(batch.dtype))
    return cover.neg_().add_(1).clamp_(min=0).mul_(batch)


def _stretches(random: Tensor, limits: Tensor, size: int, lengths: Tensor | None = None) -> Tensor:
    """Which of `size` places each stretch covers: (clips, stretches, size), bool.

    Args:
        random: (clips, stretches, 2), uniform in [0, 1): width and start.
        limits: (stretches,), widths are drawn from 0 to this, both included.
        size: places there are; a wider limit is cut to it.
        lengths: (clips,), how many of the places of each clip may be covered; all without it.
    """
    most: Tensor | int = size if lengths is None else lengths[:, None]
    # floor(u (n + 1)) is uniform over 0..n, both for widths and for starts that leave room.
    width = (random[..., 0] * (limits.clamp(max=most) + 1)).floor()[..., None]
    room = size if lengths is None else lengths[:, None, None]
    start = (random[..., 1:] * (room - width + 1)).floor()
    place = torch.arange(size, device=random.device)
    return (place >= start) & (place < start + width)
