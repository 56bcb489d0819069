"""Coordinator and workers of a study in PostgreSQL are killed at random, and nothing is lost.

All are forked from a process that has loaded torch: starting Python for each life would take
minutes. A killed coordinator goes on in a new folder half of the time, as on another machine. Both
are soaks: `make test` kills the search of one machine (`test_kills.py`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dse.studies.rows import read_all_rows
from dse.studies.spec import read_study
from dse.training.history import read_history
from search.cluster.queue import Queue
from search.cluster.storages import connect, storage_url
from search.cluster.view import pull
from search.study import run_study
from tests.search.postgres import Postgres
from tests.search.test_workers import Watcher, numbers

_LIVES = """
import json, os, random, signal, sys, time
from pathlib import Path
import dse.training.run, search.known_cost, search.study, sklearn.gaussian_process, scipy.stats
import torch, torch.optim, torch._dynamo
import search.cluster.coordinator
from search.cluster.coordinator import Cluster
from search.cluster.storages import connect, storage_url
from search.cluster.worker import WorkerOptions, work
from search.study import run_study
from dse.studies.spec import read_study

class Quiet:
    def __getattr__(self, name):
        return lambda *_, **__: None

study, folder, cache = map(Path, sys.argv[1:4])
kills = int(sys.argv[4])
url = storage_url(os.environ["DSE_STORAGE"])
torch.set_num_threads(1)

def coordinate(where):
    cluster = Cluster(url=url, artifacts=str(folder / "artifacts"), lease_beat_s=0.3, lease_s=3.0,
                      lost_s=3.0, poll_s=0.05)
    run_study(read_study(study), study.read_text(), where, Quiet(), cache=cache, workers=2,
              cluster=cluster)

def serve(_):
    options = WorkerOptions(name="tones", cache=cache, beat_s=0.2, poll_s=0.05)
    with connect(url) as storage:
        work(storage, url, options, lambda text: None)

def fork(task, *arguments):
    child = os.fork()
    if child == 0:
        try:
            task(*arguments)
        except BaseException as error:
            print(type(error), error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child

rng, done, machine = random.Random(5), {"coordinator": 0, "worker": 0}, 0
coordinator = fork(coordinate, folder / f"machine{machine}")
workers = [fork(serve, None) for _ in range(2)]
ended = False
while not ended:
    time.sleep(rng.choice((rng.uniform(0, 0.4), rng.uniform(0.4, 1.6))))
    pid, status = os.waitpid(coordinator, os.WNOHANG)
    if pid:
        ended = status == 0
        if not ended:
            sys.exit(f"the coordinator ended with {status}")
        break
    if sum(done.values()) >= kills:
        continue
    if rng.random() < 0.5:
        os.kill(coordinator, signal.SIGKILL)
        os.waitpid(coordinator, 0)
        done["coordinator"] += 1
        machine += rng.random() < 0.5
        coordinator = fork(coordinate, folder / f"machine{machine}")
    else:
        victim = workers.pop(0)
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        done["worker"] += 1
        workers.append(fork(serve, None))
for worker in workers:
    os.waitpid(worker, 0)
print(json.dumps(done | {"machines": machine + 1}))
"""


@pytest.mark.soak
@pytest.mark.parametrize(("kills", "trainings", "epochs"), [(4, 6, 6), (24, 16, 9)])
def test_kills_of_coordinator_and_workers_lose_and_double_nothing(
    study_file: Path, tmp_path: Path, postgres: Postgres, kills: int, trainings: int, epochs: int
) -> None:
    text = study_file.read_text().replace("epochs: 2", f"epochs: {epochs}")
    text = text.replace("trainings: 4", f"trainings: {trainings}\nrungs: {{first: 1, factor: 3}}")
    study_file.write_text(text)
    cache = study_file.parent / "cache"
    spec = read_study(study_file)
    whole = run_study(spec, text, tmp_path / "whole", Watcher(), cache=cache, workers=2)

    database = postgres.database(f"kills{kills}")
    lives = subprocess.run(
        [sys.executable, "-c", _LIVES, str(study_file), str(tmp_path), str(cache), str(kills)],
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | {"DSE_STORAGE": database, "OMP_NUM_THREADS": "1"},
    )
    assert lives.returncode == 0, lives.stderr
    told = json.loads(lives.stdout.splitlines()[-1])
    assert told["coordinator"] + told["worker"] == kills, "it ended before it was killed so often"
    assert min(told.values()) >= 1, told

    url, view = storage_url(database), tmp_path / "view"
    with connect(url) as storage:
        pull(storage, url, "tones", view)
        study_id = storage.get_study_id_from_name("tones")
        assert all(trial.state.is_finished() for trial in storage.get_all_trials(study_id))
        entries = list(Queue(storage, "tones").entries())
    assert all(entry.state.is_finished() for entry in entries)
    assert numbers(read_all_rows(view)) == numbers(read_all_rows(tmp_path / "whole"))
    results = [entry.job.identity for entry in entries if entry.result is not None]
    assert len(results) == len(set(results))
    for row in whole.rows:
        if row.epochs and row.trial >= 0 and row.status != "duplicate":
            history = read_history(view / "designs" / row.key)
            assert [record.epoch for record in history] == list(range(1, row.epochs + 1))
