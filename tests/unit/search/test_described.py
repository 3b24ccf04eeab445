"""What MLflow shows of a study, from what is kept with the study."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from search.described import described, end_of, keep_description, keep_end
from search.spec import StudySpec
from search.trials import StudyState
from tests.unit.search.records import trial
from tests.unit.search.specs import small_spec
from tests.unit.search.tracking.support import CONTEXT


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study()
    study.set_user_attr("identity", CONTEXT.identity)
    study.set_user_attr("data_fingerprint", CONTEXT.data_fingerprint)
    return study


@pytest.fixture
def small(tmp_path: Path) -> StudySpec:
    return small_spec(tmp_path)


def test_a_context_comes_back_without_the_data_set(study: optuna.Study, small: StudySpec) -> None:
    context = replace(
        CONTEXT,
        name=small.name,
        spec_text=small.text,
        space_hash=small.space_hash,
        seed=small.study.seed,
        trials=small.study.trials + 9,  # --trials
        data_name=small.data.dataset,
        split=small.data.split,
    )
    keep_description(study, context)
    assert described(study, small) == context


def test_of_an_older_study_what_is_known_comes_back(study: optuna.Study, small: StudySpec) -> None:
    context = described(study, small)
    assert context.identity == CONTEXT.identity
    assert context.data_fingerprint == CONTEXT.data_fingerprint
    assert context.trials == small.study.trials
    assert context.rows == {}


@pytest.mark.parametrize(
    ("kept", "finished", "state"),
    [
        ("failed", 2, "failed"),
        ("complete", 2, "complete"),  # the space is exhausted
        (None, 2, "interrupted"),
        (None, 3, "complete"),
        ("interrupted", 3, "complete"),  # the search after it was killed at its very end
    ],
)
def test_how_a_study_ended(
    kept: StudyState | None, finished: int, state: StudyState, study: optuna.Study
) -> None:
    if kept:
        keep_end(study, kept)
    trials = [trial(number) for number in range(finished)]
    assert end_of(study, trials, budget=3) == state
