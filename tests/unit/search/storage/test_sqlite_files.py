"""Damaged databases are told from whole ones, and stay as they are."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from search.records.errors import InputError
from search.storage import sqlite_files
from search.storage.databases import default_storage, holds_studies
from search.storage.sqlite_files import DamagedError, tables_of
from search.storage.study import close_study, open_study, recognized
from tests.unit.search.specs import small_spec

KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("CREATE TABLE more (written TEXT)")
os.kill(os.getpid(), 9)
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_files, "_PAUSE_SECONDS", 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    spec = small_spec(folder)
    study = open_study(default_storage(folder, "small"), spec, "f", "identity")
    for _ in range(40):
        study.tell(study.ask(), 0.5)
    close_study(study)
    return folder / "small.db"


@pytest.fixture
def database(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(whole, tmp_path / "small.db"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_looking_leaves_nothing_behind(database: Path) -> None:
    before = files(database.parent)
    assert tables_of(database) >= {"studies", "trials", "version_info"}
    assert files(database.parent) == before


@pytest.mark.parametrize("kept", [50, 100, 4096, 5000, 8192, 0.5, -1, -4096])
def test_a_truncated_study_is_refused_with_the_way_to_recover_it(
    database: Path, tmp_path: Path, kept: float
) -> None:
    size = database.stat().st_size
    os.truncate(database, int(kept * size) if isinstance(kept, float) else kept % size)
    before = files(tmp_path)
    with pytest.raises(InputError, match="is damaged") as caught:
        holds_studies(default_storage(tmp_path, "small"))
    new = tmp_path / "small.recovered.db"
    assert f"sqlite3 {database} .recover | sqlite3 {new}" in str(caught.value)
    assert "move it away to start anew" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_every_byte_of_the_header_may_be_wrong(database: Path) -> None:
    right = database.read_bytes()
    refused = set()
    for place in range(100):
        wrong = bytearray(right)
        wrong[place] ^= 0xFF
        database.write_bytes(wrong)
        try:
            holds_studies(default_storage(database.parent, "small"))
        except InputError:
            refused.add(place)
        assert database.read_bytes() == wrong
        assert [path.name for path in database.parent.iterdir()] == ["small.db"]
    assert refused >= {*range(18), 21, 22, 23}


def test_what_the_sqlite_shell_recovers_is_the_study(
    whole: Path, database: Path, tmp_path: Path
) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("the program sqlite3 is not installed")
    os.truncate(database, database.stat().st_size - 4096)
    with pytest.raises(InputError, match="is damaged") as caught:
        holds_studies(default_storage(tmp_path, "small"))
    command = "sqlite3 " + str(caught.value).partition("(sqlite3 ")[2].partition(", with")[0]
    tried = subprocess.run(["sqlite3", whole, ".recover"], check=False, capture_output=True)
    if b"INSERT" not in tried.stdout:  # some distributions leave it out
        command = command.replace(".recover |", ".dump |")
    subprocess.run(command, shell=True, check=True)
    (tmp_path / "small.recovered.db").rename(database)
    spec = small_spec(tmp_path)
    assert recognized(default_storage(tmp_path, "small"), spec)[0] == "identity"


def test_what_is_in_the_log_of_a_killed_process_counts(database: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    log = database.with_name("small.db-wal")
    before = database.read_bytes(), log.read_bytes()
    assert len(before[1]) > 0
    assert "more" in tables_of(database)
    assert (database.read_bytes(), log.read_bytes()) == before


def test_a_damaged_file_keeps_its_log(database: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False)
    os.truncate(database, database.stat().st_size // 2)
    log = database.with_name("small.db-wal")
    before = database.read_bytes(), log.read_bytes()
    with pytest.raises(DamagedError):
        tables_of(database)
    assert (database.read_bytes(), log.read_bytes()) == before


def test_one_that_is_written_meanwhile_is_whole(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO studies (study_name) VALUES ('another')")
        assert "studies" in tables_of(database)
        connection.commit()
    assert "studies" in tables_of(database)


def test_an_empty_file_has_no_tables(tmp_path: Path) -> None:
    (tmp_path / "small.db").touch()
    assert tables_of(tmp_path / "small.db") == set()


def test_a_folder_in_the_place_of_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.db").mkdir()
    with pytest.raises(InputError, match="cannot be opened: unable to open database file"):
        holds_studies(default_storage(tmp_path, "small"))
