"""Prepared arrays on disk: read only if whole, made once, never half written."""

import hashlib
import json
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeprec.data.cache import (
    Entry,
    is_writable,
    open_folder,
    read_entry,
    read_or_make,
    sole_writer,
    write_entry,
)
from deeprec.errors import DataError

ENTRY = Entry(
    {"ids": np.arange(5, dtype=np.int32), "users.age": np.array([[1, 2]], dtype=np.int64)},
    {"source": "a test"},
)
FROM_CACHE = "from the prepared arrays in the cache"


class Maker:
    """Makes the entry, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Entry:
        self.made += 1
        return ENTRY


def assert_whole(entry: Entry | None) -> None:
    assert entry is not None
    assert dict(entry.notes) == dict(ENTRY.notes)
    assert set(entry.arrays) == set(ENTRY.arrays)
    for name, array in entry.arrays.items():
        assert array.dtype == ENTRY.arrays[name].dtype
        np.testing.assert_array_equal(array, ENTRY.arrays[name])


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / ".new-of-a-killed-process").touch()
    write_entry(tmp_path, "abc", ENTRY)
    assert_whole(read_entry(tmp_path, "abc"))
    assert read_entry(tmp_path, "abd") is None
    assert {path.name for path in tmp_path.iterdir()} == {"abc.npz", "abc.json"}
    manifest = json.loads((tmp_path / "abc.json").read_text())
    assert manifest["size"] == (tmp_path / "abc.npz").stat().st_size
    written = (tmp_path / "abc.npz").read_bytes()
    write_entry(tmp_path, "abc", ENTRY)
    assert (tmp_path / "abc.npz").read_bytes() == written


def test_arrays_are_mapped_and_what_is_written_to_them_is_not_kept(tmp_path: Path) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    mapped = read_entry(tmp_path, "abc")
    assert mapped is not None
    maps = [line for line in Path("/proc/self/maps").read_text().splitlines() if "abc.npz" in line]
    assert len(maps) == len(ENTRY.arrays)
    assert mapped.arrays["ids"].ctypes.data % 64 == 0
    mapped.arrays["ids"][0] = 7
    assert_whole(read_entry(tmp_path, "abc"))


def test_an_entry_of_earlier_versions_is_read(tmp_path: Path) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    with (tmp_path / "abc.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **ENTRY.arrays)
    manifest = json.loads((tmp_path / "abc.json").read_text())
    written = (tmp_path / "abc.npz").read_bytes()
    manifest |= {"size": len(written), "sha256": hashlib.sha256(written).hexdigest()}
    (tmp_path / "abc.json").write_text(json.dumps(manifest))
    assert_whole(read_entry(tmp_path, "abc"))


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_any_flipped_bit_is_noticed(tmp_path: Path, position: int, bit: int) -> None:
    write_entry(tmp_path, "abc", ENTRY)

    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[position % len(content)] ^= 1 << bit
        return bytes(changed)

    damage(tmp_path / "abc.npz", flip)
    with pytest.raises(DataError, match=r"abc\.npz differs from its manifest"):
        read_entry(tmp_path, "abc")


def test_an_entry_renamed_to_another_fingerprint_is_refused(tmp_path: Path) -> None:
    write_entry(tmp_path, "old", ENTRY)
    for suffix in (".npz", ".json"):
        (tmp_path / "old").with_suffix(suffix).rename((tmp_path / "new").with_suffix(suffix))
    with pytest.raises(DataError, match="differs from its manifest"):
        read_entry(tmp_path, "new")


def test_an_entry_is_made_once_and_again_where_it_is_damaged_or_another(tmp_path: Path) -> None:
    maker, lines = Maker(), list[str]()
    for _ in range(2):
        assert_whole(read_or_make(tmp_path, "abc", maker, lines.append))
    assert (maker.made, lines) == (1, [FROM_CACHE])
    damage(tmp_path / "prepared" / "abc.npz", lambda content: content[:-1])
    assert_whole(read_or_make(tmp_path, "abc", maker, lines.append))
    read_or_make(tmp_path, "new", maker, lines.append)
    assert maker.made == 3
    assert lines[1:] == [
        "the prepared arrays are damaged and will be rebuilt: abc.npz differs from its manifest",
        "the prepared arrays in the cache are of other data or other versions",
    ]
    assert_whole(read_entry(tmp_path / "prepared", "abc"))


def test_a_stand_in_makes_only_what_the_usual_folder_lacks(tmp_path: Path) -> None:
    usual, stand_in, make, lines = tmp_path / "usual", tmp_path / "mine", Maker(), list[str]()
    open_folder(stand_in)
    for _ in range(2):
        assert_whole(read_or_make(stand_in, "abc", make, lines.append, usual=usual))
    assert make.made == 1
    assert not usual.exists()
    assert lines[0] == f"the cache folder {usual} cannot be written to, so {stand_in} is used"
    lines.clear()
    write_entry(open_folder(usual / "prepared"), "of another user", ENTRY)
    read_or_make(stand_in, "of another user", make, lines.append, usual=usual)
    assert (make.made, lines) == (1, [FROM_CACHE])


def test_nothing_is_kept_of_an_entry_that_cannot_be_made(tmp_path: Path) -> None:
    def fail() -> Entry:
        raise DataError("no way to the data")

    with pytest.raises(DataError, match="no way to the data"):
        read_or_make(tmp_path, "abc", fail, lambda _: None)
    assert not list(tmp_path.rglob("*.npz"))


def test_two_that_need_it_at_once_make_it_once_and_say_that_they_wait(tmp_path: Path) -> None:
    # The lock belongs to the open file, so it holds between threads as between processes.
    maker, lines = Maker(), list[str]()
    with ThreadPoolExecutor(2) as pool:
        with sole_writer(tmp_path, lambda _: None):  # both have to wait, and then go at once
            both = [
                pool.submit(read_or_make, tmp_path, "abc", maker, lines.append) for _ in range(2)
            ]
            while len(lines) < 2:
                time.sleep(0.01)
        for one in both:
            assert_whole(one.result(timeout=10))
    assert maker.made == 1
    assert set(lines[:2]) == {"waiting for another process that is preparing it"}


def test_what_can_be_written_is_known_without_writing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_writable(tmp_path / "not" / "there" / "yet")
    assert not is_writable(tmp_path / "file")
    assert not is_writable(tmp_path / "file" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_for_its_owner_alone_or_says_what_to_do(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "cache")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"must be writable but is not .*; set XDG_CACHE_HOME"):
        open_folder(tmp_path / "file" / "cache")
