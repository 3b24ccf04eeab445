"""Outages of a storage: waited for, bounded, told once."""

import sqlite3
from collections.abc import Callable

import psycopg
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

from search.records.errors import StorageLostError
from search.storage.retry import Patience, is_outage


class Clock:
    """Time that passes only in a sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def of_optuna(cause: Exception) -> StorageInternalError:
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = cause
    return error


def away() -> StorageInternalError:
    driver = psycopg.OperationalError("server closed the connection unexpectedly\n\tThis probably")
    return of_optuna(sqlalchemy.exc.OperationalError("SELECT 1", {}, driver))


def full() -> StorageInternalError:
    driver = sqlite3.OperationalError("database or disk is full")
    return of_optuna(sqlalchemy.exc.OperationalError("INSERT", {}, driver))


def failing(times: int, error: Callable[[], Exception] = away) -> Callable[[], str]:
    left = iter(range(times))

    def action() -> str:
        if next(left, None) is not None:
            raise error()
        return "done"

    return action


@pytest.fixture
def clock() -> Clock:
    return Clock()


def patience(clock: Clock, warnings: list[str], seconds: float = 300) -> Patience:
    return Patience(seconds, warn=warnings.append, clock=clock, sleep=clock.sleep)


def test_an_outage_is_waited_for_and_told_once(clock: Clock) -> None:
    warnings: list[str] = []
    assert patience(clock, warnings).call(failing(5)) == "done"
    assert warnings == [
        "the study's database does not answer (server closed the connection unexpectedly); "
        "waiting up to 300 s for it"
    ]
    assert clock.now == pytest.approx(0.1 + 0.2 + 0.4 + 0.8 + 1.6)


def test_an_outage_that_lasts_too_long_loses_the_storage_for_good(clock: Clock) -> None:
    patient = patience(clock, [], seconds=10)
    with pytest.raises(StorageLostError, match="server closed the connection unexpectedly"):
        patient.call(failing(1000))
    assert 10 <= clock.now < 13
    before = clock.now
    with pytest.raises(StorageLostError):
        patient.call(failing(1000))
    assert clock.now == before, "no second wait"


def test_whoever_is_stopped_does_not_wait(clock: Clock) -> None:
    patient = patience(clock, [])
    patient.stop_reason = lambda: "terminated"
    with pytest.raises(StorageLostError):
        patient.call(failing(1000))
    assert clock.now == 0


def test_a_full_disk_is_no_outage(clock: Clock) -> None:
    with pytest.raises(StorageLostError, match="database or disk is full"):
        patience(clock, []).call(failing(1, full))
    assert clock.now == 0


def test_what_optuna_says_about_a_trial_passes(clock: Clock) -> None:
    with pytest.raises(UpdateFinishedTrialError):
        patience(clock, []).call(failing(1, lambda: UpdateFinishedTrialError("Trial#3")))


def test_an_outage_that_optuna_answered_with_another_query_is_one(clock: Clock) -> None:
    def fails() -> Exception:
        second = sqlalchemy.exc.PendingRollbackError("Can't reconnect until ...")
        second.__context__ = away().__cause__
        return of_optuna(second)

    warnings: list[str] = []
    assert patience(clock, warnings).call(failing(1, fails)) == "done"
    assert "server closed the connection unexpectedly" in warnings[0]


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (psycopg.errors.AdminShutdown("terminating connection"), True),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), True),
        (psycopg.errors.DiskFull("could not extend file"), False),
        (sqlite3.OperationalError("database is locked"), False),
        (sqlite3.DatabaseError("database disk image is malformed"), False),
    ],
)
def test_outages_are_told_from_faults(driver: Exception, expected: bool) -> None:
    wrapped = sqlalchemy.exc.OperationalError("SELECT 1", {}, driver)
    assert is_outage(of_optuna(wrapped)) is expected
