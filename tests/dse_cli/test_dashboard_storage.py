"""`dse dashboard` of a storage: a view that is renewed, and a page that knows no password."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from dse.errors import InvalidInput
from dse.studies.rows import read_rows
from dse_cli import group
from search.cluster.storages import connect, storage_url
from tests.search.postgres import free_port
from tests.search.test_cluster import cluster, run


@pytest.mark.soak
def test_the_dashboard_of_a_storage(study_file: Path, tmp_path: Path, database: str) -> None:
    outcome = run(study_file, tmp_path / "study", cluster=cluster(database))
    port, url = free_port(), storage_url(database)
    views = tmp_path / "temporary"
    views.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "dse_cli", "dashboard", "--port", str(port), "--no-browser"],
        env=os.environ | {"DSE_STORAGE": database, "TMPDIR": str(views)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        begun = time.monotonic()
        while True:
            try:
                address = f"http://127.0.0.1:{port}/_stcore/health"
                assert urllib.request.urlopen(address, timeout=5).read() == b"ok"
                break
            except OSError:
                assert process.poll() is None and time.monotonic() - begun < 120
                time.sleep(0.2)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        seen = b"".join(
            Path(f"/proc/{child}/{name}").read_bytes() for name in ("cmdline", "environ")
        )
        (view,) = views.glob("dse-view-*/tones")
        assert read_rows(view) == outcome.rows
        assert not list(view.rglob("*.pt"))
    finally:
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    assert b"--read-only" in seen and str(view.parent).encode() in seen
    assert b"DSE_STORAGE" not in seen
    for secret in (*url.secrets, database):
        assert secret.encode() not in seen + output
    assert not list(views.glob("dse-view-*"))


def test_a_storage_without_a_study_is_one_sentence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    with connect(storage_url(url)):
        pass
    for arguments in (["dashboard", url], ["pull", url]):
        result = CliRunner().invoke(group, arguments)
        assert isinstance(result.exception, InvalidInput)
        assert str(result.exception) == f"{url} holds no study: dse search --storage makes one"
