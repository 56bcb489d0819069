"""Fetch archives of Speech Commands and LibriSpeech: resumed, checked, unpacked in one step.

While a fetch runs, everything lies in `DIR.download` beside the folder; the folder itself appears
when the archive is whole, has the published checksum and is unpacked.

    DIR.download/archive.tar.gz.part      grows; kept over interruptions
    DIR.download/unpacked/                filled, then renamed to DIR

An archive that is one part of a corpus (`Archive.part`) lies in `DIR.PART.download` meanwhile, and
its part appears in DIR beside others that are there: LibriSpeech comes as seven archives.

Nothing of the archive is trusted before its SHA-256 is right, so plain http and mirrors are safe:
they can only fail. Resuming asks for `Range: bytes=N-` and has four answers to tell apart:

    206, starts at N      the rest: written behind what is there
    200                   the server knows no ranges: the whole file, from the beginning
    416, total is N       nothing is left: the file was complete
    416, otherwise        what is there is longer than the archive, so no beginning of it: removed
"""

import contextlib
import hashlib
import http.client
import os
import shutil
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dse.errors import InvalidData

Report = Callable[[str, int, int], None]
"""Called with what is being done, how many bytes are done, how many there are (0: not known)."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A published archive, a gzipped tar; known by its checksum, wherever it comes from."""

    url: str
    sha256: str
    archive_bytes: int
    unpacked_bytes: int
    """About; to refuse a disk that is too small before the download."""
    contents: str
    """One line for the help."""
    part: str = ""
    """The folder of the archive that is one part of a corpus, `LibriSpeech/dev-clean`; empty where
    the archive is all of it."""


_SPEECH_COMMANDS = {
    "speech-commands-v0.01": Archive(
        url="http://download.tensorflow.org/data/speech_commands_v0.01.tar.gz",
        sha256="743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
        archive_bytes=1_489_096_277,
        unpacked_bytes=2_300_000_000,
        contents="64,727 clips of 30 words, 1.5 GB",
    ),
    "speech-commands-v0.02": Archive(
        url="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
        archive_bytes=2_428_923_189,
        unpacked_bytes=3_700_000_000,
        contents="105,829 clips of 35 words, 2.4 GB",
    ),
}
"""Pete Warden, Google; CC BY 4.0. Checksums: torchaudio, datasets/speechcommands.py, `_CHECKSUMS`,
and TensorFlow Datasets, speech_commands/checksums.tsv (v0.02); sizes: the server's Content-Length.
"""


def _librispeech(name: str, sha256: str, archive_bytes: int, hours: str) -> Archive:
    return Archive(
        url=f"https://www.openslr.org/resources/12/{name}.tar.gz",
        sha256=sha256,
        archive_bytes=archive_bytes,
        unpacked_bytes=round(1.03 * archive_bytes),  # FLAC is packed already; blocks of a disk
        contents=f"{hours} h of read English, {archive_bytes / 1e9:.1f} GB",
        part=f"LibriSpeech/{name}",
    )


_LIBRISPEECH = {
    f"librispeech/{name}": _librispeech(name, *published)
    for name, published in {
        "dev-clean": (
            "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
            337_926_286,
            "5.4",
        ),
        "dev-other": (
            "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
            314_305_928,
            "5.3",
        ),
        "test-clean": (
            "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
            346_663_984,
            "5.4",
        ),
        "test-other": (
            "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
            328_757_843,
            "5.1",
        ),
        "train-clean-100": (
            "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
            6_387_309_499,
            "100.6",
        ),
        "train-clean-360": (
            "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
            23_049_477_885,
            "363.6",
        ),
        "train-other-500": (
            "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
            30_593_501_606,
            "496.7",
        ),
    }.items()
}
"""Vassil Panayotov and others; CC BY 4.0; OpenSLR, resource 12. Checksums: torchaudio,
datasets/librispeech.py, `_CHECKSUMS`; sizes: Kaldi, librispeech/s5/local/download_and_untar.sh,
`sizes_new`; hours: Panayotov et al., ICASSP 2015, table 1."""

