"""Locks of a study on a real PostgreSQL: one holder at a time, lost when the server is."""

import time

import optuna
import pytest

from search.records.errors import StorageLostError
from search.scheduling import locks
from search.scheduling.locks import Claim, ClaimLostError, lock_of, within
from search.storage.database import Database, open_storage
from search.storage.retry import Patience
from search.storage.study import close_study
from tests.faults.postgres import PostgresServer

pytestmark = pytest.mark.faults


def test_one_process_at_a_time_holds_a_lock(database: str) -> None:
    first, second = (lock_of(Database.at(database), "small", "claim") for _ in range(2))
    assert first.take(within(10))
    assert first.is_held()
    assert not second.take(within(1))
    assert not second.is_held()
    first.release()
    first.release()
    assert not first.is_held()
    assert second.take(within(10))
    second.release()


def test_locks_of_other_studies_and_purposes_are_others(database: str) -> None:
    held = [
        lock_of(Database.at(database), "small", "claim"),
        lock_of(Database.at(database), "small", "tracking"),
        lock_of(Database.at(database), "large", "claim"),
    ]
    assert [lock.take(within(10)) for lock in held] == [True] * 3
    for lock in held:
        lock.release()


def test_a_claim_is_lost_when_the_server_restarts(database: str, postgres: PostgresServer) -> None:
    lock = lock_of(Database.at(database), "small", "claim", patience=Patience(60))
    assert lock.take(within(10))
    postgres.restart()
    assert not lock.is_held()
    assert lock.take(within(30))
    lock.release()


def test_a_claim_is_taken_from_a_sleeper(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "IDLE_SECONDS", 1.0)
    sleeper = lock_of(Database.at(database), "small", "claim")
    assert sleeper.take(within(10))
    other = lock_of(Database.at(database), "small", "claim")
    assert other.take(within(20)), "the server ends the session that says nothing"
    study = optuna.create_study(storage=open_storage(Database.at(database)))
    with pytest.raises(ClaimLostError):
        Claim(sleeper, "sleeper").settle(study.ask())
    other.release()
    close_study(study)


def test_a_server_that_is_away_is_given_up_in_time(database: str, postgres: PostgresServer) -> None:
    warnings: list[str] = []
    lock = lock_of(
        Database.at(database), "small", "claim", patience=Patience(2, warn=warnings.append)
    )
    postgres.kill()
    started = time.monotonic()
    with pytest.raises(StorageLostError, match="refused"):
        lock.take(within(60))
    assert 2 <= time.monotonic() - started < 20
    assert len(warnings) == 1
    postgres.start()
