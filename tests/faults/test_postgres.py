"""The server of the tests is a server: what was written is there after any end of it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy

from search.config.workspace import PROJECT
from tests.faults import postgres as module
from tests.faults.postgres import (
    NotInstalledError,
    PostgresServer,
    find_programs,
    is_alive,
    wait_until,
)

pytestmark = pytest.mark.faults


def write(url: str, number: int) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO numbers VALUES ({number})")
    engine.dispose()


def read(url: str) -> list[int]:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        numbers = [row[0] for row in connection.exec_driver_sql("SELECT number FROM numbers")]
    engine.dispose()
    return numbers


@pytest.mark.parametrize("end", [PostgresServer.kill, PostgresServer.stop])
def test_what_was_written_is_there_after_the_server_was_gone(
    postgres: PostgresServer, database: str, end: Callable[[PostgresServer], None]
) -> None:
    write(database, 7)
    end(postgres)
    assert not postgres.is_running
    with pytest.raises(sqlalchemy.exc.OperationalError):
        read(database)
    postgres.start()
    assert read(database) == [7]


def test_a_kill_ends_those_who_serve_clients_as_well(
    postgres: PostgresServer, database: str
) -> None:
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        assert is_alive(pid)
        postgres.kill()
        assert not is_alive(pid)
        connection.invalidate()
    engine.dispose()
    postgres.start()


def test_a_restart_loses_the_connections_and_nothing_else(
    postgres: PostgresServer, database: str
) -> None:
    write(database, 1)
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        postgres.restart()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    assert read(database) == [1]


def test_nobody_comes_in_without_the_password(postgres: PostgresServer, database: str) -> None:
    assert postgres.password in database
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        read(database.replace(postgres.password, "wrong"))


def test_killed_tests_leave_no_server(postgres: PostgresServer) -> None:
    program = """if True:
        import os, signal
        from tests.faults.postgres import PostgresServer
        server = PostgresServer()
        print(server.process_id, server.folder, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, folder = done.stdout.decode().split()
    try:
        wait_until(lambda: not is_alive(int(pid)), 30, "the server lives on")
    finally:
        shutil.rmtree(folder)


def test_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(()))
    with pytest.raises(NotInstalledError, match="PostgreSQL is not installed"):
        find_programs()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_needs_a_user_to_run_it_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNPRIVILEGED", "nobody-of-this-name")
    with pytest.raises(NotInstalledError, match="there is no user nobody-of-this-name"):
        PostgresServer()
