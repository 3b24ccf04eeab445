"""Results that are computed once, and read as records."""

from dataclasses import asdict
from pathlib import Path

import optuna
import pytest

from search.records.results import ConfirmationRecord, RetrainRecord
from search.storage.results import (
    Ledger,
    confirmed_folder,
    keep_confirmation,
    keep_reference,
    kept_confirmations,
    kept_references,
    kept_retrainings,
    reference_entries,
)
from search.storage.trials import curve_to_json
from tests.unit.search.sample_records import START_MS, curve, save_towers


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(optuna.create_study())


def reference(**metrics: float) -> dict[str, object]:
    return {"parameters": {"penalty": 0.5}, "metrics": metrics, "measured_ms": START_MS}


def retraining(seed: int) -> RetrainRecord:
    return RetrainRecord(
        trial=12,
        parameters={"depth": 1},
        derived={"layer_sizes": "(32,)"},
        epochs=7,
        seed=seed,
        curve=curve(7),
        metrics={"test_top_100_accuracy": 0.3},
        started_ms=START_MS,
        ended_ms=START_MS + 1,
    )


def confirmation(mean: float) -> ConfirmationRecord:
    return ConfirmationRecord(
        trial=12,
        name="trial 12 (32,)",
        metrics={"test_top_100_accuracy_mean": mean},
        lines=("It holds.", "It is better."),
        confirmed_ms=START_MS,
    )


def test_a_result_is_computed_once_and_one_that_fails_is_none() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="s")
    calls = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"accuracy": 1 / (len(calls) - 1)}

    with pytest.raises(ZeroDivisionError):
        Ledger(study).computed("a", compute)
    assert Ledger(study).get("a") is None
    assert Ledger(study).computed("a", compute) == {"accuracy": 1}
    again = optuna.load_study(storage=storage, study_name="s")
    assert Ledger(again).computed("a", compute) == {"accuracy": 1} == Ledger(again).get("a")
    assert len(calls) == 2


def test_results_are_listed_by_how_their_names_start(ledger: Ledger) -> None:
    for name in ("test:a:0", "test:a:1", "validation:a:0"):
        ledger.keep(name, {"name": name})
    ledger.keep("test:a:1", {"name": "again"})
    assert ledger.starting_with("test:") == {"a:0": {"name": "test:a:0"}, "a:1": {"name": "again"}}


def test_an_empty_ledger_holds_nothing(ledger: Ledger, tmp_path: Path) -> None:
    assert kept_references(ledger, test=True) == []
    assert kept_retrainings(ledger, tmp_path) == []
    assert kept_confirmations(ledger) == []


def test_references_have_the_metrics_of_the_test_where_they_were_tested(ledger: Ledger) -> None:
    ledger.keep("references:validation", {"ease": reference(val_ndcg_at_10=0.2)})
    [validated] = kept_references(ledger, test=True)
    assert (validated.name, validated.metrics) == ("ease", {"val_ndcg_at_10": 0.2})
    ledger.keep("references:test", {"ease": reference(test_ndcg_at_10=0.1)})
    [tested] = kept_references(ledger, test=True)
    assert tested.metrics == {"val_ndcg_at_10": 0.2, "test_ndcg_at_10": 0.1}
    assert kept_references(ledger, test=False) == [validated]


def test_each_reference_is_kept_by_itself_in_the_order_of_measuring(ledger: Ledger) -> None:
    for place, name in enumerate(("popularity", "ease", "ials")):
        entry = {**reference(val_ndcg_at_10=0.1), "measured_ms": START_MS - place}
        keep_reference(ledger, "validation", name, {name: entry, f"{name}_unseen": entry})
    keep_reference(ledger, "test", "ease", {"ease": reference(test_ndcg_at_10=0.2)})
    found = {each.name: each.metrics for each in kept_references(ledger, test=True)}
    names = [name + end for name in ("ials", "ease", "popularity") for end in ("", "_unseen")]
    assert list(found) == names
    assert found["ease"] == {"val_ndcg_at_10": 0.1, "test_ndcg_at_10": 0.2}
    assert found["ease_unseen"] == found["ials"] == {"val_ndcg_at_10": 0.1}


def test_what_an_earlier_version_measured_is_kept_and_added_to(ledger: Ledger) -> None:
    ledger.keep("references:validation", {"ease": reference(val_ndcg_at_10=0.2)})
    ledger.keep("references:test", {"ease": reference(test_ndcg_at_10=0.1)})
    keep_reference(ledger, "validation", "ials", {"ials": reference(val_ndcg_at_10=0.3)})
    assert [each.name for each in kept_references(ledger, test=True)] == ["ease", "ials"]
    assert reference_entries(ledger, "test").keys() == {"ease"}


def test_retrainings_come_back_the_first_with_its_towers(ledger: Ledger, tmp_path: Path) -> None:
    records = [retraining(3), retraining(4)]
    for number, record in enumerate(records):
        kept = asdict(record) | {"curve": curve_to_json(record.curve)}
        ledger.keep(f"test:trial-0012:7:{number}", kept)
    towers = save_towers(tmp_path / confirmed_folder("trial-0012", 7))
    assert kept_retrainings(ledger, tmp_path) == [(records[0], towers), (records[1], None)]


def test_of_two_confirmations_of_a_trial_the_last_is_kept(ledger: Ledger) -> None:
    keep_confirmation(ledger, confirmation(0.3))
    keep_confirmation(ledger, confirmation(0.4))
    assert kept_confirmations(ledger) == [confirmation(0.4)]
