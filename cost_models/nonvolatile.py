"""Memories that hold weights without supply: mask ROM, embedded flash, RRAM and MRAM.

What a rival of a generator would keep constant weights in. None is written during an inference: a
mask ROM never is; flash erases whole sectors in milliseconds; RRAM and MRAM spend some ten times a
read on a write, and wear out. So they hold weights, and nothing else.

    read     a figure per bit: it is that of sensing (a mask ROM: a share of the SRAM's)
    area     squared features a bit, of a whole macro (a mask ROM: a share of the SRAM's)
    leakage  a share of that of an SRAM of the same capacity: cells do not leak, periphery does
    access   nanoseconds, which bound the clock: wait states are not modelled

How far sources disagree, the bands say: macros for microcontrollers are read as economically as
0.2 pJ a bit, or at ten times that. They are of 22 to 90 nm, and not scaled to a technology's node:
what senses a cell scales little. Area is, by the square of the node.

What is known of macros bounds them: `smallest_bits` and `largest_bits` are those that were shown.
Below a megabit, charge pumps, references and their logic would be most of a macro of flash, RRAM or
MRAM, and nobody sells one.

Not in the figures: programming in the factory, the price of additional masks (a mask ROM: new masks
for new weights), and a failed bit's repair.
"""

from dataclasses import dataclass
from types import MappingProxyType

from cost_models.band import Band
from cost_models.errors import InvalidAccelerator
from cost_models.sram import Build
from cost_models.technology import Constant, Technology

