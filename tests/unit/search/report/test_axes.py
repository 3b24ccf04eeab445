"""Axes: accuracies within 0 and 1, the good ones apart, whole numbers where there are no others."""

import pytest

from search.report.style import accuracy_range, accuracy_window, log_axis, whole_ticks
from tests.unit.search.sample_records import trial


@pytest.mark.parametrize("values", [[0.0, 0.3], [0.0], [0.99, 1.0], [0.2, 0.2], [0.1, 0.35]])
def test_an_axis_of_accuracies_stays_within_0_and_1_and_holds_them_all(values: list[float]) -> None:
    low, high = accuracy_range(values)
    assert 0 <= low <= min(values)
    assert max(values) <= high <= 1
    assert low < high


def test_bad_trials_do_not_squeeze_the_good_ones() -> None:
    good = [trial(number, value=0.34 + number / 1000) for number in range(20)]
    bad = [trial(20 + number, "pruned", value=0.02 + number / 200) for number in range(30)]
    low, high = accuracy_window([*good, *bad])
    better_half = [each.value or 0.0 for each in good[10:]]
    assert (max(better_half) - min(better_half)) / (high - low) > 0.25
    assert low > 0.2


def test_where_none_is_bad_all_are_shown() -> None:
    values = [0.30 + number / 100 for number in range(6)]
    low, high = accuracy_window([trial(number, value=each) for number, each in enumerate(values)])
    assert low < 0.30 < 0.35 < high


def test_without_a_complete_trial_all_count() -> None:
    low, high = accuracy_window([trial(0, "pruned", value=0.1), trial(1, "pruned", value=0.3)])
    assert (low < 0.1, high > 0.3) == (True, True)


@pytest.mark.parametrize(
    ("last", "step"),
    [(0, 1), (1, 1), (3, 1), (8, 1), (9, 2), (30, 5), (49, 10), (70, 10), (499, 100)],
)
def test_whole_numbers_have_whole_ticks(last: int, step: int) -> None:
    assert whole_ticks(0, last) == {"tick0": 0, "dtick": step}


def test_a_logarithmic_axis_has_two_ticks_where_values_lie_close() -> None:
    assert log_axis(23_000, 41_000)["tickvals"] == [23_000, 41_000]
    assert log_axis(90_000, 90_000)["tickvals"] == [90_000]
    assert log_axis(0.005, 1.0)["tickvals"] == [0.01, 0.1, 1.0]
