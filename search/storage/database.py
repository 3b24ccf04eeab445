"""The database of a study: understood once from its URL, checked before any work, and opened."""

import os
import shlex
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import optuna
import optuna.storages
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from search.config.addresses import call, mask_query, script
from search.records.errors import InputError, StorageLostError
from search.storage import sqlite_files
from search.storage.retry import Patience, cause_of, patient

CONNECT_SECONDS = 5
"""How long an address of a server may take to answer at the start; a name may have two."""

_SQLITE_BUSY_SECONDS = 60
_READERS_SECONDS = 1
_POSTGRESQL_ARGUMENTS = {
    "connect_timeout": CONNECT_SECONDS,
    # A server whose machine is off sends nothing: a connection to it breaks after a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_DAMAGED = ("malformed", "not a database", "unsupported file format")
_FULL = ("disk is full", "No space left on device")
_VERSION = "SELECT version_num FROM alembic_version"
_LIBRARY = "SELECT library_version FROM version_info"
_MIGRATIONS = Path(optuna.storages.__file__).parent / "_rdb" / "alembic"


@dataclass(frozen=True)
class Database:
    """Where a study is kept."""

    url: str = field(repr=False)  # as it was given; may hold a password
    # its parts; that of a PostgreSQL database names the driver
    address: sqlalchemy.URL = field(repr=False)
    path: Path | None  # the file of an SQLite database; None for a server
    shown: str  # the URL without its secrets

    @classmethod
    def at(cls, url: str) -> Self:
        """The database that a URL names; nothing is opened. InputError if it cannot be used."""
        try:
            given = address = sqlalchemy.make_url(url)
            # A host with an @ holds the end of a password.
            port = 1 if address.port is None else address.port
            usable = "@" not in (address.host or "") and 0 < port < 65_536
        except (ValueError, sqlalchemy.exc.ArgumentError):
            usable = False
        if not usable:
            raise InputError(
                "--storage must be a database URL such as sqlite:///studies/name.db or "
                "postgresql://user@host:5432/name, with a port from 1 to 65535; in a password, "
                "write %40 for @ and %2F for /"
            ) from None
        shown = _shown(given)
        if address.drivername in ("postgres", "postgresql"):
            address = address.set(drivername="postgresql+psycopg")
        if address.drivername not in _DRIVERS:
            raise InputError(
                f"storage {shown} cannot be used: a study is kept in SQLite "
                "(sqlite:///studies/name.db) or PostgreSQL (postgresql://user@host/name, through "
                f"psycopg), not in {address.drivername}"
            )
        if address.get_backend_name() != "sqlite":
            return cls(url, address, None, shown)
        if address.query or address.host or address.username:
            raise InputError(
                f"--storage must be sqlite:///PATH, with no host and no options, but got {shown}"
            )
        if not address.database or address.database == ":memory:":
            raise InputError("--storage must name a file, such as sqlite:///studies/name.db")
        return cls(url, address, Path(address.database), shown)

    @classmethod
    def in_folder(cls, folder: Path, study: str) -> Self:
        """The study's SQLite database under ``folder`` (``studies``)."""
        return cls.at(f"sqlite:///{folder.resolve() / study}.db")

    def may_write(self) -> bool:
        """Whether this user may write it, or make it; of a server only that itself can say."""
        if self.path is None:
            return True
        folders = self.path.absolute().parents
        folder = next(folder for folder in folders if os.access(folder, os.F_OK))
        return os.access(folder, os.W_OK | os.X_OK) and (
            not os.access(self.path, os.F_OK) or os.access(self.path, os.W_OK)
        )

    @property
    def engine_arguments(self) -> dict[str, Any]:
        """How SQLAlchemy shall connect, as arguments of ``create_engine``."""
        if self.path is not None:
            return {"connect_args": {"timeout": _SQLITE_BUSY_SECONDS, "factory": _Connection}}
        # What the URL says of the connection counts.
        chosen = self.address.query
        own = {name: value for name, value in _POSTGRESQL_ARGUMENTS.items() if name not in chosen}
        return {"pool_pre_ping": True, "connect_args": own}

    def engine(self, **options: Any) -> sqlalchemy.Engine:
        """An engine of SQLAlchemy, with further arguments of ``create_engine``."""
        return sqlalchemy.create_engine(self.address, **self.engine_arguments | options)


def _shown(address: sqlalchemy.URL) -> str:
    return mask_query(address.render_as_string(hide_password=True))


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


def open_storage(database: Database, patience: Patience | None = None) -> BaseStorage:
    """Optuna's storage in the database; its tables are created where they are missing.

    An SQLite database that this user may not write, or whose folder, can be read.
    """
    address = database.address.render_as_string(hide_password=False)
    if (path := database.path) is not None and not database.may_write():
        address = f"sqlite:///file:{quote(str(path))}?{sqlite_files.reading(path)}&uri=true"
    kind = RDBStorage if database.path is None else _SqliteStorage
    storage = kind(address, engine_kwargs=database.engine_arguments)
    return patient(storage, patience or Patience(0))


class _SqliteStorage(RDBStorage):
    """Optuna's storage in a file, in which a trial ends once.

    Optuna reads a trial's state, and then writes another. On a server it locks the row for that.
    SQLite has no such lock: a process that was stopped in between would overwrite what others have
    written meanwhile, so the whole file is locked before the state is read.
    """

    def __init__(self, url: str, engine_kwargs: dict[str, Any]) -> None:
        super().__init__(url, engine_kwargs=engine_kwargs)
        self._ending = threading.local()
        sqlalchemy.event.listen(self.engine, "begin", self._begin)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        self._ending.is_so = True
        try:
            return super().set_trial_state_values(trial_id, state, values)
        finally:
            self._ending.is_so = False

    def _begin(self, connection: sqlalchemy.Connection) -> None:
        if getattr(self._ending, "is_so", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def prepare_database(database: Database) -> None:
    """Makes an SQLite database with Optuna's tables where there is none, whole or not at all.

    It logs writes ahead, so that workers that read and write never clash. One that another process
    reads at this moment stays as it is, until the next start.
    """
    if database.path is None:
        return
    sqlite_files.make_whole(database.path, _make_tables)
    arguments = {"timeout": _READERS_SECONDS}
    engine = sqlalchemy.create_engine(database.address, connect_args=arguments)
    with suppress(sqlalchemy.exc.OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()


def _make_tables(path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{path}")
    storage.remove_session()
    storage.engine.dispose()


def holds_studies(database: Database) -> bool:
    """Whether the database exists and has Optuna's tables; nothing is written.

    Raises:
        InputError: it cannot be reached, its folder does not exist, it is damaged, or belongs to
            something else or to another version of Optuna.
    """
    if (path := database.path) is not None:
        if not path.parent.is_dir() and path.parent.name != "studies":
            raise InputError(f"the folder of --storage must exist but {path.parent} does not")
        sqlite_files.refuse_network(path, "the study's database")
        if not path.exists():
            return False
    with explained(database):
        tables = _tables(database)
    if not tables & {"studies", "alembic_version"}:
        return False
    if not tables >= {"studies", "trials", "version_info"}:
        raise InputError(
            f"storage {database.shown} is a database of something else, with tables such as "
            f"{min(tables)!r}; Optuna needs a database of its own"
        )
    with explained(database):
        version = _value(database, _VERSION) if "alembic_version" in tables else None
        library = _value(database, _LIBRARY)
    _check_schema(version, library, _shown(database.address))
    return True


def _check_schema(version: str | None, library: str | None, shown_url: str) -> None:
    """Refuses tables that this Optuna would not read; without a version they are completed."""
    from alembic.script import ScriptDirectory  # here, for it takes a fifth of a second

    scripts = ScriptDirectory(str(_MIGRATIONS))
    if version in (None, scripts.get_current_head()):
        return
    if version in {script.revision for script in scripts.walk_revisions()}:
        raise InputError(
            f"storage {shown_url} was made by an older Optuna, {library}; copy it, stop all that "
            f"use it, and upgrade it: {script('optuna')} storage upgrade --storage "
            + shlex.quote(shown_url)
        )
    raise InputError(
        f"storage {shown_url} was made by a newer Optuna than {optuna.__version__}, {library}; "
        f"update this one: {call('pip', 'install --upgrade optuna')}"
    )


def _tables(database: Database) -> set[str]:
    if database.path is not None:
        return sqlite_files.tables_of(database.path)
    with _engine(database) as engine:
        return set(sqlalchemy.inspect(engine).get_table_names())


def _value(database: Database, query: str) -> Any:
    if database.path is not None:
        return sqlite_files.value_of(database.path, query)
    with _engine(database) as engine, engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar()


@contextmanager
def _engine(database: Database) -> Iterator[sqlalchemy.Engine]:
    engine = database.engine()
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Turns what a database driver says into one line for people."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"storage {database.shown} needs the package {error.name or 'psycopg'}, which is not "
            f"installed or does not work here; install it: {call('pip', 'install')} '.[postgres]'"
        ) from None
    except (
        sqlite_files.DamagedError,
        sqlite3.Error,
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        StorageLostError,
        RuntimeError,
        UnicodeError,  # a host that no host can be called
    ) as error:
        raise InputError(_what_to_do(database, error)) from None


def _what_to_do(database: Database, error: Exception) -> str:
    """Why a database cannot be opened, and the way out."""
    cause = cause_of(error)
    is_damaged = isinstance(error, sqlite_files.DamagedError) or any(
        words in cause for words in _DAMAGED
    )
    if is_damaged and database.path is not None:
        cause, advice = f"the file is damaged ({cause})", _recovery(database.path)
    elif any(words in cause for words in _FULL):
        advice = "make room on its disk, and give the same command again"
    else:
        advice = "is the address right, and may this user read and write there?"
    return f"storage {database.shown} cannot be opened: {cause}; {advice}"


def _recovery(file: Path) -> str:
    old, new = (shlex.quote(str(path)) for path in (file, file.with_suffix(".recovered.db")))
    return (
        f"recover what can be read (sqlite3 {old} .recover | sqlite3 {new}, with .dump where the "
        "program knows no .recover; move that in its place), or move it away to start anew"
    )
