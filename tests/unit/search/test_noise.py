"""Samples over seeds, and what counts as more than noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.noise import Sample, beats

values = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=6)


def test_mean_deviation_and_error_by_hand() -> None:
    sample = Sample.of([0.1, 0.3])
    assert sample.mean == pytest.approx(0.2)
    assert sample.deviation == pytest.approx(0.02**0.5)  # two deviations of 0.1, divided by n - 1
    assert sample.error == pytest.approx(0.1)
    assert str(sample) == "0.2000 ± 0.1414"


def test_one_seed_has_no_spread_and_decides_nothing() -> None:
    alone = Sample.of([0.5])
    assert (alone.deviation, alone.error, str(alone)) == (None, None, "0.5000")
    assert beats(alone, Sample.of([0.1, 0.2])) is None
    assert beats(Sample.of([0.1, 0.2]), alone) is None


def test_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Sample.of([])


@pytest.mark.parametrize(("gap", "expected"), [(0.28, False), (0.29, True)])
def test_a_difference_counts_from_two_of_its_standard_errors(gap: float, expected: bool) -> None:
    one, other = Sample.of([0.4 + gap, 0.6 + gap]), Sample.of([0.4, 0.6])
    assert beats(one, other) is expected  # each error is 0.1, that of the difference 0.1414


@given(values, values)
def test_at_most_one_of_two_beats_the_other(one: list[float], other: list[float]) -> None:
    first, second = Sample.of(one), Sample.of(other)
    assert not (beats(first, second) and beats(second, first))
    assert not beats(first, first)
