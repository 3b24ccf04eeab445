"""References beside a search: kept as they are done, and never longer than the search."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import optuna
import pytest

from search.confirmation.beside import BesideSearch
from search.confirmation.references import References
from search.execution.workers import Assignment, Worker
from search.scheduling.locks import lock_of
from search.storage.database import Database
from search.storage.results import Ledger, reference_entries
from tests.unit.search.specs import small_spec


class FakeReferences:
    """References of which some are missing."""

    def __init__(self, *missing: str) -> None:
        self.ledger = Ledger(optuna.create_study())
        self._missing = missing

    def missing(self) -> dict[str, None]:
        return dict.fromkeys(self._missing)

    @property
    def entries(self) -> dict[str, Any]:
        return dict(reference_entries(self.ledger, "validation"))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.at(f"sqlite:///{tmp_path}/s.db")


@pytest.fixture
def assignment(database: Database, tmp_path: Path) -> Assignment:
    return Assignment(
        spec=small_spec(tmp_path),
        database=database,
        towers_folder=tmp_path,
        data_dir=None,
        data_fingerprint="0" * 64,
        grace_seconds=60.0,
        first_number=0,
        deadline=None,
    )


def beside(
    references: FakeReferences,
    assignment: Assignment,
    warn: Callable[[str], None] = lambda _line: None,
    start_seconds: float = 0.0,
) -> BesideSearch:
    return BesideSearch(
        cast("References", references),
        assignment,
        lock_of(assignment.database, "s", "references"),
        warn,
        start_seconds=start_seconds,
        module="tests.unit.search.confirmation.fake_references",
    )


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.01)


def test_each_is_kept_as_it_is_done_and_the_process_ends_with_the_search(
    assignment: Assignment,
) -> None:
    references = FakeReferences("popularity", "ials", "ease")
    with beside(references, assignment):
        wait_until(lambda: "slim" in references.entries)
        facts = references.entries["slim"]
        os.kill(facts["pid"], 0)
    assert references.entries.keys() == {"popularity", "ials", "slim"}
    assert facts["jax"] == "cpu"
    with pytest.raises(ProcessLookupError):
        os.kill(facts["pid"], 0)
    again = lock_of(assignment.database, "s", "references")
    assert again.take(lambda: None)


def test_a_process_that_cannot_go_on_is_warned_of(assignment: Assignment) -> None:
    references, warnings = FakeReferences("popularity", "item_knn", "ease"), list[str]()
    with beside(references, assignment, warnings.append):
        wait_until(lambda: len(warnings) > 0)
    assert references.entries.keys() == {"popularity"}
    assert warnings == [
        "references are not measured beside the search: MemoryError: too many items"
    ]


def test_a_short_search_and_one_that_lacks_nothing_start_no_process(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr("search.confirmation.beside.Worker", refuse)
    short = beside(FakeReferences("ease"), assignment, start_seconds=600)
    for each in (short, beside(FakeReferences(), assignment)):
        with each:
            pass


def test_one_search_at_a_time_measures(assignment: Assignment) -> None:
    lock = lock_of(assignment.database, "s", "references")
    assert lock.take(lambda: None)
    references = FakeReferences("popularity")
    with beside(references, assignment) as other:
        other._thread.join(60)
    assert references.entries == {}


def test_the_process_ends_with_a_search_that_was_killed(assignment: Assignment) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["."])}
    worker = Worker(assignment, "search.confirmation.reference_process", environment)
    assert worker.join() == "exit code 0"  # the connection is closed, as the system closes it
