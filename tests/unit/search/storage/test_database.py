"""The address of a database, and databases that are refused before Optuna could change them."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from search.config.addresses import PROJECT
from search.records.errors import InputError
from search.storage.database import Database, holds_studies
from search.storage.study import close_study, open_study, recognized
from tests.unit.search.specs import small_spec

DIE_WITH_A_LOG = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("CREATE TABLE one (text TEXT)")
os.kill(os.getpid(), 9)
"""


def refusal(url: str) -> str:
    with pytest.raises(InputError) as caught:
        holds_studies(Database.at(url))
    message = str(caught.value)
    assert message.isprintable()
    assert "secret" not in message
    return message


# --- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://user:secret@host/name", "postgresql+psycopg://user:***@host/name"),
        ("postgresql://user:se%2Fcret%40@host/name", "postgresql://user:***@host/name"),
        ("postgres://user:se/cret@host/name", "postgres://user:***@host/name"),
        (
            "postgresql://h/n?user=me&password=secret&a=b",
            "postgresql://h/n?a=b&password=***&user=me",
        ),
        ("postgresql://h/n?%73slpassword=secret&a=/b", "postgresql://h/n?a=%2Fb&sslpassword=***"),
        ("postgresql://u:secret:with:colons@host:5432/name", "postgresql://u:***@host:5432/name"),
        ("postgresql://u:secret@[::1]:65535/name", "postgresql://u:***@[::1]:65535/name"),
        ("postgresql:///x?host=/var/run/postgresql", "postgresql:///x?host=%2Fvar%2Frun%2Fpostgr"),
        ("sqlite:////a/b:c.db", "sqlite:////a/b%3Ac.db"),
    ],
)
def test_an_address_is_shown_without_its_passwords(url: str, shown: str) -> None:
    database = Database.at(url)
    assert database.shown.startswith(shown)
    assert "secret" not in repr(database)
    is_file = url.startswith("sqlite")
    assert database.path == (Path("/a/b:c.db") if is_file else None)
    assert database.address.drivername == ("sqlite" if is_file else "postgresql+psycopg")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "must be a database URL such as"),
        ("postgresql://u:secret@x@host/name", "write %40 for @"),
        ("postgresql://user:se@cret@host/name", "write %40 for @"),
        ("postgresql://u:secret@h:port/x", "a port from 1 to 65535"),
        ("postgresql://u:secret@h:65536/x", "a port from 1 to 65535"),
        ("postgresql://u:secret@h:0/x", "a port from 1 to 65535"),
        ("postgresql://u:secret@h:-1/x", "a port from 1 to 65535"),
        ("postgresql://u:secret@[::1/x", "a port from 1 to 65535"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite://", "must name a file"),
        ("sqlite:////tmp", "unable to open database file"),
        ("http://u:secret@h/x", "not in http"),
        ("postgresql://u:secret@127.0.0.1:1/x?nonsense=1", 'invalid connection option "nonsense"'),
        ("sqlite:////no/such/folder/study.db", "folder of --storage must exist"),
        ("oracle9://host/name", "cannot be used"),
        ("mysql://u:secret@host/name", "or PostgreSQL (postgresql://user@host/name, through psyc"),
        ("postgresql+psycopg2://u:secret@host/name", "not in postgresql+psycopg2"),
        ("postgresql+nodriver://u:secret@127.0.0.1:1/x", "cannot be used"),
        ("sqlite:///x.db?password=secret", "no options, but got sqlite:///x.db?password=***"),
        ("sqlite:///x.db?timeout=abc", "with no host and no options"),
        ("sqlite://host/x.db", "with no host and no options"),
        (f"postgresql://u:secret@{'h' * 100}/x", "cannot be opened"),
        ("postgresql:///x?host=%ff", "cannot be opened"),
    ],
)
def test_an_unusable_address_is_one_clear_line(url: str, message: str) -> None:
    assert message in refusal(url)


@given(st.text("[]:@/0123456789aé.?#,-", max_size=30))
def test_what_is_refused_is_no_url(rest: str) -> None:
    url = f"postgresql+psycopg://{rest}"
    try:
        parts = sqlalchemy.make_url(url)
        is_url = "@" not in (parts.host or "") and (parts.port is None or 0 < parts.port < 65_536)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        is_url = False
    if is_url:
        Database.at(url)
        return
    with pytest.raises(InputError) as caught:
        Database.at(url)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("writable", [("folder",), ("file",), ("file", "folder")])
def test_a_database_and_its_folder_must_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: tuple[str, ...]
) -> None:
    folder, file = tmp_path / "folder", tmp_path / "folder" / "file"
    folder.mkdir()
    file.touch()

    def access(path: Path, mode: int) -> bool:
        return mode == os.F_OK or path.name in writable

    monkeypatch.setattr("os.access", access)
    assert Database.at(f"sqlite:///{file}").may_write() == (len(writable) == 2)
    assert Database.at("postgresql://host/name").may_write(), "that is for the server to say"


# --- what is behind an address ----------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of a study, closed."""
    database = Database.in_folder(tmp_path, "small")
    close_study(open_study(database, small_spec(tmp_path), "f", "identity"))
    return tmp_path / "small.db"


