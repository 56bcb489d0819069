"""Searches on a real Ray cluster of several nodes, of which everything is killed once.

What users may have to bear is in the table of docs/how-to/many-machines.md; each of its rows is a
test here. All that needs a cluster is a soak: starting one takes longer than most tests.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from dse.design.published import published
from dse.errors import InvalidInput
from dse.studies.cluster_state import LOG, read_cluster_state
from dse.studies.reading import read_study
from dse.studies.rows import read_all_rows, read_rows
from dse.training.history import EpochRecord, read_history
from dse_cli import group
from search.on_ray.cluster import (
    CLUSTERS,
    Node,
    connected,
    first_line,
    loopback_if_own,
    room_of,
)
from search.on_ray.trainers import OpenTask, RayTrainers
from search.study import run_study
from tests.search.postgres import PASSWORD, Postgres
from tests.search.ray_cluster import RayCluster, ray_cluster
from tests.search.test_workers import Watcher, numbers

EPOCHS = 60
"""Of trainings that are hit in the middle; those of other tests are shorter.

Long beside the seconds in which a process starts: when a training that died goes on, the one that
was not hit is still under way, on a fast machine too.
"""

STARTED: list["subprocess.Popen[str]"] = []

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """A server that speaks S3, with a bucket `trained`; what its clients need to know of it."""
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="trained")
    client.close()
    yield known
    server.stop()


@pytest.fixture(scope="module")
def two_nodes(s3: dict[str, str]) -> Iterator[RayCluster]:
    with ray_cluster(2, **s3) as started:
        yield started


@pytest.fixture
def cluster(two_nodes: RayCluster) -> Iterator[RayCluster]:
    """Two nodes for each test, however many the one before it left, even where it failed."""
    yield two_nodes
    while two_nodes.nodes > 2:
        two_nodes.remove()
    while two_nodes.nodes < 2:
        two_nodes.add()


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No search outlives its test."""
    yield
    while STARTED:
        process = STARTED.pop()
        process.kill()
        process.wait()


def lengthen(study_file: Path, epochs: int, trainings: int = 4) -> None:
    """Make the trainings of a study long enough to be hit in the middle."""
    text = study_file.read_text().replace("epochs: 2", f"epochs: {epochs}")
    study_file.write_text(text.replace("trainings: 4", f"trainings: {trainings}"))


def alone(study_file: Path, folder: Path) -> list[dict[str, Any]]:
    """The rows of the study on this machine, with two workers."""
    spec, cache = read_study(study_file), study_file.parent / "cache"
    text = study_file.read_text()
    outcome = run_study(spec, text, folder, Watcher(), cache=cache, workers=2)
    return numbers(outcome.rows)


