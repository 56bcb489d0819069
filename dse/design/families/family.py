"""The contract of a network family: what a space, a search and a sweep know of it, and no more.

A family turns a handful of named values (*axes*) into a network. It describes the network as a row
of *parts*, its blocks and then its head, and builds any one part from the values alone:

    values = {"blocks": 2, "channels": 32, ...}
    parts:     0      1     2     3     4     5
             Conv1    B1    B2  Conv2 Conv3  head      family.parts(values) == 6

Two things are made of that. A *design point* is all parts in a row (`Family.build`). A *sweep*
never builds designs: a part depends on few axes (`Family.reach`), so each combination of those few
is built and priced once, and a design of ten million is a row of part numbers. Both call the same
`Family.part`, so that a sweep and a design cannot disagree.

A family of a person's own is a file that a study names (`own.py`). A new family of the library is
a file beside `matchboxnet.py`, which gives these functions, and a line in
`dse.design.families.FAMILIES`. One of residual blocks between a first and two last layers, as
MatchboxNet and QuartzNet are, has the functions from `residual.py`, and is a table of defaults.
Axes are decided in their order: an axis that decides whether others matter (`Axis.decides`) stands
before them.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from dse.design.point import Block, DesignPoint, Head
from dse.errors import InvalidDesign, short

Value = int | float | str | bool
Values = dict[str, Value]
"""Axis -> value: an assignment, complete or not."""

BLOCKS = "blocks"
"""The axis whose value says how many blocks are numbered, for families that have axes for each
block; its maximum is the highest number there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One thing that may be chosen about a network."""

    default: Value
    """Its type is the axis's: whole numbers for an `int`, numbers for a `float`."""
    help: str
    per_block: bool = False
    """May be given for one block, too: `channels_b2` then overrides `channels`."""
    step: int = 0
    """Added to the default from block to block."""
    of_blocks: tuple[Value, ...] = ()
    """Defaults of the first, second, ... block where they follow no step; the last one is that of
    all blocks after it, too. A value that is given holds for all blocks."""
    beyond_blocks: bool = False
    """An axis for each block that parts of no number have as well, such as the first layer: they
    have the value for all (`density`) even where every block has one of its own."""
    options: tuple[Value, ...] | None = None
    """All values there are, for an axis of names."""
    pattern: str = ""
    """What values look like, for an axis of names without end: a regular expression."""
    words: str = ""
    """The same for people."""
    minimum: float = 1
    maximum: float | None = None
    grid: int = 0
    """A range is of n/grid; any numbers where it is 0."""
    odd: bool = False
    """Only odd values make a network."""
    of_widths: bool = False
    """Whether a value makes a network depends on its widths, so it is not tried by itself."""
    decides: bool = False
    """Whether another axis matters, or how many parts there are, depends on its value."""
    replaces: tuple[str, ...] = ()
    """Axes that this one chooses all at once: they may not stand beside it."""
    beside: Mapping[str, Value] = field(default_factory=dict)
    """Values of other axes under which this one matters, to try each of its values by itself."""
    fills: Literal["always", "asked", "never"] = "asked"
    """Whether a network that leaves the axis open may take a space's first value where the space
    lacks the default. Always: it is a matter of training, not of structure. Asked: in a person's
    own words, which mean the space. Never: to leave it open means the default."""


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a network, or its head, with what it reads."""

    content: Block | Head
    in_channels: int
    strides: tuple[int, ...]
    """Of the parts before it: what they leave of the frames."""
    ternary_seed: int = 1
    """The network's; the same in all its blocks."""
    in_bits: int = 8
    """Of a value that it reads: of the block before it."""
    in_bins: int = 1
    """Of each frame that it reads."""


@dataclass(frozen=True, slots=True)
class Source:
    """The file of a person's own family."""

    file: str
    """Its name, without folders."""
    text: str

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the text does."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def _everything(axis: str, values: Mapping[str, Value]) -> Collection[int]:
    raise NotImplementedError  # as `Family.__post_init__` replaces it


def dropout_axis(text: str, *, per_block: bool = False) -> Axis:
    """A probability of dropout, off by default."""
    return Axis(default=0.0, minimum=0, per_block=per_block, fills="always", help=text)


