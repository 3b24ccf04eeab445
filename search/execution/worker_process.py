"""One worker: ``python -m search.execution.worker_process DESCRIPTOR``, started by the pool.

It is given its study over a socket, runs trials as any search does, and tells its parent what
happens. Keras and JAX are imported when there is a trial to train, MLflow and Matplotlib never.
When its parent dies, it stops.
"""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from search.display.console import keep_writable
from search.execution.processes import SIGNALS, StopRequest
from search.execution.runtime import prepare_runtime
from search.execution.workers import Alive, Assignment, Crashed, Ended, Stop, Warned
from search.records.events import Hooks, Outcome
from search.scheduling import BEATS_IN_GRACE

if TYPE_CHECKING:
    from search.execution.loop import Objective

MakeObjective = Callable[[Assignment, Hooks], "Objective"]

PARENT_GONE = "the search that started this worker is gone"
FAILED = 1


def training_objective(assignment: Assignment, hooks: Hooks) -> "Objective":
    """What trains: Keras, JAX and the data, from the cache where the parent has prepared it."""
    prepare_runtime()
    from search.execution.data import load_data
    from search.execution.objective import Objective, set_libraries_aside

    data = load_data(assignment.spec, assignment.data_dir).of_trials
    objective = Objective(assignment.spec, data, assignment.towers_folder, hooks)
    set_libraries_aside()
    return objective


def main(make_objective: MakeObjective = training_objective) -> int:
    """Runs a worker to its end; returns its exit code.

    ``make_objective`` is called when the first trial has its configuration.
    """
    keep_writable()
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with StopRequest(lambda _line: None) as signals:
        # Blocked by the parent, so that none comes before there is a handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        parent = Parent(connection)
        try:
            assignment = parent.assignment()
            parent.listen()
            parent.keep_telling(assignment.grace_seconds / BEATS_IN_GRACE)
            outcome = _search(assignment, parent, signals, make_objective)
        except Exception as error:
            parent.tell(Crashed(_one_line(error)))
            return FAILED
        parent.tell(Ended(outcome))
    return 0


class Parent:
    """The search that started this worker: it is told what happens, and may say stop."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.stop_reason: str | None = None  # why this worker has to stop; None while it may go on
        self._connection = connection
        self._process = os.getppid()
        self._sending = threading.Lock()

    def assignment(self) -> Assignment:
        """Waits for the first message."""
        message = self._connection.recv()
        assert isinstance(message, Assignment)
        return message

    def listen(self) -> None:
        """From now on hears, in a thread, what the parent says, and when it dies."""
        threading.Thread(target=self._listen, daemon=True).start()

    def keep_telling(self, every_seconds: float) -> None:
        """From now on tells the parent, from a thread, that this worker lives."""

        def tell() -> None:
            while True:
                self.tell(Alive())
                time.sleep(every_seconds)

        threading.Thread(target=tell, daemon=True).start()

    def tell(self, event: object) -> None:
        """Sends an event; a parent that is gone is a reason to stop, but no error."""
        try:
            with self._sending:
                self._connection.send(event)
        except OSError:
            self.stop_reason = self.stop_reason or PARENT_GONE

    def should_stop(self) -> str | None:
        """Why this worker has to stop, if it has to."""
        if self.stop_reason is None and os.getppid() != self._process:
            self.stop_reason = PARENT_GONE
        return self.stop_reason

    def warn(self, message: Warning | str, *_details: Any, **_more: Any) -> None:
        """Forwards a warning; also one of Python's, in the place of ``warnings.showwarning``."""
        self.tell(Warned(message if isinstance(message, str) else _one_line(message)))

    def _listen(self) -> None:
        try:
            while isinstance(message := self._connection.recv(), Stop):
                self.stop_reason = self.stop_reason or message.reason
        except (EOFError, OSError):
            self.stop_reason = self.stop_reason or PARENT_GONE


def _search(
    assignment: Assignment, parent: Parent, signals: StopRequest, make_objective: MakeObjective
) -> Outcome:
    """The search of this worker; what is slow to import is imported after the first message."""
    warnings.showwarning = parent.warn
    import optuna

    from search.execution.loop import TrialLoop
    from search.scheduling.heartbeat import Pulse
    from search.scheduling.locks import Claim, attending, lock_of
    from search.scheduling.samplers import make_pruner
    from search.storage.retry import Patience
    from search.storage.study import join_study, settle_code

    hooks = Hooks(
        emit=parent.tell,
        warn=parent.warn,
        stop_reason=lambda: parent.should_stop() or signals.reason,
    )
    if (shared := assignment.shared) is not None:
        hooks = replace(hooks, keep=shared.keep, fetch=shared.fetch)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spec, database = assignment.spec, assignment.database
    patience = Patience(warn=hooks.warn, stop_reason=hooks.stop_reason)
    claim = Claim(
        lock_of(database, spec.name, "claim", patience=patience), assignment.worker, warn=hooks.warn
    )
    with ExitStack() as stack:
        if not claim.take(hooks.stop_reason):
            return Outcome(state="interrupted", reason=hooks.stop_reason() or "")
        try:
            stack.enter_context(attending(database))
            study = join_study(database, spec, assignment.data_fingerprint, patience=patience)
            settle_code(study, spec)
            study.pruner = make_pruner(spec)
        finally:
            claim.release()
        loop = TrialLoop(
            study=study,
            spec=spec,
            towers_folder=assignment.towers_folder,
            claim=claim,
            pulse=stack.enter_context(Pulse(study, grace_seconds=assignment.grace_seconds)),
            make_objective=lambda: make_objective(assignment, hooks),
            hooks=hooks,
        )
        return loop.run(deadline=assignment.deadline, first_number=assignment.first_number)


def _one_line(error: object) -> str:
    """An error or a warning in one line, named by its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
