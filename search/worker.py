"""The loop of a search: what runs next, one trial after another, until the budget is met."""

import time
from collections.abc import Callable, Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.claim import ALONE, WORKER, Claim
from search.grid import ListSampler
from search.objective import Objective, TrialWatcher
from search.order import enqueue_next, place_of_next
from search.outcome import Outcome
from search.samplers import make_sampler
from search.seeds import derive_seed
from search.spec import StudySpec
from search.stored_trials import record_of
from search.towers import find_towers

WAIT_SECONDS = 0.2
"""Between two looks at trials of others, of which one may be interrupted and have to run again."""


def search(
    study: optuna.Study,
    spec: StudySpec,
    objective: Objective,
    *,
    watchers: Sequence[TrialWatcher] = (),
    stop_reason: Callable[[], str | None] = lambda: None,
    timeout_seconds: float | None = None,
    claim: Claim = ALONE,
    workers: int = 1,
    first_number: int | None = None,
) -> Outcome:
    """Runs trials until the study holds ``spec.study.trials`` finished ones (complete or pruned).

    Args:
        study: held by this process alone (see :func:`search.storage.only_run`), or shared by
            workers that have the same claim.
        spec: the study file, the command line's choices included.
        objective: runs one trial; it settles the claim.
        watchers: told when a trial of this process is over.
        stop_reason: asked between trials; a text ends the search.
        timeout_seconds: no trial starts later than this.
        claim: the right to decide what runs next.
        workers: how many processes search the study.
        first_number: failures of trials before this number are not counted; by default of those
            that the study holds already.
    """
    if first_number is None:
        first_number = len(study.get_trials(deepcopy=False))
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    loop = _Loop(study, spec, objective, claim, watchers=watchers, workers=workers)
    while True:
        if not claim.take(stop_reason):
            return Outcome(state="interrupted", reason=stop_reason() or "interrupted")
        try:
            trials = study.get_trials(deepcopy=False)
            outcome = _outcome(trials, spec, first_number, stop_reason(), deadline)
            outcome = outcome or loop.run_next(trials)
        finally:
            claim.release()
        if outcome is not None:
            return outcome


class _Loop:
    """One worker of a study."""

    def __init__(
        self,
        study: optuna.Study,
        spec: StudySpec,
        objective: Objective,
        claim: Claim,
        *,
        watchers: Sequence[TrialWatcher],
        workers: int,
    ) -> None:
        self.study = study
        self.spec = spec
        self.objective = objective
        self.claim = claim
        self.watchers = watchers
        self.workers = workers

    def run_next(self, trials: Sequence[FrozenTrial]) -> Outcome | None:
        """Runs one trial, or waits a moment for those of others; an outcome ends the search."""
        running = _running(trials)
        if _finished(trials) + running >= self.spec.study.trials:
            self._wait()
            return None
        seed = derive_seed(self.spec.study.seed, "sampler", place_of_next(trials))
        self.study.sampler = make_sampler(self.spec, seed, workers=self.workers)
        if enqueue_next(self.study, trials, self.spec) or not _is_exhausted(self.study):
            return self._run_one()
        if running:
            self._wait()
            return None
        return Outcome(state="exhausted", reason="every configuration of the grid was tried")

    def _wait(self) -> None:
        """Lets others decide for a moment: one of their trials may have to run again."""
        self.claim.release()
        time.sleep(WAIT_SECONDS)

    def _run_one(self) -> Outcome | None:
        ran: list[int] = []

        def run(trial: optuna.Trial) -> float:
            ran.append(trial.number)
            return self.objective(trial)

        try:
            self.study.optimize(run, n_trials=1, catch=(Exception,))
        except KeyboardInterrupt as interrupt:
            return Outcome(state="interrupted", reason=str(interrupt) or "interrupted")
        finally:
            self._tell_ended(ran)
        return None

    def _tell_ended(self, numbers: Sequence[int]) -> None:
        """Tells the watchers how the trials ended."""
        trials = self.study.get_trials(deepcopy=False)
        for number in numbers:
            towers = find_towers(self.objective.towers_folder, number)
            for watcher in self.watchers:
                watcher.trial_finished(record_of(trials[number]), towers)


def _finished(trials: Sequence[FrozenTrial]) -> int:
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)


def _running(trials: Sequence[FrozenTrial]) -> int:
    """How many trials other workers run. One that names no worker belongs to nobody."""
    return sum(trial.state == TrialState.RUNNING and WORKER in trial.user_attrs for trial in trials)


def _is_exhausted(study: optuna.Study) -> bool:
    return isinstance(study.sampler, ListSampler) and study.sampler.remaining(study) == 0


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
        reason = failures[-1].user_attrs.get("reason", "no reason recorded")
        return Outcome(
            state="failing", reason=f"{len(failures)} trials failed in a row; the last: {reason}"
        )
    return None


def failures_in_a_row(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The failed trials since the last one that finished; interrupted ones do not count."""
    failures: list[FrozenTrial] = []
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            failures.clear()
        elif trial.state == TrialState.FAIL and not trial.user_attrs.get("interrupted"):
            failures.append(trial)
    return failures
