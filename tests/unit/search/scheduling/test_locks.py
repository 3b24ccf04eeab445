"""Locks: one holder at a time; the claim, under which several workers meet the budget exactly."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.records.errors import InputError
from search.records.events import Hooks, Outcome
from search.scheduling.heartbeat import all_stale, close_stale
from search.scheduling.locks import (
    Claim,
    ClaimLostError,
    StopReason,
    attending,
    lock_of,
    sole_holder,
    within,
)
from search.storage.attributes import WORKER
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.study import join_study, open_study
from search.storage.trials import records
from tests.unit.search.claims import Behavior, BrokenLock, NoLock, good, loop_of
from tests.unit.search.specs import small_spec

HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_folder(tmp_path, "small")


def states(study: optuna.Study) -> list[str]:
    return [record.state for record in records(study)]


def test_a_lock_of_another_process_is_waited_for_until_it_dies(database: Database) -> None:
    lock = lock_of(database, "small", "claim")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, lock.name], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not lock.take(within(0.1))
        assert not lock.is_held()
        holder.kill()
        assert lock.take(within(30)), "the operating system frees what a dead process held"
    assert lock.is_held()
    lock.release()
    lock.release()
    assert lock.take(lambda: None)
    lock.release()


def test_locks_of_other_purposes_and_files_are_others(tmp_path: Path, database: Database) -> None:
    other = Database.in_folder(tmp_path, "other")
    locks = [lock_of(database, "small", "claim"), lock_of(database, "small", "confirm")]
    locks.append(lock_of(other, "other", "claim"))
    assert [lock.take(within(1)) for lock in locks] == [True] * 3
    for lock in locks:
        lock.release()


def test_what_one_process_does_at_a_time_is_refused_to_a_second(database: Database) -> None:
    first, second = (lock_of(database, "small", "confirm") for _ in range(2))
    with (
        sole_holder(first, "small", "confirmed"),
        pytest.raises(InputError, match="study 'small' is being confirmed by another process"),
        sole_holder(second, "small", "confirmed"),
    ):
        pass
    with sole_holder(second, "small", "confirmed"):
        pass


def test_attendance_tells_whether_a_process_is_alone(database: Database) -> None:
    with attending(database) as first:
        with attending(database) as second, attending(database) as third:
            assert (first, second, third) == (True, False, False)
        with attending(database) as later:
            assert not later
    early, late = attending(database), attending(database)
    assert early.__enter__()
    assert not late.__enter__()
    early.__exit__(None, None, None)
    with attending(database) as third:
        assert not third, "one that stays counts when the first leaves"
    late.__exit__(None, None, None)
    with attending(Database.at("postgresql://user@host/studies")) as alone:
        assert not alone, "on a server that cannot be known"


class Unreliable(NoLock):
    """A lock that is taken away the first time."""

    breaks = 1

    def is_held(self) -> bool:
        self.breaks -= 1
        return self.breaks < 0


class Occupied(NoLock):
    """A lock that another process never gives up."""

    def take(self, stop_reason: StopReason) -> bool:
        while stop_reason() is None:
            time.sleep(0.01)
        return False


def test_settling_notes_the_worker_and_lets_the_next_one_decide(database: Database) -> None:
    claim = Claim(lock_of(database, "small", "claim"), "me")
    other = Claim(lock_of(database, "small", "claim"), "the other")
    study = optuna.create_study()
    assert claim.take(lambda: None)
    assert not other.take(within(0.1))
    claim.settle(study.ask())
    assert study.trials[0].user_attrs[WORKER] == "me"
    assert other.take(within(5))
    other.release()


def test_a_claim_that_was_lost_is_not_settled() -> None:
    with pytest.raises(ClaimLostError, match="worker me lost its claim to trial 0"):
        Claim(BrokenLock(), "me").settle(optuna.create_study().ask())


def test_an_unusually_long_wait_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.scheduling.locks.UNUSUAL_SECONDS", 0.0)
    warnings: list[str] = []
    assert not Claim(Occupied(), "me", warn=warnings.append).take(within(0.05))
    [warning] = warnings
    assert "another process has held no lock for 0 s" in warning


def test_a_trial_whose_claim_was_lost_is_left_out_and_does_not_run_again(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, ("trials = 6", "trials = 2"))
    study, warnings = optuna.create_study(direction="maximize"), list[str]()
    claim, hooks = Claim(Unreliable(), "me"), Hooks(warn=warnings.append)
    assert loop_of(study, spec, good, claim=claim, hooks=hooks).run().state == "complete"
    assert states(study) == ["interrupted", "complete", "complete"]
    assert [(record.reference, record.retry_of) for record in records(study)] == [
        ("reference (8,)", None),
        ("reference (8,)", None),
        ("reference (8, 4)", None),
    ]
    assert warnings == ["worker me lost its claim to trial 0; the trial is left out"]


def test_a_result_that_comes_after_its_trial_was_closed_is_dropped(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, ("trials = 6", "trials = 2"))
    study, warnings = optuna.create_study(direction="maximize"), list[str]()

    def sleeps_too_long(trial: optuna.Trial) -> float:
        if trial.number == 0:
            close_stale(study, all_stale, reason="silent")
        return good(trial)

    loop_of(study, spec, sleeps_too_long, hooks=Hooks(warn=warnings.append)).run()
    assert states(study) == ["interrupted", "complete", "complete"]
    assert (records(study)[0].reason, records(study)[1].retry_of) == ("silent", 0)
    [warning] = warnings
    assert warning.startswith("trial 0 was taken for dead")


class Team:
    """Workers in threads, each with a study and a claim of its own, as processes have them."""

    def __init__(self, folder: Path, *replacements: tuple[str, str]) -> None:
        self.spec = small_spec(folder, *replacements)
        self.database = Database.in_folder(folder, "small")
        self.study = open_study(self.database, self.spec, "data", "identity")
        self.outcomes: list[Outcome] = []

    def work(self, behavior: Behavior) -> None:
        worker = threading.current_thread().name
        claim = Claim(lock_of(self.database, "small", "claim"), worker)
        study = join_study(self.database, self.spec, "data", patience=Patience(0))
        self.outcomes.append(loop_of(study, self.spec, behavior, claim=claim).run())

    def run(self, *behaviors: Behavior) -> None:
        threads = [threading.Thread(target=self.work, args=(one,)) for one in behaviors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def slowly(trial: optuna.Trial) -> float:
    time.sleep(0.05)
    return good(trial)


def test_several_workers_run_exactly_the_trials_asked_for_each_once(tmp_path: Path) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 10"))
    team.run(slowly, slowly, slowly)
    assert team.outcomes == [Outcome(state="complete")] * 3
    trials = team.study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(10))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    references = [record.reference for record in records(team.study)]
    assert references == ["reference (8,)", "reference (8, 4)", *[None] * 8]
    rates = [trial.params["learning_rate"] for trial in trials[2:]]
    assert len(set(rates)) == 8, "no two workers draw the same point"


def test_a_worker_with_no_trial_left_waits_to_run_those_of_others_again(tmp_path: Path) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 1"))
    runs = threading.Event()

    def interrupted(_trial: optuna.Trial) -> float:
        runs.set()
        time.sleep(0.3)  # the other finds nothing to do
        raise KeyboardInterrupt("terminated")

    first = threading.Thread(target=team.work, args=(interrupted,))
    first.start()
    assert runs.wait(10)
    team.run(good)
    first.join()
    assert states(team.study) == ["interrupted", "complete"]
    assert records(team.study)[1].retry_of == 0


def test_a_grid_is_exhausted_only_when_nothing_of_it_runs_any_more(tmp_path: Path) -> None:
    grid = 'name = "grid"\nlearning_rates = 1'
    team = Team(tmp_path, ('name = "random"', grid), ("trials = 6", "trials = 60"))
    team.run(slowly, slowly)
    assert [outcome.state for outcome in team.outcomes] == ["exhausted"] * 2
    parameters = [tuple(trial.params.items()) for trial in team.study.trials]
    assert len(parameters) == len(set(parameters)) == 5 + 2


def test_a_running_trial_that_names_no_worker_is_not_waited_for(tmp_path: Path) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 2"))
    team.study.ask()  # by hand: no worker will ever finish it
    team.run(good, good)
    assert states(team.study) == ["interrupted", "complete", "complete"]
