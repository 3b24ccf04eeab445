"""The references of a study: what is missing is measured once, also beside the search."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import optuna
import pytest

from deeprec.data.dataset import Splits
from deeprec.data.tables import FeatureTable
from deeprec.evaluation.references import CHOICES, ReferenceName
from search.confirmation import references as module
from search.confirmation.references import BesideSearch, References
from search.execution.data import StudyData
from search.execution.workers import Assignment, Worker
from search.records.results import ReferenceRecord, reference_title, references_for
from search.scheduling.locks import lock_of
from search.storage.database import Database
from search.storage.results import Ledger, reference_entries
from tests.synthetic import random_interactions, small_dataset
from tests.unit.search.specs import small_spec

CHEAP = ["popularity", "recent_popularity", "damped_mean", "ease", "item_knn", "ials", "slim"]


@pytest.fixture
def data(users: FeatureTable, movies: FeatureTable) -> StudyData:
    train, validation, test = (random_interactions(500, seed) for seed in (1, 2, 3))
    dataset = small_dataset(users, movies, train.followed_by(validation).followed_by(test))
    return StudyData(dataset, Splits(train, validation, test))


class Study:
    """References of a study, what was announced, and what was measured on the validation rows."""

    def __init__(self, data: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ledger = Ledger(optuna.create_study())
        self.said: list[str] = []
        self.measured: list[str] = []
        self.stopped: str | None = None
        self.references = References(
            data=data,
            ledger=self.ledger,
            announce=self.said.append,
            stop_reason=lambda: self.stopped,
        )
        for name in CHOICES:
            monkeypatch.setitem(CHOICES, name, CHOICES[name][:1])
        validated = module.validated

        def counted(data: StudyData, name: ReferenceName) -> Mapping[str, Any]:
            self.measured.append(name)
            return validated(data, name)

        monkeypatch.setattr(module, "validated", counted)

    def names(self, *, test: bool, costly: bool = True) -> list[str]:
        return [each.name for each in self.references.measured(test=test, costly=costly)]


@pytest.fixture
def study(data: StudyData, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(data, monkeypatch)


def test_every_reference_is_measured_once(study: Study) -> None:
    assert study.names(test=False) == study.names(test=False) == CHEAP == study.measured
    assert len(study.said) == 1
    assert study.said[0].startswith("measuring on the validation rows, once: popularity, popular")


def test_the_test_rows_are_looked_at_once_when_they_are_asked_for(study: Study) -> None:
    [first, *_] = study.references.measured(test=False)
    assert not first.test_metrics
    tested = study.references.measured(test=True)
    assert all(0 <= each.test_metrics["test_top_100_accuracy"] <= 1 for each in tested)
    assert study.references.measured(test=True) == tested
    assert [line.partition(":")[0] for line in study.said] == [
        "measuring on the validation rows, once",
        "measuring on the test rows, once",
    ]


def test_what_is_costly_is_left_to_the_confirmation(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deeprec.evaluation.references.CHEAP_SECONDS", 1e-3)
    cheap = study.names(test=False, costly=False)
    assert "popularity" in cheap
    assert "slim" not in cheap
    assert "left to search.retrain, as the search ended before: " in study.said[-1]
    assert study.names(test=False) == CHEAP
    assert sorted(study.measured) == sorted(CHEAP)


def test_what_takes_too_much_is_left_out_aloud(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 300_000)
    assert study.names(test=False) == [name for name in CHEAP if name != "slim"]
    assert study.said[0].startswith("SLIM is left out: for 31 users and 147 items it takes some ")


def test_a_study_of_an_earlier_version_keeps_what_it_has_and_is_given_what_it_lacks(
    study: Study,
) -> None:
    def old(split: str, **parameters: float) -> dict[str, Any]:
        metrics = {f"{split}_top_100_accuracy": 0.9, f"{split}_top_100_accuracy_unseen": 0.95}
        return {"parameters": parameters, "metrics": metrics, "measured_ms": 1}

    kept = {"popularity": {}, "ease": {"penalty": 500.0}, "ease_unseen": {"penalty": 200.0}}
    for split, prefix in (("validation", "val"), ("test", "test")):
        entries = {name: old(prefix, **parameters) for name, parameters in kept.items()}
        study.ledger.keep(f"references:{split}", entries)
    found = {each.name: each for each in study.references.measured(test=True)}
    assert study.measured == [name for name in CHEAP if name not in kept]
    assert list(found)[:3] == list(kept)
    assert {*found} == {*kept, *CHEAP}
    assert found["ease_unseen"].parameters == {"penalty": 200.0}
    assert found["ease"].metrics["test_top_100_accuracy"] == 0.9
    assert found["ials"].test_metrics["test_top_100_accuracy"] != 0.9


def test_a_request_to_stop_is_heard_between_two_references(study: Study) -> None:
    study.references.measured(test=False, costly=False)
    study.stopped = "terminated"
    with pytest.raises(KeyboardInterrupt, match="terminated"):
        study.references.measured(test=True)
    assert study.measured == CHEAP


def test_a_reference_counts_where_it_was_chosen_for() -> None:
    kept, removed = "test_top_100_accuracy", "test_top_100_accuracy_unseen"
    of_one: dict[str, Any] = {
        "parameters": {},
        "metrics": {kept: 0.5, removed: 0.6},
        "measured_ms": 1,
    }
    names = ("popularity", "ease", "ease_unseen")
    popularity, ease, ease_unseen = (ReferenceRecord(name=name, **of_one) for name in names)
    every = [popularity, ease, ease_unseen]
    assert references_for(kept, every) == [popularity, ease]
    assert references_for(removed, every) == [popularity, ease_unseen]
    assert references_for("test_ndcg_at_10", every) == []


def test_references_have_names_for_people() -> None:
    titles = [reference_title(name) for name in ("damped_mean", "item_knn", "slim_unseen")]
    assert titles == ["damped mean", "item kNN", "SLIM (seen movies left out)"]


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

    monkeypatch.setattr("search.confirmation.references.Worker", refuse)
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
