"""Which model is the champion."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.noise import Sample, difference
from search.analysis.promotion import Confirmed, Decision, Evidence
from search.analysis.promotion import decide as decide_by

EVIDENCE = Evidence(
    collapsed=0,
    trainings=8,
    chance=0.06,
    validation=Sample.of([0.34, 0.35, 0.36]),
    reference=Sample.of([0.30, 0.31, 0.32]),
    reference_name="the tutorial's (32,)",
)


def confirmed(
    mean: float, deviation: float | None = 0.003, seeds: int = 4, data: str = "a", split: str = "r"
) -> Confirmed:
    return Confirmed(
        mean=mean, deviation=deviation, seeds=seeds, data_fingerprint=data, split=split
    )


def decide(
    new: Confirmed, champion: Confirmed | None, choice: bool | None = None, **changes: Any
) -> Decision:
    return decide_by(new, replace(EVIDENCE, **changes), champion, choice)


def test_the_first_model_that_beats_chance_and_the_reference_and_holds_is_the_champion() -> None:
    assert decide(confirmed(0.3), None) == Decision(True, "there was no champion")
    assert decide(confirmed(0.9), confirmed(0.3), collapsed=1) == Decision(
        False, "unstable: 1 of 8 trainings collapsed"
    )


@pytest.mark.parametrize("mean", [0.04, 0.06, 0.0647])  # t(0.975, 3) * 0.003 / 2 = 0.00477
def test_a_model_that_is_no_better_than_chance_is_no_champion(mean: float) -> None:
    decision = decide(confirmed(mean), None)
    assert not decision.promote
    assert "against 0.0600 of chance: not better" in decision.reason
    assert decide(confirmed(0.0649), None).promote


def test_a_model_that_does_not_beat_the_reference_of_its_study_is_no_champion() -> None:
    decision = decide(confirmed(0.3), None, reference=Sample.of([0.34, 0.35, 0.355]))
    assert not decision.promote
    assert "of the tutorial's (32,): not better by more than the noise" in decision.reason
    assert decide(confirmed(0.3), None, reference=None).promote, "it is the reference itself"


def test_references_that_need_no_search_do_not_decide_but_are_named() -> None:
    one = decide(confirmed(0.3), None, not_beaten=["popularity"])
    assert one.promote
    assert one.reason.endswith("; it does not beat popularity, which needs no search")
    three = decide(confirmed(0.3), None, not_beaten=["popularity", "damped mean", "EASE"])
    assert three.reason.endswith("beat popularity, damped mean and EASE, which need no search")


@pytest.mark.parametrize(
    ("new", "promote", "words"),
    # Six degrees of freedom: t(0.975, 6) = 2.4469; the noise is 2.4469 * 0.003 / sqrt(2) = 0.00519
    [
        (0.3053, True, "better by more than the noise (+0.0053, 95 % interval +0.0001 to +0.0105)"),
        (0.3050, False, "not better by more than the noise (+0.0050, 95 % interval -0.0002 to"),
        (0.3, False, "not better"),
        (0.2, False, "not better"),
    ],
)
def test_a_champion_is_better_by_more_than_the_noise(new: float, promote: bool, words: str) -> None:
    decision = decide(confirmed(new), confirmed(0.3))
    assert decision.promote is promote
    assert decision.reason.startswith(
        f"mean test accuracy {new:.4f} against the champion's 0.3000: {words}"
    )


def test_a_champion_that_is_measured_again_as_it_is_adds_no_noise_of_seeds() -> None:
    # three degrees of freedom: t(0.975, 3) * 0.003 / sqrt(4) = 0.00477
    champion = confirmed(0.3, deviation=None, seeds=0)
    assert decide(confirmed(0.3049), champion, reference=None).promote
    assert not decide(confirmed(0.3046), champion, reference=None).promote


@given(
    mean=st.floats(0.2, 1),
    other=st.floats(0.2, 1),
    deviations=st.tuples(st.floats(0, 0.1), st.floats(0, 0.1)),
    seeds=st.tuples(st.integers(2, 20), st.integers(2, 20)),
)
def test_two_models_never_replace_each_other_in_turn(
    mean: float, other: float, deviations: tuple[float, float], seeds: tuple[int, int]
) -> None:
    one = confirmed(mean, deviations[0], seeds[0])
    two = confirmed(other, deviations[1], seeds[1])
    assert not (decide(one, two).promote and decide(two, one).promote)
    if decide(one, None).promote:
        assert decide(one, two).promote is difference(one.estimate, two.estimate).is_above


@pytest.mark.parametrize("single", [confirmed(0.5, None, 1), confirmed(0.5, 0.0, 1)])
@pytest.mark.parametrize("champion", [None, confirmed(0.3)])
def test_a_single_seed_makes_no_champion(single: Confirmed, champion: Confirmed | None) -> None:
    decision = decide(single, champion)
    assert not decision.promote
    assert "a single seed leaves the noise unknown; give more --seeds" in decision.reason


@pytest.mark.parametrize(
    ("champion", "other"),
    [
        (confirmed(0.1, data="b"), "other data (b, not a)"),
        (confirmed(0.1, split="t"), "another split (t, not r)"),
        (
            replace(confirmed(0.1), metric="test_ndcg_at_10"),
            "another metric (nDCG@10, not accuracy)",
        ),
    ],
)
def test_another_test_is_not_comparable(champion: Confirmed, other: str) -> None:
    reason = f"not comparable: the champion was tested on {other}"
    assert decide(confirmed(0.9), champion) == Decision(False, reason)


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
    assert decide(confirmed(0.3), None, choice=False) == Decision(
        False, "--no-promote was given; there was no champion"
    )
