"""The parent run of a study, as the MLflow UI reads it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.tracking import Tracker, open_tracker
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, no_towers, run_live


def test_a_study_is_an_experiment_with_one_parent_run(tracker: Tracker, reader: Reader) -> None:
    assert tracker.experiment_id == reader.experiment.experiment_id
    parent = reader.parent
    assert parent.info.run_id == tracker.parent_run_id
    assert parent.info.run_name == "study tutorial"
    assert parent.info.status == "RUNNING"
    assert parent.data.params == {
        "seed": "7",
        "space_hash": "5ba1e",
        "data": "movielens/100k",
        "split": "random",
        "train_rows": "70000",
        "validation_rows": "10000",
    }


def test_the_study_file_is_an_artifact_of_the_parent(tracker: Tracker, reader: Reader) -> None:
    path = reader.client.download_artifacts(tracker.parent_run_id, "study.toml")
    assert Path(path).read_text() == CONTEXT.spec_text


def test_everything_lies_in_the_folder(
    folder: Path, tracker: Tracker, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_live(tracker, trial(0))
    assert {path.name for path in folder.iterdir()} == {".lock", "artifacts", "mlflow.db"}
    uri = reader.children[0].info.artifact_uri
    assert uri.startswith((folder / "artifacts" / "tutorial").as_uri())


def test_opening_again_finds_the_same_runs(
    folder: Path, tracker: Tracker, warnings: Warnings, reader: Reader
) -> None:
    again = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert (again.experiment_id, again.parent_run_id) == (
        tracker.experiment_id,
        tracker.parent_run_id,
    )
    assert reader.parent.info.run_id == tracker.parent_run_id


def test_another_study_of_the_same_name_gets_a_parent_of_its_own(
    folder: Path, tracker: Tracker, warnings: Warnings, reader: Reader
) -> None:
    run_live(tracker, trial(0))
    other = open_tracker(None, replace(CONTEXT, identity="study-2"), folder=folder, warn=warnings)
    assert other.experiment_id == tracker.experiment_id
    assert other.parent_run_id != tracker.parent_run_id
    assert other.reconcile([], no_towers).nothing
    run_live(other, trial(0, epochs=5))
    assert len(reader.runs("trial")) == 2
    assert warnings == []


def test_the_finished_study_shows_its_result(tracker: Tracker, reader: Reader) -> None:
    trials = [
        run_live(tracker, trial(0, top=0.30)),
        run_live(tracker, trial(1, top=0.33, layers=(32,))),
        run_live(tracker, trial(2, "pruned", epochs=5)),
        run_live(tracker, trial(3, "failed", epochs=3)),
    ]
    tracker.study_finished(trials, "complete")
    parent = reader.parent
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {
        "best_val_top_100_accuracy": trials[1].value,
        "trials_complete": 2,
        "trials_pruned": 1,
        "trials_failed": 1,
        "trials_diverged": 0,
        "trials_interrupted": 0,
    }
    tags = parent.data.tags
    assert tags["deeprec.best_trial"] == "1"
    assert tags["deeprec.best_run_id"] == reader.children[1].info.run_id
    assert tags["deeprec.best_parameters"] == "depth=1, learning_rate=0.051"
    assert "0.2355" in tags["mlflow.note.content"]
    assert CONTEXT.next_command in tags["mlflow.note.content"]
    assert reader.artifacts(parent) == {"study.toml"}


@pytest.mark.parametrize(
    ("state", "status"),
    [("complete", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED")],
)
def test_the_parent_ends_as_the_search_did_and_is_reopened_on_resume(
    state: Any, status: str, folder: Path, tracker: Tracker, warnings: Warnings, reader: Reader
) -> None:
    first = run_live(tracker, trial(0))
    tracker.study_finished([first], state)
    assert reader.parent.info.status == status
    resumed = open_tracker(None, replace(CONTEXT, trials=60), folder=folder, warn=warnings)
    assert reader.parent.info.status == status  # nothing has run yet
    second = run_live(resumed, trial(1, top=0.4))
    assert reader.parent.info.status == "RUNNING"
    resumed.study_finished([first, second], "complete")
    assert reader.parent.info.status == "FINISHED"
    assert reader.parent.data.metrics["best_val_top_100_accuracy"] == second.value
    assert warnings == []


def test_finishing_a_study_twice_changes_nothing(tracker: Tracker, reader: Reader) -> None:
    trials = [run_live(tracker, trial(0))]
    tracker.study_finished(trials, "complete")
    before = reader.parent
    tracker.study_finished(trials, "complete")
    assert reader.parent.to_dictionary() == before.to_dictionary()
    assert len(reader.history(before, "best_val_top_100_accuracy")) == 1


def test_a_study_without_trials_can_end(tracker: Tracker, reader: Reader) -> None:
    tracker.study_finished([], "interrupted")
    assert reader.parent.info.status == "KILLED"
    assert reader.parent.info.end_time >= reader.parent.info.start_time
