"""Our own TFDS data directory: genuine or not there, and nothing left lying about."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeprec.errors import DataError
from deeprec.sources import tfds_store
from deeprec.sources.movielens import RawTables
from deeprec.sources.releases import MOVIELENS_1M, MOVIELENS_100K, Release
from deeprec.sources.tfds_store import TfdsStore
from tests.unit.deeprec.archives import FILES, read_files, write_files
from tests.unit.deeprec.raw import raw_tables

BY_DIGEST = replace(MOVIELENS_100K, raw_sha256=raw_tables().digest())
BY_ARCHIVE = replace(MOVIELENS_1M, rating_count=6, movie_count=4, user_count=3)
BOTH = pytest.mark.parametrize("release", [BY_DIGEST, BY_ARCHIVE], ids=["digest", "archive"])


class FakeTfds:
    """Prepares by leaving a file a table, and reads what is given to it."""

    def __init__(self, tables: RawTables) -> None:
        self.tables = tables
        self.prepared = 0

    def prepare(self, release: Release, files: Path, data_dir: Path, report: object) -> None:
        assert read_files(files) == FILES
        self.prepared += 1
        for table in (release.movies_table, release.ratings_table):
            (data_dir / table).mkdir(parents=True)
            (data_dir / table / "rows").write_text("prepared")

    def has_tables(self, release: Release, data_dir: Path) -> bool:
        return (data_dir / release.ratings_table / "rows").exists()

    def digest(self, release: Release, data_dir: Path) -> str:
        return (data_dir / release.ratings_table / "rows").read_text()

    def read(self, release: Release, data_dir: Path) -> RawTables:
        if not self.has_tables(release, data_dir):
            raise DataError(f"{data_dir} does not hold them")
        return self.tables


@pytest.fixture
def tfds(monkeypatch: pytest.MonkeyPatch) -> FakeTfds:
    fake = FakeTfds(raw_tables())
    monkeypatch.setattr(tfds_store, "tfds_tables", fake)
    return fake


def fetch(staging: Path) -> Path:
    return write_files(staging / "files")


def own(folder: Path, release: Release) -> TfdsStore:
    return TfdsStore(release, folder, lambda _: None)


@BOTH
def test_tables_are_prepared_once(tfds: FakeTfds, tmp_path: Path, release: Release) -> None:
    for _ in range(2):
        assert own(tmp_path, release).read_or_prepare(fetch) is tfds.tables
    assert tfds.prepared == 1
    assert own(tmp_path, release).read() is tfds.tables


def test_only_prepared_tables_stay(tfds: FakeTfds, tmp_path: Path) -> None:
    (tmp_path / "staging" / "tfds").mkdir(parents=True)  # a killed process left it
    own(tmp_path, BY_DIGEST).prepare(fetch)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("rows")} == {
        "tensorflow_datasets/movielens/100k-movies/rows",
        "tensorflow_datasets/movielens/100k-ratings/rows",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["tensorflow_datasets"]


def test_tables_of_other_releases_are_left_alone(tfds: FakeTfds, tmp_path: Path) -> None:
    own(tmp_path, BY_DIGEST).prepare(fetch)
    own(tmp_path, BY_ARCHIVE).prepare(fetch)
    assert own(tmp_path, BY_DIGEST).read() is tfds.tables
    assert own(tmp_path, BY_ARCHIVE).read() is tfds.tables


def test_damaged_tables_are_replaced(tfds: FakeTfds, tmp_path: Path) -> None:
    folder = tmp_path / "tensorflow_datasets" / BY_DIGEST.ratings_table
    (folder / "damaged").mkdir(parents=True)
    assert own(tmp_path, BY_DIGEST).read_or_prepare(fetch) is tfds.tables
    assert [path.name for path in folder.iterdir()] == ["rows"]


@BOTH
def test_false_tables_are_not_kept(tfds: FakeTfds, tmp_path: Path, release: Release) -> None:
    tfds.tables = replace(tfds.tables, movies=tfds.tables.movies[1:])
    with pytest.raises(DataError, match="the tables are not those of MovieLens"):
        own(tmp_path, release).prepare(fetch)
    assert not list(tmp_path.iterdir())


def test_full_or_closed_disk_is_named(tfds: FakeTfds, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(DataError, match=f"the cache folder {missing} must be writable"):
        own(missing, BY_DIGEST).prepare(fetch)


def test_too_little_room_is_noticed_before_anything_is_fetched(
    tfds: FakeTfds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untouched(staging: Path) -> Path:
        raise AssertionError("there is no room for it")

    usage = SimpleNamespace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    large = replace(BY_ARCHIVE, rating_count=20_000_263)
    with pytest.raises(DataError, match=r"takes 6\.0 GB .* but 1\.0 GB are free; make room"):
        own(tmp_path, large).prepare(untouched)


def test_tables_known_by_archive_are_genuine_where_prepared(tfds: FakeTfds, tmp_path: Path) -> None:
    own(tmp_path, BY_ARCHIVE).prepare(fetch)
    own(tmp_path, BY_DIGEST).prepare(fetch)
    prepared = tmp_path / "tensorflow_datasets"
    assert own(tmp_path / "elsewhere", BY_DIGEST).read(prepared) is tfds.tables
    assert own(tmp_path, BY_ARCHIVE).read(prepared) is tfds.tables
    with pytest.raises(DataError, match=r"not prepared here from ml-1m\.zip"):
        own(tmp_path / "elsewhere", BY_ARCHIVE).read(prepared)


def test_a_note_is_for_the_same_bytes_and_the_same_archive(tfds: FakeTfds, tmp_path: Path) -> None:
    own(tmp_path, BY_ARCHIVE).prepare(fetch)
    archive = replace(BY_ARCHIVE.archive.archive, sha256="0" * 64)
    other = replace(BY_ARCHIVE, archive=replace(BY_ARCHIVE.archive, archive=archive))
    with pytest.raises(DataError, match="not prepared here"):
        own(tmp_path, other).read()
    rows = tmp_path / "tensorflow_datasets" / BY_ARCHIVE.ratings_table / "rows"
    rows.write_text("changed")
    with pytest.raises(DataError, match="not prepared here"):
        own(tmp_path, BY_ARCHIVE).read()
