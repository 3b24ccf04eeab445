"""The loop of a search: order, budget, resuming, failures, timeouts."""

import errno
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from deeprec.errors import NonFiniteError
from search.config.space import suggest
from search.records.events import Hooks, Outcome, TrialEvent, TrialFinished
from search.scheduling.heartbeat import all_stale, close_stale
from search.storage.attributes import ERROR, OOM, TRACEBACK
from search.storage.trials import record_of, records
from tests.unit.search.claims import Behavior, good, loop_of
from tests.unit.search.specs import small_spec


class Bench:
    """A study in memory, searched as often as a test likes."""

    def __init__(self, folder: Path, *replacements: tuple[str, str]) -> None:
        self.spec = small_spec(folder, *replacements)
        self.study = optuna.create_study(direction="maximize")
        self.events: list[TrialEvent] = []

    def run(self, behavior: Behavior = good, *, deadline: float | None = None) -> Outcome:
        hooks = Hooks(emit=self.events.append)
        return loop_of(self.study, self.spec, behavior, hooks=hooks).run(deadline=deadline)

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


def raising(error: BaseException, *numbers: int) -> Behavior:
    """The trials of these numbers raise, or all of them."""

    def behave(trial: optuna.Trial) -> float:
        if numbers and trial.number not in numbers:
            return good(trial)
        raise error

    return behave


def test_pruned_trials_count_and_failed_ones_do_not(bench: Bench) -> None:
    def behavior(trial: optuna.Trial) -> float:
        if trial.number == 1:
            raise optuna.TrialPruned
        return raising(ValueError("a bug"), 3)(trial)

    bench.run(behavior)
    states = ["complete", "pruned", "complete", "failed", "complete", "complete", "complete"]
    assert bench.states == states
    assert bench.events == [TrialFinished(record, None) for record in records(bench.study)]


@pytest.mark.parametrize(
    ("error", "state", "reason", "notes"),
    [
        (NonFiniteError("loss", 2, 7), "diverged", "loss is not finite at epoch 2, step 7", {}),
        (TypeError("no array\nof JAX"), "failed", "TypeError: no array", {ERROR: "TypeError"}),
        (MemoryError("1 TiB"), "failed", "MemoryError: 1 TiB", {OOM: True}),
        (RuntimeError("RESOURCE_EXHAUSTED"), "failed", "RuntimeError: RESOURCE", {OOM: True}),
    ],
)
def test_how_a_trial_ended_is_kept_with_it(
    bench: Bench, error: Exception, state: str, reason: str, notes: dict[str, object]
) -> None:
    bench.run(raising(error, 0))
    record, attributes = records(bench.study)[0], bench.study.trials[0].user_attrs
    assert (record.state, record.value) == (state, None)
    assert (record.reason or "").startswith(reason)
    assert {name: attributes[name] for name in (ERROR, OOM) if name in attributes} == notes
    assert (TRACEBACK in attributes) == (state == "failed")


def test_a_fault_of_the_environment_ends_the_search_and_the_trial_runs_again(bench: Bench) -> None:
    fault = PermissionError(errno.EACCES, "Permission denied", "towers")
    outcome = bench.run(raising(fault))
    assert outcome.state == "failing"
    assert "Permission denied: 'towers'; mend it" in outcome.reason
    assert (bench.states, records(bench.study)[0].reason) == (["interrupted"], outcome.reason)
    bench.run()
    assert bench.parameters[1] == bench.parameters[0]


def test_failures_in_a_row_stop_the_search_and_say_why(bench: Bench) -> None:
    assert bench.run(raising(MemoryError("1 TiB"))) == Outcome(
        state="failing", reason="5 trials failed in a row; the last: MemoryError: 1 TiB"
    )
    assert bench.states == ["failed"] * 5
    assert bench.run().state == "complete", "a new start gives it another chance"


def test_failures_that_are_the_environments_run_again_and_the_reason_says_so(bench: Bench) -> None:
    assert bench.run(raising(RuntimeError("the device is lost"))).reason == (
        "5 trials failed in a row; the last: RuntimeError: the device is lost; "
        "with one error for all, they run again at the next start"
    )
    bench.run()
    assert bench.parameters[5:10] == bench.parameters[:5]


def test_an_interrupted_trial_runs_again_first_with_its_configuration(bench: Bench) -> None:
    outcome = bench.run(raising(KeyboardInterrupt("terminated"), 3))
    assert outcome == Outcome(state="interrupted", reason="terminated")
    assert records(bench.study)[3].reason == "terminated"
    bench.run()
    again = records(bench.study)[4]
    assert bench.states == ["complete"] * 3 + ["interrupted"] + ["complete"] * 3
    assert bench.parameters[4] == bench.parameters[3]
    assert (again.retry_of, again.number) == (3, 4)


def test_a_reference_keeps_its_name_when_it_runs_again(bench: Bench) -> None:
    bench.run(raising(KeyboardInterrupt()))
    bench.run()
    references = [record.reference for record in records(bench.study)]
    assert references[:3] == ["reference (8,)", "reference (8,)", "reference (8, 4)"]
    assert len(references) == 7


def test_a_trial_of_a_killed_process_is_closed_and_runs_again(bench: Bench) -> None:
    killed = bench.study.ask()  # stale: it stays RUNNING
    suggest(killed, bench.spec.space)
    closed = close_stale(bench.study, all_stale, reason="it was killed")
    assert [trial.line for trial in closed] == ["trial 0 lost its process and runs again"]
    assert record_of(bench.study.trials[0]).reason == "it was killed"
    bench.run()
    assert bench.states == ["interrupted"] + ["complete"] * 6
    assert bench.parameters[1] == bench.parameters[0]


def test_twice_interrupted_points_to_the_first_try(bench: Bench) -> None:
    bench.run(raising(KeyboardInterrupt()))
    bench.run(raising(KeyboardInterrupt()))
    bench.run()
    retries = [record.retry_of for record in records(bench.study)]
    assert retries == [None, 0, 0, None, None, None, None, None]


def test_an_interrupted_search_tries_what_another_does(bench: Bench, tmp_path: Path) -> None:
    undisturbed = Bench(tmp_path)
    undisturbed.run()
    bench.run(raising(KeyboardInterrupt(), 4))
    bench.run()
    finished = [record.parameters for record in records(bench.study) if record.is_finished]
    assert finished == [record.parameters for record in records(undisturbed.study)]


def test_no_trial_starts_after_the_timeout(bench: Bench) -> None:
    assert bench.run(deadline=time.monotonic()).state == "timeout"
    assert bench.states == []


def test_waiting_trials_of_others_are_not_joined_by_ours(bench: Bench) -> None:
    bench.study.enqueue_trial({"learning_rate": 0.09})
    bench.run()
    assert bench.parameters[0]["learning_rate"] == 0.09
    assert all(trial.state == TrialState.COMPLETE for trial in bench.study.trials)
    assert len(bench.states) == 6
