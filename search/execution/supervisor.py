"""A search with several workers: their events are passed on, the dead are replaced."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.config.study import StudySpec
from search.execution.loop import lost
from search.execution.messages import Alive, Assignment, Crashed, Ended, Event, Warned
from search.execution.pool import Pool, Worker
from search.records.errors import StorageLostError
from search.records.events import (
    EpochFinished,
    Listener,
    Outcome,
    OutcomeState,
    TrialFinished,
    TrialStarted,
)
from search.scheduling.claim import Claim
from search.scheduling.locks import within
from search.scheduling.stale import Closed, close_stale, gone
from search.scheduling.watch import GRACE_SECONDS, Watch
from search.storage.towers import find_towers
from search.storage.trials import records

if TYPE_CHECKING:
    import optuna


CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def out_of_memory_kills(own: Path = OWN_CGROUP, root: Path = CGROUPS) -> int:
    """How many processes of this process's group the kernel has killed so far for want of memory.

    Args:
        own: where the kernel says which group that is.
        root: where it says what happened in the groups.

    Returns:
        0 where nobody counts: outside of Linux, or without control groups of version 2.
    """
    try:
        lines = own.read_text(encoding="ascii").splitlines()
        group = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
        events = (root / group / "memory.events").read_text(encoding="ascii").split()
    except (OSError, StopIteration, UnicodeDecodeError):
        return 0
    counts = dict(zip(events[::2], events[1::2], strict=True))
    return int(counts.get("oom_kill", 0))


MOST_DEATHS = 5
"""So many workers may die without a finished trial in between; then the search gives up."""

LEAST_PATIENCE_SECONDS = 30.0
"""A worker that is busy importing on a busy machine may be silent for seconds."""

_LOOK_UP_SECONDS = 0.1
_LONGEST_STEP_SECONDS = 1.0  # a supervisor that slept has not watched
_REPEAT_SECONDS = 30.0
_CLAIM_SECONDS = 2.0
_GRAVEST_FIRST: tuple[OutcomeState, ...] = ("failing", "interrupted", "timeout", "exhausted")


class Supervisor:
    """Conducts the workers of one study.

    Args:
        study: that the workers search.
        spec: the study file.
        towers_folder: where the workers save towers.
        pool: empty; the caller has entered it.
        assign: what the next worker is to do.
        claim: the same as the workers'.
        emit: told of the trials of all workers.
        stop_reason: asked all the time; a text stops the workers.
        warn: told in a line what went wrong.
        grace_seconds: a worker that is silent for so long is killed, and another one started.
    """

    def __init__(
        self,
        study: "optuna.Study",
        spec: StudySpec,
        towers_folder: Path,
        pool: Pool,
        assign: Callable[[], Assignment],
        *,
        claim: Claim,
        emit: Listener,
        stop_reason: Callable[[], str | None],
        warn: Callable[[str], None],
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._study = study
        self._budget = spec.study.trials
        self._towers_folder = towers_folder
        self._pool = pool
        self._assign = assign
        self._claim = claim
        self._emit = emit
        self._stop_reason = stop_reason
        self._warn = warn
        self._outcomes: list[Outcome] = []
        self._crashes: dict[str, str] = {}
        self._ended: set[str] = set()
        self._dead: set[str] = set()
        patience = max(grace_seconds, LEAST_PATIENCE_SECONDS)
        self._watch: Watch[str] = Watch(patience, _LONGEST_STEP_SECONDS)
        self._warned_at: dict[str, float] = {}
        self._memory_kills = out_of_memory_kills()
        self._deaths = 0
        self._is_stopping = False
        self._has_stale = False

    def run(self, workers: int) -> Outcome:
        """Runs so many workers until none has anything more to do; returns how the search ended."""
        for _ in range(workers):
            self._pool.start(self._assign())
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
            self._crashes[name] = "it gave no sign of life"
            next(worker for worker in self._pool.workers if worker.name == name).kill()

    def _stop(self, reason: str) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._pool.stop(reason)

    def _hear(self, worker: Worker, event: Event) -> None:
        match event:
            case TrialStarted() | EpochFinished():
                self._emit(event)
            case TrialFinished(trial, _):
                if trial.is_finished:
                    self._deaths = 0
                self._emit(event)
            case Warned(line):
                self._warn_once(line)
            case Alive():
                pass
            case Crashed(reason):
                self._crashes[worker.name] = reason
            case Ended(outcome):
                self._end(worker, outcome)

    def _end(self, worker: Worker, outcome: Outcome) -> None:
        if outcome.state == "interrupted" and not self._is_stopping and not self._stop_reason():
            self._crashes[worker.name] = outcome.reason  # somebody else stopped it: it is replaced
            return
        self._ended.add(worker.name)
        self._outcomes.append(outcome)
        if outcome.state == "failing":
            self._stop(outcome.reason)

    def _bury(self, worker: Worker) -> None:
        """Closes what a worker left behind, and starts another one if it died."""
        how = self._pool.remove(worker)
        if worker.name in self._ended:
            return
        how = self._crashes.get(worker.name, how)
        self._dead.add(worker.name)
        self._has_stale = True
        died = _sentence(how, self._close_stale())
        if self._is_stopping or self._is_complete():
            self._warn(died)
            return
        self._deaths += 1
        if self._deaths < MOST_DEATHS:
            self._warn(f"{died}; another one is started")
            self._pool.start(self._assign())
        else:
            self._warn(died)
            reason = f"{MOST_DEATHS} workers died and no trial finished between; the last: {how}"
            self._outcomes.append(Outcome(state="failing", reason=reason))
            self._stop(reason)

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
            is_gone = gone(dead=self._dead)
            stale = close_stale(
                self._study,
                is_gone,
                reason="the worker that ran it died",
                out_of_memory=self._memory_ran_out(),
            )
        finally:
            self._claim.release()
        self._has_stale = False
        numbers = {closed.number for closed in stale}
        for record in records(self._study):
            if record.number in numbers:
                towers = find_towers(self._towers_folder, record.number)
                self._emit(TrialFinished(record, towers))
        return stale

    def _memory_ran_out(self) -> bool:
        """Whether the system has ended a process for want of memory since this was asked last."""
        before, self._memory_kills = self._memory_kills, out_of_memory_kills()
        return self._memory_kills > before

    def _is_complete(self) -> bool:
        return sum(trial.is_finished for trial in records(self._study)) >= self._budget

    def _outcome(self) -> Outcome:
        """How the search ended, from how its workers did."""
        if self._has_stale:
            self._close_stale()
        if self._is_complete():
            return Outcome(state="complete")
        for state in _GRAVEST_FIRST:
            for outcome in self._outcomes:
                if outcome.state == state:
                    return outcome
        return Outcome(state="interrupted", reason=self._stop_reason() or "the workers are gone")


def _sentence(how: str, closed: Sequence[Closed]) -> str:
    """How a worker died, and what that means for its trials."""
    died = f"a worker died ({how})"
    for trial in closed:
        what = trial.line if trial.is_given_up else f"trial {trial.number} runs again first"
        died += f"; {what}"
    return died
