"""The references: worked by hand, chosen, and what they cost."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from deeprec.config import Metric
from deeprec.evaluation.ranking import Judgment, ListMetrics, RankingMetrics, rank_all
from deeprec.evaluation.references import (
    CHOICES,
    MOST_SECONDS,
    ReferenceName,
    ReferenceSettings,
    choose_reference,
    costs_of,
    damped_mean_scores,
    fit_reference,
    popularity_scores,
)
from tests.synthetic import MOVIES, USERS, interactions_of, random_interactions

TRAIN = interactions_of(
    (1, 1, 1.0), (2, 1, 1.0), (1, 2, 1.0), (1, 3, 0.75), (2, 3, 0.0), (3, 2, 0.5)
)


def test_the_damped_mean_is_drawn_to_the_mean_of_all() -> None:
    mean = 4.25 / 6
    expected = [0, (2 - 2 * mean) / 7, (1.5 - 2 * mean) / 7, (0.75 - 2 * mean) / 7, 0]
    np.testing.assert_allclose(damped_mean_scores(TRAIN, 5, 5.0), expected, atol=1e-6)


def test_popularity_counts_five_star_ratings_and_is_the_same_for_all() -> None:
    score = fit_reference(ReferenceSettings(name="popularity"), TRAIN, 5, 5)
    scores = np.asarray(score(np.array([1, 3], np.int32)))
    assert scores.tolist() == [[0, 2, 1, 0, 0]] * 2


def test_recent_popularity_counts_the_last_days_and_own_frequent_begins_with_ones_own() -> None:
    day = 86_400_000_000
    rows = interactions_of((1, 1, 1.0), (1, 1, 1.0), (2, 1, 1.0), (2, 2, 1.0), (3, 3, 1.0))
    train = replace(rows, timestamp=np.array([0, 1, 2, 9, 10]) * day)
    users = np.array([1, 4], np.int32)
    recent = ReferenceSettings(name="recent_popularity", parameters={"days": 7.0})
    assert np.asarray(fit_reference(recent, train, 5, 4)(users)).tolist() == [[0, 0, 1, 1]] * 2
    own = np.asarray(fit_reference(ReferenceSettings(name="own_frequent"), train, 5, 4)(users))
    assert own.tolist() == [[0, 2.75, 0.25, 0.25], [0, 0.75, 0.25, 0.25]]


@pytest.mark.parametrize("name", ["damped_mean", "recent_popularity", "item_knn", "ease"])
def test_what_there_is_to_choose_is_chosen_on_the_validation_rows(name: ReferenceName) -> None:
    train, validation = random_interactions(400, seed=1), random_interactions(100, seed=2)
    kept, *unseen = choose_reference(name, train, validation, USERS, MOVIES)

    def measured(parameters: Mapping[str, float]) -> RankingMetrics:
        settings = ReferenceSettings(name=name, parameters=parameters)
        return rank_all(fit_reference(settings, train, USERS, MOVIES), train, validation, MOVIES)

    tried = [measured(parameters) for parameters in CHOICES[name]]
    assert kept[0].key == name
    assert kept[1] == measured(kept[0].parameters)
    assert isinstance(kept[1], RankingMetrics)
    assert kept[1].top_100_accuracy == max(each.top_100_accuracy for each in tried)
    best_unseen = max(each.top_100_accuracy_unseen for each in tried)
    for settings, metrics in unseen:
        assert settings.key == f"{name}_unseen"
        assert settings.parameters != kept[0].parameters
        assert metrics == measured(settings.parameters)
    assert isinstance(of_unseen := (unseen or [kept])[0][1], RankingMetrics)
    assert of_unseen.top_100_accuracy_unseen == best_unseen


def test_the_best_by_lists_is_the_best_by_their_first_metric() -> None:
    train, validation = random_interactions(400, seed=1), random_interactions(100, seed=2)
    judge = Judgment(metrics=(Metric.of("recall@20"), Metric.of("ndcg@5")))
    [(settings, metrics)] = choose_reference("ease", train, validation, USERS, MOVIES, judge)
    assert isinstance(metrics, ListMetrics)
    for parameters in CHOICES["ease"]:
        other = ReferenceSettings(name="ease", parameters=parameters)
        found = judge(fit_reference(other, train, USERS, MOVIES), train, validation, MOVIES)
        assert isinstance(found, ListMetrics)
        assert metrics.objective >= found.objective
    assert settings.key == "ease"


def test_which_references_there_are_follows_from_the_rows_and_from_what_counts() -> None:
    train = random_interactions(400, seed=1)
    everything = costs_of(train, USERS, MOVIES, Judgment(repeats=True))
    assert everything.keys() == CHOICES.keys()
    assert "own_frequent" not in costs_of(train, USERS, MOVIES)
    alike = replace(train, rating=np.ones(400, np.float32), timestamp=np.zeros(400, np.int64))
    without = CHOICES.keys() - {"recent_popularity", "damped_mean", "own_frequent"}
    assert costs_of(alike, USERS, MOVIES).keys() == without


def test_what_a_reference_costs_grows_with_the_data_but_ease_with_the_smaller_side() -> None:
    train = random_interactions(400, seed=1)
    small, wide = costs_of(train, USERS, 1_000), costs_of(train, USERS, 100_000)
    assert all(wide[name].seconds > small[name].seconds for name in small)
    assert all(cost.is_cheap for cost in small.values())
    assert wide["ease"].is_cheap
    assert wide["ease"].memory == small["ease"].memory < 10_000
    assert wide["slim"].seconds > MOST_SECONDS
    assert wide["slim"].memory > 100_000**2 * 4


def test_the_last_days_are_told_in_seconds_and_in_microseconds() -> None:
    rows = interactions_of((1, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0))
    recent = ReferenceSettings(name="recent_popularity", parameters={"days": 7.0})
    for second in (1, 1_000_000):
        times = (875_000_000 + 86_400 * np.array([0, 9, 10])) * second
        score = fit_reference(recent, replace(rows, timestamp=times), 5, 5)
        assert np.asarray(score(np.array([1], np.int32))).tolist() == [[0, 0, 1, 1, 0]]


@pytest.mark.parametrize("name", ["ease", "item_knn", "ials", "slim"])
def test_a_personal_reference_finds_what_goes_together(name: ReferenceName) -> None:
    # Half of the users have some of the first five items, the others some of the next six.
    rng = np.random.default_rng(0)
    rows = [
        (user, item, 1.0)
        for user in range(1, 41)
        for item in (range(1, 6) if user <= 20 else range(6, 12))
        if rng.random() < 0.7
    ]
    train = interactions_of(*rows, (41, 1, 1.0), (41, 2, 1.0), (42, 7, 1.0), (43, 3, 0.5))
    for parameters in CHOICES[name]:
        settings = ReferenceSettings(name=name, parameters=parameters)
        scores = np.asarray(fit_reference(settings, train, 44, 13)(np.array([41, 42, 43])))
        assert np.isfinite(scores).all()
        assert scores[0, 3:6].mean() > scores[0, 6:].max()
        assert scores[1, [6, 8, 9, 10, 11]].mean() > scores[1, :6].max()
        assert scores[2].tolist() == popularity_scores(train, 13).tolist()  # rated nothing high


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be one of popularity, .* but got 'svd'"):
        ReferenceSettings(name="svd")  # type: ignore[arg-type]
