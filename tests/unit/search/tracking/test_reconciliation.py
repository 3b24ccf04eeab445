"""Reconciliation: Optuna is the truth, and MLflow is made to agree with it."""

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from search.records.events import EpochFinished, TrialStarted
from search.records.trials import TrialRecord
from search.tracking import Reconciled, Tracker, open_tracker, study_runs
from search.tracking.store import Store
from tests.unit.search.sample_records import save_towers, started, trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, no_towers, run_live


def test_nothing_is_to_do_for_what_ran_live(
    tmp_path: Path, tracker: Tracker, reader: Reader
) -> None:
    towers = save_towers(tmp_path / "towers-of-0")
    states: Sequence[Any] = ("complete", "pruned", "failed", "interrupted")
    trials = [
        run_live(tracker, trial(n, state), towers if n == 0 else None)
        for n, state in enumerate(states)
    ]
    before = {n: run.to_dictionary() for n, run in reader.children.items()}
    for _ in range(3):
        assert tracker.reconcile(trials, lambda n: towers if n == 0 else None).nothing
    assert {n: run.to_dictionary() for n, run in reader.children.items()} == before


def test_all_of_a_study_can_be_rebuilt(
    tmp_path: Path, empty_database: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    towers = save_towers(tmp_path / "towers-of-1")
    states: Sequence[Any] = ("complete", "complete", "pruned", "failed", "interrupted")
    trials = [
        run_live(tracker, trial(n, state), towers if n == 1 else None)
        for n, state in enumerate(states)
    ]
    tracker.study_finished(trials, "complete")

    elsewhere = tmp_path / "rebuilt"
    elsewhere.mkdir()
    shutil.copy(empty_database, elsewhere / "mlflow.db")
    rebuilt = open_tracker(None, CONTEXT, folder=elsewhere, warn=warnings)
    trials.append(trial(9, "waiting"))
    done = rebuilt.reconcile(trials, lambda n: towers if n == 1 else None)
    rebuilt.study_finished(trials, "complete")

    assert done == Reconciled(made=(0, 1, 2, 3, 4))
    copy = Reader(rebuilt.uri)
    assert copy.children.keys() == reader.children.keys()
    for number, run in reader.children.items():
        twin = copy.children[number]
        assert twin.data.params == run.data.params
        assert twin.data.metrics == run.data.metrics
        assert twin.info.status == run.info.status
        assert (twin.info.start_time, twin.info.end_time) == (
            run.info.start_time,
            run.info.end_time,
        )
        assert copy.history(twin, "train_loss") == reader.history(run, "train_loss")
        assert copy.artifacts(twin) == reader.artifacts(run)
    assert copy.parent.data.metrics == reader.parent.data.metrics
    assert copy.parent.info.end_time >= copy.parent.info.start_time


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (trial(7, "failed", epochs=6, reason="the process was killed"), "FAILED"),
        (trial(7, "interrupted", epochs=6, ended_ms=None), "KILLED"),
        (trial(7, "complete"), "FINISHED"),
    ],
    ids=lambda value: getattr(value, "state", None),
)
def test_a_run_left_running_is_closed_as_its_trial_ended(
    record: TrialRecord, status: str, folder: Path, tracker: Tracker, warnings: Warnings
) -> None:
    tracker.hear(TrialStarted(started(record)))
    for point in record.curve[:5]:
        tracker.hear(EpochFinished(7, point))
    # The process is killed here; the next one begins.
    resumed = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert resumed.reconcile([record], no_towers) == Reconciled(closed=(7,))
    run = Reader(resumed.uri).children[7]
    assert run.info.status == status
    assert run.info.end_time >= record.curve[-1].timestamp_ms
    assert len(Reader(resumed.uri).history(run, "train_loss")) == len(record.curve)
    assert resumed.reconcile([record], no_towers).nothing
    assert warnings == []


def test_a_trial_under_way_is_left_alone(tracker: Tracker, reader: Reader) -> None:
    under_way = started(trial(0))
    tracker.hear(TrialStarted(under_way))
    assert tracker.reconcile([under_way, started(trial(1))], no_towers).nothing
    assert reader.children[0].info.status == "RUNNING"
    assert reader.children.keys() == {0}


