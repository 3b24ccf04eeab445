"""Prepared arrays that are damaged or deceitful: made again, no code of theirs run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deeprec.data.cache import Entry, read_entry, read_or_make, write_entry
from deeprec.data.verified_files import _digest
from deeprec.errors import DataError
from tests.faults.deceit import JSON, Trap, few, one_line
from tests.faults.in_process import snapshot

pytestmark = [pytest.mark.data, pytest.mark.faults]


ENTRY = Entry({"ids": np.arange(5, dtype=np.int32)}, {"source": "a test"})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    (folder / "prepared").mkdir()
    return folder


def refused_manifest(cache: Path, text: str) -> None:
    """It is refused, and the entry is made again."""
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    (prepared / "abc.json").write_text(text)
    before = snapshot(cache)
    with pytest.raises(DataError) as caught:
        read_entry(prepared, "abc")
    one_line(caught)
    assert snapshot(cache) == before
    lines: list[str] = []
    made = read_or_make(cache, "abc", lambda: ENTRY, lines.append)
    assert list(made.arrays) == ["ids"]
    assert lines[0].startswith("the prepared arrays are damaged and will be rebuilt: ")


NONE = ["[" * 100_000, '{"a":' * 100_000, "\0", "{", "NaN", ""]


@few
@given(text=st.sampled_from(NONE) | JSON.map(json.dumps))
def test_a_cache_manifest_of_anything(cache: Path, text: str) -> None:
    refused_manifest(cache, text)


@few
@given(key=st.sampled_from(["fingerprint", "size", "sha256", "notes"]), value=JSON | st.just(...))
def test_a_cache_manifest_with_a_wrong_entry_or_without(cache: Path, key: str, value: Any) -> None:
    assume(not (key == "notes" and isinstance(value, dict)))
    write_entry(cache / "prepared", "abc", ENTRY)
    manifest = json.loads((cache / "prepared" / "abc.json").read_text())
    manifest |= {key: value}
    refused_manifest(cache, json.dumps({n: v for n, v in manifest.items() if v is not ...}))


def test_pickled_arrays_in_the_cache_run_no_code(cache: Path, tmp_path: Path) -> None:
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(prepared / "abc.npz", ids=trap)
    manifest = json.loads((prepared / "abc.json").read_text())
    manifest["size"] = (prepared / "abc.npz").stat().st_size
    manifest["sha256"] = _digest(prepared / "abc.npz")
    (prepared / "abc.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError):
        read_entry(prepared, "abc")
    assert not (tmp_path / "sprung").exists()
