"""The check before any work: it writes nothing, and knows who does not answer from who refuses."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from search.config.workspace import PROJECT
from search.records.errors import InputError
from search.tracking import check_mlflow, open_tracker
from tests.faults.servers import free_port
from tests.unit.search.tracking.support import CONTEXT, Warnings


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a server that answers every request with a status and no more."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_written(folder: Path, tmp_path: Path, warnings: Warnings) -> None:
    before = files(tmp_path)
    assert not check_mlflow(None, "tutorial", folder=folder, warn=warnings).is_open
    missing = tmp_path / "not" / "there"
    assert not check_mlflow(None, "tutorial", folder=missing, warn=warnings).is_open
    assert files(tmp_path) == before
    assert not missing.exists()


def test_a_database_elsewhere_is_asked_without_making_the_folder(
    folder: Path, tmp_path: Path, warnings: Warnings
) -> None:
    uri = f"sqlite:///{folder}/mlflow.db"
    check_mlflow(uri, "tutorial", folder=tmp_path / "mlruns-of-mine", warn=warnings)
    assert not (tmp_path / "mlruns-of-mine").exists()


def test_a_study_that_exists_goes_on_without_the_server(tmp_path: Path, warnings: Warnings) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path / "mlruns"
    with pytest.raises(InputError, match="cannot be reached"):
        check_mlflow(uri, "tutorial", folder=folder, warn=warnings)
    assert warnings == []
    circuit = check_mlflow(uri, "tutorial", folder=folder, warn=warnings, must_answer=False)
    assert circuit.is_open
    assert len(warnings) == 1
    tracker = open_tracker(uri, CONTEXT, folder=folder, warn=warnings, circuit=circuit)
    assert not tracker.study_finished([], "complete")
    assert len(warnings) == 1
    assert not folder.exists()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_is_bad_input_for_every_study(
    status: int, tmp_path: Path, warnings: Warnings
) -> None:
    with answering(status) as uri, pytest.raises(InputError, match="check the tracking URI"):
        check_mlflow(uri, "tutorial", folder=tmp_path, warn=warnings, must_answer=False)
    assert warnings == []


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_that_is_broken_for_a_while_is_a_warning_for_a_study_that_exists(
    status: int, tmp_path: Path, warnings: Warnings
) -> None:
    with answering(status) as uri:
        with pytest.raises(InputError, match="check the tracking URI"):
            check_mlflow(uri, "tutorial", folder=tmp_path, warn=warnings)
        check_mlflow(uri, "tutorial", folder=tmp_path, warn=warnings, must_answer=False)
    assert len(warnings) == 1
    assert "\n" not in warnings[0]


KILLED_IN_A_MIGRATION = """
import os, sys
from pathlib import Path
from alembic.operations import Operations
from tests.unit.search.tracking.support import CONTEXT
from search.tracking import open_tracker

add_column, added = Operations.add_column, []

def add_and_die(*arguments, **options):
    add_column(*arguments, **options)
    added.append(arguments)
    if len(added) == 3:
        os.kill(os.getpid(), 9)

Operations.add_column = add_and_die
open_tracker(None, CONTEXT, folder=Path(sys.argv[1]), warn=print).parent_run_id
"""


def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path, warnings: Warnings) -> None:
    folder = tmp_path / "mlruns"
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_MIGRATION, str(folder)], cwd=PROJECT, timeout=120
    )
    assert done.returncode == -9
    assert {path.name.partition("-")[0] for path in folder.iterdir()} == {".lock", ".mlflow"}
    check_mlflow(None, CONTEXT.name, folder=folder, warn=warnings)
    tracker = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert tracker.parent_run_id
    assert not list(folder.glob(".mlflow-*"))
    assert warnings == []


def test_half_a_database_is_refused_with_what_to_do(tmp_path: Path, warnings: Warnings) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:  # as version 0.1.0 could leave it
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT)")
        connection.execute("CREATE TABLE runs (run_uuid VARCHAR(32))")
    connection.close()
    with pytest.raises(InputError, match=r"move \S+mlflow.db away if it stays so"):
        check_mlflow(None, CONTEXT.name, folder=tmp_path, warn=warnings)
