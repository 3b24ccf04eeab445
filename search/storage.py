"""Optuna's storage, the truth about a study: opened once, checked, closed."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.pruners import BasePruner
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search.claim import WORKER
from search.errors import InputError
from search.samplers import make_pruner
from search.spec import StudySpec, differences

CONNECT_SECONDS = 10
"""How long a storage may take to answer at the start."""

_SQLITE_BUSY_SECONDS = 60
_READERS_SECONDS = 1


def default_storage(folder: Path, study_name: str) -> str:
    """The URL of the study's SQLite database under ``folder`` (``studies``)."""
    return f"sqlite:///{folder.resolve() / study_name}.db"


def safe_url(url: str) -> str:
    """The URL as it may be shown: without its password."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return "the given URL"


@contextmanager
def only_run(
    folder: Path, study_name: str, *, doing: Literal["searched", "confirmed"] = "searched"
) -> Iterator[None]:
    """Holds the study for this process; the operating system frees it when the process dies.

    A trial found RUNNING while the study is held for a search was therefore left by a dead process.

    Args:
        folder: of the lock.
        study_name: of the study.
        doing: what it is held for; a study may be searched and confirmed at the same time.

    Raises:
        InputError: another process holds it for the same.
    """
    suffix = "" if doing == "searched" else f".{doing}"
    lock = FileLock(folder / f"{study_name}{suffix}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"study {study_name!r} is being {doing} by another process; wait for it, stop it, "
            "or copy the study file under another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def identity_of(url: str, spec: StudySpec) -> str | None:
    """What tells the stored study from others of its name; None where there is none yet.

    Writes nothing, so it serves as a check before any work.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that was made with
            another space, direction or seed.
    """
    if not _holds_studies(url):
        return None
    try:
        with _explained(url):
            study = optuna.load_study(storage=_open_storage(url), study_name=spec.name)
    except KeyError:
        return None
    try:
        refuse_other_study(study, spec)
        return study.user_attrs.get("identity")
    finally:
        close_study(study)


def open_study(url: str, spec: StudySpec, data_fingerprint: str, identity: str) -> optuna.Study:
    """Opens the study, or creates it with the file's direction, space and seed.

    Args:
        url: of the storage.
        spec: the study file.
        data_fingerprint: of the data set it is searched on.
        identity: given to a new study; one that exists keeps its own.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that was made
            with another space, direction, seed or data set.
    """
    with _explained(url):
        _log_ahead(url)
        study = optuna.create_study(
            storage=_open_storage(url),
            study_name=spec.name,
            direction="maximize",
            pruner=make_pruner(spec),
            load_if_exists=True,
        )
    if "comparable" not in study.user_attrs:  # new, or its creation was interrupted
        study.set_user_attr("identity", identity)
        study.set_user_attr("seed", spec.study.seed)
        study.set_user_attr("data_fingerprint", data_fingerprint)
        study.set_user_attr("comparable", spec.comparable)
    refuse_other_study(study, spec, data_fingerprint)
    return study


def join_study(url: str, spec: StudySpec, data_fingerprint: str) -> optuna.Study:
    """Opens a study that another process has opened with :func:`open_study`, to run trials.

    Raises:
        InputError: the storage cannot be reached, or the study is not this one.
    """
    study = load_study(url, spec.name, pruner=make_pruner(spec))
    refuse_other_study(study, spec, data_fingerprint)
    return study


def load_study(url: str, name: str, *, pruner: BasePruner | None = None) -> optuna.Study:
    """Opens a study that exists.

    Args:
        url: of the storage.
        name: of the study.
        pruner: needed where trials are run.

    Raises:
        InputError: the storage cannot be reached or holds no such study.
    """
    if not _holds_studies(url):
        raise InputError(_no_study(name, url))
    try:
        with _explained(url):
            return optuna.load_study(storage=_open_storage(url), study_name=name, pruner=pruner)
    except KeyError:
        raise InputError(_no_study(name, url)) from None


def close_stale(
    study: optuna.Study,
    *,
    living: Collection[int] = (),
    reason: str = "the process that ran it was killed",
) -> list[int]:
    """Records trials left RUNNING by a dead process as interrupted; returns their numbers.

    Args:
        study: held by this process (:func:`only_run`), as is the claim if there are workers.
        living: process ids of the workers whose trials are under way.
        reason: what became of the process.
    """
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    stale = [trial for trial in running if trial.user_attrs.get(WORKER) not in living]
    for trial in stale:
        mark_interrupted(study, trial, reason)
        study.tell(trial.number, state=TrialState.FAIL)
    return [trial.number for trial in stale]


def mark_interrupted(study: optuna.Study, trial: FrozenTrial | optuna.Trial, reason: str) -> None:
    """Notes, while the trial is unfinished, that it did not fail by itself: it will run again."""
    storage = study._storage
    storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
    storage.set_trial_user_attr(trial._trial_id, "reason", reason)


def _open_storage(url: str) -> RDBStorage:
    """Optuna's storage behind the URL; its tables are created where they are missing."""
    with _explained(url):
        return RDBStorage(url, engine_kwargs=_engine_arguments(_parsed(url)))


