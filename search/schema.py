"""The version of Optuna's tables: looked at before Optuna does, which would add what it misses."""

import shlex
from pathlib import Path

import optuna.storages
from alembic.script import ScriptDirectory

from search.errors import InputError
from search.next_commands import call, script

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
