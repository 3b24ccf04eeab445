"""A database's password is known to the database alone: no output, file or argument has it."""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy

from tests.commands import Folder
from tests.faults.postgres import PostgresServer
from tests.faults.scene import command_line, worker_processes

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture
def fake(tmp_path: Path, small_cache_home: Path) -> Folder:
    return Folder(tmp_path / "folder", cache_home=small_cache_home, is_fake=True)


def workers_of(process: "subprocess.Popen[str]", secret: str) -> int:
    """How many workers a command has until it ends; none is given the secret as an argument."""
    workers: set[int] = set()
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                line = path.read_bytes()
                if line != command_line(process.pid):  # its own, or of what it has just forked
                    assert secret.encode() not in line
        workers |= set(worker_processes(process.pid))
        time.sleep(0.02)
    return len(workers)


def rows(url: str) -> str:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        names = sqlalchemy.inspect(connection).get_table_names()
        found = [
            str(connection.exec_driver_sql(f'SELECT * FROM "{name}"').fetchall()) for name in names
        ]
    engine.dispose()
    return "\n".join(found)


def test_a_password_is_shown_nowhere(fake: Folder, postgres: PostgresServer, database: str) -> None:
    plain = database.replace("postgresql+psycopg", "postgresql")
    arguments = ("--study", "tiny", "--trials", "2", "--workers", "2", "--storage", plain)
    with (fake.path / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.fake", "search.run", *arguments],
            cwd=fake.path,
            env=fake.environment,
            stdout=output,
            stderr=output,
            text=True,
        )
        workers = workers_of(process, postgres.password)
        output.seek(0)
        said = output.read()
    assert process.returncode == 0, said
    assert workers == 2
    assert "warning: every user of this machine can see the secret in --storage" in said
    assert '--storage "$DEEPREC_STORAGE"' in said
    for name, content in fake.snapshot().items():
        assert postgres.password.encode() not in content, name
    stored = rows(database)
    assert "learning_rate" in stored
    assert postgres.password not in stored
    assert {"mlruns/mlflow.db", "output"} <= fake.snapshot().keys()


def test_a_wrong_password_is_secret(fake: Folder, postgres: PostgresServer, database: str) -> None:
    wrong = database.replace(postgres.password, "wro%2Fng%40")
    done = fake.search(DEEPREC_STORAGE=wrong)
    assert done.returncode == 2
    assert "password authentication failed" in done.stderr
    assert "wro" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
