"""Samples over seeds and users, and what counts as more than noise."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.noise import (
    Deviation,
    Estimate,
    Sample,
    Spread,
    compare,
    difference,
    noise_of_draws,
)
from search.records.results import MOST_GROUPS, UserResults

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


# --- another seed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spreads", "expected"),
    [
        # t(0.975, 2) = 4.3027; the errors are 0.1 each
        pytest.param([(0.02**0.5, 2), (0.02**0.5, 2)], 4.3027 * 0.02**0.5, id="two and two seeds"),
        # t(0.975, 8) = 2.3060
        pytest.param([(0.1, 5), (0.1, 5)], 2.3060 * 0.1 * 0.4**0.5, id="five and five"),
        # Welch: (0.01 + 0.0001)^2 / ((0.01^2 + 0.0001^2) / 3) = 3.06 degrees of freedom
        pytest.param([(0.2, 4), (0.02, 4)], 3.1464 * 0.0101**0.5, id="spreads that differ"),
        # t(0.975, 4) = 2.7764; the single seed spreads as the five do
        pytest.param([(None, 1), (0.1, 5)], 2.7764 * 0.1 * 1.2**0.5, id="one and five"),
        pytest.param([(0.1, 5), None], 2.7764 * 0.1 * 0.2**0.5, id="five against a reference"),
        pytest.param([(0.0, 2), (0.0, 3)], 0.0, id="seeds that agree"),
    ],
)
def test_the_interval_over_seeds_by_hand(
    spreads: list[tuple[float | None, int] | None], expected: float
) -> None:
    one, other = (Estimate(0.5, spread and Spread(*spread)) for spread in spreads)
    found = difference(one, other)
    assert found.mean == 0
    assert found.interval == pytest.approx((-expected, expected), rel=2e-3)


def test_single_seeds_alone_decide_nothing() -> None:
    alone = Sample.of([0.5]).estimate
    for found in (difference(alone, alone), difference(alone, 0.1)):
        assert (found.interval, found.p, found.is_above, found.is_below) == (None,) * 4


def test_the_noise_between_two_single_trainings() -> None:
    # t(0.975, 8) = 2.3060
    over_seeds = 2.3060 * 0.02 / 2**0.5
    assert noise_of_draws(Deviation(0.01, 8)) == pytest.approx(over_seeds, rel=1e-3)
    assert noise_of_draws(Deviation(0.01, 8, 0.02)) == pytest.approx(
        math.hypot(over_seeds, 1.96 * 0.02), rel=1e-3
    )


@given(values, values)
def test_at_most_one_of_two_is_above_the_other(one: list[float], other: list[float]) -> None:
    first, second = Sample.of(one).estimate, Sample.of(other).estimate
    assert not (difference(first, second).is_above and difference(second, first).is_above)
    assert not difference(first, first).is_above


# --- another sample of users ------------------------------------------------------------------


def of_users(totals: npt.ArrayLike, weights: npt.ArrayLike = 1.0) -> UserResults:
    found = np.asarray(totals, float)
    return UserResults(found, np.broadcast_to(np.asarray(weights, float), found.shape))


def test_the_error_over_users_by_hand() -> None:
    # mean 0.5, deviations of 0.5, divided by n - 1 and by n
    assert of_users([0, 1, 0, 1]).error() == pytest.approx((4 * 0.25 / 3 / 4) ** 0.5)
    one, other = of_users([0, 1, 0, 1]), of_users([0.1, 1.1, 0.1, 1.1])
    assert one.error(other) == pytest.approx(0), "what makes a user hard is in both"
    assert of_users([1.0]).error() is None


def test_the_bootstrap_agrees_with_the_standard_error_of_a_ratio() -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(1, 30, 400).astype(float)
    results = of_users(rng.binomial(weights.astype(int), 0.6), weights)
    found = difference(Estimate(results.mean, None, results), 0.5)
    assert found.over_users == pytest.approx(results.error(), rel=0.05)
    assert found.interval == pytest.approx(
        tuple(results.mean - 0.5 + sign * 1.96 * (results.error() or 0) for sign in (-1, 1)),
        abs=2e-3,
    )


@given(st.integers(1, 3 * MOST_GROUPS), st.integers(0, 2**32))
def test_users_are_kept_as_text_and_too_many_in_groups(count: int, seed: int) -> None:
    totals, weights = np.random.default_rng(seed).random((2, count))
    results = UserResults(totals, weights + 1)
    read = UserResults.of_text(results.text)
    assert len(read) == min(count, MOST_GROUPS)
    assert read.mean == pytest.approx(results.mean, rel=1e-5)
    assert len(results.text) < 44_000
    if count > 2 * MOST_GROUPS:
        assert read.error() == pytest.approx(results.error(), rel=0.1)


def test_results_in_groups_are_paired_with_those_of_single_users() -> None:
    rng = np.random.default_rng(0)
    one = of_users(rng.random(1000))
    other = of_users(one.totals - 0.01)
    whole = difference(Estimate(one.mean, None, one), Estimate(other.mean, None, other))
    groups = other.in_groups(256)
    grouped = difference(Estimate(one.mean, None, one), Estimate(groups.mean, None, groups))
    assert whole.is_above
    assert grouped.is_above
    assert grouped.interval == pytest.approx(whole.interval, abs=1e-3)


def test_holm_corrects_for_as_many_comparisons_as_are_made() -> None:
    """p of 0.02 is enough by itself, and the smaller of two; of three it is not."""
    error = 0.01 / 2.3263  # a difference of 0.01 has a p of 0.02
    one = Estimate(0.5, Spread(error * 1e5**0.5, 100_000))
    third = Estimate(0.5 - 0.01)
    assert compare(one, {"a": third})["a"].p == pytest.approx(0.02, abs=2e-3)
    same, far = Estimate(0.5), Estimate(0.1)
    two = compare(one, {"a": third, "same": same})
    assert two["a"].p == pytest.approx(0.04, abs=4e-3)
    assert two["a"].is_above
    three = compare(one, {"a": third, "same": same, "also": same})
    assert three["a"].p == pytest.approx(0.06, abs=6e-3)
    assert not three["a"].is_above
    assert three["same"].p == 1
    assert three["a"].comparisons == 3
    beside_a_clear_one = compare(one, {"a": third, "far": far})
    assert beside_a_clear_one["a"].p == pytest.approx(0.02, abs=2e-3)
    assert beside_a_clear_one["far"].is_above


# --- a model against itself -------------------------------------------------------------------

USERS = 120


class Towers:
    """A made-up model: users differ, seeds differ, and a seed suits some users better."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.hard = rng.normal(0, 1.0, USERS)  # one sample of users
        self.asked = 1 + rng.poisson(4, USERS)

    def trained(self) -> tuple[float, str]:
        """The accuracy of one training, and what each user adds to it."""
        logits = 0.4 + self.hard + self.rng.normal(0, 0.04) + self.rng.normal(0, 0.3, USERS)
        share: npt.NDArray[np.float64] = 1 / (1 + np.exp(-logits))
        hits = self.rng.binomial(self.asked, share)
        results = UserResults(hits.astype(float), self.asked.astype(float))
        return results.mean, results.text

    def sample(self, seeds: int) -> Sample:
        """The same with several seeds."""
        runs = [self.trained() for _ in range(seeds)]
        return Sample.of([value for value, _ in runs], [text for _, text in runs])


