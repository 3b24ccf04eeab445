"""What the search calls to have its study tracked in MLflow."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from search.analysis.verdict import Confirmed, Evidence
from search.records.events import EpochFinished, TrialEvent, TrialFinished, TrialStarted
from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import CurvePoint, StudyState, TrialRecord, best_of
from search.tracking.circuit import SLOW_S, Circuit
from search.tracking.connection import Connection, Lock, check_mlflow
from search.tracking.content import (
    RunContent,
    StoredRun,
    best_measurement,
    best_tags,
    changed_front,
    changed_ranks,
    study_content,
    trial_content,
)
from search.tracking.destination import locked, resolve_uri
from search.tracking.models import ModelVersion, Published, publish
from search.tracking.names import FRONT, RANK, StudyContext
from search.tracking.writing import (
    Live,
    LoggedResult,
    Reconciled,
    Reconciliation,
    Results,
    TowersOf,
    Writer,
)

if TYPE_CHECKING:
    from search.tracking.store import Store

Result = TypeVar("Result")

REPORT = "report.html"  # the artifact of the study's run that others write

LIVE_EVERY_S = 2.0  # seconds between two updates of a trial's live curve; an update costs 10 ms

PORTION_S = 2.0
"""Seconds that a reconciliation keeps other processes, and live trials, waiting at most."""

CATCH_UP_S = 2.0  # seconds for what MLflow missed, after each live event that it took

RECONCILE_S = 30.0
"""Seconds after which the end of a search starts on no further trial that MLflow lacks."""

SLOW_PORTION_S = 30.0  # seconds after which a portion of it, with its search for runs, is too slow


def open_tracker(
    uri: str | None,
    context: StudyContext,
    *,
    folder: Path,
    warn: Callable[[str], None],
    announce: Callable[[str], None] = lambda _line: None,
    circuit: Circuit | None = None,
    lock: Lock | None = None,
) -> "Tracker":
    """The study in MLflow; its experiment and parent run are found or made on the first use.

    The URI is ``http(s)://...`` or ``sqlite:///...``; None for the database in the folder. The
    circuit is that of :func:`~search.tracking.connection.check_mlflow`, which is called when None.

    Raises:
        InputError: there is no circuit, and MLflow cannot be used.
    """
    circuit = circuit or check_mlflow(uri, context.name, folder=folder, warn=warn, key=context.key)
    connection = Connection(
        resolve_uri(uri, folder), context, folder=folder, lock=lock, warn=warn, announce=announce
    )
    return Tracker(connection, circuit, announce=announce)


class Tracker:
    """The runs of one study. No method raises for MLflow's sake; its properties do.

    The private ones above the circuit raise what mlflow raises, and may be repeated.
    """

    def __init__(
        self,
        connection: Connection,
        circuit: Circuit,
        *,
        announce: Callable[[str], None] = lambda _line: None,
    ) -> None:
        # the tracking URI for people and commands; user name and password are masked
        self.uri = connection.destination.shown
        self._connection = connection
        self._circuit = circuit
        self._announce = announce
        self._live: dict[int, Live] = {}
        self._unstarted: dict[int, TrialRecord] = {}
        self._ended: dict[int, tuple[TrialRecord, Path | None]] = {}
        self._settled: set[int] = set()  # numbers of the trials that MLflow is known to hold
        self._run_ids: dict[int, str] = {}
        self._places: Mapping[str, dict[int, str]] = {RANK: {}, FRONT: {}}
        self._is_running = False  # whether its parent run was opened again
        self._best_value = -math.inf
        self._backlog: tuple[Reconciliation, Sequence[TrialRecord]] | None = None
        self._has_announced_backlog = False

    @property
    def experiment_id(self) -> str:
        """MLflow's id of the study's experiment."""
        return self._writer.experiment_id

    @property
    def parent_run_id(self) -> str:
        """MLflow's id of the study's run."""
        return self._connection.parent_id

    @property
    def refuses_files(self) -> bool:
        """Whether MLflow was found to take no files, after a warning."""
        return self._store.refuses_artifacts

    @property
    def _writer(self) -> Writer:
        return self._connection.writer

    @property
    def _store(self) -> "Store":
        return self._writer.store

    # --- live ---------------------------------------------------------------------------------

    def hear(self, event: TrialEvent) -> None:
        """Bring the run of a trial up to date; MLflow is written to before this returns."""
        match event:
            case TrialStarted(trial):
                if not self._told(partial(self._start, trial)):
                    self._unstarted[trial.number] = trial
            case EpochFinished(number, point):
                self._take(number, point)
            case TrialFinished(trial, towers):
                if not self._told(partial(self._finish, trial, towers)):
                    self._ended[trial.number] = (trial, towers)
                self._unstarted.pop(trial.number, None)
                self._live.pop(trial.number, None)

    def _start(self, trial: TrialRecord, *, late: bool = False) -> None:
        """Make the run of a trial that began, RUNNING.

        Where this failed before, late, the run may be there, though its answer was lost.
        """
        if not self._is_running:
            self._reopen_parent()
        content = self._content_of(trial)
        run = (self._find(content) if late else None) or self._writer.begin(content)
        self._live[trial.number] = Live(run)
        self._run_ids[trial.number] = run.run_id

    def _reopen_parent(self) -> None:
        content = study_content(self._connection.context)
        parent = self._store.get_run(self.parent_run_id)
        self._store.reopen(parent.run_id)
        self._store.log(parent.run_id, tags=content.tags_over(parent.tags))
        self._is_running = True

    def _take(self, number: int, point: CurvePoint) -> None:
        """Take the next epoch of a trial; it is sent with a validated one, not too often."""
        late = self._unstarted.get(number)
        if late and self._told(partial(self._start, late, late=True)):
            del self._unstarted[number]
        live = self._live.get(number)
        if live is None:
            return
        live.take(point)
        is_validated = any(name.startswith("val_") for name in point.metrics)
        if is_validated and time.monotonic() - live.sent_at_s >= LIVE_EVERY_S:
            self._told(lambda: live.send(self._store))

    def _finish(self, trial: TrialRecord, towers: Path | None) -> None:
        """Complete and close the run of a trial; the parent points to the best one."""
        content = self._content_of(trial)
        if live := self._live.get(trial.number):  # a person may have edited it meanwhile
            run, sent_epoch = self._store.get_run(live.run_id), live.sent_epoch
        else:
            run, sent_epoch = self._find(content) or self._writer.begin(content), 0
        self._writer.finish(run, content, towers, sent_epoch=sent_epoch)
        self._run_ids[trial.number] = run.run_id
        if towers is not None and (trial.value or 0.0) >= self._best_value:
            tags = best_tags(trial, run.run_id)
            measured = best_measurement(trial, self._connection.context)
            self._store.log(self.parent_run_id, metrics=measured, tags=tags)
            self._best_value = trial.value or 0.0
        self._settled.add(trial.number)

    def _finish_missed(self, trial: TrialRecord, towers: Path | None) -> None:
        """The same later on, when other processes may be adding what MLflow lacks."""
        with self._connection.alone():
            self._finish(trial, towers)

    def _missed(self) -> list[tuple[TrialRecord, Path | None]]:
        """Trials that ended while MLflow failed, and that it is not known to hold since."""
        self._ended = {n: end for n, end in self._ended.items() if n not in self._settled}
        return list(self._ended.values())

    def _content_of(self, trial: TrialRecord) -> RunContent:
        return trial_content(trial, self._connection.context, self.parent_run_id)

    def _find(self, content: RunContent) -> StoredRun | None:
        """The run of a trial that another process began, or this one with its answer lost."""
        return next(iter(self._writer.find(content)), None)

    # --- what MLflow lacks --------------------------------------------------------------------

    def reconcile(
        self,
        trials: Sequence[TrialRecord],
        towers_of: TowersOf,
        *,
        within_s: float | None = RECONCILE_S,
        tell: Callable[[int], None] = lambda _count: None,
    ) -> Reconciled:
        """Make MLflow agree with the study, even if it failed a moment ago.

        Of trials under way nothing is touched. It takes one search when nothing is to do.

        After ``within_s`` seconds no further trial is started on. ``tell`` takes how many trials
        are known to be there, after each portion.
        """
        reconciliation = self._reconciliation(towers_of)
        until = math.inf if within_s is None else time.monotonic() + within_s
        slow_s = SLOW_PORTION_S if within_s is not None else math.inf
        portion = partial(self._reconcile, reconciliation, trials, until)
        is_through: bool | None = False
        while is_through is False and time.monotonic() < until:
            is_through = self._attempt(portion, None, even_if_open=True, slow_s=slow_s)
            tell(len(reconciliation.settled))
            if self._circuit.is_open:
                break
        return replace(
            reconciliation.result,
            lacking=() if is_through else self._lacking(trials),
            reached=is_through is not None,
        )

    def reconcile_later(self, trials: Sequence[TrialRecord], towers_of: TowersOf) -> None:
        """Have :meth:`work_off` make MLflow agree with the study as it is at the start."""
        self._backlog = self._reconciliation(towers_of), trials
        self._has_announced_backlog = False

    def work_off(self) -> bool:
        """Do some of what was left for later; returns whether there is more to do at once."""
        if self._backlog is None:
            return False
        reconciliation, trials = self._backlog
        portion = partial(self._reconcile, reconciliation, trials, math.inf)
        is_through = self._attempt(portion, None, slow_s=SLOW_PORTION_S)
        ended = sum(trial.has_ended for trial in trials)
        if is_through:
            self._backlog = None
            if self._has_announced_backlog:
                self._announce(f"MLflow holds all {ended:,} trials that had ended")
        elif is_through is False and not self._has_announced_backlog:
            self._has_announced_backlog = True
            left = ended - len(reconciliation.settled)
            self._announce(f"adding up to {left:,} trials to MLflow, beside the search")
        return is_through is False

    def conclude(
        self,
        trials: Sequence[TrialRecord],
        towers_of: TowersOf,
        *,
        within_s: float = RECONCILE_S,
        tell: Callable[[int], None] = lambda _count: None,
    ) -> Reconciled:
        """Make MLflow agree with the study at the end of a search: first what was left for later.

        Arguments are those of :meth:`reconcile`, which follows where trials are lacking even so.
        """
        until = time.monotonic() + within_s
        while self.work_off() and time.monotonic() < until:
            tell(len(self._settled))
        lacking = self._lacking(trials)
        if not lacking and self._backlog is None:
            return Reconciled()
        if self._backlog is not None and not self._circuit.is_broken:  # there was not enough time
            return Reconciled(lacking=lacking)
        left_s = max(0.0, until - time.monotonic())
        return self.reconcile(trials, towers_of, within_s=left_s, tell=tell)

    def _reconciliation(self, towers_of: TowersOf) -> Reconciliation:
        return Reconciliation(self._content_of, towers_of, self._run_ids, self._places)

    def _reconcile(
        self, reconciliation: Reconciliation, trials: Sequence[TrialRecord], until: float
    ) -> bool:
        """A portion of a reconciliation: until then at most; whether it came to the end."""
        try:
            with self._connection.alone() as writer:
                portion_ends = min(until, time.monotonic() + PORTION_S)
                return reconciliation.run(writer, trials, portion_ends)
        finally:
            self._settled |= reconciliation.settled

    def _lacking(self, trials: Sequence[TrialRecord]) -> tuple[int, ...]:
        """Trials that ended, of which it is not known that MLflow holds them."""
        return tuple(t.number for t in trials if t.has_ended and t.number not in self._settled)

    # --- the study and its results ------------------------------------------------------------

    def study_finished(self, trials: Sequence[TrialRecord], state: StudyState) -> bool:
        """Bring the parent run up to date and close it, unless other processes run trials.

        Returns whether MLflow took it.
        """
        if any(trial.state == "running" for trial in trials):
            return True
        return self._took(partial(self._finish_study, trials, state))

    def study_completed(self, trials: Sequence[TrialRecord], state: StudyState) -> bool | None:
        """The same where the parent lacks something, even if MLflow failed a moment ago.

        Returns whether it lacked something; None when MLflow failed.
        """
        if any(trial.state == "running" for trial in trials):
            return False
        return self._insist(partial(self._complete_study, trials, state))

    def _finish_study(self, trials: Sequence[TrialRecord], state: StudyState) -> None:
        """Other processes and people write the parent, too."""
        content = self._study_content(trials, state)
        for tag, changed in self._changed_places(trials).items():
            known = {n: text for n, text in changed.items() if n in self._run_ids}
            self._store.tag_runs(tag, {self._run_ids[n]: text for n, text in known.items()})
            self._places[tag].update(known)
        self._writer.finish(self._store.get_run(self.parent_run_id), content)
        self._is_running = False

    def _complete_study(self, trials: Sequence[TrialRecord], state: StudyState) -> bool:
        """The same where something is missing, the report included; returns whether it was."""
        parent = self._store.get_run(self.parent_run_id)
        files = () if self.refuses_files else (REPORT,)
        is_whole = self._writer.holds(parent, self._study_content(trials, state), files=files)
        if is_whole and not any(self._changed_places(trials).values()):
            return False
        self._finish_study(trials, state)
        return True

    def _changed_places(self, trials: Sequence[TrialRecord]) -> dict[str, Mapping[int, str]]:
        """What is to be written of the tags that say the places of trials, by their names."""
        front = changed_front(trials, self._connection.context, self._places[FRONT])
        return {RANK: changed_ranks(trials, self._places[RANK]), FRONT: front}

    def _study_content(self, trials: Sequence[TrialRecord], state: StudyState) -> RunContent:
        best = best_of(trials)
        if (
            best
            and best.number not in self._run_ids
            and (run := self._find(self._content_of(best)))
        ):
            self._run_ids[best.number] = run.run_id
        best_run_id = self._run_ids.get(best.number) if best else None
        return study_content(self._connection.context, trials, state=state, best_run_id=best_run_id)

    def log_report(self, report: Path) -> None:
        """Keep the study's report with its parent run, in the place of an earlier one."""

        def upload() -> None:
            self._store.upload(self.parent_run_id, REPORT, report.read_bytes())

        self._attempt(upload, None, slow_s=math.inf)

    def log_retrain(self, record: RetrainRecord, towers: Path | None) -> str | None:
        """The id of the run of a re-trained model with its towers, made or completed.

        None when MLflow failed (after a warning), here and below.
        """
        logged = self.log_results(Results(retrainings=[(record, towers)]))
        return logged[0].run_id if logged else None

    def log_references(self, references: Sequence[ReferenceRecord]) -> None:
        """Make a run for every reference, or bring it up to date, in the same experiment."""
        for reference in references:
            self._took(partial(self._log_results, Results(references=[reference])))

    def log_confirmation(self, record: ConfirmationRecord) -> str | None:
        """The id of the run that sums up a confirmation, made or completed."""
        logged = self.log_results(Results(confirmations=[record]))
        return logged[0].run_id if logged else None

    def log_results(self, results: Results) -> list[LoggedResult] | None:
        """Make or complete the runs of all results, however long it takes."""
        return self._insist(partial(self._log_results, results))

    def _log_results(self, results: Results) -> list[LoggedResult]:
        """Have each result's run hold it; once, however often asked."""
        logged = []
        for content, towers in results.contents(self._connection.context):
            with self._connection.alone() as writer:
                found = writer.find(content)
                run_id, how = writer.ensure(content, found[0] if found else None, towers)
            logged.append(LoggedResult(run_id=run_id, name=content.name, how=how))
        return logged

    def publish(
        self,
        run_id: str,
        folder: Path,
        confirmed: Confirmed,
        evidence: Evidence,
        *,
        choice: bool | None = None,
        against: ModelVersion | None = None,
    ) -> Published | None:
        """Publish a model; None when MLflow failed or takes no files, after a warning.

        Arguments are those of :func:`search.tracking.models.publish`.
        """

        def action() -> Published | None:
            if self.refuses_files:
                return None
            from search.tracking.model_store import ModelStore  # here: it imports mlflow and Keras

            connection = self._connection
            store = ModelStore(connection.destination, connection.context.registered_model)
            with locked(self._connection.folder):
                return publish(
                    store, run_id, folder, confirmed, evidence, choice=choice, against=against
                )

        return self._insist(action)

    # --- the circuit --------------------------------------------------------------------------

    def _told(self, action: Callable[[], object]) -> bool:
        """Whether MLflow took it; if so, it is given some of what it missed as well."""
        if not self._took(action):
            return False
        until = time.monotonic() + CATCH_UP_S
        for trial, towers in self._missed():
            if not self._took(partial(self._finish_missed, trial, towers)):
                break
            if time.monotonic() >= until:
                break
        return True

    def _took(self, action: Callable[[], object]) -> bool:
        return self._attempt(lambda: (action(), True)[1], False)

    def _insist(self, action: Callable[[], Result | None]) -> Result | None:
        """What a person waits for: tried in any case, however long it takes."""
        return self._attempt(action, None, even_if_open=True, slow_s=math.inf)

    def _attempt(
        self,
        action: Callable[[], Result],
        otherwise: Result,
        *,
        even_if_open: bool = False,
        slow_s: float = SLOW_S,
    ) -> Result:
        was_broken, missed = self._circuit.is_broken, len(self._missed())
        result = self._circuit.attempt(action, otherwise, even_if_open=even_if_open, slow_s=slow_s)
        if was_broken and not self._circuit.is_broken:
            trials = "a trial that ended" if missed == 1 else f"{missed} trials that ended"
            adding = f"; adding {trials} meanwhile" if missed else ""
            self._announce(f"MLflow answers again{adding}")
        return result
