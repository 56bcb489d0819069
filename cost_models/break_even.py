"""Generate a ternary matrix, or store its trits: which costs less, layer by layer.

Both deliver the same trits as often as the mapping asks for them. Stored, a trit is two bits read
from an SRAM; the larger the SRAM, the dearer its read, so there is a size above which generating
saves energy: the break-even. A small SRAM of its own can win, and where it does, this says so.

    generated   energy of the generator for the layer's trits; its area, shared by all layers
    stored      trits * 2 bits * read energy of an SRAM that holds all trits of the network
    break-even  capacity of the SRAM whose 2-bit read costs what a generated trit costs
    ways        the generator, an SRAM, and each kind of memory that needs no supply to keep trits
                (`cost_models.nonvolatile`): energy, area, leakage of the smallest macro that holds
                all of them

All of that holds for one mapping: the one that was chosen for a generator, whose trits come in one
order (`cost_models.generation`). Stored trits have none. So the machine is priced once more with
its trits in its weights' memory, every layer mapped anew (`BreakEvenTotal.instead`): where the
order of a matrix costs more than its reading, that says so.

Energies above are dynamic, of one inference; leakage is power, and stands beside them. What it
costs to write the trits into a memory once is left out.
"""

from dataclasses import dataclass, replace
from typing import Literal

from cost_models.band import ZERO, Band
from cost_models.cost import Cost
from cost_models.energy import Component
from cost_models.errors import InvalidAccelerator, InvalidInput
from cost_models.estimation import estimate
from cost_models.generator import GeneratorSpec, in_any_order
from cost_models.machine_area import sum_bands
from cost_models.nonvolatile import (
    NONVOLATILE,
    area_um2,
    check_made,
    leakage_uw,
    read_pj_per_bit,
    sizes_range,
)
from cost_models.sram import Build, SramTable
from cost_models.technology import Technology

TRIT_BITS = 2

