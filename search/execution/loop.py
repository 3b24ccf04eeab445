"""The loop of a search: what runs next, one trial after another, until the budget is met."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from deeprec.errors import DivergedError
from search.config.space import Configuration, suggest
from search.config.study import StudySpec
from search.records.errors import StorageLostError, environment_fault
from search.records.events import Hooks, Outcome, TrialFinished
from search.scheduling.heartbeat import (
    SILENT,
    Pulse,
    close_stale,
    excused,
    mark_interrupted,
    stale_if,
    supersede,
)
from search.scheduling.locks import Claim, ClaimLostError
from search.scheduling.next_trial import ask_next, stall_of
from search.storage.attributes import DIVERGED, ERROR, OOM, REASON, TRACEBACK
from search.storage.files import find_towers
from search.storage.trials import record_of, was_interrupted, was_superseded

Objective = Callable[[optuna.Trial, Configuration], float | Sequence[float]]
"""Trains the configuration of a trial and returns its value, in 0..1, or one for each objective.

See :class:`search.execution.objective.Objective`."""

WAIT_SECONDS = 0.2
"""Between two looks at trials of others, of which one may be interrupted and have to run again."""

NOT_OF_THE_TRIAL = (ClaimLostError, StorageLostError, UpdateFinishedTrialError)
"""What ends a trial and is no failure of its configuration."""


@dataclass(kw_only=True)
class TrialLoop:
    """Runs trials of a study in this process, which may be one of several that do."""

    study: optuna.Study
    spec: StudySpec  # the study file, the command line's choices included
    towers_folder: Path  # where the objective saves towers
    claim: Claim  # the right to decide what runs next
    pulse: Pulse  # writes heartbeats, and knows which trials are stale
    # called once, when the first trial has its configuration; so a process that has nothing to
    # train imports nothing for it
    make_objective: Callable[[], Objective]
    # called when a trial of this process, or one that it closed, is over
    hooks: Hooks = field(default_factory=Hooks)

    def run(self, *, deadline: float | None = None, first_number: int | None = None) -> Outcome:
        """Runs trials until the study holds as many finished ones as its budget says.

        No trial starts after the deadline of :func:`time.monotonic`. Failures of trials before
        ``first_number`` are not counted; by default of those that the study holds already.
        """
        if first_number is None:
            first_number = len(self.study.get_trials(deepcopy=False))
        stop_reason = self.hooks.stop_reason
        try:
            while True:
                if not self.claim.take(stop_reason):
                    return Outcome(state="interrupted", reason=stop_reason() or "interrupted")
                try:
                    self._close_stale()
                    trials = self.study.get_trials(deepcopy=False)
                    outcome = _outcome(trials, self.spec, first_number, stop_reason(), deadline)
                    outcome = outcome or self._run_next(trials)
                finally:
                    self.claim.release()
                if outcome is not None:
                    return outcome
        except StorageLostError as error:
            return lost(error, stop_reason())

    def _close_stale(self) -> None:
        """Closes trials whose processes are dead or silent; the claim is held."""
        closed = close_stale(self.study, stale_if(silent=self.pulse.silent), reason=SILENT)
        for trial in closed:
            self.hooks.warn(trial.line)
        if closed:
            self._emit_ended([trial.number for trial in closed])

    def _run_next(self, stored: Sequence[FrozenTrial]) -> Outcome | None:
        """Runs one trial, or waits a moment for those of others; an outcome ends the search."""
        trials = excused(stored, self.spec.study.max_failures_in_a_row)
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if _finished(trials) + running >= self.spec.study.trials:
            self._wait()
            return None
        try:
            trial = ask_next(self.study, trials, self.spec, others_run=running > 0)
        except ClaimLostError as error:
            self.hooks.warn(f"{error}; it is left out")
            return None
        if trial is not None:
            return self._run_one(trial)
        if running:
            self._wait()
            return None
        return Outcome(state="exhausted", reason="every configuration of the grid was tried")

    def _wait(self) -> None:
        """Lets others decide for a moment: one of their trials may have to run again."""
        self.claim.release()
        time.sleep(WAIT_SECONDS)

    def _run_one(self, trial: optuna.Trial) -> Outcome | None:
        try:
            with self.pulse.beating(trial):
                configuration = suggest(trial, self.spec.space)
                self.claim.settle(trial)
                return self._train(trial, configuration, self._objective)
        except ClaimLostError as error:
            supersede(self.study, trial)
            self.hooks.warn(f"{error}; the trial is left out")
        except UpdateFinishedTrialError:
            self.hooks.warn(
                f"trial {trial.number} was taken for dead, as this process was silent for too "
                "long; its result is dropped, and its configuration runs again"
            )
        finally:
            self._emit_ended([trial.number])
        return None

    @cached_property
    def _objective(self) -> Objective:
        return self.make_objective()

    def _train(
        self, trial: optuna.Trial, configuration: Configuration, objective: Objective
    ) -> Outcome | None:
        """Trains, and stores how that ended; what is no fault of the trial ends the search."""
        state, outcome = TrialState.COMPLETE, None
        value: float | Sequence[float] | None = None
        try:
            value = objective(trial, configuration)
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except DivergedError as error:  # to a sampler it is worse than any complete trial
            state = TrialState.PRUNED
            trial.set_user_attr(DIVERGED, True)
            trial.set_user_attr(REASON, str(error))
        except KeyboardInterrupt as interrupt:
            reason = str(interrupt) or "interrupted from the keyboard"
            state, outcome = TrialState.FAIL, Outcome(state="interrupted", reason=reason)
            mark_interrupted(self.study, trial, reason)
        except NOT_OF_THE_TRIAL:
            raise
        except Exception as error:
            state = TrialState.FAIL
            if fault := environment_fault(error):
                outcome = Outcome(state="failing", reason=fault)
                mark_interrupted(self.study, trial, fault)
            else:
                _note_failure(trial, error)
        self._end(trial, state, value)
        return outcome

    def _end(
        self, trial: optuna.Trial, state: TrialState, value: float | Sequence[float] | None
    ) -> None:
        """Stores a state, once; UpdateFinishedTrialError where others took the trial for dead."""
        try:
            self.study.tell(trial, value, state)
        except (UpdateFinishedTrialError, ValueError) as error:
            # If an answer was lost on its way, what was asked may have been carried out.
            stored = self.study.get_trials(deepcopy=False)[trial.number].state
            if not stored.is_finished():
                raise
            if stored != state:
                raise UpdateFinishedTrialError(str(error)) from error

    def _emit_ended(self, numbers: Sequence[int]) -> None:
        """Emits how the trials ended; one whose end could not be stored has none."""
        trials = self.study.get_trials(deepcopy=False)
        ended = [number for number in numbers if trials[number].state.is_finished()]
        for number in ended:
            towers = find_towers(self.towers_folder, number)
            record = record_of(trials[number], self.spec.limits.given)
            self.hooks.emit(TrialFinished(record, towers))


def lost(error: StorageLostError, stop_reason: str | None) -> Outcome:
    """How a search ends whose database is lost; one that is stopped does not wait for it."""
    if stop_reason is not None:
        return Outcome(state="interrupted", reason=stop_reason)
    reason = f"the study's database is lost ({error}); the same command goes on once it is back"
    return Outcome(state="failing", reason=reason)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a trial failed because its configuration needs more memory than there is."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _note_failure(trial: optuna.Trial, error: Exception) -> None:
    """Keeps why a trial failed, in one line, and where."""
    message = str(error).strip().partition("\n")[0]
    trial.set_user_attr(REASON, f"{type(error).__name__}: {message}")
    trial.set_user_attr(TRACEBACK, traceback.format_exc(limit=-20))
    if is_out_of_memory(error):
        trial.set_user_attr(OOM, True)
    else:
        trial.set_user_attr(ERROR, type(error).__name__)


def _finished(trials: Sequence[FrozenTrial]) -> int:
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)


def _outcome(
    trials: Sequence[FrozenTrial],
    spec: StudySpec,
    first_number: int,
    stop_reason: str | None,
    deadline: float | None,
) -> Outcome | None:
    """How the search ends before the next trial; None while it goes on."""
    if _finished(trials) >= spec.study.trials:
        return Outcome(state="complete")
    if stop_reason is not None:
        return Outcome(state="interrupted", reason=stop_reason)
    if deadline is not None and time.monotonic() >= deadline:
        return Outcome(state="timeout", reason="the time of --timeout is over")
    if stall := stall_of(trials, spec):
        return Outcome(state="stalled", reason=stall)
    failures = failures_in_a_row(trials[first_number:])
    if len(failures) >= spec.study.max_failures_in_a_row:
        return Outcome(state="failing", reason=_reason(failures, trials, spec))
    return None


def _reason(failures: Sequence[FrozenTrial], trials: Sequence[FrozenTrial], spec: StudySpec) -> str:
    last = failures[-1].user_attrs.get(REASON, "no reason recorded")
    reason = f"{len(failures)} trials failed in a row; the last: {last}"
    considered = excused(trials, spec.study.max_failures_in_a_row)
    if any(considered[failure.number] is not failure for failure in failures):
        return f"{reason}; with one error for all, they run again at the next start"
    return reason


def failures_in_a_row(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failed trials since the last one that finished; interrupted ones do not count."""
    failures: list[FrozenTrial] = []
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            failures.clear()
        elif trial.state == TrialState.FAIL and not (
            was_interrupted(trial) or was_superseded(trial)
        ):
            failures.append(trial)
    return failures
