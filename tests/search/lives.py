"""Searches that are ended in the middle: a process that has loaded torch is forked for each life.

Starting Python anew each time would take minutes. No pytest in here: `benchmarks.faults` does the
same, more often.

    python -m tests.search.lives STUDY FOLDER CACHE KILLS MOST_CHANGES      told as JSON
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dse.errors import InvalidInput
from dse.studies.reading import read_study
from search.storages import storage_url
from search.study import run_study

REFUSED = 3
"""Exit code of a search that ended in a sentence."""
FAILED = 4
"""Of one that ended in a traceback."""


class Quiet:
    """Is told what happens, and says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@dataclass(frozen=True)
class Life:
    """What a process searches."""

    study: Path
    folder: Path
    cache: Path
    storage: str = ""

    @property
    def said(self) -> Path:
        """File of what the last of its processes ended with."""
        return self.study.with_suffix(".said")

    def search(self) -> Any:
        """Search, or go on, in this process."""
        storage = storage_url(self.storage) if self.storage else None
        text = self.study.read_text()
        spec = read_study(self.study)
        return run_study(spec, text, self.folder, Quiet(), cache=self.cache, storage=storage)

    def begin(self) -> int:
        """Search, or go on, in a process of its own; its number."""
        child = os.fork()
        if child:
            return child
        code = FAILED
        try:
            self.search()
            code = 0
        except (InvalidInput, OSError) as error:
            self.said.write_text(str(error))
            code = REFUSED
        except BaseException:
            self.said.write_text(traceback.format_exc())
        os._exit(code)

    def kill(self, rng: random.Random, most_changes: int) -> bool:
        """Begin, and `kill -9` somewhere on the way; false where it ended before.

        Counted in what it wrote, not in seconds: on a busy machine, too, each life gets on.
        """
        child = self.begin()
        for _ in range(rng.randrange(1, most_changes)):
            if self._ends_before_a_change(child):
                return False
        time.sleep(rng.choice((0, rng.uniform(0, 0.01), rng.uniform(0, 0.1))))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return True

    def files(self) -> list[tuple[str, int]]:
        """Visible files and when they were changed."""
        while True:
            try:
                found = (path for path in self.folder.rglob("[!.]*") if path.is_file())
                return sorted((str(path), path.stat().st_mtime_ns) for path in found)
            except FileNotFoundError:
                continue  # one was replaced meanwhile

    def _ends_before_a_change(self, child: int) -> bool:
        begun, before = time.monotonic(), self.files()
        while self.files() == before and time.monotonic() - begun < 60:
            if os.waitpid(child, os.WNOHANG)[0]:
                return True
            time.sleep(0.001)
        return False


def exit_code(child: int) -> int:
    """How a process ended, which is waited for."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def load() -> None:
    """Load what each life needs, so that none of them does."""
    import scipy.stats
    import sklearn.gaussian_process

    import dse.training.run
    import search.known_cost

    assert all((scipy.stats, sklearn.gaussian_process, dse.training.run, search))


def main() -> None:
    """Kill one study so often, or until it has ended."""
    study, folder, cache = map(Path, sys.argv[1:4])
    kills, most_changes = map(int, sys.argv[4:])
    load()
    life, rng, moments = Life(study, folder, cache), random.Random(3), list[int]()
    while len(moments) < kills and life.kill(rng, most_changes):
        moments.append(len(life.files()))
    print(json.dumps({"kills": len(moments), "states": len(set(moments))}))


if __name__ == "__main__":
    main()
