"""The references of a study, measured once and kept in its ledger."""

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from deeprec.evaluation.ranking import ListMetrics, RankingMetrics
from deeprec.evaluation.references import (
    MOST_MOVIES_FOR_EASE,
    ReferenceName,
    ReferenceSettings,
    choose_references,
    fit_reference,
)
from search.execution.data import StudyData
from search.records.results import ReferenceRecord
from search.records.users import texts_of
from search.storage import results


def measured_references(
    data: StudyData,
    ledger: results.Ledger,
    announce: Callable[[str], None],
    *,
    test: bool,
) -> list[ReferenceRecord]:
    """The references of a study, by the metrics of its models.

    What is chosen for them is chosen on the validation rows. They are fitted on the rows a model
    learns from: the training rows for validation, those and the validation rows for the test.

    ``test`` says whether to look at the test rows as well.
    """

    def computed(split: str, measure: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
        name = f"{results.REFERENCES}:{split}"
        if ledger.get(name) is None:
            announce(f"measuring the references on the {split} rows, once")
            if (items := data.dataset.movies.rows) > MOST_MOVIES_FOR_EASE:
                announce(
                    f"EASE is left out: it inverts a matrix of items by items, and {items:,} are "
                    f"more than {MOST_MOVIES_FOR_EASE:,}"
                )
        return ledger.computed(name, measure)

    validated = computed("validation", lambda: _validated_references(data))
    if test:
        computed("test", lambda: _tested_references(data, validated))
    return results.kept_references(ledger, test=test)


def slice_users(data: StudyData, ledger: results.Ledger) -> Mapping[str, int]:
    """How many users each slice of the test rows has, by its name; counted once."""

    def count() -> dict[str, int]:
        splits, items = data.splits, data.dataset.movies.rows
        return data.judge.users_in_slices(splits.before_test, splits.test, items)

    return ledger.computed(results.SLICES, count)


def are_measured(ledger: results.Ledger) -> bool:
    """Whether asking for the references on the validation rows takes no time."""
    return ledger.get(f"{results.REFERENCES}:validation") is not None


def _validated_references(data: StudyData) -> dict[str, Any]:
    splits = data.splits
    counts = (data.dataset.users.rows, data.dataset.movies.rows)
    chosen = choose_references(splits.train, splits.validation, *counts, data.judge)
    return {settings.name: _of_reference(settings, metrics, "val") for settings, metrics in chosen}


def _tested_references(data: StudyData, validated: Mapping[str, Any]) -> dict[str, Any]:
    rows, test = data.splits.before_test, data.splits.test
    users, movies = data.dataset.users.rows, data.dataset.movies.rows
    judge = data.judge.of_test
    measured = {}
    for name, of_one in validated.items():
        settings = ReferenceSettings(
            name=cast("ReferenceName", name), parameters=of_one["parameters"]
        )
        score = fit_reference(settings, rows, users, movies)
        measured[name] = _of_reference(settings, judge(score, rows, test, movies), "test")
    return measured


def _of_reference(
    settings: ReferenceSettings, metrics: RankingMetrics | ListMetrics, split: str
) -> dict[str, Any]:
    return {
        "parameters": dict(settings.parameters),
        "metrics": metrics.named(split),
        "users": texts_of(metrics.by_user, split),
        "measured_ms": round(time.time() * 1000),
    }
