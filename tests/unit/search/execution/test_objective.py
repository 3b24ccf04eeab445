"""One trial: real training on small tables, its attributes, pruning, towers, time."""

import contextlib
import errno
import math
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from deeprec import serving_costs
from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.errors import DivergedError
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train_new
from search.execution.loop import TrialLoop
from search.execution.objective import (
    STABILITY_SEEDS,
    Objective,
    Stopwatch,
)
from search.records.events import EpochFinished, Hooks, TrialEvent, TrialFinished, TrialStarted
from search.records.trials import TrialRecord
from search.storage.files import find_towers, load_towers
from search.storage.trials import record_of, records
from tests.synthetic import small_dataset
from tests.unit.search.claims import still, undisputed
from tests.unit.search.specs import small_spec


class Bench:
    """An objective and a study in memory, searched trial by trial."""

    def __init__(self, data: TrainingData, folder: Path, *replacements: tuple[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        self.spec = small_spec(folder, *replacements)
        self.study = optuna.create_study(directions=self.spec.directions)
        self.events: list[TrialEvent] = []
        hooks = Hooks(emit=self.events.append)
        self.objective = Objective(self.spec, data, folder / "towers", hooks)

    def run(self, count: int = 1) -> TrialRecord:
        """Runs so many more trials; the record of the last one."""
        trials = sum(record.is_finished for record in records(self.study)) + count
        of_study = self.spec.study.model_copy(update={"trials": trials})
        TrialLoop(
            study=self.study,
            spec=self.spec.model_copy(update={"study": of_study}),
            towers_folder=self.objective.towers_folder,
            claim=undisputed(),
            pulse=still(self.study),
            make_objective=lambda: self.objective,
            hooks=Hooks(emit=self.objective.hooks.emit),
        ).run()
        return record_of(self.study.trials[-1], self.spec.limits.given)


@pytest.fixture
def bench(training_data: TrainingData, tmp_path: Path) -> Bench:
    return Bench(training_data, tmp_path)


def test_the_record_and_the_events_hold_all_there_is_to_know(bench: Bench) -> None:
    record = bench.run()
    accuracies = [point.metrics["val_top_100_accuracy"] for point in record.curve]
    assert record.state == "complete"
    assert [point.epoch for point in record.curve] == [1, 2, 3, 4]
    assert record.value == max(accuracies)
    assert record.best_epoch == 1 + int(np.argmax(accuracies))
    towers = bench.objective.towers_folder / "trial-0000"
    query, candidate = load_towers(towers)
    count = query.count_params() + candidate.count_params()
    assert record.derived.items() >= {"layer_sizes": "(8,)", "parameter_count": count}.items()
    assert record.train_seconds is not None
    assert record.train_seconds > 0
    first, *epochs, last = bench.events
    assert isinstance(first, TrialStarted)
    assert (first.trial.state, first.trial.layer_sizes) == ("running", "(8,)")
    assert epochs == [EpochFinished(0, point) for point in record.curve]
    assert last == TrialFinished(record, towers)


def test_each_new_best_is_started_with_other_seeds_and_its_towers_give_its_accuracy(
    bench: Bench, training_data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def counting(*arguments: Any, **options: Any) -> Any:
        if not options:
            checked.append(len(bench.study.trials) - 1)
        return train_new(*arguments, **options)

    monkeypatch.setattr("search.execution.objective.train_new", counting)
    bench.run(4)
    best_so_far, leads = -1.0, list[int]()
    for record in records(bench.study):
        towers = find_towers(bench.objective.towers_folder, record.number)
        assert record.value is not None
        assert (towers is not None) == (record.value > best_so_far)
        best_so_far = max(best_so_far, record.value)
        if towers is not None:
            leads.append(record.number)
            assert accuracy_of(towers, training_data) == pytest.approx(record.value)
    assert checked == [number for number in leads for _ in range(STABILITY_SEEDS)]


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


@pytest.mark.parametrize(("warmup", "state", "epochs"), [(2, "pruned", 2), (4, "complete", 4)])
def test_a_pruned_trial_keeps_its_curve_and_none_is_pruned_after_its_last_epoch(
    bench: Bench, warmup: int, state: str, epochs: int
) -> None:
    bench.study.pruner = optuna.pruners.ThresholdPruner(lower=1.1, n_warmup_steps=warmup)
    record = bench.run()
    assert (record.state, len(record.curve)) == (state, epochs)
    assert record.pruned_at_epoch == (epochs if state == "pruned" else None)


def test_no_leader_diverges_with_other_seeds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []

    def second_check_diverges(
        model: ModelConfig, data: DeviceData, config: TrainingConfig, **options: Any
    ) -> Any:
        if not options:
            checked.append(config.epochs)
            if len(checked) == 2:
                raise DivergedError("train_loss is 1e+14 at epoch 1")
        return train_new(model, data, config, **options)

    monkeypatch.setattr("search.execution.objective.train_new", second_check_diverges)
    record = bench.run()
    assert (record.state, record.value, len(record.curve)) == ("diverged", None, 4)
    assert record.reason == "with another seed (check 2), train_loss is 1e+14 at epoch 1"
    assert checked == [1, 1]
    assert find_towers(bench.objective.towers_folder, 0) is None


def test_the_curve_of_a_stopped_trial_is_whole(training_data: TrainingData, tmp_path: Path) -> None:
    bench = Bench(training_data, tmp_path, ("validate_every = 1", "validate_every = 2"))
    reasons = iter([None, None, "terminated"])
    bench.objective.hooks = Hooks(stop_reason=lambda: next(reasons))
    record = bench.run()
    assert (record.state, record.reason) == ("interrupted", "terminated")
    assert [point.epoch for point in record.curve] == [1, 2, 3]


def test_the_curve_is_stored_while_a_long_trial_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []

    def read(event: TrialEvent) -> None:
        if isinstance(event, EpochFinished):
            stored.append(len(record_of(bench.study.trials[event.number]).curve))

    bench.objective.hooks = Hooks(emit=read)
    monkeypatch.setattr("search.execution.objective.STORE_EVERY_S", 1e9)
    assert len(bench.run().curve) == 4
    assert stored == [0, 0, 0, 0], "a trial of a moment writes its curve once"
    monkeypatch.setattr("search.execution.objective.STORE_EVERY_S", 0.0)
    assert len(bench.run().curve) == 4
    assert stored[4:] == [1, 2, 3, 4]


def test_one_seed_gives_one_search(training_data: TrainingData, tmp_path: Path) -> None:
    def values() -> list[tuple[object, object]]:
        bench = Bench(training_data, tmp_path)
        bench.run(3)
        return [(record.parameters, record.value) for record in records(bench.study)]

    assert values() == values()


def test_only_running_time_counts_and_pauses_are_left_out() -> None:
    now = 100.0
    watch = Stopwatch(lambda: now)
    now += 1
    with watch.running():
        now += 2
        with watch.paused():
            now += 4
        now += 8
    now += 16
    with contextlib.suppress(ValueError), watch.running():
        now += 32
        with watch.paused():
            now += 64
            raise ValueError("pruned")
    now += 128
    assert watch.seconds == 2 + 8 + 32


def test_the_seconds_of_training_leave_out_what_listeners_take(bench: Bench) -> None:
    bench.objective.hooks = Hooks(emit=lambda _event: time.sleep(0.2))
    begun = time.monotonic()
    record = bench.run()
    assert record.train_seconds is not None
    assert record.train_seconds < time.monotonic() - begun - 5 * 0.2


def test_a_trial_that_patience_ends_is_complete_with_its_best_value(
    training_data: TrainingData, tmp_path: Path
) -> None:
    changes = ("epochs = 4", "epochs = 30"), ("every = 1", "every = 1\npatience = 2")
    record = Bench(training_data, tmp_path, *changes).run()
    values = [point.metrics["val_top_100_accuracy"] for point in record.curve]
    assert record.state == "complete"
    assert len(values) == 1 + int(np.argmax(values)) + 2 < 30
    assert (record.value, record.best_epoch) == (max(values), len(values) - 2)


def limited(data: TrainingData, folder: Path, limits: str) -> Bench:
    """A bench of a study with limits, on data of which recommenders can be made."""
    names = small_dataset(data.users, data.movies, data.train[:0])
    limits = f"[limits]\n{limits}\n\n[training]"
    return Bench(replace(data, names=names), folder, ("[training]", limits))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ("parameters = 1000", r"1,392 parameters \(limit 1,000\)"),
        ("megabytes = 0.001", r"0\.0\d+ MB \(limit 0\.001\)"),
    ],
)
def test_what_is_known_before_a_training_costs_none(
    limits: str,
    reason: str,
    training_data: TrainingData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.execution.objective.train_new", None)  # which would fail
    bench = limited(training_data, tmp_path, limits)
    record = bench.run()
    assert (record.state, record.curve, record.value) == ("pruned", (), None)
    assert record.infeasible is not None
    assert re.fullmatch(reason, record.infeasible)
    assert record.is_finished, "it counts, or a search of nothing else would never end"
    started, ended = bench.events
    assert isinstance(started, TrialStarted)
    assert ended == TrialFinished(record, None)


def test_a_slow_model_is_complete_and_neither_leads_nor_saves_towers(
    training_data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = limited(training_data, tmp_path, "megabytes = 1\nmilliseconds = 5")
    took = iter([6.0, 5.0, 4.0])
    monkeypatch.setattr(serving_costs, "milliseconds", lambda _recommender: next(took))
    first, second = bench.run(), bench.run()
    assert (first.state, first.infeasible) == ("complete", "6 ms (limit 5)")
    assert first.value is not None
    assert set(second.costs) == {"parameters", "megabytes", "milliseconds"}
    assert second.infeasible is None
    saved = [find_towers(bench.objective.towers_folder, number) for number in (0, 1)]
    assert saved[0] is None
    assert saved[1] is not None, "the first within the limits leads, whatever others reached"


class Cut:
    """Stops a trial after an epoch."""

    def __init__(self, bench: Bench, epoch: int) -> None:
        self.bench = bench
        self.epoch = epoch
        self.warnings: list[str] = []
        bench.objective.hooks = Hooks(
            emit=self.hear, warn=self.warnings.append, stop_reason=lambda: self.reason
        )
        self.reason: str | None = None

    def hear(self, event: TrialEvent) -> None:
        self.bench.events.append(event)
        if isinstance(event, EpochFinished) and event.number == 0:
            self.reason = "terminated" if event.point.epoch == self.epoch else None
        if isinstance(event, TrialFinished):
            self.reason = None


def checkpoints_in(bench: Bench) -> list[str]:
    return [path.name for path in bench.objective.towers_folder.glob("*.checkpoint")]


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_a_stopped_trial_goes_on_after_its_epoch_as_if_it_had_not_been(
    training_data: TrainingData, tmp_path: Path, epoch: int
) -> None:
    every = ("validate_every = 1", "validate_every = 2")
    whole, bench = (Bench(training_data, tmp_path / name, every) for name in ("whole", "cut"))
    expected = whole.run()
    cut = Cut(bench, epoch)
    assert bench.run().state == "interrupted"
    assert checkpoints_in(bench) == ["trial-0000.checkpoint"]
    again = bench.run()
    assert (again.number, again.state, again.resumed_after) == (1, "complete", epoch)
    assert (again.value, again.best_epoch) == (expected.value, expected.best_epoch)
    assert again.curve_values == expected.curve_values
    assert again.curve[:epoch] == record_of(bench.study.trials[0]).curve
    shown = [each.point for each in bench.events if isinstance(each, EpochFinished) and each.number]
    assert tuple(shown) == again.curve
    reported = [
        trial.intermediate_values for trial in (bench.study.trials[1], whole.study.trials[0])
    ]
    assert reported[0] == reported[1]
    for mine, other in zip(weights_of_trial(bench, 1), weights_of_trial(whole, 0), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert not cut.warnings


def weights_of_trial(bench: Bench, number: int) -> list[np.ndarray]:
    towers = find_towers(bench.objective.towers_folder, number)
    assert towers is not None
    return [np.asarray(v) for tower in load_towers(towers) for v in tower.trainable_variables]


class Asked(optuna.pruners.BasePruner):
    """Gives up after an epoch; notes which trial it was asked about, and when."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.asked: list[tuple[int, int | None]] = []

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        self.asked.append((trial.number, trial.last_step))
        return trial.last_step == self.epoch


def test_the_pruner_decides_as_it_would_have(bench: Bench) -> None:
    bench.study.pruner = pruner = Asked(3)
    Cut(bench, 3)
    assert bench.run().state == "interrupted"  # the signal came first
    again = bench.run()
    assert (again.state, again.pruned_at_epoch, again.resumed_after) == ("pruned", 3, 3)
    assert pruner.asked == [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3)]


def test_a_checkpoint_that_cannot_be_used_costs_a_line_and_the_trial_starts_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Cut(bench, 2)
    bench.run()
    monkeypatch.setattr("search.execution.saving.computed_on", lambda: {"threads": "64"})
    again = bench.run()
    assert (again.state, again.resumed_after, len(again.curve)) == ("complete", None, 4)
    assert cut.warnings == [
        "trial-0000.checkpoint is left out (it was made with another processor, device or number "
        "of threads); its trial starts anew"
    ]


def test_where_no_checkpoint_can_be_written_the_trial_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("search.execution.saving.write_checkpoint", full)
    monkeypatch.setattr("search.execution.saving.SAVE_EVERY_S", 0.0)
    monkeypatch.setattr("search.execution.saving.ASSUMED_BYTES_PER_S", math.inf)
    cut = Cut(bench, 4)
    assert bench.run().state == "interrupted"
    [line] = cut.warnings
    assert line == (
        f"no checkpoint can be written into {bench.objective.towers_folder} "
        "(No space left on device); what is interrupted starts anew"
    )
    assert (bench.run().resumed_after, len(cut.warnings)) == (None, 1)


def test_a_short_trial_writes_no_checkpoint(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    monkeypatch.setattr(
        "search.execution.saving.write_checkpoint", lambda *given: written.append(given)
    )
    bench.run()
    assert not written


def test_of_several_objectives_optuna_is_told_all_at_the_epoch_of_the_value(
    training_data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = "[objective]\nmetrics = ['ndcg@10', 'parameters', 'milliseconds', 'recall@5']\n"
    monkeypatch.setattr(serving_costs, "milliseconds", lambda _recommender: 3.0)
    bench = Bench(
        limited(training_data, tmp_path, "").objective.data,
        tmp_path,
        ("[training]", several + "[training]"),
        ('[pruner]\nname = "none"\n', ""),
    )
    record = bench.run()
    [told] = bench.study.trials
    at_best = record.curve[(record.best_epoch or 0) - 1].metrics
    assert record.value == max(point.metrics["val_ndcg_at_10"] for point in record.curve)
    assert told.values == [record.value, 1392, 3.0, at_best["val_recall_at_5"]]
    assert (told.intermediate_values, record.costs["milliseconds"]) == ({}, 3.0)
    assert find_towers(bench.objective.towers_folder, 0) is not None
