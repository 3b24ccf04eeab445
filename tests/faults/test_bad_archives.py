"""Damaged and deceitful archives: refused in one line, nothing of them unpacked."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deeprec.errors import DataError
from deeprec.sources.archive import extract_archive
from deeprec.sources.raw_tables import source_at
from tests.faults.deceit import few, one_line
from tests.faults.in_process import snapshot
from tests.unit.deeprec.archives import FILES as PUBLISHED
from tests.unit.deeprec.archives import read_files, release_of, spec_of, write_archive, write_zip

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "ml-100k.zip")


def refused_archive(genuine: Path, content: bytes, message: str) -> None:
    """Another content in the place of the genuine archive is refused before it is unpacked."""
    release, folder = release_of(genuine), genuine.parent / "other"
    folder.mkdir(exist_ok=True)
    path = folder / "ml-100k.zip"
    path.write_bytes(content)
    before = snapshot(genuine.parent)
    for place in (folder, path):
        with pytest.raises(DataError) as caught:
            source_at(release, place, genuine.parent / "cache", lambda _line: None)
        assert message in one_line(caught)
    assert snapshot(genuine.parent) == before


@few
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_an_archive_with_a_flipped_bit(archive: Path, position: int, bit: int) -> None:
    content = bytearray(archive.read_bytes())
    content[position % len(content)] ^= 1 << bit
    refused_archive(archive, bytes(content), "is damaged or not ml-100k.zip")


@few
@given(cut=st.integers(0, 10**6), more=st.binary(max_size=200))
def test_an_archive_of_another_length(archive: Path, cut: int, more: bytes) -> None:
    content = archive.read_bytes()
    other = content[: cut % (2 * len(content))] + more
    assume(len(other) != len(content))
    refused_archive(archive, other, "must have")


def refused_members(place: Path, path: Path, *, unpacked: int = 200) -> str:
    """Even an archive that is taken for genuine yields the known files or nothing."""
    outside = snapshot(place)
    files = place / "files"
    with pytest.raises(DataError) as caught:
        extract_archive(path, spec_of(path), files)
    written = {name: data for name, data in snapshot(place).items() if name not in outside}
    assert {name.split("/")[0] for name in written} <= {"files"}
    assert sum(len(data) for data in written.values() if data) <= unpacked
    return one_line(caught)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "must contain ml-100k/u.data"),
        ({"u.data": b"", "u.item": b"", "u.user": b""}, "must contain ml-100k/u.data"),
        ({f"ml-1m/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"../ml-100k/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"/ml-100k/{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({f"ml-100k\\{name}": data for name, data in PUBLISHED.items()}, "must contain"),
        ({"ml-100k/u.data/": b""}, "must contain ml-100k/u.data"),
        ({"ml-100k/u.data": bytes(30_000_000)}, "but has more than"),
        ({"ml-100k/u.data": b""}, "is damaged or not u.data"),
    ],
)
def test_archive_of_wrong_members(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    path = write_zip(tmp_path / "ml-100k.zip", members)
    assert message in refused_members(tmp_path, path)


@few
@given(name=st.text("./\\ab~", min_size=1, max_size=12))
def test_no_member_leads_elsewhere(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    place = tmp_path_factory.mktemp("members")
    members = {f"ml-100k/{known}": data for known, data in PUBLISHED.items()}
    path = write_zip(place / "ml-100k.zip", {f"../{name}": b"x", name: b"x", **members})
    assert read_files(extract_archive(path, spec_of(path), place / "files")) == PUBLISHED
    assert {each.name for each in place.iterdir()} == {"files", "ml-100k.zip"}


@pytest.mark.parametrize(
    ("field", "value"),
    [(6, 1), (8, 97), (8, zipfile.ZIP_LZMA), (8, zipfile.ZIP_BZIP2)],
    ids=["encrypted", "unknown compression", "LZMA", "bzip2"],
)
def test_an_archive_that_is_packed_otherwise(tmp_path: Path, field: int, value: int) -> None:
    path = write_archive(tmp_path / "ml-100k.zip")
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", field), (b"PK\x01\x02", field + 2)):
        content[content.index(mark) + place] = value
    path.write_bytes(content)
    assert "cannot be read as a zip archive" in refused_members(tmp_path, path)


@few
@given(position=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_any_archive_yields_the_published_files_or_none(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    place = tmp_path_factory.mktemp("changed")
    path = write_archive(place / "ml-100k.zip")
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    try:
        files = extract_archive(path, spec_of(path), place / "files")
    except DataError as error:
        found = str(error)
        assert found.isprintable()
    else:
        assert read_files(files) == PUBLISHED