class _Connection(sqlite3.Connection):
    """A connection that, where writes are logged ahead, does not wait for the disk each time.

    A study has some fifteen transactions a trial, and a disk that is busy takes its time for each.
    A killed process loses nothing. When the power fails, the last transactions may be missing
    but the database is whole: what is missing runs again, with the same result.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        (mode,) = self.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal":
            self.execute("PRAGMA synchronous = NORMAL")


def _log_ahead(url: str) -> None:
    """Has an SQLite database log writes ahead, so that workers that read and write never clash.

    One that somebody is reading at this moment stays as it is, until the next start.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return
    engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": _READERS_SECONDS})
    with suppress(sqlalchemy.exc.OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()


def close_study(study: optuna.Study) -> None:
    """Closes the database; the log of an SQLite database goes into it."""
    storage = study._storage
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, RDBStorage):
        backend.remove_session()
        backend.engine.dispose()


def _holds_studies(url: str) -> bool:
    """Whether the database exists and has Optuna's tables; nothing is written.

    Raises:
        InputError: it cannot be reached, or its folder does not exist.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        path = _sqlite_path(parsed)
        if not path.parent.is_dir() and path.parent.name != "studies":
            raise InputError(f"the folder of --storage must exist but {path.parent} does not")
        if not path.exists():
            return False
    with _explained(url):
        engine = sqlalchemy.create_engine(parsed, **_engine_arguments(parsed))
        try:
            tables = set(sqlalchemy.inspect(engine).get_table_names())
        finally:
            engine.dispose()
    if not tables & {"studies", "alembic_version"}:
        return False
    if not tables >= {"studies", "trials", "version_info"}:
        raise InputError(
            f"storage {safe_url(url)} is a database of something else, with tables such as "
            f"{min(tables)!r}; Optuna needs a database of its own"
        )
    return True


def _engine_arguments(url: sqlalchemy.URL) -> dict[str, Any]:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": _SQLITE_BUSY_SECONDS, "factory": _Connection}}
    if backend == "postgresql":
        return {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_SECONDS}}
    return {"pool_pre_ping": True}


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turns what a database driver says into one line for people."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"storage {safe_url(url)} needs the package {error.name}, which is not installed"
        ) from None
    except sqlalchemy.exc.NoSuchModuleError as error:
        raise InputError(f"storage {safe_url(url)} cannot be used: {_first_line(error)}") from None
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        RuntimeError,
    ) as error:
        raise InputError(
            f"storage {safe_url(url)} cannot be opened: {_first_line(error)}; "
            "is the address right, and may this user read and write there?"
        ) from None


def _parsed(url: str) -> sqlalchemy.URL:
    try:
        return sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        raise InputError(
            "--storage must be a database URL such as sqlite:///studies/name.db or "
            "postgresql+psycopg://user@host/name"
        ) from None


def _sqlite_path(url: sqlalchemy.URL) -> Path:
    if not url.database or url.database == ":memory:":
        raise InputError("--storage must name a file, such as sqlite:///studies/name.db")
    return Path(url.database)


def refuse_other_study(
    study: optuna.Study, spec: StudySpec, data_fingerprint: str | None = None
) -> None:
    """Refuses a stored study that was made with another file or on other data.

    Raises:
        InputError: space, data, training, direction, seed or (where given) fingerprint differ.
    """
    attributes = study.user_attrs
    is_described = "comparable" in attributes  # not, if its creation was cut short
    found = differences(attributes["comparable"], spec.comparable) if is_described else []
    if study.direction != optuna.study.StudyDirection.MAXIMIZE:
        found.append(f"direction was {study.direction.name.lower()}, is maximize")
    if is_described and attributes["seed"] != spec.study.seed:
        found.append(f"seed was {attributes['seed']}, is {spec.study.seed}")
    if data_fingerprint is not None and attributes.get("data_fingerprint") != data_fingerprint:
        found.append("the prepared data set (or a library that prepared it) changed")
    if found:
        raise InputError(
            f"study {spec.name!r} exists and cannot be mixed with this one: {'; '.join(found)}; "
            "undo the change, or search under another name (copy the study file)"
        )


def _no_study(name: str, url: str) -> str:
    return (
        f"there is no study {name!r} in {safe_url(url)}; "
        f"search it first: python -m search.run --study {name}"
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
