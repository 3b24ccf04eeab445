"""One trial: real training on small tables, its attributes, pruning, towers, memory of failures."""

import errno
import gc
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from deeprec.config import TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import Interactions
from deeprec.errors import DivergedError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import TrainingResult, train
from search.execution.loop import search
from search.execution.objective import STABILITY_SEEDS, Objective, free_memory, set_libraries_aside
from search.records.errors import EnvironmentFaultError
from search.records.events import EpochFinished, TrialEvent, TrialStarted
from search.records.trials import TrialRecord
from search.storage.attributes import ERROR
from search.storage.towers import find_towers, load_towers
from search.storage.trials import record_of, records
from tests.unit.search.claims import still, undisputed
from tests.unit.search.specs import small_spec


@pytest.fixture
def objective(training_data: TrainingData, tmp_path: Path) -> Objective:
    return Objective(small_spec(tmp_path), training_data, towers_folder=tmp_path / "towers")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))


def run_one(study: optuna.Study, objective: Objective) -> TrialRecord:
    study.optimize(objective, n_trials=1, catch=(Exception,))
    return record_of(study.trials[-1])


def test_the_record_holds_all_there_is_to_know(study: optuna.Study, objective: Objective) -> None:
    record = run_one(study, objective)
    accuracies = [point.metrics["val_top_100_accuracy"] for point in record.curve]
    assert record.state == "complete"
    assert [point.epoch for point in record.curve] == [1, 2, 3, 4]
    assert record.value == study.trials[0].value == max(accuracies)
    assert record.best_epoch == 1 + int(np.argmax(accuracies))
    assert set(record.derived) == {"layer_sizes", "parameter_count", "seed"}
    assert record.train_seconds is not None
    assert record.train_seconds > 0


def test_the_start_and_every_epoch_are_emitted(study: optuna.Study, objective: Objective) -> None:
    events: list[TrialEvent] = []
    objective.emit = events.append
    run_one(study, objective)
    first, *epochs = events
    assert isinstance(first, TrialStarted)
    assert first.trial.state == "running"
    assert first.trial.layer_sizes
    record = record_of(study.trials[0])
    assert epochs == [EpochFinished(0, point) for point in record.curve]


def test_the_towers_of_each_new_best_are_saved_and_give_its_accuracy(
    study: optuna.Study, objective: Objective, training_data: TrainingData
) -> None:
    search(study, objective.spec, objective, claim=undisputed(), pulse=still(study))
    best_so_far = -1.0
    for record in records(study):
        towers = find_towers(objective.towers_folder, record.number)
        assert record.value is not None
        assert (towers is not None) == (record.value > best_so_far)
        best_so_far = max(best_so_far, record.value)
        if towers is not None:
            assert accuracy_of(towers, training_data) == pytest.approx(record.value)


def accuracy_of(towers: Path, data: TrainingData) -> float:
    """Top-100 accuracy on the validation rows by NumPy alone."""
    assert data.validation is not None
    query_model, candidate_model = load_towers(towers)
    queries = np.asarray(query_model(data.users.columns))
    candidates = np.asarray(candidate_model(data.movies.columns))
    top = np.argsort(-(queries @ candidates.T), axis=1, kind="stable")[:, :100]
    rows = data.validation
    hits = (top[rows.user_id] == rows.movie_id[:, None]).any(axis=1)
    return float(hits[rows.liked].mean())


def test_a_pruned_trial_keeps_its_curve_so_far(objective: Objective) -> None:
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1.1, n_warmup_steps=2)
    )
    record = run_one(study, objective)
    assert (record.state, record.pruned_at_epoch, len(record.curve)) == ("pruned", 2, 2)


def test_nothing_is_pruned_after_the_last_epoch(objective: Objective) -> None:
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1.1, n_warmup_steps=4)
    )
    record = run_one(study, objective)
    assert record.state == "complete", record.reason


def test_a_trial_that_diverges_is_told_so_with_metric_epoch_and_step(
    study: optuna.Study, training_data: TrainingData, tmp_path: Path
) -> None:
    infinite = Interactions(
        user_id=training_data.train.user_id,
        movie_id=training_data.train.movie_id,
        rating=np.full_like(training_data.train.rating, 1e30),
        timestamp=training_data.train.timestamp,
    )
    data = TrainingData(
        users=training_data.users,
        movies=training_data.movies,
        train=infinite,
        validation=training_data.validation,
    )
    record = run_one(study, Objective(small_spec(tmp_path), data, towers_folder=tmp_path))
    assert (record.state, record.value, record.is_finished) == ("diverged", None, True)
    assert record.reason == "train_loss is not finite at epoch 1, step 1"
    assert study.trials[0].state == optuna.trial.TrialState.PRUNED


