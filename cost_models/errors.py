"""What can be wrong with input, said in one sentence.

* InvalidInput (ValueError): anything a person can mend; the command line prints it and exits with 2
  + InvalidField: one field of a dataclass; knows its name, so that a file and line can be added
  + InvalidFile: a file that cannot be read, or a key in it; names file and line
  + InvalidLayer: a layer that no machine could execute
  + InvalidAccelerator: a machine that cannot execute the workload
    - UnmappableLayer: a layer whose smallest tile is larger than a memory of the machine
"""

from collections.abc import Iterable
from typing import Any

MAX_SHOWN = 80
"""Characters of a wrong value in an error message."""
MAX_TOLD = 20
"""Problems of one file that are told; a file of another form has thousands."""


class InvalidInput(ValueError):
    """Input that a person can mend. The message names value, limit, place and remedy."""


class InvalidField(InvalidInput):
    """One field of a dataclass holds a value that it may not hold."""

    def __init__(self, field: str, requirement: str, value: Any) -> None:
        self.field = field
        self.requirement = requirement
        self.value = value
        super().__init__(f"{field} must be {requirement}, not {short(value)}")


class InvalidFile(InvalidInput):
    """A file that cannot be read, or values in it: a line each, which ends in `(file:line)`."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.problems: tuple[tuple[int, str], ...] = ((line, message),)

    @classmethod
    def of(cls, errors: Iterable["InvalidFile"]) -> "InvalidFile":
        """All errors of a file as one, in the order of its lines."""
        problems = dict.fromkeys(problem for error in errors for problem in error.problems)
        ordered = tuple(sorted(problems, key=lambda problem: problem[0]))
        told = [message for _, message in ordered[:MAX_TOLD]]
        if len(ordered) > MAX_TOLD:
            told.append(f"... and {len(ordered) - MAX_TOLD:,} more problems like these")
        together = cls("\n".join(told))
        together.problems = ordered
        return together


class InvalidLayer(InvalidInput):
    """A layer whose sizes contradict each other."""


class InvalidAccelerator(InvalidInput):
    """A machine that cannot execute the workload it was given."""


class UnmappableLayer(InvalidAccelerator):
    """A layer of which no part fits a memory that it must pass."""


def short(value: Any) -> str:
    """A value for a sentence, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python prints
        return "a number of too many digits"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def require(condition: bool, field: str, requirement: str, value: Any) -> None:
    """Raise `InvalidField` (`<field> must be <requirement>, not <value>`) unless `condition`."""
    if not condition:
        raise InvalidField(field, requirement, value)
