"""One study in one folder, as a command was given it: checked first, then opened, and tracked.

A search knows its data set; what makes MLflow agree with the study later need not have it, so what
that takes is kept with the study.
"""

import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna

from search.config.addresses import NextCommands, Workspace, call, flag
from search.config.reading import HERE, Placement, overridden
from search.config.study import StudySpec, code_of
from search.display.terminal import Screen
from search.execution.data import StudyData, check_parts, load_data
from search.execution.runtime import git_commit, library_versions
from search.records.errors import InputError
from search.records.trials import StudyState, TrialRecord
from search.scheduling import GRACE_SECONDS
from search.scheduling.locks import Claim, Purpose, StudyLock, lock_of, within, worker_name
from search.scheduling.samplers import make_sampler
from search.storage.attributes import DATA_FINGERPRINT, DESCRIPTION, END, HOME, IDENTITY
from search.storage.database import Database
from search.storage.files import Shared, find_towers
from search.storage.retry import Patience
from search.storage.sqlite_files import value_of
from search.storage.study import load_study, recognized, refuse_other_study
from search.tracking.circuit import GOES_ON, Circuit
from search.tracking.connection import check_mlflow
from search.tracking.destination import Destination, resolve_uri
from search.tracking.names import StudyContext
from search.tracking.tracker import Tracker, open_tracker


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What the command line said of a study, as commands that are shown repeat it."""

    study: str  # its name or its file
    storage_url: str | None = None  # database of the study; SQLite in the workspace when None
    tracking_uri: str | None = None  # MLflow server; SQLite in the workspace when None
    data_dir: Path | None = None  # where the raw data is; looked for when None
    # how many processes run trials, with 1 it is this process; None as many as pay
    workers: int | None = 1
    placement: Placement = HERE  # where they run
    shared: str | None = None  # address of files that workers of all machines need
    # how long a worker may be silent before its trial runs again
    grace_seconds: float = GRACE_SECONDS


@dataclass(frozen=True, kw_only=True)
class Session:
    """What commands on a study begin with, see :meth:`of`."""

    flags: Flags
    spec: StudySpec  # the study file, the command line's choices included
    workspace: Workspace
    screen: Screen
    patience: Patience  # with the study's database
    identity: str = ""  # of the stored study, or the one that a new study gets
    is_known: bool = False
    newer_data: bool = (
        False  # whether the study's data has grown, and may be divided at later dates
    )

    @classmethod
    def of(
        cls,
        flags: Flags,
        spec: StudySpec,
        workspace: Workspace,
        screen: Screen,
        *,
        adds_trials: bool = False,
        newer_data: bool = False,
    ) -> "Session":
        """The session of a study; all that was given is checked, with an InputError.

        Where trials are added, a study that exists must have the seed of ``spec``; all else is done
        with the seed that the study has.
        """
        given = cls(
            flags=flags,
            spec=spec,
            workspace=workspace,
            screen=screen,
            patience=Patience(warn=screen.warn),
            newer_data=newer_data,
        )
        resolve_uri(flags.tracking_uri, workspace.mlruns)  # refuses what is none
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        make_sampler(spec, seed=0)  # one that needs a missing package says so before any work
        known, spec = recognized(
            given.database, spec, any_seed=not adds_trials, newer_data=newer_data
        )
        identity = known or uuid.uuid4().hex
        return replace(given, spec=spec, identity=identity, is_known=known is not None)

    @cached_property
    def database(self) -> Database:
        """Where the study is kept."""
        if self.flags.storage_url is not None:
            return Database.at(self.flags.storage_url)
        return Database.in_folder(self.workspace.studies, self.spec.name)

    @property
    def destination(self) -> Destination:
        """Where the study's runs go."""
        return resolve_uri(self.flags.tracking_uri, self.workspace.mlruns)

    @property
    def shared(self) -> Shared | None:
        """Where files of trials are kept for other machines, if they are."""
        address = self.flags.shared
        return None if address is None else Shared(address, self.identity)

    @property
    def towers_folder(self) -> Path:
        """Where the towers of the study lie, a folder a trial."""
        return self.workspace.towers(self.spec.name)

    def towers_of(self, number: int) -> Path | None:
        """The saved towers of a trial, if it saved any."""
        return find_towers(self.towers_folder, number)

    def lock(self, purpose: Purpose) -> StudyLock:
        """A lock of the study, which all processes that use its storage see."""
        return lock_of(self.database, self.spec.name, purpose, patience=self.patience)

    def claim(self) -> Claim:
        """The right to decide what runs next, for this process."""
        return Claim(self.lock("claim"), worker_name(os.getpid()), warn=self.screen.warn)

    def check_writable(self) -> None:
        """InputError, without writing, unless the study and its files can be written."""
        self.workspace.check_writable()
        if not self.database.may_write():
            raise InputError(
                f"storage {self.database.shown} must be writable, with its folder, but is "
                "not; change the permissions, or name another with --storage"
            )

    def load_data(self) -> StudyData:
        """The data of the study, test rows included, on which its parts are tried.

        InputError if it cannot be had, or a part does not work.
        """
        self.screen.doing(f"loading {self.spec.data.name}")
        data = load_data(self.spec, self.flags.data_dir, self.screen.announce)
        check_parts(self.spec, data.of_trials)
        return data

    def load_study(self) -> optuna.Study:
        """The stored study, which the caller closes.

        InputError where there is none, or it was made with another space, training or seed.
        """
        make, patience = self.commands().search, self.patience
        study = load_study(self.database, self.spec.name, make=make, patience=patience)
        refuse_other_study(study, self.spec, newer_data=self.newer_data)
        return study

    @property
    def study_flags(self) -> tuple[str, str, str]:
        """What names the study, its storage and its tracking; empty where it is the default."""
        flags = self.flags
        return (
            flag("--study", flags.study),
            flag("--storage", flags.storage_url),
            flag("--tracking-uri", flags.tracking_uri and self.destination.uri),
        )

    @property
    def _recommended_to(self) -> tuple[str, str]:
        """A user to recommend to and, where that is to be known, the study of the champion."""
        if self.spec.is_own_data:
            return "USER", flag("--study", self.spec.name)
        towers = self.spec.model.towers  # which are trusted where their study is named
        return "42", flag("--study", self.flags.study if towers else None)

    def commands(self, finished: int = 0) -> NextCommands:
        """What to do next, with the flags that this command was given."""
        flags, destination, study = self.flags, self.destination, self.study_flags
        data = flag("--data-dir", flags.data_dir)
        # What the command line has chosen otherwise than the study file, or than the default.
        chosen: dict[str, object] = {f"--{name}": it for name, it in overridden(self.spec).items()}
        chosen["--workers"] = flags.workers if flags.workers != 1 else None
        chosen |= flags.placement.flags | {"--shared": flags.shared}
        is_default = flags.grace_seconds == GRACE_SECONDS
        chosen["--grace"] = None if is_default else f"{flags.grace_seconds:g}"
        search = call("search.run", *study, data, *(flag(*each) for each in chosen.items()))
        local = destination.uri.replace(f"sqlite:///{self.workspace.folder}/", "sqlite:///")
        return NextCommands(
            compare=f"open {destination.shown} in a browser"
            if destination.database is None
            else call("mlflow", "ui", flag("--backend-store-uri", local)),
            search=search,
            more=f"{search} --trials {2 * max(self.spec.study.trials, finished)}",
            retrain=call("search.retrain", *study, data),
            sync=call("search.sync", *study),
            report=call("search.report", *study),
            recommend=call("search.recommend", *self._recommended_to, study[-1]),
        )


