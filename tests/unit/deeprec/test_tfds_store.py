"""Our own TFDS data directory: genuine or not there, and nothing left lying about."""

from pathlib import Path

import pytest

from deeprec import tfds_store
from deeprec.errors import DataError
from deeprec.movielens import RawTables
from deeprec.tfds_store import OwnDirectory
from tests.unit.deeprec.archives import FILES
from tests.unit.deeprec.raw import raw_tables


class FakeTfds:
    """Prepares by copying a file, and reads what is given to it."""

    def __init__(self, tables: RawTables) -> None:
        self.tables = tables
        self.prepared = 0

    def prepare(self, files: Path, data_dir: Path, report: object) -> None:
        """Checks what it is given, and leaves a trace."""
        assert {path.name: path.read_bytes() for path in files.iterdir()} == FILES
        self.prepared += 1
        data_dir.mkdir()
        (data_dir / "rows").write_text("prepared")

    def read(self, data_dir: Path) -> RawTables:
        """Finds the trace."""
        if not (data_dir / "rows").exists():
            raise DataError(f"{data_dir} does not hold them")
        return self.tables


@pytest.fixture
def tfds(monkeypatch: pytest.MonkeyPatch) -> FakeTfds:
    fake = FakeTfds(raw_tables())
    monkeypatch.setattr(tfds_store, "tfds_tables", fake)
    monkeypatch.setattr(tfds_store, "check_tables", lambda tables: tables)
    return fake


def own(folder: Path) -> OwnDirectory:
    return OwnDirectory(folder, lambda _: None)


def test_tables_are_prepared_once_and_kept(tfds: FakeTfds, tmp_path: Path) -> None:
    for _ in range(2):
        assert own(tmp_path).read_or_prepare(FILES) is tfds.tables
    assert tfds.prepared == 1
    assert own(tmp_path).read() is tfds.tables


def test_only_prepared_tables_stay(tfds: FakeTfds, tmp_path: Path) -> None:
    own(tmp_path).prepare(FILES)
    assert [path.name for path in tmp_path.rglob("*")] == ["tensorflow_datasets", "rows"]


def test_what_a_killed_process_left_is_removed(tfds: FakeTfds, tmp_path: Path) -> None:
    (tmp_path / "staging" / "tfds").mkdir(parents=True)
    own(tmp_path).prepare(FILES)
    assert not (tmp_path / "staging").exists()


def test_damaged_directory_is_replaced(tfds: FakeTfds, tmp_path: Path) -> None:
    (tmp_path / "tensorflow_datasets" / "damaged").mkdir(parents=True)
    assert own(tmp_path).read_or_prepare(FILES) is tfds.tables
    assert [path.name for path in (tmp_path / "tensorflow_datasets").iterdir()] == ["rows"]


def test_tables_that_are_not_genuine_are_not_kept(
    tfds: FakeTfds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(tables: RawTables) -> RawTables:
        raise DataError("the tables are not those of MovieLens 100K")

    monkeypatch.setattr(tfds_store, "check_tables", refuse)
    with pytest.raises(DataError, match="not those of MovieLens 100K"):
        own(tmp_path).prepare(FILES)
    assert not list(tmp_path.iterdir())


def test_full_or_closed_disk_is_named(tfds: FakeTfds, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(DataError, match=f"the cache folder {missing} must be writable"):
        own(missing).prepare(FILES)
