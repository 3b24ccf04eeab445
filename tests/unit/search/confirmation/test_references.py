"""The references of a study: what is missing is measured, once."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest

from deeprec.data.dataset import Splits
from deeprec.data.tables import FeatureTable
from deeprec.evaluation.references import CHOICES, ReferenceName
from search.confirmation import references as module
from search.confirmation.references import References
from search.execution.data import StudyData
from search.records.results import ReferenceRecord, reference_title, references_for
from search.storage.results import Ledger
from tests.synthetic import random_interactions, small_dataset

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
