"""The references, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from deeprec.evaluation.ranking import rank_all
from deeprec.evaluation.references import (
    ReferenceSettings,
    choose_references,
    damped_mean_scores,
    ease_weights,
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


def test_ease_of_two_movies_by_hand() -> None:
    # Two of three who rate the first rate the second: X'X = [[3, 2], [2, 2]], penalty 1.
    rated = scipy.sparse.csr_array(np.array([[1, 1], [1, 1], [1, 0]], np.float32))
    # The weight of the other is 2 / (its count + 1): of the second 2/3, of the first 2/4.
    np.testing.assert_allclose(ease_weights(rated, 1.0), [[0, 0.5], [2 / 3, 0]], atol=1e-6)


def test_ease_of_two_movies_is_what_minimizes_the_error() -> None:
    rng = np.random.default_rng(1)
    dense = (rng.random((30, 5)) < 0.4).astype(np.float64)
    weights = ease_weights(scipy.sparse.csr_array(dense), 3.0)
    for movie in range(5):
        others = [other for other in range(5) if other != movie]
        x, y = dense[:, others], dense[:, movie]
        ridge = np.linalg.solve(x.T @ x + 3.0 * np.eye(4), x.T @ y)
        np.testing.assert_allclose(weights[others, movie], ridge, atol=1e-5)
    assert not np.diag(weights).any()


def test_ease_scores_what_others_liked_as_well() -> None:
    rows = [(user, movie, 1.0) for user in range(1, 6) for movie in (1, 2)]
    train = interactions_of(*rows, (6, 1, 1.0), (7, 3, 0.5))
    settings = ReferenceSettings(name="ease", parameters={"penalty": 1.0})
    scores = np.asarray(fit_reference(settings, train, 8, 5)(np.array([6, 7], np.int32)))
    assert scores[0].argmax() == 2
    assert scores[1].tolist() == popularity_scores(train, 5).tolist()  # rated nothing high


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


def test_what_there_is_to_choose_is_chosen_on_the_validation_rows() -> None:
    train, validation = random_interactions(400, seed=1), random_interactions(100, seed=2)
    chosen = choose_references(train, validation, USERS, MOVIES)
    names = [settings.name for settings, _ in chosen]
    assert names == ["popularity", "damped_mean", "ease", "ease_unseen"]

    def accuracy(settings: ReferenceSettings) -> float:
        score = fit_reference(settings, train, USERS, MOVIES)
        return rank_all(score, train, validation, MOVIES).top_100_accuracy

    ease, metrics = chosen[2]
    assert metrics.named("val")["val_top_100_accuracy"] == accuracy(ease)
    for penalty in (100.0, 2000.0):
        other = ReferenceSettings(name="ease", parameters={"penalty": penalty})
        assert accuracy(ease) >= accuracy(other)


def test_a_catalog_too_large_for_ease_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeprec.evaluation.references.MOST_MOVIES_FOR_EASE", 100)
    train = random_interactions(400, seed=1)
    chosen = choose_references(train, random_interactions(100, seed=2), USERS, MOVIES)
    assert [settings.name for settings, _ in chosen] == ["popularity", "damped_mean"]


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="name must be one of popularity, .* but got 'svd'"):
        ReferenceSettings(name="svd")  # type: ignore[arg-type]
