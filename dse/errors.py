"""Errors of the design space, its data and its training; goes on from `cost_models.errors`.

* InvalidInput (ValueError)
  + InvalidDesign: a design point that cannot be built
  + InvalidSpace: a search space that is empty or contradicts itself
  + InvalidData: a data folder, a clip or a class that cannot be used
  + InvalidCheckpoint: a checkpoint that is damaged or belongs to another design
  + InvalidStudy: a study that cannot be run or resumed
* TrainingFailed (RuntimeError): one candidate could not be trained (NaN loss, out of memory)
"""

import re

from cost_models.errors import InvalidField, InvalidFile, InvalidInput, require, short

__all__ = [
    "InvalidCheckpoint",
    "InvalidData",
    "InvalidDesign",
    "InvalidField",
    "InvalidFile",
    "InvalidInput",
    "InvalidSpace",
    "InvalidStudy",
    "TrainingFailed",
    "printable",
    "require",
    "short",
    "steers",
]

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it: control characters of ASCII and Latin-1 but line
breaks and tabs, marks that turn the direction of a line; and halves of characters, which cannot be
written at all."""


class InvalidDesign(InvalidInput):
    """A design point that cannot be built or executed."""


class InvalidSpace(InvalidInput):
    """A search space that is empty or contradicts itself."""


class InvalidData(InvalidInput):
    """A data folder, a clip or a class that cannot be used."""


class InvalidCheckpoint(InvalidInput):
    """A checkpoint that is damaged or belongs to another design."""


class InvalidStudy(InvalidInput):
    """A study that cannot be run or resumed as asked."""


class TrainingFailed(RuntimeError):
    """One candidate could not be trained; the message is the reason that its record keeps."""


def steers(text: str) -> bool:
    """Whether a text has characters that steer a terminal, or that cannot be written."""
    return _STEERING.search(text) is not None


def printable(text: str) -> str:
    """A text of a file, a name or a database as people may see it: what steers becomes a `?`.

    An escape sequence in a name would otherwise colour the terminal, name its window, or overwrite
    the line above.
    """
    return _STEERING.sub("?", text)
