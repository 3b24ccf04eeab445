"""Results that are computed once."""

import optuna
import pytest

from search.storage.results import Ledger


def test_a_result_is_computed_once_whoever_asks(tmp_path: object) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="s")
    calls = []

    def compute() -> dict[str, float]:
        calls.append(1)
        return {"accuracy": 0.5}

    assert Ledger(study).get("a") is None
    assert Ledger(study).computed("a", compute) == {"accuracy": 0.5}
    again = optuna.load_study(storage=storage, study_name="s")
    assert Ledger(again).computed("a", compute) == {"accuracy": 0.5}
    assert Ledger(again).get("a") == {"accuracy": 0.5}
    assert len(calls) == 1


def test_results_are_listed_by_how_their_names_start() -> None:
    ledger = Ledger(optuna.create_study())
    for name in ("test:a:0", "test:a:1", "validation:a:0"):
        ledger.keep(name, {"name": name})
    ledger.keep("test:a:1", {"name": "again"})
    assert ledger.starting_with("test:") == {"a:0": {"name": "test:a:0"}, "a:1": {"name": "again"}}


def test_what_fails_leaves_no_result() -> None:
    ledger = Ledger(optuna.create_study())

    def fail() -> dict[str, float]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.computed("a", fail)
    assert ledger.get("a") is None
