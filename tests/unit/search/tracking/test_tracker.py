"""MLflow that is not there for a while, or slow: what it misses is added as soon as it answers."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from search.records.events import EpochFinished, TrialFinished
from search.tracking import tracker
from search.tracking.circuit import FIRST_PAUSE_S, Circuit
from search.tracking.connection import Connection
from search.tracking.destination import locked, resolve_uri
from search.tracking.tracker import Tracker, open_tracker
from search.tracking.writing import Reconciled, Writer
from tests.unit.search.sample_records import save_towers, started, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    At,
    Clock,
    Open,
    Reader,
    Warnings,
    begin,
    no_towers,
    run_live,
)


class Outages(Connection):
    is_down = False

    @property
    def writer(self) -> Writer:
        if self.is_down:
            raise ConnectionRefusedError("down")
        return super().writer


class Tracked(Tracker):
    """A tracker whose connection can be cut, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.warned = Warnings()
        self.announced: list[str] = []
        self.connection = Outages(resolve_uri(None, folder), CONTEXT, folder=folder)
        self.circuit = Circuit(self.warned, str, self.clock)
        super().__init__(self.connection, self.circuit, announce=self.announced.append)
        self.reader = Reader(self.uri)

    def cut(self) -> None:
        """MLflow fails from now on."""
        self.connection.is_down = True

    def restore(self) -> None:
        """MLflow works again, and the pause after its failure is over."""
        self.connection.is_down = False
        self.clock.now += 10 * FIRST_PAUSE_S

    def steps(self, number: int) -> list[int]:
        history = self.reader.history(self.reader.children[number], "train_loss")
        return [step for step, _, _ in history]


@pytest.fixture
def tracked(folder: Path) -> Tracked:
    return Tracked(folder)


def slowly(_number: int) -> None:
    """Looks for towers, of which there are none."""
    time.sleep(0.15)


def test_nothing_is_written_before_the_first_use_which_may_fail(tracked: Tracked) -> None:
    tracked.cut()
    run_live(tracked, trial(0))
    assert tracked.reader.experiment is None
    tracked.restore()
    run_live(tracked, trial(1))
    assert tracked.reader.parent.info.status == "RUNNING"
    assert tracked.reader.children.keys() == {0, 1}
    assert len(tracked.warned) == 1


def test_what_ended_in_an_outage_is_added_with_the_first_event_after_it(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "CATCH_UP_S", math.inf)  # however slow the machine
    towers = save_towers(tmp_path / "towers-of-0")
    begin(tracked, trial(0))
    tracked.cut()
    for point in trial(0).curve:
        tracked.hear(EpochFinished(0, point))
    tracked.hear(TrialFinished(trial(0), towers))
    run_live(tracked, trial(1, "pruned"))
    tracked.restore()
    assert tracked.announced == []

    begin(tracked, trial(2))
    assert tracked.announced == ["MLflow answers again; adding 2 trials that ended meanwhile"]
    children = tracked.reader.children
    assert [children[n].info.status for n in range(3)] == ["FINISHED", "KILLED", "RUNNING"]
    assert tracked.steps(0) == tracked.steps(1) == list(range(1, 11))
    assert len(tracked.reader.artifacts(children[0], "towers")) == 2
    assert tracked.reader.parent.data.tags["deeprec.best_trial"] == "0"
    trials = [trial(0), trial(1, "pruned")]
    assert tracked.reconcile(trials, lambda n: None if n else towers).nothing
    assert len(tracked.warned) == 1


def test_what_was_missed_is_added_between_events(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "CATCH_UP_S", 0.0)
    tracked.cut()
    for number in range(2):
        run_live(tracked, trial(number))
    tracked.restore()
    for number, expected in ((3, {0, 3}), (4, {0, 1, 3, 4})):
        begin(tracked, trial(number))
        assert tracked.reader.children.keys() == expected
    assert len(tracked.announced) == 1


def test_a_worse_trial_added_late_is_not_the_best(tracked: Tracked, tmp_path: Path) -> None:
    towers = save_towers(tmp_path / "towers")
    tracked.cut()
    run_live(tracked, trial(0, top=0.2), towers)
    tracked.restore()
    tracked.hear(TrialFinished(trial(1, top=0.3), towers))
    assert tracked.reader.children.keys() == {0, 1}
    assert tracked.reader.parent.data.tags["deeprec.best_trial"] == "1"


def test_a_trial_whose_start_was_missed_is_live_once_mlflow_answers(tracked: Tracked) -> None:
    record = trial(0)
    tracked.cut()
    begin(tracked, record, 7)
    tracked.restore()
    for point in record.curve[7:]:
        tracked.hear(EpochFinished(0, point))
    assert tracked.reader.children[0].info.status == "RUNNING"
    assert tracked.steps(0) == [8, 9, 10]
    tracked.hear(TrialFinished(record, None))
    assert tracked.reader.children[0].info.status == "FINISHED"
    assert tracked.steps(0) == list(range(1, 11))


def test_epochs_that_were_dropped_are_in_the_curve_at_the_end(tracked: Tracked) -> None:
    record = trial(0)
    begin(tracked, record, 2)
    for point in record.curve[4:]:
        tracked.hear(EpochFinished(0, point))
    tracked.hear(TrialFinished(record, None))
    assert tracked.steps(0) == list(range(1, 11))


