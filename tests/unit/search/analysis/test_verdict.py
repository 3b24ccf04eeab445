"""What a study has reached, in words, at any time; and which model is the champion."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.noise import Estimate, Sample, difference
from search.analysis.verdict import Confirmed, Decision, Evidence, Leader, listed, verdict
from search.analysis.verdict import decide as decide_by
from search.records.trials import TrialState
from tests.unit.search.sample_records import trial

TUTORIAL = "tutorial (64, 32)"
POPULARITY = {"popularity": Estimate(0.3)}
SEEDS = (0.318, 0.32, 0.322)
SEARCHED = [trial(0, value=0.339), trial(1, value=0.364)]


def led(number: int, values: tuple[float, ...], *others: Sample) -> Leader:
    """What leads after a confirmation, with the samples of the others, trial 0 first."""
    return Leader(number=number, sample=Sample(values), others=dict(enumerate(others)))


def test_the_best_is_held_against_reference_and_popularity() -> None:
    trials = [trial(0, value=0.321, reference=TUTORIAL), trial(1, value=0.339), trial(2, "pruned")]
    assert verdict(trials, POPULARITY) == [
        "3 trials: 2 complete, 1 pruned. Trial 1 is the best: 33.9% of the five-star "
        "validation ratings are in its top 100; the best that "
        'the study file enqueues, "tutorial (64, 32)", has 32.1%.',
        "It is above every reference (popularity) with one seed; whether by more than the noise is "
        "what search.retrain finds out.",
    ]


@pytest.mark.parametrize("accuracy", [0.339, 0.45])
def test_a_best_that_does_not_beat_a_reference_is_said_not_to(accuracy: float) -> None:
    best = [trial(1, value=0.339)]
    assert verdict(best, {"popularity": Estimate(0.3), "EASE": Estimate(accuracy)})[1] == (
        "It is NOT above EASE, which needs no search."
    )
    assert verdict(best, {})[0].endswith("are in its top 100.")
    assert len(verdict(best, {})) == 1


def test_a_reference_may_be_the_best_itself() -> None:
    trials = [trial(0, value=0.34, reference=TUTORIAL), trial(1, value=0.33)]
    said = verdict(trials, POPULARITY)[0]
    assert "Trial 0 is the best: 34.0%" in said
    assert said.endswith('; the study file enqueues it as "tutorial (64, 32)".')


def test_the_best_of_the_references_is_the_one_that_is_named() -> None:
    trials = [
        trial(0, value=0.30, reference="narrow"),
        trial(1, value=0.32, reference="wide"),
        trial(2, value=0.34),
        trial(3, "pruned", value=0.9, reference="pruned"),
    ]
    assert verdict(trials, POPULARITY)[0].endswith('enqueues, "wide", has 32.0%.')


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        ([], "0 trials: 0 complete, 0 pruned. No trial is complete, so there is no best one."),
        (["complete"], "1 trial: 1 complete, 0 pruned. Trial 0 is the best"),
        (["complete", "running", "waiting"], "1 trial: 1 complete, 0 pruned."),
        (["complete", "diverged"], "2 trials: 1 complete, 0 pruned, 1 diverged."),
        (
            ["pruned", "failed", "interrupted"],
            "3 trials: 0 complete, 1 pruned, 1 failed, 1 interrupted. No trial is complete, so",
        ),
    ],
)
def test_trials_that_have_ended_are_counted(states: list[TrialState], counted: str) -> None:
    trials = [trial(number, state) for number, state in enumerate(states)]
    assert verdict(trials, POPULARITY)[0].startswith(counted)


def test_names_are_joined_as_in_a_sentence() -> None:
    assert listed(["ease"]) == "ease"
    assert listed(["popularity", "damped mean", "ease"]) == "popularity, damped mean and ease"


def test_what_a_confirmation_preferred_is_the_headline_and_the_lucky_draw_is_named() -> None:
    leader = Leader(number=0, sample=Sample(SEEDS), others={1: Sample((0.19, 0.20, 0.21))})
    assert verdict(SEARCHED, {"popularity": Estimate(0.33)}, leader) == [
        "2 trials: 2 complete, 0 pruned. Trial 0 is confirmed best over 3 seeds: on average 32.0% "
        "of the five-star validation ratings are in its top 100. Trial 1 had the highest single "
        "value of the search, 36.4%, and 20.0% on average over its seeds.",
        # t(0.975, 2) = 4.3027; times 0.002 / sqrt(3)
        "It is NOT better than popularity, which needs no search, by more than the noise (against "
        "popularity: -0.0100, 95 % interval -0.0150 to -0.0050).",
    ]


def test_a_lucky_draw_that_collapsed_is_not_told_by_the_mean_of_what_held() -> None:
    leader = Leader(number=0, sample=Sample(SEEDS), others={1: Sample((0.35, 0.36), collapsed=1)})
    said = verdict(SEARCHED, {}, leader)[0]
    assert "Trial 0 is confirmed best over 3 seeds" in said
    assert said.endswith(
        "Trial 1 had the highest single value of the search, 36.4%, but 1 of its 3 trainings "
        "collapsed."
    )


def test_references_are_held_against_the_mean_and_not_against_the_lucky_draw() -> None:
    leader = Leader(number=1, sample=Sample(SEEDS))
    assert verdict(SEARCHED, {"popularity": Estimate(0.35)}, leader)[-1].startswith(
        "It is NOT better"
    )
    assert verdict(SEARCHED, {"popularity": Estimate(0.35)})[-1].startswith("It is above every")
    assert verdict(SEARCHED, {"popularity": Estimate(0.31)}, leader)[-1] == (
        "It is better than every reference by more than the noise: popularity (against popularity: "
        "+0.0100, 95 % interval +0.0050 to +0.0150)."
    )


@pytest.mark.parametrize(
    ("leader", "said"),
    [
        (
            led(1, SEEDS, Sample((0.2, 0.21, 0.22))),
            "Trial 1 is confirmed best over 3 seeds: on average 32.0% of the five-star validation "
            "ratings are in its top 100; the search saw 36.4%.",
        ),
        (
            led(1, SEEDS, Sample((0.317, 0.319, 0.321))),
            "Trial 1 is best over 3 seeds, within the noise of trial 0: on average 32.0% of",
        ),
        (
            led(1, SEEDS, Sample((0.31, 0.32), collapsed=1)),
            "Trial 1 is confirmed best over 3 seeds",
        ),
        (
            Leader(number=0, sample=Sample(SEEDS)),
            "Trial 0, the only trial with 3 seeds, holds: on average 32.0% of the five-star "
            "validation ratings are in its top 100. Trial 1 had the highest single value of the "
            "search, 36.4%, and was not trained again.",
        ),
        (led(1, (0.32,), Sample((0.31,))), "Trial 1 was trained again with one seed: 32.0% of"),
        (
            Leader(number=1, sample=Sample.of([None, 0.35])),
            "Trial 1 does not hold: 1 of its 2 trainings diverged or ended no better than chance; "
            "the search saw 36.4%.",
        ),
    ],
)
def test_no_more_is_said_of_a_confirmed_trial_than_seeds_show(leader: Leader, said: str) -> None:
    assert f"2 trials: 2 complete, 0 pruned. {said}" in verdict(SEARCHED, {}, leader)[0]


def test_trials_that_are_newer_than_the_confirmation_are_told() -> None:
    newer = (trial(2, value=0.37), trial(3, "pruned"))
    leader = Leader(number=0, sample=Sample(SEEDS), newer=newer)
    assert verdict([*SEARCHED, *newer], {}, leader)[1] == (
        "2 trials are newer than the confirmation; the best of them, trial 2 (37.0%), was no part "
        "of it."
    )
    leader = Leader(number=0, sample=Sample(SEEDS), newer=newer[1:])
    assert verdict([*SEARCHED, *newer], {}, leader)[1] == (
        "1 trial is newer than the confirmation; it is not complete."
    )


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
