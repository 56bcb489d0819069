"""SRAM macros: energy, area and leakage by capacity, width of the word, banks and ports.

A technology has a table of macros by capacity, all with one port of one word width w0 (64 bits).
Between two rows a power law runs through both: energy and area follow powers of the capacity. What
another word costs than w0, `PortLaw` says, in proportion to the table's figure. With C bits of
capacity, words of w bits, and x = w^2 / C, which says how flat and wide a macro is (a word is a row
of cells or a part of one; a square of cells with one word a row has x = 1):

    read   (f(C) + w) (1 + 0.583 x)      f(C) = 553 bits * (C / 65,536)^-0.607
    write  22.9 bits + w
    area   1 + 0.255 x
    leakage  1 + 0.0152 x

Why: a read wakes a whole row of cells, of which the word is a part, so that narrow words pay for
bits that nobody asked for (f); a macro with few long rows is mostly periphery (x); a write drives
the bits of the word and no others.

Fit: all 120 points of CACTI 7 at 45 nm (itrs-hp and itrs-lstp cells, 350 K, one port that reads or
writes, optimised for area; 1 KB to 2 MB, words of 16 to 256 bits), 96 ratios to the 64-bit macro of
the same capacity and cells, least squares of their logarithms. CACTI changes a macro's shape in
steps, so the ratios scatter:

                     45 nm, fitted        65, 32 and 22 nm, not seen by the fit (72 ratios)
                     mean     largest     mean     largest
    read             15 %     73 %        10 %     41 %
    write            7 %      30 %        7 %      28 %
    area             5 %      21 %        5 %      16 %
    leakage          3 %      14 %        2 %      17 %

Range: x of at most 8 (CACTI's flattest: 1 KB with words of 256 bits, 2.9 times the area of the same
with 64). Words of more than 256 bits are made of macros side by side, *banks*; a wider port than x
allows is refused. Words of less than 16 bits are extrapolated, and so dear that nobody should want
them.

    banks of a port   k = port / word, each of C / k bits, so x = k w^2 / C
    all figures       those of a macro of the whole capacity, but as flat as a bank: large macros
                      are cut into pieces anyway, and from whichever bank, a bit has as far to go

A second port (one that reads beside one that writes) is not in those points. In CACTI a port adds a
pair of wires to each cell in either direction: a cell of 10 by 14.6 feature sizes grows by 5 by 5
(two wires of a pitch of 2.5), so its area by 2.01 (parameter.cc, `cell.h` and `cell.w`; 146 squares
and an aspect of 1.46). Energies follow the length of wires, sqrt(2.01) = 1.42; leakage the number
of transistors, 8 to 6.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Annotated

from cost_models.allowed import Allowed, Count, Positive, Source, check_fields
from cost_models.band import Band
from cost_models.errors import InvalidAccelerator, require

NotNegative = Annotated[float, Allowed(ge=0, words="0 or more")]

WIDEST_WORD_BITS = 256
"""Of one macro: the widest that CACTI was asked for."""
FLATTEST = 8.0
"""Word^2 / capacity of the flattest macro that CACTI was asked for."""

SECOND_PORT_AREA = (10 + 5) * (14.6 + 5) / (10 * 14.6)
SECOND_PORT_ENERGY = math.sqrt(SECOND_PORT_AREA)
SECOND_PORT_LEAKAGE = 8 / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far the sources of a whole table lie apart, as factors of its figures."""

    low: Annotated[float, Allowed(gt=0.0, le=1.0)]
    high: Annotated[float, Allowed(ge=1)]
    source: Source

    def __post_init__(self) -> None:
        """Factors around 1 with a source."""
        check_fields(self)

    def band(self, value: float) -> Band:
        """The band of one figure of the table, which is its mid figure."""
        return Band(low=self.low * value, mid=value, high=self.high * value)


EXACT = Spread(low=1.0, high=1.0, source="one source")


