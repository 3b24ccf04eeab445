"""Claims: one worker at a time decides, and several workers meet the budget exactly."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
from optuna.trial import TrialState

from search.claim import ALONE, WORKER, SharedClaim, within
from search.databases import default_storage
from search.outcome import Outcome
from search.spec import StudySpec
from search.storage import close_stale, join_study, open_study
from search.stored_trials import records
from search.worker import search
from search.workspace import PROJECT
from tests.unit.search.specs import small_spec
from tests.unit.search.test_worker import Behavior, FakeObjective, good

HOLD = """
import sys, time
from pathlib import Path
from search.claim import SharedClaim
claim = SharedClaim(Path(sys.argv[1]), "small")
assert claim.take(lambda: None)
print("held", flush=True)
time.sleep(60)
"""


class ClaimingObjective(FakeObjective):
    """Settles its claim once it has suggested, as the real one does."""

    def __init__(
        self, spec: StudySpec, behavior: Behavior, folder: Path, claim: SharedClaim
    ) -> None:
        super().__init__(spec, self._settled(behavior, claim), folder)

    @staticmethod
    def _settled(behavior: Behavior, claim: SharedClaim) -> Behavior:
        def run(trial: optuna.Trial) -> float:
            claim.settle(trial)
            return behavior(trial)

        return run


class Team:
    """Workers in threads, each with a study and a claim of its own, as processes have them."""

    def __init__(self, folder: Path, *replacements: tuple[str, str]) -> None:
        self.folder = folder
        self.spec = small_spec(folder, *replacements)
        self.url = default_storage(folder, "small")
        self.study = open_study(self.url, self.spec, "data", "identity")
        self.outcomes: list[Outcome] = []

    def work(self, behavior: Behavior) -> None:
        claim = SharedClaim(self.folder, "small")
        objective = ClaimingObjective(self.spec, behavior, self.folder, claim)
        study = join_study(self.url, self.spec, "data")
        outcome = search(study, self.spec, objective, claim=claim, workers=3)  # type: ignore[arg-type]
        self.outcomes.append(outcome)

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


def test_a_claim_that_another_holds_is_waited_for_until_there_is_a_reason_to_stop(
    tmp_path: Path,
) -> None:
    claim = SharedClaim(tmp_path, "small")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not claim.take(within(0.1))
        holder.kill()
        assert claim.take(within(30)), "the operating system frees what a dead process held"
    claim.release()
    claim.release()
    assert claim.take(lambda: None)
    claim.release()


def test_settling_notes_the_worker_and_lets_the_next_one_decide(tmp_path: Path) -> None:
    claim, other = SharedClaim(tmp_path, "small"), SharedClaim(tmp_path, "small")
    study = optuna.create_study()
    assert claim.take(lambda: None)
    trial = study.ask()
    claim.settle(trial)
    assert study.trials[0].user_attrs[WORKER] == os.getpid()
    assert other.take(within(5))
    other.release()


def test_a_search_that_is_alone_has_its_claim_at_once(tmp_path: Path) -> None:
    assert ALONE.take(lambda: "even if there is a reason to stop: the loop sees to that")


def test_trials_of_living_workers_are_not_stale(tmp_path: Path) -> None:
    study = optuna.create_study()
    for worker in (11, 12, None):
        trial = study.ask()
        if worker is not None:
            trial.set_user_attr(WORKER, worker)
    assert close_stale(study, living={11}, reason="the worker that ran it died") == [1, 2]
    states = [record.state for record in records(study)]
    assert states == ["running", "interrupted", "interrupted"]
    assert records(study)[1].reason == "the worker that ran it died"


def test_a_running_trial_that_names_no_worker_is_waited_for_by_nobody(tmp_path: Path) -> None:
    team = Team(tmp_path, ("trials = 6", "trials = 2"))
    team.study.ask()  # by hand: no worker will ever finish it
    team.run(good, good)
    finished = [record.state for record in records(team.study)]
    assert finished.count("complete") == 2