ARCHIVES = _SPEECH_COMMANDS | _LIBRISPEECH
"""What `dse data fetch` knows by name."""

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 4  # without a single new byte: any progress starts the count, and the pauses, again


def fetch(
    archive: Archive,
    folder: Path,
    url: str | None = None,
    report: Report | None = None,
    pause_s: float = 1.0,
) -> None:
    """Download, check and unpack `archive` into `folder`.

    An interrupted download goes on where it stopped, at once and when called again, if the server
    knows HTTP ranges; else it starts anew.

    Args:
        archive: what to fetch.
        folder: missing or empty; appears when all is done. A part of a corpus needs no empty one:
            it appears there beside other parts.
        url: a mirror of the same archive; the checksum stays.
        report: told the progress.
        pause_s: wait before trying again; doubles each time.

    Raises:
        InvalidData: the folder is in use, the server cannot be reached, or the archive is not the
            published one.
        OSError: the disk is full or must not be written.
    """
    url = url or archive.url
    tell: Report = report or (lambda stage, done, total: None)
    _check_place(archive, folder, url)
    name = Path(archive.part).name
    work = folder.with_name(f"{folder.name}{'.' if name else ''}{name}.download")
    work.mkdir(parents=True, exist_ok=True)
    packed = work / "archive.tar.gz.part"
    _check_space(archive, work, packed)
    try:
        _download(url, packed, pause_s, tell)
    finally:
        with contextlib.suppress(OSError):
            work.rmdir()  # only if nothing came at all
    _check_sum(archive, url, packed, tell)
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    _unpack(packed, unpacked, url, tell)
    if archive.part:
        _put_beside(archive, folder, unpacked, url)
    else:
        if folder.exists():
            folder.rmdir()  # empty, as checked above
        unpacked.rename(folder)
    shutil.rmtree(work, ignore_errors=True)


def _put_beside(archive: Archive, folder: Path, unpacked: Path, url: str) -> None:
    """Move a part into `folder`, last of all, after what lies around it: licence, list of speakers.

    Each part brings the same files around it, so those that are there stay.
    """
    part = unpacked / archive.part
    if not part.is_dir():
        raise InvalidData(f"the archive of {url} has no folder {archive.part}")
    place = (folder / archive.part).parent
    place.mkdir(parents=True, exist_ok=True)
    for each in sorted(part.parent.iterdir()):
        if each != part and not (place / each.name).exists():
            each.rename(place / each.name)
    if (folder / archive.part).exists():
        (folder / archive.part).rmdir()  # empty, as checked before the download
    part.rename(folder / archive.part)


