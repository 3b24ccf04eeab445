"""Where MLflow is: bad input in one line before anything is written, and folders that moved."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from deeprec.recommender import Recommender
from search.config.addresses import mask
from search.records.errors import InputError
from search.tracking.connection import read_run
from search.tracking.destination import (
    bring_along,
    check_database,
    check_writable,
    left_folders,
    resolve_uri,
)
from search.tracking.models import published_folder
from search.tracking.tracker import Tracker, open_tracker
from tests.mlflow_database import empty_database
from tests.tiny_recommender import tiny_recommender
from tests.unit.search.sample_records import save_towers, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    Reader,
    Warnings,
    new_run,
    no_towers,
    published,
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
def test_an_unusable_uri_is_refused_in_one_line(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tracking URI must") as caught:
        open_tracker(uri, CONTEXT, folder=tmp_path / "mlruns", warn=pytest.fail)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert "secret" not in message
    assert not list(tmp_path.iterdir())


def as_file(tmp_path: Path) -> None:
    (tmp_path / "mlruns").write_text("not a folder")


def damaged(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    (tmp_path / "mlruns/mlflow.db").write_bytes(b"this is not a database at all" * 100)


def of_something_else(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlruns/mlflow.db")) as connection, connection:
        connection.execute("CREATE TABLE studies (name TEXT)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (as_file, r"must be a folder, but .*mlruns is a file"),
        (damaged, r"mlflow\.db cannot be read .* move it away"),
        (of_something_else, "a database of something else"),
    ],
)
def test_what_cannot_be_used_is_refused_and_left_as_it_is(
    make: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    make(tmp_path)
    before = files(tmp_path)
    with pytest.raises(InputError, match=message):
        open_tracker(None, CONTEXT, folder=tmp_path / "mlruns", warn=pytest.fail)
    assert files(tmp_path) == before


def test_a_folder_must_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match="must be writable"):
        open_tracker(None, CONTEXT, folder=tmp_path / "mlruns", warn=pytest.fail)
    assert not (tmp_path / "mlruns").exists()


def test_what_is_read_need_not_be_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    monkeypatch.setattr("os.access", lambda _path, mode: not mode & os.W_OK)
    check_database(path, writes=False)
    with pytest.raises(InputError, match="must be a file that can be read and written"):
        check_database(path)


def test_a_path_that_would_be_read_as_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be free of %"):
        resolve_uri(None, tmp_path / "100%")


def test_a_relative_database_is_found_from_any_folder(tmp_path: Path) -> None:
    destination = resolve_uri("sqlite:///mlruns/mlflow.db", tmp_path)
    assert destination.database == Path.cwd() / "mlruns" / "mlflow.db"
    assert destination.uri == f"sqlite:///{Path.cwd()}/mlruns/mlflow.db"


def test_a_database_elsewhere_of_any_name_keeps_its_artifacts_beside_it(
    tmp_path: Path, warnings: Warnings
) -> None:
    path = tmp_path / "two words Ünïcode" / "tracking.db"
    path.parent.mkdir()
    path.write_bytes(empty_database())
    tracker = open_tracker(f"sqlite:///{path}", CONTEXT, folder=tmp_path / "mlruns", warn=warnings)
    record = run_live(tracker, trial(0))
    assert tracker.reconcile([record], no_towers).nothing
    assert list((path.parent / "artifacts" / "tutorial").glob("*/artifacts/study.toml"))


def test_secrets_in_addresses_are_masked() -> None:
    masked = {
        "http://me:pw@host:5000/x": "http://***@host:5000/x",
        "see https://token@host and http://host": "see https://***@host and http://host",
        "http://me:p@w@host": "http://***@host",
        "http://me:p%40w%2F@host/x": "http://***@host/x",
        "http://me:p/w@host/x": "http://***@host/x",
        "'postgresql://me:12/34@host/db'": "'postgresql://***@host/db'",
        "http://host/path?token=abc": "http://host/path?***",
    }
    assert {text: mask(text) for text in masked} == masked
    for text in ("http://host:5000/me@home", "sqlite:////home/me@work/mlflow.db", "a@b.c"):
        assert mask(text) == text


HALF_WRITTEN = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # pages are written before the transaction ends
connection.execute("BEGIN")
connection.execute("CREATE TABLE half (written TEXT)")
connection.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 200)
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_half_written_is_rolled_back(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE experiments (name TEXT)")
    subprocess.run([sys.executable, "-c", HALF_WRITTEN, str(database)], check=False)
    assert (tmp_path / "mlflow.db-journal").exists()
    check_writable(resolve_uri(None, tmp_path), tmp_path)
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == [("experiments",)]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def champion_of(folder: Path, announce: Callable[[str], None] = lambda _line: None) -> None:
    """Finds the champion of a folder, which recommends what it did."""
    with published_folder(None, None, folder=folder, announce=announce) as found:
        assert Recommender.load(found).recommend(2) == tiny_recommender().recommend(2)


@pytest.fixture
def towers(tmp_path: Path) -> Path:
    return save_towers(tmp_path / "towers")


@pytest.fixture
def filled(own_folder: Path, recommender_folder: Path, towers: Path, warnings: Warnings) -> Path:
    """A folder with a study, towers and a champion."""
    tracker: Tracker = open_tracker(None, CONTEXT, folder=own_folder, warn=warnings)
    run_live(tracker, trial(0), towers)
    published(tracker, new_run(tracker, 7), recommender_folder)
    return own_folder


def test_a_copy_is_its_own(filled: Path, towers: Path, tmp_path: Path, warnings: Warnings) -> None:
    copy = tmp_path / "a cöpy" / "mlruns"
    shutil.copytree(filled, copy)
    before = files(filled)
    said: list[str] = []
    tracker = open_tracker(None, CONTEXT, folder=copy, warn=warnings, announce=said.append)
    assert tracker.reconcile([trial(0)], lambda _: towers).nothing
    run_live(tracker, trial(1, top=0.4), towers)
    tracker.log_report(towers / "query_model.keras")
    [line] = said
    assert f"copied or moved here from {filled}" in line
    assert "\n" not in line
    for run in Reader(tracker.uri).children.values():
        assert len(list((Path(copy, "artifacts")).glob(f"*/{run.info.run_id}/artifacts/*/*"))) == 2
    champion_of(copy)
    again = open_tracker(None, CONTEXT, folder=copy, warn=warnings, announce=said.append)
    assert again.experiment_id == tracker.experiment_id
    assert len(said) == 1
    assert files(filled) == before
    assert warnings == []


def test_what_was_moved_is_found_read_only(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = Reader(f"sqlite:///{filled}/mlflow.db").children[0].info.run_id
    place = filled.rename(tmp_path / "moved")
    with monkeypatch.context() as read_only:
        read_only.setattr("search.tracking.models.bring_along", lambda *_: None)
        before = files(place)
        champion_of(place)
        assert files(place) == before
    assert read_run(None, run_id, folder=place).spec_text == CONTEXT.spec_text
    said: list[str] = []
    for _ in range(2):
        champion_of(place, said.append)
    assert len(said) == 1
    assert not filled.exists()


def test_a_link_to_the_folder_is_the_folder(own_folder: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{own_folder}/mlflow.db"
    Reader(uri).client.create_experiment("x", (own_folder / "artifacts" / "x").as_uri())
    link = tmp_path / "link"
    link.symlink_to(own_folder)
    before = files(own_folder)
    bring_along(link / "mlflow.db", pytest.fail)
    assert files(own_folder) == before


def test_artifacts_that_a_person_keeps_elsewhere_stay_there(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "big disk" / "artifacts"
    elsewhere.mkdir(parents=True)
    client = Reader(f"sqlite:///{folder}/mlflow.db").client
    client.create_experiment("x", artifact_location=(elsewhere / "x").as_uri())
    client.create_experiment("y", artifact_location="s3://bucket/artifacts/y")
    assert left_folders(folder / "mlflow.db") == []


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_a_database_that_is_none_yet_has_not_moved(content: bytes | None, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    if content is not None:
        database.write_bytes(content)
    bring_along(database, pytest.fail)
    assert list(tmp_path.iterdir()) == ([] if content is None else [database])
