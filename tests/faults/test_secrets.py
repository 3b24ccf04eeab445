"""A password that is given on the command line is read by the database, and by nobody else."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import pytest
import sqlalchemy

from tests.faults.postgres import PostgresServer
from tests.flows.conftest import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]

START_SECONDS = 5.0
"""How long the interpreter may take to come to our first line, on a machine that is busy."""


@pytest.fixture
def folder(tmp_path: Path, small_cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_cache_home))
    return Folder(tmp_path)


def command_lines() -> Iterator[tuple[int, bytes]]:
    """Those of all processes of the machine, as anybody can read them."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_bytes()


def watched(process: "Popen[str]", secret: str) -> tuple[float, int]:
    """How long the secret could be seen, and how many workers were seen, until the process ends."""
    started = last_seen = time.monotonic()
    workers = set()
    while process.poll() is None:
        for pid, line in command_lines():
            if secret.encode() in line:
                last_seen = time.monotonic()
                if last_seen - started > START_SECONDS:
                    os.killpg(process.pid, signal.SIGKILL)
            if b"search.worker_process" in line and b"multiprocessing" not in line:
                workers.add(pid)
        time.sleep(0.02)
    return last_seen - started, len(workers)


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


def test_a_password_is_seen_nowhere(
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
        seconds, workers = watched(process, postgres.password)
        output.seek(0)
        said = output.read()
    assert process.returncode == 0, said
    assert seconds < START_SECONDS
    assert workers >= 2
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
