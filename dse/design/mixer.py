"""A mixing layer as data: what stands at a place where channels are mixed by a 1x1 matrix.

Rows of the table are kinds, each a file in `dse/networks/mixers/`; m outputs, n inputs:

    kind              trained numbers    multiplied   what is stored
    dense             m n                m n          m n weights
    ternary           0                  0            a seed                 (arXiv 2103.17142)
    scaled_ternary    m                  0            a seed, m gains
    partly_ternary    k n                k n          k rows of weights, a seed for the others
    frozen_dense      0                  m n          m n constants
    grouped           m n / g            m n / g      m n / g weights        (ShuffleNet)
    low_rank          r (m + n)          r (m + n)    r (m + n) weights
    monarch           (m + n) p / b      same         same                   (arXiv 2204.00595)
    butterfly         2 n log2 n         same         same                   (arXiv 1903.05895)
    block_circulant   m n / s            m n          m n / s weights
    trained_ternary   m n                0            m n trits, one scale   (arXiv 1605.04711)
    ttq               m n + 2            0            m n trits, two scales  (arXiv 1612.01064)
    bitnet            m n                0            m n trits, one scale   (arXiv 2402.17764)
    codebook          m n + more         m n + more   codes, a table, two thin matrices
    identity          0                  0            nothing

with p = min(m, n), and the others as `Mixer`'s fields. Which of them pays is what a search finds
out; a control that is no rival is `frozen_dense` (does ternary hurt, or does freezing?).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from cost_models.allowed import Allowed, check_fields
from dse.errors import InvalidDesign, require
from dse.ternary.generators import Generator
from dse.ternary.matrix import check_density

MixerKind = Literal[
    "dense",
    "ternary",
    "scaled_ternary",
    "partly_ternary",
    "frozen_dense",
    "grouped",
    "low_rank",
    "monarch",
    "butterfly",
    "block_circulant",
    "trained_ternary",
    "ttq",
    "bitnet",
    "codebook",
    "identity",
]
KINDS: tuple[MixerKind, ...] = get_args(MixerKind)

_GENERATED = ("density", "generator")
NEEDS: dict[MixerKind, tuple[str, ...]] = {
    "dense": (),
    "ternary": _GENERATED,
    "scaled_ternary": _GENERATED,
    "partly_ternary": (*_GENERATED, "trained_share"),
    "frozen_dense": (),
    "grouped": ("groups",),
    "low_rank": ("rank",),
    "monarch": ("blocks",),
    "butterfly": (),
    "block_circulant": ("block_size",),
    "trained_ternary": (),
    "ttq": (),
    "bitnet": (),
    "codebook": ("rank", "code_length", "code_bits"),
    "identity": (),
}
"""Kind -> fields that it needs; all others are left out."""

GENERATED_KINDS = frozenset(kind for kind, needs in NEEDS.items() if "generator" in needs)
"""Kinds with rows that a generator makes."""
SEEDED_KINDS = GENERATED_KINDS | {"frozen_dense"}
"""Kinds whose matrix follows from the network's `ternary_seed`."""

OWN_BITS = frozenset({"trained_ternary", "ttq", "bitnet", "codebook", "ternary", "scaled_ternary"})
"""Kinds whose matrix has bits of its own, whatever those of the block's other weights."""

