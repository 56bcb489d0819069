"""Transcripts as characters of a task: how a text is written, and which characters it needs.

A text is brought to one form before its characters are looked up, so that two people who typed the
same sentence get the same labels:

    composed (Unicode NFC)     e + combining accent -> one character
    lower case                 where the task says so
    blanks                     none at the ends, one between words, whatever stood there

A character that is not in the vocabulary is no blank and no nothing: without it the network would
be taught another sentence than the one that is heard. Utterances with such characters are left out
and counted, by `dse.speech.sentence_features` and `dse data inspect`.
"""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dse.errors import InvalidData
from dse.speech.transcription import MOST_CHARACTERS, Transcription


def written(text: str, task: Transcription) -> str:
    """`text` in the form in which its characters are looked up."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text.lower() if task.lower_case else text


def outside(text: str, characters: Iterable[str]) -> list[str]:
    """Characters of a written text that are not among `characters`, each as often as it stands."""
    known = set(characters)
    return [character for character in text if character not in known]


def encode(text: str, characters: tuple[str, ...]) -> NDArray[np.uint8]:
    """A written text as indices into `characters`.

    Raises:
        KeyError: a character is not among them; `outside` names it.
    """
    index = {character: place for place, character in enumerate(characters)}
    return np.array([index[character] for character in text], dtype=np.uint8)


def decode(labels: Iterable[int], characters: tuple[str, ...]) -> str:
    """The text of indices into `characters`."""
    return "".join(characters[label] for label in labels)


def frames_needed(labels: NDArray[np.uint8]) -> int:
    """Outputs of a network that connectionist temporal classification needs for a transcript.

    One for each character, and a blank between two equal ones in a row (`ll` without a blank
    between would be read as one `l`). With fewer frames after the network's strides there is no
    alignment, and the loss is infinite.

    Source: Graves et al., "Connectionist temporal classification", ICML 2006, section 3.1.
    """
    return len(labels) + int(np.count_nonzero(labels[1:] == labels[:-1]))


def characters_of_data(texts: Iterable[str], *, lower_case: bool = True) -> tuple[str, ...]:
    """The vocabulary that writes all `texts`: each character once, in the order of Unicode.

    Take the texts of training: a character that only testing has cannot be learned.

    Args:
        texts: transcripts as they stand in the data.
        lower_case: as `Transcription.lower_case`.

    Raises:
        InvalidData: there is none, or too many for a vocabulary.
    """
    task = Transcription(lower_case=lower_case)
    found = sorted({character for text in texts for character in written(text, task)})
    if not found:
        raise InvalidData("no transcript holds a character: there is no vocabulary to be made")
    if len(found) > MOST_CHARACTERS:
        raise InvalidData(
            f"the transcripts hold {len(found)} different characters, at most {MOST_CHARACTERS} "
            "make a vocabulary: spell them with fewer"
        )
    return tuple(found)


def read_characters(path: Path) -> tuple[str, ...]:
    """The vocabulary in a text file: one character a line, in the order of the outputs.

    A line with nothing but a blank is the blank between words.

    Raises:
        InvalidData: it cannot be read, or a line is no single character.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InvalidData(f"the vocabulary {path} does not exist: check the name") from None
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path} is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InvalidData(f"the vocabulary {path} cannot be read: {error.strerror}") from None
    # Not splitlines(): it breaks at more than line ends, and so at what may be a character.
    lines = [unicodedata.normalize("NFC", line.rstrip("\r")) for line in text.split("\n")]
    if lines and lines[-1] == "":
        lines.pop()
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if len(line) != 1:
            raise InvalidData(
                f"a vocabulary has one character a line, not '{line[:20]}' ({path}:{number})"
            )
        if line in seen:
            raise InvalidData(f"'{line}' stands twice in the vocabulary ({path}:{number})")
        seen.add(line)
    if not 1 <= len(lines) <= MOST_CHARACTERS:
        raise InvalidData(
            f"{path} has {len(lines)} characters, a vocabulary has 1 to {MOST_CHARACTERS}"
        )
    return tuple(lines)


def characters_text(characters: Iterable[str]) -> str:
    """The content of a file for `read_characters`."""
    return "".join(f"{character}\n" for character in characters)
