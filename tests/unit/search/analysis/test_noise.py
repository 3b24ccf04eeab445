"""Samples over seeds, and what counts as more than noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.noise import Deviation, Sample, Spread, beats, noise_of, noise_of_draws

values = st.lists(st.floats(0, 1, allow_nan=False), min_size=2, max_size=6)


def test_mean_and_deviation_by_hand() -> None:
    sample = Sample.of([0.1, 0.3])
    assert sample.mean == pytest.approx(0.2)
    assert sample.deviation == pytest.approx(0.02**0.5)  # two deviations of 0.1, divided by n - 1
    assert str(sample) == "0.2000 ± 0.1414"
    with pytest.raises(ValueError, match="must not be empty"):
        Sample.of([])


def test_a_training_that_collapsed_is_counted_and_is_no_noise() -> None:
    sample = Sample.of([0.36, None, 0.34])
    assert sample.mean == pytest.approx(0.35)
    assert (sample.collapsed, sample.seeds) == (1, 3)
    assert sample.deviation == Sample.of([0.36, 0.34]).deviation
    assert not sample.is_stable
    assert str(sample) == "0.3500 ± 0.0141 (1 collapsed)"
    nothing = Sample.of([None, None])
    assert (nothing.mean, nothing.deviation, str(nothing)) == (0.0, None, "all collapsed")


@pytest.mark.parametrize(
    ("spreads", "expected"),
    [
        # t(0.95, 2) = 2.9200; the errors are 0.1 each
        pytest.param([(0.02**0.5, 2), (0.02**0.5, 2)], 2.9200 * 0.02**0.5, id="two and two seeds"),
        # t(0.95, 8) = 1.8595
        pytest.param([(0.1, 5), (0.1, 5)], 1.8595 * 0.1 * 0.4**0.5, id="five and five"),
        # Welch: (0.01 + 0.0001)^2 / ((0.01^2 + 0.0001^2) / 3) = 3.06 degrees of freedom
        pytest.param([(0.2, 4), (0.02, 4)], 2.3362 * 0.0101**0.5, id="spreads that differ"),
        # t(0.95, 4) = 2.1318; the single seed spreads as the five do
        pytest.param([(None, 1), (0.1, 5)], 2.1318 * 0.1 * 1.2**0.5, id="one and five"),
        pytest.param([(0.1, 5)], 2.1318 * 0.1 * 0.2**0.5, id="five against a number"),
        pytest.param([(0.0, 2), (0.0, 3)], 0.0, id="seeds that agree"),
    ],
)
def test_the_noise_by_hand(spreads: list[tuple[float | None, int]], expected: float) -> None:
    assert noise_of(*(Spread(*each) for each in spreads)) == pytest.approx(expected, rel=1e-3)


def test_single_seeds_alone_decide_nothing() -> None:
    alone = Sample.of([0.5])
    assert noise_of(alone.spread, alone.spread) is None
    assert beats(alone, alone) is None
    assert beats(alone, 0.1) is None


@pytest.mark.parametrize("seeds", [(2, 2), (3, 3), (2, 5), (1, 5), (5, 5)])
def test_of_equals_at_most_one_in_twenty_is_called_better(seeds: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    draws = 2000
    called = sum(
        bool(beats(*(Sample.of(rng.normal(0.35, 0.004, count).tolist()) for count in seeds)))
        for _ in range(draws)
    )
    assert called / draws < 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5


def test_the_noise_between_two_single_trainings() -> None:
    # t(0.95, 8) = 1.8595
    assert noise_of_draws(Deviation(0.01, 8)) == pytest.approx(1.8595 * 0.02 / 2**0.5, rel=1e-3)


@given(values, values)
def test_at_most_one_of_two_beats_the_other(one: list[float], other: list[float]) -> None:
    first, second = Sample.of(one), Sample.of(other)
    assert not (beats(first, second) and beats(second, first))
    assert not beats(first, first)
