"""References of a study, measured while its trials run, in a process of the lowest priority.

The process takes what the trials leave of the processors, has a memory of its own, and computes
nothing that a trial reads: the trials are the same, bit by bit.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Self

from search.confirmation.references import References
from search.execution.runtime import available_cores, worker_environment
from search.execution.workers import Assignment, Crashed, Measured, Worker
from search.records.errors import StorageLostError
from search.scheduling.locks import StudyLock, within
from search.storage.results import keep_reference

START_SECONDS = 10.0
"""A search that is over before is not burdened with another process."""

PATIENCE_SECONDS = 5.0  # how long the end of a search waits for a database that does not answer


class BesideSearch:
    """Measures what is missing for as long as it is entered, and keeps each as it is done.

    One search of a study at a time does it: the one that holds the lock. ``warn`` is told why the
    process could not go on.
    """

    def __init__(
        self,
        references: References,
        assignment: Assignment,
        lock: StudyLock,
        warn: Callable[[str], None],
        *,
        start_seconds: float = START_SECONDS,
        module: str = "search.confirmation.reference_process",
    ) -> None:
        self._references = references
        self._assignment = assignment
        self._lock = lock
        self._warn = warn
        self._start_seconds = start_seconds
        self._module = module
        self._is_over = threading.Event()
        self._starting = threading.Lock()
        self._worker: Worker | None = None
        self._thread = threading.Thread(target=self._run, name="references", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the process, whatever it is at."""
        self._is_over.set()
        with self._starting:
            if self._worker is not None:
                self._worker.kill()
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        if self._is_over.wait(self._start_seconds):
            return
        with suppress(StorageLostError):  # the search finds out by itself
            names = list(self._references.missing())
            if names and self._lock.take(within(1.0)):
                try:
                    self._measure(names)
                finally:
                    self._lock.release()

    def _measure(self, names: Sequence[str]) -> None:
        with self._starting:
            if self._is_over.is_set():
                return
            # One thread, and no accelerator: the others are the trials'.
            environment = worker_environment(available_cores(), os.environ)
            self._worker = Worker(
                replace(self._assignment, references=tuple(names)),
                self._module,
                {**environment, "JAX_PLATFORMS": "cpu"},
            )
        try:
            self._hear(self._worker)
        finally:
            self._worker.kill()
            self._worker.join()

    def _hear(self, worker: Worker) -> None:
        while (event := worker.receive()) is not None:
            match event:
                case Measured(name, entries):
                    keep_reference(self._references.ledger, "validation", name, entries)
                case Crashed(reason):
                    self._warn(f"references are not measured beside the search: {reason}")
