"""Locks of a study that all of its processes see: files for SQLite, advisory locks on PostgreSQL.

Either is freed by the operating system or the server when the process that holds it dies.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol

import sqlalchemy
from filelock import FileLock, Timeout
from sqlalchemy.pool import NullPool

from search.records.errors import InputError
from search.storage.databases import engine_arguments, parse_url, sqlite_path
from search.storage.retry import Patience

Purpose = Literal["claim", "confirm", "tracking"]
StopReason = Callable[[], str | None]

IDLE_SECONDS = 60.0
"""After so long without a word from it, PostgreSQL takes a claim from a process that stands still.

The process notices when it goes on, see :meth:`StudyLock.is_held`.
"""

_LOOK_UP_SECONDS = 0.5
_POLL_SECONDS = 0.005  # a claim takes a few hundredths of a second
_NOT_AVAILABLE = "55P03"  # of PostgreSQL's error codes: the lock's timeout is over


def within(seconds: float) -> StopReason:
    """A reason to stop that comes up after that time."""
    deadline = time.monotonic() + seconds
    return lambda: None if time.monotonic() < deadline else f"{seconds:g} s are over"


class StudyLock(Protocol):
    """A lock that one process at a time holds."""

    name: str
    """What it is, for people who look for its holder."""

    def take(self, stop_reason: StopReason) -> bool:
        """Waits for the lock; returns False once there is a reason to stop."""

    def is_held(self) -> bool:
        """Whether this process has held it without a break since it took it."""

    def release(self) -> None:
        """Gives it up; does nothing if that was done before."""


def lock_of(
    url: str, study: str, purpose: Purpose, *, patience: Patience | None = None
) -> StudyLock:
    """The lock of a study for a purpose.

    Args:
        url: of the study's storage.
        study: its name.
        purpose: ``claim``: what runs next is decided; ``confirm``: its best trials are confirmed;
            ``tracking``: runs are made in MLflow.
        patience: with a server that is away.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        database = sqlite_path(parsed)
        return _FileLock(str(database.with_name(f"{database.stem}.{purpose}.lock")))
    idle = IDLE_SECONDS if purpose == "claim" else None
    return _AdvisoryLock(parsed, f"{study}:{purpose}", patience or Patience(0), idle)


@contextmanager
def sole_holder(lock: StudyLock, study: str, doing: str) -> Iterator[None]:
    """Holds the lock for this process alone.

    Raises:
        InputError: another process holds it.
    """
    if not lock.take(within(2 * _LOOK_UP_SECONDS)):
        raise InputError(
            f"study {study!r} is being {doing} by another process; wait for it, stop it, "
            "or copy the study file under another name"
        )
    try:
        yield
    finally:
        lock.release()


class _FileLock:
    """A lock file beside an SQLite database."""

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
        self, url: sqlalchemy.URL, name: str, patience: Patience, idle_seconds: float | None
    ) -> None:
        self.name = f"advisory lock {name}"
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        self._patience = patience
        self._idle_seconds = idle_seconds
        self._connection: sqlalchemy.Connection | None = None
        self._is_taken = False
        self._engine = sqlalchemy.create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", **engine_arguments(url)
        )

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
            self._connection.execute(sqlalchemy.text("SELECT 1"))
        except sqlalchemy.exc.SQLAlchemyError:
            self._disconnect()
            return False
        return True

    def release(self) -> None:
        self._disconnect()  # which frees the lock

    def _try(self) -> bool:
        """Waits a moment for the lock; whether it is taken."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({self._key})"))
        except sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _NOT_AVAILABLE:
                return False
            self._disconnect()
            raise
        except BaseException:
            self._disconnect()
            raise
        self._is_taken = True
        return True

    def _connect(self) -> sqlalchemy.Connection:
        connection = self._engine.connect()
        milliseconds = round(1000 * _LOOK_UP_SECONDS)
        connection.execute(sqlalchemy.text(f"SET lock_timeout = {milliseconds}"))
        if self._idle_seconds is not None:
            milliseconds = round(1000 * self._idle_seconds)
            connection.execute(sqlalchemy.text(f"SET idle_session_timeout = {milliseconds}"))
        return connection

    def _disconnect(self) -> None:
        connection, self._connection, self._is_taken = self._connection, None, False
        if connection is not None:
            with suppress(sqlalchemy.exc.SQLAlchemyError):
                connection.close()
