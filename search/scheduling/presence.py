"""Who is at work on an SQLite study: known for certain, as all of them are on one machine.

Every process that searches holds a shared lock on a file beside the database. Whoever could have
it alone knows that no other process lives, and that what it finds RUNNING was left by a dead one.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from search.storage.databases import parse_url, sqlite_path


@contextmanager
def attending(url: str) -> Iterator[bool]:
    """Attends a study for as long as it is entered; entered while the claim is held.

    Yields:
        Whether no other process is at work. On PostgreSQL that cannot be known, and is False.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        yield False
        return
    database = sqlite_path(parsed)
    path = database.with_name(f"{database.stem}.search.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _enter(descriptor)
    finally:
        os.close(descriptor)


def _enter(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return True
