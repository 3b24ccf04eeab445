"""Which model is the champion."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.promotion import Confirmed, decide


def confirmed(
    mean: float, deviation: float | None = 0.003, seeds: int = 4, data: str = "a", split: str = "r"
) -> Confirmed:
    return Confirmed(
        mean=mean, deviation=deviation, seeds=seeds, data_fingerprint=data, split=split
    )


def test_the_first_model_is_the_champion() -> None:
    decision = decide(confirmed(0.3), None)
    assert decision.promote
    assert decision.reason == "there was no champion"


@pytest.mark.parametrize(
    ("new", "promote"),
    # Both standard errors are 0.003 / sqrt(4) = 0.0015; the noise is 2 * 0.0015 * sqrt(2) = 0.00424
    [(0.3043, True), (0.3042, False), (0.3, False), (0.2, False)],
)
def test_a_new_champion_is_better_by_more_than_the_noise(new: float, promote: bool) -> None:
    decision = decide(confirmed(new), confirmed(0.3))
    assert decision.promote is promote
    verb = "more than the noise (0.0042)" if promote else "not better by more than the noise"
    assert f"{new:.4f} against the champion's 0.3000: {verb}" in decision.reason


def test_both_deviations_and_both_numbers_of_seeds_count() -> None:
    # 2 * sqrt(0.003 ** 2 / 9 + 0.004 ** 2 / 16) = 2 * sqrt(0.001 ** 2 + 0.001 ** 2) = 0.00283
    new, champion = confirmed(0.3029, 0.003, 9), confirmed(0.3, 0.004, 16)
    assert decide(new, champion).promote
    assert not decide(confirmed(0.3028, 0.003, 9), champion).promote


@given(
    mean=st.floats(0, 1),
    other=st.floats(0, 1),
    deviations=st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)),
    seeds=st.tuples(st.integers(2, 20), st.integers(2, 20)),
)
def test_two_models_never_replace_each_other_in_turn(
    mean: float, other: float, deviations: tuple[float, float], seeds: tuple[int, int]
) -> None:
    one = confirmed(mean, deviations[0], seeds[0])
    two = confirmed(other, deviations[1], seeds[1])
    assert not (decide(one, two).promote and decide(two, one).promote)
    noise = 2 * math.hypot(deviations[0] / seeds[0] ** 0.5, deviations[1] / seeds[1] ** 0.5)
    assert decide(one, two).promote == (mean - other > noise)


@pytest.mark.parametrize("single", [confirmed(0.5, None, 1), confirmed(0.5, 0.0, 1)])
def test_a_single_seed_is_never_enough_to_replace_a_champion(single: Confirmed) -> None:
    for new, champion in ((single, confirmed(0.3)), (confirmed(0.9), single)):
        decision = decide(new, champion)
        assert not decision.promote
        assert "with a single seed nobody can tell that from noise" in decision.reason


@pytest.mark.parametrize(
    ("champion", "message"),
    [
        (
            confirmed(0.1, data="b"),
            "not comparable: the champion was tested on other data (b, not a)",
        ),
        (
            confirmed(0.1, split="t"),
            "not comparable: the champion was tested on another split (t, not r)",
        ),
    ],
)
def test_another_test_is_not_comparable(champion: Confirmed, message: str) -> None:
    decision = decide(confirmed(0.9), champion)
    assert not decision.promote
    assert decision.reason == message


@pytest.mark.parametrize("new", [0.2, 0.4])
@pytest.mark.parametrize("choice", [True, False])
def test_the_user_has_the_last_word(new: float, choice: bool) -> None:
    decision = decide(confirmed(new), confirmed(0.3), choice)
    assert decision.promote is choice
    overruled = choice != (new > 0.3)
    flag = "--promote was given; " if choice else "--no-promote was given; "
    assert decision.reason.startswith(flag) is overruled
    assert "against the champion's 0.3000" in decision.reason


def test_even_the_first_model_may_be_kept_from_being_the_champion() -> None:
    decision = decide(confirmed(0.3), None, choice=False)
    assert not decision.promote
    assert decision.reason == "--no-promote was given; there was no champion"