NVSIM = (
    "NVSim as shipped with NVMExplorer (L. Pentecost et al., arXiv:2109.01188), macros of 1 MB at "
    "22 nm with words of 64 bits and low-operating-power transistors"
)
LEAKAGE = Constant(
    value=0.1,
    low=0.074,
    high=0.122,
    source=f"{NVSIM}: MRAM 2.10 mW and RRAM 3.43 mW where an SRAM leaks 28.17 mW. Mask ROM and "
    "flash as these: their cells do not leak either.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonVolatile:
    """A kind of memory that holds weights without supply."""

    words: str
    """`mask ROM`."""
    read: Constant
    """pJ a bit; of a mask ROM a share of an SRAM's of this capacity and port."""
    area: Constant
    """Squared features (of `node_nm`) a bit; of a mask ROM a share of an SRAM's."""
    leakage: Constant = LEAKAGE
    """Share of an SRAM's of this capacity."""
    access: Constant | None = None
    """ns; None: as an SRAM of this capacity."""
    like_sram: bool = False
    """`read` and `area` are shares of an SRAM's."""
    smallest_bits: int = 0
    largest_bits: int = 0
    """Of macros that were shown; 0: as the table of SRAMs."""
    smallest_node_nm: int = 1
    """Finest node in which it is made."""
    widest_port_bits: int = 0
    """0: as an SRAM's."""


MASK_ROM = NonVolatile(
    words="mask ROM",
    like_sram=True,
    read=Constant(
        value=0.65,
        low=0.4,
        high=1.0,
        source="Derived; no measured figure of a plain macro was found. High: as an SRAM. Low: "
        "wires follow the edge of a cell, sqrt(22.7 / 146 F2) = 0.39. Value: between, as the "
        "geometric mean.",
    ),
    area=Constant(
        value=0.19,
        low=0.116,
        high=0.303,
        source="G. Yin et al., JSSC 59(6) 2024, DOI 10.1109/JSSC.2023.3326955 (65 nm, two levels a "
        "cell and more): a cell of 0.096 um2 a bit, 22.7 F2; a macro with arithmetic of 3,984 "
        "kb/mm2, 59.4 F2 a bit. Over the 196 F2 a bit of our SRAM at 45 nm; value: the geometric "
        "mean.",
    ),
)

EMBEDDED_FLASH = NonVolatile(
    words="embedded flash",
    read=Constant(
        value=0.63,
        low=0.22,
        high=1.83,
        source="Renesas, 2T-MONOS flash of 1.5 MB in 65 nm SOTB, announced at VLSI 2019: 0.22 pJ a "
        "bit at 64 MHz, 6 uA/MHz where other such flash takes 50, so 1.83 pJ. Value: geometric "
        "mean.",
    ),
    area=Constant(
        value=90.0,
        low=38.0,
        high=205.0,
        source="Low: the cell of 4-Mb split-gate flash at 28 nm, 0.03 um2, 38 F2 (High-speed and "
        "logic-compatible split-gate embedded flash on 28-nm low-power HKMG logic process, IMW). "
        "High: as RRAM's macro. Value: the geometric mean; no density of a macro was found.",
    ),
    access=Constant(
        value=10.0,
        low=5.0,
        high=15.6,
        source="10 ns of split-gate flash at 45 nm (Highly scalable 2nd-generation 45-nm "
        "split-gate embedded flash with 10-ns access time); 200 MHz of Renesas' at 28 nm; 64 MHz "
        "at 65 nm.",
    ),
    smallest_bits=2**20,
    largest_bits=2**24,
    smallest_node_nm=28,
    widest_port_bits=1024,
)

_CELLS_AREA = (
    "Low: the array of {cell} F2 cells with its periphery, {macro} F2 a bit: {nvsim}. High: "
    "Intel's RRAM macro at 22 nm, 10.1 Mb/mm2, 205 F2 a bit (P. Jain et al., ISSCC 2019). Value: "
    "the geometric mean."
)

_SENSING = (
    "Low: {nvsim}, {low} pJ for 64 bits. High: 1 Mb of 4T-2MTJ MRAM at 90 nm, 10.7 mW at 10 ns for "
    "words of 32 bits (T. Ohsawa et al., VLSI Circuits 2012). Value: geometric mean of that and of "
    "0.23 pJ, the least of all measured macros, of 1,024 bits at once (A 22nm 1Mb 1024b-read and "
    "near-memory-computing dual-mode STT-MRAM macro, ISSCC).{more}"
)

RRAM = NonVolatile(
    words="RRAM",
    read=Constant(
        value=0.87,
        low=0.063,
        high=3.3,
        source=_SENSING.format(
            nvsim=NVSIM, low=4.03, more=" Of RRAM itself no measured figure was found."
        ),
    ),
    area=Constant(
        value=111.0,
        low=60.8,
        high=205.0,
        source=_CELLS_AREA.format(cell=53, macro=60.8, nvsim=NVSIM),
    ),
    access=Constant(
        value=5.0,
        source="Sensing in 5 ns at 0.7 V: P. Jain et al., ISSCC 2019 (22 nm).",
    ),
    smallest_bits=2**20,
    largest_bits=2**24,
    smallest_node_nm=22,
    widest_port_bits=1024,
)

MRAM = NonVolatile(
    words="MRAM",
    read=Constant(
        value=0.87,
        low=0.059,
        high=3.3,
        source=_SENSING.format(
            nvsim=NVSIM,
            low=3.79,
            more=" A whole memory chip takes ten times as much: 14 mW at 54 MB/s (Samsung, 14 nm, "
            "IEDM 2022, 10.7).",
        ),
    ),
    area=Constant(
        value=111.0,
        low=60.1,
        high=205.0,
        source=_CELLS_AREA.format(cell=54, macro=60.1, nvsim=NVSIM),
    ),
    access=Constant(
        value=3.6,
        low=2.75,
        high=10.0,
        source="1 Mb at 28 nm: 2.8 ns at 25 and 3.6 ns at 120 degrees C (JSSC 54(1) 2019, document "
        "8493263). Low: 22 nm, ISSCC, 1,024 bits at once. High: the cycle of 4T-2MTJ at 90 nm.",
    ),
    smallest_bits=2**20,
    largest_bits=2**25,
    smallest_node_nm=14,
    widest_port_bits=1024,
)

NONVOLATILE = MappingProxyType(
    {"mask_rom": MASK_ROM, "eflash": EMBEDDED_FLASH, "rram": RRAM, "mram": MRAM}
)
"""By `kind` of a memory."""


def sizes_range(kind: str, technology: Technology) -> tuple[int, int]:
    """Smallest and largest capacity of a kind, in bits."""
    of = NONVOLATILE[kind]
    rows = technology.sram.rows
    largest = min(of.largest_bits or rows[-1].capacity_bits, rows[-1].capacity_bits)
    return of.smallest_bits or rows[0].capacity_bits, largest


def check_made(kind: str, capacity_bits: int, port_bits: int, technology: Technology) -> None:
    """Raise `InvalidAccelerator` where a kind is not made in this size, port or technology."""
    of = NONVOLATILE[kind]
    low, high = sizes_range(kind, technology)
    if technology.node_nm < of.smallest_node_nm:
        raise InvalidAccelerator(
            f"{of.words} of {capacity_bits:,} bits: made down to {of.smallest_node_nm} nm, and "
            f"{technology.name} is of {technology.node_nm} nm; use another kind or technology"
        )
    if not low <= capacity_bits <= high:
        raise InvalidAccelerator(
            f"{of.words} of {capacity_bits:,} bits has no known price: macros have {low:,} to "
            f"{high:,}; change capacity_bits, or use another kind"
        )
    if of.widest_port_bits and port_bits > of.widest_port_bits:
        raise InvalidAccelerator(
            f"{of.words} of {capacity_bits:,} bits with a port of {port_bits:,}: at most "
            f"{of.widest_port_bits:,}, the widest that was shown; lower bandwidth_bits_per_cycle"
        )


def read_pj_per_bit(kind: str, capacity_bits: int, build: Build, technology: Technology) -> Band:
    """Energy to read a bit, in pJ."""
    of = NONVOLATILE[kind]
    if not of.like_sram:
        return of.read.band
    return _times(technology.sram.read_pj_per_bit(capacity_bits, build), of.read)


def area_um2(kind: str, capacity_bits: int, build: Build, technology: Technology) -> Band:
    """Area of a macro, in um2."""
    of = NONVOLATILE[kind]
    if of.like_sram:
        return _times(technology.sram.area_um2(capacity_bits, build), of.area)
    return of.area.band.scaled(capacity_bits * (technology.node_nm * 1e-3) ** 2)


def leakage_uw(kind: str, capacity_bits: int, technology: Technology) -> Band:
    """Leakage of a macro, in uW, whatever its port."""
    return _times(technology.sram.leakage_uw(capacity_bits), NONVOLATILE[kind].leakage)


def access_ns(kind: str, capacity_bits: int, build: Build, technology: Technology) -> float:
    """Time from a clock's edge to a word, in ns."""
    of = NONVOLATILE[kind]
    if of.access is not None:
        return of.access.value
    return technology.sram.access_ns(capacity_bits, build)


def _times(figure: Band, share: Constant) -> Band:
    """Low with low and high with high: as if both were wrong the same way."""
    band = share.band
    return Band(low=figure.low * band.low, mid=figure.mid * band.mid, high=figure.high * band.high)