def test_what_mlflow_may_lack_is_named_when_it_cannot_be_reached(tracked: Tracked) -> None:
    run_live(tracked, trial(0))
    tracked.cut()
    run_live(tracked, trial(1))
    trials = [trial(0), trial(1), started(trial(2)), trial(3, "waiting")]
    assert tracked.reconcile(trials, no_towers) == Reconciled(lacking=(1,), reached=False)
    assert not tracked.study_finished([trial(0), trial(1)], "complete")
    tracked.restore()
    assert tracked.reconcile(trials, no_towers) == Reconciled(made=(1,))


def test_a_search_does_not_ask_again_at_its_start_what_just_failed(tracked: Tracked) -> None:
    tracked.circuit.fail(ConnectionRefusedError("down"))  # the check before
    tracked.reconcile_later([trial(0)], no_towers)
    assert not tracked.work_off()
    assert tracked.reader.experiment is None  # not asked, though it would have answered
    assert tracked.conclude([trial(0)], no_towers) == Reconciled(made=(0,))


def test_a_reconciliation_ends_between_two_trials_when_its_time_is_over(tracked: Tracked) -> None:
    trials = [trial(n) for n in range(8)]
    assert tracked.experiment_id  # connected
    done = tracked.reconcile(trials, slowly, within_s=0.6)
    assert done.made + done.lacking == tuple(range(8))
    assert done.made
    assert done.lacking
    assert done.reached
    assert {run.info.status for run in tracked.reader.children.values()} == {"FINISHED"}
    assert tracked.reconcile(trials, no_towers) == Reconciled(made=done.lacking)


def test_a_long_reconciliation_lets_others_in(monkeypatch: pytest.MonkeyPatch, at: At) -> None:
    turns: list[int] = []

    @contextmanager
    def lock() -> Iterator[None]:
        with locked(at.folder):
            turns.append(1)
            yield

    monkeypatch.setattr(tracker, "PORTION_S", 0.2)
    tracked = open_tracker(None, CONTEXT, folder=at.folder, warn=at.warnings, lock=lock)
    assert tracked.experiment_id
    assert len(turns) == 1
    trials = [trial(n) for n in range(5)]
    assert tracked.reconcile(trials, slowly, within_s=None) == Reconciled(made=(0, 1, 2, 3, 4))
    assert len(turns) >= 3
    assert Reader(tracked.uri).children.keys() == set(range(5))


def test_what_another_machine_wrote_is_whole(tracked: Tracked, opened: Open) -> None:
    run_live(tracked, trial(0))
    other = opened(git_commit="beef", versions={"keras": "3.15.2", "jax": "0.10.2"})
    assert other.reconcile([trial(0)], no_towers).nothing
    other.hear(TrialFinished(trial(0), None))
    assert tracked.reader.children[0].data.tags["deeprec.version.keras"] == "3.15.1"


def test_the_study_stays_open_while_another_process_runs_a_trial(tracked: Tracked) -> None:
    first = run_live(tracked, trial(0))
    assert tracked.study_finished([first, started(trial(1))], "interrupted")
    assert tracked.reader.parent.info.status == "RUNNING"
    assert tracked.study_finished([first, trial(1)], "complete")
    assert tracked.reader.parent.info.status == "FINISHED"


def test_the_run_of_a_study_is_completed_where_it_must(tracked: Tracked, tmp_path: Path) -> None:
    trials = [run_live(tracked, trial(0)), run_live(tracked, trial(1))]
    assert tracked.study_completed(trials, "complete")
    assert tracked.study_completed(trials, "complete"), "it lacks the report"
    report = tmp_path / "report.html"
    report.write_text("the report", encoding="utf-8")
    tracked.log_report(report)
    before = tracked.reader.parent.to_dictionary()
    assert before["info"]["status"] == "FINISHED"
    assert tracked.study_completed(trials, "complete") is False
    assert tracked.reader.parent.to_dictionary() == before
    tracked.cut()
    assert tracked.study_completed(trials, "complete") is None


def test_what_is_left_for_later_is_announced(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not tracked.work_off()
    trials = [trial(0), trial(1), started(trial(2)), trial(3, "waiting")]
    tracked.reconcile_later(trials, no_towers)
    monkeypatch.setattr(tracker, "PORTION_S", 0.0)
    assert tracked.work_off()
    assert tracked.announced == ["adding up to 2 trials to MLflow, beside the search"]
    monkeypatch.setattr(tracker, "PORTION_S", 10.0)
    assert not tracked.work_off()
    assert tracked.announced[1:] == ["MLflow holds all 2 trials that had ended"]
    assert not tracked.work_off()
    assert tracked.reader.children.keys() == {0, 1}


def test_the_end_of_a_search_adds_what_was_left(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [trial(n) for n in range(3)]
    tracked.reconcile_later(trials[:2], no_towers)
    monkeypatch.setattr(tracker, "PORTION_S", 0.0)
    assert tracked.conclude(trials, no_towers, within_s=0.0) == Reconciled(lacking=(0, 1, 2))
    monkeypatch.setattr(tracker, "PORTION_S", 10.0)
    assert tracked.conclude(trials, no_towers) == Reconciled(made=(2,))
    assert tracked.reader.children.keys() == {0, 1, 2}
    monkeypatch.delattr("mlflow.MlflowClient.search_runs")  # there is nothing to look for
    assert tracked.conclude(trials, no_towers).nothing
    assert tracked.warned == []
