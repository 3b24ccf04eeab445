"""The commands that a search shows in the end can be copied, and hold no secrets."""

from pathlib import Path

import pytest

from search.session import Session
from search.tracking import resolve_uri
from search.workspace import Workspace
from tests.unit.search.specs import small_spec


def shown(folder: Path, storage: str | None, tracking_uri: str | None) -> str:
    """The flags of the command that is shown."""
    session = Session.__new__(Session)  # as much of it as the commands are made of
    session.spec = small_spec(folder)
    session.study_argument = "my study.toml"
    session.workspace = Workspace(folder)
    session.storage_is_default = storage is None
    session.storage_url = storage or "sqlite:///default.db"
    session.tracking_uri = tracking_uri
    session.destination = resolve_uri(tracking_uri, folder / "mlruns")
    commands = session.commands()
    assert "secret" not in f"{commands}"
    command, _, flags = commands.retrain.partition(" --study 'my study.toml'")
    assert command == "python -m search.retrain"
    assert commands.more.endswith(f"{flags} --trials 12")
    return flags


@pytest.mark.parametrize(
    ("storage", "tracking_uri", "flags"),
    [
        (None, None, ""),
        ("postgresql://me@host/name", None, " --storage postgresql://me@host/name"),
        ("postgresql://me:secret@host/name", None, ' --storage "$DEEPREC_STORAGE"'),
        ("postgresql://host/name?password=secret", None, ' --storage "$DEEPREC_STORAGE"'),
        (None, "http://host:5000", " --tracking-uri http://host:5000"),
        (None, "http://me:secret@host:5000", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
        (None, "https://secret@host", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
        (None, "https://host/?token=secret", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
    ],
)
def test_the_next_commands_name_variables_where_there_are_secrets(
    tmp_path: Path, storage: str | None, tracking_uri: str | None, flags: str
) -> None:
    assert shown(tmp_path, storage, tracking_uri) == flags
