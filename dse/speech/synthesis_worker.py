"""One process of `dse.speech.synthesis`: reads an order from stdin, says on stdout what is done.

A process of its own, because eSpeak NG is a library with global state: see `dse.speech.voices`.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from dse.errors import InvalidInput
from dse.speech.sentence_synthesis import SentenceSynthesis, make_sentences
from dse.speech.synthesis import Synthesis, make_noises, make_speaker
from dse.speech.voices import Speak, open_library


def _tell(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def main() -> None:
    """Make the speakers, and perhaps the noises, that the order names.

    stdin: one JSON object with `folder`, `settings` (`to_dict` of `Synthesis` or
    `SentenceSynthesis`), `speakers` (numbers) and `noises` (whether to make them, of words).
    stdout: a line of JSON for each speaker, `clips`, or for what ended the work, `problem` or
    `errno`, `reason`, `place`. The exit status is 0 in all these cases: another one means that the
    process crashed, or that nobody listens any more.
    """
    # Ctrl-C reaches the whole group: the parent says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    order = json.load(sys.stdin)
    folder = Path(order["folder"])
    try:
        speak = open_library()
        _make(folder, order, speak)
    except InvalidInput as error:
        _tell(problem=str(error))
    except BrokenPipeError:
        os._exit(1)  # the parent is gone
    except OSError as error:
        _tell(errno=error.errno, reason=error.strerror, place=str(error.filename or folder))
    sys.stdout.flush()
    # Past all exit handlers: eSpeak NG has some that crash now and then.
    os._exit(0)


def _make(folder: Path, order: dict[str, Any], speak: Speak) -> None:
    fields = order["settings"]
    del fields["version"]
    if fields.pop("kind", "words") == "sentences":
        sentences = SentenceSynthesis(**fields)
        for index in order["speakers"]:
            _tell(clips=make_sentences(folder, sentences, index, speak))
        return
    words = Synthesis(words=tuple(fields.pop("words")), **fields)
    for index in order["speakers"]:
        _tell(clips=make_speaker(folder, words, index, speak))
    if order["noises"]:
        make_noises(folder, words, speak)


if __name__ == "__main__":
    main()
