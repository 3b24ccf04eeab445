"""One study in one folder, as a command was given it: checked, with nothing opened or written."""

import os
import uuid
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import optuna

from search.config.addresses import NextCommands, Workspace, call, flag
from search.config.placement import HERE, Placement
from search.config.reading import overridden
from search.config.study import StudySpec
from search.display.terminal import Screen
from search.execution.data import StudyData, load_data
from search.execution.parts import check_parts
from search.records.errors import InputError
from search.scheduling import GRACE_SECONDS
from search.scheduling.locks import Claim, Purpose, StudyLock, lock_of, worker_name
from search.scheduling.samplers import make_sampler
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.shared import Shared
from search.storage.study import load_study, recognized, refuse_other_study
from search.storage.towers import find_towers
from search.tracking.destination import Destination, resolve_uri


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
