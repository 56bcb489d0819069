"""What the file of a generator family provides, and what it reads of the design's choice."""

from dataclasses import dataclass
from typing import Literal, Protocol

from dse.ternary.generators.shift_register import Bits, Trits

Signs = Literal["random", "balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """All parameters that any family has; `choice.Generator` is one that was checked.

    A family reads its own (`Family.PARAMETERS`); the others stand at their defaults.
    """

    family: str = "lfsr_threshold"
    """A module in `dse.ternary.generators`."""
    taps: tuple[int, ...] = (127, 97)
    """Of the shift register: bit[n] is the XOR of bit[n - tap]; the first is its length."""
    shift: int = 0
    """Bits that the register moves on from entry to entry; 0: as many as the entry takes."""
    threshold_bits: int = 8
    """Random bits that are compared with density x 2^threshold_bits."""
    tile: tuple[int, ...] = ()
    """Rows and columns of the tiles in whose order the matrix is made; row by row where it is
    empty (`dse.ternary.order`)."""
    rounds: int = 6
    """Of the mixing function behind a counter."""
    signs: Signs = "random"
    """Of one entry a block: each drawn for itself, or balanced: every row adds as many inputs as it
    subtracts, within one."""
    override: bool = False
    """Accept parameters that are known to be bad."""


class Family(Protocol):
    """A module in this package; the functions take what `choice.Generator` has checked."""

    @property
    def PARAMETERS(self) -> tuple[str, ...]:
        """Which fields of `Parameters` are its own."""

    @property
    def EXACT_FAN_IN(self) -> bool:
        """One non-zero entry in each block of 1/density inputs; else entries are independent."""

    @property
    def HELPERS(self) -> tuple[str, ...]:
        """Verilog modules of `dse/rtl/verilog/` that its own, of the family's name, consists of."""

    @property
    def SEED(self) -> str:
        """What its start state is, for data sheets."""

    # --- the matrix

    def check_parameters(self, generator: Parameters) -> None:
        """Raise `InvalidField` for parameters out of range or known to be bad."""

    def check(self, generator: Parameters, density: float, columns: int | None) -> None:
        """Raise `InvalidDesign` unless this density can be made, and should be."""

    def state_bits(self, generator: Parameters) -> int:
        """Bits that start a layer: the length of the `state` that `matrix` and `jump` take."""

    def decision_bits(self, generator: Parameters, density: float) -> int:
        """Random bits that decide whether and where an entry is not zero, sign excluded."""

    def matrix(
        self, generator: Parameters, density: float, state: Bits, rows: int, columns: int
    ) -> Trits:
        """Entries in row-major order, shape (rows, columns), dtype int8, whatever the `tile`.

        A row is an output, a column an input. The same arguments give the same trits everywhere:
        checkpoints hold the seed, not the matrix.

        Args:
            generator: with its parameters.
            density: one that `check` accepts.
            state: `state_bits` bits, first bit first, not all zero.
            rows: output channels.
            columns: input channels.
        """

    def jump(
        self, generator: Parameters, density: float, state: Bits, entries: int, columns: int
    ) -> Bits:
        """The state after `entries` entries, without making them.

        A matrix that starts from it goes on where the first one ended, so rows can be made by
        several generators at once.

        Args:
            generator: with its parameters.
            density: of the matrix.
            state: at entry 0.
            entries: to go on by, in row-major order, 0 or more.
            columns: of the matrix; only families that count rows need it.

        Raises:
            InvalidDesign: the family makes several entries at once, and these end within some.
        """

    # --- the circuit

    def check_lanes(self, generator: Parameters, density: float, lanes: int) -> None:
        """Raise `InvalidDesign` unless its circuit can make so many trits a cycle."""

    def lanes_rule(self, generator: Parameters, density: float) -> str:
        """The end of "another number of lanes gives the same trits", for data sheets."""

    def verilog_parameters(self, generator: Parameters, density: float) -> dict[str, int]:
        """Parameters of its module beside LANES, in the module's order."""

    def start_words(
        self, generator: Parameters, density: float, lanes: int, columns: int
    ) -> dict[str, tuple[int, int]]:
        """Inputs that are taken with `load` beside `seed`: name -> (width, value)."""