@pytest.mark.parametrize(
    ("version", "library", "message"),
    [
        ("v3.0.0.d", "3.0.0", "an older Optuna, 3.0.0; .*optuna storage upgrade --storage {url}$"),
        ("v99.0.0.a", "99.0.0", "a newer Optuna than .*, 99.0.0; .* -m pip install --upgrade opt"),
    ],
)
def test_tables_of_another_optuna(path: Path, version: str, library: str, message: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.execute("UPDATE version_info SET library_version = ?", [library])
        (heartbeats,) = connection.execute(
            "SELECT sql FROM sqlite_master WHERE name = 'trial_heartbeats'"
        ).fetchone()
        connection.execute("DROP TABLE trial_heartbeats")  # which Optuna would add
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    spec, url = small_spec(path.parent), f"sqlite:///{path}"
    with pytest.raises(InputError, match=f"was made by {message.format(url=url)}"):
        recognized(Database.at(url), spec)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    if "older" in message:  # the advice works
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(heartbeats)
        storage = optuna.storages.RDBStorage(url, skip_compatibility_check=True)
        storage.upgrade()
        storage.engine.dispose()
        assert recognized(Database.at(url), spec)[0] == "identity"


def test_tables_that_were_not_completed_are_completed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
    database = Database.at(f"sqlite:///{path}")
    assert recognized(database, small_spec(path.parent))[0] == "identity"


def test_the_log_of_an_emptied_database_is_not_lost(tmp_path: Path) -> None:
    path, log = tmp_path / "small.db", tmp_path / "small.db-wal"
    subprocess.run([sys.executable, "-c", DIE_WITH_A_LOG, str(path)], check=False)
    os.truncate(path, 0)
    before = log.read_bytes()
    assert before
    assert "it is empty, but its log small.db-wal is not" in refusal(f"sqlite:///{path}")
    assert log.read_bytes() == before


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = Database.at("postgresql://me@host/x").engine_arguments["connect_args"]
    assert (arguments["connect_timeout"], arguments["keepalives_idle"]) == (5, 30)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()  # what the URL says of the connection counts
        refusal(f"postgresql://u:secret@127.0.0.1:{port}/x?connect_timeout=2")
        assert 1 < time.monotonic() - started < 4


def test_a_missing_driver_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = refusal("postgresql://user:secret@127.0.0.1:1/name")
    assert "needs the package psycopg, " in said
    assert said.endswith("-m pip install '.[postgres]'")


def pragmas(database: Database) -> tuple[object, object]:
    """The mode of the log, and whether every transaction waits for the disk (2) or not (1)."""
    engine = database.engine()
    with engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    engine.dispose()
    return mode, synchronous


def test_writes_are_logged_ahead_and_one_file_is_left_at_the_end(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path, "small")
    study = open_study(database, small_spec(tmp_path), "f", "identity")
    study.ask()
    assert (tmp_path / "small.db-wal").exists()
    close_study(study)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.db", "small.toml"]
    assert pragmas(database) == ("wal", 1)


def test_one_that_is_not_logged_ahead_keeps_waiting_for_the_disk(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path, "small")
    optuna.create_study(storage=database.url, study_name="small", direction="maximize")
    assert pragmas(database) == ("delete", 2)


def test_a_database_that_another_process_reads_is_opened_all_the_same(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path, "small")
    optuna.create_study(storage=database.url, study_name="small", direction="maximize")
    with closing(
        sqlite3.connect(tmp_path / "small.db", isolation_level=None, check_same_thread=False)
    ) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchall()
        timer = threading.Timer(1.5, reader.execute, ["COMMIT"])
        timer.start()
        study = open_study(database, small_spec(tmp_path), "f", "identity")
        assert study.direction.name == "MAXIMIZE"
        timer.join()


# --- writing ----------------------------------------------------------------------------------


def test_none_can_end_a_trial_between_the_look_at_its_state_and_the_end_of_it(
    tmp_path: Path,
) -> None:
    database = Database.at(f"sqlite:///{tmp_path}/s.db")
    study = open_study(database, small_spec(tmp_path), "f", "identity")
    trial, refused = study.ask(), []

    def end_it_too(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT trials.trial_id"):
            with closing(sqlite3.connect(tmp_path / "s.db", timeout=0)) as other:
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("UPDATE trials SET state = 'FAIL'")
                refused.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", end_it_too)
    try:
        study._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "after_cursor_execute", end_it_too)
    assert refused
    assert study.get_trials()[0].value == 0.5
    close_study(study)


KILLED_WHILE_IT_IS_MADE = """
import itertools, os, sys
import optuna
from sqlalchemy import event
from sqlalchemy.engine import Engine
from search.storage.database import Database, holds_studies, open_storage, prepare_database

optuna.logging.set_verbosity(optuna.logging.ERROR)

def make(database):
    prepare_database(database)
    optuna.create_study(storage=open_storage(database), study_name="x", load_if_exists=True)

def exit_code(action):
    pid = os.fork()
    if not pid:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def die_at(step):
    steps = itertools.count(1)

    def count(*arguments, **options):
        if next(steps) == step:
            os.kill(os.getpid(), 9)

    for name in ("after_cursor_execute", "commit"):
        event.listen(Engine, name, count)

make(Database.at(f"sqlite:///{sys.argv[1]}/first.db"))  # mappings and statements are in memory now
for step in itertools.count(1, 6):
    database = Database.at(f"sqlite:///{sys.argv[1]}/{step}.db")
    if exit_code(lambda: (die_at(step), make(database))) == 0:
        break
    assert exit_code(lambda: (holds_studies(database), make(database))) == 0, step
print(step)
"""


@pytest.mark.storm
def test_a_study_can_be_made_again_wherever_its_creation_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED_WHILE_IT_IS_MADE, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60, "the tables alone are made in so many steps"
    assert not list(tmp_path.glob(".*")), "and nothing is left of the first try"
