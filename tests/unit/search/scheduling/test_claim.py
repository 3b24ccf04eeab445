"""Claims: one worker at a time decides, and several workers meet the budget exactly."""

import threading
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from search.records.events import Hooks, Outcome
from search.scheduling.claim import Claim, ClaimLostError
from search.scheduling.locks import StopReason, lock_of, within
from search.scheduling.stale import close_stale, everybody_gone
from search.storage.attributes import WORKER
from search.storage.databases import default_storage
from search.storage.retry import Patience
from search.storage.study import join_study, open_study
from search.storage.trials import records
from tests.unit.search.claims import Behavior, BrokenLock, NoLock, good, loop_of
from tests.unit.search.specs import small_spec


class Unreliable(NoLock):
    """A lock that is taken away the first few times."""

    def __init__(self, breaks: int) -> None:
        self.breaks = breaks

    def is_held(self) -> bool:
        self.breaks -= 1
        return self.breaks < 0


class Occupied(NoLock):
    """A lock that somebody else never gives up."""

    def take(self, stop_reason: StopReason) -> bool:
        while stop_reason() is None:
            time.sleep(0.01)
        return False


class Team:
    """Workers in threads, each with a study and a claim of its own, as processes have them."""

    def __init__(self, folder: Path, *replacements: tuple[str, str]) -> None:
        self.spec = small_spec(folder, *replacements)
        self.url = default_storage(folder, "small")
        self.study = open_study(self.url, self.spec, "data", "identity")
        self.outcomes: list[Outcome] = []

    def work(self, behavior: Behavior) -> None:
        worker = threading.current_thread().name
        claim = Claim(lock_of(self.url, "small", "claim"), worker)
        study = join_study(self.url, self.spec, "data", patience=Patience(0))
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


def test_a_worker_without_a_trial_left_waits_for_those_of_others_to_run_them_again(
    tmp_path: Path,
) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 1"))
    runs = threading.Event()

    def interrupted(trial: optuna.Trial) -> float:
        runs.set()
        time.sleep(0.5)
        raise KeyboardInterrupt("terminated")

    def later(trial: optuna.Trial) -> float:
        assert runs.is_set()
        return good(trial)

    first = threading.Thread(target=team.work, args=(interrupted,))
    first.start()
    assert runs.wait(10)
    team.run(later)
    first.join()
    assert [record.state for record in records(team.study)] == ["interrupted", "complete"]
    assert records(team.study)[1].retry_of == 0


def test_a_grid_is_exhausted_only_when_nothing_of_it_runs_any_more(tmp_path: Path) -> None:
    grid = 'name = "grid"\nlearning_rates = 1'
    team = Team(tmp_path, ('name = "random"', grid), ("trials = 6", "trials = 60"))
    team.run(slowly, slowly)
    assert [outcome.state for outcome in team.outcomes] == ["exhausted"] * 2
    parameters = [tuple(trial.params.items()) for trial in team.study.trials]
    assert len(parameters) == len(set(parameters)) == 5 + 2


def test_settling_notes_the_worker_and_lets_the_next_one_decide(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    claim = Claim(lock_of(url, "small", "claim"), "me")
    other = Claim(lock_of(url, "small", "claim"), "the other")
    study = optuna.create_study()
    assert claim.take(lambda: None)
    assert not other.take(within(0.1))
    trial = study.ask()
    claim.settle(trial)
    assert study.trials[0].user_attrs[WORKER] == "me"
    assert other.take(within(5))
    other.release()


def test_a_claim_that_was_lost_is_not_settled() -> None:
    study = optuna.create_study()
    claim = Claim(BrokenLock(), "me")
    with pytest.raises(ClaimLostError, match="worker me lost its claim to trial 0"):
        claim.settle(study.ask())


def test_a_trial_whose_claim_was_lost_is_left_out_and_does_not_run_again(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, ("trials = 6", "trials = 2"))
    study = optuna.create_study(direction="maximize")
    claim, warnings = Claim(Unreliable(breaks=1), "me"), list[str]()
    loop = loop_of(study, spec, claim=claim, hooks=Hooks(warn=warnings.append))
    assert loop.run().state == "complete"
    states = [record.state for record in records(study)]
    assert states == ["interrupted", "complete", "complete"]
    references = [record.reference for record in records(study)]
    assert references == ["reference (8,)", "reference (8,)", "reference (8, 4)"]
    assert [record.retry_of for record in records(study)] == [None, None, None]
    assert warnings == ["worker me lost its claim to trial 0; the trial is left out"]


def test_an_unusually_long_wait_is_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.scheduling.claim.UNUSUAL_SECONDS", 0.0)
    warnings: list[str] = []
    claim = Claim(Occupied(), "me", warn=warnings.append)
    assert not claim.take(within(0.05))
    assert len(warnings) == 1
    assert "another process has held no lock for 0 s" in warnings[0]


def test_a_result_that_comes_after_its_trial_was_closed_is_dropped(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, ("trials = 6", "trials = 2"))
    study = optuna.create_study(direction="maximize")
    slept: list[int] = []

    def sleeps_too_long(trial: optuna.Trial) -> float:
        if not slept:
            slept.append(trial.number)
            close_stale(study, everybody_gone, reason="silent")
        return good(trial)

    warnings: list[str] = []
    loop_of(study, spec, sleeps_too_long, hooks=Hooks(warn=warnings.append)).run()
    found = records(study)
    assert [record.state for record in found] == ["interrupted", "complete", "complete"]
    assert found[0].reason == "silent"
    assert found[1].retry_of == 0
    [warning] = warnings
    assert warning.startswith("trial 0 was taken for dead")


def test_a_running_trial_that_names_no_worker_is_waited_for_by_nobody(tmp_path: Path) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 2"))
    team.study.ask()  # by hand: no worker will ever finish it
    team.run(good, good)
    finished = [record.state for record in records(team.study)]
    assert finished == ["interrupted", "complete", "complete"]