def _check_place(archive: Archive, folder: Path, url: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise InvalidData(f"{folder} is a file: name a new or empty folder")
    if archive.part:
        part = folder / archive.part
        if part.exists() and (not part.is_dir() or any(part.iterdir())):
            raise InvalidData(f"{part} is there already: remove it, or name another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise InvalidData(f"{folder} is not empty: name a new or empty folder")
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise InvalidData(
            f"'{url}' is no address that can be fetched: it must begin with http:// or https://"
        )


def _check_space(archive: Archive, work: Path, packed: Path) -> None:
    present_bytes = packed.stat().st_size if packed.exists() else 0
    needed_bytes = archive.archive_bytes + archive.unpacked_bytes - present_bytes
    free_bytes = shutil.disk_usage(work).free
    if free_bytes < needed_bytes:
        with contextlib.suppress(OSError):
            work.rmdir()  # only if nothing is in it
        raise InvalidData(
            f"{work.parent} has {free_bytes / 1e9:.1f} GB free, but download and unpacked files "
            f"need {needed_bytes / 1e9:.1f} GB: free some space, or choose another folder"
        )


def _download(url: str, packed: Path, pause_s: float, tell: Report) -> None:
    failures = 0
    while True:
        before_bytes = packed.stat().st_size if packed.exists() else 0
        try:
            if _receive(url, packed, before_bytes, tell):
                return
            problem = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 429):
                raise InvalidData(
                    f"{url} cannot be fetched: {problem}; check the address, or name a mirror with "
                    "--url"
                ) from None
        except urllib.error.URLError as error:
            problem = _lower(error.reason)
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            problem = _lower(error)
        after_bytes = packed.stat().st_size if packed.exists() else 0
        failures = 0 if after_bytes > before_bytes else failures + 1
        if failures >= _ATTEMPTS:
            raise InvalidData(
                f"{url} cannot be fetched: {problem}, {_ATTEMPTS} times without progress; "
                f"{after_bytes / 1e6:.1f} MB are kept and the same command goes on from there, or "
                "name a mirror with --url"
            )
        time.sleep(pause_s * 2**failures)


def _lower(reason: object) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror.lower()
    return (str(reason) or type(reason).__name__).lower()


def _receive(url: str, packed: Path, present_bytes: int, tell: Report) -> bool:
    """One request; whether the file is complete after it."""
    # Not compressed on the way: lengths and ranges must count bytes of the archive itself.
    headers = {"User-Agent": "ternary-dse", "Accept-Encoding": "identity"}
    if present_bytes:
        headers["Range"] = f"bytes={present_bytes}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not present_bytes:
            raise
        total = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        error.close()
        if total == str(present_bytes):
            return True
        packed.unlink()  # longer than the archive: not a beginning of it
        return False
    with response:
        start_bytes = _find_start(response, present_bytes)
        length = response.headers.get("Content-Length")
        total_bytes = start_bytes + int(length) if length else 0
        done_bytes = start_bytes
        with packed.open("r+b" if start_bytes else "wb") as file:
            file.seek(start_bytes)
            tell("download", done_bytes, total_bytes)
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                done_bytes += len(chunk)
                tell("download", done_bytes, total_bytes)
    return not total_bytes or done_bytes >= total_bytes


def _find_start(response: http.client.HTTPResponse, present_bytes: int) -> int:
    """Where the answer begins: 0 unless the server says that it continues our file."""
    if response.status == 206:
        found = response.headers.get("Content-Range", "")
        if found.startswith(f"bytes {present_bytes}-"):
            return present_bytes
        raise http.client.HTTPException(f"the server answers with another range ({found})")
    return 0


def _check_sum(archive: Archive, url: str, packed: Path, tell: Report) -> None:
    digest = hashlib.sha256()
    total_bytes, done_bytes = packed.stat().st_size, 0
    with packed.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done_bytes += len(chunk)
            tell("check", done_bytes, total_bytes)
    if digest.hexdigest() != archive.sha256:
        packed.unlink()
        with contextlib.suppress(OSError):
            packed.parent.rmdir()
        raise InvalidData(
            f"{url} is not the published archive: its SHA-256 is {digest.hexdigest()}, not "
            f"{archive.sha256}; the download was removed, fetch it again or name another mirror "
            "with --url"
        )


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Write one file or folder of an archive, and nothing outside `into`.

    Raises:
        TarError: it would lie outside, or is a device.
    """
    if hasattr(tarfile, "data_filter"):
        # The filter refuses absolute paths, `..`, devices and links that lead outside.
        tar.extract(member, into, filter="data")
        return
    # Python 3.11.2, which Debian 12 has, knows no filter: files and folders only, so that no link
    # leads anywhere.
    parts = Path(member.name.lstrip("/")).parts
    if ".." in parts:
        raise tarfile.TarError(f"{member.name!r} would be outside the folder")
    place = into.joinpath(*parts)
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isfile() else None
    if source is None:
        raise tarfile.TarError(f"{member.name!r} is neither file nor folder")
    place.parent.mkdir(parents=True, exist_ok=True)
    with source, place.open("wb") as out:
        shutil.copyfileobj(source, out)


def _unpack(packed: Path, unpacked: Path, url: str, tell: Report) -> None:
    total_bytes = packed.stat().st_size
    unpacked.mkdir()
    try:
        with packed.open("rb") as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
            for member in tar:
                _extract(tar, member, unpacked)
                tell("unpack", file.tell(), total_bytes)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        shutil.rmtree(unpacked, ignore_errors=True)
        raise InvalidData(f"the archive of {url} cannot be unpacked: {error}") from None
    if os.listdir(unpacked) == []:
        raise InvalidData(f"the archive of {url} is empty")
