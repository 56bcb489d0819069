import functools
import hashlib
import http.server
import io
import tarfile
import threading
from pathlib import Path

import pytest

from dse.errors import InvalidData
from dse.speech import download
from dse.speech.download import ARCHIVES, Archive, fetch


def packed(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


NOISE = bytes(hashlib.sha256(bytes([index])).digest()[0] for index in range(256)) * 1000
CONTENT = packed(("./yes/a_nohash_0.wav", NOISE), ("./README.md", b"hello"))


class Server:
    """Serves one file and remembers what was asked; `behaviour` is read at each request."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        self.cut_after: list[int] = []  # bytes after which each of the next answers breaks off
        self.status: list[int] = []  # refusals before the first answer

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        self.ranges.append(request.headers.get("Range"))
        if self.status:
            request.send_error(self.status.pop(0))
            return
        start, size = 0, len(self.content)
        asked = request.headers.get("Range")
        if asked and self.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= size:
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{size}")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(size - start))
        request.end_headers()
        end = start + self.cut_after.pop(0) if self.cut_after else size
        request.wfile.write(self.content[start:end])


class Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments) -> None:
        self.told = server
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.told.answer(self)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    told = Server()
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, told))
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{listening.server_address[1]}/speech.tar.gz"
    yield told
    listening.shutdown()
    listening.server_close()
    thread.join()


def archive(server: Server, content: bytes = CONTENT) -> Archive:
    digest = hashlib.sha256(content).hexdigest()
    return Archive(server.url, digest, len(content), 1000, "test")


def get(server: Server, folder: Path, **options) -> None:
    fetch(options.pop("archive", archive(server)), folder, pause_s=0, **options)


def assert_complete(folder: Path) -> None:
    assert (folder / "yes" / "a_nohash_0.wav").read_bytes() == NOISE
    assert (folder / "README.md").read_text() == "hello"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing beside it


def test_downloads_checks_and_unpacks(server, tmp_path):
    calls = []
    get(server, tmp_path / "speech", report=lambda *call: calls.append(call))
    assert_complete(tmp_path / "speech")
    assert server.ranges == [None]
    assert [stage for stage, _, _ in calls] == ["download"] * 2 + ["check"] + ["unpack"] * 2
    assert calls[1] == ("download", len(CONTENT), len(CONTENT))


def test_an_empty_folder_is_taken(server, tmp_path):
    (tmp_path / "speech").mkdir()
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")


def test_goes_on_at_once_when_the_connection_is_cut(server, tmp_path):
    server.cut_after = [300, 200]
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")
    assert server.ranges == [None, "bytes=300-", "bytes=500-"]


def test_goes_on_when_called_again(server, tmp_path):
    server.cut_after = [300] + [0] * 4  # one piece, then nothing but broken answers
    with pytest.raises(InvalidData) as caught:
        get(server, tmp_path / "speech")
    assert str(caught.value) == (
        f"{server.url} cannot be fetched: the connection was cut, 4 times without progress; "
        "0.0 MB are kept and the same command goes on from there, or name a mirror with --url"
    )
    assert not (tmp_path / "speech").exists()
    assert (tmp_path / "speech.download" / "archive.tar.gz.part").read_bytes() == CONTENT[:300]
    get(server, tmp_path / "speech")
    assert server.ranges[-1] == "bytes=300-"
    assert_complete(tmp_path / "speech")


def test_a_whole_part_is_not_fetched_again(server, tmp_path):
    work = tmp_path / "speech.download"
    work.mkdir()
    (work / "archive.tar.gz.part").write_bytes(CONTENT)
    (work / "unpacked").mkdir()  # a kill during unpacking
    (work / "unpacked" / "half").write_text("")
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_archive_starts_anew(server, tmp_path):
    work = tmp_path / "speech.download"
    work.mkdir()
    (work / "archive.tar.gz.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")
    assert server.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.knows_ranges = False
    server.cut_after = [300]
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")
    assert server.ranges == [None, "bytes=300-"]


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status = [503, 429, 500]
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")
    assert len(server.ranges) == 4


def test_a_wrong_address_is_said_at_once(server, tmp_path):
    server.status = [404]
    with pytest.raises(InvalidData) as caught:
        get(server, tmp_path / "speech")
    assert str(caught.value) == (
        f"{server.url} cannot be fetched: the server says 404 Not Found; check the address, or "
        "name a mirror with --url"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_server_is_said(tmp_path, server):
    with pytest.raises(InvalidData, match="cannot be fetched: connection refused, 4 times"):
        get(server, tmp_path / "speech", url="http://127.0.0.1:9/speech.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_another_archive_is_refused(server, tmp_path):
    expected = archive(server, b"another")
    with pytest.raises(InvalidData) as caught:
        get(server, tmp_path / "speech", archive=expected)
    assert str(caught.value) == (
        f"{server.url} is not the published archive: its SHA-256 is "
        f"{hashlib.sha256(CONTENT).hexdigest()}, not {expected.sha256}; the download was removed, "
        "fetch it again or name another mirror with --url"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["filter", "no filter"])
def python(request, monkeypatch):
    """With tarfile's filter, and as Python 3.11.2 is, which has none."""
    if request.param == "no filter":
        monkeypatch.delattr(download.tarfile, "data_filter", raising=False)


@pytest.mark.usefixtures("python")
def test_every_python_unpacks_the_same(server, tmp_path):
    get(server, tmp_path / "speech")
    assert_complete(tmp_path / "speech")


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt"])
def test_an_archive_that_reaches_outside_is_refused_or_kept_inside(server, tmp_path, name):
    server.content = packed(("yes/a.wav", b"x"), (name, b"evil"))
    folder = tmp_path / "below" / "speech"
    if name.startswith("/"):  # the filter strips the slash
        get(server, folder, archive=archive(server, server.content))
        assert (folder / "outside.txt").read_bytes() == b"evil"
    else:
        with pytest.raises(InvalidData, match=r"cannot be unpacked: .*outside"):
            get(server, folder, archive=archive(server, server.content))
        assert not folder.exists()
    assert not any(path.name == "outside.txt" for path in (tmp_path, *tmp_path.glob("*")))
    assert not (tmp_path / "below" / "outside.txt").exists()


def test_what_is_no_archive_is_refused(server, tmp_path):
    server.content = CONTENT[:400]  # as published, let us say, but cut
    with pytest.raises(InvalidData, match=r"the archive of http.* cannot be unpacked: "):
        get(server, tmp_path / "speech", archive=archive(server, server.content))
    assert not (tmp_path / "speech").exists()


def test_folders_in_use_and_other_addresses_are_refused(server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    with pytest.raises(InvalidData, match="mine is not empty: name a new or empty folder"):
        get(server, tmp_path / "mine")
    with pytest.raises(InvalidData, match="file is a file: name a new or empty folder"):
        get(server, tmp_path / "mine" / "file")
    with pytest.raises(InvalidData) as caught:
        get(server, tmp_path / "speech", url="file:///etc/passwd")
    assert str(caught.value) == (
        "'file:///etc/passwd' is no address that can be fetched: it must begin with http:// or "
        "https://"
    )
    assert server.ranges == []


def test_a_disk_that_is_too_small_is_refused_before_the_download(server, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=2_000_000_000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InvalidData) as caught:
        get(server, tmp_path / "speech", archive=ARCHIVES["speech-commands-v0.02"])
    assert str(caught.value) == (
        f"{tmp_path} has 2.0 GB free, but download and unpacked files need 6.1 GB: free some "
        "space, or choose another folder"
    )
    assert server.ranges == [] and list(tmp_path.iterdir()) == []


def test_published_archives():
    assert {name: entry.sha256[:8] for name, entry in ARCHIVES.items()} == {
        "speech-commands-v0.01": "74393542",
        "speech-commands-v0.02": "af14739e",
        "librispeech/dev-clean": "76f87d09",
        "librispeech/dev-other": "12661c48",
        "librispeech/test-clean": "39fde525",
        "librispeech/test-other": "d09c181b",
        "librispeech/train-clean-100": "d4ddd1d5",
        "librispeech/train-clean-360": "146a5649",
        "librispeech/train-other-500": "ddb22f27",
    }
    for name, entry in ARCHIVES.items():
        assert len(entry.sha256) == 64
        if not entry.part:
            assert entry.url.endswith(name.replace("-", "_") + ".tar.gz")


# --- parts of a corpus ---------------------------------------------------------------------------


def part_of(server: Server, name: str, content: bytes) -> Archive:
    server.content = packed(
        (f"LibriSpeech/{name}/84/1/84-1-0000.flac", content),
        ("LibriSpeech/LICENSE.TXT", name.encode()),
    )
    digest = hashlib.sha256(server.content).hexdigest()
    return Archive(server.url, digest, len(server.content), 1000, "test", f"LibriSpeech/{name}")


def test_parts_of_a_corpus_come_into_one_folder(server, tmp_path):
    folder = tmp_path / "speech"
    get(server, folder, archive=part_of(server, "dev-clean", b"one"))
    server.cut_after = [20]
    get(server, folder, archive=part_of(server, "test-clean", b"two"))
    assert server.ranges == [None, None, "bytes=20-"]
    inner = folder / "LibriSpeech"
    assert sorted(path.name for path in inner.iterdir()) == [
        "LICENSE.TXT",
        "dev-clean",
        "test-clean",
    ]
    assert (inner / "dev-clean/84/1/84-1-0000.flac").read_bytes() == b"one"
    assert (inner / "test-clean/84/1/84-1-0000.flac").read_bytes() == b"two"
    assert (inner / "LICENSE.TXT").read_text() == "dev-clean"  # what was there stays
    assert [path.name for path in tmp_path.iterdir()] == ["speech"]


def test_a_part_that_is_there_is_not_fetched_again(server, tmp_path):
    wanted = part_of(server, "dev-clean", b"one")
    get(server, tmp_path / "speech", archive=wanted)
    with pytest.raises(InvalidData, match=r"LibriSpeech/dev-clean is there already: remove it"):
        get(server, tmp_path / "speech", archive=wanted)
    assert server.ranges == [None]


def test_an_archive_of_another_part_is_refused(server, tmp_path):
    other = part_of(server, "dev-clean", b"one")
    wanted = Archive(
        *(getattr(other, name) for name in ("url", "sha256")), 9, 9, "", "LibriSpeech/x"
    )
    with pytest.raises(InvalidData, match=r"has no folder LibriSpeech/x"):
        get(server, tmp_path / "speech", archive=wanted)


def test_librispeech_is_known_by_its_seven_parts():
    parts = {name: each for name, each in ARCHIVES.items() if name.startswith("librispeech/")}
    assert len(parts) == 7 and len({each.sha256 for each in parts.values()}) == 7
    for name, each in parts.items():
        assert each.part == f"LibriSpeech/{name.removeprefix('librispeech/')}"
        assert each.url.endswith(f"/12/{Path(each.part).name}.tar.gz")
        assert len(bytes.fromhex(each.sha256)) == 32
    # 960 hours are what papers call the whole of LibriSpeech: 61 GB.
    training = [each for name, each in parts.items() if "/train-" in name]
    assert sum(float(each.contents.split()[0]) for each in training) == pytest.approx(960.9)
    assert 59e9 < sum(each.archive_bytes for each in training) < 61e9
