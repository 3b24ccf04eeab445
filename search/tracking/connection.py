"""MLflow, reached: checked before any work, connected to when it is first needed, read back."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from search.records.errors import InputError
from search.storage.sqlite_files import make_whole
from search.tracking.circuit import GOES_ON, Circuit
from search.tracking.content import study_content
from search.tracking.destination import (
    Destination,
    bring_along,
    check_writable,
    locked,
    prepare_environment,
    resolve_uri,
)
from search.tracking.names import KIND, STUDY, STUDY_NAME, LoggedKind, LoggedRun, StudyContext
from search.tracking.writing import Writer

if TYPE_CHECKING:
    from search.tracking.store import Store

Result = TypeVar("Result")

Lock = Callable[[], AbstractContextManager[None]]
"""Makes a lock that one process at a time holds; waiting for it ends, with an exception."""

STUDY_FILE = "study.toml"

PATIENCE_S = 8.0  # seconds a server has to give its first answer

EVERY_EPOCH = "train_loss"  # a metric that every epoch has


def check_mlflow(
    uri: str | None,
    name: str,
    *,
    folder: Path,
    warn: Callable[[str], None],
    key: str | None = None,
    must_answer: bool = True,
    consequence: str = GOES_ON,
) -> Circuit:
    """Check that the runs of a study can be written, before any work and without writing anything.

    The study finds its runs by ``key``, or by its name. A server that does not answer is refused if
    it ``must_answer``; it is a warning otherwise, ended by the ``consequence``.

    Returns:
        The circuit that a tracker shall use: open where the server does not answer.

    Raises:
        InputError: the URI is malformed, a folder is not writable, the database is of something
            else, the experiment was deleted, the server refuses or does not answer within ten
            seconds. Nothing was written.
    """
    destination = resolve_uri(uri, folder)
    database = destination.database
    prepare_environment()
    from search.tracking import store as mlflow_store  # here, for mlflow takes 1.5 s to import

    explain = partial(mlflow_store.explain, destination=destination)
    circuit = Circuit(warn, explain, consequence=consequence)
    try:
        # A process that is making the database holds the lock, whose file exists then.
        with locked(folder) if (folder / ".lock").exists() else nullcontext():
            check_writable(destination, folder)
            # A database that is missing or empty is made later.
            if database is None or (database.exists() and database.stat().st_size):
                connect(destination, name, key or name)
    except InputError:
        raise
    except Exception as error:
        silent = database is None and not mlflow_store.is_refusal(error)
        if must_answer or not silent:
            remedy = (
                "check the tracking URI, or leave it out to use the local database"
                if database is None
                else f"move {database} away if it stays so: it is made again, and search.sync adds "
                "the runs of a study"
            )
            raise InputError(
                f"MLflow must be usable before a search starts, but {explain(error)}; {remedy}"
            ) from error
        circuit.fail(error)
    return circuit


class Connection:
    """Connects when it is first asked for something, and again later if that failed.

    Its properties raise what mlflow raises.

    The lock is held while experiment and parent run are found or made; without one, that of the
    folder, which the processes of this machine share.
    """

    def __init__(
        self,
        destination: Destination,
        context: StudyContext,
        *,
        folder: Path,
        lock: Lock | None = None,
        warn: Callable[[str], None] = lambda _line: None,
        announce: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._warn = warn
        self._announce = announce
        self.destination = destination
        self.context = context
        self.folder = folder
        self._lock: Lock = lock or partial(locked, folder)
        self._opened: tuple[Writer, str] | None = None

    @property
    def writer(self) -> Writer:
        """Writes into the study's experiment."""
        return self._open()[0]

    @property
    def parent_id(self) -> str:
        """The id of the study's run."""
        return self._open()[1]

    @contextmanager
    def alone(self) -> Iterator[Writer]:
        """The writer, while no other process makes runs that are missing."""
        writer = self.writer
        with self._lock():
            yield writer

    def _open(self) -> tuple[Writer, str]:
        if self._opened is None:
            # A server that does not answer leaves no trace, not even the lock.
            database = self.destination.database
            with locked(self.folder) if database is not None else nullcontext():
                if database is not None:
                    bring_along(database, self._announce)
                store = connect(self.destination, self.context.name, self.context.key, self._warn)
            with self._lock():
                experiment_id = store.experiment(
                    self.context.name, self.context.key, self.context.objective
                )
                writer = Writer(store, experiment_id, self.context)
                content = study_content(self.context)
                found = writer.find(content)
                parent = found[0] if found else writer.begin(content)
                store.upload(parent.run_id, STUDY_FILE, self.context.spec_text.encode())
                self._opened = writer, parent.run_id
        return self._opened


def connect(
    destination: Destination,
    name: str,
    key: str,
    warn: Callable[[str], None] = lambda _line: None,
) -> "Store":
    """A store that was asked for a study's experiment; a database is made where there is none.

    Raises:
        InputError: the experiment was deleted.
        TimeoutError: a server does not answer in time.
        Exception: whatever mlflow raises.
    """
    from search.tracking.store import Store, make_database  # here: mlflow takes 1.5 s to import

    def ask() -> Store:
        store = Store(destination, warn)
        store.find_experiment(name, key)
        return store

    database = destination.database
    if database is None:
        return _within(PATIENCE_S, ask)
    database.parent.mkdir(parents=True, exist_ok=True)
    make_whole(database, partial(make_database, artifacts=database.parent))
    return ask()


def _within(seconds: float, action: Callable[[], Result]) -> Result:
    """Run an action in a thread and wait for it; a TimeoutError if it takes longer than that.

    The limits of HTTP do not cover the look-up of a host name, and the user may have raised them.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(action())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)


def read_run(uri: str | None, run_id: str, *, folder: Path) -> LoggedRun:
    """Read a trial's run or that of a re-training, with the study file of its study.

    InputError where MLflow cannot be used, has no such run, or it is no run that can be trained.
    """
    destination = resolve_uri(uri, folder)
    if destination.database is not None and not destination.database.is_file():
        raise InputError(
            f"there is no MLflow database {destination.database}; search a study first, or name "
            "another with --tracking-uri"
        )
    prepare_environment()
    from search.tracking import store as mlflow_store  # here, for mlflow takes 1.5 s to import

    try:
        return _read(mlflow_store.Store(destination), run_id)
    except InputError:
        raise
    except Exception as error:
        cause = mlflow_store.explain(error, destination)
        raise InputError(
            f"run {run_id!r} cannot be read: {cause}; its id stands on its page in MLflow"
        ) from error


def _read(store: "Store", run_id: str) -> LoggedRun:
    run = store.get_run(run_id)
    kind = run.tags.get(KIND)
    if kind not in ("trial", "retrain"):
        raise InputError(
            f"RUN_ID must be the run of a trial or of a re-training but {run_id} is "
            + (f"of kind {kind!r}" if kind else "no run of ours")
        )
    experiment_id, study = store.experiment_of(run_id)
    parents = store.find_runs(experiment_id, {STUDY: run.tags[STUDY], KIND: "study"})
    if not parents:
        raise InputError(f"run {run_id} cannot be reproduced: the run of its study is gone")
    return LoggedRun(
        run_id=run_id,
        name=run.tags.get("mlflow.runName", run_id),
        study=parents[0].tags.get(STUDY_NAME, study),
        kind=cast("LoggedKind", kind),
        params=run.params,
        metrics=run.latest,
        tags=run.tags,
        epochs=store.last_step(run_id, EVERY_EPOCH),
        spec_text=store.text_of(parents[0].run_id, STUDY_FILE),
    )
