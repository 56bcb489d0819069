"""Memories with `capacity_bits: fit`: as large as the design needs that runs, and no larger.

    what a memory is for       needs                                      size
    keeps weights              all stored bits                            the smallest macro above
    keeps activations          all bits that are alive at a time          the smallest macro above
    hands tiles inwards        whatever serves the objective best         of all sizes that make
                               (`estimate`'s: energy, cycles, or both)    sense, the best

A memory keeps an operand if it is the operand's backing memory, or its home below a DRAM
(`cost_models.residency`); one that keeps weights and activations needs both together. What a tile
buffer "needs" is no number: a larger one sends fewer bits outwards, and pays more for each of its
own. So the network is priced with each size, from the smallest that can be built to one that holds
all that is alive (twice that where tiles have two buffers), doubling each time; the smallest of
equally good ones is taken. Leakage counts for as long as an inference takes, as in the search of
mappings; who sleeps for most of the time gives such a buffer a size.

Sizes that exist: the capacities of the technology's table, and between them 4, 5, 6 and 7 times a
power of two, so that at most a fifth of a memory lies idle. Compilers of SRAM offer finer steps.
These are coarse enough for the designs of a space to share machines, of which each has prices and
mappings of its own. A register file has the same steps. A size that cannot be built (a port wider
than its rows, banks below the smallest macro) is left out, so the next one is taken.

The result is a machine like any other: it costs what it would cost had its file named these sizes.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.accelerator import Accelerator, MemoryLevel, at
from cost_models.area import MOST_REGISTER_FILE_BITS
from cost_models.errors import InvalidAccelerator
from cost_models.machine_area import memory_area_um2
from cost_models.nonvolatile import sizes_range
from cost_models.technology import Technology
from cost_models.tile_search import Objective

Numbers = npt.NDArray[np.int64]

STEPS = 4
"""Sizes in each doubling of the capacity."""


def sizes_bits(memory: MemoryLevel, technology: Technology) -> tuple[int, ...]:
    """Capacities with which a memory can be built, ascending.

    Raises:
        InvalidAccelerator: there is none: its port is wider than the largest macro allows.
    """
    widest = max(memory.bandwidth_bits_per_cycle, memory.word_bits or 1)
    rows = [row.capacity_bits for row in technology.sram.rows]
    if memory.kind == "register_file":
        rows = [widest, MOST_REGISTER_FILE_BITS]
    elif memory.read_only:
        rows = list(sizes_range(memory.kind, technology))
    found = {*rows, *_steps(rows[0], rows[-1])}
    usable = sorted(size for size in found if size >= widest)
    problem = None
    for index, size in enumerate(usable):  # what can be built can be built larger, too
        try:
            _build(memory, size, technology)
        except InvalidAccelerator as error:
            problem = error
        else:
            return tuple(usable[index:])
    raise problem or InvalidAccelerator(
        f"'{memory.name}' has a port of {widest:,} bits{at(memory.where)}, wider than the largest "
        f"memory of its kind in {technology.name}, {rows[-1]:,} bits; lower "
        "bandwidth_bits_per_cycle"
    )


def _build(memory: MemoryLevel, size: int, technology: Technology) -> None:
    """Raise `InvalidAccelerator` where no macro has this size and this port."""
    if memory.kind != "register_file":
        memory_area_um2(replace(memory, capacity_bits=size), technology)


def _steps(low: int, high: int) -> Iterator[int]:
    """4, 5, 6 and 7 times each power of two, from `low` to `high`."""
    power = 1 << max(low.bit_length() - 3, 0)
    while STEPS * power <= high:
        yield from (part * power for part in range(STEPS, 2 * STEPS) if low <= part * power <= high)
        power *= 2


def keepers(machine: Accelerator) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the memories that keep weights, and of those that keep activations."""
    # By name: a machine has each name once, and compares slowly.
    weights = (machine.chain("weights")[-1], machine.weight_home)
    activations = (machine.chain("inputs")[-1], machine.activation_home)
    return (
        frozenset(each.name for each in weights if each),
        frozenset(each.name for each in activations if each),
    )


