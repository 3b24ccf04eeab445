"""Compiled programs: traced once for an architecture, and never many in memory."""

import gc
import os
import weakref
from pathlib import Path

import jax
import numpy as np

from deeprec.training import programs
from deeprec.training.programs import MAX_PROGRAMS, _trim, compiled

traced: list[int] = []


def add(static: int, x: jax.Array) -> jax.Array:
    traced.append(static)
    return x + static


def test_one_program_for_the_same_shapes_another_for_others() -> None:
    traced.clear()
    x = np.arange(3, dtype=np.float32)
    first = compiled(add, 1, x)
    assert compiled(add, 1, x + 5) is first
    assert traced == [1]
    np.testing.assert_array_equal(first(x), x + 1)

    np.testing.assert_array_equal(compiled(add, 2, x)(x), x + 2)
    np.testing.assert_array_equal(compiled(add, 1, x[:2])(x[:2]), x[:2] + 1)
    np.testing.assert_array_equal(compiled(add, 1, x.astype(int))(x.astype(int)), x + 1)
    assert traced == [1, 2, 1, 1]


def test_only_the_last_used_are_kept() -> None:
    x = np.arange(3, dtype=np.float32)
    oldest = compiled(add, -1, x)
    kept = compiled(add, -2, x)
    for number in range(MAX_PROGRAMS - 1):
        compiled(add, 100 + number, x)
        assert compiled(add, -2, x) is kept
    dropped = weakref.ref(oldest)
    del oldest
    jax.clear_caches()  # type: ignore[no-untyped-call]
    gc.collect()
    assert dropped() is None
    assert len(programs._programs) == MAX_PROGRAMS


def test_a_folder_that_grew_too_large_is_halved_oldest_first(tmp_path: Path) -> None:
    for age in range(4):
        file = tmp_path / f"program-{age}"
        file.write_bytes(bytes(100))
        os.utime(file, (1_000_000 - age, 1_000_000 - age))
    _trim(tmp_path, 400)
    assert len(list(tmp_path.iterdir())) == 4, "it is within the limit"
    _trim(tmp_path, 399)
    assert {path.name for path in tmp_path.iterdir()} == {"program-0"}
