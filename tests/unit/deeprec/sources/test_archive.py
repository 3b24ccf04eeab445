"""The published files: out of a zip archive or a folder, and refused when not genuine."""

import tempfile
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


def test_checking_unpacks_nothing_and_names_size_and_digest(archive: Path, tmp_path: Path) -> None:
    spec, whole = spec_of(archive), archive.read_bytes()
    check_archive(archive, spec)
    assert list(tmp_path.iterdir()) == [archive]
    for changed in (whole[:-10], whole[:-1] + b"!"):
        archive.write_bytes(changed)
        of_changed = checksum("", changed)
        sizes = f"must have {len(whole)} bytes and SHA-256 {spec.archive.sha256} but has "
        digest = "" if len(changed) < len(whole) else f".*{of_changed.sha256}"
        with pytest.raises(DataError, match=f"{sizes}{of_changed.size} bytes{digest}"):
            check_archive(archive, spec)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_truncated_file_is_named(archive: Path, tmp_path: Path, name: str) -> None:
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
