"""A storage that does not answer is waited for, but not for ever."""

import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from search.records.errors import StorageLostError

Result = TypeVar("Result")

PATIENCE_SECONDS = 300.0
"""How long a server may be away during a search: long enough for a restart or a fail-over."""

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_DISK_FULL = "53100"  # of PostgreSQL's error codes


class Patience:
    """Repeats what a storage could not do because its server was away.

    Args:
        seconds: how long it is repeated; then the storage is lost, once and for all.
        warn: told in one line, once an outage.
        stop_reason: a text ends the waiting.
        clock: seconds; for tests.
        sleep: for tests.
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


class PatientStorage(RDBStorage):
    """Optuna's storage, every operation of which survives an outage of the server.

    An operation whose answer was lost is repeated though it may have been carried out. What that
    leaves behind is told by its state: a trial that was told twice is finished already, one that
    was created twice runs without a worker and is closed by the next claim.
    """

    patience: Patience


def _patiently(operation: str) -> Callable[..., object]:
    original = getattr(RDBStorage, operation)

    def repeated(self: PatientStorage, *arguments: object, **options: object) -> object:
        return self.patience.call(lambda: original(self, *arguments, **options))

    repeated.__name__, repeated.__doc__ = operation, original.__doc__
    return repeated


for _operation in (
    "_create_new_trial",
    "_get_trials",
    "_set_trial_param",
    "get_study_directions",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_system_attrs",
    "get_study_user_attrs",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "set_study_system_attr",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
    "set_trial_system_attr",
    "set_trial_user_attr",
):  # all that a search asks of it through Optuna's cache
    setattr(PatientStorage, _operation, _patiently(_operation))


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
