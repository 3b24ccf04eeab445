"""The JSON of a report: valid, whole, and as documented."""

import json

import optuna
import pytest
from optuna.trial import TrialState
from pydantic import ValidationError

from search.config.study import StudySpec
from search.report.document import Report, document
from tests.unit.search.report.made import (
    add_trial,
    facts_of,
    fill,
    keep_confirmation_of,
    keep_references,
)


def test_an_empty_study_has_nulls(study: optuna.Study, spec: StudySpec) -> None:
    content = json.loads(document(facts_of(study, spec)).model_dump_json())
    assert content["schema_version"] == 1
    for name in ("best", "confirmation", "test", "importances"):
        assert content[name] is None
    assert content["trials"]["complete"] == 0
    assert content["leaderboard"] == []
    assert content["study"]["versions"] is None


def test_a_whole_study_comes_back_from_its_json(study: optuna.Study, spec: StudySpec) -> None:
    fill(study, spec, 30)
    keep_references(study)
    keep_confirmation_of(study, 1, 2)
    made = document(facts_of(study, spec))
    assert Report.model_validate_json(made.model_dump_json()) == made
    assert made.best is not None
    assert made.leaderboard[0].number == made.best.number
    assert sum(made.trials.values()) == 30
    assert made.test is not None
    assert made.test["test_top_100_accuracy"].mean == pytest.approx(0.33)
    assert made.test["test_top_100_accuracy"].standard_deviation == pytest.approx(0.01)
    assert made.confirmation is not None
    assert [each.trial for each in made.confirmation.contenders] == [1, 2, None]
    assert made.confirmation.winner == 1


def test_values_that_are_no_numbers_are_refused(study: optuna.Study, spec: StudySpec) -> None:
    content = document(facts_of(study, spec)).model_dump()
    content["cost"]["train_seconds"] = float("nan")
    with pytest.raises(ValidationError):
        Report.model_validate(content)


def test_only_failures_are_counted_as_such(study: optuna.Study, spec: StudySpec) -> None:
    add_trial(study, spec, state=TrialState.FAIL, reason="out of memory")
    made = document(facts_of(study, spec))
    assert made.trials["failed"] == 1
    assert made.best is None
    assert any("out of memory" in line for line in made.warnings)
