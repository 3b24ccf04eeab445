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
    check_file,
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


def spec_for_any_zip(path: Path) -> Archive:
    """Takes the zip for genuine, whatever it is, so that its members are looked at."""
    return spec_of(path)


def known_as_a_whole(path: Path) -> Archive:
    """Only the archive is known, not what is in it."""
    return replace(spec_of(path), checksums=())


def test_archive_yields_the_files_byte_for_byte(archive: Path, tmp_path: Path) -> None:
    for number, spec in enumerate((spec_of(archive), known_as_a_whole(archive))):
        folder = extract_archive(archive, spec, tmp_path / str(number))
        assert read_files(folder) == FILES


def test_folder_yields_the_files_byte_for_byte(archive: Path, tmp_path: Path) -> None:
    given_files = write_files(tmp_path / "files")
    assert read_files(copy_folder(given_files, spec_of(archive), tmp_path / "copy")) == FILES


def test_folder_of_files_that_are_not_known_themselves_is_refused(
    archive: Path, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "files")
    with pytest.raises(DataError, match=r"cannot be verified .* name ml-100k\.zip in their place"):
        check_folder(folder, known_as_a_whole(archive))


def test_checksums_must_be_those_of_the_files(archive: Path) -> None:
    spec = spec_of(archive)
    with pytest.raises(ValueError, match="checksums must be those of"):
        replace(spec, checksums=spec.checksums[1:])


def test_checking_an_archive_unpacks_nothing(archive: Path, tmp_path: Path) -> None:
    check_archive(archive, spec_of(archive))
    assert list(tmp_path.iterdir()) == [archive]


def test_truncated_archive_is_refused_with_both_sizes(archive: Path) -> None:
    spec = spec_of(archive)
    archive.write_bytes(archive.read_bytes()[:-10])
    expected, found = spec.archive.size, spec.archive.size - 10
    with pytest.raises(DataError, match=f"must have {expected} bytes.* but has {found} bytes"):
        check_archive(archive, spec)


def test_archive_with_a_flipped_byte_is_refused_with_both_digests(archive: Path) -> None:
    spec = spec_of(archive)
    content = bytearray(archive.read_bytes())
    content[50] ^= 1
    archive.write_bytes(content)
    found = checksum("", bytes(content)).sha256
    with pytest.raises(DataError, match=f"SHA-256 {spec.archive.sha256} but has .*{found}"):
        check_archive(archive, spec)


def test_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.zip"
    path.write_bytes(b"<html>Service unavailable</html>")
    with pytest.raises(DataError, match="cannot be read as a zip archive"):
        check_archive(path, spec_for_any_zip(path))


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "ml-100k.zip", {"ml-100k/u.data": FILES["u.data"]})
    with pytest.raises(DataError, match=r"must contain ml-100k/u\.item but does not"):
        check_archive(path, spec_for_any_zip(path))


def test_member_that_would_grow_beyond_its_size_is_not_unpacked(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "ml-100k.zip", {**FILES, "u.data": bytes(50_000_000)})
    size = len(FILES["u.data"])
    with pytest.raises(DataError, match=rf"u\.data in .* but has more than {size} bytes"):
        extract_archive(path, spec_for_any_zip(path), tmp_path / "files")
    assert (tmp_path / "files" / "u.data").stat().st_size <= size


def test_member_of_another_content_is_refused(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "ml-100k.zip", {**FILES, "u.data": b"?" * len(FILES["u.data"])})
    with pytest.raises(DataError, match=r"ml-100k/u\.data in .* is damaged or not u\.data"):
        extract_archive(path, spec_for_any_zip(path), tmp_path / "files")


def test_other_members_are_left_alone(tmp_path: Path) -> None:
    members = {f"ml-100k/{name}": content for name, content in FILES.items()}
    path = write_zip(tmp_path / "ml-100k.zip", {**members, "../escaped": b"", "/tmp/absolute": b""})
    assert read_files(extract_archive(path, spec_for_any_zip(path), tmp_path / "files")) == FILES
    assert sorted(tmp_path.iterdir()) == [tmp_path / "files", path]


def test_archive_with_a_broken_member_is_refused(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        start = opened.getinfo("ml-100k/u.data").header_offset + 45
    content = bytearray(archive.read_bytes())
    content[start : start + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    for check in (
        lambda: check_archive(archive, spec_for_any_zip(archive)),
        lambda: extract_archive(archive, spec_for_any_zip(archive), tmp_path / "files"),
    ):
        with pytest.raises(DataError, match="cannot be read as a zip archive"):
            check()


@pytest.mark.parametrize("name", FILES)
def test_missing_file_of_a_folder_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path / "files")
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name} cannot be read: No such file"):
        check_folder(folder, spec_of(archive))


@pytest.mark.parametrize("name", FILES)
def test_truncated_file_of_a_folder_is_named(archive: Path, tmp_path: Path, name: str) -> None:
    folder = write_files(tmp_path / "files")
    (folder / name).write_bytes(FILES[name][:-1])
    with pytest.raises(DataError, match=f"{name} is damaged or not {name}"):
        check_folder(folder, spec_of(archive))


@given(content=st.binary(max_size=40), other=st.binary(max_size=40), cut=st.integers(0, 40))
def test_content_passes_exactly_if_it_is_the_same(content: bytes, other: bytes, cut: int) -> None:
    expected = checksum("u.data", content)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "u.data"
        write_checked(target, [content[:cut], content[cut:]], expected, where="here")
        assert target.read_bytes() == content
        if content != other:
            with pytest.raises(DataError, match=r"^here is damaged or not u\.data"):
                write_checked(target, [other[:cut], other[cut:]], expected, where="here")


def test_errors_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_file(tmp_path / "nothing", checksum("u.data", b""))
    assert "\n" not in str(caught.value)
