"""Trials by depth, and the best of each."""

import pytest

from search.records.trials import best_by_depth, by_depth, depth_of
from tests.unit.search.sample_records import trial


@pytest.mark.parametrize(("text", "depth"), [("", 0), ("(32,)", 1), ("(256, 256, 256, 32)", 4)])
def test_a_depth_is_the_number_of_widths(text: str, depth: int) -> None:
    assert depth_of(text) == depth


def test_all_trials_are_sorted_shallow_to_deep() -> None:
    trials = [trial(0, layers=(64, 32)), trial(1, layers=(32,)), trial(2, layers=(16, 16))]
    found = by_depth(trials)
    assert [(depth, [t.number for t in alike]) for depth, alike in found.items()] == [
        (1, [1]),
        (2, [0, 2]),
    ]


def test_the_best_of_each_depth_are_found_shallow_to_deep() -> None:
    trials = [
        trial(0, layers=(64, 32), top=0.30),
        trial(1, layers=(32,), top=0.20),
        trial(2, layers=(128, 32), top=0.31),
        trial(3, "pruned", layers=(256, 32), top=0.40),
        trial(4, "pruned", layers=(64, 64, 32), top=0.10),
        trial(5, "failed", layers=(16, 16, 16, 16)),
    ]
    assert {depth: best.number for depth, best in best_by_depth(trials).items()} == {
        1: 1,
        2: 2,  # a complete trial comes before a pruned one
        3: 4,
    }


def test_the_earlier_of_equals_is_the_best_of_its_depth() -> None:
    assert best_by_depth([trial(1), trial(0)])[2].number == 0
