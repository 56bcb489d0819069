"""Input pixels that tiles of outputs see: the halo of a convolution, in one dimension and in two.

A tile of `pixels` outputs sees, through `taps` taps, some inputs of a channel several times; a
memory that holds the tile holds each once. In one dimension that is a closed form (`_window`). In
two, pixels and taps come frame by frame, all bins of a frame before the next one's, so a tile of a
number of pixels that is no multiple of the bins ends within a frame, and is no rectangle:

    outputs, 5 bins a frame     tile 1 of 7      and what it sees with 3 x 3 taps, stride 1, each
                                                 frame of the input by itself:
    frame 0    0 1 2 3 4        # # # # #
    frame 1    5 6 7 8 9        # # . . .        5 + 2 bins of frames 0, 1 and 2; 2 + 2 of frame 3:
    frame 2    . . .            . . . . .        25 inputs

Such tiles are few (they repeat after all bins of a frame), so they are counted one by one, as sets
of bins for each input frame, and exactly. A set is a whole number, a bit for each bin.

Padding is cut off at the size of the input: a tile sees at most as many bins, of at most as many
frames, as there are. Tiles at the edge count like others, the padding that they see included.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cost_models.mapping import Candidates, Plane, T

Cuts = npt.NDArray[np.float64]
"""One figure per position and candidate, shape (DEPTH + 1, candidates)."""


def count_windows(found: Candidates, pixels: Cuts, taps: Cuts) -> tuple[Cuts, Cuts]:
    """Inputs of a channel that tiles see.

    Args:
        found: candidates.
        pixels: outputs of a tile, at each cut.
        taps: of a tile; a channel's taps come in tiles, too, each of which reads its own windows.

    Returns:
        Those of the largest tile; and those of all tiles of outputs and taps together, overlaps
        counted as often as they are read.
    """
    views = found.views
    whole = np.floor(views.taps / taps)
    one = _window(pixels, taps, found)
    seen = whole * _windows(pixels, taps, found)
    seen = seen + _windows(pixels, views.taps - whole * taps, found)
    if any(found.planes):
        _fill_planes(found, pixels, taps, one, seen)
    return one, seen


def _window(frames: Cuts, taps: Cuts, found: Candidates) -> Cuts:
    """Input frames that `frames` outputs see through `taps` taps, each counted once.

    With stride and dilation coprime (their common divisor only spaces the frames), output f sees
    through tap k what output f + dilation sees through tap k - stride; all other frames are
    distinct.
    """
    views = found.views
    common = np.gcd(views.stride.astype(np.int64), views.dilation.astype(np.int64))
    again = np.maximum(frames - views.dilation / common, 0.0)
    again = again * np.maximum(taps - views.stride / common, 0.0)
    seen: Cuts = np.minimum(frames * taps - again, views.in_pixels)
    return seen


def _windows(frames: Cuts, taps: Cuts, found: Candidates) -> Cuts:
    """Input frames over all tiles of frames, overlaps counted as often as they are read.

    All tiles but the last have `frames` outputs; the last has what is left. 128 outputs of 9 taps,
    stride 1, in tiles of 16: 8 windows of 16 + 8 frames, 192 in all, where one tile would read 136
    (or as many as the input has).
    """
    whole = np.ceil(found.views.bounds[T] / frames)
    last = found.views.bounds[T] - (whole - 1) * frames
    total: Cuts = (whole - 1) * _window(frames, taps, found) + _window(last, taps, found)
    return total


def _fill_planes(found: Candidates, pixels: Cuts, taps: Cuts, one: Cuts, seen: Cuts) -> None:
    """Write the figures of layers of two dimensions into `one` and `seen`.

    Candidates of a layer have few different tiles: each is counted once.
    """
    two = np.array([plane is not None for plane in found.planes])
    here = np.flatnonzero(two[found.views.layer])
    keys = np.stack(
        np.broadcast_arrays(found.views.layer[here], pixels[:, here], taps[:, here])
    ).astype(np.int64)
    # One number for the three, since numpy finds equal numbers faster than equal rows.
    sizes = keys.reshape(3, -1).max(axis=1) + 1
    flat = (keys[0] * sizes[1] + keys[1]) * sizes[2] + keys[2]
    distinct, which = np.unique(flat, return_inverse=True)
    figures = np.empty((2, len(distinct)))
    for at, number in enumerate(distinct.tolist()):
        rest, tile_taps = divmod(number, int(sizes[2]))
        layer, tile_pixels = divmod(rest, int(sizes[1]))
        plane = found.planes[layer]
        assert plane is not None  # only these are here
        figures[:, at] = seen_by_tiles(plane, tile_pixels, tile_taps)
    one[:, here], seen[:, here] = figures[:, which.reshape(flat.shape)]


@lru_cache(maxsize=65536)
def seen_by_tiles(plane: Plane, pixels: int, taps: int) -> tuple[int, int]:
    """Inputs of a channel that tiles of `pixels` outputs and `taps` taps see in two dimensions.

    Returns:
        Those of the largest tile, and of all tiles together.
    """
    largest = total = 0
    tiles = _tiles(plane.out_frames * plane.out_bins, pixels, plane.out_bins)
    all_taps = plane.kernel_size * plane.kernel_bins
    for first in range(0, all_taps, taps):
        kernel = _runs(first, min(first + taps, all_taps), plane.kernel_bins)
        for (start, end), count in tiles.items():
            seen = _count_seen(plane, _runs(start, end, plane.out_bins), kernel)
            largest, total = max(largest, seen), total + count * seen
    return largest, total


def _tiles(pixels: int, size: int, bins: int) -> Counter[tuple[int, int]]:
    """First and last pixel of tiles, and how many begin at the same bin and are as long.

    It does not matter at which frame a tile begins: each is moved to the first one.
    """
    return Counter(
        (start % bins, start % bins + min(size, pixels - start)) for start in range(0, pixels, size)
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring bins of one frame, of outputs or of taps."""

    frame: int
    first: int
    end: int


def _runs(start: int, end: int, bins: int) -> list[_Run]:
    """What a tile has of each frame: all bins but for the first and the last frame."""
    return [
        _Run(frame, max(start - frame * bins, 0), min(end - frame * bins, bins))
        for frame in range(start // bins, (end - 1) // bins + 1)
    ]


def _count_seen(plane: Plane, outputs: list[_Run], kernel: list[_Run]) -> int:
    """Inputs that outputs see through taps; bins of an input frame are bits of a number."""
    bits: dict[tuple[int, int, int, int], int] = {}
    seen: defaultdict[int, int] = defaultdict(int)
    for made in outputs:
        for tap in kernel:
            key = (made.first, made.end, tap.first, tap.end)
            if key not in bits:
                bits[key] = _bins_seen(plane, *key)
            seen[made.frame * plane.stride + tap.frame * plane.dilation] |= bits[key]
    counts = sorted((min(each.bit_count(), plane.in_bins) for each in seen.values()), reverse=True)
    return sum(counts[: plane.in_frames])


def _bins_seen(plane: Plane, first: int, end: int, first_tap: int, end_tap: int) -> int:
    """Input bins that a run of output bins sees through a run of taps."""
    taps = sum(1 << tap * plane.bin_dilation for tap in range(first_tap, end_tap))
    seen = 0
    for each in range(first, end):
        seen |= taps << each * plane.bin_stride
    return seen
