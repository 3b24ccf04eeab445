"""SQLite files: made whole or not at all, looked at without being changed, kept off networks."""

import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from search.records.errors import InputError

_BUSY_SECONDS = 60
_LOOKS = 3
_PAUSE_SECONDS = 0.2
# "unsupported file format" has no code of its own; text that is no text has none at all.
_DAMAGE = (None, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedError(Exception):
    """A file is no database, or not a whole one; the message is SQLite's."""


def tables_of(path: Path) -> set[str]:
    """The names of the tables of a database that is whole; none of an empty file.

    Raises:
        DamagedError: it is not whole. Its bytes are as they were.
        sqlite3.OperationalError: it cannot be opened.
    """
    log = path.with_name(f"{path.name}-wal")
    if not path.stat().st_size and log.exists() and log.stat().st_size:
        # SQLite itself would take the log for a stale one, and delete it.
        raise DamagedError(f"it is empty, but its log {log.name} is not")
    for look in range(_LOOKS):
        is_last = look == _LOOKS - 1
        try:
            return _look(path)
        except DamagedError:
            if is_last:
                raise
        except UnicodeDecodeError as error:
            if is_last:
                raise DamagedError(str(error)) from None
        time.sleep(_PAUSE_SECONDS)  # another process may just have been writing
    raise AssertionError


def make_whole(path: Path, make: Callable[[Path], None]) -> None:
    """Makes a database where there is none, whole or not at all.

    Libraries make theirs in many steps, and what a killed process left between two of them is
    refused ever after. So it is made in a folder beside its place, and moved there.

    The caller holds the lock under which alone it is made; ``make`` makes it at another path, and
    closes it.
    """
    if path.exists() and path.stat().st_size:
        return
    prefix = f".{path.stem}-unfinished-"
    for leftover in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(prefix=prefix, dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        make(unfinished)
        unfinished.replace(path)


def value_of(path: Path, query: str) -> Any:
    """The first value that a query gives of a database that is whole; None where there is none."""
    with closing(_connect(path, reading(path))) as connection:
        row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def _look(path: Path) -> set[str]:
    """One look.

    What a killed process left half written has to be rolled back before it can be read, which a
    connection that may only read is not able to.
    """
    try:
        return _read(path, reading(path))
    except sqlite3.OperationalError:
        return _read(path, "mode=rw")


def reading(path: Path) -> str:
    """The options of an address by which a file is only read.

    One without a log is read as one that no process changes. Else SQLite would make files beside
    it, even for a reader, and fail where it must not.
    """
    has_log = any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-journal"))
    return "mode=ro" if has_log else "mode=ro&immutable=1"


def _connect(path: Path, options: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)


def _read(path: Path, options: str) -> set[str]:
    try:
        with closing(_connect(path, options)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {str(name) for (name,) in rows}
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGE:
            raise
        raise DamagedError(str(error)) from None
    if found != "ok":
        raise DamagedError(" ".join(str(found).split()))
    if path.stat().st_size % page_bytes:  # SQLite takes what is missing of a page for zeros
        raise DamagedError("its last page is cut off")
    return tables


# --- file systems of a network, whose locks cannot be relied on ---------------------------------

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where; Linux has it, elsewhere nothing is refused."""

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.rclone"),
        *("fuse.s3fs", "fuse.gcsfuse", "fuse.davfs", "fuse.juicefs", "fuse.moosefs", "davfs"),
    }
)


def refuse_network(path: Path, what: str, *, mounts: Path | None = None) -> None:
    """InputError for an SQLite database that lies, or would lie, on a network file system."""
    kind = kind_of(path, mounts or MOUNTS)
    if kind in NETWORK:
        raise InputError(
            f"{what} {path} would lie on a network file system ({kind}), where SQLite loses data; "
            "start in a local folder, or use a server: --storage postgresql://USER@HOST/NAME for "
            "the study, --tracking-uri http://HOST:PORT for MLflow"
        )


def kind_of(path: Path, mounts: Path) -> str | None:
    """The kind of file system that a path lies on, or would lie on; None if unknown."""
    try:
        lines = mounts.read_bytes().splitlines()
    except OSError:
        return None
    place = path.resolve()
    holding = [(point, kind) for point, kind in _mounted(lines) if place.is_relative_to(point)]
    depth = max((len(point.parts) for point, _ in holding), default=0)
    # Of what is mounted over one another, the last is seen.
    return next((kind for point, kind in reversed(holding) if len(point.parts) == depth), None)


def _mounted(lines: list[bytes]) -> Iterator[tuple[Path, str]]:
    """Mount points and kinds, from lines such as ``36 35 98:0 / /mnt rw shared:1 - ext4 dev rw``.

    The fields before the dash vary in number.
    """
    for line in lines:
        before, dash, after = line.partition(b" - ")
        fields = before.split()
        if dash and len(fields) > 4 and after.split():
            point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), fields[4])
            yield Path(point.decode(errors="surrogateescape")), after.split()[0].decode()
