"""The runs of trials and re-trained models, as the MLflow UI reads them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from search.records.events import EpochFinished, TrialFinished, TrialStarted
from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, TrialRecord
from search.tracking import Tracker, open_tracker
from tests.unit.search.sample_records import START_MS, curve, save_towers, started, trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, no_towers, run_live


def test_a_trial_is_a_child_run_with_all_of_its_record(tracker: Tracker, reader: Reader) -> None:
    record = trial(7, reference="tutorial (64, 32)", retry_of=3)
    run_live(tracker, record)
    run = reader.children[7]
    assert run.info.run_name == f"trial 007 {record.value:.4f} (64, 32)"
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (record.started_ms, record.ended_ms)
    assert run.data.params == {
        "depth": "2",
        "learning_rate": "0.057",
        "layer_sizes": "(64, 32)",
        "parameter_count": "90000",
        "seed": "18",
    }
    last = record.curve[-1].metrics
    assert run.data.metrics == {
        **last,
        "best_val_top_100_accuracy": record.value,
        "best_epoch": 10,
        "train_seconds": 4.5,
    }
    expected = {
        "mlflow.parentRunId": tracker.parent_run_id,
        "mlflow.source.git.commit": "c0ffee",
        "mlflow.source.name": "search.run",
        "deeprec.kind": "trial",
        "deeprec.trial": "7",
        "deeprec.state": "complete",
        "deeprec.reference": "tutorial (64, 32)",
        "deeprec.retry_of": "3",
        "deeprec.data_fingerprint": CONTEXT.data_fingerprint,
        "deeprec.version.keras": "3.15.1",
    }
    assert expected.items() <= run.data.tags.items()
    assert "Trial 7 of study `tutorial`" in run.data.tags["mlflow.note.content"]
    assert reader.artifacts(run) == set()


def test_metrics_are_stored_by_epoch_with_the_time_of_the_epoch(
    tracker: Tracker, reader: Reader
) -> None:
    record = run_live(tracker, trial(0, epochs=12))
    run = reader.children[0]
    for metric in ("train_loss", "val_loss", "val_top_100_accuracy"):
        assert reader.history(run, metric) == [
            (point.epoch, point.metrics[metric], point.timestamp_ms)
            for point in record.curve
            if metric in point.metrics
        ]


def test_the_data_set_is_an_input_for_training_and_for_validation(
    tracker: Tracker, reader: Reader
) -> None:
    tracker.hear(TrialStarted(started(trial(0))))
    inputs = reader.inputs(reader.children[0])
    assert {i.dataset.name for i in inputs} == {"movielens/100k"}
    contexts = {i.dataset.digest: [(tag.key, tag.value) for tag in i.tags] for i in inputs}
    assert contexts == {
        "0123456789abcdef0123456789a-training": [("mlflow.data.context", "training")],
        "0123456789abcdef012345678-validation": [("mlflow.data.context", "validation")],
    }


def test_curves_are_live_in_steps_of_a_validation_and_of_two_seconds(
    tracker: Tracker, reader: Reader
) -> None:
    record = trial(0, epochs=10)
    tracker.hear(TrialStarted(started(record)))
    for point in record.curve:
        tracker.hear(EpochFinished(0, point))  # epoch 10 follows epoch 5 too soon to be sent
    run = reader.children[0]
    assert run.info.status == "RUNNING"
    assert [step for step, _, _ in reader.history(run, "train_loss")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("record", "status", "tags"),
    [
        (trial(0), "FINISHED", {"deeprec.state": "complete"}),
        (
            trial(0, "pruned"),
            "KILLED",
            {"deeprec.state": "pruned", "deeprec.pruned_at_epoch": "10"},
        ),
        (
            trial(0, "failed", epochs=2),
            "FAILED",
            {"deeprec.state": "failed", "deeprec.reason": "train_loss is not finite at epoch 3"},
        ),
        (
            trial(0, "interrupted", epochs=2, reason="Ctrl-C"),
            "KILLED",
            {"deeprec.state": "interrupted", "deeprec.reason": "Ctrl-C"},
        ),
        (trial(0, "failed", curve=(), value=None, parameters={}, derived={}), "FAILED", {}),
    ],
    ids=lambda value: getattr(value, "state", None),
)
def test_the_status_tells_the_truth(
    record: TrialRecord,
    status: str,
    tags: Mapping[str, str],
    tracker: Tracker,
    reader: Reader,
    warnings: Warnings,
) -> None:
    run_live(tracker, record)
    run = reader.children[0]
    assert run.info.status == status
    assert tags.items() <= run.data.tags.items()
    assert warnings == []


def test_the_best_towers_are_logged_and_the_parent_points_to_them(
    tmp_path: Path, tracker: Tracker, reader: Reader
) -> None:
    towers = save_towers(tmp_path / "towers-of-0")
    record = run_live(tracker, trial(0), towers)
    run_live(tracker, trial(1, top=0.1))
    run = reader.children[0]
    assert reader.artifacts(run) == {"towers"}
    assert reader.artifacts(run, "towers") == {
        "towers/query_model.keras",
        "towers/candidate_model.keras",
    }
    parent = reader.parent
    assert parent.data.tags["deeprec.best_run_id"] == run.info.run_id
    assert parent.data.metrics["best_val_top_100_accuracy"] == record.value
    assert "towers" not in reader.artifacts(reader.children[1])


def test_the_end_of_a_trial_whose_start_was_missed_is_logged(
    tracker: Tracker, reader: Reader
) -> None:
    tracker.hear(EpochFinished(4, curve(1)[0]))
    tracker.hear(TrialFinished(trial(4), None))
    assert len(reader.history(reader.children[4], "train_loss")) == 10


def test_a_trial_that_another_process_began_is_finished_in_its_run(
    folder: Path, tracker: Tracker, warnings: Warnings, reader: Reader
) -> None:
    tracker.hear(TrialStarted(started(trial(0))))
    other = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    other.hear(TrialFinished(trial(0), None))
    assert reader.children[0].info.status == "FINISHED"


def test_values_that_are_not_finite_are_not_stored(tracker: Tracker, reader: Reader) -> None:
    broken = CurvePoint(
        epoch=11, timestamp_ms=START_MS, metrics={"train_loss": float("inf"), "val_loss": 0.5}
    )
    run_live(tracker, trial(0, "failed", curve=(*curve(10), broken)))
    steps = [step for step, _, _ in reader.history(reader.children[0], "train_loss")]
    assert max(steps) == 10


def test_a_long_reason_is_cut_and_not_written_again_and_again(
    tracker: Tracker, reader: Reader
) -> None:
    record = run_live(tracker, trial(0, "failed", reason="x" * 20_000))
    assert len(reader.children[0].data.tags["deeprec.reason"]) == 1000
    assert tracker.reconcile([record], no_towers).nothing


def test_a_retrained_model_is_a_run_beside_the_parent(
    tmp_path: Path, tracker: Tracker, reader: Reader
) -> None:
    record = RetrainRecord(
        trial=7,
        parameters={"depth": 2, "learning_rate": 0.05},
        derived={"layer_sizes": "(64, 32)", "parameter_count": 90_000},
        epochs=25,
        seed=3,
        curve=tuple(replace(point, metrics={"train_loss": 0.1}) for point in curve(25)),
        metrics={"test_top_100_accuracy": 0.34, "test_loss": 0.057},
        started_ms=START_MS,
        ended_ms=START_MS + 9000,
    )
    run_id = tracker.log_retrain(record, save_towers(tmp_path / "towers"))
    (run,) = reader.runs("retrain")
    assert run.info.run_id == run_id
    assert run.info.run_name == "test 0.3400 trial 007"
    assert run.info.status == "FINISHED"
    assert "mlflow.parentRunId" not in run.data.tags
    assert {"epochs": "25", "seed": "3", "depth": "2"}.items() <= run.data.params.items()
    assert run.data.metrics == {
        "train_loss": 0.1,
        "test_top_100_accuracy": 0.34,
        "test_loss": 0.057,
    }
    assert len(reader.history(run, "train_loss")) == 25
    assert len(reader.artifacts(run, "towers")) == 2
    assert reader.children == {}

    assert tracker.log_retrain(record, None) == run_id  # asked again, it makes no second run
    tracker.log_retrain(replace(record, seed=4), None)
    assert {run.data.params["seed"] for run in reader.runs("retrain")} == {"3", "4"}


def test_references_are_runs_that_are_brought_up_to_date(tracker: Tracker, reader: Reader) -> None:
    record = ReferenceRecord(
        name="ease",
        parameters={"lambda": 500.0},
        metrics={"val_top_100_accuracy": 0.55},
        measured_ms=START_MS,
    )
    tracker.log_references([record, replace(record, name="popularity", parameters={})])
    tested = {**record.metrics, "test_top_100_accuracy": 0.57}
    tracker.log_references([replace(record, metrics=tested, measured_ms=START_MS + 1)])
    runs = {run.info.run_name: run for run in reader.runs("reference")}
    assert set(runs) == {"EASE 0.5700 (reference)", "popularity 0.5500 (reference)"}
    assert runs["EASE 0.5700 (reference)"].data.params == {"lambda": "500.0"}
    assert runs["EASE 0.5700 (reference)"].data.metrics == tested
    assert runs["EASE 0.5700 (reference)"].info.status == "FINISHED"


def test_a_confirmation_is_one_run_with_means_and_words(tracker: Tracker, reader: Reader) -> None:
    record = ConfirmationRecord(
        trial=7,
        name="trial 7 (64, 32)",
        metrics={"test_top_100_accuracy_mean": 0.6, "test_top_100_accuracy_std": 0.01},
        lines=("It beats the runner-up.", "It beats every reference."),
        confirmed_ms=START_MS,
    )
    run_id = tracker.log_confirmation(record)
    assert tracker.log_confirmation(record) == run_id
    (run,) = reader.runs("confirmation")
    assert run.info.run_name == "confirmed 0.6000 trial 7 (64, 32)"
    assert run.data.metrics == record.metrics
    words = [*record.lines, "Next: `python -m search.recommend 42`"]
    assert run.data.tags["mlflow.note.content"] == "\n\n".join(words)
