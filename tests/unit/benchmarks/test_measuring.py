"""Pairs, curves, memory: the small tools of the measurements."""

import numpy as np
import pytest

from tests.benchmarks.measuring import Pairs, in_turn
from tests.benchmarks.plot import ascii_curve
from tests.benchmarks.processes import forget_peak, peak_bytes, resident_bytes
from tests.benchmarks.results import Quantity

MIB = 2**20


def test_ours_and_the_other_take_turns() -> None:
    calls: list[str] = []
    clock = iter(range(6))

    def measure(name: str) -> float:
        calls.append(name)
        return float(next(clock))

    pairs = in_turn(lambda: measure("A"), lambda: measure("B"), 3)
    assert calls == list("ABABAB")
    assert (pairs.ours, pairs.other) == ([0, 2, 4], [1, 3, 5])


def test_the_median_is_not_moved_by_one_slow_pair() -> None:
    pairs = Pairs(ours=[0.001, 0.001, 9.0], other=[0.002, 0.002, 0.002])
    assert pairs.our_median("ms", 1000) == Quantity(value=1.0, unit="ms")
    assert pairs.other_median("s") == Quantity(value=0.002, unit="s")
    assert "0.5 to 4.5e+03, median 0.5" in pairs.spread


def test_a_curve_rises_from_the_lower_left_to_the_upper_right() -> None:
    lines = ascii_curve([10, 20, 30], height=3).splitlines()
    assert lines == ["30 |  *", "20 | *", "10 |*", "   +---", "    1 3"]


def test_a_flat_curve_is_one_row() -> None:
    assert ascii_curve([5.0] * 200, width=4).splitlines()[0] == "5 |****"


def test_many_values_are_averaged_to_the_width() -> None:
    assert "+" + "-" * 60 in ascii_curve(list(range(200)), width=60)


def test_memory_that_was_freed_is_in_the_peak_until_it_is_forgotten() -> None:
    before = resident_bytes()
    assert before is not None
    held = np.ones(64 * MIB, np.int8)
    del held
    assert (peak_bytes() or 0) >= before + 60 * MIB
    forget_peak()
    assert (peak_bytes() or 0) < before + 30 * MIB


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_bytes(2**22 + 1) is None


@pytest.mark.parametrize("repeats", [1, 4])
def test_every_pair_is_counted(repeats: int) -> None:
    assert f"of {repeats} pairs" in in_turn(lambda: 1.0, lambda: 2.0, repeats).spread
