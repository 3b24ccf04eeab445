"""What the search calls to have its study tracked in MLflow."""

import getpass
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from search.errors import InputError
from search.promotion import Confirmed
from search.retrained import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.tracking.circuit import Circuit
from search.tracking.content import (
    KIND,
    REFERENCE,
    SOURCE_TRIAL,
    STUDY,
    TOWERS,
    TRIAL,
    RunContent,
    StudyState,
    best_measurement,
    best_tags,
    confirmation_content,
    reference_content,
    retrain_content,
    retrain_key,
    study_content,
    trial_content,
)
from search.tracking.context import StudyContext
from search.tracking.destination import Destination, check_writable, locked, resolve_uri
from search.tracking.environment import prepare_environment
from search.tracking.models import Models, Published
from search.tracking.pictures import study_pictures, trial_pictures
from search.tracking.reconciliation import Reconciled, Reconciliation, runs_of
from search.tracking.writing import Held, Writer, held
from search.trials import CurvePoint, TrialRecord, best_of

if TYPE_CHECKING:
    from search.tracking.store import Store

Result = TypeVar("Result")

STUDY_FILE = "study.toml"
LIVE_EVERY_S = 2.0
"""Seconds between two updates of a trial's live curve; an update costs 10 ms."""

PATIENCE_S = 8.0
"""Seconds a server has to give its first answer."""


def open_tracker(
    uri: str | None,
    context: StudyContext,
    *,
    folder: Path,
    warn: Callable[[str], None],
) -> "Tracker":
    """Connect to MLflow and find or make the study's experiment and parent run.

    Args:
        uri: ``http(s)://...`` or ``sqlite:///...``; None for the database in the folder.
        context: what the runs carry about their study.
        folder: of the default database, its artifacts and the lock, usually ``mlruns``.
        warn: told once, in one line, when MLflow fails later on.

    Raises:
        InputError: the URI is malformed, nothing answers there within ten seconds, a folder is
            not writable, or the experiment was deleted. Nothing of the study was written.
    """
    destination = resolve_uri(uri, folder)
    check_writable(destination, folder)
    prepare_environment()
    from search.tracking import store as mlflow_store  # here, for mlflow takes 1.5 s to import

    try:
        connect = partial(_connect, destination, mlflow_store.Store, context)
        # A server that does not answer leaves no trace, not even the lock.
        server = _within(PATIENCE_S, connect) if destination.database is None else None
        with locked(folder):
            store = server or connect()  # under the lock where it makes the database
            writer = Writer(
                store, store.experiment(context.name, _experiment_note(context)), context
            )
            parent = _find_or_make_parent(writer)
    except InputError:
        raise
    except Exception as error:
        cause = mlflow_store.explain(error, destination)
        raise InputError(
            f"MLflow must be usable before a search starts, but {cause}; check the tracking URI, "
            "or leave it out to use the local database"
        ) from error
    circuit = Circuit(warn, partial(mlflow_store.explain, destination=destination))
    return Tracker(writer, parent, circuit, destination=destination, folder=folder)


