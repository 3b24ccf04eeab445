"""Reconciliation: Optuna is the truth, and MLflow is made to agree with it."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from search.records.trials import TrialRecord
from search.tracking.store import Store
from search.tracking.tracker import Tracker, open_tracker
from search.tracking.writing import Reconciled
from tests.unit.search.sample_records import save_towers, started, trial
from tests.unit.search.tracking.support import CONTEXT, At, Reader, begin, no_towers, run_live

STATES: Sequence[Any] = ("complete", "pruned", "failed", "interrupted")


def test_what_ran_live_is_whole_and_can_be_rebuilt(
    tmp_path: Path, own_folder: Path, at: At
) -> None:
    towers = save_towers(tmp_path / "towers-of-0")

    def towers_of(number: int) -> Path | None:
        return towers if number == 0 else None

    trials = [
        run_live(at.tracker, trial(n, state), towers_of(n))
        for n, state in enumerate([*STATES, "complete"])
    ]
    before = {n: run.to_dictionary() for n, run in at.reader.children.items()}
    for _ in range(2):
        assert at.tracker.reconcile(trials, towers_of).nothing
    assert {n: run.to_dictionary() for n, run in at.reader.children.items()} == before

    at.tracker.study_finished(trials, "complete")
    rebuilt = open_tracker(None, CONTEXT, folder=own_folder, warn=at.warnings)
    trials.append(trial(9, "waiting"))
    done = rebuilt.reconcile(trials, towers_of)
    rebuilt.study_finished(trials, "complete")
    assert done == Reconciled(made=(0, 1, 2, 3, 4))
    copy = Reader(rebuilt.uri)
    assert copy.children.keys() == at.reader.children.keys()
    for number, run in at.reader.children.items():
        twin = copy.children[number]
        assert (twin.data.params, twin.data.metrics) == (run.data.params, run.data.metrics)
        for what in ("status", "start_time", "end_time", "run_name"):
            assert getattr(twin.info, what) == getattr(run.info, what)
        assert copy.history(twin, "train_loss") == at.reader.history(run, "train_loss")
        assert copy.artifacts(twin) == at.reader.artifacts(run)
    assert copy.parent.data.metrics == at.reader.parent.data.metrics
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
def test_a_run_left_running_is_closed_as_ended(record: TrialRecord, status: str, at: At) -> None:
    begin(at.tracker, record, 5)  # the process is killed here; the next one begins
    resumed = at.opened()
    assert resumed.reconcile([record], no_towers) == Reconciled(closed=(7,))
    run = at.reader.children[7]
    assert run.info.status == status
    assert run.info.end_time >= record.curve[-1].timestamp_ms
    assert len(at.reader.history(run, "train_loss")) == len(record.curve)
    assert resumed.reconcile([record], no_towers).nothing
    assert at.warnings == []


def test_a_trial_under_way_is_left_alone_whatever_was_known_of_it(at: At) -> None:
    under_way = [begin(at.tracker, trial(number)) for number in (0, 1)]
    seen_before = trial(0, "waiting", parameters={}, derived={})
    for trials in ([*under_way, started(trial(2))], [seen_before]):
        assert at.tracker.reconcile(trials, no_towers).nothing
        assert {n: run.info.status for n, run in at.reader.children.items()} == dict.fromkeys(
            (0, 1), "RUNNING"
        )


def test_a_run_left_running_by_an_earlier_study_of_the_name_is_closed(at: At) -> None:
    begin(at.tracker, trial(3, parameters={"depth": 4}))
    assert at.tracker.reconcile([trial(3)], no_towers) == Reconciled(made=(3,), closed=(3,))
    assert {run.info.status for run in at.reader.runs("trial")} == {"FINISHED", "KILLED"}


def delete_rows(*tables: str) -> Callable[[Path], None]:
    """A damage: all rows of tables that belong to runs of trials."""

    def damage(folder: Path) -> None:
        runs = "SELECT run_uuid FROM tags WHERE key = 'deeprec.kind' AND value = 'trial'"
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
            for table in tables:
                where = "" if table == "inputs" else f"WHERE run_uuid IN ({runs})"
                connection.execute(f"DELETE FROM {table} {where}")

    return damage


def delete_towers(folder: Path) -> None:
    for path in folder.glob("artifacts/**/query_model.keras"):
        path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        delete_rows("params"),
        delete_rows("metrics", "latest_metrics"),
        delete_rows("inputs"),
        delete_towers,
        None,
    ],
    ids=["parameters", "curves", "data set", "towers", "towers saved later"],
)
def test_a_closed_run_that_lacks_something_is_completed(
    damage: Callable[[Path], None] | None, tmp_path: Path, at: At
) -> None:
    towers = save_towers(tmp_path / "towers-of-0")
    record = run_live(at.tracker, trial(0), towers if damage else None)
    whole = at.reader.children[0]
    if damage:
        damage(at.folder)
    assert at.tracker.reconcile([record], lambda _: towers) == Reconciled(completed=(0,))
    run = at.reader.children[0]
    assert (run.info.run_id, run.data.params) == (whole.info.run_id, whole.data.params)
    assert run.data.metrics == whole.data.metrics
    assert len(at.reader.history(run, "train_loss")) == 10
    assert len(at.reader.inputs(run)) == 2
    assert len(at.reader.artifacts(run, "towers")) == 2
    assert at.tracker.reconcile([record], lambda _: towers).nothing


def test_a_second_run_goes_to_the_trash_and_a_deleted_one_comes_back(at: At) -> None:
    begin(at.tracker, trial(0))
    record = run_live(at.tracker, trial(0))
    assert len(at.reader.runs("trial")) == 2
    assert at.tracker.reconcile([record], no_towers) == Reconciled(removed=(0,))
    assert at.reader.children[0].info.status == "FINISHED"
    assert at.tracker.reconcile([record], no_towers).nothing
    at.reader.client.delete_run(at.reader.children[0].info.run_id)
    assert at.tracker.reconcile([record], no_towers) == Reconciled(made=(0,))


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
    found: dict[str, Any] = run.to_dictionary()
    for name in ("run_id", "run_uuid", "artifact_uri"):
        found["info"].pop(name, None)
    found["data"]["tags"] = {t: v for t, v in found["data"]["tags"].items() if v != parent}
    found["inputs"]["dataset_inputs"].sort(key=lambda each: each["dataset"]["digest"])
    return found


def test_many_at_once_are_as_one_by_one(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    trials = [
        trial(0),
        trial(1, "pruned", reference="a 'quoted' one", retry_of=0),
        trial(2, "failed", curve=(), value=None, parameters={}, derived={}),
        trial(3, "interrupted", ended_ms=None),
    ]
    made: list[dict[int, Any]] = []
    for place, takes_many in ((at.folder, True), (own_folder, False)):
        monkeypatch.setattr(Store, "takes_many", takes_many)
        tracker = open_tracker(None, CONTEXT, folder=place, warn=at.warnings)
        assert tracker.reconcile(trials, no_towers) == Reconciled(made=(0, 1, 2, 3))
        reader = Reader(tracker.uri)
        for run in reader.children.values():
            assert reader.artifacts(run) == set()
        parent = tracker.parent_run_id
        made.append({n: plain(run, parent) for n, run in reader.children.items()})
        made.append({n: reader.history(run, "train_loss") for n, run in reader.children.items()})
        assert tracker.reconcile(trials, no_towers).nothing
    assert made[:2] == made[2:]
    assert at.warnings == []


@pytest.mark.parametrize("takes_many", [True, False], ids=["many at once", "one by one"])
def test_a_run_that_another_process_made_between_two_portions_is_not_made_again(
    takes_many: bool, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    monkeypatch.setattr(Store, "takes_many", takes_many)
    portion = "search.tracking.tracker.PORTION_S"
    monkeypatch.setattr(portion, 0.0)  # the first portion is the search alone
    trials = [trial(n) for n in range(3)]
    at.tracker.reconcile_later(trials, no_towers)
    assert at.tracker.work_off()
    run_live(at.opened(), trials[1])
    monkeypatch.setattr(portion, 10.0)
    assert not at.tracker.work_off()
    assert at.reader.children.keys() == {0, 1, 2}
    assert at.tracker.conclude(trials, no_towers).nothing
    assert at.warnings == []
