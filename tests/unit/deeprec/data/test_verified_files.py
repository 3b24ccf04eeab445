"""Folders of files known by their SHA-256: whole, and with names that lead nowhere else."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deeprec.data.verified_files import (
    LARGEST_MANIFEST,
    MANIFEST,
    check_folder,
    is_plain_name,
    parsed,
    write_folder,
)
from deeprec.errors import DataError

NAME = "part.bin"


def written(folder: Path) -> Path:
    def fill(new: Path) -> None:
        (new / NAME).write_bytes(b"content")

    write_folder(folder, fill)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "whole")


def change(folder: Path, **entries: Any) -> None:
    digests = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(digests | entries))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        check_folder(folder, [NAME])
    assert str(folder) in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_was_written_is_whole(folder: Path) -> None:
    check_folder(folder, [NAME])
    assert list(folder.parent.iterdir()) == [folder]


def test_what_cannot_be_written_leaves_what_was_there(folder: Path) -> None:
    def fail(new: Path) -> None:
        (new / NAME).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_folder(folder, fail)
    assert (folder / NAME).read_bytes() == b"content"
    assert list(folder.parent.iterdir()) == [folder]


@given(st.text(max_size=150))
@example("..")
@example("")
@example("a/../b")
@example("/etc/passwd")
@example("C:\\b")
@example("name\n")
@example("a\0b")
@example("../part.bin")
@example(".hidden")
def test_a_manifest_names_files_of_its_folder_alone(name: str) -> None:
    if is_plain_name(name):
        assert os.path.normpath(f"/folder/{name}") == f"/folder/{name}"
        assert Path("/folder", name).parent == Path("/folder")
        assert not name.startswith(".")
    else:
        with tempfile.TemporaryDirectory() as place:
            folder = written(Path(place, "whole"))
            change(folder, **{name: "0" * 64})
            refused(folder, "must name files of the folder")


@pytest.mark.parametrize("digest", [None, 1, [], {}, "", "0" * 63, "G" * 64, "A" * 64, "0" * 65])
def test_a_manifest_gives_each_file_a_sha256(folder: Path, digest: Any) -> None:
    change(folder, **{NAME: digest})
    refused(folder, "must give part.bin a SHA-256")


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 10**5, "\xff", "{", "", "nul", "[1]", "1"])
def test_a_manifest_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_bytes(text.encode("latin-1"))
    refused(folder, "does not hold a whole model")


def test_a_manifest_without_end_is_not_read(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b" " * (LARGEST_MANIFEST + 1))
    refused(folder, "manifest.json has more than 1,048,576 bytes")


@pytest.mark.parametrize("name", [NAME, MANIFEST])
@pytest.mark.parametrize(
    "make",
    [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere"), lambda path: None],
    ids=["a folder", "a pipe", "a link to nothing", "missing"],
)
def test_what_is_no_file_is_named(folder: Path, name: str, make: Callable[[Path], object]) -> None:
    (folder / name).unlink()
    make(folder / name)
    refused(folder, f"does not hold a whole model .*{name}")


def test_a_file_that_the_manifest_lacks_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("{}")
    refused(folder, "manifest.json lacks part.bin")


@given(st.text(max_size=600), st.sampled_from([ValueError, KeyError, RuntimeError, MemoryError]))
def test_what_a_parser_says_becomes_one_line(text: str, kind: type[Exception]) -> None:
    with pytest.raises(DataError) as caught, parsed(Path("folder")):
        raise kind(text)
    assert str(caught.value).startswith("folder holds files that are no model of ours: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
