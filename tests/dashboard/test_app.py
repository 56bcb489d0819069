import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dse.record import RESOLVED
from dse.results import COST_COLUMNS, Evaluation, append_row

APP = Path(__file__).parents[2] / "dashboard" / "app.py"

RECORD = """
name: small
base_folder: /
data_folder: /speech
objectives: [error, energy_pj]
limits: {max_trained_parameters: 20000}
box: {error: [0.0, 1.0], energy_pj: [4.0, 7.0]}
accelerator: {name: kws_ternary}
technology: {name: horowitz_45nm}
"""


def row(trial: int, error: float | None, energy_pj: float, **fields: object) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 100.0) | {"energy_pj": energy_pj, "generated_weights": trial}
    status = "infeasible" if error is None else "trained"
    base = Evaluation(
        trial=trial, status=status, source="search", key=f"key{trial}", name=f"design {trial}",
        error=error, cost=cost,
    )  # fmt: skip
    return Evaluation(**({name: getattr(base, name) for name in base.__slots__} | fields))  # type: ignore[arg-type]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "studies" / "small"
    folder.mkdir(parents=True)
    (folder / RESOLVED).write_text(RECORD)
    for item in (row(0, 0.4, 1e5), row(1, 0.2, 1e6), row(2, 0.3, 2e6), row(3, None, 9e6)):
        append_row(folder, item)
    history = folder / "designs" / "key1" / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,training_error,validation_error\n1,0.5,0.4\n2,0.3,0.2\n")
    return folder


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(APP), str(folder)])
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    return app


def test_a_study_shows_its_numbers_and_frontier(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run(study.parent, monkeypatch)
    assert [metric.value for metric in app.metric[:3]] == ["4", "3", "2"]
    assert app.sidebar.selectbox[0].options == ["small"]
    # Trial 2 is dominated by trial 1, so the choice of frontier designs holds 0 and 1.
    assert app.main.selectbox[0].options == ["trial 0: design 0", "trial 1: design 1"]
    table = app.dataframe[0].value
    assert list(table["design"]) == ["design 1", "design 0", "design 2"]
    assert table.iloc[0]["energy per inference (uJ)"] == 1.0
    assert "max_trained_parameters 20,000" in app.caption[0].value


def test_infeasible_designs_can_be_shown(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = run(study, monkeypatch)
    app.multiselect[0].set_value(["infeasible"]).run()
    assert not app.exception
    assert list(app.dataframe[0].value["design"]) == ["design 3"]


def test_a_study_without_trained_designs_says_what_to_do(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study / "results.jsonl").unlink()
    app = run(study, monkeypatch)
    assert "No design is trained yet" in app.info[0].value


def test_an_empty_folder_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no study here yet" in run(tmp_path, monkeypatch).info[0].value
    assert "There is no study here yet" in run(tmp_path / "nothing", monkeypatch).info[0].value


def test_a_damaged_study_is_one_sentence(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study / "results.jsonl").write_text("{broken\n")
    assert "not a row of results" in run(study, monkeypatch).error[0].value


@pytest.mark.slow
def test_the_server_listens_on_this_machine_only(study: Path) -> None:
    port = 8599
    arguments = [sys.executable, "-m", "search.cli", "dashboard", str(study), "--no-browser",
                 "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"STREAMLIT_SERVER_FILE_WATCHER_TYPE": "none"}, start_new_session=True,
    )  # fmt: skip
    try:
        assert _answer(port, "127.0.0.1", process) == 200
        # Another address of this machine's loopback network: nothing listens there.
        with pytest.raises(OSError):
            _get(port, "127.0.0.2", "127.0.0.1")
        assert "101" in _open_socket(port, f"127.0.0.1:{port}")
        assert "101" in _open_socket(port, f"localhost:{port}")
        assert "403" in _open_socket(port, f"evil.example:{port}")
    finally:
        os.killpg(process.pid, 15)
        process.communicate(timeout=30)


def _answer(port: int, address: str, process: subprocess.Popen[str]) -> int:
    for _ in range(240):
        assert process.poll() is None, process.communicate()[0]
        try:
            return _get(port, address, address)
        except OSError:
            time.sleep(0.25)
    raise AssertionError("the dashboard did not answer within a minute")


def _get(port: int, address: str, host: str) -> int:
    request = urllib.request.Request(f"http://{address}:{port}/", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=5) as response:
        return int(response.status)


def _open_socket(port: int, host: str) -> str:
    """First line of the answer to a WebSocket handshake from a page of `host`."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        return connection.recv(4096).decode().splitlines()[0]


def test_the_dashboard_refuses_what_is_no_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "search.cli", "dashboard", str(tmp_path / "none")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().endswith("name the folder of a study, or run `dse search` first")
