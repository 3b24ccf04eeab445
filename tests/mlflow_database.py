"""MLflow's database: made by its hundred migrations once in a process, and then copied.

Commands make theirs where they would, and in the same way; only the migrations are not repeated.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from search.tracking import store

make_database = store.make_database


@cache
def empty_database() -> bytes:
    """A database without experiments of ours."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        make_database(path, path.parent)
        return path.read_bytes()


def copy_database(path: Path, artifacts: Path) -> None:
    """What :func:`search.tracking.store.make_database` makes."""
    path.write_bytes(empty_database())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (f"{artifacts}/0",))


def use_copies() -> None:
    """Has this process copy the database where it would make one."""
    store.make_database = copy_database
