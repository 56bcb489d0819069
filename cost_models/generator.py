"""Area and energy of a generator of ternary weights, from what it is built of.

A generator's circuit consists of parts that are counted exactly (`generator_parts`), each with a
constant per unit that is fitted to synthesis (`AREA_FITS`) or taken from gate-level simulation
(`ENERGY_45NM`):

    area_um2           = sum over parts of count x area per unit
    energy_pj_per_trit = sum over parts of count x energy per unit / lanes

Counts, for L lanes, k decision bits, B = 2^k inputs a block (one-hot and Sobol'), N state bits:

    family           state            random bits a cycle     deciding
    lfsr_threshold   N, threshold k   L (k + 1)               L k compared bits
    lfsr_and         N                L (k + 1)               L k AND inputs
    one_hot          N (+ 2)          (L / B)(k + 1)          L / B decoders (+ gates)
    counter_arx      64, threshold k  ceil(L / E) words of    L k compared bits
                                      32 bits, E a word
    sobol            48 + k, 48 of    ceil(L / (32 B)) words  L / B decoders, adders of
                     counters         of 32 bits              16 bits and parities

(+): balanced signs where an odd number of blocks is made in a cycle (`_one_hot`).

The decision bits come from the design, the lanes from the machine. State and counters are
flip-flops with load and enable; random bits are the XOR gates of the leap-forward register.

How good it is: docs/evidence/generator.md ("Area and energy") and the docstrings of the tables.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

from cost_models.errors import InvalidAccelerator, require

WORD_BITS = 32
"""Of the mixing function."""
POINT_BITS = 16
"""Of a Sobol' point's number."""
SECOND_TAPS = {89: 51, 127: 97, 521: 353, 607: 460}
"""State bits -> the nearer of the two taps, of the registers that `dse.ternary.generators`
offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSpec:
    """What makes a ternary matrix: the design's choice, which hardware must match bit for bit.

    The number of lanes is not part of it: no family's matrix depends on how many trits are made per
    cycle.
    """

    family: str
    """A name in `FAMILIES`; how it turns its state into trits is in `dse.ternary.generators`."""
    state_bits: int
    """Of the shift register or counter; stored once a layer to start it."""
    decision_bits: int
    """Random bits that decide whether and where an entry is not zero: compared with a threshold
    (k), ANDed (j), or the place in a block of 2^bits entries (one-hot); the sign takes one more."""
    rounds: int = 0
    """Of the mixing function; 0 for families without one."""
    paired_signs: bool = False
    """Blocks share sign bits in pairs, for balanced signs; `one_hot` only."""

    @property
    def start_bits(self) -> int:
        """Of all words that the circuit takes with `load`: state, threshold, last block of a row.

        One circuit makes the matrices of several layers, of other densities and widths.
        """
        if self.family in ("lfsr_threshold", "counter_arx"):
            return self.state_bits + self.decision_bits
        return self.state_bits + (POINT_BITS if self.family == "sobol" else 0)

    def __post_init__(self) -> None:
        """The family is known, sizes are not negative, and there is a state."""
        require(self.family in FAMILIES, "family", f"one of {', '.join(FAMILIES)}", self.family)
        for name, least in (("state_bits", 1), ("decision_bits", 0), ("rounds", 0)):
            require(getattr(self, name) >= least, name, f"at least {least}", getattr(self, name))
        require(
            self.family == "one_hot" or not self.paired_signs,
            "paired_signs",
            f"left out for family {self.family} (it is of one_hot)",
            self.paired_signs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorParts:
    """Counts of what a generator is built of; they do not depend on a technology."""

    lanes: int
    """Trits made in a cycle."""
    state_bits: int
    """Flip-flops that are loaded with the seed, and counters beside it."""
    threshold_bits: int
    """Flip-flops that hold the density, one threshold for all lanes."""
    fresh_bits: int
    """Random bits that a shift register with two taps makes in a cycle."""
    deep_bits: int
    """Sum over those of how often the register's length lies before them: XORs of XORs, which a
    mapper for short paths partly makes again instead of sharing."""
    hasty_bits: int
    """Those of them that are three bits' XOR on the circuit's longest path: taken at once there."""
    fresh_bits_four_taps: int
    """Random bits that one with four taps makes."""
    deep_bits_four_taps: int
    """Like `deep_bits`: XORs of XORs also glitch."""
    compare_bits: int
    """Bits of all comparators."""
    and_inputs: int
    """Inputs of all AND gates that decide."""
    decoder_gates: int
    """AND gates of two inputs in decoders: families with one non-zero entry a block."""
    mixing_bits: int
    """Bits of words times rounds of the ARX mixing function."""
    point_bits: int
    """Bits that are XORed to the digits of Sobol' points; the adders before them go with these."""

    @property
    def flip_flops(self) -> int:
        """State, counters and threshold."""
        return self.state_bits + self.threshold_bits


def generator_parts(spec: GeneratorSpec, lanes: int, *, feedback_taps: int = 2) -> GeneratorParts:
    """Count the parts of a generator.

    A shift register of N bits that makes m random bits a cycle (leap-forward) has m next-state
    XORs. Bit i of them reads bits that lie N and fewer places before it: for i < N those are in the
    register, from i = N on they are made in the same cycle, so that XORs stand behind XORs.
    With N = 127 and m = 300:

        bits   0 to 126   read the register                    depth 0
        bits 127 to 253   read bits of depth 0                 depth 1    127 * 1
        bits 254 to 299   read bits of depth 1                 depth 2   + 46 * 2  = 219 deep bits

    Such logic is longer, and a mapper makes parts of it twice rather than wait for them: hence
    `deep_bits` and `hasty_bits`, with constants of their own.

    Args:
        spec: family, state bits, decision bits and rounds: the design's.
        lanes: trits made in a cycle, at least 1: the machine's. Where a family makes whole words or
            blocks, the last one may be used in part.
        feedback_taps: of a shift register, 2 or 4.

    Raises:
        InvalidAccelerator: lanes are less than 1, or taps are not 2 or 4.
    """
    if lanes < 1:
        raise InvalidAccelerator(f"trits per cycle must be at least 1, not {lanes}")
    if feedback_taps not in (2, 4):
        raise InvalidAccelerator(f"a shift register has 2 or 4 taps here, not {feedback_taps}")
    counts = dict.fromkeys((field.name for field in fields(GeneratorParts)), 0)
    counts |= {"lanes": lanes, "state_bits": spec.state_bits} | FAMILIES[spec.family](spec, lanes)
    if feedback_taps == 4:
        counts["fresh_bits_four_taps"], counts["fresh_bits"] = counts["fresh_bits"], 0
        counts["hasty_bits"] = 0
    for part in ("", "_four_taps"):
        made = counts[f"fresh_bits{part}"]
        counts[f"deep_bits{part}"] = sum(bit // spec.state_bits for bit in range(made))
    return GeneratorParts(**counts)


# --- the families: parts besides the state, for some lanes


def _lfsr_threshold(spec: GeneratorSpec, lanes: int) -> dict[str, int]:
    k = spec.decision_bits
    return {"threshold_bits": k, "fresh_bits": lanes * (k + 1), "compare_bits": lanes * k}


def _lfsr_and(spec: GeneratorSpec, lanes: int) -> dict[str, int]:
    j = spec.decision_bits
    made = lanes * (j + 1)
    hasty = _hasty_bits(made, spec.state_bits, j)
    return {"fresh_bits": made, "hasty_bits": hasty, "and_inputs": lanes * j}


def _one_hot(spec: GeneratorSpec, lanes: int) -> dict[str, int]:
    """Decoders; balanced signs are free, but for lanes of an odd number of blocks.

    The second of a pair takes the inverse of the first one's sign, which the cells have anyway: in
    small_130nm and sky130 the area changes by less than 0.6 % (20 designs). Where pairs are cut by
    cycles, two flip-flops hold the half that came before, and each block chooses between its own
    bit and that of the block before: counted as one gate of two inputs, which is within 0.7 % of
    the area of 1 to 9 blocks on a register of 127 bits.
    """
    k, blocks = spec.decision_bits, _blocks(spec, lanes)
    held = pair_bits(spec, lanes)
    return {
        "state_bits": spec.state_bits + held,
        "fresh_bits": blocks * (k + 1),
        "decoder_gates": blocks * (_decoder_gates(k) + (held > 0)),
    }


def pair_bits(spec: GeneratorSpec, lanes: int) -> int:
    """Flip-flops beside the register that tell of a pair of blocks that a cycle cuts.

    One says that a half came before, the other is its sign.
    """
    return 2 if spec.paired_signs and _blocks(spec, lanes) % 2 else 0


def _counter_arx(spec: GeneratorSpec, lanes: int) -> dict[str, int]:
    k = spec.decision_bits
    words = -(-lanes // _entries_per_word(spec))
    mixing = words * WORD_BITS * spec.rounds
    return {"threshold_bits": k, "compare_bits": lanes * k, "mixing_bits": mixing}


def _sobol(spec: GeneratorSpec, lanes: int) -> dict[str, int]:
    k, blocks = spec.decision_bits, _blocks(spec, lanes)
    words = -(-blocks // WORD_BITS)
    return {
        # Key, output, the used digits of the shift; then block, offset and last block.
        "state_bits": WORD_BITS + POINT_BITS + k + 3 * POINT_BITS,
        "decoder_gates": blocks * _decoder_gates(k),
        "mixing_bits": words * WORD_BITS * spec.rounds,
        # Digit d is the XOR of the bits j with C(j, d) odd: those that contain d's bits.
        "point_bits": blocks * sum(POINT_BITS >> d.bit_count() for d in range(k)),
    }


FAMILIES: dict[str, Callable[[GeneratorSpec, int], dict[str, int]]] = {
    "lfsr_threshold": _lfsr_threshold,
    "lfsr_and": _lfsr_and,
    "one_hot": _one_hot,
    "counter_arx": _counter_arx,
    "sobol": _sobol,
}
"""Family -> what its circuit has: (spec, lanes) -> part of `GeneratorParts` -> count."""


def in_any_order(spec: GeneratorSpec) -> bool:
    """Whether the family makes entries from their number, so that any may be the next one.

    What a shift register makes follows from what it made before: `cost_models.generation`.
    """
    return spec.family in ("counter_arx", "sobol")


def run_entries(spec: GeneratorSpec) -> int:
    """Entries of a row that a generator makes together: runs begin at multiples of it.

    Those of a word of the counter, those of a block; 1 where each entry is made by itself.
    """
    if spec.family == "counter_arx":
        return _entries_per_word(spec)
    return 2**spec.decision_bits if spec.family in ("one_hot", "sobol") else 1


def _entries_per_word(spec: GeneratorSpec) -> int:
    """Each takes k bits to decide and one for its sign; a word holds a power of two of them.

    k = 8: 32 // 9 = 3, so 2 entries; the other bits of the word are not used.
    """
    return 1 << ((WORD_BITS // (spec.decision_bits + 1)).bit_length() - 1)


def _blocks(spec: GeneratorSpec, lanes: int) -> int:
    """Blocks of 2^decision_bits lanes; the last may be used in part."""
    size: int = 2**spec.decision_bits
    return -(-lanes // size)


def _hasty_bits(made: int, state_bits: int, and_bits: int) -> int:
    """Bits of a short cycle behind the second tap; later bits or wide ANDs are longer paths.

    The two limits are read off Yosys' results in sky130, whose XOR of three is large; they are not
    all there is to it (docs/evidence/generator.md).
    """
    if and_bits > 4 or made > 1.75 * state_bits or state_bits not in SECOND_TAPS:
        return 0
    return max(0, made - SECOND_TAPS[state_bits])


def _decoder_gates(bits: int) -> int:
    """AND gates of two inputs that decode a number: each half first, then every pair.

    3 bits: 1 bit needs no gate, 2 bits need 4, and the 2 x 4 pairs of their lines 8: 12 in all. Two
    levels of gates share the halves, where 8 gates of three inputs each would be as large as 16.
    """
    if bits < 2:
        return 0  # a bit and its inverse
    half = bits // 2
    gates: int = 2**bits + _decoder_gates(half) + _decoder_gates(bits - half)
    return gates


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorArea:
    """Area per unit of each part of `GeneratorParts`, in one cell library (`AREA_PARTS`)."""

    state_um2_per_bit: float
    threshold_um2_per_bit: float
    fresh_um2_per_bit: float
    deep_um2_per_bit: float
    hasty_um2_per_bit: float
    fresh_four_taps_um2_per_bit: float
    compare_um2_per_bit: float
    and_um2_per_input: float
    decoder_um2_per_gate: float
    mixing_um2_per_bit: float
    point_um2_per_bit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorEnergy:
    """Energy per unit of each part and cycle, in one technology (`ENERGY_PARTS`)."""

    state_pj_per_bit: float
    """Clock, and the change of a state bit every other cycle."""
    fresh_four_taps_pj_per_bit: float
    deep_four_taps_pj_per_bit: float
    compare_pj_per_bit: float
    """Random bits included: they toggle the comparator that reads them."""
    and_pj_per_input: float
    decoder_pj_per_gate: float
    mixing_pj_per_bit: float
    point_pj_per_bit: float


AREA_PARTS = {
    "state_bits": "state_um2_per_bit",
    "threshold_bits": "threshold_um2_per_bit",
    "fresh_bits": "fresh_um2_per_bit",
    "deep_bits": "deep_um2_per_bit",
    "hasty_bits": "hasty_um2_per_bit",
    "fresh_bits_four_taps": "fresh_four_taps_um2_per_bit",
    "compare_bits": "compare_um2_per_bit",
    "and_inputs": "and_um2_per_input",
    "decoder_gates": "decoder_um2_per_gate",
    "mixing_bits": "mixing_um2_per_bit",
    "point_bits": "point_um2_per_bit",
}
"""Part of `GeneratorParts` -> its constant in `GeneratorArea`."""

ENERGY_PARTS = {
    "state_bits": "state_pj_per_bit",
    "threshold_bits": "state_pj_per_bit",
    "fresh_bits_four_taps": "fresh_four_taps_pj_per_bit",
    "deep_bits_four_taps": "deep_four_taps_pj_per_bit",
    "compare_bits": "compare_pj_per_bit",
    "and_inputs": "and_pj_per_input",
    "decoder_gates": "decoder_pj_per_gate",
    "mixing_bits": "mixing_pj_per_bit",
    "point_bits": "point_pj_per_bit",
}
"""Part of `GeneratorParts` -> its constant in `GeneratorEnergy`.

The random bits of a register with two taps have no line: the fit has their energy in what reads
them. A threshold's flip-flops cost what those of the state do.
"""


def generator_area_um2(parts: GeneratorParts, constants: GeneratorArea) -> float:
    """Cell area before layout, in um2: sum over the parts of count times area per unit."""
    area_um2: float = sum(
        getattr(parts, part) * getattr(constants, name) for part, name in AREA_PARTS.items()
    )
    return area_um2


def generator_energy_pj_per_cycle(parts: GeneratorParts, constants: GeneratorEnergy) -> float:
    """Dynamic energy of one cycle in which all lanes make a trit.

    The last cycle of a layer, of which not all trits may be needed, is taken to cost as much as any
    other (`cost_models.pricing` rounds cycles up).
    """
    energy_pj: float = sum(
        getattr(parts, part) * getattr(constants, name) for part, name in ENERGY_PARTS.items()
    )
    return energy_pj


def generator_energy_pj_per_trit(parts: GeneratorParts, constants: GeneratorEnergy) -> float:
    """Dynamic energy of one trit, where all lanes are busy.

    The state's clock is shared by the lanes: a trit gets cheaper with more of them, down to what
    its own random bits and comparison cost.
    """
    return generator_energy_pj_per_cycle(parts, constants) / parts.lanes


ENERGY_45NM = GeneratorEnergy(
    state_pj_per_bit=0.016571,
    fresh_four_taps_pj_per_bit=0.0020007,
    deep_four_taps_pj_per_bit=0.0013471,
    compare_pj_per_bit=0.0077614,
    and_pj_per_input=0.0070293,
    decoder_pj_per_gate=0.0043867,
    mixing_pj_per_bit=0.0141,
    point_pj_per_bit=0.0083,
)
"""Nangate45 at 1.1 V, random data, wire-load model, before layout; 0.669 times that at 0.9 V.

Fitted to 36 generators of these forms (benchmarks/generator_energy.csv): mean error 3.4 %, largest
11.0 %. None of the 36 mixes or follows Sobol' points: `mixing_pj_per_bit` is what two ARX
generators of four rounds leave (13.8 and 14.4 fJ), `point_pj_per_bit` a 24-bit addition of random
numbers (0.206 pJ), per bit; expect 30 % there.
"""

AREA_FITS: dict[str, GeneratorArea] = {
    "small_130nm": GeneratorArea(
        state_um2_per_bit=36.073,
        threshold_um2_per_bit=20.306,
        fresh_um2_per_bit=6.973,
        deep_um2_per_bit=0.42875,
        hasty_um2_per_bit=0,
        fresh_four_taps_um2_per_bit=16.869,
        compare_um2_per_bit=10.614,
        and_um2_per_input=2.6732,
        decoder_um2_per_gate=7.4002,
        mixing_um2_per_bit=24.607,
        point_um2_per_bit=8.3871,
    ),
    "sky130": GeneratorArea(
        state_um2_per_bit=41.107,
        threshold_um2_per_bit=32.082,
        fresh_um2_per_bit=9.4559,
        deep_um2_per_bit=1.0037,
        hasty_um2_per_bit=9.0749,
        fresh_four_taps_um2_per_bit=19.205,
        compare_um2_per_bit=8.3738,
        and_um2_per_input=0.96305,
        decoder_um2_per_gate=5.2073,
        mixing_um2_per_bit=25.157,
        point_um2_per_bit=6.7199,
    ),
    "asap7": GeneratorArea(
        state_um2_per_bit=0.54831,
        threshold_um2_per_bit=0.5617,
        fresh_um2_per_bit=0.14249,
        deep_um2_per_bit=0.0048799,
        hasty_um2_per_bit=0,
        fresh_four_taps_um2_per_bit=0.29075,
        compare_um2_per_bit=0.091562,
        and_um2_per_input=0,
        decoder_um2_per_gate=0.090059,
        mixing_um2_per_bit=0.38153,
        point_um2_per_bit=0.12621,
    ),
    "nangate45": GeneratorArea(
        state_um2_per_bit=7.5184,
        threshold_um2_per_bit=6.3749,
        fresh_um2_per_bit=1.6191,
        deep_um2_per_bit=0.15012,
        hasty_um2_per_bit=0,
        fresh_four_taps_um2_per_bit=3.4632,
        compare_um2_per_bit=1.5671,
        and_um2_per_input=0,
        decoder_um2_per_gate=1.1262,
        mixing_um2_per_bit=4.4,
        point_um2_per_bit=1.7,
    ),
}
"""Cell library -> um2 per unit, Yosys 0.70, default flow for area, before layout.

Fitted by benchmarks/fit_generator.py to benchmarks/generator_area.csv (the mean relative error plus
the largest is minimised), errors:

    small_130nm   190 designs   mean 1.7 %   largest 4.0 %
    sky130        174 designs   mean 1.3 %   largest 4.8 %
    asap7         163 designs   mean 1.3 %   largest 3.9 %
    nangate45      69 designs   mean 2.0 %   largest 4.2 %

Designs at random that no fit has seen: benchmarks/generator_area_held_out.csv and
docs/evidence/generator.md.

The first three are our own Verilog in a small library of this program with cell areas of sky130,
in sky130_fd_sc_hd and in ASAP7 (RVT, typical). nangate45 are areas of generators of the same form,
made for this project before; they hold neither mixing nor points: `mixing_um2_per_bit` is from nine
ARX generators (4.0 to 5.1, of four and six rounds), `point_um2_per_bit` scaled from small_130nm by
the area of a NAND of two inputs.
"""