class Tracker:
    """The runs of one study. After :func:`open_tracker` no method raises for MLflow's sake.

    Attributes:
        uri: the tracking URI for people and commands; user name and password are masked.
        experiment_id: MLflow's.
        parent_run_id: of the study's run.
        models: of the same MLflow; its methods do raise what mlflow raises.
    """

    def __init__(
        self,
        writer: Writer,
        parent: Held,
        circuit: Circuit,
        *,
        destination: Destination,
        folder: Path,
    ) -> None:
        self.uri = destination.shown
        self.models = Models(destination, folder)
        self.experiment_id = writer.experiment_id
        self.parent_run_id = parent.run_id
        self._writer = writer
        self._store = writer.store
        self._parent = parent
        self._circuit = circuit
        self._folder = folder
        self._user = _user()
        self._live: dict[int, Held] = {}
        self._run_ids: dict[int, str] = {}
        self._is_running = False

    def trial_started(self, trial: TrialRecord) -> None:
        """Make the run of a trial that just started, RUNNING, with what is known of it."""
        self._circuit.attempt(partial(self._start, trial), None)

    def epoch_finished(self, number: int, point: CurvePoint) -> None:
        """Take the next epoch of a trial; it is sent with a validated one, not too often."""
        run = self._live.get(number)
        if run is None:
            return
        run.waiting.append(point)
        is_validated = any(name.startswith("val_") for name in point.metrics)
        if is_validated and time.monotonic() - run.sent_at_s >= LIVE_EVERY_S:
            self._circuit.attempt(partial(self._writer.send_epochs, run), None)

    def trial_finished(self, trial: TrialRecord, towers: Path | None) -> None:
        """Complete and close the run of a trial, whatever its end.

        Args:
            trial: as the study has it now.
            towers: a folder with ``query_model.keras`` and ``candidate_model.keras`` when this
                trial improved the best; the parent then points to it.
        """
        self._circuit.attempt(partial(self._finish, trial, towers), None)
        self._live.pop(trial.number, None)

    def reconcile(
        self, trials: Sequence[TrialRecord], towers_of: Callable[[int], Path | None]
    ) -> Reconciled:
        """Make MLflow agree with the study: at the start and the end of a search.

        Makes runs that are missing, closes runs left RUNNING, completes runs that lack
        something; of trials under way nothing is touched. One search when nothing is to do.
        It tries even if MLflow failed a moment ago.

        Args:
            trials: all of the study.
            towers_of: the folder of a trial's saved towers, by number, or None.
        """
        unreached = Reconciled(reached=False)
        action = partial(self._reconcile, trials, towers_of)
        return self._circuit.attempt(action, unreached, even_if_open=True)

    def study_finished(self, trials: Sequence[TrialRecord], state: StudyState) -> None:
        """Bring the parent run up to date and close it.

        Args:
            trials: all of the study.
            state: ``complete`` (the budget is met), ``interrupted`` or ``failed``.
        """
        self._circuit.attempt(partial(self._finish_study, trials, state), None)

    def log_retrain(self, record: RetrainRecord, towers: Path | None) -> str | None:
        """Make the run of a re-trained model, in the same experiment; once, however often asked.

        Args:
            record: the training and its test.
            towers: a folder with ``query_model.keras`` and ``candidate_model.keras``.

        Returns:
            The run's id; None when MLflow failed (after a warning).
        """
        return self._circuit.attempt(
            partial(self._log_retrain, record, towers), None, even_if_open=True
        )

    def log_references(self, references: Sequence[ReferenceRecord]) -> None:
        """Make a run for every reference, or bring it up to date, in the same experiment."""
        for reference in references:
            content = reference_content(reference, self._writer.context, user=self._user)
            wanted = {KIND: "reference", REFERENCE: reference.name}
            self._circuit.attempt(partial(self._log, content, wanted), None)

    def log_confirmation(self, record: ConfirmationRecord) -> str | None:
        """Make the run that sums up a confirmation, or bring it up to date.

        Returns:
            The run's id; None when MLflow failed (after a warning).
        """
        content = confirmation_content(record, self._writer.context, user=self._user)
        wanted = {KIND: "confirmation", SOURCE_TRIAL: str(record.trial)}
        action = partial(self._log, content, wanted)
        return self._circuit.attempt(action, None, even_if_open=True)

    def publish(
        self, run_id: str, folder: Path, confirmed: Confirmed, *, choice: bool | None = None
    ) -> Published | None:
        """Make a model of MLflow's registry, and the champion of it if it is better.

        Args:
            run_id: of the re-trained model, from :meth:`log_retrain`.
            folder: a recommender's, see :class:`deeprec.recommender.Recommender`.
            confirmed: what it was found to be worth.
            choice: whether it becomes the champion; None to compare it with the present one.

        Returns:
            What was made and decided; None when MLflow failed (after a warning).
        """
        action = partial(self.models.publish, run_id, folder, confirmed, choice=choice)
        return self._circuit.attempt(action, None, even_if_open=True)

    def _start(self, trial: TrialRecord) -> None:
        if not self._is_running:
            self._reopen_parent()
        run = self._writer.begin(self._content_of(trial))
        self._live[trial.number] = run
        self._run_ids[trial.number] = run.run_id

    def _reopen_parent(self) -> None:
        content = study_content(self._writer.context, user=self._user)
        self._store.reopen(self.parent_run_id)
        self._store.log(self.parent_run_id, tags=content.tags)
        self._is_running = True

    def _finish(self, trial: TrialRecord, towers: Path | None) -> None:
        content = self._content_of(trial)
        run = self._live.get(trial.number) or self._find(content) or self._writer.begin(content)
        self._writer.finish(run, content, pictures=trial_pictures(trial), towers=towers)
        self._run_ids[trial.number] = run.run_id
        if towers is not None:
            tags = best_tags(trial, run.run_id)
            self._store.log(self.parent_run_id, metrics=best_measurement(trial), tags=tags)

    def _find(self, content: RunContent) -> Held | None:
        """The run of a trial that another process began, or this one with its answer lost."""
        wanted = {**self._trial_filter, TRIAL: content.tags[TRIAL]}
        runs = runs_of(content, self._store.find_runs(self.experiment_id, wanted))
        return held(runs[0]) if runs else None

    def _reconcile(
        self, trials: Sequence[TrialRecord], towers_of: Callable[[int], Path | None]
    ) -> Reconciled:
        with locked(self._folder):
            stored = self._store.find_runs(self.experiment_id, self._trial_filter)
            reconciliation = Reconciliation(self._writer, self._content_of, towers_of)
            result = reconciliation.run(trials, stored)
        self._run_ids.update(reconciliation.run_ids)
        return result

    def _finish_study(self, trials: Sequence[TrialRecord], state: StudyState) -> None:
        best = best_of(trials)
        content = study_content(
            self._writer.context,
            trials,
            state=state,
            user=self._user,
            best_run_id=self._run_id_of(best) if best else None,
        )
        parent = replace(self._parent, tags={})  # other processes write the parent's tags, too
        self._writer.finish(parent, content, pictures=study_pictures(trials))
        self._is_running = False

    def _run_id_of(self, trial: TrialRecord) -> str | None:
        if trial.number not in self._run_ids and (found := self._find(self._content_of(trial))):
            self._run_ids[trial.number] = found.run_id
        return self._run_ids.get(trial.number)

    def _log_retrain(self, record: RetrainRecord, towers: Path | None) -> str:
        content = retrain_content(
            record, self._writer.context, user=self._user, has_towers=towers is not None
        )
        return self._log(content, {KIND: "retrain", **retrain_key(record)}, towers)

    def _log(
        self, content: RunContent, wanted: Mapping[str, str], towers: Path | None = None
    ) -> str:
        """A finished run of the study, apart from its trials: the one with these tags, or new."""
        found = self._store.find_runs(
            self.experiment_id, {STUDY: self._writer.context.key, **wanted}
        )
        run = held(found[0]) if found else self._writer.begin(content)
        has_towers = TOWERS in run.tags
        self._writer.finish(
            run, content, pictures={}, towers=None if has_towers and found else towers
        )
        return run.run_id

    def _content_of(self, trial: TrialRecord) -> RunContent:
        return trial_content(
            trial, self._writer.context, parent_run_id=self.parent_run_id, user=self._user
        )

    @property
    def _trial_filter(self) -> dict[str, str]:
        return {STUDY: self._writer.context.key, KIND: "trial"}


def _connect(
    destination: Destination, connect: Callable[[Destination], "Store"], context: StudyContext
) -> "Store":
    """A store that has answered once."""
    store = connect(destination)
    store.ping(context.name)
    return store


def _within(seconds: float, action: Callable[[], Result]) -> Result:
    """Run an action in a thread and wait for it, but not for longer than that.

    The limits of HTTP do not cover the look-up of a host name, and the user may have raised them.

    Raises:
        TimeoutError: it takes longer.
        Exception: whatever the action raises.
    """
    outcome: list[Result | Exception] = []

    def run() -> None:
        try:
            outcome.append(action())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _find_or_make_parent(writer: Writer) -> Held:
    context = writer.context
    wanted = {STUDY: context.key, KIND: "study"}
    found = writer.store.find_runs(writer.experiment_id, wanted)
    parent = held(found[0]) if found else writer.begin(study_content(context, user=_user()))
    writer.store.upload(parent.run_id, {STUDY_FILE: context.spec_text.encode()})
    return parent


def _experiment_note(context: StudyContext) -> str:
    return (
        f"Study `{context.name}`: open its parent run for the result, select its child runs and "
        "press Compare for the trials."
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return "unknown"
