"""The published files: out of a zip archive or a folder, and refused when not genuine."""

import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.errors import DataError
from deeprec.sources.archive import (
    Archive,
    check_archive,
    check_folder,
    copy_folder,
    extract_archive,
    write_checked,
)
from tests.unit.deeprec.archives import (
    FILES,
    checksum,
    read_files,
    spec_of,
    write_archive,
    write_files,
    write_zip,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "ml-100k.zip")


def known_as_a_whole(path: Path) -> Archive:
    return replace(spec_of(path), files=dict.fromkeys(FILES))


def test_the_files_come_out_byte_for_byte(archive: Path, tmp_path: Path) -> None:
    assert read_files(extract_archive(archive, spec_of(archive), tmp_path / "a")) == FILES
    assert read_files(extract_archive(archive, known_as_a_whole(archive), tmp_path / "b")) == FILES
    folder = write_files(tmp_path / "files")
    assert read_files(copy_folder(folder, spec_of(archive), tmp_path / "c")) == FILES


def test_a_folder_of_files_that_are_not_known_themselves_is_refused(
    archive: Path, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "files")
    with pytest.raises(DataError, match=r"cannot be verified .* name ml-100k\.zip in their place"):
        check_folder(folder, known_as_a_whole(archive))


def test_checking_an_archive_unpacks_nothing(archive: Path, tmp_path: Path) -> None:
    check_archive(archive, spec_of(archive))
    assert list(tmp_path.iterdir()) == [archive]


def test_a_truncated_archive_is_refused_with_both_sizes(archive: Path) -> None:
    spec = spec_of(archive)
    archive.write_bytes(archive.read_bytes()[:-10])
    expected, found = spec.archive.size, spec.archive.size - 10
    with pytest.raises(DataError, match=f"must have {expected} bytes.* but has {found} bytes"):
        check_archive(archive, spec)


def test_an_archive_with_a_flipped_byte_is_refused_with_both_digests(archive: Path) -> None:
    spec = spec_of(archive)
    content = bytearray(archive.read_bytes())
    content[50] ^= 1
    archive.write_bytes(content)
    found = checksum("", bytes(content)).sha256
    with pytest.raises(DataError, match=f"SHA-256 {spec.archive.sha256} but has .*{found}"):
        check_archive(archive, spec)


# The rest takes the zip for genuine, whatever it is, so that its members are looked at.


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.zip"
    path.write_bytes(b"<html>Service unavailable</html>")
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        check_archive(path, spec_of(path))


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "ml-100k.zip", {"ml-100k/u.data": FILES["u.data"]})
    with pytest.raises(DataError, match=r"must contain ml-100k/u\.item but does not"):
        check_archive(path, spec_of(path))


def test_a_member_that_would_grow_beyond_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "ml-100k.zip", {**FILES, "u.data": bytes(50_000_000)})
    size = len(FILES["u.data"])
    with pytest.raises(DataError, match=rf"u\.data in .* but has more than {size} bytes"):
        extract_archive(path, spec_of(path), tmp_path / "files")
    assert (tmp_path / "files" / "u.data").stat().st_size <= size


def test_other_members_are_left_alone(tmp_path: Path) -> None:
    members = {f"ml-100k/{name}": content for name, content in FILES.items()}
    path = write_zip(tmp_path / "ml-100k.zip", {**members, "../escaped": b"", "/tmp/absolute": b""})
    assert read_files(extract_archive(path, spec_of(path), tmp_path / "files")) == FILES
    assert sorted(tmp_path.iterdir()) == [tmp_path / "files", path]


def test_an_archive_with_a_broken_member_is_refused(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("ml-100k/u.data").header_offset + 45
    content = bytearray(archive.read_bytes())
    content[start : start + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    spec = spec_of(archive)
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        check_archive(archive, spec)
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        extract_archive(archive, spec, tmp_path / "files")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_truncated_file_of_a_folder_is_named(
    archive: Path, tmp_path: Path, name: str
) -> None:
    folder = write_files(tmp_path / "files")
    (folder / name).write_bytes(FILES[name][:-1])
    with pytest.raises(DataError, match=f"{name} is damaged or not {name}"):
        check_folder(folder, spec_of(archive))
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} cannot be read: No such file.*$") as caught:
        check_folder(folder, spec_of(archive))
    assert "\n" not in str(caught.value)


@given(content=st.binary(max_size=40), other=st.binary(max_size=40), cut=st.integers(0, 40))
def test_content_passes_exactly_if_it_is_the_same(content: bytes, other: bytes, cut: int) -> None:
    expected = checksum("u.data", content)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "u.data"
        write_checked(target, [content[:cut], content[cut:]], expected, "here")
        assert target.read_bytes() == content
        if content != other:
            with pytest.raises(DataError, match=r"^here is damaged or not u\.data"):
                write_checked(target, [other[:cut], other[cut:]], expected, "here")
