"""Prepared arrays that are damaged or deceitful: made again, no code of theirs run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
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


def refused_manifest(cache: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """It is refused, and the entry is made again."""
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    path = prepared / "abc.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    before = snapshot(cache)
    with pytest.raises(DataError) as caught:
        read_entry(prepared, "abc")
    one_line(caught)
    assert snapshot(cache) == before
    lines: list[str] = []
    made = read_or_make(cache, "abc", lambda: ENTRY, lines.append)
    assert list(made.arrays) == ["ids"]
    assert lines[0].startswith("the prepared arrays are damaged and will be rebuilt: ")


@few
@given(manifest=JSON)
def test_a_cache_manifest_of_anything(cache: Path, manifest: Any) -> None:
    refused_manifest(cache, lambda _genuine: manifest)


@few
@given(key=st.sampled_from(["fingerprint", "size", "sha256", "notes"]), value=JSON)
def test_a_cache_manifest_with_a_wrong_entry(cache: Path, key: str, value: Any) -> None:
    if not (key == "notes" and isinstance(value, dict)):
        refused_manifest(cache, lambda genuine: {**genuine, key: value})


@pytest.mark.parametrize("key", ["fingerprint", "size", "sha256", "notes"])
def test_a_cache_manifest_that_lacks_an_entry(cache: Path, key: str) -> None:
    refused_manifest(cache, lambda genuine: {n: v for n, v in genuine.items() if n != key})


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", "{", "NaN"])
def test_a_cache_manifest_that_is_none(cache: Path, text: str) -> None:
    prepared = cache / "prepared"
    write_entry(prepared, "abc", ENTRY)
    (prepared / "abc.json").write_text(text)
    with pytest.raises(DataError) as caught:
        read_entry(prepared, "abc")
    assert "manifest cannot be read" in one_line(caught)


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
