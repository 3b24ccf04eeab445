"""A database, named by a URL: understood, checked before any work, and opened for Optuna."""

import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import optuna.storages
import sqlalchemy
from optuna.storages import RDBStorage

from search.config.addresses import call, mask_query, script
from search.records.errors import InputError, StorageLostError
from search.storage.filesystems import refuse_network
from search.storage.retry import Patience, PatientStorage, cause_of
from search.storage.sqlite_files import DamagedError, make_whole, reading, tables_of, value_of

VERSION = "SELECT version_num FROM alembic_version"
LIBRARY = "SELECT library_version FROM version_info"

_MIGRATIONS = Path(optuna.storages.__file__).parent / "_rdb" / "alembic"


def check_schema(version: str | None, library: str | None, shown_url: str) -> None:
    """Refuses tables that this Optuna would not read.

    Args:
        version: what :data:`VERSION` gives; None where the tables were not completed.
        library: what :data:`LIBRARY` gives: the Optuna that made them.
        shown_url: of the database, without secrets.

    Raises:
        InputError: they are older or newer; says what to do.
    """
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


CONNECT_SECONDS = 5
"""How long an address of a server may take to answer at the start; a name may have two."""

_SQLITE_BUSY_SECONDS = 60
_POSTGRESQL_ARGUMENTS = {
    "connect_timeout": CONNECT_SECONDS,
    # A server whose machine is gone says nothing: a connection to it breaks after a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_READERS_SECONDS = 1
_DAMAGED = ("malformed", "not a database", "unsupported file format")
_FULL = ("disk is full", "No space left on device")


def default_storage(folder: Path, study_name: str) -> str:
    """The URL of the study's SQLite database under ``folder`` (``studies``)."""
    return f"sqlite:///{folder.resolve() / study_name}.db"


def safe_url(url: str) -> str:
    """The URL as it may be shown: without its secrets."""
    try:
        return mask_query(_unambiguous(url).render_as_string(hide_password=True))
    except (ValueError, sqlalchemy.exc.ArgumentError):
        return "the given URL"


def open_storage(url: str, patience: Patience | None = None) -> PatientStorage:
    """Optuna's storage behind the URL; its tables are created where they are missing.

    An SQLite database that this user may not write, or whose folder, can be read.

    Args:
        url: of the database.
        patience: with a server that is away later on; none when None.
    """
    parsed = parse_url(url)
    address = parsed.render_as_string(hide_password=False)
    if not may_write(url):
        path = sqlite_path(parsed)
        address = f"sqlite:///file:{quote(str(path))}?{reading(path)}&uri=true"
    storage = PatientStorage(address, engine_kwargs=engine_arguments(parsed))
    storage.patience = patience or Patience(0)
    return storage


def may_write(url: str) -> bool:
    """Whether this user may write a database, or make it; on a server only that one tells."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    path = sqlite_path(parsed)
    folder = next(folder for folder in path.absolute().parents if os.access(folder, os.F_OK))
    return os.access(folder, os.W_OK | os.X_OK) and (
        not os.access(path, os.F_OK) or os.access(path, os.W_OK)
    )


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


def make_database(url: str) -> None:
    """Makes an SQLite database with Optuna's tables where there is none, whole or not at all."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        make_whole(sqlite_path(parsed), _make_tables)


def _make_tables(path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{path}")
    storage.remove_session()
    storage.engine.dispose()


def log_ahead(url: str) -> None:
    """Has an SQLite database log writes ahead, so that workers that read and write never clash.

    One that somebody is reading at this moment stays as it is, until the next start.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    engine = sqlalchemy.create_engine(parsed, connect_args={"timeout": _READERS_SECONDS})
    with suppress(sqlalchemy.exc.OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    engine.dispose()


def holds_studies(url: str) -> bool:
    """Whether the database exists and has Optuna's tables; nothing is written.

    Raises:
        InputError: it cannot be reached, its folder does not exist, it is damaged, or belongs to
            something else or to another version of Optuna.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = sqlite_path(parsed)
        if not path.parent.is_dir() and path.parent.name != "studies":
            raise InputError(f"the folder of --storage must exist but {path.parent} does not")
        refuse_network(path, "the study's database")
        if not path.exists():
            return False
    with explained(url):
        tables = _tables(parsed)
    if not tables & {"studies", "alembic_version"}:
        return False
    if not tables >= {"studies", "trials", "version_info"}:
        raise InputError(
            f"storage {safe_url(url)} is a database of something else, with tables such as "
            f"{min(tables)!r}; Optuna needs a database of its own"
        )
    with explained(url):
        version = _value(parsed, VERSION) if "alembic_version" in tables else None
        library = _value(parsed, LIBRARY)
    check_schema(version, library, safe_url(parsed.render_as_string(hide_password=False)))
    return True


def _value(url: sqlalchemy.URL, query: str) -> Any:
    if url.get_backend_name() == "sqlite":
        return value_of(sqlite_path(url), query)
    with _engine(url) as engine, engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar()


def _tables(url: sqlalchemy.URL) -> set[str]:
    if url.get_backend_name() == "sqlite":
        return tables_of(sqlite_path(url))
    with _engine(url) as engine:
        return set(sqlalchemy.inspect(engine).get_table_names())


@contextmanager
def _engine(url: sqlalchemy.URL) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(url, **engine_arguments(url))
    try:
        yield engine
    finally:
        engine.dispose()


def engine_arguments(url: sqlalchemy.URL) -> dict[str, Any]:
    """How SQLAlchemy shall connect, as arguments of ``create_engine``."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": _SQLITE_BUSY_SECONDS, "factory": _Connection}}
    if backend == "postgresql":
        # What the URL says of the connection counts.
        own = {
            name: value for name, value in _POSTGRESQL_ARGUMENTS.items() if name not in url.query
        }
        return {"pool_pre_ping": True, "connect_args": own}
    return {"pool_pre_ping": True}


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turns what a database driver says into one line for people."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"storage {safe_url(url)} needs the package {error.name or 'psycopg'}, which is not "
            f"installed or does not work here; install it: {call('pip', 'install')} '.[postgres]'"
        ) from None
    except (
        DamagedError,
        sqlite3.Error,
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.StorageInternalError,
        StorageLostError,
        RuntimeError,
        UnicodeError,  # a host that no host can be called
    ) as error:
        raise InputError(_what_to_do(url, error)) from None


def _what_to_do(url: str, error: Exception) -> str:
    """Why a storage cannot be opened, and the way out."""
    cause, parsed = cause_of(error), parse_url(url)
    is_damaged = isinstance(error, DamagedError) or any(words in cause for words in _DAMAGED)
    if is_damaged and parsed.get_backend_name() == "sqlite":
        cause, advice = f"the file is damaged ({cause})", _recovery(sqlite_path(parsed))
    elif any(words in cause for words in _FULL):
        advice = "make room on its disk, and give the same command again"
    else:
        advice = "is the address right, and may this user read and write there?"
    return f"storage {safe_url(url)} cannot be opened: {cause}; {advice}"


def _recovery(file: Path) -> str:
    old, new = (shlex.quote(str(path)) for path in (file, file.with_suffix(".recovered.db")))
    return (
        f"recover what can be read (sqlite3 {old} .recover | sqlite3 {new}, with .dump where the "
        "program knows no .recover; move that in its place), or move it away to start anew"
    )


def parse_url(url: str) -> sqlalchemy.URL:
    """The parts of a URL; that of a PostgreSQL database names the driver.

    Raises:
        InputError: it is none, or one of a database that cannot be used.
    """
    try:
        parsed = _unambiguous(url)
    except (ValueError, sqlalchemy.exc.ArgumentError):
        raise InputError(
            "--storage must be a database URL such as sqlite:///studies/name.db or "
            "postgresql://user@host/name; in a password, write %40 for @ and %2F for /"
        ) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise InputError(
            f"storage {safe_url(url)} cannot be used: a study is kept in SQLite "
            "(sqlite:///studies/name.db) or PostgreSQL (postgresql://user@host/name, through "
            f"psycopg), not in {parsed.drivername}"
        )
    if parsed.get_backend_name() == "sqlite" and (parsed.query or parsed.host or parsed.username):
        raise InputError(
            "--storage must be sqlite:///PATH, with no host and no options, but got "
            + safe_url(url)
        )
    return parsed


def _unambiguous(url: str) -> sqlalchemy.URL:
    """The parts of a URL.

    Raises:
        ValueError: it is none, or the end of its password would be taken for the host.
    """
    parsed = sqlalchemy.make_url(url)
    if "@" in (parsed.host or ""):
        raise ValueError
    return parsed


def sqlite_path(url: sqlalchemy.URL) -> Path:
    """The file of an SQLite database.

    Raises:
        InputError: the URL names none.
    """
    if not url.database or url.database == ":memory:":
        raise InputError("--storage must name a file, such as sqlite:///studies/name.db")
    return Path(url.database)
