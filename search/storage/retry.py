"""Retries of what a storage could not do during an outage, up to a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage

from search.records.errors import StorageLostError

Result = TypeVar("Result")

PATIENCE_SECONDS = 300.0
"""How long a server may be away during a search: long enough for a restart or a fail-over."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_DISK_FULL = "53100"  # of PostgreSQL's error codes


class Patience:
    """Repeats what a storage could not do because its server was away.

    After so many seconds the storage is lost, once and for all. ``warn`` is told once an outage; a
    ``stop_reason`` ends the waiting.
    """

    def __init__(
        self,
        seconds: float = PATIENCE_SECONDS,
        *,
        warn: Callable[[str], None] = lambda _line: None,
        stop_reason: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.warn = warn
        self.stop_reason = stop_reason
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._is_lost = False

    def call(self, action: Callable[[], Result]) -> Result:
        """Carries out an action on the storage, which may be carried out twice.

        Raises:
            StorageLostError: it fails for another reason than an outage, or for too long.
        """
        started = self._clock()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return action()
            except (StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
                if not is_outage(error) or self._is_over(started):
                    raise StorageLostError(cause_of(error)) from error
                if pause == _FIRST_PAUSE_SECONDS:
                    self.warn(
                        f"the study's database does not answer ({cause_of(error)}); "
                        f"waiting up to {self._seconds:g} s for it"
                    )
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _is_over(self, started: float) -> bool:
        self._is_lost = (
            self._is_lost
            or self._clock() - started >= self._seconds
            or self.stop_reason() is not None
        )
        return self._is_lost


def patient(backend: RDBStorage, patience: Patience) -> BaseStorage:
    """Optuna's storage, every operation of which survives an outage of the server.

    An operation whose answer was lost is repeated though it may have been carried out. The state
    shows what that leaves behind: a trial that was ended twice is finished already, one that was
    created twice runs without a worker and is closed under the next claim.

    Between the two is Optuna's own cache of finished trials. ``remove_session`` closes all
    connections.
    """
    cached = get_storage(backend)

    def repeated(operation: str) -> Callable[..., object]:
        def call(_self: BaseStorage, *arguments: object, **options: object) -> object:
            return patience.call(lambda: getattr(cached, operation)(*arguments, **options))

        return call

    def close(_self: BaseStorage) -> None:
        backend.remove_session()
        backend.engine.dispose()

    operations = [name for name in dir(BaseStorage) if not name.startswith("_")]
    methods = {name: repeated(name) for name in operations} | {"remove_session": close}
    storage_class: type[BaseStorage] = type("PatientStorage", (BaseStorage,), methods)
    return storage_class()


def is_outage(error: BaseException) -> bool:
    """Whether a server was away or ended the connection; never true of a file."""
    cause = _driver_error(error)
    if isinstance(cause, sqlalchemy.exc.DBAPIError):
        ours = type(cause.orig).__module__.partition(".")[0] != "sqlite3"
        is_full = getattr(cause.orig, "sqlstate", None) == _DISK_FULL
        away = isinstance(cause, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
        return ours and not is_full and (away or cause.connection_invalidated)
    return isinstance(cause, sqlalchemy.exc.TimeoutError)


def cause_of(error: BaseException) -> str:
    """What a database driver said, in one line."""
    cause = _driver_error(error)
    said = cause.orig if isinstance(cause, sqlalchemy.exc.DBAPIError) else cause
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__


def _driver_error(error: BaseException) -> BaseException:
    """The error of SQLAlchemy behind one of Optuna's, as near to the driver as there is one.

    Optuna answers some errors with another query. After an outage that one fails as well, because
    the connection is of no use, and what the driver said is in the context.
    """
    found = error
    while isinstance(error, StorageInternalError | sqlalchemy.exc.InvalidRequestError):
        behind = error.__cause__ or error.__context__
        if behind is None:
            break
        error = behind
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            found = error
    return found
