"""The runs of one study: the parent, its trials, and the results beside them."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, StudyState, TrialRecord, best_of
from search.tracking.connection import Connection
from search.tracking.content import (
    RunContent,
    StoredRun,
    best_measurement,
    best_tags,
    changed_ranks,
    confirmation_content,
    reference_content,
    retrain_content,
    study_content,
    trial_content,
)
from search.tracking.names import RANK, StudyContext
from search.tracking.writing import How, Live, Reconciliation, Writer

if TYPE_CHECKING:
    from search.tracking.store import Store

REPORT = "report.html"  # the artifact of the study's run that others write

LIVE_EVERY_S = 2.0  # seconds between two updates of a trial's live curve; an update costs 10 ms

PORTION_S = 2.0
"""Seconds that a reconciliation keeps other processes, and live trials, waiting at most."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a study holds beside its trials; re-trainings with the folder of the towers kept."""

    references: Sequence[ReferenceRecord] = ()
    retrainings: Sequence[tuple[RetrainRecord, Path | None]] = ()
    confirmations: Sequence[ConfirmationRecord] = ()

    def contents(self, context: StudyContext) -> list[tuple[RunContent, Path | None]]:
        """The content of a run for each, with its towers."""
        return [
            *((reference_content(record, context), None) for record in self.references),
            *((retrain_content(record, context), towers) for record, towers in self.retrainings),
            *((confirmation_content(record, context), None) for record in self.confirmations),
        ]


@dataclass(frozen=True, kw_only=True)
class LoggedResult:
    """The run of a result, and what had to be done to it; None where it held everything."""

    run_id: str
    name: str
    how: How | None


