"""Damaged databases are told from whole ones and stay as they are; networks are refused."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from search.records.errors import InputError
from search.storage import sqlite_files
from search.storage.database import Database, holds_studies
from search.storage.sqlite_files import DamagedError, kind_of, refuse_network, tables_of
from search.storage.study import close_study, open_study, recognized
from search.tracking.destination import check_writable, resolve_uri
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
    study = open_study(Database.in_folder(folder, "small"), spec, "f", "identity")
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
def test_a_truncated_study_can_be_recovered(database: Path, tmp_path: Path, kept: float) -> None:
    size = database.stat().st_size
    os.truncate(database, int(kept * size) if isinstance(kept, float) else kept % size)
    before = files(tmp_path)
    with pytest.raises(InputError, match="is damaged") as caught:
        holds_studies(Database.in_folder(tmp_path, "small"))
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
            holds_studies(Database.in_folder(database.parent, "small"))
        except InputError:
            refused.add(place)
        assert database.read_bytes() == wrong
        assert [path.name for path in database.parent.iterdir()] == ["small.db"]
    assert refused >= {*range(18), 21, 22, 23}


def test_what_the_shell_recovers_is_the_study(whole: Path, database: Path, tmp_path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("the program sqlite3 is not installed")
    os.truncate(database, database.stat().st_size - 4096)
    with pytest.raises(InputError, match="is damaged") as caught:
        holds_studies(Database.in_folder(tmp_path, "small"))
    command = "sqlite3 " + str(caught.value).partition("(sqlite3 ")[2].partition(", with")[0]
    tried = subprocess.run(["sqlite3", whole, ".recover"], check=False, capture_output=True)
    if b"INSERT" not in tried.stdout:  # some distributions leave it out
        command = command.replace(".recover |", ".dump |")
    subprocess.run(command, shell=True, check=True)
    (tmp_path / "small.recovered.db").rename(database)
    spec = small_spec(tmp_path)
    assert recognized(Database.in_folder(tmp_path, "small"), spec)[0] == "identity"


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


def test_an_empty_file_has_no_tables_and_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.db").touch()
    assert tables_of(tmp_path / "small.db") == set()
    (tmp_path / "small.db").unlink()
    (tmp_path / "small.db").mkdir()
    with pytest.raises(InputError, match="cannot be opened: unable to open database file"):
        holds_studies(Database.in_folder(tmp_path, "small"))


MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
23 22 0:20 / /proc rw,nosuid - proc proc rw
30 22 0:40 /export /no/home rw,relatime shared:9 master:3 propagate_from:2 - nfs4 server:/home rw
31 30 254:1 / /no/home/me/local rw - xfs /dev/vdb rw
32 22 0:41 / /no/two\040words\134\303\274 rw - fuse.sshfs me@host: rw
33 22 0:42 / /no/over rw - cifs //server/share rw
34 33 0:43 / /no/over rw - tmpfs tmpfs rw
35 22 0:44 / /no/under rw - tmpfs tmpfs rw
36 35 0:45 / /no/under rw - lustre 10.0.0.1@tcp:/scratch rw
a line that is cut
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/no/where/x.db", "ext4"),
        ("/no/home/me/x.db", "nfs4"),
        ("/no/home", "nfs4"),
        ("/no/homeless/x.db", "ext4"),
        ("/no/home/me/local/studies/x.db", "xfs"),
        ("/no/home/me/local/../x.db", "nfs4"),
        ("/no/two words\\ü/x.db", "fuse.sshfs"),
        ("/no/over/x.db", "tmpfs"),
        ("/no/under/x.db", "lustre"),
    ],
)
def test_the_last_of_the_deepest_mount_points_counts(mounts: Path, path: str, kind: str) -> None:
    assert kind_of(Path(path), mounts) == kind
    (mounts.parent / "link").symlink_to("/no/home/me")
    assert kind_of(mounts.parent / "link" / "x.db", mounts) == "nfs4"


@pytest.mark.parametrize("kind", ["ext4", "overlay", "fuse.x", None])
def test_local_and_unknown_file_systems_are_welcome(tmp_path: Path, kind: str | None) -> None:
    path = tmp_path / "mountinfo"
    if kind is not None:
        path.write_text(f"1 0 0:1 / / rw - {kind} somewhere rw\n", encoding="utf-8")
    assert kind_of(tmp_path, path) == kind
    refuse_network(tmp_path, "the database", mounts=path)


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre"),
        *("gpfs", "beegfs", "ceph", "glusterfs", "afs", "fuse.sshfs"),
    ],
)
def test_no_database_on_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(f"1 0 0:1 / / rw - {kind} server rw\n", encoding="utf-8")
    monkeypatch.setattr(sqlite_files, "MOUNTS", path)
    study = tmp_path / "small.db"
    said = r"{} would lie on a network file system \({}\).* local folder, .*postgresql://"
    with pytest.raises(InputError, match=said.format(re.escape(str(study)), re.escape(kind))):
        holds_studies(Database.in_folder(tmp_path, "small"))
    place = resolve_uri(None, tmp_path)
    with pytest.raises(InputError, match=said.format("mlflow.db", re.escape(kind))):
        check_writable(place, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mountinfo"]
