"""The runs of a study, its trials and its results, as the MLflow UI reads them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.records.events import EpochFinished, TrialFinished
from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, TrialRecord
from search.tracking.tracker import Tracker
from tests.unit.search.sample_records import START_MS, curve, save_towers, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    At,
    Reader,
    begin,
    no_towers,
    notes,
    run_live,
)

D = "0123456789abcdef0123456789a"


def test_a_study_is_an_experiment_with_one_parent_run_in_the_folder(at: At) -> None:
    assert at.tracker.experiment_id == at.reader.experiment.experiment_id
    parent = at.reader.parent
    assert parent.info.run_id == at.tracker.parent_run_id
    assert (parent.info.run_name, parent.info.status) == ("study tutorial", "RUNNING")
    params = {"seed": "7", "space_hash": "5ba1e", "data": "movielens/100k", "split": "random"}
    assert parent.data.params == params | {"train_rows": "70000", "validation_rows": "10000"}
    path = at.reader.client.download_artifacts(at.tracker.parent_run_id, "study.toml")
    assert Path(path).read_text() == CONTEXT.spec_text
    assert {path.name for path in at.folder.iterdir()} == {".lock", "artifacts", "mlflow.db"}
    assert parent.info.artifact_uri.startswith((at.folder / "artifacts" / "tutorial").as_uri())
    again = at.opened()
    assert again.experiment_id == at.tracker.experiment_id
    assert again.parent_run_id == at.reader.parent.info.run_id


def test_another_study_of_the_same_name_gets_a_parent_of_its_own(at: At) -> None:
    run_live(at.tracker, trial(0))
    other = at.opened(identity="study-2")
    assert other.experiment_id == at.tracker.experiment_id
    assert other.parent_run_id != at.tracker.parent_run_id
    assert other.reconcile([], no_towers).nothing
    run_live(other, trial(0, epochs=5))
    assert len(at.reader.runs("trial")) == 2
    assert at.warnings == []


def test_the_finished_study_shows_its_result_once(tracker: Tracker, reader: Reader) -> None:
    trials = [
        run_live(tracker, trial(0, top=0.30)),
        run_live(tracker, trial(1, top=0.33, layers=(32,))),
        run_live(tracker, trial(2, "pruned", epochs=5)),
        run_live(tracker, trial(3, "failed", epochs=3)),
    ]
    tracker.study_finished(trials, "complete")
    parent = reader.parent
    assert parent.info.status == "FINISHED"
    counts = {"complete": 2, "pruned": 1, "failed": 1, "diverged": 0, "interrupted": 0}
    metrics = {f"trials_{state}": count for state, count in counts.items()}
    assert parent.data.metrics == metrics | {"best_val_top_100_accuracy": trials[1].value}
    tags = parent.data.tags
    assert tags["deeprec.best_trial"] == "1"
    assert tags["deeprec.best_run_id"] == reader.children[1].info.run_id
    assert tags["deeprec.best_parameters"] == "depth=1, learning_rate=0.051"
    assert "0.2355" in notes(parent)
    assert CONTEXT.next_command in notes(parent)
    assert reader.artifacts(parent) == {"study.toml"}
    tracker.study_finished(trials, "complete")
    assert reader.parent.to_dictionary() == parent.to_dictionary()
    assert len(reader.history(parent, "best_val_top_100_accuracy")) == 1


@pytest.mark.parametrize(
    ("state", "status"), [("complete", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED")]
)
def test_the_parent_ends_as_the_search_and_is_reopened(state: Any, status: str, at: At) -> None:
    first = run_live(at.tracker, trial(0))
    at.tracker.study_finished([first], state)
    assert at.reader.parent.info.status == status
    resumed = at.opened(trials=60)
    assert at.reader.parent.info.status == status  # nothing has run yet
    second = run_live(resumed, trial(1, top=0.4))
    assert at.reader.parent.info.status == "RUNNING"
    resumed.study_finished([first, second], "complete")
    assert at.reader.parent.info.status == "FINISHED"
    assert at.reader.parent.data.metrics["best_val_top_100_accuracy"] == second.value
    assert at.warnings == []


def test_a_study_without_trials_can_end(tracker: Tracker, reader: Reader) -> None:
    tracker.study_finished([], "interrupted")
    assert reader.parent.info.status == "KILLED"
    assert reader.parent.info.end_time >= reader.parent.info.start_time


def test_a_trial_is_a_child_run_with_all_of_its_record(tracker: Tracker, reader: Reader) -> None:
    record = trial(7, reference="tutorial (64, 32)", retry_of=3, epochs=12)
    run_live(tracker, record)
    run = reader.children[7]
    assert run.info.run_name == f"trial 007 {record.value:.4f} (64, 32)"
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (record.started_ms, record.ended_ms)
    derived = {"layer_sizes": "(64, 32)", "parameter_count": "90000", "seed": "18"}
    assert run.data.params == {"depth": "2", "learning_rate": "0.057"} | derived
    assert run.data.metrics == {
        **record.curve[9].metrics,
        "train_loss": record.curve[-1].metrics["train_loss"],
        "best_val_top_100_accuracy": record.value,
        "best_epoch": 12,
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
    assert "Trial 7 of study `tutorial`" in notes(run)
    assert reader.artifacts(run) == set()
    for metric in ("train_loss", "val_loss", "val_top_100_accuracy"):
        assert reader.history(run, metric) == [
            (point.epoch, point.metrics[metric], point.timestamp_ms)
            for point in record.curve
            if metric in point.metrics
        ]
    contexts = {
        each.dataset.digest: (each.dataset.name, [(tag.key, tag.value) for tag in each.tags])
        for each in reader.inputs(run)
    }
    assert contexts == {
        f"{digest}-{part}": ("movielens/100k", [("mlflow.data.context", part)])
        for digest, part in {D: "training", D[:-2]: "validation"}.items()
    }


def test_curves_are_live_in_steps_of_a_validation_and_of_two_seconds(at: At) -> None:
    begin(at.tracker, trial(0, epochs=10), 10)  # epoch 10 follows epoch 5 too soon to be sent
    run = at.reader.children[0]
    assert run.info.status == "RUNNING"
    assert [step for step, _, _ in at.reader.history(run, "train_loss")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("record", "status", "tags"),
    [
        (trial(0), "FINISHED", {"deeprec.state": "complete"}),
        (trial(0, "pruned"), "KILLED", {"deeprec.pruned_at_epoch": "10"}),
        (trial(0, "failed", reason="x"), "FAILED", {"deeprec.reason": "x"}),
        (trial(0, "interrupted", reason="Ctrl-C"), "KILLED", {"deeprec.reason": "Ctrl-C"}),
        (trial(0, "failed", curve=(), value=None, parameters={}, derived={}), "FAILED", {}),
    ],
    ids=lambda value: getattr(value, "state", None),
)
def test_the_status_is_true(
    record: TrialRecord, status: str, tags: Mapping[str, str], at: At
) -> None:
    run_live(at.tracker, record)
    run = at.reader.children[0]
    assert run.info.status == status
    assert {**tags, "deeprec.state": record.state}.items() <= run.data.tags.items()
    assert at.warnings == []


def test_the_best_towers_are_logged_and_the_parent_points_to_them(tmp_path: Path, at: At) -> None:
    record = run_live(at.tracker, trial(0), save_towers(tmp_path / "towers-of-0"))
    run_live(at.tracker, trial(1, top=0.1))
    run = at.reader.children[0]
    assert at.reader.artifacts(run) == {"towers"}
    assert at.reader.artifacts(run, "towers") == {
        "towers/query_model.keras",
        "towers/candidate_model.keras",
    }
    parent = at.reader.parent
    assert parent.data.tags["deeprec.best_run_id"] == run.info.run_id
    assert parent.data.metrics["best_val_top_100_accuracy"] == record.value
    assert "towers" not in at.reader.artifacts(at.reader.children[1])


def test_the_end_of_a_trial_is_logged_though_its_start_was_missed_or_elsewhere(at: At) -> None:
    at.tracker.hear(EpochFinished(4, curve(1)[0]))
    at.tracker.hear(TrialFinished(trial(4), None))
    assert len(at.reader.history(at.reader.children[4], "train_loss")) == 10
    begin(at.tracker, trial(0))
    at.opened().hear(TrialFinished(trial(0), None))
    assert at.reader.children[0].info.status == "FINISHED"


def test_values_that_are_not_finite_are_left_out_and_a_long_reason_is_cut(at: At) -> None:
    metrics = {"train_loss": float("inf"), "val_loss": 0.5}
    broken = CurvePoint(epoch=11, timestamp_ms=START_MS, metrics=metrics)
    record = trial(0, "failed", curve=(*curve(10), broken), reason="x" * 20_000)
    run_live(at.tracker, record)
    run = at.reader.children[0]
    assert max(step for step, _, _ in at.reader.history(run, "train_loss")) == 10
    assert len(run.data.tags["deeprec.reason"]) == 1000
    assert at.tracker.reconcile([record], no_towers).nothing


def test_a_retrained_model_is_a_run_beside_the_parent(tmp_path: Path, at: At) -> None:
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
    run_id = at.tracker.log_retrain(record, save_towers(tmp_path / "towers"))
    run = at.reader.run("retrain")
    assert run.info.run_id == run_id
    assert (run.info.run_name, run.info.status) == ("test 0.3400 trial 007", "FINISHED")
    assert "mlflow.parentRunId" not in run.data.tags
    assert {"epochs": "25", "seed": "3", "depth": "2"}.items() <= run.data.params.items()
    assert run.data.metrics == {"train_loss": 0.1, **record.metrics}
    assert len(at.reader.history(run, "train_loss")) == 25
    assert len(at.reader.artifacts(run, "towers")) == 2
    assert at.reader.children == {}

    assert at.tracker.log_retrain(record, None) == run_id  # asked again, it makes no second run
    at.tracker.log_retrain(replace(record, seed=4), None)
    assert {run.data.params["seed"] for run in at.reader.runs("retrain")} == {"3", "4"}


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
    ease = runs["EASE 0.5700 (reference)"]
    assert (ease.data.params, ease.data.metrics) == ({"lambda": "500.0"}, tested)
    assert ease.info.status == "FINISHED"


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
    run = reader.run("confirmation")
    assert run.info.run_name == "confirmed 0.6000 trial 7 (64, 32)"
    assert run.data.metrics == record.metrics
    assert notes(run) == "\n\n".join([*record.lines, "Next: `python -m search.recommend 42`"])
