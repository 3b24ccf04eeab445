"""Prepared arrays on disk: read only if whole, made once, never half written."""

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


class Maker:
    """Makes the entry, and counts how often."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Entry:
        """Makes it once more."""
        self.made += 1
        return ENTRY


def assert_same(left: Entry, right: Entry) -> None:
    assert dict(left.notes) == dict(right.notes)
    assert set(left.arrays) == set(right.arrays)
    for name, array in left.arrays.items():
        assert array.dtype == right.arrays[name].dtype
        np.testing.assert_array_equal(array, right.arrays[name])


def test_a_stand_in_makes_only_what_the_usual_folder_lacks(tmp_path: Path) -> None:
    usual, stand_in, make, lines = tmp_path / "usual", tmp_path / "mine", Maker(), list[str]()
    open_folder(stand_in)
    for _ in range(2):
        assert_same(read_or_make(stand_in, "abc", make, lines.append, usual=usual), ENTRY)
    assert make.made == 1
    assert not usual.exists()
    assert lines[0] == f"the cache folder {usual} cannot be written to, so {stand_in} is used"
    lines.clear()
    write_entry(open_folder(usual / "prepared"), "of another user", ENTRY)
    read_or_make(stand_in, "of another user", make, lines.append, usual=usual)
    assert (make.made, lines) == (1, ["from the prepared arrays in the cache"])


def test_what_can_be_written_is_known_without_writing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert is_writable(tmp_path / "not" / "there" / "yet")
    assert not is_writable(tmp_path / "file")
    assert not is_writable(tmp_path / "file" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    entry = read_entry(tmp_path, "abc")
    assert entry is not None
    assert_same(entry, ENTRY)


def test_there_is_nothing_under_another_fingerprint(tmp_path: Path) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    assert read_entry(tmp_path, "abd") is None


def test_equal_entries_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_entry(tmp_path / name, "abc", ENTRY)
    one, two = (tmp_path / name / "abc.npz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_only_whole_files_are_left_behind(tmp_path: Path) -> None:
    (tmp_path / ".new-of-a-killed-process").touch()
    write_entry(tmp_path, "abc", ENTRY)
    assert {path.name for path in tmp_path.iterdir()} == {"abc.npz", "abc.json"}


@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_flipped_bit_is_noticed(tmp_path: Path, position: int, bit: int) -> None:
    write_entry(tmp_path, "abc", ENTRY)

    def flip(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[position % len(content)] ^= 1 << bit
        return bytes(changed)

    damage(tmp_path / "abc.npz", flip)
    with pytest.raises(DataError, match=r"abc\.npz differs from its manifest"):
        read_entry(tmp_path, "abc")


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_truncated_arrays_are_noticed(tmp_path: Path, kept: int) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    damage(tmp_path / "abc.npz", lambda content: content[:kept])
    with pytest.raises(DataError, match="differs from its manifest"):
        read_entry(tmp_path, "abc")


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"{}", b"null", b"\xff"])
def test_unreadable_manifest_is_noticed(tmp_path: Path, manifest: bytes) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    damage(tmp_path / "abc.json", lambda _: manifest)
    with pytest.raises(DataError, match="manifest cannot be read"):
        read_entry(tmp_path, "abc")


def test_entry_renamed_to_another_fingerprint_is_refused(tmp_path: Path) -> None:
    write_entry(tmp_path, "old", ENTRY)
    for suffix in (".npz", ".json"):
        (tmp_path / "old").with_suffix(suffix).rename((tmp_path / "new").with_suffix(suffix))
    with pytest.raises(DataError, match="differs from its manifest"):
        read_entry(tmp_path, "new")


def test_entry_is_made_once_and_read_afterwards(tmp_path: Path) -> None:
    maker, lines = Maker(), list[str]()
    first = read_or_make(tmp_path, "abc", maker, lines.append)
    second = read_or_make(tmp_path, "abc", maker, lines.append)
    assert maker.made == 1
    assert_same(first, second)
    assert lines == ["from the prepared arrays in the cache"]


def test_damaged_entry_is_rebuilt_and_says_so(tmp_path: Path) -> None:
    maker, lines = Maker(), list[str]()
    read_or_make(tmp_path, "abc", maker, lines.append)
    damage(tmp_path / "prepared" / "abc.npz", lambda content: content[:-1])
    assert_same(read_or_make(tmp_path, "abc", maker, lines.append), ENTRY)
    assert maker.made == 2
    assert lines == [
        "the prepared arrays are damaged and will be rebuilt: abc.npz differs from its manifest"
    ]
    assert read_entry(tmp_path / "prepared", "abc") is not None


def test_entry_beside_others_is_made_and_says_so(tmp_path: Path) -> None:
    maker, lines = Maker(), list[str]()
    read_or_make(tmp_path, "old", maker, lines.append)
    read_or_make(tmp_path, "new", maker, lines.append)
    assert maker.made == 2
    assert lines == ["the prepared arrays in the cache are of other data or other versions"]


def test_nothing_is_kept_of_an_entry_that_cannot_be_made(tmp_path: Path) -> None:
    def fail() -> Entry:
        raise DataError("no way to the data")

    with pytest.raises(DataError, match="no way to the data"):
        read_or_make(tmp_path, "abc", fail, lambda _: None)
    assert not list(tmp_path.rglob("*.npz"))


def test_two_that_need_it_at_once_make_it_once(tmp_path: Path) -> None:
    # The lock belongs to the open file, so it holds between threads as between processes.
    maker = Maker()
    with ThreadPoolExecutor(2) as pool:
        with sole_writer(tmp_path, lambda _: None):  # both have to wait, and then go at once
            both = [
                pool.submit(read_or_make, tmp_path, "abc", maker, lambda _: None) for _ in range(2)
            ]
            time.sleep(0.1)
        for one in both:
            assert_same(one.result(timeout=10), ENTRY)
    assert maker.made == 1


def test_waiting_for_another_process_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    with sole_writer(tmp_path, lambda _: None):
        waiting = sole_writer(tmp_path, lines.append)

        def give_up(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(time, "sleep", give_up)
        with pytest.raises(KeyboardInterrupt), waiting:
            pass
    assert lines == ["waiting for another process that is preparing it"]


def test_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "cache")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"must be writable but is not .*; set XDG_CACHE_HOME"):
        open_folder(tmp_path / "file" / "cache")


def test_manifest_is_readable_by_people(tmp_path: Path) -> None:
    write_entry(tmp_path, "abc", ENTRY)
    manifest = json.loads((tmp_path / "abc.json").read_text())
    assert manifest["notes"] == {"source": "a test"}
    assert manifest["size"] == (tmp_path / "abc.npz").stat().st_size
