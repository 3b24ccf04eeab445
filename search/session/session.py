"""One study in one folder: its file, its data, and where everything about it is kept."""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import optuna
from rich.console import Console

from deeprec.data.dataset import Dataset, Splits
from search.config.addresses import NextCommands, call, flag
from search.config.study import StudySpec, overridden
from search.config.workspace import Workspace
from search.display.terminal import Screen
from search.execution.data import StudyData, load_data
from search.execution.runtime import git_commit, library_versions
from search.records.errors import InputError
from search.scheduling.claim import Claim, worker_name
from search.scheduling.locks import Purpose, StudyLock, lock_of, within
from search.scheduling.samplers import make_sampler
from search.scheduling.watch import GRACE_SECONDS
from search.storage.databases import default_storage, may_write, safe_url
from search.storage.retry import Patience
from search.storage.study import load_study, recognized, refuse_other_study
from search.storage.towers import find_towers
from search.tracking import StudyContext, Tracker, check_mlflow, open_tracker, resolve_uri
from search.tracking.circuit import GOES_ON, Circuit

TRACKING_LOCK_SECONDS = 60.0
"""How long another process may make runs in MLflow."""


class Session:
    """What every command on a study needs; all that was given is checked, nothing is written.

    Args:
        spec: the study file, the command line's choices included.
        study_argument: how the command line named it.
        workspace: where everything is written.
        storage_url: database of the study; SQLite in the workspace when None.
        tracking_uri: MLflow server; SQLite in the workspace when None.
        data_dir: where the raw data is; looked for when None.
        workers: how many processes run trials; with 1 it is this process.
        grace_seconds: how long a worker may be silent before its trial runs again.
        adds_trials: whether trials are run: a study that exists must then have the seed of
            ``spec``; all else is done with the seed that the study has.
        screen: where everything is shown; plain lines on standard output when None.

    Raises:
        InputError: something given cannot be used.
    """

    def __init__(
        self,
        *,
        spec: StudySpec,
        study_argument: str,
        workspace: Workspace,
        storage_url: str | None = None,
        tracking_uri: str | None = None,
        data_dir: Path | None = None,
        workers: int = 1,
        grace_seconds: float = GRACE_SECONDS,
        adds_trials: bool = False,
        screen: Screen | None = None,
    ) -> None:
        self.study_argument = study_argument
        self.workspace = workspace
        self.storage_is_default = storage_url is None
        self.storage_url = storage_url or default_storage(workspace.studies, spec.name)
        self.tracking_uri = tracking_uri
        self.destination = resolve_uri(tracking_uri, workspace.mlruns)
        self.data_dir = data_dir
        self.workers = workers
        self.grace_seconds = grace_seconds
        self.screen = screen or Screen()
        self.patience = Patience(warn=self.warn)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        make_sampler(spec, seed=0)  # one that needs a missing package says so before any work
        known, self.spec = recognized(self.storage_url, spec, any_seed=not adds_trials)
        self.is_known = known is not None
        self.identity = known or uuid.uuid4().hex

    @property
    def console(self) -> Console:
        """Where results are printed."""
        return self.screen.console

    def announce(self, line: str) -> None:
        """Shows a line, unless the command is quiet."""
        self.screen.announce(line)

    def show(self, line: str) -> None:
        """Shows a line of the result, quiet or not."""
        self.screen.show(line)

    def warn(self, line: str) -> None:
        """Shows a warning, quiet or not."""
        self.screen.warn(line)

    def lock(self, purpose: Purpose) -> StudyLock:
        """A lock of the study, which all processes that use its storage see."""
        return lock_of(self.storage_url, self.spec.name, purpose, patience=self.patience)

    def claim(self) -> Claim:
        """The right to decide what runs next, for this process."""
        return Claim(self.lock("claim"), worker_name(os.getpid()), warn=self.warn)

    @cached_property
    def data(self) -> StudyData:
        """The data set, test rows included, and its splits.

        Raises:
            InputError: it cannot be had.
        """
        self.screen.doing(f"loading {self.spec.data.dataset}")
        return load_data(self.spec, self.data_dir, self.announce)

    @property
    def dataset(self) -> Dataset:
        """The data set, test rows included."""
        return self.data.dataset

    @property
    def splits(self) -> Splits:
        """The rows to train on, to validate on and to test on."""
        return self.data.splits

    def load_study(self) -> optuna.Study:
        """The stored study; the caller closes it.

        Raises:
            InputError: there is none, or it was made with another space, training or seed.
        """
        study = load_study(
            self.storage_url,
            self.spec.name,
            make=self.commands().search,
            patience=self.patience,
        )
        refuse_other_study(study, self.spec)
        return study

    @property
    def towers_folder(self) -> Path:
        """Where the towers of the study lie, a folder a trial."""
        return self.workspace.towers(self.spec.name)

    @property
    def places(self) -> Mapping[str, str]:
        """Where everything is written, by what it is; short, and without secrets."""
        here = f"{self.workspace.folder}/"
        places = {
            "study": safe_url(self.storage_url).replace(f"sqlite:///{here}", ""),
            "towers": f"{self.towers_folder}/",
            "MLflow": self.destination.shown.replace(f"sqlite:///{here}", ""),
        }
        return {what: place.removeprefix(here) for what, place in places.items()}

    def towers_of(self, number: int) -> Path | None:
        """The saved towers of a trial, if it saved any."""
        return find_towers(self.towers_folder, number)

    def check_writable(self) -> None:
        """Checks, without writing, that the study and its files can be written.

        Raises:
            InputError: one of them cannot.
        """
        self.workspace.check_writable()
        if not may_write(self.storage_url):
            raise InputError(
                f"storage {safe_url(self.storage_url)} must be writable, with its folder, but is "
                "not; change the permissions, or name another with --storage"
            )

    def check_tracking(self, *, consequence: str = GOES_ON) -> Circuit:
        """Checks that MLflow can be used, without writing.

        A study that exists goes on with a warning where the server does not answer.

        Args:
            consequence: what it means that MLflow fails, as the end of the warning.

        Returns:
            What :meth:`open_tracker` takes.

        Raises:
            InputError: MLflow cannot be used.
        """
        self.screen.doing("looking for MLflow")
        return check_mlflow(
            self.tracking_uri,
            self.spec.name,
            folder=self.workspace.mlruns,
            warn=self.warn,
            key=self.identity,
            must_answer=not self.is_known,
            consequence=consequence,
        )

    def open_tracker(self, context: StudyContext, circuit: Circuit) -> Tracker:
        """The study in MLflow, connected on the first use.

        Args:
            context: from :meth:`context`, with the identity that the stored study has.
            circuit: from :meth:`check_tracking`.
        """
        return open_tracker(
            self.tracking_uri,
            context,
            folder=self.workspace.mlruns,
            warn=self.warn,
            announce=self.announce,
            circuit=circuit,
            lock=None if self.destination.database is not None else self._tracking_lock,
        )

    @contextmanager
    def _tracking_lock(self) -> Iterator[None]:
        """Held while runs are made on a server, where other machines might make the same."""
        lock = self.lock("tracking")
        if not lock.take(within(TRACKING_LOCK_SECONDS)):
            raise TimeoutError(f"{lock.name} is not given up")
        try:
            yield
        finally:
            lock.release()

    def context(self, identity: str) -> StudyContext:
        """What the study's runs carry about it; the data set is loaded for that."""
        spec, dataset, splits = self.spec, self.dataset, self.splits
        return StudyContext(
            name=spec.name,
            spec_text=spec.text,
            space_hash=spec.space_hash,
            seed=spec.study.seed,
            trials=spec.study.trials,
            data_name=dataset.name,
            data_fingerprint=dataset.fingerprint,
            data_source=dataset.source,
            split=spec.data.split,
            rows={"train": len(splits.train), "validation": len(splits.validation)},
            git_commit=git_commit(),
            versions=library_versions(),
            next_command=" ".join(["python -m search.retrain", *self._study_flags]),
            identity=identity,
        )

    def commands(self, finished: int = 0) -> NextCommands:
        """What to do next, with the flags that this command was given.

        Args:
            finished: how many finished trials the study has.
        """
        study, data = self._study_flags, flag("--data-dir", self.data_dir)
        search = call("search.run", *study, data, *self._search_flags())
        return NextCommands(
            compare=self._compare_command(),
            search=search,
            more=f"{search} --trials {2 * max(self.spec.study.trials, finished)}",
            retrain=call("search.retrain", *study, data),
            sync=call("search.sync", *study),
            report=call("search.report", *study),
            recommend=call("search.recommend", "42", self._tracking_flag),
        )

    @property
    def _study_flags(self) -> list[str]:
        storage = None if self.storage_is_default else self.storage_url
        flags = (flag("--study", self.study_argument), flag("--storage", storage))
        return [each for each in (*flags, self._tracking_flag) if each]

    @property
    def _tracking_flag(self) -> str:
        return flag("--tracking-uri", self.tracking_uri and self.destination.uri)

    def _search_flags(self) -> list[str]:
        """What the command line has chosen otherwise than the study file, or than the default."""
        chosen: dict[str, object] = {f"--{name}": it for name, it in overridden(self.spec).items()}
        chosen["--workers"] = self.workers if self.workers > 1 else None
        is_default = self.grace_seconds == GRACE_SECONDS
        chosen["--grace"] = None if is_default else f"{self.grace_seconds:g}"
        return [flag(name, value) for name, value in chosen.items()]

    def _compare_command(self) -> str:
        if self.destination.database is None:
            return f"open {self.destination.shown} in a browser"
        uri = self.destination.uri.replace(f"sqlite:///{self.workspace.folder}/", "sqlite:///")
        return call("mlflow", "ui", flag("--backend-store-uri", uri))