def test_a_trial_that_another_process_began_meanwhile_is_left_alone(
    tracker: Tracker, reader: Reader
) -> None:
    for number in (0, 1):
        tracker.hear(TrialStarted(started(trial(number))))
    seen_before = [trial(0, "waiting", parameters={}, derived={})]
    assert tracker.reconcile(seen_before, no_towers).nothing
    assert {run.info.status for run in reader.runs("trial")} == {"RUNNING"}


def test_a_run_left_running_by_a_study_that_is_gone_is_closed(
    tracker: Tracker, reader: Reader
) -> None:
    tracker.hear(TrialStarted(started(trial(3, parameters={"depth": 4}))))
    record = trial(3)
    assert tracker.reconcile([record], no_towers) == Reconciled(made=(3,), closed=(3,))
    assert {run.info.status for run in reader.runs("trial")} == {"FINISHED", "KILLED"}


def delete_rows(table: str) -> Callable[[Path], None]:
    """A damage: all rows of a table that belong to runs of trials."""

    def damage(folder: Path) -> None:
        runs = "SELECT run_uuid FROM tags WHERE key = 'deeprec.kind' AND value = 'trial'"
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
            connection.execute(f"DELETE FROM {table} WHERE run_uuid IN ({runs})")

    return damage


def delete_inputs(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.execute("DELETE FROM inputs")


def delete_files(pattern: str) -> Callable[[Path], None]:
    """A damage: the artifacts that match."""

    def damage(folder: Path) -> None:
        for path in folder.glob(f"artifacts/**/{pattern}"):
            path.unlink()

    return damage


def delete_curves(folder: Path) -> None:
    delete_rows("metrics")(folder)
    delete_rows("latest_metrics")(folder)


@pytest.mark.parametrize(
    "damage",
    [
        delete_rows("params"),
        delete_curves,
        delete_inputs,
        delete_files("query_model.keras"),
    ],
    ids=["parameters", "curves", "data set", "towers"],
)
def test_a_closed_run_that_lacks_something_is_completed(
    damage: Callable[[Path], None],
    tmp_path: Path,
    folder: Path,
    tracker: Tracker,
    reader: Reader,
) -> None:
    towers = save_towers(tmp_path / "towers-of-0")
    record = run_live(tracker, trial(0), towers)
    whole = reader.children[0]
    damage(folder)
    assert tracker.reconcile([record], lambda _: towers) == Reconciled(completed=(0,))
    run = reader.children[0]
    assert (run.info.run_id, run.data.params) == (whole.info.run_id, whole.data.params)
    assert run.data.metrics == whole.data.metrics
    assert len(reader.history(run, "train_loss")) == 10
    assert len(reader.inputs(run)) == 2
    assert len(reader.artifacts(run, "towers")) == 2
    assert tracker.reconcile([record], lambda _: towers).nothing


def test_towers_saved_after_the_trial_are_added(
    tmp_path: Path, tracker: Tracker, reader: Reader
) -> None:
    record = run_live(tracker, trial(0))
    towers = save_towers(tmp_path / "towers-of-0")
    assert tracker.reconcile([record], lambda _: towers) == Reconciled(completed=(0,))
    assert len(reader.artifacts(reader.children[0], "towers")) == 2


def test_the_second_run_of_a_trial_goes_to_the_trash(tracker: Tracker, reader: Reader) -> None:
    tracker.hear(TrialStarted(started(trial(0))))
    record = run_live(tracker, trial(0))
    assert len(reader.runs("trial")) == 2
    assert tracker.reconcile([record], no_towers) == Reconciled(removed=(0,))
    assert reader.children[0].info.status == "FINISHED"
    assert tracker.reconcile([record], no_towers).nothing


def test_a_run_deleted_in_the_ui_comes_back(tracker: Tracker, reader: Reader) -> None:
    record = run_live(tracker, trial(0))
    reader.client.delete_run(reader.children[0].info.run_id)
    assert tracker.reconcile([record], no_towers) == Reconciled(made=(0,))


def test_nothing_to_do_takes_one_search(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    trials = [run_live(tracker, trial(n)) for n in range(3)]
    calls: list[str] = []
    real = MlflowClient.search_runs

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append("search_runs")
        return real(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    for forbidden in ("get_run", "log_batch", "log_artifact", "list_artifacts", "update_run"):
        monkeypatch.delattr(MlflowClient, forbidden)
    assert tracker.reconcile(trials, no_towers).nothing
    assert calls == ["search_runs"]


def plain(run: Any, parent: str) -> dict[str, Any]:
    """A run without what differs from one making to the next."""
    found = run.to_dictionary()
    for name in ("run_id", "run_uuid", "artifact_uri"):
        found["info"].pop(name, None)
    found["data"]["tags"] = {t: v for t, v in found["data"]["tags"].items() if v != parent}
    found["inputs"]["dataset_inputs"].sort(key=lambda each: each["dataset"]["digest"])
    return found


def test_runs_made_many_at_once_are_as_the_client_makes_them(
    tmp_path: Path,
    folder: Path,
    empty_database: Path,
    warnings: Warnings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = [
        trial(0),
        trial(1, "pruned", reference="a 'quoted' one", retry_of=0),
        trial(2, "failed", curve=(), value=None, parameters={}, derived={}),
        trial(3, "interrupted", ended_ms=None),
    ]
    elsewhere = tmp_path / "one by one"
    elsewhere.mkdir()
    shutil.copy(empty_database, elsewhere / "mlflow.db")
    made: list[dict[int, Any]] = []
    for place, takes_many in ((folder, True), (elsewhere, False)):
        monkeypatch.setattr(Store, "takes_many", takes_many)
        tracker = open_tracker(None, CONTEXT, folder=place, warn=warnings)
        assert tracker.reconcile(trials, no_towers) == Reconciled(made=(0, 1, 2, 3))
        reader = Reader(tracker.uri)
        for run in reader.children.values():
            assert reader.artifacts(run) == set()
        parent = tracker.parent_run_id
        made.append({n: plain(run, parent) for n, run in reader.children.items()})
        made.append({n: reader.history(run, "train_loss") for n, run in reader.children.items()})
        assert tracker.reconcile(trials, no_towers).nothing
    assert made[:2] == made[2:]
    assert warnings == []


@pytest.mark.parametrize("takes_many", [True, False], ids=["many at once", "one by one"])
def test_a_run_that_another_process_made_between_two_portions_is_not_made_again(
    takes_many: bool,
    folder: Path,
    tracker: Tracker,
    reader: Reader,
    warnings: Warnings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Store, "takes_many", takes_many)
    monkeypatch.setattr(study_runs, "PORTION_S", 0.0)  # the first portion is the search alone
    other = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    trials = [trial(n) for n in range(3)]
    tracker.reconcile_later(trials, no_towers)
    assert tracker.work_off()
    run_live(other, trials[1])
    monkeypatch.setattr(study_runs, "PORTION_S", 10.0)
    assert not tracker.work_off()
    assert reader.children.keys() == {0, 1, 2}
    assert tracker.conclude(trials, no_towers).nothing
    assert warnings == []


def test_what_is_left_for_later_is_announced_and_added_in_portions(
    folder: Path, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    tracker = open_tracker(None, CONTEXT, folder=folder, warn=warnings, announce=said.append)
    assert not tracker.work_off()
    trials = [trial(0), trial(1), started(trial(2)), trial(3, "waiting")]
    tracker.reconcile_later(trials, no_towers)
    monkeypatch.setattr(study_runs, "PORTION_S", 0.0)
    assert tracker.work_off()
    assert said == ["adding up to 2 trials to MLflow, beside the search"]
    monkeypatch.setattr(study_runs, "PORTION_S", 10.0)
    assert not tracker.work_off()
    assert said[1:] == ["MLflow holds all 2 trials that had ended"]
    assert not tracker.work_off()
    assert Reader(tracker.uri).children.keys() == {0, 1}


def test_the_end_of_a_search_adds_what_was_left_for_later_and_what_came_since(
    folder: Path, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    trials = [trial(n) for n in range(3)]
    tracker.reconcile_later(trials[:2], no_towers)
    monkeypatch.setattr(study_runs, "PORTION_S", 0.0)
    assert tracker.conclude(trials, no_towers, within_s=0.0) == Reconciled(lacking=(0, 1, 2))
    monkeypatch.setattr(study_runs, "PORTION_S", 10.0)
    assert tracker.conclude(trials, no_towers) == Reconciled(made=(2,))
    assert Reader(tracker.uri).children.keys() == {0, 1, 2}
    monkeypatch.delattr("mlflow.MlflowClient.search_runs")  # there is nothing to look for
    assert tracker.conclude(trials, no_towers).nothing
    assert warnings == []
