"""The parent run of a study and the runs of its trials; what fails here is up to the tracker."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from search.records.trials import CurvePoint, StudyState, TrialRecord, best_of
from search.tracking.connection import Connection, user_name
from search.tracking.content import (
    RunContent,
    best_measurement,
    best_tags,
    changed_ranks,
    study_content,
    trial_content,
)
from search.tracking.names import KIND, RANK, STUDY, TRIAL
from search.tracking.reconciliation import Reconciliation, is_whole
from search.tracking.texts import wanted_tags
from search.tracking.writing import Held, Writer, held

if TYPE_CHECKING:
    from search.tracking.store import Store

REPORT = "report.html"
"""The artifact of the study's run that others write."""

LIVE_EVERY_S = 2.0
"""Seconds between two updates of a trial's live curve; an update costs 10 ms."""

PORTION_S = 2.0
"""Seconds that a reconciliation keeps other processes, and live trials, waiting at most."""


class StudyRuns:
    """Parent and trials of one study. Methods raise what mlflow raises, and may be repeated.

    Args:
        connection: to the study's experiment.

    Attributes:
        settled: numbers of the trials that MLflow is known to hold.
    """

    def __init__(self, connection: Connection) -> None:
        self.settled: set[int] = set()
        self._connection = connection
        self._user = user_name()
        self._live: dict[int, Held] = {}
        self._run_ids: dict[int, str] = {}
        self._is_running = False
        self._best_value = -math.inf
        self._ranks: dict[int, str] = {}

    def is_live(self, number: int) -> bool:
        """Whether epochs of the trial can be taken."""
        return number in self._live

    def start(self, trial: TrialRecord, *, late: bool = False) -> None:
        """Make the run of a trial that runs, RUNNING.

        Args:
            trial: as it began.
            late: whether this failed before; the run may be there, though its answer was lost.
        """
        if not self._is_running:
            self._reopen_parent()
        content = self.content_of(trial)
        run = (self._find(content) if late else None) or self._writer.begin(content)
        self._live[trial.number] = run
        self._run_ids[trial.number] = run.run_id

    def take(self, number: int, point: CurvePoint) -> bool:
        """Keep an epoch of a trial; returns whether it is time to send some."""
        run = self._live[number]
        run.take(point)
        is_validated = any(name.startswith("val_") for name in point.metrics)
        return is_validated and time.monotonic() - run.sent_at_s >= LIVE_EVERY_S

    def send(self, number: int) -> None:
        """Send the epochs of a trial that were kept."""
        self._writer.send_epochs(self._live[number])

    def finish(self, trial: TrialRecord, towers: Path | None) -> None:
        """Complete and close the run of a trial; the parent points to the best one."""
        content = self.content_of(trial)
        if run := self._live.get(trial.number):
            run.tags = dict(self._store.get_run(run.run_id).tags)  # a person may have edited them
        else:
            run = self._find(content) or self._writer.begin(content)
        self._writer.finish(run, content, towers=towers)
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

    def reconcile(
        self, reconciliation: Reconciliation, trials: Sequence[TrialRecord], *, until: float
    ) -> bool:
        """A portion of a reconciliation.

        Args:
            reconciliation: of the study.
            trials: all of the study.
            until: by the monotonic clock; stop then, or after a portion.

        Returns:
            Whether it came to the end.
        """
        wanted = {STUDY: self._connection.context.key, KIND: "trial"}
        with self._connection.alone() as writer:
            stored = None
            if reconciliation.wants_runs:
                stored = writer.store.find_runs(writer.experiment_id, wanted)
                self._ranks = {int(r.tags[TRIAL]): r.tags[RANK] for r in stored if RANK in r.tags}
            until = min(until, time.monotonic() + PORTION_S)
            is_through = reconciliation.run(writer, trials, stored, until=until)
        self._run_ids.update(reconciliation.run_ids)
        return is_through

    def finish_study(self, trials: Sequence[TrialRecord], state: StudyState) -> None:
        """Bring the parent up to date and close it."""
        content = self._study_content(trials, state)
        self._rank(trials)
        parent = replace(self._connection.parent, tags=self._parent_tags)
        self._writer.finish(parent, content)
        self._is_running = False

    def complete_study(self, trials: Sequence[TrialRecord], state: StudyState) -> bool:
        """The same where something is missing, the report included; returns whether it was."""
        parent = self._store.get_run(self._parent_id)
        content = self._study_content(trials, state)
        has_inputs = bool(self._connection.context.rows)
        files = () if self._store.refuses_artifacts else (REPORT,)
        if is_whole(
            parent, content, None, has_inputs=has_inputs, files=files
        ) and not changed_ranks(trials, self._ranks):
            return False
        self.finish_study(trials, state)
        return True

    def log_report(self, report: Path) -> None:
        """Keep the study's report with the parent, in the place of an earlier one."""
        self._store.upload(self._parent_id, {REPORT: report.read_bytes()})

    def content_of(self, trial: TrialRecord) -> RunContent:
        """The content of a trial's run."""
        context = self._connection.context
        return trial_content(trial, context, parent_run_id=self._parent_id, user=self._user)

    def _rank(self, trials: Sequence[TrialRecord]) -> None:
        """Say on the runs of the best trials which place they have, where that changed."""
        changed = changed_ranks(trials, self._ranks)
        known = {n: rank for n, rank in changed.items() if n in self._run_ids}
        self._store.tag_runs(RANK, {self._run_ids[n]: rank for n, rank in known.items()})
        self._ranks.update(known)

    def _reopen_parent(self) -> None:
        content = study_content(self._connection.context, user=self._user)
        self._store.reopen(self._parent_id)
        self._store.log(self._parent_id, tags=wanted_tags(content, self._parent_tags))
        self._is_running = True

    def _study_content(self, trials: Sequence[TrialRecord], state: StudyState) -> RunContent:
        best = best_of(trials)
        return study_content(
            self._connection.context,
            trials,
            state=state,
            user=self._user,
            best_run_id=self._run_id_of(best) if best else None,
        )

    def _find(self, content: RunContent) -> Held | None:
        """The run of a trial that another process began, or this one with its answer lost."""
        runs = self._writer.find_trial(content)
        return held(runs[0]) if runs else None

    def _run_id_of(self, trial: TrialRecord) -> str | None:
        if trial.number not in self._run_ids and (found := self._find(self.content_of(trial))):
            self._run_ids[trial.number] = found.run_id
        return self._run_ids.get(trial.number)

    @property
    def _parent_id(self) -> str:
        return self._connection.parent.run_id

    @property
    def _parent_tags(self) -> dict[str, str]:
        """The tags of the study's run now: other processes and people write them, too."""
        return dict(self._store.get_run(self._parent_id).tags)

    @property
    def _writer(self) -> Writer:
        return self._connection.writer

    @property
    def _store(self) -> "Store":
        return self._writer.store