@pytest.mark.parametrize("seeds", [(2, 2), (1, 5), (5, 5)])
def test_a_model_is_seldom_called_better_than_itself(seeds: tuple[int, int]) -> None:
    """Under other seeds and resampled users: at most one in twenty, of 200 comparisons each."""
    rng, called = np.random.default_rng(7), 0
    for _ in range(200):
        towers = Towers(rng)
        one, other = (towers.sample(count).estimate for count in seeds)
        called += bool(difference(one, other).is_above)
    assert called <= 10


def test_a_model_is_seldom_called_better_than_a_number_it_equals() -> None:
    """Each time with other users, whose luck the seeds cannot tell; by seeds alone it often is."""
    rng, called, by_seeds_alone = np.random.default_rng(8), 0, 0
    truth = np.mean([Towers(rng).trained()[0] for _ in range(400)])
    for _ in range(200):
        estimate = Towers(rng).sample(5).estimate
        called += bool(difference(estimate, float(truth)).is_above)
        alone = Estimate(estimate.mean, estimate.over_seeds)
        by_seeds_alone += bool(difference(alone, float(truth)).is_above)
    assert called <= 10
    assert by_seeds_alone > 30


def test_a_model_that_is_better_is_found_to_be() -> None:
    rng, found = np.random.default_rng(9), 0
    for _ in range(20):
        towers = Towers(rng)
        worse = towers.sample(5).estimate
        towers.hard += 0.5
        found += bool(difference(towers.sample(5).estimate, worse).is_above)
    assert found == 20
