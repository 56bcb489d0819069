"""From scores at every frame to characters: greedy, and a beam with an optional n-gram model.

A network of C characters and blank says at each frame t how likely each output is. A *path* is one
output a frame; the text of a path is what is left when repeats are merged and blanks dropped:

    h h _ e e l _ l o   ->   h e l l o              a blank between the two l keeps them two

*Greedy* takes the likeliest path. The likeliest text is another question: its probability is the
sum over all its paths,

    p(text) = sum over paths of text of prod_t p_t(path[t])

of which there are too many to try. A *beam* keeps the best so many beginnings at each frame, adds
up those that have the same text, and may weigh in what a language model thinks of it:

    score(text) = ln p(text) + lm_weight * log10 p_LM(text)

The search is flashlight-text's, without a lexicon, so any text can come out. Its n-gram model is
one of characters, in which `|` stands for the space, as text is written for KenLM: `h e l l o | y`.

Source: Graves et al., ICML 2006; flashlight-text (github.com/flashlight/text), MIT licence.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dse.errors import InvalidInput, printable
from dse.speech.transcripts import decode

SPACE = "|"
"""Stands for the space in an n-gram model, whose file separates its words by spaces."""

Texts = list[str]
Labels = NDArray[np.int64]


def merge(path: Labels, blank: int) -> Labels:
    """The text of a path: repeats merged, then blanks dropped.

    Args:
        path: (frames,), an output a frame.
        blank: which output says that nothing is said.
    """
    changes = np.ones(len(path), dtype=bool)
    changes[1:] = path[1:] != path[:-1]
    text: Labels = path[changes & (path != blank)]
    return text


def greedy(scores: Tensor, lengths: Tensor, characters: tuple[str, ...]) -> Texts:
    """The text of each utterance's likeliest path.

    Args:
        scores: (utterances, characters + 1, frames), logits or logarithms.
        lengths: (utterances,), frames of scores that are real.
        characters: of all outputs but the last, blank.
    """
    paths = scores.argmax(dim=1).cpu().numpy()
    return [
        decode(merge(path[:length], len(characters)), characters)
        for path, length in zip(paths, lengths.tolist(), strict=True)
    ]


class Beam:
    """A search for the likeliest text; one object serves for many utterances."""

    def __init__(
        self,
        characters: tuple[str, ...],
        size: int,
        model: Path | None = None,
        lm_weight: float = 1.0,
    ) -> None:
        """Load the n-gram model, where there is one.

        Args:
            characters: of all outputs but the last, blank.
            size: beginnings that are kept at each frame, 1 or more.
            model: an n-gram model of characters, as ARPA or in KenLM's binary form.
            lm_weight: of its logarithm to base 10 against the network's natural one.

        Raises:
            InvalidInput: flashlight-text is not installed, or the model cannot be read.
        """
        decoder = _library()
        self.characters = characters
        self.language = decoder.ZeroLM() if model is None else _language_model(model, characters)
        options = decoder.LexiconFreeDecoderOptions(
            beam_size=size,
            beam_size_token=len(characters) + 1,
            beam_threshold=float("inf"),
            lm_weight=0.0 if model is None else lm_weight,
            sil_score=0.0,
            log_add=True,
            criterion_type=decoder.CriterionType.CTC,
        )
        # It begins as if the output "sil" had just been said; where that is a character, a text
        # cannot begin with it. Blank says nothing.
        blank = len(characters)
        self.decoder = decoder.LexiconFreeDecoder(options, self.language, blank, blank, [])

    def text(self, scores: Tensor) -> str:
        """The likeliest text of one utterance.

        Args:
            scores: (characters + 1, frames), logits; all frames real.
        """
        logarithms = torch.log_softmax(scores.float(), dim=0).t().contiguous().cpu()
        frames, outputs = logarithms.shape
        found = self.decoder.decode(logarithms.data_ptr(), frames, outputs)
        # A token before the first frame and one behind the last are the library's own.
        path = np.array(found[0].tokens[1:-1], dtype=np.int64)
        return decode(merge(path, len(self.characters)), self.characters)


def _library() -> Any:
    try:
        from flashlight.lib.text import decoder
    except ImportError:
        raise InvalidInput(
            "a beam needs flashlight-text: pip install 'ternary-dse[asr]', or decode without --beam"
        ) from None
    return decoder


def _language_model(path: Path, characters: tuple[str, ...]) -> Any:
    """KenLM's model of a file, asked by the index of a character."""
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    if not path.is_file():
        raise InvalidInput(f"{path} is no file: --lm takes an n-gram model of characters (ARPA)")
    words = [SPACE if character == " " else character for character in characters]
    try:
        return KenLM(str(path), Dictionary(words))
    except Exception as error:  # the library's own kind, a std::exception in Python's clothes
        raise InvalidInput(
            f"{path} is no n-gram model that KenLM reads ({printable(str(error))[:200]}): "
            "--lm takes an ARPA file or KenLM's binary form"
        ) from None
