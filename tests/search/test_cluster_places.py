"""Other storages and other stores: gRPC proxy, SQLite, a journal file; S3, memory, a folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from dse.errors import InvalidInput, InvalidStudy
from search.cluster.artifacts import Artifacts, open_artifacts, study_root
from search.cluster.storages import connect, storage_url
from search.cluster.view import pull
from tests.search.conftest import Undisturbed
from tests.search.postgres import Postgres, free_port
from tests.search.test_cluster import cluster, run
from tests.search.test_workers import numbers


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that speaks S3, with a bucket; its address as boto's variables say it."""
    import boto3
    import s3fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="trained")
    client.close()
    yield "s3://trained/networks"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.mark.soak
def test_networks_in_s3_and_trials_behind_a_proxy(
    study_file: Path, tmp_path: Path, postgres: Postgres, s3: str, undisturbed: Undisturbed
) -> None:
    port = free_port()
    proxy = subprocess.Popen(
        [sys.executable, "-m", "dse_cli", "storage", "serve", "--port", str(port)],
        env=os.environ | {"DSE_STORAGE": postgres.database("proxied")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert proxy.stdout is not None
        assert proxy.stdout.readline().startswith("serves postgresql://dse:***@127.0.0.1")
        url = f"grpc://127.0.0.1:{port}"
        outcome = run(study_file, tmp_path / "here", cluster=cluster(url, artifacts=s3))
        assert numbers(outcome.rows) == numbers(undisturbed(2).rows)
        with connect(storage_url(url)) as storage:
            pull(storage, storage_url(url), "tones", tmp_path / "there")
    finally:
        proxy.terminate()
        proxy.communicate()
    designs = sorted((tmp_path / "there").glob("designs/*/*"))
    assert {path.name for path in designs} >= {"best.pt", "last.pt", "history.csv"}
    for path in designs:
        here = tmp_path / "here" / path.relative_to(tmp_path / "there")
        assert here.read_bytes() == path.read_bytes()


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_files_that_machines_share(
    study_file: Path, tmp_path: Path, kind: str, undisturbed: Undisturbed
) -> None:
    """Begun in its folder, a study moves into a storage and goes on there with the same rows."""
    text = study_file.read_text()
    study_file.write_text(text.replace("trainings: 4", "trainings: 2"))
    run(study_file, tmp_path / "study")
    study_file.write_text(text)
    url = f"{kind}:///{tmp_path / 'shared'}"
    moved = run(study_file, tmp_path / "study", cluster=cluster(url))
    assert numbers(moved.rows) == numbers(undisturbed(2).rows)
    with connect(storage_url(url)) as storage:
        assert pull(storage, storage_url(url), "tones", tmp_path / "view").rows == len(moved.rows)


@pytest.mark.parametrize("place", ["memory://store", "{tmp}/store"])
def test_a_store_keeps_designs_whole_and_in_order(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_artifacts(study_root(place.format(tmp=tmp_path), "tones"))
    design = tmp_path / "work"
    design.mkdir()
    put: list[str] = []
    plain = Artifacts.put

    def noted(self: Artifacts, name: str, path: Path) -> None:
        put.append(path.name)
        plain(self, name, path)

    monkeypatch.setattr(Artifacts, "put", noted)
    for name in ("last.pt", "history.csv", "best.pt"):
        (design / name).write_text(f"epoch 1 of {name}")
    store.push("key", design)
    # last.pt counts on best.pt, and a history that is there says that all of it is.
    assert put == ["best.pt", "last.pt", "history.csv"]
    (design / "last.pt").write_text("epoch 2")
    store.push("key", design)
    assert put[3:] == ["last.pt"]
    store.pull("key", tmp_path / "there")
    assert (tmp_path / "there/last.pt").read_text() == "epoch 2"
    assert {path.name for path in (tmp_path / "there").iterdir()} == set(put)
    store.pull("key", tmp_path / "seen", checkpoints=False)
    assert [path.name for path in (tmp_path / "seen").iterdir()] == ["history.csv"]
    store.pull("nothing", tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_a_store_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_artifacts(study_root("s3://nobucket/x", "tones"))
    store.give_up_s = 0.5
    with pytest.raises(InvalidStudy, match=r"the artifacts s3://nobucket/x/tones cannot be used"):
        store.mark("mark")
    with pytest.raises(InvalidInput, match="are of no known kind"):
        open_artifacts(study_root("nonsense://x", "tones"))
