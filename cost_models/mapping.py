"""How the loops of a layer are laid over an array and in time: the candidates of the tile search.

A convolution is three loops (a group at a time):

    N  output channels            (depthwise across the array: channels)
    R  reduction: input channels of the group times kernel taps     (depthwise: taps)
    T  output pixels: frames, or, where a frame has bins, all bins of a frame before the next's

Of layers of two dimensions T and R run over both at once, as taps do within a channel: the loops
are the same three, their bounds products. An array of 8 columns that unrolls T takes 8 neighbouring
pixels, of two frames where a frame has 5 bins. What tiles see of the input knows both dimensions
(`cost_models.windows`).

A pass of the array takes some iterations of each at once (*unrolled*: in space); the rest of them
follow each other (*iterations*: in time). A 1x1 convolution of 64 to 96 channels and 128 frames, on
8 rows that unroll N and 16 columns that unroll R, in the order T, R, N from the innermost out:

    for n in 12:                        depth 2      96 output channels / 8
      for r in 4:                       depth 1      64 inputs / 16
        for t in 128:                   depth 0      frames; the innermost loop
          8 x 16 x 1 iterations of N, R, T at once, one pass of the array

A candidate says which loop each axis of the array unrolls (rows, columns, lanes), and in what order
the remaining iterations follow, innermost first. One loop may be split in two, its inner part a
power of two, so that a tile of it stays below while another loop runs. Above, T might be split into
8 times 16 frames, with R between:

    for n in 12:
      for t_outer in 8:
        for r in 4:                     sums of 16 frames stay in the accumulators until all four r
          for t in 16:                  have been added; the weights come again for each t_outer

which trades fetches of weights (or, where they are generated, generating them again) for partial
sums that need not leave. All that are tried:

    {all assignments of N, R, T to the axes that the array allows}
  x {the whole array} + {parts of a systolic array, for layers that end before it is filled}
  x {6 orders} + {3 loops to split} x {inner part 2, 4, 8, ... below the count}
    x {6 orders in which the two parts do not touch}

The search is exact over this set. Which loop is innermost is the dataflow: T keeps weights still
(weight stationary), R keeps sums (output stationary), N keeps inputs (input stationary).

Everything here is a column: one entry per candidate, of many layers at once. A layer has
hundreds of candidates, which numpy prices in less time than Python would need for a few.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import AXES, ComputeArray, Dataflow, Register
from cost_models.workload import Layer, LayerKind

Column = npt.NDArray[np.float64]
"""Counts are exact: none reaches 2^53."""

N, R, T = 0, 1, 2
LOOPS = ("N", "R", "T")
DEPTH = 4
"""Loops of a candidate: three, one of them in two parts."""
MOST_SPLIT = 12
"""Inner parts go up to 2^12 iterations."""

PARTS = tuple(sorted({factor * 2**exponent for factor in (1, 3) for exponent in range(13)}))
"""Rows or columns of the parts of a systolic array that a layer may use."""
MOST_PARTS = 3
"""Parts that are tried for a layer: those that end first."""

STATIONARY = {"weight_stationary": T, "output_stationary": R, "input_stationary": N}
"""The innermost loop of each dataflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Layers as loops; a depthwise layer has two views, one per strategy.

    Of shape (views,) unless said otherwise; bounds are whole numbers, kept as floats because all
    arithmetic on them is.
    """

    layer: npt.NDArray[np.intp]
    """Index of the layer that a view belongs to."""
    groups: Column
    """The loops run as often."""
    bounds: npt.NDArray[np.float64]
    """Of N, R and T, shape (3, views)."""
    taps: Column
    """Kernel taps; R runs over the taps of an input channel first."""
    stride: Column
    dilation: Column
    in_pixels: Column
    """These three are of layers of one dimension, or one tap; others: `Candidates.planes`."""
    across: npt.NDArray[np.bool_]
    """Depthwise with N over the channels: inputs depend on N."""

    def take(self, index: npt.NDArray[np.intp]) -> "Views":
        """The views of these indices, repeated as given: from one a layer to one a candidate."""
        taken = {field.name: getattr(self, field.name)[..., index] for field in fields(self)}
        return Views(**taken)


def view_loops(layers: Sequence[Layer], array: ComputeArray) -> Views:
    """The loops of convolution layers on an array, in the order of the layers.

    A depthwise layer has no reduction over channels: channel c of the output needs channel c of the
    input alone. It can run group by group like any other layer (one channel per pass: N has one
    iteration), or with its channels in the place of N, side by side on the array; then inputs
    depend on N. Where the array allows both, both are candidates.

        layer, 128 frames                 groups    N    R    T
        1x1, 64 to 96                        1     96    64   128
        5 taps, 64 to 96                     1     96   320   128
        depthwise, 9 taps, 64 channels      64      1     9   128     one channel per pass
        the same                             1     64     9   128     channels across the array
        3 x 3 taps, 64 to 96, of 5 bins      1     96   576   640
    """
    rows: list[dict[str, Any]] = []
    for index, layer in enumerate(layers):
        common = {
            "layer": index,
            "taps": layer.taps,
            "stride": layer.stride,
            "dilation": layer.dilation,
            "in_pixels": layer.in_pixels,
        }
        one_each = layer.groups == layer.in_channels == layer.out_channels
        depthwise = layer.kind is LayerKind.DEPTHWISE and one_each
        taps, pixels = layer.taps, layer.out_pixels
        if depthwise and array.depthwise != "one_channel_per_pass":
            bounds = (layer.out_channels, taps, pixels)
            rows.append({**common, "groups": 1, "bounds": bounds, "across": True})
        if not depthwise or array.depthwise != "channels_across_array":
            outputs = layer.out_channels // layer.groups
            reduction = layer.in_channels // layer.groups * taps
            bounds = (outputs, reduction, pixels)
            rows.append({**common, "groups": layer.groups, "bounds": bounds, "across": False})
    kinds = {"layer": np.intp, "across": np.bool_}
    return Views(
        **{
            field.name: np.array(
                [row[field.name] for row in rows], dtype=kinds.get(field.name, np.float64)
            ).T
            for field in fields(Views)
        }
    )


@dataclass(frozen=True, slots=True)
class Plane:
    """The frames and bins of a layer of two dimensions, by which its windows overlap."""

    in_frames: int
    in_bins: int
    out_frames: int
    out_bins: int
    kernel_size: int
    kernel_bins: int
    stride: int
    bin_stride: int
    dilation: int
    bin_dilation: int


_plane_of = attrgetter(*(each.name for each in fields(Plane)))


def find_plane(layer: Layer) -> Plane | None:
    """The plane of a layer; None where frames are its only dimension, or windows are pixels."""
    return Plane(*_plane_of(layer)) if layer.two_dimensional and layer.taps > 1 else None


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which loop each axis of the array unrolls.

    Axes that unroll the same loop multiply: rows and lanes that both unroll R reduce rows * lanes
    inputs at once.
    """

    loops: tuple[int, int, int]
    """Of rows, columns and lanes."""

    def limit(self, array: ComputeArray, loop: int) -> int:
        """Iterations of a loop that the array can take at once; 1 where no axis unrolls it."""
        limit = 1
        for axis_loop, size in zip(self.loops, array.sizes, strict=True):
            limit *= size if axis_loop == loop else 1
        return limit

    def shared(self, array: ComputeArray, register: Register, loop: int) -> int:
        """Iterations of a loop that elements with one common register take at once.

        Elements along the axes of `register.shared_along` have one register together.
        """
        shared = 1
        for axis, axis_loop, size in zip(AXES, self.loops, array.sizes, strict=True):
            shared *= size if axis_loop == loop and axis in register.shared_along else 1
        return shared


