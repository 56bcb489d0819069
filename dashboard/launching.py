"""Searches as processes of their own: the command that a person would type, without a shell.

A search goes on when the page is closed or the server ends, and is found again by the lock in its
folder. Nothing that a page sends becomes a word of a command but names and numbers checked here.

Why processes and not threads of the server: Streamlit runs a page's script anew at each click and
drops its state when the browser leaves; a training of hours must depend on neither. What page and
search share is the study's folder alone, which a search started in a terminal writes just so.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cost_models import accelerator_names, technology_names
from dashboard.studies import inside, searching_elsewhere, searching_process
from dse import files
from dse.design.families import FAMILIES
from dse.design.families.own import ENDING
from dse.errors import InvalidInput, InvalidStudy
from dse.files import write_text
from dse.studies.folder import RESOLVED
from dse.studies.spec import PRIORS

LOG = ".search.log"
"""In the study's folder; hidden, so that the search takes the folder for a new one."""
MOST_BYTES = 200_000  # of a study file
MOST_WORKERS = 64
MOST_TRAININGS = 100_000
CHECK_SECONDS = 60


def find_beginnings(folders: Sequence[Path]) -> dict[str, Path]:
    """Label -> folder in which a search prepares its data, or did not get so far as a record."""
    found: dict[str, Path] = {}
    for root in folders:
        if os.path.exists(root / RESOLVED):
            continue
        with contextlib.suppress(OSError):  # no folder, or one that may not be read
            found |= {
                path.name: path
                for path in sorted(root.iterdir())
                if os.path.exists(path / LOG) and not os.path.exists(path / RESOLVED)
            }
    return found


@dataclass(frozen=True, slots=True)
class State:
    """What becomes of a study at the moment."""

    name: str
    """`starting`, `preparing`, `searching`, `stopping`, or `idle`."""
    words: str
    process: int | None = None
    """Of this machine."""
    host: str = ""
    """Another machine that searches."""
    has_record: bool = True
    """Whether the search got so far that there is a study."""

    @property
    def can_stop(self) -> bool:
        """Whether there is a search of this machine that has not been asked yet."""
        return self.process is not None and self.name in ("preparing", "searching")

    @property
    def can_resume(self) -> bool:
        """Whether nobody searches, and there is something to go on with."""
        return self.name == "idle" and self.has_record


_LAUNCHED: dict[Path, "subprocess.Popen[bytes]"] = {}
"""Searches that this server started. From the start of a process to the lock that tells of it pass
the seconds in which Python loads its modules."""
_STOPPED: set[tuple[Path, int]] = set()
"""Processes that were asked to stop; they end their epoch first."""


def find_state(folder: Path) -> State:
    """What becomes of the study in a folder at the moment."""
    has_record = os.path.exists(folder / RESOLVED)
    host = searching_elsewhere(folder)
    if host:
        return State("searching", f"searching, on {host}", host=host)
    process = searching_process(folder)
    if process is None:
        launched = _LAUNCHED.get(folder.resolve())
        if launched is not None and launched.poll() is None:
            return State("starting", "starting: the program is loading", has_record=has_record)
        words = "not running" if has_record else "did not begin: the log says why"
        return State("idle", words, has_record=has_record)
    if (folder.resolve(), process) in _STOPPED:
        words = f"stopping, process {process}: what is in training ends its epoch"
        return State("stopping", words, process, has_record=has_record)
    if not has_record:
        words = f"preparing the data, process {process}"
        return State("preparing", words, process, has_record=False)
    return State("searching", f"searching, process {process}", process)


