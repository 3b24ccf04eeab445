"""The references of a study, each measured once and kept in its ledger, some beside the search.

A reference has an entry for each split, so that what is done stays done. A study that was measured
by an earlier version keeps what it has, and is given what it lacks.

While trials run, references are measured in a process of the lowest priority. It takes what the
trials leave of the processors, has a memory of its own, and computes nothing that a trial reads:
the trials are the same, bit by bit.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from deeprec.evaluation.ranking import ListMetrics, RankingMetrics
from deeprec.evaluation.references import (
    MOST_SECONDS,
    UNSEEN,
    Cost,
    ReferenceName,
    ReferenceSettings,
    choose_reference,
    costs_of,
    fit_reference,
)
from search.execution.data import StudyData
from search.execution.runtime import available_cores, available_memory, worker_environment
from search.execution.workers import Assignment, Crashed, Measured, Worker
from search.records.errors import StorageLostError
from search.records.results import ReferenceRecord, reference_title, texts_of
from search.scheduling.locks import StudyLock, within
from search.storage import results
from search.storage.results import keep_reference

MEMORY_SHARE = 4
"""A reference may take one in so many bytes of the memory that is available."""


@dataclass(frozen=True, kw_only=True)
class References:
    """What any model of a study should beat, by the metrics of its models.

    What there is to choose for them is chosen on the validation rows. They are fitted on the rows a
    model learns from: the training rows for validation, those and the validation rows for the test.
    """

    data: StudyData
    ledger: results.Ledger
    # is told what is measured, and what is left out
    announce: Callable[[str], None]
    # asked before each is measured; a reason (as text) raises KeyboardInterrupt there
    stop_reason: Callable[[], str | None] = lambda: None

    def measured(self, *, test: bool, costly: bool = True) -> list[ReferenceRecord]:
        """All that are known, after what is missing was measured.

        ``test`` says whether to look at the test rows as well, ``costly`` whether to measure what
        is not cheap.
        """
        missing = self.missing()
        now = [name for name, cost in missing.items() if costly or cost.is_cheap]
        self._measure("validation", now, lambda name: validated(self.data, name))
        if later := [name for name in missing if name not in now]:
            self.announce(f"left to search.retrain, as the search ended before: {_said(later)}")
        if test:
            known = results.reference_entries(self.ledger, "test")
            chosen = [each for each in self._chosen() if each.key not in known]
            names = list(dict.fromkeys(each.name for each in chosen))
            self._measure("test", names, lambda name: _tested(self.data, name, chosen))
        return results.kept_references(self.ledger, test=test)

    def missing(self) -> dict[ReferenceName, Cost]:
        """Those that are not measured on the validation rows yet, with what that takes.

        Those that would take too much time or memory are announced.
        """
        data, known = self.data, {each.name for each in self._chosen()}
        users, items = data.dataset.users.rows, data.dataset.movies.rows
        costs = costs_of(data.splits.train, users, items, data.judge)
        memory = available_memory() // MEMORY_SHARE
        unknown = {name: cost for name, cost in costs.items() if name not in known}
        for name, cost in unknown.items():
            if not _is_affordable(cost, memory):
                self.announce(
                    f"{reference_title(name)} is left out: for {users:,} users and {items:,} items "
                    f"it takes some {cost.seconds / 60:,.0f} min and {cost.memory / 2**30:,.1f} "
                    f"GiB; at most {MOST_SECONDS / 60:.0f} min and {memory / 2**30:.1f} GiB are "
                    "spent"
                )
        return {name: cost for name, cost in unknown.items() if _is_affordable(cost, memory)}

    def _measure(
        self,
        split: str,
        names: Sequence[ReferenceName],
        measure: Callable[[ReferenceName], dict[str, Any]],
    ) -> None:
        if names:
            self.announce(f"measuring on the {split} rows, once: {_said(names)}")
        for name in names:
            if reason := self.stop_reason():
                raise KeyboardInterrupt(reason)
            results.keep_reference(self.ledger, split, name, measure(name))

    def _chosen(self) -> list[ReferenceSettings]:
        """What was chosen on the validation rows."""
        return [
            ReferenceSettings(
                name=cast("ReferenceName", key.removesuffix(UNSEEN)),
                parameters=entry["parameters"],
                unseen=key.endswith(UNSEEN),
            )
            for key, entry in results.reference_entries(self.ledger, "validation").items()
        ]


def slice_users(data: StudyData, ledger: results.Ledger) -> Mapping[str, int]:
    """How many users each slice of the test rows has, by its name; counted once."""

    def count() -> dict[str, int]:
        splits, items = data.splits, data.dataset.movies.rows
        return data.judge.users_in_slices(splits.before_test, splits.test, items)

    return ledger.computed(results.SLICES, count)


def validated(data: StudyData, name: ReferenceName) -> dict[str, Any]:
    """A reference with its best settings on the validation rows: one or two entries, by key."""
    splits, judge = data.splits, data.judge
    counts = (data.dataset.users.rows, data.dataset.movies.rows)
    chosen = choose_reference(name, splits.train, splits.validation, *counts, judge)
    return {settings.key: _of_reference(settings, metrics, "val") for settings, metrics in chosen}


def _tested(
    data: StudyData, name: ReferenceName, chosen: Sequence[ReferenceSettings]
) -> dict[str, Any]:
    """What was chosen for a reference, on the test rows."""
    rows, test, judge = data.splits.before_test, data.splits.test, data.judge.of_test
    counts = (data.dataset.users.rows, data.dataset.movies.rows)
    found = {}
    for each in chosen:
        if each.name == name:
            score = fit_reference(each, rows, *counts)
            found[each.key] = _of_reference(each, judge(score, rows, test, counts[1]), "test")
    return found


def _of_reference(
    settings: ReferenceSettings, metrics: RankingMetrics | ListMetrics, split: str
) -> dict[str, Any]:
    return {
        "parameters": dict(settings.parameters),
        "metrics": metrics.named(split),
        "users": texts_of(metrics.by_user, split),
        "measured_ms": round(time.time() * 1000),
    }


def _is_affordable(cost: Cost, memory: int) -> bool:
    return cost.memory <= memory and cost.seconds <= MOST_SECONDS


def _said(names: Sequence[str]) -> str:
    return ", ".join(map(reference_title, names))


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