def search(
    study_file: Path, cluster: RayCluster, where: Path, *arguments: str, **environment: str
) -> "subprocess.Popen[str]":
    """`dse search --engine ray` as a person starts it, in a folder of its own."""
    where.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "dse_cli", "search", str(study_file), "--engine", "ray"]
    command += ["--ray-address", cluster.address, "--cache", str(study_file.parent / "cache")]
    with (where / "said").open("w") as said:
        STARTED.append(
            process := subprocess.Popen(
                [*command, *arguments],
                cwd=where,
                env=ENVIRONMENT | environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    return process


def finish(process: "subprocess.Popen[str]", where: Path) -> str:
    """Wait for a search; what it said."""
    code = process.wait(400)
    said = (where / "said").read_text()
    assert code == 0, said
    return said


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]", what: str) -> None:
    """Wait for something to happen while a search runs."""
    for _ in range(8000):
        if condition():
            return
        assert process.poll() is None, f"the search ended before {what}"
        time.sleep(0.05)
    raise AssertionError(f"no {what}")


def log_of(folder: Path) -> str:
    path = folder / LOG
    return path.read_text() if path.exists() else ""


def every_epoch_is_told_once(study: Path, epochs: int) -> None:
    """Of each design that was trained: however often its training was begun."""
    for row in read_rows(study):
        if row.status == "trained":
            history = read_history(study / "designs" / row.key)
            assert [record.epoch for record in history] == list(range(1, epochs + 1))


def kill_a_task() -> None:
    """`kill -9` to a process that trains."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::train_task"):
                os.kill(int(path.parent.name), signal.SIGKILL)
                return
        except OSError:
            continue
    raise AssertionError("no task runs")


def starts_behind_what_was_kept(log: str, epochs: int) -> int:
    """So many trainings died and are told to begin again: each behind the last epoch kept."""
    lines, told = log.splitlines(), 0
    for place, line in enumerate(lines):
        if "died after epoch" in line:
            key = line.split()[3]
            kept = int(line.split("died after epoch ")[1].split(":")[0])
            for again in [each for each in lines[place + 1 :] if f"{key} trains" in each][:1]:
                assert f"from epoch {kept + 1} to {epochs}" in again
                told += 1
    return told


def in_training(log: str) -> dict[str, int]:
    """Designs that train by the log, with the last epoch that it tells."""
    last: dict[str, int] = {}
    for line in log.splitlines():
        if begun := re.search(r" (\w+) trains .* from epoch (\d+) to ", line):
            last[begun[1]] = int(begun[2]) - 1
        elif died := re.search(r" (\w+) died after epoch ", line):
            last.pop(died[1], None)
        elif (told := re.search(r" (\w+) epoch (\d+) of ", line)) and told[1] in last:
            last[told[1]] = int(told[2])
    return {key: epoch for key, epoch in last.items() if epoch < EPOCHS}


def test_who_trains_is_read_from_the_log() -> None:
    log = """\
    12:00:01 one aaa trains 1x1x8 from epoch 1 to 60
    12:00:01 two bbb trains 1x1x16 from epoch 1 to 60
    12:00:02 one aaa epoch 1 of 60: validation error 50.0 %
    12:00:03 one aaa died after epoch 1: killed
    12:00:03 two bbb epoch 9 of 60: validation error 50.0 %
    12:00:04 one aaa epoch 2 of 60: validation error 50.0 %
    """
    assert in_training(log) == {"bbb": 9}
    assert in_training(log + "12:00:05 one aaa trains 1x1x8 from epoch 3 to 60") == {
        "aaa": 2,
        "bbb": 9,
    }
    assert in_training(log + "12:00:09 two bbb epoch 60 of 60: validation error 9.0 %") == {}


@pytest.mark.soak
def test_whatever_is_killed_costs_an_epoch_and_changes_no_row(
    study_file: Path,
    tmp_path: Path,
    cluster: RayCluster,
    s3: dict[str, str],
    postgres: Postgres,
    database: str,
) -> None:
    """A task, a node, the coordinator; and the database is away for a while.

    The study lies in S3, its trials in PostgreSQL; the second coordinator has neither file.
    """
    lengthen(study_file, EPOCHS, trainings=3)
    place = ("--out", "s3://trained/tones", "--workers", "2")
    known = {**s3, "DSE_STORAGE": database}
    first, study = tmp_path / "first", tmp_path / "first" / "studies" / "tones"
    running = search(study_file, cluster, first, *place, **known)
    until(lambda: "epoch 3 of" in log_of(study), running, "epoch")
    kill_a_task()
    died = "died after epoch"
    until(lambda: died in log_of(study), running, "death of the task")

    def both_train() -> bool:
        """Whichever node the cluster loses then, it loses a training."""
        epochs = in_training(log_of(study)).values()
        return len(epochs) == 2 and max(epochs) <= EPOCHS * 2 // 3

    until(both_train, running, "training on both nodes")
    deaths = log_of(study).count(died)
    cluster.remove()
    until(lambda: log_of(study).count(died) > deaths, running, "death of the node")
    cluster.add()

    def in_the_middle() -> list[tuple[str, int]]:
        """Designs in training that told of an epoch since the node's death and are not late."""
        log = log_of(study)
        since = log.rsplit(died, 1)[1]
        told = [(key, epoch) for key, epoch in in_training(log).items() if f"{key} epoch" in since]
        return [(key, epoch) for key, epoch in told if 3 <= epoch <= EPOCHS * 5 // 6]

    until(
        lambda: starts_behind_what_was_kept(log_of(study), EPOCHS) > 0 and bool(in_the_middle()),
        running,
        "start of a training that died, and epoch after the node's death",
    )
    (key, epoch), *_ = in_the_middle()
    running.kill()
    running.wait()

    second, study = tmp_path / "second", tmp_path / "second" / "studies" / "tones"
    running = search(study_file, cluster, second, *place, **known)
    # Whichever of the two nodes speaks first: the design in the middle goes on behind its epoch.
    until(lambda: f"{key} trains" in log_of(study), running, "training")
    rest = log_of(study).split(f"{key} trains ", 1)[1].splitlines()[0]
    assert int(rest.split(" from epoch ")[1].split(" to ")[0]) > epoch
    postgres.stop()
    time.sleep(2)
    postgres.start()
    assert "Traceback" not in finish(running, second)
    assert numbers(read_rows(study)) == alone(study_file, tmp_path / "alone")
    every_epoch_is_told_once(study, EPOCHS)
    state = read_cluster_state(study)
    assert state is not None and state.tasks == () and {node.cpus for node in state.nodes} == {0, 1}
    for path in (*first.rglob("*"), *second.rglob("*")):
        if path.is_file():
            content = path.read_bytes().decode(errors="replace")
            assert PASSWORD not in content and database not in content, path
    # And a third machine without any of it, that has nothing left to do, gets all of it.
    third = tmp_path / "third"
    finish(search(study_file, cluster, third, *place, **known), third)
    for path in study.glob("designs/*/*"):
        assert (third / "studies/tones/designs" / path.parent.name / path.name).read_bytes() == (
            path.read_bytes()
        )
    assert read_all_rows(third / "studies/tones") == read_all_rows(study)


@pytest.mark.soak
def test_a_search_grows_and_shrinks_with_its_cluster(
    study_file: Path, tmp_path: Path, cluster: RayCluster
) -> None:
    """Without --workers: one more in training than there is room for, whatever that is by now.

    The study lies in a folder that all nodes see: what a node trained goes on on the other.
    """
    lengthen(study_file, 16, trainings=8)
    where, study = tmp_path / "here", tmp_path / "here" / "studies" / "tones"

    def shown() -> tuple[int, int]:
        state = read_cluster_state(study)
        return (0, 0) if state is None else (state.room, len(state.tasks))

    cluster.remove()  # one node is left
    running = search(study_file, cluster, where)
    until(lambda: shown() == (1, 1), running, "training")
    cluster.add()
    until(lambda: shown() == (2, 3), running, "training on the second node")
    cluster.remove()
    until(lambda: shown()[0] == 1, running, "smaller room")
    finish(running, where)
    assert sum(row.status == "trained" for row in read_rows(study)) == 8
    starts_behind_what_was_kept(log_of(study), 16)
    every_epoch_is_told_once(study, 16)


_MISFITS = """
import dataclasses, shutil, sys
from pathlib import Path
import search.on_ray.board, search.on_ray.cluster
from dse.design.published import published
from dse.errors import InvalidInput
from dse.studies.reading import read_study
from search.on_ray.board import board_of
from search.on_ray.cluster import RayOptions, connected, make_wanted
from search.on_ray.trainers import OpenTask, RayTrainers
from search.study import run_study

class Quiet:
    def __getattr__(self, name):
        return lambda *_, **__: None

study, folder, data = map(Path, sys.argv[1:4])

def attempt(what, options=RayOptions(), progress=Quiet(), **more):
    try:
        run_study(read_study(study, data_folder=data), study.read_text(), folder / what, progress,
                  cache=study.parent / "cache", workers=2, on_ray=options, **more)
        print(what, "was not refused")
    except InvalidInput as error:
        print(what, "::", error)

with connected(sys.argv[4]):
    attempt("no room", RayOptions(cpus=2, gpus=0.5))
    attempt("not shared", url="memory://study")
    search.on_ray.cluster.make_wanted = lambda place: dataclasses.replace(
        make_wanted(place), code="0.0.9+00000000, torch 1.0")
    attempt("other version")
    search.on_ray.cluster.make_wanted = make_wanted

    class Moves(Quiet):
        def started(self, *_):
            data.rename(folder / "gone")
    attempt("no data", RayOptions(features="nodes"), Moves())
    (folder / "gone").rename(data)

    class Changes(Quiet):
        def started(self, *_):
            sorted((data / "left").glob("*.wav"))[-1].unlink()
    attempt("other data", RayOptions(features="nodes"), Changes())
    search.on_ray.board.EXPIRES_S = 1
    with board_of("tones", "file:///somewhere"):
        try:
            with board_of("tones", "file:///somewhere"):
                print("two coordinators were not refused")
        except InvalidInput as error:
            print("two ::", error)
"""


@pytest.mark.soak
def test_what_is_not_fit_is_one_sentence(
    study_file: Path, tmp_path: Path, tones: Path, cluster: RayCluster
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tones, data)
    done = subprocess.run(
        [sys.executable, "-c", _MISFITS, study_file, tmp_path, data, cluster.address],
        capture_output=True,
        text=True,
        timeout=400,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" :: ", 1) for line in done.stdout.splitlines() if " :: " in line)
    assert told["no room"] == (
        "no node of the Ray cluster has room for one training of 2 CPUs and 0.5 GPUs, the largest "
        "has 1 CPUs and 0 GPUs: lower --cpus-per-trial or --gpus-per-trial, or add nodes"
    )
    assert "does not see memory://study as the coordinator does" in told["not shared"]
    assert told["other version"].startswith(
        "the coordinator is ternary-dse 0.0.9+00000000, torch 1.0, and node "
    )
    assert told["other version"].endswith(": install the same version there")
    assert told["no data"].startswith("node ") and str(data) in told["no data"]
    assert "is searched on data" in told["other data"]
    assert "let --features store bring them" in told["other data"]
    assert "study tones is being searched by process " in told["two"]
    assert len(told) == 6


@pytest.mark.soak
def test_a_sweep_in_parts_is_the_sweep(
    study_file: Path, tmp_path: Path, cluster: RayCluster
) -> None:
    """The same designs, figures and frontier, in as many files as there are parts."""
    import pandas as pd

    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    arguments = ["sweep", str(study_file), "--machine", "kws_int8", "--machine", "kws_ternary"]
    # Parts of one design each, nearly: a space of thousands would do nothing more, but longer.
    alone = CliRunner().invoke(group, [*arguments, "--out", str(here)])
    assert alone.exit_code == 0, alone.output
    on_ray = ["--out", there, "--engine", "ray", "--ray-address", cluster.address]
    done = subprocess.run(
        [sys.executable, "-c", _SWEEP, *arguments, *on_ray],
        capture_output=True,
        text=True,
        timeout=400,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(there.glob("part-*.parquet"))) == 4 == len(list(there.iterdir()))
    columns = [name for name in pd.read_parquet(here).columns]
    whole, parts = (
        pd.read_parquet(path).astype(str).sort_values(columns, ignore_index=True)
        for path in (here, there)
    )
    pd.testing.assert_frame_equal(whole, parts)
    frontiers = [pd.read_csv(tmp_path / f"{name}-frontier.csv") for name in ("here", "there")]
    pd.testing.assert_frame_equal(*frontiers)
    assert not list(tmp_path.glob(".there*"))


# Chunks so small that there are several: the space has 160 designs.
_SWEEP = """
import sys, os
import dse.pricing.sweep, search.on_ray.sweep
dse.pricing.sweep.CHUNK = search.on_ray.sweep.CHUNK = 40
search.on_ray.sweep.PART_DESIGNS = 40
from dse_cli import main
main(sys.argv[1:])
"""


def test_ray_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    needs = r"needs Ray: pip install 'ternary-dse\[ray\]'"
    with pytest.raises(InvalidInput, match=needs), connected(None):
        pass


def test_a_client_outside_the_cluster_is_told_how_to_get_in() -> None:
    inside = "ray job submit -- dse search"
    with pytest.raises(InvalidInput, match=inside), connected("ray://head:10001"):
        pass


def test_a_cluster_of_ones_own_serves_the_loopback_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is named, or found, is joined as it is; whoever has set the variable has decided."""
    from ray._private import ray_constants, services

    def seen(address: str | None) -> tuple[str | None, bool]:
        with loopback_if_own(address):
            return os.environ.get(CLUSTERS), ray_constants.ENABLE_RAY_CLUSTER

    monkeypatch.delenv(CLUSTERS, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: None)
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    assert seen(None) == ("0", False)
    assert os.environ.get(CLUSTERS) is None and ray_constants.ENABLE_RAY_CLUSTER
    assert seen("192.0.2.1:6379") == (None, True)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: "192.0.2.1:6379")
    assert seen(None) == (None, True)
    monkeypatch.setenv(CLUSTERS, "1")
    assert seen("local") == ("1", True)


_LISTENS = """
import os, psutil
from search.on_ray.cluster import connected
with connected("local"):  # None would join one that runs here, that of other tests, say
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        for found in process.net_connections("inet"):
            if found.status == "LISTEN":
                print(found.laddr.ip)
"""


@pytest.mark.soak
def test_nothing_of_ones_own_cluster_listens_to_others(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    done = subprocess.run(
        [sys.executable, "-c", _LISTENS], capture_output=True, text=True, env=ENVIRONMENT
    )
    addresses = done.stdout.split()
    assert len(addresses) > 3, done.stderr
    assert set(addresses) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.parametrize(
    ("cpus", "gpus", "needs", "fit"),
    [
        (8, 0, (1, 0), 8),
        (8, 0, (3, 0), 2),  # not 2.67: a training is on one node
        (8, 2, (1, 0.25), 8),
        (4, 1, (0.5, 0.3), 3),
        (4, 0, (1, 1), 0),
        (0.3, 0, (0.1, 0), 3),  # 0.3 / 0.1 is 2.9999999999999996
    ],
)
def test_trainings_that_fit_onto_a_node(
    cpus: float, gpus: float, needs: tuple[float, float], fit: int
) -> None:
    assert room_of(Node(id="1", host="a", cpus=cpus, gpus=gpus), *needs) == fit


def test_of_a_traceback_the_last_line_is_told() -> None:
    error = RuntimeError(
        "ray::unfit() (pid=1)\n  File x\nModuleNotFoundError: No module 'search'\n"
    )
    assert first_line(error) == "ModuleNotFoundError: No module 'search'"
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray-address", "x"], "are for --engine ray"),
        (["--features", "nodes"], "are for --engine ray"),
        (["--out", "sftp://me:secret@host/x"], "--out sftp://me:***@host/x is a URL, which is for"),
    ],
)
def test_options_that_do_not_belong_together(
    study_file: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(group, ["search", str(study_file), *arguments])
    assert isinstance(result.exception, InvalidInput) and message in str(result.exception)


def test_the_state_of_a_cluster_that_is_damaged_is_none(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", json.dumps({"written_at": 0, "room": 1, "nodes": 1, "tasks": []})):
        (tmp_path / "cluster.json").write_text(text)
        assert read_cluster_state(tmp_path) is None


class _Known:
    """Stands for the place of a study, of which only histories are read."""

    def __init__(self) -> None:
        self.epochs = 0

    def history(self, key: str) -> tuple[EpochRecord, ...]:
        nothing = dict.fromkeys(("learning_rate", "training_loss", "training_error"), 0.0)
        nothing |= dict.fromkeys(("validation_loss", "validation_error", "seconds"), 0.0)
        return tuple(EpochRecord(epoch=n, **nothing) for n in range(1, self.epochs + 1))


def test_a_design_whose_tasks_die_without_an_epoch_has_failed(tmp_path: Path) -> None:
    """Three deaths one after the other; an epoch in between sets the count back."""
    point, place, submitted = published("matchboxnet-3x1x64"), _Known(), list[str]()
    trainers = object.__new__(RayTrainers)
    trainers.artifacts, trainers.folder = place, tmp_path  # type: ignore[assignment]
    trainers.watch = lambda point, record: None
    trainers.submit_task = lambda mine, avoid: submitted.append(avoid)  # type: ignore[method-assign,assignment,func-returns-value]
    mine = OpenTask(point, 9, reference=None, node="one")
    for epochs, ended in ((0, False), (0, False), (1, False), (1, False), (1, True)):
        place.epochs = epochs
        outcome = trainers.start_again(mine, "node one: the disk is full", avoid="one")
        assert (outcome is not None) == ended
    assert outcome is not None and outcome["failed"].startswith(
        "3 tasks ended in it; the last: node"
    )
    assert submitted == ["one"] * 4 and mine.restarts == 4
    assert log_of(tmp_path).count("died after epoch") == 5
