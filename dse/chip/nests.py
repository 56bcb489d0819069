"""Loops with address steps: what an engine of the circuit runs, and how a descriptor holds it.

A nest is a list of loops, innermost first; each has a count and, for every address that the engine
forms, a stride. The circuit (`verilog/loop_nest.v`) keeps addresses and adds one `delta` a step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dse.errors import InvalidDesign

LOOPS = 5
COUNT_BITS = 12
"""Of any nest at most: a chip has as many as its network needs."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of a nest."""

    count: int
    strides: tuple[int, ...]
    """What each address gains in an iteration."""
    flags: frozenset[str] = frozenset()
    """What the circuit is told about the loop, such as `tile`; loops of other flags stay apart."""


@dataclass(frozen=True, slots=True)
class Nest:
    """Loops, innermost first, and the addresses that they begin with."""

    first: tuple[int, ...]
    loops: tuple[Loop, ...]

    @property
    def steps(self) -> int:
        """Iterations of the innermost loop in all."""
        total = 1
        for loop in self.loops:
            total *= loop.count
        return total

    def addresses(self) -> npt.NDArray[np.int64]:
        """All addresses in order, shape (steps, addresses): what the circuit will form."""
        found = np.array([self.first], dtype=np.int64)
        for loop in self.loops:
            # What is inside runs once for each iteration: iterations are the slower axis.
            steps = np.arange(loop.count)[:, None, None] * np.array(loop.strides)
            found = (steps + found[None]).reshape(-1, len(self.first))
        return found

    def mask(self, flag: str) -> int:
        """Loops that have a flag, the innermost one the lowest bit."""
        return sum(1 << depth for depth, loop in enumerate(self.loops) if flag in loop.flags)


def make_nest(first: Sequence[int], loops: Iterable[Loop], what: str) -> Nest:
    """A nest without loops of one iteration, and with those merged that go on in one another.

    Args:
        first: addresses at the beginning.
        loops: innermost first.
        what: whose nest it is, for the message.

    Raises:
        InvalidDesign: the circuit has too few loops, or too narrow counters, for it.
    """
    kept: list[Loop] = []
    for loop in loops:
        if loop.count == 1:
            continue
        before = kept[-1] if kept else None
        goes_on = before is not None and before.flags == loop.flags
        if before and goes_on and _follows(before, loop):
            kept[-1] = Loop(before.count * loop.count, before.strides, before.flags)
        else:
            kept.append(loop)
    longest = max((loop.count for loop in kept), default=1)
    if len(kept) > LOOPS or longest > 2**COUNT_BITS:
        raise InvalidDesign(
            f"{what} takes {len(kept)} loops of up to {longest:,} iterations, and the exported "
            f"chip's nests have {LOOPS} of up to {2**COUNT_BITS:,}: use a smaller layer"
        )
    return Nest(tuple(first), tuple(kept))


def _follows(inner: Loop, outer: Loop) -> bool:
    return all(
        out == within * inner.count
        for out, within in zip(outer.strides, inner.strides, strict=True)
    )


def encode_last(nest: Nest, count_bits: int) -> int:
    """Counts less one, so many bits each, the innermost loop lowest; others count once."""
    return sum((loop.count - 1) << (count_bits * depth) for depth, loop in enumerate(nest.loops))


def encode_first(nest: Nest, bits: tuple[int, ...]) -> int:
    """The first addresses side by side, two's complement of so many bits each."""
    return _packed(nest.first, bits)


def encode_deltas(nest: Nest, bits: tuple[int, ...]) -> int:
    """What a step adds to each address when loop d advances and those inside start over."""
    deltas: list[int] = []
    back = [0] * len(nest.first)
    for loop in nest.loops:
        deltas += [stride - gone for stride, gone in zip(loop.strides, back, strict=True)]
        back = [
            gone + (loop.count - 1) * stride
            for stride, gone in zip(loop.strides, back, strict=True)
        ]
    return _packed(deltas, bits * len(nest.loops))


def _packed(values: Iterable[int], bits: tuple[int, ...]) -> int:
    word, low = 0, 0
    for value, width in zip(values, bits, strict=True):
        word |= (value % 2**width) << low
        low += width
    return word
