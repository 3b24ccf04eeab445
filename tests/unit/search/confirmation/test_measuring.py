"""Which trials are confirmed, what is trained for each, and what that is held against."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.dataset import Splits
from deeprec.data.tables import FeatureTable
from deeprec.evaluation.ranking import Judgment
from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.config.space import enqueued_configurations, parameters_of, suggest
from search.confirmation.measuring import (
    chance_of,
    chosen_trials,
    contender_of,
    reference_contender,
    tutorial_contender,
)
from search.execution.data import StudyData
from search.records.errors import InputError
from search.records.trials import TrialRecord, TrialState
from tests.synthetic import MOVIES, random_interactions, small_dataset
from tests.unit.search.sample_records import trial
from tests.unit.search.specs import small_spec


@pytest.fixture
def data(users: FeatureTable, movies: FeatureTable) -> StudyData:
    train, validation, test = (random_interactions(500, seed) for seed in (1, 2, 3))
    dataset = small_dataset(users, movies, train.followed_by(validation).followed_by(test))
    return StudyData(dataset, Splits(train, validation, test))


def test_the_chance_of_the_tutorials_metric_is_its_share_of_the_movies(data: StudyData) -> None:
    assert chance_of(data) == pytest.approx(100 / (MOVIES - 1))


@pytest.mark.parametrize(
    ("metric", "low", "high"),
    [("ndcg@10", 0.02, 0.09), ("hit@10", 0.15, 0.6), ("top_accuracy@10", 0.05, 0.5)],
)
def test_the_chance_of_lists_is_what_a_random_order_has(
    data: StudyData, metric: str, low: float, high: float
) -> None:
    judge = Judgment(metrics=(Metric.of(metric),), repeats=True)
    chance = chance_of(StudyData(data.dataset, data.splits, judge))
    assert low <= chance <= high
    assert np.isfinite(chance)


UNFINISHED: tuple[TrialState, ...] = ("waiting", "running", "diverged", "failed", "interrupted")
SAME = {"depth": 1, "learning_rate": 0.05}
TRIALS = [
    trial(0, value=0.3),
    trial(1, value=0.34, parameters=SAME),
    trial(2, "pruned", value=0.9),
    trial(3, value=0.3),
    trial(4, value=0.33, parameters=SAME),  # a configuration competes once, by its best trial
]


@pytest.mark.parametrize(
    ("number", "top", "chosen"),
    [
        (None, 1, [1]),
        (None, 2, [1, 0]),
        (None, 9, [1, 0, 3]),  # the fifth is infeasible
        (0, 3, [0]),
        (2, 3, [2]),  # a pruned trial can be named
    ],
)
def test_the_best_configurations_are_chosen_unless_a_trial_is_named(
    number: int | None, top: int, chosen: list[int]
) -> None:
    trials = [replace(TRIALS[0], parameters={"depth": 2}), *TRIALS[1:]]
    trials.append(trial(5, value=0.9, infeasible="6 ms (limit 5)"))
    assert [each.number for each in chosen_trials(trials, number, top)] == chosen


def test_of_several_objectives_the_front_is_confirmed() -> None:
    trials = [
        trial(number, value=0.1 + number / 100, costs={"parameters": 100 + abs(number - 3) * 100})
        for number in range(26)
    ]  # all from the third on: larger, and better
    chosen = chosen_trials(trials, None, None, ("val_ndcg_at_10", "parameters"))
    assert [each.number for each in chosen] == list(range(25, 5, -1)), "20 at most"
    chosen = chosen_trials(trials, None, 100, ("val_ndcg_at_10", "parameters"))
    assert [each.number for each in chosen] == list(range(25, 2, -1))
    assert len(chosen_trials(trials, None)) == 3


@pytest.mark.parametrize(
    ("trials", "number", "said"),
    [
        ([], None, "no complete trial yet; search it first"),
        ([trial(0, infeasible="9 MB (limit 8)")], None, "no complete trial within the limits yet"),
        (
            [trial(0, infeasible="9 MB (limit 8)")],
            0,
            r"within the limits of the study but trial 0 is infeasible: 9 MB \(limit 8\)",
        ),
        ([trial(0, "pruned"), trial(1, "failed")], None, "no complete trial yet"),
        (TRIALS, 5, r"a trial of the study \(0 to 4\) but got 5"),
        ([], 0, r"a trial of the study \(none\) but got 0"),
        ([trial(0, "failed")], 0, r"is failed \(train_loss is not finite at epoch 3\)"),
        *(
            ([trial(0, state)], 0, f"must be a finished trial .* but trial 0 is {state}")
            for state in UNFINISHED
        ),
    ],
)
def test_what_cannot_be_confirmed(trials: list[TrialRecord], number: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        chosen_trials(trials, number, 3)


def test_a_contender_is_trained_for_the_epochs_of_its_best_validation(tmp_path: Path) -> None:
    spec = small_spec(tmp_path)
    study = optuna.create_study()
    configuration = enqueued_configurations(spec)["reference (8, 4)"]
    study.enqueue_trial(parameters_of(configuration))
    asked = study.ask()
    suggest(asked, spec.space)
    contender = contender_of(trial(0, layers=(8, 4), best_epoch=3), study, spec)
    assert (contender.key, contender.name) == ("trial-0000", "trial 0 (8, 4)")
    assert contender.model == ModelConfig(layer_sizes=(8, 4), embedding_dimension=4)
    assert contender.training == TrainingConfig(
        epochs=3, validate_every=1, batch_size=60, learning_rate=0.05
    )


def test_the_reference_is_what_the_file_enqueues_first(tmp_path: Path) -> None:
    contender = reference_contender(small_spec(tmp_path))
    assert (contender.key, contender.name, contender.trial) == ("reference", "reference (8,)", None)
    assert contender.model == ModelConfig(layer_sizes=(8,), embedding_dimension=4)
    assert contender.training == TrainingConfig(epochs=4, validate_every=1, batch_size=60)


def test_where_that_is_the_tutorials_model_it_is_called_so(tmp_path: Path) -> None:
    folders = [PROJECT / "studies"]
    assert reference_contender(load_spec("tutorial", folders=folders)) == tutorial_contender()
    nothing_enqueued = small_spec(tmp_path).model_copy(update={"enqueue": ()})
    assert reference_contender(nothing_enqueued) == tutorial_contender()


def test_the_tutorials_model_is_judged_as_the_trials_are(tmp_path: Path) -> None:
    changes = ("[training]", "[objective]\nmetric = 'ndcg@10'\n[training]")
    spec = small_spec(tmp_path, changes).model_copy(update={"enqueue": ()})
    contender = reference_contender(spec)
    assert (contender.key, contender.name) == ("reference", tutorial_contender().name)
    assert [str(metric) for metric in contender.training.metrics] == ["ndcg@10"]
    assert contender.training == replace(TrainingConfig(), metrics=contender.training.metrics)


def test_the_tutorials_model_is_that_of_the_defaults() -> None:
    contender = tutorial_contender()
    assert (contender.model, contender.training) == (ModelConfig(), TrainingConfig())
    assert contender.trial is None