def test_a_leader_that_diverges_with_another_seed_does_not_lead(
    study: optuna.Study, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def second_check_diverges(
        model: RetrievalModel, data: DeviceData, config: TrainingConfig, **options: Any
    ) -> TrainingResult:
        if not options:
            checked.append(config.epochs)
            if len(checked) == 2:
                raise DivergedError("train_loss is 1e+14 at epoch 1")
        return train(model, data, config, **options)

    monkeypatch.setattr("search.execution.objective.train", second_check_diverges)
    record = run_one(study, objective)
    assert (record.state, record.value, len(record.curve)) == ("diverged", None, 4)
    assert record.reason == "with another seed (check 2), train_loss is 1e+14 at epoch 1"
    assert checked == [1, 1]
    assert find_towers(objective.towers_folder, 0) is None


def test_only_a_trial_that_would_lead_is_started_with_other_seeds(
    study: optuna.Study, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def counting(*arguments: Any, **options: Any) -> TrainingResult:
        if not options:
            checked.append(len(study.trials))
        return train(*arguments, **options)

    monkeypatch.setattr("search.execution.objective.train", counting)
    search(study, objective.spec, objective, claim=undisputed(), pulse=still(study))
    values = [trial.value or 0.0 for trial in study.trials]
    leads = [
        place for place, value in enumerate(values) if value > max(values[:place], default=0.0)
    ]
    assert checked == [place + 1 for place in leads for _ in range(STABILITY_SEEDS)]


def test_towers_that_cannot_be_written_are_no_fault_of_the_trial(
    study: optuna.Study, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "towers")

    monkeypatch.setattr("search.execution.objective.save_towers", refuse)
    with pytest.raises(EnvironmentFaultError, match="Permission denied: 'towers'; mend it"):
        objective(study.ask())
    assert study.trials[0].user_attrs["interrupted"]


def test_an_error_that_the_environment_may_have_caused_is_noted_by_its_type(
    study: optuna.Study, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise TypeError("no array of JAX")

    monkeypatch.setattr("search.execution.objective.train", fail)
    assert run_one(study, objective).reason == "TypeError: no array of JAX"
    assert study.trials[0].user_attrs[ERROR] == "TypeError"


def test_a_stop_request_interrupts_after_the_epoch(
    study: optuna.Study, objective: Objective
) -> None:
    objective.should_stop = lambda: "interrupted from the keyboard"
    with pytest.raises(KeyboardInterrupt):
        run_one(study, objective)
    record = record_of(study.trials[0])
    assert (record.state, record.reason) == ("interrupted", "interrupted from the keyboard")
    assert len(record.curve) == 1


def test_the_curve_is_stored_while_a_long_trial_runs_and_whole_at_its_end(
    study: optuna.Study, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def read(event: TrialEvent) -> None:
        if isinstance(event, EpochFinished):
            stored.append(len(record_of(study.trials[event.number]).curve))

    objective.emit = read
    monkeypatch.setattr("search.execution.objective.STORE_EVERY_S", 1e9)
    assert len(run_one(study, objective).curve) == 4
    assert stored == [0, 0, 0, 0], "a trial of a moment writes its curve once"
    monkeypatch.setattr("search.execution.objective.STORE_EVERY_S", 0.0)
    record = run_one(study, objective)
    assert stored[4:] == [1, 2, 3, 4]
    assert len(record.curve) == 4


def test_the_curve_of_an_interrupted_trial_reaches_its_last_epoch(
    study: optuna.Study, training_data: TrainingData, tmp_path: Path
) -> None:
    spec = small_spec(tmp_path, ("validate_every = 1", "validate_every = 2"))
    reasons = iter([None, None, "terminated"])
    objective = Objective(
        spec, training_data, towers_folder=tmp_path, should_stop=lambda: next(reasons)
    )
    with pytest.raises(KeyboardInterrupt):
        run_one(study, objective)
    assert [point.epoch for point in record_of(study.trials[0]).curve] == [1, 2, 3]


def test_the_seconds_of_training_leave_out_what_listeners_take(
    study: optuna.Study, objective: Objective
) -> None:
    run_one(study, objective)  # compiles
    objective.emit = lambda _event: time.sleep(0.2)
    begun = time.monotonic()
    record = run_one(study, objective)
    assert record.train_seconds is not None
    assert record.train_seconds < time.monotonic() - begun - 5 * 0.2


def test_a_trial_is_claimed_with_its_parameters_before_anything_else(
    study: optuna.Study, objective: Objective
) -> None:
    claimed: list[tuple[int, set[str]]] = []
    events: list[TrialEvent] = []
    objective.emit = events.append

    def on_claimed(trial: optuna.Trial) -> None:
        assert not events
        claimed.append((trial.number, set(trial.params)))

    objective.on_claimed = on_claimed
    run_one(study, objective)
    assert claimed == [(0, set(study.trials[0].params))]


def test_other_errors_name_their_type(study: optuna.Study, objective: Objective) -> None:
    def break_down(event: TrialEvent) -> None:
        if isinstance(event, EpochFinished):
            raise MemoryError("out of memory while allocating")

    objective.emit = break_down
    record = run_one(study, objective)
    assert record.reason == "MemoryError: out of memory while allocating"
    assert record.out_of_memory


def test_one_seed_gives_one_search(training_data: TrainingData, tmp_path: Path) -> None:
    def values() -> list[tuple[object, object]]:
        study = optuna.create_study(direction="maximize")
        spec = small_spec(tmp_path, ("trials = 6", "trials = 2"))
        objective = Objective(spec, training_data, towers_folder=tmp_path / "towers")
        search(study, spec, objective, claim=undisputed(), pulse=still(study))
        return [(record.parameters, record.value) for record in records(study)]

    assert values() == values()


class Knot:
    """Something that only a collection of garbage takes away."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def thawed() -> Iterator[None]:
    """As a process is when it begins; afterwards as tests have it."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_what_was_there_before_the_first_training_is_not_looked_at_again(thawed: None) -> None:
    before = weakref.ref(Knot())
    set_libraries_aside()
    during = weakref.ref(Knot())
    set_libraries_aside()  # a second search in this process keeps nothing alive
    free_memory()
    assert before() is not None
    assert during() is None