# Far beyond any network for speech, as in `dse.design.point`.
_Width = Annotated[int | None, Allowed(ge=1, le=16_384)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixer:
    """How one place of the network mixes its channels."""

    kind: MixerKind = "dense"
    """A file in `dse/networks/mixers/`."""
    density: float | None = None
    """Share of non-zero entries; of kinds with generated rows only."""
    generator: Generator | None = None
    """What makes the matrix; of kinds with generated rows only."""
    trained_share: Annotated[float | None, Allowed(gt=0.0, lt=1.0)] = None
    """Share of the rows that are trained; partly_ternary only."""
    groups: _Width = None
    """Of channels that are mixed among themselves; grouped only."""
    rank: _Width = None
    """Of the product of two thin matrices; low_rank and codebook only."""
    blocks: _Width = None
    """On the diagonal of each factor; monarch only."""
    block_size: _Width = None
    """Rows and columns of a circulant block; block_circulant only."""
    code_length: _Width = None
    """Weights of a row that one code stands for; codebook only."""
    code_bits: Annotated[int | None, Allowed(ge=1, le=12)] = None
    """Of a code: the table has two to that power of entries; codebook only."""

    def __post_init__(self) -> None:
        """A kind has the fields that it needs, and no others."""
        check_fields(self)
        needs = NEEDS[self.kind]
        if any(getattr(self, name) is None for name in needs):
            raise InvalidDesign(f"a {self.kind} mixer needs {_listed(needs)}")
        for name in PARAMETERS:
            value = getattr(self, name)
            if name not in needs and value is not None:
                told = value.label if isinstance(value, Generator) else value
                require(False, name, f"left out for kind {self.kind}", told)
        if self.density is not None and self.generator is not None:
            check_density(self.density, self.generator)

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields that this kind needs, by their names."""
        return {name: getattr(self, name) for name in NEEDS[self.kind]}


PARAMETERS = tuple(dict.fromkeys(name for needs in NEEDS.values() for name in needs))
"""All fields of a mixer but its kind."""


def trained_rows(mixer: Mixer, rows: int) -> int:
    """Rows of a matrix that are trained beside generated ones; at least one, and not all.

    Of `partly_ternary` the share of the rows, rounded; 0 of the other kinds with a generator.
    """
    if mixer.trained_share is None:
        return 0
    return min(max(round(mixer.trained_share * rows), 1), rows - 1)


def check_widths(mixer: Mixer, columns: int, rows: int) -> None:
    """Raise `InvalidDesign` unless a mixer can turn `columns` channels into `rows`.

    The sentence says which sizes would do.
    """
    if mixer.density is not None and mixer.generator is not None:
        check_density(mixer.density, mixer.generator, columns)
    shape = f"{columns} input and {rows} output channels"
    for name in ("groups", "blocks", "block_size"):
        size = getattr(mixer, name)
        if size is not None and math.gcd(columns, rows) % size:
            fitting = map(str, _divisors(math.gcd(columns, rows)))
            raise InvalidDesign(
                f"{name} of a {mixer.kind} mixer must divide {shape}, and {size} does not: use "
                f"{_listed(fitting, 'or')}"
            )
    if mixer.rank is not None and mixer.rank > min(columns, rows):
        raise InvalidDesign(
            f"rank {mixer.rank} of a {mixer.kind} mixer is above the narrower of {shape}: use at "
            f"most {min(columns, rows)}"
        )
    if mixer.code_length is not None and columns % mixer.code_length:
        raise InvalidDesign(
            f"code_length {mixer.code_length} does not divide {columns} input channels: use "
            f"{_listed(map(str, _divisors(columns)), 'or')}"
        )
    if mixer.kind == "partly_ternary" and rows < 2:
        raise InvalidDesign("a partly_ternary mixer needs at least 2 output channels, not 1")
    if mixer.kind == "butterfly":
        for width in (columns, rows):
            low = max(2, 1 << (width.bit_length() - 1))
            if width != low:
                raise InvalidDesign(
                    f"a butterfly mixer needs widths that are powers of two, not {width}: use "
                    f"{low} or {2 * low}"
                )
    if mixer.kind == "identity" and columns != rows:
        raise InvalidDesign(
            f"an identity cannot turn {columns} channels into {rows}; use a dense or ternary "
            "mixer, or equal widths"
        )


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _listed(words: Iterable[str], link: str = "and") -> str:
    *first, last = words
    return f"{', '.join(first)} {link} {last}" if first else last


DENSE = Mixer()
IDENTITY = Mixer(kind="identity")
