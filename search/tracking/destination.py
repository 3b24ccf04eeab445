"""Where MLflow's data goes: the tracking URI, understood and checked before any work."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from search.config.addresses import check_address, check_names, mask
from search.records.errors import InputError
from search.storage.sqlite_files import DamagedError, refuse_network, tables_of

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing leaves the machine unasked
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the circuit decides when to try again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # seconds; mlflow's own two minutes would stall a trial
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # alembic's too; failures arrive as exceptions
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Ours, by variable; what the user has set stays."""


def prepare_environment() -> None:
    """Set what is not set; to be called before mlflow is imported, which reads some of it."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns with addresses of files."""

_UPDATE = "UPDATE {0} SET {1} = ? || substr({1}, ?) WHERE substr({1}, 1, ?) = ?"


def left_folders(database: Path) -> list[Path]:
    """The folders in which a database lay before, as its experiments say.

    A folder that exists and holds no such database is where a person wants the artifacts to be.
    """
    if not database.exists() or not database.stat().st_size:
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
    named = {Path(unquote(urlsplit(str(location)).path)).parent for (location,) in rows}
    folders = {folder.parent for folder in named if folder.name == "artifacts"}
    return sorted(folder for folder in folders if _was_left(folder, database))


def address_here(address: str, database: Path) -> str:
    """The address of a file or folder where it is now."""
    for old, new in _prefixes(database).items():
        if address.startswith(old):
            return new + address.removeprefix(old)
    return address


def bring_along(database: Path, announce: Callable[[str], None]) -> None:
    """Have the database name the files beside it, in one transaction.

    One that cannot be written is left alone: readers use :func:`address_here`. One line is
    announced where something had to be changed.
    """
    folders = left_folders(database)
    is_writable = all(os.access(path, os.W_OK) for path in (database, database.parent))
    if not folders or not is_writable:
        return
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for old, new in _prefixes(database).items():
            for table, column in _ADDRESSES:
                update = _UPDATE.format(table, column)
                connection.execute(update, (new, len(old) + 1, len(old), old))
    announce(
        f"MLflow's folder was copied or moved here from {', '.join(map(str, folders))}: its "
        f"database names the files in {database.parent} from now on"
    )


def _was_left(folder: Path, database: Path) -> bool:
    if not folder.exists():
        return True
    return (folder / database.name).exists() and not folder.samefile(database.parent)


def _prefixes(database: Path) -> Mapping[str, str]:
    """The beginnings of addresses that are out of date, and what to write in their place."""
    return dict(pair for old in left_folders(database) for pair in _forms(old, database.parent))


def _forms(old: Path, new: Path) -> Iterator[tuple[str, str]]:
    yield f"{old.as_uri()}/", f"{new.as_uri()}/"
    yield f"file://{old}/", f"{new.as_uri()}/"
    yield f"{old}/", f"{new}/"


_ALLOWED = "an http:// or https:// address of a server, or sqlite:///PATH"
_FILE_STORE = (
    "the tracking URI must be {allowed}, but got {uri!r}: MLflow has given up its file store. "
    "Leave --tracking-uri and MLFLOW_TRACKING_URI out for {default}, or give sqlite:///PATH"
)


@dataclass(frozen=True)
class Destination:
    """Where the runs go."""

    uri: str  # for MLflow: absolute, secrets included
    database: Path | None = None  # path of the SQLite database; None for a server

    @property
    def artifacts(self) -> Path | None:
        """The folder of the artifacts, beside the database; None where a server keeps them."""
        return None if self.database is None else self.database.parent / "artifacts"

    @property
    def shown(self) -> str:
        """The URI for people: secrets masked."""
        return mask(self.uri)


def resolve_uri(uri: str | None, folder: Path) -> Destination:
    """Understand a tracking URI, or take the database in the folder; nothing is touched.

    InputError where it is malformed or names a kind of store that cannot be used.
    """
    if uri is None:
        return _sqlite(folder / "mlflow.db")
    check_address(uri, "--tracking-uri")
    scheme = uri.partition(":")[0].lower() if re.match(r"[A-Za-z][\w+.-]+:", uri) else ""
    if scheme in ("http", "https"):
        return Destination(_checked_address(uri))
    if scheme == "sqlite":
        return _sqlite(_database_path(uri))
    if scheme in ("", "file"):
        default = f"{folder}/mlflow.db"
        raise InputError(_FILE_STORE.format(allowed=_ALLOWED, uri=mask(uri), default=default))
    is_database = scheme.partition("+")[0] in ("postgresql", "mysql", "mssql")
    hint = "; start `mlflow server` on that database" if is_database else ""
    raise InputError(f"the tracking URI must be {_ALLOWED}, but got {mask(uri)!r}{hint}")


def check_writable(destination: Destination, folder: Path) -> None:
    """InputError, without writing, unless folders and database can be used.

    It must be whole, local and MLflow's.
    """
    database = destination.database
    for wanted in sorted({folder, folder if database is None else database.parent}):
        _check_folder(wanted)
    if database is not None:
        refuse_network(database, "MLflow's database")
        if database.exists():
            check_database(database)


@contextmanager
def locked(folder: Path, *, patience_s: float = 60.0) -> Iterator[None]:
    """Hold the folder's lock: one process at a time creates databases, experiments and runs.

    The folder is made if it is missing. The operating system frees the lock of a killed process.

    Raises:
        TimeoutError: another process kept the lock for longer.
        OSError: the lock file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=patience_s):
        yield


def _sqlite(path: Path) -> Destination:
    database = Path(os.path.abspath(path))  # noqa: PTH100  (links stay as the user wrote them)
    if set(str(database)) & set("%?#"):  # SQLAlchemy 2.0 and 2.1 read them in different ways
        raise InputError(
            f"the path of MLflow's database must be free of %, ? and #, but got {database}; "
            "name another with --tracking-uri sqlite:///PATH"
        )
    return Destination(f"sqlite:///{database}", database)


def _database_path(uri: str) -> Path:
    path = unquote(uri.partition(":///")[2])
    if not uri.startswith("sqlite:///") or path in ("", "/", ":memory:"):
        raise InputError(
            f"the tracking URI must be sqlite:///PATH to a file, but got {mask(uri)!r}"
        )
    check_names(path, "--tracking-uri")
    return Path(path)


def _checked_address(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        usable = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", uri)
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"the tracking URI must look like http://HOST:PORT with a port from 1 to 65535, "
            f"but got {mask(uri)!r}"
        )
    return uri.rstrip("/")


def _check_folder(folder: Path) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"MLflow's folder must be a folder, but {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"MLflow's folder {folder} must be writable, but {existing} is not; change its "
            "permissions, or name a server with --tracking-uri"
        )


def check_database(path: Path, *, writes: bool = True) -> None:
    """InputError for an existing file that MLflow would damage or trip over, if not only read."""
    if not path.is_file() or not os.access(path, os.R_OK | (os.W_OK if writes else 0)):
        what = "read and written" if writes else "read"
        raise InputError(f"MLflow's database {path} must be a file that can be {what}")
    try:
        tables = tables_of(path)
    except (DamagedError, sqlite3.Error) as error:
        raise InputError(
            f"MLflow's database {path} cannot be read ({error}); move it away: the next search or "
            "confirmation makes its runs again from the study"
        ) from error
    if tables and "experiments" not in tables:
        raise InputError(
            f"{path} is a database of something else, with tables such as {min(tables)!r}; "
            "MLflow needs a database of its own"
        )
