"""A search with several workers: their events are passed on, the dead are replaced."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from search.execution.loop import lost
from search.execution.runtime import out_of_memory_kills
from search.execution.workers import Alive, Assignment, Crashed, Ended, Event, Handle, Pool, Warned
from search.records import events
from search.records.errors import StorageLostError
from search.scheduling.heartbeat import Closed, Watch, close_stale, stale_if
from search.scheduling.locks import Claim, within
from search.storage.files import find_towers
from search.storage.trials import records

if TYPE_CHECKING:
    import optuna


MOST_DEATHS = 5
"""So many workers may die without a finished trial in between; then the search gives up."""

LEAST_PATIENCE_SECONDS = 30.0
"""A worker that is busy importing on a busy machine may be silent for seconds."""

_LOOK_UP_SECONDS = 0.1
_LONGEST_STEP_SECONDS = 1.0  # a supervisor that slept has not watched
_REPEAT_SECONDS = 30.0
_CLAIM_SECONDS = 2.0
_GRAVEST_FIRST: tuple[events.OutcomeState, ...] = (
    *("failing", "interrupted", "timeout"),
    *("exhausted", "stalled"),
)


class Supervisor:
    """Conducts the workers of one study.

    The pool is empty and entered, the claim the same as the workers'. The hooks are told of the
    trials of all workers; a reason to stop stops them.
    """

    def __init__(
        self,
        study: "optuna.Study",
        assignment: Assignment,
        pool: Pool[Any],
        claim: Claim,
        hooks: events.Hooks,
    ) -> None:
        self._study = study
        self._assignment = assignment
        self._budget = assignment.spec.study.trials
        self._pool = pool
        self._claim = claim
        self._emit = hooks.emit
        self._stop_reason = hooks.stop_reason
        self._warn = hooks.warn
        self._outcomes: list[events.Outcome] = []
        self._crashes: dict[str, str] = {}
        self._ended: set[str] = set()
        self._dead: set[str] = set()
        self._lost: set[str] = set()
        patience = max(assignment.grace_seconds, LEAST_PATIENCE_SECONDS)
        self._watch: Watch[str] = Watch(patience, _LONGEST_STEP_SECONDS)
        self._warned_at: dict[str, float] = {}
        self._memory_kills = out_of_memory_kills()
        self._deaths = 0
        self._finished_at_death = 0
        self._is_stopping = False
        self._has_stale = False

    def run(self, workers: int) -> events.Outcome:
        """Runs so many workers until none has anything more to do; returns how the search ended."""
        for _ in range(workers):
            self._pool.start(self._assignment)
        try:
            self._conduct()
            return self._outcome()
        except StorageLostError as error:
            self._pool.kill()
            return lost(error, self._stop_reason())

    def _conduct(self) -> None:
        while self._pool.workers:
            if (reason := self._stop_reason()) is not None:
                self._stop(reason)
            for worker, event in self._pool.events(_LOOK_UP_SECONDS):
                if event is None:
                    self._bury(worker)
                else:
                    self._hear(worker, event)
            self._kill_silent()
            if self._has_stale:
                self._close_stale()

    def _kill_silent(self) -> None:
        """Ends workers that stand still: one of them may hold the claim, and all wait for it."""
        signs = {worker.name: worker.signs for worker in self._pool.workers}
        for name in self._watch.look(signs, time.monotonic()):
            self._crashes[name] = "it sent no heartbeat"
            next(worker for worker in self._pool.workers if worker.name == name).kill()

    def _stop(self, reason: str) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._pool.stop(reason)

    def _hear(self, worker: Handle, event: Event) -> None:
        match event:
            case events.TrialStarted() | events.EpochFinished() | events.TrialFinished():
                self._emit(event)
            case Warned(line):
                self._warn_once(line)
            case Alive():
                pass
            case Crashed(reason):
                self._crashes[worker.name] = reason
            case Ended(outcome):
                self._end(worker, outcome)

    def _end(self, worker: Handle, outcome: events.Outcome) -> None:
        if outcome.state == "interrupted" and not self._is_stopping and not self._stop_reason():
            self._crashes[worker.name] = outcome.reason  # stopped from outside: it is replaced
            return
        self._ended.add(worker.name)
        self._outcomes.append(outcome)
        if outcome.state == "failing":
            self._stop(outcome.reason)

    def _bury(self, worker: Handle) -> None:
        """Closes what a worker left behind, and starts another one if it died."""
        how = self._pool.remove(worker)
        if worker.name in self._ended:
            return
        how = self._crashes.get(worker.name, how)
        self._dead.add(worker.name)
        if worker.is_lost:
            self._lost.add(worker.name)
        self._has_stale = True
        died = _sentence(how, self._close_stale())
        finished = self._finished()
        if self._is_stopping or finished >= self._budget:
            self._warn(died)
            return
        self._count_death(finished, is_lost=worker.is_lost)
        if self._deaths < MOST_DEATHS:
            self._warn(f"{died}; another one is started")
            self._pool.start(self._assignment)
        else:
            self._warn(died)
            reason = f"{MOST_DEATHS} workers died and no trial finished between; the last: {how}"
            self._outcomes.append(events.Outcome(state="failing", reason=reason))
            self._stop(reason)

    def _count_death(self, finished: int, *, is_lost: bool) -> None:
        """Counts the deaths since a trial last finished.

        The database says what finished: the event of a worker that was killed may never arrive.
        """
        if finished > self._finished_at_death:
            self._deaths = 0
        self._finished_at_death = finished
        self._deaths += not is_lost

    def _warn_once(self, line: str) -> None:
        """Passes on a warning that several workers may give at the same time."""
        now = time.monotonic()
        if now - self._warned_at.get(line, -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._warned_at[line] = now
            self._warn(line)

    def _close_stale(self) -> list[Closed]:
        """Records what dead workers were at as interrupted; tries again later if it cannot."""
        if not self._claim.take(within(_CLAIM_SECONDS)):
            return []
        try:
            stale = close_stale(
                self._study,
                stale_if(dead=self._dead),
                reason="the worker that ran it died",
                out_of_memory=self._memory_ran_out(),
                lost=self._lost,
            )
        finally:
            self._claim.release()
        self._has_stale = False
        numbers = {closed.number for closed in stale}
        for record in records(self._study, self._assignment.spec.limits.given):
            if record.number in numbers:
                towers = find_towers(self._assignment.towers_folder, record.number)
                self._emit(events.TrialFinished(record, towers))
        return stale

    def _memory_ran_out(self) -> bool:
        """Whether the system has ended a process for want of memory since this was asked last."""
        before, self._memory_kills = self._memory_kills, out_of_memory_kills()
        return self._memory_kills > before

    def _finished(self) -> int:
        return sum(trial.is_finished for trial in records(self._study))

    def _outcome(self) -> events.Outcome:
        if self._has_stale:
            self._close_stale()
        if self._finished() >= self._budget:
            return events.Outcome(state="complete")
        for state in _GRAVEST_FIRST:
            for outcome in self._outcomes:
                if outcome.state == state:
                    return outcome
        return events.Outcome(
            state="interrupted", reason=self._stop_reason() or "the workers are gone"
        )


def _sentence(how: str, closed: Sequence[Closed]) -> str:
    """How a worker died, and what that means for its trials."""
    died = f"a worker died ({how})"
    for trial in closed:
        what = trial.line if trial.is_given_up else f"trial {trial.number} runs again first"
        died += f"; {what}"
    return died