@dataclass(frozen=True, slots=True, kw_only=True)
class PortLaw:
    """What words of another width cost, in proportion to the table's (`cost_models.sram`)."""

    source: Source
    row_bits: NotNegative
    """Bits of a row that a read wakes beside its word, of a macro of 65,536 bits."""
    row_exponent: NotNegative
    """Larger macros wake fewer, as they are cut into more pieces: row_bits * (C / 65,536)^-this."""
    read_flatness: NotNegative
    """Share of a read, per word^2 / capacity."""
    write_bits: NotNegative
    """What a write spends whatever its word, as so many bits."""
    area_flatness: NotNegative
    """Share of the area, per word^2 / capacity."""
    leakage_flatness: NotNegative

    def __post_init__(self) -> None:
        """Wider words never cost less."""
        check_fields(self)

    def read(self, capacity_bits: float, word_bits: float, flatness: float) -> float:
        """Energy of a read in units that cancel: only ratios mean something."""
        row_bits: float = self.row_bits * (capacity_bits / 65_536) ** -self.row_exponent
        return (row_bits + word_bits) * (1 + self.read_flatness * flatness)

    def write(self, capacity_bits: float, word_bits: float, flatness: float) -> float:
        """Energy of a write, likewise; it depends on the word alone."""
        return self.write_bits + word_bits


