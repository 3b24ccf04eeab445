"""Names and notes that people edit in MLflow stay; what nobody touched follows the study."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from search.records.events import TrialFinished, TrialStarted
from search.records.results import ReferenceRecord
from search.tracking import Tracker, open_tracker
from search.tracking.names import NOTE, WRITTEN
from tests.unit.search.sample_records import START_MS, started, trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, no_towers, run_live


@pytest.fixture
def start_again(folder: Path, warnings: Warnings) -> Callable[[], Tracker]:
    return lambda: open_tracker(None, CONTEXT, folder=folder, warn=warnings)


def rename(reader: Reader, run_id: str) -> None:
    """What MLflow's pages do when a person renames a run."""
    reader.client.update_run(run_id, name="my favorite")


def test_a_run_that_was_renamed_keeps_its_name_and_note(
    tracker: Tracker, reader: Reader, start_again: Callable[[], Tracker]
) -> None:
    record = run_live(tracker, trial(0))
    run_id = reader.children[0].info.run_id
    rename(reader, run_id)
    reader.client.set_tag(run_id, NOTE, "look at the loss")
    reader.client.set_tag(run_id, "mine", "too")
    again = start_again()
    assert again.reconcile([record], no_towers).nothing
    reader.client.update_run(run_id, status="RUNNING")  # as if it had been left open
    assert again.reconcile([record], no_towers).closed == (0,)
    run = reader.children[0]
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "my favorite"
    assert run.data.tags[NOTE] == "look at the loss"
    assert run.data.tags["mine"] == "too"


def test_a_note_alone_that_was_edited_stays_and_the_name_follows(
    tracker: Tracker, reader: Reader
) -> None:
    record = trial(0)
    tracker.hear(TrialStarted(started(record)))
    reader.client.set_tag(reader.children[0].info.run_id, NOTE, "watch this one")
    tracker.hear(TrialFinished(record, None))
    run = reader.children[0]
    assert run.data.tags[NOTE] == "watch this one"
    assert run.info.run_name == f"trial 000 {record.value:.4f} (64, 32)"
    assert tracker.reconcile([record], no_towers).nothing


def test_a_name_given_while_the_trial_runs_stays(tracker: Tracker, reader: Reader) -> None:
    record = trial(0)
    tracker.hear(TrialStarted(started(record)))
    rename(reader, reader.children[0].info.run_id)
    tracker.hear(TrialFinished(record, None))
    assert reader.children[0].info.run_name == "my favorite"
    assert "Best validation" in reader.children[0].data.tags[NOTE]


def test_the_run_of_a_study_that_was_renamed_keeps_its_name_and_its_note_follows(
    tracker: Tracker, reader: Reader, start_again: Callable[[], Tracker]
) -> None:
    trials = [run_live(tracker, trial(0))]
    tracker.study_finished(trials, "interrupted")
    assert reader.parent.info.run_name == f"study tutorial {trials[0].value:.4f}"
    rename(reader, tracker.parent_run_id)
    again = start_again()
    trials.append(run_live(again, trial(1, top=0.4)))
    again.study_finished(trials, "complete")
    assert reader.parent.info.run_name == "my favorite"
    assert f"{trials[1].value:.4f}" in reader.parent.data.tags[NOTE]


def test_a_reference_that_was_renamed_keeps_its_name_and_gets_its_metrics(
    tracker: Tracker, reader: Reader
) -> None:
    record = ReferenceRecord(
        name="ease", parameters={}, metrics={"val_top_100_accuracy": 0.5}, measured_ms=START_MS
    )
    tracker.log_references([record])
    (run,) = reader.runs("reference")
    rename(reader, run.info.run_id)
    tested = {**record.metrics, "test_top_100_accuracy": 0.57}
    tracker.log_references([replace(record, metrics=tested)])
    (run,) = reader.runs("reference")
    assert run.info.run_name == "my favorite"
    assert run.data.metrics == tested


def test_runs_of_version_0_1_0_keep_their_texts_and_that_of_the_study_follows(
    tracker: Tracker, reader: Reader, start_again: Callable[[], Tracker]
) -> None:
    trials = [run_live(tracker, trial(0))]
    tracker.study_finished(trials, "interrupted")
    for run in (*reader.children.values(), reader.parent):
        reader.client.delete_tag(run.info.run_id, WRITTEN)
    rename(reader, reader.children[0].info.run_id)
    again = start_again()
    assert again.reconcile(trials, no_towers).nothing
    trials.append(run_live(again, trial(1, top=0.4)))
    again.study_finished(trials, "complete")
    assert reader.children[0].info.run_name == "my favorite"
    assert reader.parent.info.run_name == f"study tutorial {trials[1].value:.4f}"
    assert f"{trials[1].value:.4f}" in reader.parent.data.tags[NOTE]


def test_the_note_of_an_experiment_stays_also_where_a_view_was_removed(
    tracker: Tracker, reader: Reader, start_again: Callable[[], Tracker]
) -> None:
    experiment_id = tracker.experiment_id
    reader.client.set_experiment_tag(experiment_id, NOTE, "our best study")
    reader.client.delete_experiment_tag(experiment_id, "mlflow.sharedViewState.tests")
    assert start_again().experiment_id == experiment_id
    assert reader.experiment.tags[NOTE] == "our best study"
    assert "mlflow.sharedViewState.tests" not in reader.experiment.tags


def test_an_experiment_that_was_there_keeps_its_note_and_gets_the_views(
    folder: Path, start_again: Callable[[], Tracker]
) -> None:
    reader = Reader(f"sqlite:///{folder}/mlflow.db")
    experiment_id = reader.client.create_experiment(CONTEXT.name)
    reader.client.set_experiment_tag(experiment_id, NOTE, "for the paper")
    assert start_again().experiment_id == experiment_id
    assert reader.experiment.tags[NOTE] == "for the paper"
    assert "mlflow.sharedViewState.trials" in reader.experiment.tags
