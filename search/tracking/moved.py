"""MLflow's database in a folder that was copied or moved: its files are those beside it.

MLflow keeps absolute addresses of all files. So a copy would write into the folder that it was
copied from, and what was moved would not find its models.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

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

    Args:
        database: of MLflow, with its artifacts in the folder ``artifacts`` beside it.

    Raises:
        sqlite3.Error: it cannot be read.
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

    One that cannot be written is left alone: whoever reads uses :func:`address_here`.

    Args:
        database: of MLflow.
        announce: told in one line where something had to be changed.
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
