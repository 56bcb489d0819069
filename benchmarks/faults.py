"""What kills, restarts of the database and full disks do to a search, counted.

    python -m benchmarks.faults kills 50
    python -m benchmarks.faults restarts 33
    python -m benchmarks.faults disks 40

Each case is a real search of twelve seconds of tones, small enough to be made in seconds. What it
comes to is compared with the same search undisturbed: rows that are lost, doubled or changed (all
columns but the clock's), networks whose weights are not bit for bit the same, and how a search that
could not go on has ended: in a sentence, or in a traceback.

    kills      one study is killed (`kill -9`) at a random change of its files, and goes on, until
               it ends; then the next study
    restarts   PostgreSQL, which holds the trials, is stopped at a random moment (at once, without
               farewell; or at the end of what runs) and started again after up to three seconds
    disks      the study's folder, or the database of `--storage`, lies on a file system of a random
               size, which runs full; then it is made larger, and the same command goes on
"""

import argparse
import dataclasses
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dse.studies.rows import read_all_rows
from dse.training.checkpoint import load_checkpoint
from tests.conftest import write_study_file, write_tones
from tests.search.lives import FAILED, REFUSED, Life, exit_code, load
from tests.search.postgres import Postgres

CLOCK = {"finished_at": "", "training_seconds": None}

WHOLE_BYTES = 700_000
"""Room that a study of tones takes, about; its database takes half of that."""


def main() -> None:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("fault", choices=("kills", "restarts", "disks"))
    parser.add_argument("times", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.fault == "disks" and "DSE_MOUNTS" not in os.environ:
        # A file system of our own may be made in a namespace of our own, without rights.
        unshare = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-m"]
        again = [*unshare, "benchmarks.faults", *sys.argv[1:]]
        raise SystemExit(subprocess.run(again, env=os.environ | {"DSE_MOUNTS": "1"}).returncode)
    load()
    begun, rng = time.monotonic(), random.Random(given.seed)
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), rng)
        {"kills": bench.kills, "restarts": bench.restarts, "disks": bench.disks}[given.fault](
            given.times
        )
    print(f"{given.fault}, seed {given.seed}: {time.monotonic() - begun:.0f} s on {processor()}")
    for name, count in bench.counts.items():
        print(f"{name:>32} {count}")


class Bench:
    """A study of tones, what it comes to undisturbed, and what happened to its copies."""

    def __init__(self, place: Path, rng: random.Random) -> None:
        self.place, self.rng, self.counts = place, rng, Counter[str]()
        self.data, self.cache = place / "tones", place / "features"
        self.data.mkdir()
        self.cache.mkdir()
        write_tones(self.data)
        self.numbers = itertools.count()
        whole = self.life()
        whole.search()
        self.rows, self.networks = rows_of(whole.folder), networks_of(whole.folder)

    def life(self, folder: Path | None = None, storage: str = "") -> Life:
        """A search that has not begun."""
        here = self.place / f"case-{next(self.numbers)}"
        here.mkdir()
        study = write_study_file(here, self.data, self.cache)
        rungs = "trainings: 5\nrungs: {first: 1, factor: 2}"
        study.write_text(study.read_text().replace("trainings: 4", rungs))
        return Life(study, folder or here / "study", self.cache, storage)

    def kills(self, times: int) -> None:
        """So many, of as many studies as that takes."""
        life = self.life()
        while self.counts["kills"] < times:
            if life.kill(self.rng, most_changes=20):
                self.counts["kills"] += 1
            else:
                self.compare(life)
                life = self.life()
        self.finish(life)

    def restarts(self, times: int) -> None:
        """One or two in each study."""
        server = Postgres(fsync=True)
        try:
            for case in range(times):
                life = self.life(storage=server.database(f"case{case}"))
                child = life.begin()
                thread = threading.Thread(target=self._restart, args=(server,))
                thread.start()
                code = exit_code(child)
                thread.join()
                self.note(life, code)
                self.finish(life)
        finally:
            server.remove()

    def _restart(self, server: Postgres) -> None:
        for _ in range(self.rng.randint(1, 3)):
            time.sleep(self.rng.uniform(0, 2))
            server.stop(self.rng.choice(("immediate", "fast")))
            time.sleep(self.rng.uniform(0, 3))
            server.start()
            self.counts["restarts"] += 1

    def disks(self, times: int) -> None:
        """Every other one under the study's folder, the rest under its database."""
        for case in range(times):
            disk = self.place / f"disk-{case}"
            disk.mkdir()
            mount(disk, self.rng.randrange(32_768, WHOLE_BYTES >> case % 2, 4096))
            if case % 2:
                life = self.life(storage=f"sqlite:///{disk / 'trials.db'}")
            else:
                life = self.life(folder=disk / "study")
            code = exit_code(life.begin())
            self.counts["full disks"] += bool(code)
            self.note(life, code)
            mount(disk, 20 * WHOLE_BYTES, "remount,")
            self.finish(life)
            subprocess.run(["umount", disk], check=True)

    def note(self, life: Life, code: int) -> None:
        """How a search ended that was disturbed."""
        if code == REFUSED:
            self.counts["ended in a sentence"] += 1
        elif code:
            self.counts["ended in a traceback"] += 1
        if code:
            said = life.said.read_text().strip() if life.said.exists() else f"exit code {code}"
            print(f"  {said.replace(str(self.place), '') if code != FAILED else said}", flush=True)

    def finish(self, life: Life) -> None:
        """Let it go on undisturbed, and compare what it comes to."""
        code = exit_code(life.begin())
        if code:
            self.counts["could not go on"] += 1
            self.note(life, code)
        else:
            self.compare(life)

    def compare(self, life: Life) -> None:
        """Count what is not as in the search that nothing disturbed."""
        self.counts["studies"] += 1
        found = rows_of(life.folder)
        keys = [key for key, _ in found]
        self.counts["rows lost"] += sum(row not in keys for row, _ in self.rows)
        self.counts["rows doubled"] += len(keys) - len(set(keys))
        expected = dict(self.rows)
        self.counts["rows changed"] += sum(expected.get(key) != row for key, row in found)
        others = networks_of(life.folder)
        self.counts["networks changed"] += sum(
            others.get(name) != digest for name, digest in self.networks.items()
        )


def rows_of(folder: Path) -> list[tuple[Any, dict[str, Any]]]:
    """Rows without the clock's columns, and what tells them apart."""
    rows = [dataclasses.replace(row, **CLOCK) for row in read_all_rows(folder)]
    return [((row.trial, row.source, row.epochs), row.to_dict()) for row in rows]


def networks_of(folder: Path) -> dict[str, bytes]:
    """Weights of each trained design, as bytes."""
    return {
        path.parent.name: b"".join(
            name.encode() + value.numpy().tobytes()
            for name, value in sorted(load_checkpoint(path).network.items())
        )
        for path in folder.glob("designs/*/best.pt")
    }


def processor() -> str:
    """Its name, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else "an unknown processor"


def mount(folder: Path, size_bytes: int, how: str = "") -> None:
    """Make a file system of so many bytes in memory, or give one that is there another size."""
    options = f"{how}size={size_bytes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


if __name__ == "__main__":
    main()