_KEPT = ("trials", "data_source", "rows", "overlap", "git_commit", "versions", "next_command")
"""What is kept of a context; the rest follows from the study and its file."""

LOCK_SECONDS = 60.0  # how long another process may make runs in MLflow


def check_tracking(session: Session, *, consequence: str = GOES_ON) -> Circuit:
    """InputError, without writing, unless MLflow can be used.

    A study that exists goes on with a warning where the server does not answer.
    """
    session.screen.doing("looking for MLflow")
    return check_mlflow(
        session.flags.tracking_uri,
        session.spec.name,
        folder=session.workspace.mlruns,
        warn=session.screen.warn,
        key=session.identity,
        must_answer=not session.is_known,
        consequence=consequence,
    )


def tracker_of(
    session: Session,
    study: optuna.Study,
    circuit: Circuit,
    data: StudyData | None = None,
    *,
    is_search: bool = False,
) -> Tracker:
    """The study in MLflow, under the identity it has; connected on the first use.

    Without ``data``, its runs say of the data what was kept with the study; a search keeps that.
    """
    screen, destination = session.screen, session.destination
    settle_identity(study, session.database, destination, screen.announce)
    context = described(study, session.spec) if data is None else _context(session, study, data)
    if is_search:
        keep_description(study, context)
    return open_tracker(
        session.flags.tracking_uri,
        context,
        folder=session.workspace.mlruns,
        warn=screen.warn,
        announce=screen.announce,
        circuit=circuit,
        lock=None if destination.database is not None else lambda: _locked(session),
    )


