"""What the networks of a study got wrong of each validation clip, as their folders say.

`evaluation.json` of a design has it, of words (`dse.training.best_scores`) and of sentences
(`dse.training.best_sentences`) alike.
"""

from pathlib import Path

import numpy as np

from dse.errors import InvalidInput
from dse.studies.rows import Evaluation
from dse.training.best_scores import read_best_scores
from dse.training.best_sentences import read_best_sentences
from dse.training.clipwise import Mistakes, of_words


def find_mistakes(folder: Path, row: Evaluation, measured: str) -> Mistakes | None:
    """What a design got wrong; None where no record of this training says so.

    A record of another training of the design (another error than the row's) is none.

    Args:
        folder: of the design.
        row: of its training.
        measured: `error`, of the network in floats, or `quantised_error`.
    """
    try:
        told = read_mistakes(folder, whole=measured == "quantised_error")
    except (InvalidInput, OSError):
        return None
    if told is None:
        return None
    error = min(1.0, float(told.rates[0]))
    return told if np.isclose(error, row.column(measured), rtol=0, atol=1e-9) else None


def read_mistakes(folder: Path, *, whole: bool) -> Mistakes | None:
    """What `evaluation.json` of a design's folder says; None where it does not.

    Args:
        folder: of the design.
        whole: of the network in whole numbers.

    Raises:
        InvalidFile: the file is damaged.
    """
    words = read_best_scores(folder)
    if words is not None:
        wrong = words.judged(whole=whole)
        return None if wrong is None else of_words(wrong)
    sentences = read_best_sentences(folder)
    if sentences is None:
        return None
    edits = sentences.int8_edits if whole else sentences.edits
    if not edits:
        return None
    return Mistakes(np.array([edits], dtype=np.int64), np.array(sentences.units, dtype=np.int64))
