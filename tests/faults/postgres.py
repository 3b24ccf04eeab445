"""A PostgreSQL server of the tests' own, on loopback, that can be stopped, killed and started."""

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

ADMIN = "admin"
ROLE = "searcher"
"""Whom the tests connect as: it owns its databases and nothing else, and has a password."""

UNPRIVILEGED = "postgres"
"""Whom the server runs as where the tests run as root, which PostgreSQL refuses to."""

PORTS = range(20_000, 30_000)
"""Not those that the system gives to clients: one that keeps trying while the server is down might
be given the server's own port, connect to itself, and keep the server from starting again."""

_LAUNCHER = """
import ctypes, os, pwd, signal, sys
user, tests, *command = sys.argv[1:]
if user:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
if os.getppid() == int(tests):
    os.execv(command[0], command)
"""
"""Becomes the server, which then ends with the tests, also when they are killed. A program of its
own: to do so between fork and exec, a process would have to fork in which JAX has its threads."""

START_SECONDS = 60.0
STOP_SECONDS = 60.0


class NotInstalledError(Exception):
    """There is no PostgreSQL that could be started; the message says what is missing."""


class PostgresServer:
    """A cluster in a temporary folder; it keeps its port and its data from start to start.

    Raises:
        NotInstalledError: PostgreSQL, or the user it would run as, is missing.
    """

    def __init__(self) -> None:
        self._programs = find_programs()
        self._user = unprivileged_user()
        self.port = free_port()
        self.password = secrets.token_hex(12)  # of ``ROLE``: what must not be seen anywhere
        self._admin_password = secrets.token_hex(12)
        # Paths of sockets may have 107 bytes, and the folders of pytest are for root alone.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.log = self.folder / "log"
        self._postmaster: subprocess.Popen[bytes] | None = None
        try:
            self._create_cluster()
        except BaseException:
            self.close()
            raise

    def _create_cluster(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self._admin_password, encoding="utf-8")
        if self._user is not None:
            shutil.chown(self.folder, self._user, self._user)
            shutil.chown(password_file, self._user, self._user)
        options = (f"--username={ADMIN}", f"--pwfile={password_file}", "--auth=scram-sha-256")
        place = (self.folder / "data", "--encoding=UTF8", "--locale=C")
        done = subprocess.run(
            [self._programs / "initdb", *place, *options],
            cwd=self.folder,
            user=self._user,
            group=self._user,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()
        with self._connect() as connection:
            created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(created.format(sql.Identifier(ROLE), sql.Literal(self.password)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMIN,
            password=self._admin_password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    @property
    def is_running(self) -> bool:
        return self._postmaster is not None and self._postmaster.poll() is None

    @property
    def process_id(self) -> int:
        assert self._postmaster is not None
        return self._postmaster.pid

    def start(self) -> None:
        if self.is_running:
            return
        # Flushing to disk stays on, as it is where studies are kept.
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "shared_buffers=32MB",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        launcher = (sys.executable, "-I", "-c", _LAUNCHER, self._user or "", str(os.getpid()))
        with self.log.open("ab") as log:
            self._postmaster = subprocess.Popen(
                [*launcher, self._programs / "postgres", "-D", self.folder / "data", *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, START_SECONDS, "PostgreSQL does not answer")

    def _answers(self) -> bool:
        assert self.is_running, f"PostgreSQL ended: {self.log.read_text(encoding='utf-8')}"
        try:
            self._connect().close()
        except psycopg.OperationalError:  # not listening yet, or recovering
            return False
        return True

    def stop(self) -> None:
        if self._postmaster is not None:
            self._postmaster.send_signal(signal.SIGINT)
            self._postmaster.wait(STOP_SECONDS)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kills the server with all its processes, and waits until nothing of them is left."""
        assert self._postmaster is not None
        pid = self.process_id
        # Held still, it neither starts processes nor ends those that outlive their siblings.
        os.kill(pid, signal.SIGSTOP)
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for victim in (pid, *map(int, children)):
            os.kill(victim, signal.SIGKILL)
        self._postmaster.wait(STOP_SECONDS)
        wait_until(
            lambda: not any(is_alive(int(child)) for child in children),
            STOP_SECONDS,
            "a process of PostgreSQL lives on",
        )

    def create_database(self, name: str) -> str:
        """Creates a database that belongs to ``ROLE``, and gives its URL with the password."""
        with self._connect() as connection:
            created = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(created.format(sql.Identifier(name), sql.Identifier(ROLE)))
        return f"postgresql+psycopg://{ROLE}:{self.password}@127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def find_programs() -> Path:
    """The folder of ``initdb`` and ``postgres``: where PATH says, else Debian's newest.

    Raises:
        NotInstalledError: there is none.
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else Path("/usr/lib/postgresql").glob("*/bin")
    for folder in sorted(folders, reverse=True):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise NotInstalledError("PostgreSQL is not installed: neither PATH nor Debian's folder has it")


def unprivileged_user() -> str | None:
    """Whom the server must run as; None where that is the user of the tests.

    Raises:
        NotInstalledError: the tests run as root, and there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        reason = f"PostgreSQL refuses to run as root, and there is no user {UNPRIVILEGED}"
        raise NotInstalledError(reason) from None
    return UNPRIVILEGED


def free_port() -> int:
    """A port of ``PORTS`` on which no server listens."""
    for port in random.sample(PORTS, k=100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("none of 100 ports is free")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{otherwise} after {seconds:g} seconds"
        time.sleep(0.05)
