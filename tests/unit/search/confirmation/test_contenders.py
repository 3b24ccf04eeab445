"""Which trials are confirmed, and what is trained for each."""

from pathlib import Path

import optuna
import pytest

from deeprec.config import ModelConfig, TrainingConfig
from search.config.space import enqueued_configurations, parameters_of, suggest
from search.config.study import load_spec
from search.config.workspace import PROJECT
from search.confirmation.contenders import (
    chosen_trials,
    contender_of,
    reference_contender,
    tutorial_contender,
)
from search.records.errors import InputError
from search.records.trials import TrialState
from tests.unit.search.sample_records import trial
from tests.unit.search.specs import small_spec


def test_the_best_complete_trials_are_chosen_unless_one_is_named() -> None:
    trials = [trial(0, value=0.3), trial(1, value=0.34), trial(2, "pruned", value=0.9)]
    trials.append(trial(3, value=0.3))
    assert chosen_trials(trials, None, 1) == [trials[1]]
    assert chosen_trials(trials, None, 2) == [trials[1], trials[0]]
    assert chosen_trials(trials, None, 9) == [trials[1], trials[0], trials[3]]
    assert chosen_trials(trials, 0, 3) == [trials[0]]


def test_contenders_are_configurations_not_trials() -> None:
    same = {"depth": 1, "learning_rate": 0.05}
    trials = [
        trial(0, value=0.31, parameters=same),
        trial(1, value=0.34, parameters=same),
        trial(2, value=0.33, parameters={**same, "depth": 2}),
    ]
    assert chosen_trials(trials, None, 3) == [trials[1], trials[2]]


def test_a_pruned_trial_can_be_named() -> None:
    trials = [trial(0), trial(1, "pruned")]
    assert chosen_trials(trials, 1, 3) == [trials[1]]


@pytest.mark.parametrize("trials", [[], [trial(0, "pruned"), trial(1, "failed")]])
def test_without_a_complete_trial_there_is_no_best(trials: list[object]) -> None:
    with pytest.raises(InputError, match="no complete trial yet; search it first"):
        chosen_trials(trials, None, 3)  # type: ignore[arg-type]


def test_a_trial_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"a trial of the study \(0 to 1\) but got 2"):
        chosen_trials([trial(0), trial(1)], 2, 3)
    with pytest.raises(InputError, match=r"a trial of the study \(none\) but got 0"):
        chosen_trials([], 0, 3)


@pytest.mark.parametrize("state", ["waiting", "running", "diverged", "failed", "interrupted"])
def test_a_trial_that_did_not_finish_is_refused(state: TrialState) -> None:
    with pytest.raises(InputError, match=rf"must be a finished trial .* but trial 1 is {state}"):
        chosen_trials([trial(0), trial(1, state)], 1, 3)


def test_why_it_did_not_finish_is_said() -> None:
    with pytest.raises(InputError, match=r"is failed \(train_loss is not finite at epoch 3\)"):
        chosen_trials([trial(0, "failed")], 0, 3)


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


def test_the_tutorials_model_is_that_of_the_defaults() -> None:
    contender = tutorial_contender()
    assert (contender.model, contender.training) == (ModelConfig(), TrainingConfig())
    assert contender.trial is None