class StudyRuns:
    """Parent, trials and results. Methods raise what mlflow raises, and may be repeated."""

    def __init__(self, connection: Connection) -> None:
        self.settled: set[int] = set()  # numbers of the trials that MLflow is known to hold
        self._connection = connection
        self._live: dict[int, Live] = {}
        self._run_ids: dict[int, str] = {}
        self._is_running = False
        self._best_value = -math.inf
        self._ranks: dict[int, str] = {}

    def is_live(self, number: int) -> bool:
        """Whether epochs of the trial can be taken."""
        return number in self._live

    def start(self, trial: TrialRecord, *, late: bool = False) -> None:
        """Make the run of a trial that began, RUNNING.

        Where this failed before, late, the run may be there, though its answer was lost.
        """
        if not self._is_running:
            self._reopen_parent()
        content = self.content_of(trial)
        run = (self._find(content) if late else None) or self._writer.begin(content)
        self._live[trial.number] = Live(run)
        self._run_ids[trial.number] = run.run_id

    def take(self, number: int, point: CurvePoint) -> bool:
        """Keep an epoch of a trial; returns whether it is time to send some."""
        live = self._live[number]
        live.take(point)
        is_validated = any(name.startswith("val_") for name in point.metrics)
        return is_validated and time.monotonic() - live.sent_at_s >= LIVE_EVERY_S

    def send(self, number: int) -> None:
        """Send the epochs of a trial that were kept."""
        self._live[number].send(self._store)

    def finish(self, trial: TrialRecord, towers: Path | None) -> None:
        """Complete and close the run of a trial; the parent points to the best one."""
        content = self.content_of(trial)
        if live := self._live.get(trial.number):  # a person may have edited it meanwhile
            run, sent_epoch = self._store.get_run(live.run_id), live.sent_epoch
        else:
            run, sent_epoch = self._find(content) or self._writer.begin(content), 0
        self._writer.finish(run, content, towers, sent_epoch=sent_epoch)
        self._run_ids[trial.number] = run.run_id
        if towers is not None and (trial.value or 0.0) >= self._best_value:
            tags = best_tags(trial, run.run_id)
            self._store.log(self._parent_id, metrics=best_measurement(trial), tags=tags)
            self._best_value = trial.value or 0.0
        self.settled.add(trial.number)

    def finish_missed(self, trial: TrialRecord, towers: Path | None) -> None:
        """The same later on, when other processes may be adding what MLflow lacks."""
        with self._connection.alone():
            self.finish(trial, towers)

    def forget(self, number: int) -> None:
        """Let go of a trial that runs no more."""
        self._live.pop(number, None)

    def reconciliation(self, towers_of: Callable[[int], Path | None]) -> Reconciliation:
        """A comparison that has not begun; see there."""
        return Reconciliation(self.content_of, towers_of, self._run_ids, self._ranks)

    def reconcile(
        self, reconciliation: Reconciliation, trials: Sequence[TrialRecord], until: float
    ) -> bool:
        """A portion of a reconciliation: until then at most; whether it came to the end."""
        try:
            with self._connection.alone() as writer:
                portion_ends = min(until, time.monotonic() + PORTION_S)
                return reconciliation.run(writer, trials, portion_ends)
        finally:
            self.settled |= reconciliation.settled

    def content_of(self, trial: TrialRecord) -> RunContent:
        """The content of a trial's run."""
        return trial_content(trial, self._connection.context, self._parent_id)

    def finish_study(self, trials: Sequence[TrialRecord], state: StudyState) -> None:
        """Bring the parent up to date and close it; other processes and people write it, too."""
        content = self._study_content(trials, state)
        changed = changed_ranks(trials, self._ranks)
        known = {n: rank for n, rank in changed.items() if n in self._run_ids}
        self._store.tag_runs(RANK, {self._run_ids[n]: rank for n, rank in known.items()})
        self._ranks.update(known)
        self._writer.finish(self._store.get_run(self._parent_id), content)
        self._is_running = False

    def complete_study(self, trials: Sequence[TrialRecord], state: StudyState) -> bool:
        """The same where something is missing, the report included; returns whether it was."""
        parent = self._store.get_run(self._parent_id)
        files = () if self._store.refuses_artifacts else (REPORT,)
        is_whole = self._writer.holds(parent, self._study_content(trials, state), files=files)
        if is_whole and not changed_ranks(trials, self._ranks):
            return False
        self.finish_study(trials, state)
        return True

    def log_report(self, report: Path) -> None:
        """Keep the study's report with the parent, in the place of an earlier one."""
        self._store.upload(self._parent_id, REPORT, report.read_bytes())

    def log_results(self, results: Results) -> list[LoggedResult]:
        """Have each result's run hold it; once, however often asked."""
        logged = []
        for content, towers in results.contents(self._connection.context):
            with self._connection.alone() as writer:
                found = writer.find(content)
                run_id, how = writer.ensure(content, found[0] if found else None, towers)
            logged.append(LoggedResult(run_id=run_id, name=content.name, how=how))
        return logged

    def _reopen_parent(self) -> None:
        content = study_content(self._connection.context)
        parent = self._store.get_run(self._parent_id)
        self._store.reopen(parent.run_id)
        self._store.log(parent.run_id, tags=content.tags_over(parent.tags))
        self._is_running = True

    def _study_content(self, trials: Sequence[TrialRecord], state: StudyState) -> RunContent:
        best = best_of(trials)
        if best and best.number not in self._run_ids and (run := self._find(self.content_of(best))):
            self._run_ids[best.number] = run.run_id
        best_run_id = self._run_ids.get(best.number) if best else None
        return study_content(self._connection.context, trials, state=state, best_run_id=best_run_id)

    def _find(self, content: RunContent) -> StoredRun | None:
        """The run of a trial that another process began, or this one with its answer lost."""
        return next(iter(self._writer.find(content)), None)

    @property
    def _parent_id(self) -> str:
        return self._connection.parent_id

    @property
    def _writer(self) -> Writer:
        return self._connection.writer

    @property
    def _store(self) -> "Store":
        return self._writer.store