SYSTOLIC = {(R, N): T, (T, N): R, (R, T): N}
"""Rows and columns of a systolic array -> the loop that streams through it: weight, output and
input stationary (SCALE-Sim, arXiv 1811.02883)."""


@lru_cache(maxsize=256)
def assignments(array: ComputeArray, *, across: bool) -> tuple[Assignment, ...]:
    """What the axes of an array may unroll.

    A tree sums its columns, so these unroll R; a systolic array lets one loop stream through
    (`SYSTOLIC`); other arrays may unroll any loop along any axis. Assignments that cannot be told
    apart, by how much of each loop they take at once and share, are tried once.

    Args:
        array: what computes.
        across: for a depthwise layer with its channels across the array.
    """
    if array.element == "ternary_tree":
        return tuple(Assignment((rows, R, T)) for rows in (N, T))
    if array.interconnect == "systolic" and across:
        # Channels have nothing in common: each row has one; pixels or taps run along the columns.
        return tuple(Assignment((N, columns, T)) for columns in (R, T))
    if array.interconnect == "systolic":
        return tuple(
            Assignment((rows, columns, T))
            for (rows, columns), stream in SYSTOLIC.items()
            if STATIONARY.get(array.dataflow, stream) == stream
        )
    # An axis of one element unrolls nothing, whatever its loop is called: T stands for all three.
    free = [(N, R, T) if size > 1 else (T,) for size in array.sizes]
    distinct: dict[object, Assignment] = {}
    for rows, columns, lanes in itertools.product(*free):
        loops = (rows, columns, lanes)
        if across and N not in loops and array.elements > 1:
            continue  # that is one channel per pass
        assignment = Assignment(loops)
        registers = [array.register("weights"), array.register("inputs"), array.register("outputs")]
        # Rows and columns of one size may be swapped, say, unless a register tells them apart. What
        # follows depends on nothing but these figures.
        same = tuple(
            (
                assignment.limit(array, loop),
                *(assignment.shared(array, reg, loop) for reg in registers if reg is not None),
            )
            for loop in (N, R, T)
        )
        distinct.setdefault(same, assignment)
    return tuple(distinct.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Mappings of layers, one a column, those of all layers in a row.

    `views.layer` says whose each is. A loop that is split stands in `order` twice, with `counts` of
    its inner and outer part.
    """

    kinds: tuple[tuple[Assignment, ...], tuple[Assignment, ...]]
    """`assignments` of the array; of depthwise layers with their channels across it."""
    views: Views
    """Of each candidate."""
    assignment: npt.NDArray[np.intp]
    """Index into `kinds[across]`, by `across` of the view."""
    unrolled: npt.NDArray[np.float64]
    """Iterations of N, R and T at once, shape (3, candidates): evenly spread over the passes."""
    iterations: npt.NDArray[np.float64]
    """Passes over N, R and T that follow each other, shape (3, candidates). Their product with the
    groups is the passes of the layer, whatever their order."""
    order: npt.NDArray[np.intp]
    """Loop at each depth, innermost first, shape (DEPTH, candidates)."""
    counts: npt.NDArray[np.float64]
    """Iterations at each depth, shape (DEPTH, candidates)."""
    planes: tuple[Plane | None, ...] = ()
    """Of each layer, by the numbers of `views.layer`; None for layers of one dimension, or tap."""


def limits_of(found: Candidates, array: ComputeArray, loop: int) -> Column:
    """Iterations of a loop that the array can take at once, shape (candidates,)."""
    table = np.ones((2, max(map(len, found.kinds))))
    for across, kinds in enumerate(found.kinds):
        for number, assignment in enumerate(kinds):
            table[across, number] = assignment.limit(array, loop)
    limits: Column = table[found.views.across.astype(np.intp), found.assignment]
    return limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Templates:
    """Orders of loops, one a column: made once, for all layers.

    Arrays of shape (templates,), `order` of (DEPTH, templates).
    """

    order: npt.NDArray[np.intp]
    split: npt.NDArray[np.intp]
    """Loop that is split; -1 for none."""
    inner: npt.NDArray[np.intp]
    """Depth of its inner part."""
    outer: npt.NDArray[np.intp]
    size: npt.NDArray[np.float64]
    """Of its inner part."""


def _templates() -> _Templates:
    """6 orders without a split, and 3 loops x 6 orders x `MOST_SPLIT` sizes with one: 222.

    With s the split loop, a and b the other two, innermost first, the orders with a split are

        s a s b       a once between the parts
        s a b s       both between them
        a s b s       a innermost of all

    and the same with a and b exchanged. A template knows no layer: which of them are different
    mappings of a layer is `_valid_templates`, and the counts are filled in by `_arranged`.
    """
    rows = []
    # Three loops and a fourth depth, the outermost, that has nothing to do.
    for order in itertools.permutations((N, R, T)):
        rows.append(((*order, order[-1]), -1, 0, DEPTH - 1, 1))
    for split in (N, R, T):
        first, second = (loop for loop in (N, R, T) if loop != split)
        for a, b in ((first, second), (second, first)):
            for order, inner, outer in (
                ((split, a, split, b), 0, 2),
                ((split, a, b, split), 0, 3),
                ((a, split, b, split), 1, 3),
            ):
                # Parts that touch would be one loop, which an order above already is.
                for exponent in range(1, MOST_SPLIT + 1):
                    rows.append((order, split, inner, outer, 2**exponent))
    orders, splits, inners, outers, sizes = zip(*rows, strict=True)
    return _Templates(
        order=np.array(orders, dtype=np.intp).T,
        split=np.array(splits, dtype=np.intp),
        inner=np.array(inners, dtype=np.intp),
        outer=np.array(outers, dtype=np.intp),
        size=np.array(sizes, dtype=np.float64),
    )


TEMPLATES = _templates()


def list_candidates(layers: Sequence[Layer], array: ComputeArray) -> Candidates:
    """All candidates of convolution layers on an array.

    None is left out for what it would cost or need: whether its tiles fit is known only with the
    machine's memories (`Traffic.mappable`), whether an array can run it, with its registers
    (`latency.array_cycles`).

    Args:
        layers: convolutions; `Candidates.views.layer` counts them.
        array: executes them.
    """
    views = view_loops(layers, array)
    kinds = (assignments(array, across=False), assignments(array, across=True))
    pieces, narrower = [], []
    for across in (False, True):
        chosen = views.take(np.flatnonzero(views.across == across))
        if not len(chosen.layer):
            continue
        for number, assignment in enumerate(kinds[across]):
            limits = np.array([[float(assignment.limit(array, loop))] for loop in (N, R, T)])
            pieces.append(_arranged(chosen, kinds, number, limits, array.dataflow))
            if array.interconnect == "systolic" and array.bypass:
                short, parts = _narrowed(chosen, limits, assignment)
                if len(short):
                    some = chosen.take(short)
                    narrower.append(_arranged(some, kinds, number, parts, array.dataflow))
    planes = tuple(find_plane(layer) for layer in layers)
    return _joined(pieces + narrower, planes)  # of equals, the whole array is preferred


def _narrowed(
    views: Views, limits: npt.NDArray[np.float64], assignment: Assignment
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Parts of a systolic array, for layers that would end before all of it is filled and drained.

    A layer of 20 passes on a 128 x 128 array waits some 380 cycles until values have run through
    all rows and columns. Using fewer of them takes more passes and fills sooner.

    Args:
        views: layers.
        limits: of N, R and T on the whole array, shape (3, 1).
        assignment: of loops to rows and columns.

    Returns:
        Places in `views`, repeated, and the limits of each part, shape (3, parts).
    """
    rows, columns = assignment.loops[:2]
    whole = np.ceil(views.bounds / limits)
    used = np.ceil(views.bounds / whole)
    # Load, pass and drain of one tile, as in `latency.systolic_cycles`. Only an estimate, to find
    # parts that are worth a try: the search then prices them like any other candidate.
    fill = 2 * used[rows] + used[columns] - 2
    passes = views.groups * np.prod(whole, axis=0)
    short = np.flatnonzero(passes < 2 * fill)
    if not len(short):
        return short, np.empty((3, 0))
    pairs = _parts(limits[rows, 0], limits[columns, 0])
    place = np.repeat(short, len(pairs))
    parts = np.repeat(limits, len(place), axis=1)
    parts[[rows, columns]] = np.tile(pairs.T, len(short))
    bounds = views.bounds[:, place]
    iterations = np.ceil(bounds / parts)
    used = np.ceil(bounds / iterations)
    cycles = views.groups[place] * np.prod(iterations, axis=0) + 2 * used[rows] + used[columns] - 2
    faster = np.flatnonzero(cycles < passes[place] + fill[place])
    if not len(faster):
        return place[:0], parts[:, :0]
    # Parts that lead to the same passes are the same mapping (12 rows or 16 for 20 iterations).
    own = np.concatenate([place[None], iterations])[:, faster]
    first = faster[np.unique(own, axis=1, return_index=True)[1]]
    # The fastest few: a layer this short is not worth more.
    first = first[np.lexsort((cycles[first], place[first]))]
    # Sorted by layer, so the place of a layer's first part is where its own would be inserted.
    rank = np.arange(len(first)) - np.searchsorted(place[first], place[first])
    kept = first[rank < MOST_PARTS]
    return place[kept], parts[:, kept]


@lru_cache(maxsize=64)
def _parts(rows: float, columns: float) -> npt.NDArray[np.float64]:
    """Rows and columns of the parts of a systolic array, the whole one last, shape (parts, 2)."""
    sizes = [[size for size in PARTS if size < most] + [most] for most in (rows, columns)]
    return np.array(list(itertools.product(*sizes)), dtype=np.float64)


def _arranged(
    views: Views,
    kinds: tuple[tuple[Assignment, ...], tuple[Assignment, ...]],
    assignment: int,
    limits: npt.NDArray[np.float64],
    dataflow: Dataflow,
) -> Candidates:
    """All orders in time of views on one assignment.

    Args:
        views: layers.
        kinds: assignments, of which the views' is one.
        assignment: which.
        limits: iterations of N, R, T that the array takes at once, shape (3, 1) or (3, views).
        dataflow: orders that are none of it are left out.
    """
    iterations = np.ceil(views.bounds / limits)
    # Evenly spread: 9 channels on 8 rows are passes of 5 and 4, whose tiles are smaller than
    # those of 8 and 1, and which take as long.
    unrolled = np.ceil(views.bounds / iterations)
    valid = _valid_templates(iterations)
    view, template = np.nonzero(valid)
    counts = np.take_along_axis(iterations[:, view], TEMPLATES.order[:, template], axis=0)
    at = np.arange(len(view))
    split = TEMPLATES.split[template] >= 0
    size = TEMPLATES.size[template]
    # Both parts of a split loop have its whole count by now: the inner one becomes the power of
    # two, the outer one what is left: of 12 iterations in parts of 8, 2, though the second has only
    # 4. The spare depth of an order without a split counts 1.
    whole = counts[TEMPLATES.outer[template], at]
    counts[TEMPLATES.outer[template], at] = np.where(split, np.ceil(whole / size), 1.0)
    inner = TEMPLATES.inner[template]
    counts[inner, at] = np.where(split, size, counts[inner, at])
    found = Candidates(
        kinds=kinds,
        views=views.take(view),
        assignment=np.full(len(view), assignment, dtype=np.intp),
        unrolled=unrolled[:, view],
        iterations=iterations[:, view],
        order=TEMPLATES.order[:, template],
        counts=counts,
    )
    wanted = STATIONARY.get(dataflow)
    if wanted is None:
        return found
    # A loop of one iteration is innermost wherever it stands.
    follows = (innermost(found) == wanted) | (found.iterations[wanted] == 1)
    return taken(found, np.flatnonzero(follows))


def _valid_templates(iterations: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which templates are different mappings, shape (views, templates).

    A loop of one iteration changes nothing where it stands, so only its outermost place counts; a
    split needs an inner part below the count, and something to do between its parts. With R of one
    iteration, four of the six orders say what another one says:

        T N R   stays           R T N   R T N, T R N and T N R are the same nest
        N T R   stays           R N T   likewise, R N T, N R T and N T R

    Args:
        iterations: of N, R, T in time, shape (3, views).
    """
    order, split = TEMPLATES.order, TEMPLATES.split
    single = iterations == 1
    valid = np.ones((iterations.shape[1], order.shape[1]), dtype=np.bool_)
    for depth in range(DEPTH - 1):
        here, above = order[depth], order[depth + 1]
        trivial = single[here] & (split[:, None] != here[:, None])
        # Trivial loops are outermost, and among each other in the order of their numbers.
        trivial_above = single[above] & (split[:, None] != above[:, None])
        misplaced = trivial & (~trivial_above | (here > above)[:, None])
        if depth == DEPTH - 2:
            misplaced &= (split >= 0)[:, None]  # unsplit templates repeat their last loop
        valid &= ~misplaced.T
    is_split = split >= 0
    whole = iterations[np.where(is_split, split, 0)]
    possible = TEMPLATES.size[:, None] < whole
    return valid & (possible | ~is_split[:, None]).T


def innermost(candidates: Candidates) -> npt.NDArray[np.intp]:
    """The innermost loop of more than one iteration, shape (candidates,); -1 where there is none.

    It is the dataflow: what does not depend on this loop stays still while it runs.
    """
    found = np.full(candidates.order.shape[1], -1, dtype=np.intp)
    for depth in reversed(range(DEPTH)):
        found = np.where(candidates.counts[depth] > 1, candidates.order[depth], found)
    return found


def taken(candidates: Candidates, index: npt.NDArray[np.intp]) -> Candidates:
    """Some of the candidates, in the order of `index`; their layers keep their numbers."""
    return Candidates(
        kinds=candidates.kinds,
        views=candidates.views.take(index),
        assignment=candidates.assignment[index],
        unrolled=candidates.unrolled[:, index],
        iterations=candidates.iterations[:, index],
        order=candidates.order[:, index],
        counts=candidates.counts[:, index],
        planes=candidates.planes,
    )


def _joined(pieces: list[Candidates], planes: tuple[Plane | None, ...]) -> Candidates:
    views = {
        field.name: np.concatenate([getattr(piece.views, field.name) for piece in pieces], axis=-1)
        for field in fields(Views)
    }
    others = {
        field.name: np.concatenate([getattr(piece, field.name) for piece in pieces], axis=-1)
        for field in fields(Candidates)
        if field.name not in ("kinds", "views", "planes")
    }
    return Candidates(kinds=pieces[0].kinds, views=Views(**views), planes=planes, **others)
