"""Whether MLflow can be used, asked before any work and without writing anything."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from search.records.errors import InputError
from search.tracking.circuit import GOES_ON, Circuit
from search.tracking.connection import connect
from search.tracking.destination import (
    Destination,
    check_writable,
    locked,
    prepare_environment,
    resolve_uri,
)


def check_mlflow(
    uri: str | None,
    name: str,
    *,
    folder: Path,
    warn: Callable[[str], None],
    key: str | None = None,
    must_answer: bool = True,
    consequence: str = GOES_ON,
) -> Circuit:
    """Check that the runs of a study can be written.

    Args:
        uri: ``http(s)://...`` or ``sqlite:///...``; None for the database in the folder.
        name: of the study.
        folder: of the default database, its artifacts and the lock, usually ``mlruns``.
        warn: told in one line when MLflow fails, now or later on.
        key: by which the study finds its runs; its name when None.
        must_answer: whether a server that does not answer is refused; it is a warning otherwise.
        consequence: what it means that MLflow fails, as the end of the warning.

    Returns:
        The circuit that a tracker shall use: open where the server does not answer.

    Raises:
        InputError: the URI is malformed, a folder is not writable, the database is of something
            else, the experiment was deleted, the server refuses or does not answer within ten
            seconds. Nothing was written.
    """
    destination = resolve_uri(uri, folder)
    prepare_environment()
    from search.tracking import store as mlflow_store  # here, for mlflow takes 1.5 s to import

    circuit = Circuit(
        warn, partial(mlflow_store.explain, destination=destination), consequence=consequence
    )
    try:
        # A process that is making the database holds the lock, whose file exists then.
        with locked(folder) if (folder / ".lock").exists() else nullcontext():
            check_writable(destination, folder)
            if _is_there(destination):
                connect(destination, name, key or name)
    except InputError:
        raise
    except Exception as error:
        silent = destination.database is None and not mlflow_store.is_refusal(error)
        if must_answer or not silent:
            cause = mlflow_store.explain(error, destination)
            raise InputError(
                f"MLflow must be usable before a search starts, but {cause}; {_remedy(destination)}"
            ) from error
        circuit.fail(error)
    return circuit


def _remedy(destination: Destination) -> str:
    if destination.database is None:
        return "check the tracking URI, or leave it out to use the local database"
    return (
        f"move {destination.database} away if it stays so: it is made again, and search.sync adds "
        "the runs of a study"
    )


def _is_there(destination: Destination) -> bool:
    """Whether there is somebody to ask; a database that is missing or empty is made later."""
    database = destination.database
    return database is None or (database.exists() and database.stat().st_size > 0)
