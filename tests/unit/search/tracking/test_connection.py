"""The check before any work writes nothing; experiments are found however people changed them."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from search.records.errors import InputError
from search.tracking.connection import check_mlflow, read_run
from search.tracking.destination import SETTINGS, prepare_environment
from search.tracking.tracker import open_tracker
from tests.faults.servers import answering, free_port
from tests.mlflow_database import copy_database, make_database
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT, At, Reader, Warnings, no_towers, run_live


def test_what_the_user_set_in_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    prepare_environment()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_importing_the_package_imports_neither_mlflow_nor_matplotlib() -> None:
    code = (
        "import sys, search.tracking; "
        "heavy = {'mlflow', 'matplotlib', 'optuna', 'keras', 'deeprec'}; "
        "sys.exit(bool(heavy & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


def test_nothing_is_written(own_folder: Path, tmp_path: Path, warnings: Warnings) -> None:
    def files() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    before, missing = files(), tmp_path / "not" / "there"
    elsewhere = f"sqlite:///{own_folder}/mlflow.db"
    for uri, folder in ((None, own_folder), (None, missing), (elsewhere, missing)):
        assert not check_mlflow(uri, "tutorial", folder=folder, warn=warnings).is_open
    assert files() == before
    assert not missing.exists()
    assert warnings == []


def test_a_study_that_exists_goes_on_without_the_server(tmp_path: Path, warnings: Warnings) -> None:
    uri = f"http://me:secret@127.0.0.1:{free_port()}"
    folder = tmp_path / "mlruns"
    begun = time.monotonic()
    with pytest.raises(InputError, match="cannot be reached") as caught:
        check_mlflow(uri, "tutorial", folder=folder, warn=warnings)
    assert time.monotonic() - begun < 10
    assert "secret" not in str(caught.value)
    assert "***@127.0.0.1" in str(caught.value)
    assert warnings == []
    circuit = check_mlflow(uri, "tutorial", folder=folder, warn=warnings, must_answer=False)
    assert circuit.is_open
    tracker = open_tracker(uri, CONTEXT, folder=folder, warn=warnings, circuit=circuit)
    assert not tracker.study_finished([], "complete")
    assert len(warnings) == 1
    assert not folder.exists()


@pytest.mark.faults
def test_an_address_that_never_answers_is_refused(tmp_path: Path, warnings: Warnings) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(InputError, match=f"{uri} does not answer"):
            open_tracker(uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_says_no_is_refused(status: int, tmp_path: Path, warnings: Warnings) -> None:
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
from search.tracking.tracker import open_tracker

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


def test_a_deleted_experiment_is_named_with_the_way_to_restore_it(at: At) -> None:
    at.reader.client.delete_experiment(at.tracker.experiment_id)
    with pytest.raises(InputError, match="mlflow experiments restore --experiment-id 1"):
        at.opened()


def test_an_experiment_that_was_renamed_is_found_by_the_study_it_holds(at: At) -> None:
    first = run_live(at.tracker, trial(0))
    at.reader.client.rename_experiment(at.tracker.experiment_id, "for the paper")
    again = at.opened()
    assert again.reconcile([first], no_towers).nothing
    run_live(again, trial(1))
    assert again.experiment_id == at.tracker.experiment_id
    assert at.reader.experiment is None, "it was made a second time"
    run_id = Reader(at.tracker.uri, "for the paper").children[1].info.run_id
    assert read_run(None, run_id, folder=at.folder).study == CONTEXT.name
    other = at.opened(identity="2")  # another study of the name does not get it
    assert other.experiment_id == Reader(at.tracker.uri).experiment.experiment_id
    assert other.experiment_id != at.tracker.experiment_id
    assert at.opened().experiment_id == at.tracker.experiment_id
    assert at.warnings == []


def test_an_experiment_that_was_renamed_and_deleted_is_not_made_again(at: At) -> None:
    at.reader.client.rename_experiment(at.tracker.experiment_id, "for the paper")
    at.reader.client.delete_experiment(at.tracker.experiment_id)
    with pytest.raises(InputError, match="'for the paper' was deleted; restore it with"):
        at.opened()
    assert at.reader.experiment is None


def test_the_tests_copy_the_database_that_mlflow_makes(tmp_path: Path) -> None:
    made, copied = tmp_path / "made.db", tmp_path / "copied.db"
    make_database(made, tmp_path)
    copy_database(copied, tmp_path)
    assert described(made) == described(copied)


def described(path: Path) -> dict[str, object]:
    """The columns of every table, and where the files are to lie."""
    with closing(sqlite3.connect(path)) as database:
        root = database.execute("SELECT artifact_location FROM experiments").fetchall()
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {"root": root} | {
            name: database.execute(f"PRAGMA table_info('{name}')").fetchall() for (name,) in tables
        }
