"""A study in MLflow: the tracker opened, and what is kept with the study so that it can be again.

A search knows its data set; what makes MLflow agree with the study later need not have it.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

from search.config.parts import code_of
from search.config.study import StudySpec
from search.execution.data import StudyData
from search.execution.runtime import git_commit, library_versions
from search.records.trials import StudyState, TrialRecord
from search.scheduling.locks import within
from search.session.session import Session
from search.storage.attributes import DATA_FINGERPRINT, DESCRIPTION, END, HOME, IDENTITY
from search.storage.database import Database
from search.storage.sqlite_files import value_of
from search.tracking.circuit import GOES_ON, Circuit
from search.tracking.connection import check_mlflow
from search.tracking.destination import Destination
from search.tracking.names import StudyContext
from search.tracking.tracker import Tracker, open_tracker

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
