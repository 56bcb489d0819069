"""Errors of the design space, its data and its training; goes on from `cost_models.errors`.

* InvalidInput (ValueError)
  + InvalidDesign: a design point that cannot be built
  + InvalidSpace: a search space that is empty or contradicts itself
  + InvalidData: a data folder, a clip or a class that cannot be used
  + InvalidCheckpoint: a checkpoint that is damaged or belongs to another design
  + InvalidStudy: a study that cannot be run or resumed
* TrainingFailed (RuntimeError): one candidate could not be trained (NaN loss, out of memory)
"""

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
    "require",
    "short",
]


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
