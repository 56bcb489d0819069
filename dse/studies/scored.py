"""How sure the figures of a trained design are, and which classes it takes for which."""

from cost_models import Band
from dse.studies.intervals import difference_band, error_band
from dse.studies.paired import paired_band
from dse.training.best_scores import BestScores, Confusion
from dse.training.clipwise import of_words
from dse.training.scores import Scores


def score_confusion(confusion: Confusion) -> Scores:
    """A confusion as scores, for what `Scores` derives from it; its loss is NaN, as nobody knows.

    Args:
        confusion: clips, shape (classes, classes): true class by row, told class by column.
    """
    return Scores(loss=float("nan"), confusion=confusion)


def error_interval(confusion: Confusion) -> Band:
    """The error in percent with its 95 % interval (Wilson), of the clips in the confusion."""
    scores = score_confusion(confusion)
    return error_band(scores.error, scores.clips)


def int8_less_float(best: BestScores) -> Band | None:
    """How many percent points more the network errs in whole numbers, with the 95 % interval.

    Over the same clips (`paired_band`) where it is recorded which ones each got wrong
    (`is_paired`); else as if both had been told different clips, so that the interval is rather
    too wide. None where it has no such form.
    """
    if best.int8 is None:
        return None
    if best.wrong is not None and best.int8_wrong is not None:
        return paired_band(of_words(best.int8_wrong), of_words(best.wrong))
    whole, floats = score_confusion(best.int8), score_confusion(best.floats)
    return difference_band(whole.error, floats.error, floats.clips)


def is_paired(best: BestScores) -> bool:
    """Whether it is recorded which clips both networks got wrong, and not only how many."""
    return best.wrong is not None and best.int8_wrong is not None


def worst_confusions(
    labels: tuple[str, ...], confusion: Confusion, count: int
) -> list[tuple[str, str, int, int]]:
    """The most frequent mistakes: true class, taken for, so many clips, of so many."""
    return [
        (labels[true], labels[told], clips, int(confusion[true].sum()))
        for true, told, clips in score_confusion(confusion).worst_pairs(count)
    ]
