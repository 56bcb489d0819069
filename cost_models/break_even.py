"""Generate a ternary matrix, or store its trits: which costs less, layer by layer.

Both deliver the same trits as often as the mapping asks for them. Stored, a trit is two bits read
from an SRAM; the larger the SRAM, the dearer its read, so there is a size above which generating
saves energy: the break-even. A small SRAM of its own can win, and where it does, this says so.

    generated   energy of the generator for the layer's trits; its area, shared by all layers
    stored      trits * 2 bits * read energy of an SRAM that holds all trits of the network
    break-even  capacity of the SRAM whose 2-bit read costs what a generated trit costs

Energies are dynamic, of one inference. What the SRAM and the generator leak, and what it costs to
write the trits into the SRAM once, is left out on both sides.
"""

from dataclasses import dataclass
from typing import Literal

from cost_models.band import Band
from cost_models.cost import Cost
from cost_models.energy import Component
from cost_models.generator import GeneratorSpec
from cost_models.machine_area import sum_bands
from cost_models.sram import SramTable

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
        # Each entry meets each output frame once, zero or not.
        positions = layer.layer.weight_entries * layer.layer.out_frames
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
