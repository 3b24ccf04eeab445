"""Databases that are refused as they are, before Optuna or SQLite could change them."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from search.config.workspace import PROJECT
from search.records.errors import InputError
from search.storage.databases import (
    default_storage,
    engine_arguments,
    holds_studies,
    parse_url,
)
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
        holds_studies(url)
    message = str(caught.value)
    assert message.isprintable()
    assert "secret" not in message
    return message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The database of a study, closed."""
    url = default_storage(tmp_path, "small")
    close_study(open_study(url, small_spec(tmp_path), "f", "identity"))
    return tmp_path / "small.db"


@pytest.mark.parametrize(
    ("version", "library", "message"),
    [
        (
            "v3.0.0.c",
            "3.0.0",
            "an older Optuna, 3.0.0; .*optuna storage upgrade --storage sqlite:///.*small.db",
        ),
        (
            "v99.0.0.a",
            "99.0.0",
            "a newer Optuna than .*, 99.0.0; .* -m pip install --upgrade optuna",
        ),
    ],
)
def test_tables_of_another_optuna_are_refused_as_they_are(
    path: Path, version: str, library: str, message: str
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
        connection.execute("UPDATE version_info SET library_version = ?", [library])
        connection.execute("DROP TABLE trial_heartbeats")  # which Optuna would add
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with pytest.raises(InputError, match=f"was made by {message}"):
        recognized(f"sqlite:///{path}", small_spec(path.parent))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_tables_that_were_not_completed_are_completed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM alembic_version")
    assert recognized(f"sqlite:///{path}", small_spec(path.parent))[0] == "identity"


def test_the_log_of_an_emptied_database_is_not_lost(tmp_path: Path) -> None:
    path, log = tmp_path / "small.db", tmp_path / "small.db-wal"
    subprocess.run([sys.executable, "-c", DIE_WITH_A_LOG, str(path)], check=False)
    os.truncate(path, 0)
    before = log.read_bytes()
    assert before
    assert "it is empty, but its log small.db-wal is not" in refusal(f"sqlite:///{path}")
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///x.db?password=secret", "no options, but got sqlite:///x.db?password=***"),
        ("sqlite:///x.db?timeout=abc", "with no host and no options"),
        ("sqlite://host/x.db", "with no host and no options"),
        (f"postgresql://u:secret@{'h' * 100}/x", "cannot be opened"),
        ("postgresql:///x?host=%ff", "cannot be opened"),
    ],
)
def test_an_address_that_no_driver_understands_is_refused(url: str, message: str) -> None:
    assert message in refusal(url)


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        refusal(f"postgresql://u:secret@127.0.0.1:{port}/x")
        assert time.monotonic() - started < 9, "with two addresses it would be too long"


def test_what_the_url_says_of_the_connection_counts() -> None:
    own = engine_arguments(parse_url("postgresql://me@host/x?connect_timeout=60"))
    assert "connect_timeout" not in own["connect_args"]
    assert "keepalives_idle" in own["connect_args"]


KILLED_WHILE_IT_IS_MADE = """
import itertools, os, sys
import optuna
from sqlalchemy import event
from sqlalchemy.engine import Engine
from search.storage.databases import holds_studies, log_ahead, make_database, open_storage

optuna.logging.set_verbosity(optuna.logging.ERROR)

def make(url):
    make_database(url)
    log_ahead(url)
    optuna.create_study(storage=open_storage(url), study_name="x", load_if_exists=True)

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

for step in itertools.count(1, 6):
    url = f"sqlite:///{sys.argv[1]}/{step}.db"
    if exit_code(lambda: (die_at(step), make(url))) == 0:
        break
    assert exit_code(lambda: (holds_studies(url), make(url))) == 0, step
print(step)
"""


def test_a_study_can_be_made_again_wherever_its_creation_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED_WHILE_IT_IS_MADE, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60, "the tables alone are made in so many steps"
    assert not list(tmp_path.glob(".*")), "and nothing is left of the first try"
