"""The published files: read from a zip archive or a folder, and refused when not genuine."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.archive import check_content, check_file, read_archive, read_folder
from deeprec.errors import DataError
from deeprec.movielens import Archive
from tests.unit.deeprec.archives import (
    FILES,
    checksum,
    spec_of,
    write_archive,
    write_files,
    write_zip,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "ml-100k.zip")


def spec_for_any_zip(path: Path) -> Archive:
    """Takes the zip for genuine, whatever it is, so that its members are looked at."""
    return spec_of(path)


def test_archive_yields_the_files_byte_for_byte(archive: Path) -> None:
    assert read_archive(archive, spec_of(archive)) == FILES


def test_folder_yields_the_files_byte_for_byte(archive: Path, tmp_path: Path) -> None:
    assert read_folder(write_files(tmp_path / "files"), spec_of(archive)) == FILES


def test_truncated_archive_is_refused_with_both_sizes(archive: Path) -> None:
    spec = spec_of(archive)
    archive.write_bytes(archive.read_bytes()[:-10])
    expected, found = spec.archive.size, spec.archive.size - 10
    with pytest.raises(DataError, match=f"must have {expected} bytes.* but has {found} bytes"):
        read_archive(archive, spec)


def test_archive_with_a_flipped_byte_is_refused_with_both_digests(archive: Path) -> None:
    spec = spec_of(archive)
    content = bytearray(archive.read_bytes())
    content[50] ^= 1
    archive.write_bytes(content)
    found = checksum("", bytes(content)).sha256
    with pytest.raises(DataError, match=f"SHA-256 {spec.archive.sha256} but has .*{found}"):
        read_archive(archive, spec)


def test_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.zip"
    path.write_bytes(b"<html>Service unavailable</html>")
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        read_archive(path, spec_for_any_zip(path))


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "ml-100k.zip", {"ml-100k/u.data": FILES["u.data"]})
    with pytest.raises(DataError, match=r"must contain ml-100k/u\.item but does not"):
        read_archive(path, spec_for_any_zip(path))


def test_member_that_would_grow_beyond_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "ml-100k.zip", {**FILES, "u.data": bytes(50_000_000)})
    size = len(FILES["u.data"])
    with pytest.raises(DataError, match=rf"u\.data in .* but has {size + 1} bytes"):
        read_archive(path, spec_for_any_zip(path))


def test_other_members_are_left_alone(tmp_path: Path) -> None:
    members = {f"ml-100k/{name}": content for name, content in FILES.items()}
    path = write_zip(tmp_path / "ml-100k.zip", {**members, "../escaped": b"", "/tmp/absolute": b""})
    assert read_archive(path, spec_for_any_zip(path)) == FILES
    assert sorted(tmp_path.iterdir()) == [path]


def test_archive_with_a_broken_member_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("ml-100k/u.data").header_offset + 45
    content = bytearray(archive.read_bytes())
    content[start : start + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        read_archive(archive, spec_for_any_zip(archive))


@pytest.mark.parametrize("name", FILES)
def test_missing_file_of_a_folder_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path / "files")
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} cannot be read: No such file"):
        read_folder(folder, spec_of(archive))


@pytest.mark.parametrize("name", FILES)
def test_truncated_file_of_a_folder_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path / "files")
    (folder / name).write_bytes(FILES[name][:-1])
    with pytest.raises(DataError, match=f"{name} is damaged or not {name}"):
        read_folder(folder, spec_of(archive))


@given(content=st.binary(max_size=40), other=st.binary(max_size=40))
def test_content_passes_exactly_if_it_is_the_same(content: bytes, other: bytes) -> None:
    expected = checksum("u.data", content)
    if content == other:
        check_content("u.data", other, expected)
    else:
        with pytest.raises(DataError, match=r"u\.data is damaged"):
            check_content("u.data", other, expected)


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "nothing", checksum("u.data", b""))
    assert "\n" not in str(caught.value)