CACTI_45NM = PortLaw(
    source="Fit to CACTI 7 at 45 nm, 1 KB to 2 MB, 16 to 256 bits: cost_models/sram.py.",
    row_bits=553.0,
    row_exponent=0.607,
    read_flatness=0.583,
    write_bits=22.9,
    area_flatness=0.255,
    leakage_flatness=0.0152,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How a memory is put together from macros: words, banks side by side, ports."""

    word_bits: int
    """Of one bank."""
    banks: int = 1
    """That a port reaches at once: its width is banks * word_bits."""
    two_ports: bool = False
    """One that reads and one that writes, instead of one that does either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SramRow:
    """An SRAM macro of one capacity."""

    capacity_bits: Annotated[int, Allowed(ge=1, words="a positive number")]
    read_pj_per_bit: Positive
    write_pj_per_bit: Positive
    area_um2: Positive
    """Of the whole macro."""
    leakage_uw: Positive
    """Of the whole macro."""
    access_ns: Positive | None = None
    """From a clock's edge to the word; left out where nobody knows it (then timing is unknown)."""

    def __post_init__(self) -> None:
        """All are positive."""
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SramTable:
    """SRAM macros by capacity."""

    source: Source
    """Of all rows."""
    word_bits: Count
    """Bits of the access that the energies were divided by."""
    rows: tuple[SramRow, ...]
    """By increasing capacity."""
    port_law: PortLaw = CACTI_45NM
    """What words of another width than `word_bits` cost."""
    energy_spread: Spread = EXACT
    area_spread: Spread = EXACT
    leakage_spread: Spread = EXACT

    def __post_init__(self) -> None:
        """There are rows, in order, with a source."""
        check_fields(self)
        capacities = [row.capacity_bits for row in self.rows]
        ordered = len(capacities) >= 1 and capacities == sorted(set(capacities))
        require(ordered, "rows", "a list by increasing capacity_bits", capacities)

    def read_pj_per_bit(self, capacity_bits: int, build: Build | None = None) -> Band:
        """Energy in pJ to read one bit of a word.

        Args:
            capacity_bits: of the whole memory.
            build: words, banks and ports; one macro with the table's words where it is left out.

        Raises:
            InvalidAccelerator: the capacity is outside the table, or a macro would be too flat.
        """
        pj = self._interpolate(capacity_bits, "read_pj_per_bit")
        return self.energy_spread.band(pj * self._energy_factor("read", capacity_bits, build))

    def write_pj_per_bit(self, capacity_bits: int, build: Build | None = None) -> Band:
        """Energy in pJ to write one bit; otherwise like `read_pj_per_bit`."""
        pj = self._interpolate(capacity_bits, "write_pj_per_bit")
        return self.energy_spread.band(pj * self._energy_factor("write", capacity_bits, build))

    def area_um2(self, capacity_bits: int, build: Build | None = None) -> Band:
        """Area in um2 of all macros, periphery included; otherwise like `read_pj_per_bit`."""
        um2 = self._macro("area_um2", self.port_law.area_flatness, capacity_bits, build)
        second = SECOND_PORT_AREA if build and build.two_ports else 1.0
        return self.area_spread.band(um2 * second)

    def leakage_uw(self, capacity_bits: int, build: Build | None = None) -> Band:
        """Leakage in uW of all macros; otherwise like `read_pj_per_bit`."""
        uw = self._macro("leakage_uw", self.port_law.leakage_flatness, capacity_bits, build)
        second = SECOND_PORT_LEAKAGE if build and build.two_ports else 1.0
        return self.leakage_spread.band(uw * second)

    def access_ns(self, capacity_bits: int, build: Build) -> float:
        """Time from a clock's edge to the word of a bank; of the smallest macro below the table.

        That of 64-bit words: CACTI's differ by -14 to +17 % (45 nm, low-power cells) in no order. A
        second port makes wires longer: times their square, as resistance and capacitance grow.
        """
        bank = max(capacity_bits // build.banks, self.rows[0].capacity_bits)
        second = SECOND_PORT_ENERGY**2 if build.two_ports else 1.0
        return self._interpolate(bank, "access_ns") * second

    def _energy_factor(self, action: str, capacity_bits: int, build: Build | None) -> float:
        """Energy of a bit over that of the table, which is of a word of the table's width."""
        if build is None:
            return 1.0
        _check_flatness(capacity_bits, build)
        law, word, usual = getattr(self.port_law, action), build.word_bits, self.word_bits
        # Flatness is that of a bank; how far a bit has to go, that of the whole memory.
        access = law(capacity_bits, word, word**2 * build.banks / capacity_bits)
        ratio = access / law(capacity_bits, usual, usual**2 / capacity_bits)
        second = SECOND_PORT_ENERGY if build.two_ports else 1.0
        return float(ratio * usual / word * second)

    def _macro(self, column: str, share: float, capacity_bits: int, build: Build | None) -> float:
        """A figure of the whole memory; `share` is what it grows by, per word^2 / capacity."""
        if build is None:
            return self._interpolate(capacity_bits, column)
        _check_flatness(capacity_bits, build)
        bank, smallest = capacity_bits / build.banks, self.rows[0].capacity_bits
        if build.banks > 1 and bank < smallest <= capacity_bits:
            raise InvalidAccelerator(
                f"an SRAM of {capacity_bits:,} bits with a port of {build.banks} words of "
                f"{build.word_bits} bits has banks of {bank:,.0f} bits, and the technology's "
                f"smallest macro has {smallest:,}: lower bandwidth_bits_per_cycle, widen "
                "word_bits, or raise capacity_bits"
            )
        usual = 1 + share * self.word_bits**2 / capacity_bits
        flat = 1 + share * build.word_bits**2 / bank
        return float(self._interpolate(capacity_bits, column) * flat / usual)

    def _interpolate(self, capacity_bits: int, column: str) -> float:
        capacities = [row.capacity_bits for row in self.rows]
        values: list[float] = [getattr(row, column) for row in self.rows]
        if not capacities[0] <= capacity_bits <= capacities[-1]:
            raise InvalidAccelerator(
                f"an SRAM of {capacity_bits:,} bits is outside the technology's table, which "
                f"has {capacities[0]:,} to {capacities[-1]:,} bits: change capacity_bits, make it "
                "a register file (kind: register_file), or use a technology whose table reaches it"
            )
        above = bisect.bisect_left(capacities, capacity_bits)
        if capacities[above] == capacity_bits:
            return values[above]
        low, high = capacities[above - 1], capacities[above]
        # A straight line in the logarithms of both: value = values[above - 1] * (capacity / low)^p
        # with p = log(ratio) / log(high / low).
        share = math.log(capacity_bits / low) / math.log(high / low)
        ratio = values[above] / values[above - 1]
        return float(values[above - 1] * ratio**share)


def _check_flatness(capacity_bits: int, build: Build) -> None:
    """Raise `InvalidAccelerator` where a bank has too few words for their width."""
    port_bits = build.banks * build.word_bits
    if port_bits * build.word_bits > FLATTEST * capacity_bits:
        widest = int(FLATTEST * capacity_bits / build.word_bits)
        if build.banks == 1:
            widest = math.isqrt(int(FLATTEST * capacity_bits))
        raise InvalidAccelerator(
            f"an SRAM of {capacity_bits:,} bits has no rows for a port of {port_bits:,} bits: at "
            f"most {widest:,} (word^2 / capacity up to {FLATTEST:g}, the flattest macro that is "
            "known); lower bandwidth_bits_per_cycle or word_bits, or raise capacity_bits"
        )
