"""What any model should beat, measured once a study: on validation rows and on test rows."""

import time
from collections.abc import Mapping
from typing import Any, cast

from deeprec.evaluation.ranking import RankingMetrics, rank_all
from deeprec.evaluation.references import (
    ReferenceName,
    ReferenceSettings,
    choose_references,
    fit_reference,
)
from search.records.results import ReferenceRecord
from search.session.session import Session
from search.storage.results import REFERENCES as NAME
from search.storage.results import Ledger, kept_references


def measured_references(session: Session, ledger: Ledger, *, test: bool) -> list[ReferenceRecord]:
    """The references of a study, by the metrics of its models.

    What is chosen for them is chosen on the validation rows. They are fitted on the rows a model
    learns from: the training rows for validation, those and the validation rows for the test.

    Args:
        session: the study and its data.
        ledger: where results are kept.
        test: whether to look at the test rows as well.
    """
    validated = ledger.computed(f"{NAME}:validation", lambda: _validated(session))
    if test:
        ledger.computed(f"{NAME}:test", lambda: _tested(session, validated))
    return kept_references(ledger, test=test)


def are_measured(ledger: Ledger) -> bool:
    """Whether asking for the references on the validation rows takes no time."""
    return ledger.get(f"{NAME}:validation") is not None


def _validated(session: Session) -> dict[str, Any]:
    splits = session.splits
    session.announce("measuring the references on the validation rows, once")
    counts = (session.dataset.users.rows, session.dataset.movies.rows)
    chosen = choose_references(splits.train, splits.validation, *counts)
    return {settings.name: _result(settings, metrics, "val") for settings, metrics in chosen}


def _tested(session: Session, validated: Mapping[str, Any]) -> dict[str, Any]:
    splits = session.splits
    session.announce("measuring the references on the test rows, once")
    rows = splits.before_test
    users, movies = session.dataset.users.rows, session.dataset.movies.rows
    results = {}
    for name, of_one in validated.items():
        settings = ReferenceSettings(
            name=cast("ReferenceName", name), parameters=of_one["parameters"]
        )
        score = fit_reference(settings, rows, users, movies)
        results[name] = _result(settings, rank_all(score, rows, splits.test, movies), "test")
    return results


def _result(settings: ReferenceSettings, metrics: RankingMetrics, split: str) -> dict[str, Any]:
    return {
        "parameters": dict(settings.parameters),
        "metrics": metrics.named(split),
        "measured_ms": round(time.time() * 1000),
    }