def features_as_bins(family: str, features: int) -> int:
    """Bins of the one channel that a family's networks read.

    Args:
        family: its name.
        features: a frame.

    Raises:
        InvalidDesign: one alone, over which nothing can move.
    """
    if features < 2:
        raise InvalidDesign(
            f"family {family} moves over the features of a frame, which must be at least 2, not "
            f"{features}: give in_channels, or coefficients of the features"
        )
    return features


def unnamed(name: str) -> Values | None:
    """Of a family without networks in the literature: no name is of any."""
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """A way to build networks from named values."""

    name: str
    """As `space.family` has it."""
    default: str
    """What the network is where all axes stand at their defaults, for people."""
    axes: Mapping[str, Axis]
    """In the order in which they are decided."""
    matters: Callable[[str, Mapping[str, Value]], bool]
    """(axis, values of those before it) -> whether it changes the network."""
    parts: Callable[[Mapping[str, Value]], int]
    """Blocks and head of the network; only axes that decide may change that."""
    part: Callable[[Mapping[str, Value], int, int], Part]
    """(values, index, features a frame) -> that part, whatever is wrong with the others; features
    are the channels of the first one, or its bins. Raises `InvalidDesign` where it cannot be built.
    """
    reach: Callable[[str, Mapping[str, Value]], Collection[int]] = _everything
    """(axis, values of those that decide) -> the parts that it may change, or whose input it
    changes. To say too many costs a sweep time; one too few would make it wrong. All, where it is
    left out."""
    head: Head = "pooled"
    """Of all its networks."""
    places: tuple[str, ...] = ()
    """Axes that choose what mixes channels, in the order in which policies replace what stands
    there: what `dse match` changes."""
    named: Callable[[str], Values | None] = unnamed
    """The axes of a network by its name in the literature; None where it is none of this family."""
    features: int = 64
    """A frame, where nobody says: what its published networks read."""
    width: str = "channels"
    """The axis that a budget solves where nobody names one (`fill` of a study, `dse match`): whole
    numbers, of which more are more trained parameters."""
    source: Source | None = None
    """The file that it comes from; None of families of the library."""

    def __post_init__(self) -> None:
        """Take an axis to reach everything where nobody says what it reaches."""
        if self.reach is _everything:
            object.__setattr__(self, "reach", lambda _, values: range(self.parts(values)))

    @property
    def over_bins(self) -> bool:
        """Whether its networks move over bins of a frame, too."""
        return self.part({}, 0, self.features).in_bins > 1

    def __reduce__(self) -> tuple[Any, ...]:
        """By its name or its text: a space goes to other processes, functions do not."""
        if self.source is not None:
            return _from_text, (self.source.file, self.source.text)
        return _registered, (self.name,)

    def to_plain(self) -> str | dict[str, str]:
        """As a record has it: its name; of a person's own, its file's name and all its text."""
        if self.source is None:
            return self.name
        source = self.source
        return {"file": source.file, "digest": source.digest, "text": source.text}

    def split(self, name: str) -> tuple[str, int | None]:
        """`channels_b2` -> (`channels`, 2); `channels` -> (`channels`, None).

        Raises:
            InvalidDesign: there is no such axis.
        """
        return _split(self, name)

    def axis(self, name: str) -> Axis:
        """The axis of a name, with or without its block."""
        return self.axes[self.split(name)[0]]

    def find_default(self, name: str) -> Value:
        """The value of an axis that is left open, with or without its block."""
        base, block = self.split(name)
        axis = self.axes[base]
        if block is not None and axis.of_blocks:
            return axis.of_blocks[min(block, len(axis.of_blocks)) - 1]
        return (
            int(axis.default) + (block - 1) * axis.step
            if block is not None and axis.step
            else axis.default
        )

    def get(self, values: Mapping[str, Value], axis: str, block: int | None = None) -> Any:
        """What an assignment says of an axis, for one block or for all; its default otherwise."""
        if block is not None and f"{axis}_b{block}" in values:
            return values[f"{axis}_b{block}"]
        if block is not None and axis not in values and self.axes[axis].of_blocks:
            return self.find_default(f"{axis}_b{block}")
        return values.get(axis, self.axes[axis].default)

    def is_place(self, name: str) -> bool:
        """Whether an axis chooses what stands at a place where channels are mixed."""
        return self.split(name)[0] in self.places

    def build(
        self, values: Mapping[str, Value], *, in_channels: int | None = None, name: str = ""
    ) -> DesignPoint:
        """The design point of an assignment.

        Args:
            values: axis -> value; what is missing takes its default.
            in_channels: features per frame; those of the family where it is None.
            name: for people.

        Raises:
            InvalidDesign: an unknown axis, a value that it may not have, axes that exclude each
                other, or a network that cannot be built.
        """
        for axis, value in values.items():
            self.check(axis, value)
        for _, why in self.clashes(values):
            raise InvalidDesign(why)
        in_channels = self.features if in_channels is None else in_channels
        parts = [self.part(values, index, in_channels) for index in range(self.parts(values))]
        last = parts[-1].content if parts else None
        blocks = tuple(part.content for part in parts[:-1] if isinstance(part.content, Block))
        if last != self.head or len(blocks) != len(parts) - 1:
            raise InvalidDesign(
                f"family {self.name}: parts must be blocks, and its {self.head} head behind them"
            )
        bins = parts[0].in_bins
        if in_channels % bins:
            raise InvalidDesign(
                f"family {self.name}: {in_channels} features a frame are not {bins} bins of each "
                "channel"
            )
        return DesignPoint(
            blocks=blocks,
            in_channels=in_channels // bins,
            in_bins=bins,
            head=self.head,
            ternary_seed=parts[0].ternary_seed,
            name=name,
        )

    def clashes(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Axes that may not stand beside another of the names, and why, in their order.

        An axis such as a policy chooses several others at once (`Axis.replaces`); were both given,
        one of them would have no effect, and one network would have several assignments.
        """
        names = list(names)
        return [
            (
                name,
                f"'{chooser}' chooses '{name}' as well: leave out either '{chooser}' or '{name}'",
            )
            for chooser in names
            for name in names
            if self.split(name)[0] in self.axis(chooser).replaces
        ]

    def check(self, name: str, value: Value) -> None:
        """Raise `InvalidDesign` unless an axis may have a value, whatever the others have."""
        axis = self.axis(name)
        if axis.options is not None:
            right = isinstance(value, bool) == isinstance(axis.default, bool)
            if value not in axis.options or not right:
                options = ", ".join(
                    str(option).lower() if isinstance(option, bool) else str(option)
                    for option in axis.options
                )
                raise InvalidDesign(f"'{name}' must be one of {options}, not {short(value)}")
            return
        if axis.pattern:
            if not (isinstance(value, str) and re.fullmatch(axis.pattern, value)):
                raise InvalidDesign(f"'{name}' must be {axis.words}, not {short(value)}")
            return
        whole = isinstance(axis.default, int)
        if not isinstance(value, int if whole else int | float) or isinstance(value, bool):
            kind = "a whole number" if whole else "a number"
            raise InvalidDesign(f"'{name}' must be {kind}, not {short(value)}")
        if value < axis.minimum:
            raise InvalidDesign(f"'{name}' must be at least {axis.minimum}, not {short(value)}")
        if axis.maximum is not None and value > axis.maximum:
            raise InvalidDesign(f"'{name}' must be at most {axis.maximum}, not {short(value)}")


def _registered(name: str) -> Family:
    from dse.design.families import FAMILIES

    return FAMILIES[name]


def _from_text(file: str, text: str) -> Family:
    from dse.design.families.own import family_from_text

    return family_from_text(file, text)


# Remembered: a sweep asks for the same few names for each part of each piece.
@cache
def _split(family: Family, name: str) -> tuple[str, int | None]:
    axes = family.axes
    if name in axes:
        return name, None
    base, _, number = name.rpartition("_b")
    if base in axes and number.isdecimal():
        if not axes[base].per_block:
            raise InvalidDesign(f"'{base}' is one value for the whole network: '{name}' is not")
        if 1 <= int(number) <= (axes[BLOCKS].maximum or 0):
            return base, int(number)
    close = difflib.get_close_matches(name, axes, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    raise InvalidDesign(f"there is no axis '{name}'{hint}; axes are {', '.join(axes)}")
