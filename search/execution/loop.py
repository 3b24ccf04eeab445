"""The loop of a search: what runs next, one trial after another, until the budget is met."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from search.config.study import StudySpec
from search.records.errors import EnvironmentFaultError, StorageLostError
from search.records.events import Listener, Outcome, TrialFinished
from search.scheduling.claim import Claim, ClaimLostError
from search.scheduling.failures import excused
from search.scheduling.heartbeat import Pulse
from search.scheduling.next_trial import ask_next
from search.scheduling.stale import SILENT, close_stale, gone, supersede
from search.storage.attributes import REASON
from search.storage.towers import find_towers
from search.storage.trials import record_of, was_interrupted, was_superseded


class Objective(Protocol):
    """Trains the configuration of a trial; see :class:`search.execution.objective.Objective`."""

    @property
    def towers_folder(self) -> Path:
        """Where the towers of each new best trial are saved."""

    def __call__(self, trial: optuna.Trial) -> float:
        """Runs the trial; its value, in 0..1."""


WAIT_SECONDS = 0.2
"""Between two looks at trials of others, of which one may be interrupted and have to run again."""


def search(
    study: optuna.Study,
    spec: StudySpec,
    objective: Objective,
    *,
    claim: Claim,
    pulse: Pulse,
    emit: Listener = lambda _event: None,
    stop_reason: Callable[[], str | None] = lambda: None,
    timeout_seconds: float | None = None,
    first_number: int | None = None,
    warn: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """Runs trials until the study holds ``spec.study.trials`` finished ones (complete or pruned).

    Other processes may search the study at the same time, on this machine or others.

    Args:
        study: that is searched.
        spec: the study file, the command line's choices included.
        objective: runs one trial; it settles the claim.
        claim: the right to decide what runs next.
        pulse: gives signs of life, and knows whose trials gave none.
        emit: told when a trial of this process, or one that it closed, is over.
        stop_reason: asked between trials; a text ends the search.
        timeout_seconds: no trial starts later than this.
        first_number: failures of trials before this number are not counted; by default of those
            that the study holds already.
        warn: told in a line what was not as it should be.
    """
    if first_number is None:
        first_number = len(study.get_trials(deepcopy=False))
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    loop = _Loop(study, spec, objective, claim, pulse, emit=emit, warn=warn)
    try:
        while True:
            if not claim.take(stop_reason):
                return Outcome(state="interrupted", reason=stop_reason() or "interrupted")
            try:
                loop.close_stale()
                trials = study.get_trials(deepcopy=False)
                outcome = _outcome(trials, spec, first_number, stop_reason(), deadline)
                outcome = outcome or loop.run_next(
                    excused(trials, spec.study.max_failures_in_a_row)
                )
            finally:
                claim.release()
            if outcome is not None:
                return outcome
    except StorageLostError as error:
        return lost(error, stop_reason())


def lost(error: StorageLostError, stop_reason: str | None) -> Outcome:
    """How a search ends whose database is lost; whoever stops it does not wait for that."""
    if stop_reason is not None:
        return Outcome(state="interrupted", reason=stop_reason)
    reason = f"the study's database is lost ({error}); the same command goes on once it is back"
    return Outcome(state="failing", reason=reason)


class _Loop:
    """One worker of a study."""

    def __init__(
        self,
        study: optuna.Study,
        spec: StudySpec,
        objective: Objective,
        claim: Claim,
        pulse: Pulse,
        *,
        emit: Listener,
        warn: Callable[[str], None],
    ) -> None:
        self.study = study
        self.spec = spec
        self.objective = objective
        self.claim = claim
        self.pulse = pulse
        self.emit = emit
        self.warn = warn

    def close_stale(self) -> None:
        """Closes trials of processes that are gone; the claim is held."""
        closed = close_stale(self.study, gone(silent=self.pulse.silent), reason=SILENT)
        for trial in closed:
            self.warn(trial.line)
        if closed:
            self._tell_ended([trial.number for trial in closed])

    def run_next(self, trials: Sequence[FrozenTrial]) -> Outcome | None:
        """Runs one trial, or waits a moment for those of others; an outcome ends the search."""
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if _finished(trials) + running >= self.spec.study.trials:
            self._wait()
            return None
        trial = ask_next(self.study, trials, self.spec, others_run=running > 0)
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
                return self._tell(trial)
        except ClaimLostError as error:
            supersede(self.study, trial)
            self.warn(f"{error}; the trial is left out")
        except UpdateFinishedTrialError:
            self.warn(
                f"trial {trial.number} was taken for dead, as this process was silent for too "
                "long; its result is dropped, and its configuration runs again"
            )
        finally:
            self._tell_ended([trial.number])
        return None

    def _tell(self, trial: optuna.Trial) -> Outcome | None:
        """Runs a trial and tells the study how it ended."""
        state, value, outcome = TrialState.COMPLETE, None, None
        try:
            value = self.objective(trial)
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except KeyboardInterrupt as interrupt:
            state = TrialState.FAIL
            outcome = Outcome(state="interrupted", reason=str(interrupt) or "interrupted")
        except EnvironmentFaultError as error:
            state, outcome = TrialState.FAIL, Outcome(state="failing", reason=str(error))
        except (ClaimLostError, StorageLostError, UpdateFinishedTrialError):
            raise
        except Exception:  # the objective has noted it with the trial
            state = TrialState.FAIL
        self._end(trial, state, value)
        return outcome

    def _end(self, trial: optuna.Trial, state: TrialState, value: float | None) -> None:
        """Tells a state, once.

        Raises:
            UpdateFinishedTrialError: the trial was closed before, as if its process were dead.
        """
        try:
            self.study.tell(trial, value, state)
        except (UpdateFinishedTrialError, ValueError) as error:
            # If an answer was lost on its way, what was asked may have been carried out.
            stored = self.study.get_trials(deepcopy=False)[trial.number].state
            if not stored.is_finished():
                raise
            if stored != state:
                raise UpdateFinishedTrialError(str(error)) from error

    def _tell_ended(self, numbers: Sequence[int]) -> None:
        """Emits how the trials ended; one whose end could not be stored has none."""
        trials = self.study.get_trials(deepcopy=False)
        ended = [number for number in numbers if trials[number].state.is_finished()]
        for number in ended:
            towers = find_towers(self.objective.towers_folder, number)
            self.emit(TrialFinished(record_of(trials[number]), towers))


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
