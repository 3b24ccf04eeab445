"""The servers, disks and data of the tests are what they say."""

import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, load_prepared, split
from search.config.workspace import PROJECT
from tests.faults.postgres import PostgresServer, is_alive, wait_until
from tests.faults.small_data import TRAINING_ROWS

pytestmark = [pytest.mark.data, pytest.mark.faults]


def test_the_rows_held_out_are_the_real_ones(dataset: Dataset, small_cache_home: Path) -> None:
    small = load_prepared(DataConfig(), cache_dir=small_cache_home / "deeprec")
    assert small is not None
    ours, real = split(small, DataConfig()), split(dataset, DataConfig())
    assert len(ours.train) == TRAINING_ROWS
    for column in ("user_id", "movie_id", "rating", "timestamp"):
        last = getattr(real.train, column)[-TRAINING_ROWS:]
        np.testing.assert_array_equal(getattr(ours.train, column), last)
        for part in ("validation", "test"):
            np.testing.assert_array_equal(
                getattr(getattr(ours, part), column), getattr(getattr(real, part), column)
            )


def test_a_small_disk_is_full_soon_and_unmounted(small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(1)
    (folder / "small").write_bytes(bytes(1000))
    with pytest.raises(OSError, match="No space left") as caught:
        (folder / "large").write_bytes(bytes(2 << 20))
    assert caught.value.errno == errno.ENOSPC


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
def test_the_end_of_a_server_loses_connections_and_nothing_that_was_written(
    postgres: PostgresServer, database: str, end: Callable[[PostgresServer], None]
) -> None:
    write(database, 7)
    engine = sqlalchemy.create_engine(database)
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        end(postgres)
        assert not is_alive(pid)
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.exec_driver_sql("SELECT 1")
    engine.dispose()
    with pytest.raises(sqlalchemy.exc.OperationalError):
        read(database)
    postgres.start()
    assert read(database) == [7]


def test_a_server_is_not_entered_without_the_password(
    postgres: PostgresServer, database: str
) -> None:
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
