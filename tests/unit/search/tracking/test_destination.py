"""Bad input: one line, before anything is written."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from search.records.errors import InputError
from search.tracking import Tracker, open_tracker, read_run, resolve_uri
from search.tracking.destination import check_database, check_writable, mask
from tests.faults.servers import free_port
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    Reader,
    Warnings,
    no_towers,
    run_live,
)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("./mlruns", "file store"),
        ("file:///tmp/mlruns", "file store"),
        ("file:", "file store"),
        ("http://", "http://HOST:PORT"),
        ("http://host:99999", "http://HOST:PORT"),
        ("http://host:abc", "http://HOST:PORT"),
        ("https://ho st", "http://HOST:PORT"),
        ("sqlite://", "to a file"),
        ("sqlite:///:memory:", "to a file"),
        ("postgresql+psycopg://me:secret@host/db", "mlflow server"),
        ("ftp://host", "http:// or https://"),
    ],
)
def test_an_unusable_uri_is_refused_in_one_line(
    uri: str, said: str, tmp_path: Path, warnings: Warnings
) -> None:
    folder = tmp_path / "mlruns"
    with pytest.raises(InputError, match="tracking URI must") as caught:
        open_tracker(uri, CONTEXT, folder=folder, warn=warnings)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "secret" not in message
    assert not folder.exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, warnings: Warnings) -> None:
    (tmp_path / "mlruns").write_text("not a folder")
    with pytest.raises(InputError, match=r"must be a folder, but .*mlruns is a file"):
        open_tracker(None, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match="must be writable"):
        open_tracker(None, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    assert not (tmp_path / "mlruns").exists()


def test_a_damaged_database_is_refused(folder: Path, warnings: Warnings) -> None:
    (folder / "mlflow.db").write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(InputError, match=r"mlflow\.db cannot be read .* move it away"):
        open_tracker(None, CONTEXT, folder=folder, warn=warnings)


def test_a_database_of_something_else_is_refused_and_left_as_it_is(
    tmp_path: Path, warnings: Warnings
) -> None:
    path = tmp_path / "study.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE studies (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="a database of something else"):
        open_tracker(f"sqlite:///{path}", CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    assert path.read_bytes() == before


def test_a_deleted_experiment_is_named_with_the_way_to_restore_it(
    folder: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    reader.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(InputError, match="mlflow experiments restore --experiment-id 1"):
        open_tracker(None, CONTEXT, folder=folder, warn=warnings)


def test_an_experiment_that_was_renamed_is_found_by_the_study_it_holds(
    folder: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    first = run_live(tracker, trial(0))
    reader.client.rename_experiment(tracker.experiment_id, "for the paper")
    again = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert again.reconcile([first], no_towers).nothing
    run_live(again, trial(1))
    assert again.experiment_id == tracker.experiment_id
    assert reader.experiment is None, "it was made a second time"
    run_id = Reader(tracker.uri, "for the paper").children[1].info.run_id
    assert read_run(None, run_id, folder=folder).study == CONTEXT.name
    assert warnings == []


def test_another_study_of_its_name_does_not_get_an_experiment_that_was_renamed(
    folder: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    reader.client.rename_experiment(tracker.experiment_id, "for the paper")
    other = open_tracker(None, replace(CONTEXT, identity="2"), folder=folder, warn=warnings)
    assert other.experiment_id == reader.experiment.experiment_id != tracker.experiment_id
    again = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert again.experiment_id == tracker.experiment_id


def test_an_experiment_that_was_renamed_and_deleted_is_not_made_again(
    folder: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    reader.client.rename_experiment(tracker.experiment_id, "for the paper")
    reader.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(InputError, match="'for the paper' was deleted; restore it with"):
        open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    assert reader.experiment is None


def test_a_database_elsewhere_keeps_its_artifacts_beside_it(
    tmp_path: Path, empty_database: Path, warnings: Warnings
) -> None:
    path = tmp_path / "elsewhere" / "tracking.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    tracker = open_tracker(f"sqlite:///{path}", CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    run_live(tracker, trial(0))
    assert list((tmp_path / "elsewhere" / "artifacts" / "tutorial").glob("*/artifacts/study.toml"))


def test_an_address_that_refuses_connections_is_named(tmp_path: Path, warnings: Warnings) -> None:
    uri = f"http://me:secret@127.0.0.1:{free_port()}"
    begun = time.monotonic()
    with pytest.raises(InputError, match="cannot be reached") as caught:
        open_tracker(uri, CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    assert time.monotonic() - begun < 10
    assert "secret" not in str(caught.value)
    assert "***@127.0.0.1" in str(caught.value)


def test_a_folder_may_have_spaces_and_letters_of_any_alphabet(
    tmp_path: Path, empty_database: Path, warnings: Warnings
) -> None:
    folder = tmp_path / "two words Ünïcode"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    tracker = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    record = run_live(tracker, trial(0))
    assert tracker.reconcile([record], no_towers).nothing
    assert list((folder / "artifacts" / "tutorial").glob("*/artifacts/study.toml"))


def test_a_path_that_would_be_read_as_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be free of %"):
        resolve_uri(None, tmp_path / "100%")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://me:pw@host:5000/x", "http://***@host:5000/x"),
        ("see https://token@host and http://host", "see https://***@host and http://host"),
        ("http://me:p@w@host", "http://***@host"),
        ("http://me:p%40w%2F@host/x", "http://***@host/x"),
        ("http://me:p/w@host/x", "http://***@host/x"),
        ("http://host:5000/me@home", "http://host:5000/me@home"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("'postgresql://me:12/34@host/db'", "'postgresql://***@host/db'"),
        ("http://host/path?token=abc", "http://host/path?***"),
        ("nothing to hide: a@b.c", "nothing to hide: a@b.c"),
    ],
)
def test_secrets_in_addresses_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_relative_database_is_found_from_any_folder(tmp_path: Path) -> None:
    destination = resolve_uri("sqlite:///mlruns/mlflow.db", tmp_path)
    assert destination.database == Path.cwd() / "mlruns" / "mlflow.db"
    assert destination.uri == f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"


HALF_WRITTEN = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # pages are written before the transaction ends
connection.execute("BEGIN")
connection.execute("CREATE TABLE half (written TEXT)")
connection.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 200)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_half_written_in_the_database_is_rolled_back(
    tmp_path: Path,
) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT)")
    subprocess.run([sys.executable, "-c", HALF_WRITTEN, str(database)], check=False)
    assert (tmp_path / "mlflow.db-journal").exists()
    check_writable(resolve_uri(None, tmp_path), tmp_path)
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("experiments",)]


def test_a_database_that_is_only_read_need_not_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    monkeypatch.setattr("os.access", lambda _path, mode: not mode & os.W_OK)
    check_database(path, writes=False)
    with pytest.raises(InputError, match="must be a file that can be read and written"):
        check_database(path)