Cheaper = Literal["generate", "store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """One ternary layer, generated and stored."""

    layer: str
    generator: GeneratorSpec
    trits_per_cycle: int
    """That the machine's generator makes."""
    trits: int
    """Made, or read, per inference."""
    regenerations: float
    """Of each entry per inference."""
    reuse: float
    """Additions or skips that a trit serves before it is made or read again."""
    generated_pj: float
    stored_pj: float
    """Read from an SRAM that holds all ternary entries of the network."""
    break_even_bits: int | None
    """Smallest SRAM whose read costs more than generating; None where none of the table does."""
    cheaper: Cheaper


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to have the trits of a network: the generator, or a memory that holds all of them."""

    words: str
    """`generator`, `SRAM`, `mask ROM` ..."""
    memory_bits: int = 0
    """Capacity of the macro: the stored bits, or the nearest that is made; 0 of the generator."""
    energy: Band = ZERO
    """Of one inference, in pJ."""
    area: Band = ZERO
    """In um2."""
    leakage: Band = ZERO
    """In uW, while the supply is on."""
    why_not: str = ""
    """Why it is not made in this technology; then there are no figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """The whole inference on the machine as it is, and with its trits stored."""

    memory: str
    """Where they would be stored: the backing memory of the weights."""
    generated: Band
    """Energy in pJ, leakage included."""
    stored: Band
    generated_cycles: int
    stored_cycles: int
    tile: tuple[int, int] | None = None
    """Tiles of the array, where the matrices are made in another order and could be in this."""
    tiled: Band = ZERO
    """Generated in these tiles."""
    tiled_cycles: int = 0

    @property
    def cheaper(self) -> str:
        """`generate` or `store` where one takes no more energy and no more cycles, else which."""
        energy = self.generated.mid <= self.stored.mid
        time = self.generated_cycles <= self.stored_cycles
        if energy == time or self.generated_cycles == self.stored_cycles:
            return "generate" if energy else "store"
        return (
            "generate for energy, store for time"
            if energy
            else "store for energy, generate for time"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEvenTotal:
    """The whole network, generated and stored."""

    layers: tuple[BreakEven, ...]
    stored_bits: int
    """Two bits for every ternary entry."""
    memory_bits: int
    """Capacity of the SRAM that is compared: the stored bits, or the nearest that the table has."""
    generated: Band
    """Energy in pJ, with its band."""
    stored: Band
    generator_um2: float
    memory_um2: float
    """Of that SRAM."""
    ways: tuple[Way, ...]
    """The generator first, then an SRAM, then the kinds of memory that need no supply."""
    instead: Instead | None
    """None where the machine has no room for stored trits."""

    @property
    def generated_pj(self) -> float:
        """Energy of generating, mid figure."""
        return self.generated.mid

    @property
    def stored_pj(self) -> float:
        """Energy of reading, mid figure."""
        return self.stored.mid

    @property
    def cheaper(self) -> Cheaper:
        """Which spends less energy per inference."""
        return "generate" if self.generated_pj < self.stored_pj else "store"

    @property
    def certain(self) -> bool:
        """Whether that holds wherever in their bands the constants lie."""
        lower, upper = sorted((self.generated, self.stored), key=lambda band: band.mid)
        return lower.high < upper.low

    @property
    def smaller(self) -> Cheaper:
        """Which takes less area."""
        return "generate" if self.generator_um2 < self.memory_um2 else "store"


def break_even(cost: Cost) -> BreakEvenTotal | None:
    """Compare generating with storing on the machine of a cost; None where it generates nothing.

    Both sides deliver the trits that the mapping asks for, which was chosen with generated ones: a
    mapping chosen for stored trits may ask for more or fewer.
    """
    made = [layer for layer in cost.layers if layer.trits]
    if not made:
        return None
    sram = cost.technology.sram
    stored_bits = TRIT_BITS * sum(layer.generated_weights for layer in made)
    smallest, largest = sram.rows[0].capacity_bits, sram.rows[-1].capacity_bits
    # One SRAM for the whole network; outside the table, the nearest that it has. A larger one would
    # cost more to read, a smaller one less.
    memory_bits = min(max(stored_bits, smallest), largest)
    read = sram.read_pj_per_bit(memory_bits).scaled(TRIT_BITS)
    rows = []
    for layer in made:
        spec, unit = layer.layer.generator, cost.accelerator.generator
        assert spec is not None and unit is not None  # what makes trits
        generated_pj = layer.energies_pj.get(Component.GENERATOR, 0.0)
        stored_pj = layer.trits * read.mid
        # Each entry meets each output pixel once, zero or not.
        positions = layer.layer.weight_entries * layer.layer.out_pixels
        rows.append(
            BreakEven(
                layer=layer.layer.name,
                generator=spec,
                trits_per_cycle=unit.trits_per_cycle,
                trits=layer.trits,
                regenerations=layer.regenerations,
                reuse=positions / layer.trits,
                generated_pj=generated_pj,
                stored_pj=stored_pj,
                break_even_bits=break_even_bits(generated_pj / layer.trits, sram),
                cheaper="generate" if generated_pj < stored_pj else "store",
            )
        )
    return BreakEvenTotal(
        layers=tuple(rows),
        stored_bits=stored_bits,
        memory_bits=memory_bits,
        generated=sum_bands(layer.sum_component(Component.GENERATOR) for layer in made),
        stored=read.scaled(sum(row.trits for row in rows)),
        generator_um2=cost.areas_um2["generator"].mid,
        memory_um2=sram.area_um2(memory_bits).mid,
        ways=_ways(cost, stored_bits, memory_bits, sum(row.trits for row in rows)),
        instead=_instead(cost),
    )


def _instead(cost: Cost) -> Instead | None:
    """The machine of a cost without its generator; None where its memories are too small."""
    stores = replace(cost.accelerator, ternary_weights="stored", generator=None)
    try:
        stored = estimate(cost.workload, stores, cost.technology)
        # All by the same objective, whatever the cost's own was.
        generated = estimate(cost.workload, cost.accelerator, cost.technology)
    except InvalidInput:
        return None
    if set(stored.misfits) - set(generated.misfits):
        return None
    found = Instead(
        memory=stores.chain("weights")[-1].name,
        generated=generated.energy,
        stored=stored.energy,
        generated_cycles=generated.latency_cycles,
        stored_cycles=stored.latency_cycles,
    )
    tile, tiled = _in_tiles(cost)
    if tiled is None or tiled.energy_pj >= generated.energy_pj:
        return found
    return replace(found, tile=tile, tiled=tiled.energy, tiled_cycles=tiled.latency_cycles)


def _in_tiles(cost: Cost) -> tuple[tuple[int, int], Cost | None]:
    """The same with matrices of shift registers made in tiles of the array that takes them.

    None where no other order may help, or where the matrices' very zeros count (they would stand
    elsewhere).
    """
    machine = cost.accelerator
    layers = [each.layer for each in cost.layers if each.trits]
    array = machine.array_for(layers[0])
    tile = (array.rows, array.columns)
    bound = [each for each in layers if each.generator and not in_any_order(each.generator)]
    if array.zero_handling == "skipped" or all(each.matrix_tile == tile for each in bound):
        return tile, None
    made = {each.name for each in bound}
    workload = replace(
        cost.workload,
        layers=tuple(
            replace(each, matrix_tile=tile) if each.name in made else each
            for each in cost.workload.layers
        ),
    )
    try:
        return tile, estimate(workload, machine, cost.technology)
    except InvalidInput:
        return tile, None


def _ways(cost: Cost, stored_bits: int, memory_bits: int, trits: int) -> tuple[Way, ...]:
    """The generator, the SRAM, and each kind of memory that holds trits without supply."""
    technology = cost.technology
    area, density = cost.areas_um2["generator"], technology.logic_leakage_nw_per_um2.band
    generator = Way(
        words="generator",
        energy=sum_bands(layer.sum_component(Component.GENERATOR) for layer in cost.layers),
        area=area,
        leakage=Band(  # 1e-3: nW to uW
            low=area.low * density.low * 1e-3,
            mid=area.mid * density.mid * 1e-3,
            high=area.high * density.high * 1e-3,
        ),
    )
    sram = Way(
        words="SRAM",
        memory_bits=memory_bits,
        energy=technology.sram.read_pj_per_bit(memory_bits).scaled(TRIT_BITS * trits),
        area=technology.sram.area_um2(memory_bits),
        leakage=technology.sram.leakage_uw(memory_bits),
    )
    kinds = (_without_supply(kind, stored_bits, trits, technology) for kind in NONVOLATILE)
    return (generator, sram, *kinds)


def _without_supply(kind: str, stored_bits: int, trits: int, technology: Technology) -> Way:
    """Trits in a macro of a kind, the smallest that is made and holds them; else why not."""
    words, (smallest, largest) = NONVOLATILE[kind].words, sizes_range(kind, technology)
    bits = min(max(stored_bits, smallest), largest)
    build = Build(word_bits=technology.sram.word_bits)
    try:
        check_made(kind, bits, build.word_bits, technology)
    except InvalidAccelerator as error:
        return Way(words=words, why_not=str(error))
    return Way(
        words=words,
        memory_bits=bits,
        energy=read_pj_per_bit(kind, bits, build, technology).scaled(TRIT_BITS * trits),
        area=area_um2(kind, bits, build, technology),
        leakage=leakage_uw(kind, bits, technology),
    )


def break_even_bits(trit_pj: float, sram: SramTable) -> int | None:
    """Smallest SRAM whose 2-bit read costs at least `trit_pj`; None beyond the table.

    By bisection over whole bits, which takes the read energy to grow with the capacity. Where even
    the smallest SRAM of the table costs as much, that is the answer; the true one may be smaller.

    Args:
        trit_pj: energy of one generated trit.
        sram: of the technology; its mid figures count.
    """
    low, high = sram.rows[0].capacity_bits, sram.rows[-1].capacity_bits
    if TRIT_BITS * sram.read_pj_per_bit(high).mid < trit_pj:
        return None
    while low < high:
        middle = (low + high) // 2
        if TRIT_BITS * sram.read_pj_per_bit(middle).mid >= trit_pj:
            high = middle
        else:
            low = middle + 1
    return low