@dataclass(frozen=True, slots=True)
class _Sizes:
    """What decides over the size of one memory."""

    memory: MemoryLevel
    sizes: tuple[int, ...]
    keeps_weights: bool
    keeps_activations: bool
    tiles_weights: bool
    tiles_activations: bool

    def bounds(self, stored: Numbers, alive: Numbers) -> tuple[Numbers, Numbers]:
        """Places in `sizes` of the smallest and the largest that make sense, for each design.

        The smallest holds what the memory keeps; one place beyond the end where none does. The
        largest has room for all tiles, too, as far as sizes go.
        """
        kept = stored * self.keeps_weights + alive * self.keeps_activations
        tiles = stored * self.tiles_weights + alive * self.tiles_activations
        room = kept + tiles * (2 if self.memory.double_buffered else 1)
        low = np.searchsorted(self.sizes, kept)
        high = np.minimum(np.searchsorted(self.sizes, room), len(self.sizes) - 1)
        return low, np.maximum(low, high)


class Fitting:
    """Sizes a machine's memories for designs; for one, or for many at once."""

    def __init__(self, machine: Accelerator, technology: Technology) -> None:
        """Know which sizes there are.

        Raises:
            InvalidAccelerator: a memory cannot be built in any size.
        """
        self.machine, self.technology = machine, technology
        self._memories = tuple(self._sizes(memory) for memory in machine.to_fit)

    def _sizes(self, memory: MemoryLevel) -> _Sizes:
        weights, activations = keepers(self.machine)
        keeps_activations = memory.name in activations
        return _Sizes(
            memory=memory,
            sizes=sizes_bits(memory, self.technology),
            keeps_weights=memory.name in weights,
            keeps_activations=keeps_activations,
            tiles_weights="weights" in memory.holds and memory.name not in weights,
            tiles_activations=set(memory.holds) != {"weights"} and not keeps_activations,
        )

    def keys(self, stored: Numbers, alive: Numbers) -> Numbers:
        """What decides over the machines of each design: equal keys, equal `machines`.

        Args:
            stored: bits of weights of each design on this machine, shape (designs,).
            alive: most bits of its activations that are alive at a time.

        Returns:
            Shape (designs, 2 * memories to fit).
        """
        bounds = [each.bounds(stored, alive) for each in self._memories]
        return np.stack([place for pair in bounds for place in pair], axis=-1)

    def machines(self, key: Sequence[int]) -> list[Accelerator]:
        """Machines of which a design gets the best, smaller ones first.

        Empty where a memory would have to be larger than any that can be built.
        """
        choices = []
        for each, low, high in zip(self._memories, key[::2], key[1::2], strict=True):
            if low >= len(each.sizes):
                return []
            last = len(each.sizes) - 1
            places = [min(place, last) for place in range(low, high + STEPS, STEPS)]
            kept = low == high
            choices.append([each.sizes[place] for place in (places[:1] if kept else places)])
        sizes = sorted(itertools.product(*choices), key=lambda each: (sum(each), each))
        return [self.machine.sized(each) for each in dict.fromkeys(sizes)]

    def too_large(self, stored_bits: int, activation_bits: int) -> str:
        """Why there is no machine for a design: a sentence with need, largest size and remedy."""
        stored, alive = np.array([stored_bits]), np.array([activation_bits])
        for each in self._memories:
            if each.bounds(stored, alive)[0][0] == len(each.sizes):
                needed = stored_bits * each.keeps_weights + activation_bits * each.keeps_activations
                memory = each.memory
                return (
                    f"capacity_bits of '{memory.name}' is fit{at(memory.where)}: the design needs "
                    f"{needed:,} bits, and the largest that can be built in "
                    f"{self.technology.name} has {each.sizes[-1]:,}; use a smaller design, another "
                    "technology, or a DRAM behind a memory with a number of bits"
                )
        raise AssertionError("every memory has a size")


def worth(energy_pj: Any, cycles: Any, objective: Objective) -> Any:
    """What a tile buffer's size is chosen by, of a whole network; the least is best.

    Floats, or columns of them: the same operations in the same order, so that one design and a
    million get the same sizes.
    """
    figures = {"energy": energy_pj, "latency": cycles, "edp": energy_pj * cycles}
    return figures[objective]
