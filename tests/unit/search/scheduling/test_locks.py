"""Locks of a study, as files: one holder at a time, freed when it dies."""

import subprocess
import sys
from pathlib import Path

import pytest

from search.config.workspace import PROJECT
from search.records.errors import InputError
from search.scheduling.locks import lock_of, sole_holder, within
from search.storage.databases import default_storage

HOLD = """
import sys, time
from search.scheduling.locks import lock_of, within
lock = lock_of(sys.argv[1], "small", "claim")
assert lock.take(lambda: None)
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_of_another_process_is_waited_for_until_there_is_a_reason_to_stop(
    tmp_path: Path,
) -> None:
    url = default_storage(tmp_path, "small")
    lock = lock_of(url, "small", "claim")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not lock.take(within(0.1))
        assert not lock.is_held()
        holder.kill()
        assert lock.take(within(30)), "the operating system frees what a dead process held"
    assert lock.is_held()
    lock.release()
    lock.release()
    assert lock.take(lambda: None)
    lock.release()


def test_locks_for_different_purposes_and_databases_do_not_meet(tmp_path: Path) -> None:
    one, other = default_storage(tmp_path, "one"), default_storage(tmp_path, "other")
    locks = [lock_of(one, "one", "claim"), lock_of(one, "one", "confirm")]
    locks.append(lock_of(other, "other", "claim"))
    assert [lock.take(within(1)) for lock in locks] == [True] * 3
    for lock in locks:
        lock.release()


def test_what_one_process_does_at_a_time_is_refused_to_a_second(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")

    def lock() -> object:
        return sole_holder(lock_of(url, "small", "confirm"), "small", "confirmed")

    with (
        lock(),  # type: ignore[attr-defined]
        pytest.raises(InputError, match="study 'small' is being confirmed by another process"),
        lock(),  # type: ignore[attr-defined]
    ):
        pass
    with lock():  # type: ignore[attr-defined]
        pass
