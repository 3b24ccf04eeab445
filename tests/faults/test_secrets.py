"""A database's password is told to the database alone: no output, file or argument has it."""

import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy

from tests.faults.postgres import PostgresServer
from tests.flows.conftest import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture
def folder(tmp_path: Path, small_cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_cache_home))
    return Folder(tmp_path)


def workers_of(process: "Popen[str]", secret: str) -> int:
    """How many workers a command has until it ends; none is told the secret by its arguments."""
    workers = set()
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                line = path.read_bytes()
                if path.parent.name != str(process.pid):
                    assert secret.encode() not in line
                if b"search.execution.worker_process" in line and b"multiprocessing" not in line:
                    workers.add(path.parent.name)
        time.sleep(0.02)
    return len(workers)


def rows(url: str) -> str:
    """All that a database holds, as text."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        names = sqlalchemy.inspect(connection).get_table_names()
        found = [
            str(connection.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall()) for name in names
        ]
    engine.dispose()
    return "\n".join(found)


def test_a_password_is_shown_and_stored_nowhere(
    folder: Folder, postgres: PostgresServer, database: str
) -> None:
    plain = database.replace("postgresql+psycopg", "postgresql")
    with (folder.path / "output").open("w+") as output:
        command, environment = folder.command(
            "search.run", "--study", "tiny", "--workers", "2", "--storage", plain
        )
        process = Popen(
            command,
            cwd=folder.path,
            env=environment,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        workers = workers_of(process, postgres.password)
        output.seek(0)
        said = output.read()
    assert process.returncode == 0, said
    assert workers >= 2
    assert "warning: every user of this machine can see the secret in --storage" in said
    assert '--storage "$DEEPREC_STORAGE"' in said
    for name, content in folder.snapshot().items():
        assert postgres.password.encode() not in content, name
    stored = rows(database)
    assert "learning_rate" in stored
    assert postgres.password not in stored
    assert {"mlruns/mlflow.db", "output"} <= folder.snapshot().keys()


def test_a_wrong_password_is_not_repeated(
    folder: Folder, postgres: PostgresServer, database: str
) -> None:
    wrong = database.replace(postgres.password, "wro%2Fng%40")
    done = folder.run("search.run", "--study", "tiny", DEEPREC_STORAGE=wrong)
    assert done.returncode == 2
    assert "password authentication failed" in done.stderr
    assert "wro" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
