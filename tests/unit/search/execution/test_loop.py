"""The loop of a search: order, budget, resuming, failures, timeouts."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from deeprec.errors import NonFiniteError
from search.config.space import suggest
from search.config.study import StudySpec
from search.execution.loop import search
from search.records.events import Outcome, TrialEvent, TrialFinished
from search.records.trials import TrialRecord
from search.scheduling.stale import close_stale, everybody_gone, mark_interrupted
from search.storage.attributes import ERROR
from search.storage.trials import record_of, records
from tests.unit.search.claims import still, undisputed
from tests.unit.search.specs import small_spec

Behavior = Callable[[optuna.Trial], float]


class FakeObjective:
    """Suggests as the real one does; its value, or its end, is decided by the test."""

    def __init__(self, spec: StudySpec, behavior: Behavior, towers_folder: Path) -> None:
        self.spec = spec
        self.behavior = behavior
        self.towers_folder = towers_folder

    def __call__(self, trial: optuna.Trial) -> float:
        suggest(trial, self.spec.space)
        try:
            return self.behavior(trial)
        except KeyboardInterrupt as interrupt:
            mark_interrupted(trial.study, trial, str(interrupt))
            raise


class Recorder:
    """Keeps what it was told at the end of each trial."""

    def __init__(self) -> None:
        self.ended: list[TrialRecord] = []

    def hear(self, event: TrialEvent) -> None:
        assert isinstance(event, TrialFinished)
        self.ended.append(event.trial)


def good(trial: optuna.Trial) -> float:
    return 0.3 + trial.params["learning_rate"] / 100


class Bench:
    """A study in memory, searched as often as a test likes."""

    def __init__(self, folder: Path, *replacements: tuple[str, str]) -> None:
        self.folder = folder
        self.spec = small_spec(folder, *replacements)
        self.study = optuna.create_study(direction="maximize")
        self.recorder = Recorder()

    def run(self, behavior: Behavior = good, **options: float | None) -> Outcome:
        objective = FakeObjective(self.spec, behavior, self.folder)
        return search(
            self.study,
            self.spec,
            objective,
            claim=undisputed(),
            pulse=still(self.study),
            emit=self.recorder.hear,
            **options,  # type: ignore[arg-type]
        )

    @property
    def states(self) -> list[str]:
        return [record.state for record in records(self.study)]

    @property
    def parameters(self) -> list[dict[str, float]]:
        return [trial.params for trial in self.study.get_trials(deepcopy=False)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_budget_is_met_exactly_and_nothing_runs_twice(bench: Bench) -> None:
    assert bench.run() == Outcome(state="complete")
    assert bench.states == ["complete"] * 6
    assert bench.run() == Outcome(state="complete")
    assert len(bench.states) == 6


def test_the_configurations_of_the_file_run_first(bench: Bench) -> None:
    bench.run()
    references = [record.reference for record in records(bench.study)]
    assert references == ["reference (8,)", "reference (8, 4)", None, None, None, None]


def test_pruned_trials_count_and_failed_ones_do_not(bench: Bench) -> None:
    def behavior(trial: optuna.Trial) -> float:
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 3:
            raise NonFiniteError("train_loss", 2, 7)
        return good(trial)

    bench.run(behavior)
    states = ["complete", "pruned", "complete", "failed", "complete", "complete", "complete"]
    assert bench.states == states
    assert [record.state for record in bench.recorder.ended] == states


def test_failures_in_a_row_stop_the_search_and_say_why(bench: Bench) -> None:
    def fail(trial: optuna.Trial) -> float:
        trial.set_user_attr("reason", "train_loss is not finite at epoch 1, step 1")
        raise NonFiniteError("train_loss", 1, 1)

    outcome = bench.run(fail)
    assert outcome.state == "failing"
    assert outcome.reason == (
        "5 trials failed in a row; the last: train_loss is not finite at epoch 1, step 1"
    )
    assert bench.states == ["failed"] * 5
    assert bench.run().state == "complete", "a new start gives it another chance"


def test_failures_that_are_the_environments_run_again_and_the_reason_says_so(bench: Bench) -> None:
    def break_down(trial: optuna.Trial) -> float:
        trial.set_user_attr(ERROR, "XlaRuntimeError")
        trial.set_user_attr("reason", "XlaRuntimeError: the device is lost")
        raise RuntimeError

    assert bench.run(break_down).reason == (
        "5 trials failed in a row; the last: XlaRuntimeError: the device is lost; "
        "with one error for all, they run again at the next start"
    )
    bench.run()
    assert bench.parameters[5:10] == bench.parameters[:5]


def test_an_interrupted_trial_runs_again_first_with_its_configuration(bench: Bench) -> None:
    def interrupt(trial: optuna.Trial) -> float:
        if trial.number == 3:
            raise KeyboardInterrupt("interrupted from the keyboard")
        return good(trial)

    outcome = bench.run(interrupt)
    assert outcome == Outcome(state="interrupted", reason="interrupted from the keyboard")
    bench.run()
    again = records(bench.study)[4]
    assert bench.states == ["complete"] * 3 + ["interrupted"] + ["complete"] * 3
    assert bench.parameters[4] == bench.parameters[3]
    assert (again.retry_of, again.number) == (3, 4)


def test_a_reference_keeps_its_name_when_it_runs_again(bench: Bench) -> None:
    def interrupt(trial: optuna.Trial) -> float:
        raise KeyboardInterrupt

    bench.run(interrupt)
    bench.run()
    references = [record.reference for record in records(bench.study)]
    assert references[:3] == ["reference (8,)", "reference (8,)", "reference (8, 4)"]
    assert len(references) == 7


def test_a_trial_of_a_killed_process_is_closed_and_runs_again(bench: Bench) -> None:
    killed = bench.study.ask()  # RUNNING for ever: nobody will tell its value
    suggest(killed, bench.spec.space)
    closed = close_stale(bench.study, everybody_gone, reason="it was killed")
    assert [trial.line for trial in closed] == ["trial 0 lost its process and runs again"]
    assert record_of(bench.study.trials[0]).reason == "it was killed"
    bench.run()
    assert bench.states == ["interrupted"] + ["complete"] * 6
    assert bench.parameters[1] == bench.parameters[0]


def test_twice_interrupted_points_to_the_first_try(bench: Bench) -> None:
    def interrupt(trial: optuna.Trial) -> float:
        raise KeyboardInterrupt

    bench.run(interrupt)
    bench.run(interrupt)
    bench.run()
    retries = [record.retry_of for record in records(bench.study)]
    assert retries == [None, 0, 0, None, None, None, None, None]


def test_an_interrupted_search_reaches_what_an_undisturbed_one_does(
    bench: Bench, tmp_path: Path
) -> None:
    def interrupt(trial: optuna.Trial) -> float:
        if trial.number == 4:
            raise KeyboardInterrupt
        return good(trial)

    undisturbed = Bench(tmp_path)
    undisturbed.run()
    bench.run(interrupt)
    bench.run()
    finished = [record.parameters for record in records(bench.study) if record.is_finished]
    assert finished == [record.parameters for record in records(undisturbed.study)]


def test_no_trial_starts_after_the_timeout(bench: Bench) -> None:
    outcome = bench.run(timeout_seconds=0.0)
    assert outcome.state == "timeout"
    assert bench.states == []


def test_a_grid_that_is_exhausted_ends_the_search(tmp_path: Path) -> None:
    grid = 'name = "grid"\nlearning_rates = 1'
    bench = Bench(tmp_path, ('name = "random"', grid), ("trials = 6", "trials = 60"))
    outcome = bench.run()
    # (4,), (8,), (4, 4), (8, 4), (8, 8) at one learning rate, and two references off the grid.
    assert outcome.state == "exhausted"
    assert len(bench.states) == 5 + 2


def test_waiting_trials_of_others_are_not_joined_by_ours(bench: Bench) -> None:
    bench.study.enqueue_trial({"learning_rate": 0.09})
    bench.run()
    assert bench.parameters[0]["learning_rate"] == 0.09
    assert all(trial.state == TrialState.COMPLETE for trial in bench.study.trials)
    assert len(bench.states) == 6
