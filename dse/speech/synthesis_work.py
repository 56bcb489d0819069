"""What making words and making sentences have in common: a marked folder, and worker processes.

The marker comes first, so that an interrupted corpus is known for one and gone on with; the same
settings make the same sounds, so whatever is there already stays. The work is shared out by speaker
to processes of their own, as eSpeak NG is a library with global state (`dse.speech.voices`).
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from dse.errors import InvalidData, require
from dse.files import write_text
from dse.speech.voices import refuse_missing_library

MARKER = "synthesis.json"
"""Says in the folder that the corpus is ours, with which options, and whether it is complete."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many clips are done, how many there are."""


class Settings(Protocol):
    """What a synthetic corpus consists of; everything in it follows from these."""

    @property
    def speakers(self) -> int:
        """Made-up people, the work of one each."""

    @property
    def clips(self) -> int:
        """Of all speakers."""

    def to_dict(self) -> dict[str, Any]:
        """As plain data; `kind` is there for sentences alone."""


# --- folder --------------------------------------------------------------------------------------


def make_corpus(
    folder: Path,
    settings: Settings,
    readme: str,
    *,
    folders: Iterable[str] = (),
    jobs: int,
    report: Report | None,
) -> None:
    """Make a corpus in `folder`, or check and finish one of the same settings.

    Args:
        folder: missing, empty, or a corpus made with the same settings, finished or not.
        settings: what to make.
        readme: what the corpus says of itself.
        folders: that it has, whatever the speakers fill them with.
        jobs: worker processes.
        report: told the progress.

    Raises:
        InvalidData: the folder holds something else, or eSpeak NG is not there or fails.
        OSError: the folder cannot be written.
    """
    require(jobs >= 1, "jobs", "at least 1", jobs)
    refuse_missing_library()
    prepare(folder, settings)
    for name in folders:
        (folder / name).mkdir(exist_ok=True)
    write_text(folder / "README.md", readme)
    run_workers(folder, settings, min(jobs, settings.speakers), report)
    write_marker(folder, settings, complete=True)


def prepare(folder: Path, settings: Settings) -> None:
    """Make `folder` and mark it as an unfinished corpus; refuse one that holds something else.

    The marker comes before the first sound, so that an interrupted corpus is known for one.

    Raises:
        InvalidData: the folder is a file, holds something else, or a corpus of other settings.
        OSError: it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidData(f"{folder} is a file: name a new or empty folder")
    marker = folder / MARKER
    if marker.exists():
        _refuse_other_corpus(folder, settings)
        return
    if folder.exists() and any(folder.iterdir()):
        raise InvalidData(
            f"{folder} is not empty and holds no synthetic corpus: name a new or empty folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_marker(folder, settings, complete=False)


def _refuse_other_corpus(folder: Path, settings: Settings) -> None:
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        made_with = dict(found["settings"])
    except (ValueError, KeyError, TypeError):
        raise InvalidData(
            f"{folder / MARKER} is damaged: remove the folder, or name an empty one"
        ) from None
    there, wanted = (each.get("kind", "words") for each in (made_with, settings.to_dict()))
    if there != wanted:
        raise InvalidData(f"{folder} holds a corpus of {there}, not of {wanted}: name another one")
    for key, value in settings.to_dict().items():
        if made_with.get(key) != value:
            raise InvalidData(
                f"{folder} holds a corpus made with {key} {made_with.get(key)}, not {value}: give "
                "the same options to check and finish it, or name an empty folder"
            )


def write_marker(folder: Path, settings: Settings, *, complete: bool) -> None:
    """Say in a folder what is made in it, and whether all of it is there."""
    content = {"settings": settings.to_dict(), "complete": complete}
    write_text(folder / MARKER, json.dumps(content, indent=1) + "\n")


# --- workers -------------------------------------------------------------------------------------


def run_workers(folder: Path, settings: Settings, jobs: int, report: Report | None) -> None:
    """Share the speakers out in turns, and follow the workers until all have left.

    A line of JSON from a worker is one of `clips` (made for one speaker), `problem`, or `errno`
    with reason and place. `left` is added here when its output ends, with the exit status: a
    worker that crashes says nothing, and would otherwise be waited for for ever.
    """
    messages: queue.Queue[dict[str, Any]] = queue.Queue()
    workers = [
        _start_worker(folder, settings, list(range(job, settings.speakers, jobs)), job == 0)
        for job in range(jobs)
    ]
    try:
        for worker in workers:
            threading.Thread(target=_listen, args=(worker, messages), daemon=True).start()
        done, running = 0, jobs
        while running:
            message = messages.get()
            if "clips" in message:
                done += message["clips"]
                if report is not None:
                    report("synthesis", done, settings.clips)
            elif "errno" in message:
                raise OSError(message["errno"], message["reason"], message["place"])
            elif "problem" in message:
                raise InvalidData(message["problem"])
            elif message["left"] != 0:
                raise InvalidData(
                    f"a synthesis process stopped with status {message['left']}: run the same "
                    f"command again to finish {folder}"
                )
            else:
                running -= 1
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _start_worker(
    folder: Path, settings: Settings, speakers: Sequence[int], noises: bool
) -> "subprocess.Popen[str]":
    worker = subprocess.Popen(
        [sys.executable, "-m", "dse.speech.synthesis_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One thread each: the processes are the parallelism, and a fork wants no other threads.
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    order = {
        "folder": str(folder),
        "settings": settings.to_dict(),
        "speakers": list(speakers),
        "noises": noises,
    }
    assert worker.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died at once; its status will say so
        worker.stdin.write(json.dumps(order))
        worker.stdin.close()
    return worker


def _listen(worker: "subprocess.Popen[str]", messages: "queue.Queue[dict[str, Any]]") -> None:
    assert worker.stdout is not None
    with contextlib.suppress(ValueError):  # closed because another worker failed
        for line in worker.stdout:
            messages.put(json.loads(line))
    messages.put({"left": worker.wait()})