@contextmanager
def _locked(session: Session) -> Iterator[None]:
    """Held while runs are made on a server, where other machines might make the same."""
    lock = session.lock("tracking")
    if not lock.take(within(LOCK_SECONDS)):
        raise TimeoutError(f"{lock.name} is not given up")
    try:
        yield
    finally:
        lock.release()


def _context(session: Session, study: optuna.Study, data: StudyData) -> StudyContext:
    dataset, splits = data.dataset, data.splits
    return replace(
        described(study, session.spec),
        trials=session.spec.study.trials,
        data_name=dataset.name,
        data_fingerprint=dataset.fingerprint,
        data_source=dataset.source,
        rows={"train": len(splits.train), "validation": len(splits.validation)},
        overlap=data.overlap,
        git_commit=git_commit(),
        versions={**library_versions(), **code_of(session.spec)},
        next_command=" ".join(filter(None, ["python -m search.retrain", *session.study_flags])),
    )


def _identity(study: optuna.Study) -> str:
    """What distinguishes the study from others of its name; given when it was created."""
    return str(study.user_attrs.get(IDENTITY, ""))


def settle_identity(
    study: optuna.Study,
    database: Database,
    destination: Destination,
    announce: Callable[[str], None],
) -> None:
    """Give a study that was copied an identity of its own on a server that both may track to.

    A copied SQLite database is known by the place that it names, where the other one still is.
    What was moved keeps its identity, and so does a copy that tracks into MLflow's folder, which
    came along. A copy on another machine is not recognized.
    """
    if database.path is None:
        return
    here, before = database.path, study.user_attrs.get(HOME)
    is_copy = before is not None and _is_original(Path(before), here, _identity(study))
    if is_copy and destination.database is not None:
        return
    if is_copy:
        study.set_user_attr(IDENTITY, uuid.uuid4().hex)
        announce(
            f"this study is a copy of the one in {before}: it gets runs of its own at "
            f"{destination.shown}"
        )
    if before != str(here):
        study.set_user_attr(HOME, str(here))


def _is_original(path: Path, here: Path, identity: str) -> bool:
    """Whether another database still has a study of this identity."""
    query = f"SELECT 1 FROM study_user_attributes WHERE value_json = '\"{identity}\"'"  # noqa: S608
    try:
        return path.exists() and not path.samefile(here) and value_of(path, query) is not None
    except (OSError, sqlite3.Error):  # it is something else by now
        return False


def keep_description(study: optuna.Study, context: StudyContext) -> None:
    """Keeps what :func:`described` needs; written where it changed, such as ``--trials``."""
    description = {name: _plain(getattr(context, name)) for name in _KEPT}
    if study.user_attrs.get(DESCRIPTION) != description:
        study.set_user_attr(DESCRIPTION, description)


def keep_end(study: optuna.Study, state: StudyState) -> None:
    """Keeps how a search of the study ended."""
    if study.user_attrs.get(END) != state:
        study.set_user_attr(END, state)


def described(study: optuna.Study, spec: StudySpec) -> StudyContext:
    """The study's context, without its data set.

    Of a study that was last searched before descriptions were kept, the number of rows and the
    origin of the data are missing.
    """
    attributes = study.user_attrs
    defaults: dict[str, Any] = {
        "trials": spec.study.trials,
        "data_source": "",
        "rows": {},
        "overlap": {},
        "git_commit": None,
        "versions": {},
        "next_command": f"python -m search.retrain --study {spec.name}",
    }
    return StudyContext(
        name=spec.name,
        spec_text=spec.text,
        space_hash=spec.space_hash,
        seed=spec.study.seed,
        data_name=spec.data.name,
        data_fingerprint=attributes.get(DATA_FINGERPRINT, ""),
        split=spec.data.split_name,
        objective=spec.objective_metric,
        objectives=spec.objectives,
        registered_model=spec.registered_model,
        identity=_identity(study),
        **(defaults | attributes.get(DESCRIPTION, {})),
    )


def end_of(study: optuna.Study, trials: list[TrialRecord], budget: int) -> StudyState:
    """How the last search of the study ended; one that was killed was interrupted."""
    if sum(trial.is_finished for trial in trials) >= budget:
        return "complete"
    end: StudyState = study.user_attrs.get(END, "interrupted")
    return end


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
