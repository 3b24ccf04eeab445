"""The arithmetic of a line: ratio, target, verdict."""

import json
import math

import pytest

from tests.benchmarks.results import Quantity, Result, Target


def seconds(value: float) -> Quantity:
    return Quantity(value=value, unit="s")


def test_a_time_may_be_so_many_times_the_others() -> None:
    close = Result.as_fast_as("step", seconds(1.1), seconds(1.0), at_most=1.15, opponent="JAX")
    assert close.ratio == pytest.approx(1.1)
    assert (close.is_met, close.verdict) == (True, "met")
    slow = Result.as_fast_as("step", seconds(2.3), seconds(1.0), at_most=1.15, opponent="JAX")
    assert (slow.is_met, slow.verdict) == (False, "missed by 100%")
    assert slow.target_text == "at most 1.15 times"


def test_a_speedup_is_the_others_time_by_ours() -> None:
    result = Result.times_faster("trial", seconds(4), seconds(20), at_least=6, opponent="fit")
    assert result.ratio == pytest.approx(5)
    assert result.verdict == "missed by 17%"
    assert result.target_text == "at least 6 times"


def test_of_a_rate_more_is_better() -> None:
    ours, other = (Quantity(value=rate, unit="trials an hour") for rate in (300, 200))
    result = Result.times_as_many("workers", ours, other, at_least=1.4, opponent="one")
    assert result.ratio == pytest.approx(1.5)
    assert result.is_met


def test_without_another_our_own_number_is_judged() -> None:
    met = Result.limited("start", seconds(6.0), at_most=6.0)
    assert met.ratio is None
    assert met.is_met, "the bound itself is met"
    missed = Result.limited("start", seconds(6.3), at_most=6.0)
    assert missed.verdict == "missed by 5%"
    assert missed.target_text == "at most 6 s"


def test_information_has_no_target() -> None:
    result = Result(what="scale", ours=seconds(1))
    assert result.is_met is None
    assert (result.target_text, result.verdict) == ("", "")


def test_a_number_that_is_not_finite_meets_nothing() -> None:
    assert not Result.limited("memory", seconds(math.nan), at_most=2).is_met
    assert not Target(bound=1, direction="at least").is_met_by(math.nan)


@pytest.mark.parametrize(
    "result",
    [
        Result.times_faster("a", seconds(1), seconds(2), at_least=2, opponent="b", note="c"),
        Result(what="a", ours=seconds(1)),
    ],
)
def test_a_result_survives_its_way_between_processes(result: Result) -> None:
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.41234, "0.412 ms"), (18.26, "18.3 ms"), (1234.5, "1,234 ms"), (0.0, "0 ms")],
)
def test_a_quantity_is_shown_with_three_digits(value: float, shown: str) -> None:
    assert str(Quantity(value=value, unit="ms")) == shown
