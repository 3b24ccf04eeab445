"""Locks that all processes of a study see: files for SQLite, advisory locks on PostgreSQL.

The operating system or the server frees a lock when the process that holds it dies. The **claim**
is the lock under which one worker at a time decides what runs next. It is held from before the
trials are counted until the claimed trial is RUNNING with all of its parameters: so no two workers
count the same trials, run the same enqueued configuration, or ask the sampler about the same state,
and the budget is met exactly.
"""

import fcntl
import hashlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from sqlalchemy.pool import NullPool

from search.records.errors import InputError
from search.storage.attributes import WORKER
from search.storage.database import Database
from search.storage.retry import Patience

Purpose = Literal["claim", "confirm", "references", "tracking"]
StopReason = Callable[[], str | None]

IDLE_SECONDS = 60.0
"""After so long without a query, PostgreSQL takes a claim from a process that stands still.

The process notices when it goes on, see :meth:`StudyLock.is_held`.
"""

UNUSUAL_SECONDS = 60.0  # waiting for a claim for longer than this is worth a warning

_LOOK_UP_SECONDS = 0.5
_POLL_SECONDS = 0.005  # a claim takes a few hundredths of a second
_NOT_AVAILABLE = "55P03"  # of PostgreSQL's error codes: the lock's timeout is over


def within(seconds: float) -> StopReason:
    """A reason to stop that comes up after that time."""
    deadline = time.monotonic() + seconds
    return lambda: None if time.monotonic() < deadline else f"{seconds:g} s are over"


class StudyLock(Protocol):
    """A lock that one process at a time holds."""

    name: str  # what it is, for people who look for its holder

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the lock; returns False once there is a reason to stop."""

    def is_held(self) -> bool:
        """Whether this process has held it without a break since it took it."""

    def release(self) -> None:
        """Gives it up; does nothing if that was done before."""


def lock_of(
    database: Database, study: str, purpose: Purpose, *, patience: Patience | None = None
) -> StudyLock:
    """The lock of a study for a purpose.

    ``claim``: what runs next is decided; ``confirm``: its best trials are confirmed;
    ``references``: they are measured beside a search; ``tracking``: runs are made in MLflow.
    """
    if database.path is not None:
        return _FileLock(str(database.path.with_name(f"{database.path.stem}.{purpose}.lock")))
    idle = IDLE_SECONDS if purpose == "claim" else None
    return _AdvisoryLock(database, f"{study}:{purpose}", patience or Patience(0), idle)


@contextmanager
def sole_holder(lock: StudyLock, study: str, doing: str) -> Iterator[None]:
    """Holds the lock for this process alone; InputError where another process does."""
    if not lock.take(within(2 * _LOOK_UP_SECONDS)):
        raise InputError(
            f"study {study!r} is being {doing} by another process; wait for it, stop it, "
            "or copy the study file under another name"
        )
    try:
        yield
    finally:
        lock.release()


# --- the claim --------------------------------------------------------------------------------


class ClaimLostError(Exception):
    """Another process may have decided too: what this one decided does not count."""


def worker_name(pid: int, machine: str | None = None) -> str:
    """A name that no other worker has: its machine, its process id, and random digits.

    The machine is this one where none is given.
    """
    return f"{machine or socket.gethostname()}/{pid}/{uuid.uuid4().hex[:8]}"


class Claim:
    """The right of one worker to decide what runs next.

    ``warn`` is called with a line when another worker holds it for unusually long.
    """

    def __init__(
        self, lock: StudyLock, worker: str, *, warn: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.worker = worker
        self._lock = lock
        self._warn = warn

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the right; returns False once there is a reason to stop."""
        unusual = within(UNUSUAL_SECONDS)
        if self._lock.take(lambda: stop_reason() or unusual()):
            return True
        if stop_reason() is None:
            self._warn(
                f"another process has held {self._lock.name} for {UNUSUAL_SECONDS:g} s; "
                "if it was stopped, let it go on or end it"
            )
        return self._lock.take(stop_reason)

    def settle(self, trial: optuna.Trial) -> None:
        """Notes who runs the trial, then lets the next worker decide.

        So a RUNNING trial that names no worker, seen while the claim is held, was left by a process
        that died.

        Raises:
            ClaimLostError: another worker may have decided meanwhile.
        """
        trial.set_user_attr(WORKER, self.worker)
        if not self._lock.is_held():
            raise ClaimLostError(f"worker {self.worker} lost its claim to trial {trial.number}")
        self.release()

    def release(self) -> None:
        """Gives the right up; does nothing if that was done before."""
        self._lock.release()


@contextmanager
def attending(database: Database) -> Iterator[bool]:
    """Holds a shared lock beside an SQLite study while entered; entered while the claim is held.

    A process that could hold it alone knows that no other one lives, as all are on one machine:
    what it finds RUNNING was left by one that died.

    Yields:
        Whether no other process is at work. On PostgreSQL that cannot be known, and is False.
    """
    if database.path is None:
        yield False
        return
    path = database.path.with_name(f"{database.path.stem}.search.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_alone = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_alone = False
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield is_alone
    finally:
        os.close(descriptor)


# --- files and servers ------------------------------------------------------------------------


class _FileLock:
    def __init__(self, path: str) -> None:
        self.name = path
        self._lock = FileLock(path)

    def take(self, stop_reason: StopReason) -> bool:
        while stop_reason() is None:
            try:
                self._lock.acquire(timeout=_LOOK_UP_SECONDS, poll_interval=_POLL_SECONDS)
            except Timeout:
                continue
            return True
        return False

    def is_held(self) -> bool:
        return self._lock.is_locked

    def release(self) -> None:
        if self._lock.is_locked:
            self._lock.release()


class _AdvisoryLock:
    """A lock that a PostgreSQL server keeps for a connection of its own."""

    def __init__(
        self, database: Database, name: str, patience: Patience, idle_seconds: float | None
    ) -> None:
        self.name = f"advisory lock {name}"
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        self._patience = patience
        self._timeouts = {"lock_timeout": _LOOK_UP_SECONDS}
        if idle_seconds is not None:
            self._timeouts["idle_session_timeout"] = idle_seconds
        self._connection: sqlalchemy.Connection | None = None
        self._is_taken = False
        self._engine = database.engine(poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def take(self, stop_reason: StopReason) -> bool:
        while stop_reason() is None:
            if self._patience.call(self._try):
                return True
        return False

    def is_held(self) -> bool:
        """The server keeps the lock as long as it keeps the connection."""
        if self._connection is None or not self._is_taken:
            return False
        try:
            self._connection.exec_driver_sql("SELECT 1")
        except sqlalchemy.exc.SQLAlchemyError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """Ends the connection, which frees the lock."""
        connection, self._connection, self._is_taken = self._connection, None, False
        if connection is not None:
            with suppress(sqlalchemy.exc.SQLAlchemyError):
                connection.close()

    def _try(self) -> bool:
        """Waits a moment for the lock; whether it is taken."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                for name, seconds in self._timeouts.items():
                    self._connection.exec_driver_sql(f"SET {name} = {round(1000 * seconds)}")
            self._connection.exec_driver_sql(f"SELECT pg_advisory_lock({self._key})")
        except sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _NOT_AVAILABLE:
                return False
            self.release()
            raise
        except BaseException:
            self.release()
            raise
        self._is_taken = True
        return True
