"""Where each tensor lies in the activation memory: rows, for as long as it is alive.

A channel takes ceil(frames / lanes) rows of the memory's banks, a tensor its channels one after the
other. Two tensors that are alive in one step must not overlap; those that are not may take the same
rows.
"""

from dataclasses import dataclass

from dse.errors import InvalidDesign

MOST_TRIES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor, and the steps in which it is alive."""

    name: str
    channels: int
    frames: int
    first: int
    """Step that writes it; -1 for the features."""
    last: int
    """Last step that reads it."""

    def pitch(self, lanes: int) -> int:
        """Rows of a channel."""
        return -(-self.frames // lanes)

    def rows(self, lanes: int) -> int:
        """Rows in all."""
        return self.channels * self.pitch(lanes)

    def meets(self, other: "Tensor") -> bool:
        """Whether both are alive in some step."""
        return self.first <= other.last and other.first <= self.last


def place_tensors(tensors: list[Tensor], lanes: int, rows: int, memory: str) -> dict[str, int]:
    """The first row of each tensor, by name.

    Tensors are placed in the order in which they are written, each at the lowest or the highest
    place that is free while it lives; where a later one has no room, the choice before is taken
    back. So a memory that is full to the last row in some step is used in full.

    Raises:
        InvalidDesign: no such placing was found.
    """
    placed: list[int] = []
    tries = 0
    choices = [_choices(tensors, placed, lanes, rows)]
    while len(placed) < len(tensors):
        tries += 1
        if choices[-1] and tries < MOST_TRIES:
            placed.append(choices[-1].pop(0))
            if len(placed) < len(tensors):
                choices.append(_choices(tensors, placed, lanes, rows))
        elif not placed or tries >= MOST_TRIES:
            most = max(
                sum(each.rows(lanes) for each in tensors if each.first <= step <= each.last)
                for step in range(max(each.last for each in tensors) + 1)
            )
            raise InvalidDesign(
                f"tensors that are alive at a time take {most * lanes * 8:,} bits, and "
                f"'{memory}' has {rows * lanes * 8:,}, in which they find no room: use a machine "
                "with a larger one"
            )
        else:
            choices.pop()
            placed.pop()
    return {tensor.name: at for tensor, at in zip(tensors, placed, strict=True)}


def _choices(tensors: list[Tensor], placed: list[int], lanes: int, rows: int) -> list[int]:
    """Free places of the next tensor: the lowest and the highest."""
    tensor = tensors[len(placed)]
    size = tensor.rows(lanes)
    taken = sorted(
        (at, at + other.rows(lanes))
        for other, at in zip(tensors, placed, strict=False)
        if other.meets(tensor)
    )
    free, begin = [], 0
    for low, high in [*taken, (rows, rows)]:
        if low - begin >= size:
            free += [begin, low - size]
        begin = max(begin, high)
    return list(dict.fromkeys(free[:1] + free[-1:]))