def check(text: str, root: Path) -> tuple[bool, str]:
    """What `dse search FILE --check` says to the text of a study file.

    The text is put into a file of its own in `root` for as long as the check takes, as paths in it
    are seen from where it stands; messages say `study` in place of that file's name.

    Args:
        text: YAML.
        root: relative paths of the file are seen from here.

    Returns:
        Whether it is a study, and what it is, or the sentence that says what is wrong.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        return False, f"a study file has at most {MOST_BYTES:,} bytes"
    try:
        return _check(text, root)
    except subprocess.TimeoutExpired:
        return False, f"the check took longer than {CHECK_SECONDS} s: make the space smaller"
    except (OSError, UnicodeEncodeError) as error:
        return False, _refusal(root, error)


def _refusal(root: Path, error: OSError | UnicodeEncodeError) -> str:
    reason = error.strerror if isinstance(error, OSError) else "it has a letter that is none"
    return (
        f"the study cannot be written into {root.name} ({str(reason).lower()}): free some space, "
        "change the folder's permissions, or open another folder of studies"
    )


def _check(text: str, root: Path) -> tuple[bool, str]:
    with tempfile.NamedTemporaryFile(
        "w", suffix=".yaml", prefix=".check-", dir=root, encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        done = subprocess.run(
            [*_search(), file.name, "--check"],
            capture_output=True,
            text=True,
            check=False,
            timeout=CHECK_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        said = (done.stdout if done.returncode == 0 else done.stderr).strip()
        lines = said.replace(file.name, "study").replace(Path(file.name).name, "study").split("\n")
        return done.returncode == 0, " ".join(line.strip() for line in lines)


def check_paths(node: Mapping[str, Any], root: Path, data: Sequence[Path]) -> None:
    """Refuse a study that leads out of what the dashboard shows; what it is worth is `check`'s.

    A study file may name any folder and file of the computer, which is right for whoever types the
    command. Whoever reaches the page could make the server read them, and see what errors quote of
    them: hence only known data, machines of the package or beside the studies, and studies beside.

    Args:
        node: of a study file, as plain data.
        root: folder of studies; machines that a page saved lie there, too.
        data: folders of spoken words that are known.

    Raises:
        InvalidStudy: a folder, machine or technology is another one.
    """
    section = node.get("data")
    folder = section.get("folder") if isinstance(section, Mapping) else None
    known = [path.resolve() for path in data]
    if folder is not None and (root / str(folder)).resolve() not in known:
        raise InvalidStudy(
            "the data must be a folder that the page knows: one beside the studies, one of another "
            "study, or one that `dse dashboard --data FOLDER` named"
        )
    space = node.get("space")
    family = space.get("family") if isinstance(space, Mapping) else None
    if isinstance(family, str) and family not in FAMILIES and family.endswith(ENDING):
        raise InvalidStudy(
            f"the family {family} is a program, and a page executes none: start the search with "
            "`dse search`; it is shown here all the same"
        )
    hardware = node.get("hardware")
    searched = hardware if isinstance(hardware, Mapping) else {}
    machines = [node.get("machine"), searched.get("machine")]
    technologies = [node.get("technology"), searched.get("technology")]
    for given, library in (
        (machines, accelerator_names()),
        (technologies, technology_names()),
    ):
        for each in given:
            for name in each if isinstance(each, list) else [each]:
                if name is not None and name not in library:
                    beside(root, name)
    earlier = node.get("warm_start") or []
    for each in earlier if isinstance(earlier, list) else [earlier]:
        if (root / str(each)).resolve().parent != root.resolve():
            raise InvalidStudy(f"warm_start leads out of the folder of studies: {each}")
    prior = node.get("prior")
    if (
        prior is not None
        and prior not in PRIORS
        and ((root / str(prior)).resolve().parent != root.resolve())
    ):
        raise InvalidStudy(f"prior leads out of the folder of studies: {prior}")


def beside(root: Path, name: object) -> Path:
    """A machine's file in the folder of studies.

    Raises:
        InvalidStudy: the name is neither one of the package nor of a file there.
    """
    text = str(name)
    path = inside(root, text) if text.endswith((".yaml", ".yml")) else root / "nothing"
    if not path.is_file():
        raise InvalidStudy(
            f"{text} is no machine or technology of the package and no YAML file beside the "
            "studies: choose one of those, or start the search with `dse search`"
        )
    return path


def start(name: str, text: str, root: Path, *, workers: int | None = None) -> Path:
    """Save a study file and search it; its folder.

    Args:
        name: of the study's file and folder, directly in `root`.
        text: YAML, checked already.
        root: folder of studies.
        workers: designs trained at a time; as many as the search finds right where it is None.

    Raises:
        InvalidStudy: the name could lead elsewhere, or is taken; the folder cannot be written to,
            and nothing of the study is left in it.
    """
    folder, path = inside(root, name), inside(root, f"{name}.yaml")
    taken = f"there is a study or file called {name} already: choose another name"
    if path.exists():
        raise InvalidStudy(taken)
    arguments = [*_search(), str(path), "--out", str(folder), *_workers(workers)]
    try:
        folder.mkdir()  # of two that start at once, one makes it, and the other leaves it alone
    except FileExistsError:
        raise InvalidStudy(taken) from None
    except OSError as error:
        raise InvalidStudy(_refusal(root, error)) from None
    try:
        write_text(path, text)
        _launch(arguments, folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        raise InvalidStudy(_refusal(root, error)) from None
    return folder


def resume(folder: Path, *, trainings: int | None = None, workers: int | None = None) -> None:
    """Go on with a study.

    Args:
        folder: of the study.
        trainings: ends after so many in all; None leaves it as it is.
        workers: as in `start`.

    Raises:
        InvalidStudy: it is being searched, or there is none.
    """
    if not find_state(folder).can_resume and os.path.exists(folder / RESOLVED):
        raise InvalidStudy(f"{folder.name} is being searched already")
    if not (folder / RESOLVED).exists():
        raise InvalidStudy(f"{folder.name} holds no study that could go on")
    arguments = [*_search(), str(folder), *_workers(workers)]
    if trainings is not None:
        if not 1 <= trainings <= MOST_TRAININGS:
            raise InvalidStudy(f"trainings must be from 1 to {MOST_TRAININGS:,}, not {trainings}")
        arguments += ["--trainings", str(int(trainings))]
    try:
        _launch(arguments, folder)
    except OSError as error:
        raise InvalidStudy(_refusal(folder, error)) from None


def stop(folder: Path) -> bool:
    """Ask the search in a folder to stop, as Ctrl-C does; whether there was one.

    Returns at once. What is evaluated is in the folder already, so `resume` goes on from there.

    Raises:
        InvalidStudy: the search is another user's.
    """
    process = searching_process(folder)
    if process is None:
        return False
    # A server that was started in the background hands on that it ignores Ctrl-C.
    try:
        os.kill(process, signal.SIGTERM if _ignores_interrupts(process) else signal.SIGINT)
    except PermissionError:
        raise InvalidStudy(
            f"process {process}, which searches {folder.name}, is another user's: ask them to stop"
        ) from None
    _STOPPED.add((folder.resolve(), process))
    return True


def log_tail(folder: Path, lines: int = 25, *, name: str = LOG) -> str:
    """The last lines of a log, of what a launched search printed for one; empty where none is.

    At most the last 20 kB are read, whatever the length of the log; a character that is cut in two
    at their beginning is replaced.
    """
    try:
        with files.inside(folder, name).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 20_000))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    except InvalidInput as error:  # a link, which would show any file of this computer
        return str(error)
    # A progress line is written over: what counts is behind its last carriage return.
    shown = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return "\n".join(shown[-lines:]).strip()


def _search() -> list[str]:
    return [sys.executable, "-m", "dse_cli", "search"]


def _workers(workers: int | None) -> list[str]:
    if workers is None:
        return []
    if not 1 <= workers <= MOST_WORKERS:
        raise InvalidStudy(f"workers must be from 1 to {MOST_WORKERS}, not {workers}")
    return ["--workers", str(int(workers))]


def _launch(arguments: list[str], folder: Path) -> None:
    with files.inside(folder, LOG).open("ab") as log:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C in the server's terminal goes to its foreground group.
            start_new_session=True,
            close_fds=True,
        )
    _LAUNCHED[folder.resolve()] = process
    _STOPPED.discard((folder.resolve(), process.pid))
    # Who started a process must ask how it ended, or it stays in the table of processes.
    threading.Thread(target=process.wait, daemon=True).start()


def _ignores_interrupts(process: int) -> bool:
    """Whether SIGINT is ignored: bit n - 1 of the mask SigIgn in /proc is signal n (Linux)."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    masks = [line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:")]
    return bool(masks) and bool(int(masks[0], 16) >> (signal.SIGINT - 1) & 1)
