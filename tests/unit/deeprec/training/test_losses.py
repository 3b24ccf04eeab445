"""The losses, worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.training.losses import (
    NEVER,
    in_batch_softmax_loss,
    rating_loss,
    rating_weights,
    sampled_softmax_loss,
    softmax_loss,
    surprises,
)

LOG2, LOG3 = float(np.log(2.0)), float(np.log(3.0))
SCORES = jnp.log(jnp.array([[1.0, 2.0, 1.0], [1.0, 1.0, 6.0]]))
"""The shares of the first user are 1/4, 1/2, 1/4, of the second 1/8, 1/8, 3/4."""


def test_rating_loss_is_the_mean_of_the_squared_errors_without_padding() -> None:
    loss = rating_loss(jnp.array([1.0, 0.0]), jnp.array([0.5, 0.25]), 2)
    assert float(loss) == pytest.approx((0.25 + 0.0625) / 2)
    loss = rating_loss(jnp.array([1.0, 99.0]), jnp.array([0.5, 0.0]), 1)
    assert float(loss) == pytest.approx(0.25)


def test_weights_are_powers_of_ratings_and_one_star_weighs_nothing() -> None:
    weights = rating_weights(jnp.array([1.0, 0.5, 0.0]), 2.0)
    np.testing.assert_allclose(weights, [1.0, 0.25, 0.0])


def test_softmax_loss_is_the_weighted_mean_of_the_surprises() -> None:
    users, movies = jnp.array([0, 0, 1, 0]), jnp.array([1, 2, 0, 0])
    weights = jnp.array([1.0, 0.5, 1.5, 0.0])  # the last is padding
    expected = (1.0 * LOG2 + 0.5 * 2 * LOG2 + 1.5 * 3 * LOG2) / 3.0
    assert float(softmax_loss(SCORES, users, movies, weights)) == pytest.approx(expected)


def test_surprises_are_those_of_one_row_each() -> None:
    np.testing.assert_allclose(surprises(SCORES, jnp.array([1, 0])), [LOG2, 3 * LOG2], rtol=1e-6)


def test_a_batch_without_weight_has_no_loss_and_no_gradient() -> None:
    zeros = jnp.zeros(1, int), jnp.zeros(1, int), jnp.zeros(1)
    loss, gradient = jax.value_and_grad(softmax_loss)(SCORES, *zeros)
    assert float(loss) == 0
    assert not np.asarray(gradient).any()


def test_in_batch_softmax_without_correction_or_accidents_is_a_softmax() -> None:
    pairs = jnp.array([0, 1]), jnp.array([1, 2]), jnp.array([1.0, 1.0])
    loss = in_batch_softmax_loss(SCORES, *pairs, jnp.zeros(3))
    assert float(loss) == pytest.approx(float(softmax_loss(SCORES, *pairs)), rel=1e-6)


def test_another_hit_of_the_user_is_no_candidate() -> None:
    users, movies = jnp.array([0, 0]), jnp.array([1, 2])
    loss = in_batch_softmax_loss(SCORES, users, movies, jnp.array([1.0, 1.0]), jnp.zeros(3))
    # Movie 1 against movie 0 alone: 2 of 3; movie 2 against movie 0 alone: 1 of 2.
    assert float(loss) == pytest.approx(((LOG3 - LOG2) + LOG2) / 2, rel=1e-6)

    def of_first(scores: jax.Array) -> jax.Array:
        return in_batch_softmax_loss(scores, users[:1], movies[:1], jnp.ones(1), jnp.zeros(3))

    def with_hit(scores: jax.Array) -> jax.Array:
        weights = jnp.array([1.0, 1e-12])  # a hit that itself counts for nothing
        return in_batch_softmax_loss(scores, users, movies, weights, jnp.zeros(3))

    assert float(jax.grad(of_first)(SCORES)[0, 2]) > 0.1
    assert float(jax.grad(with_hit)(SCORES)[0, 2]) == pytest.approx(0.0, abs=1e-9)


def test_what_is_no_candidate_is_never_retrieved() -> None:
    users, movies, weights = jnp.array([0]), jnp.array([1]), jnp.ones(1)
    padded = jnp.array([0.0, 0.0, jnp.inf])
    loss, gradient = jax.value_and_grad(in_batch_softmax_loss)(
        SCORES, users, movies, weights, padded
    )
    assert float(loss) == pytest.approx(LOG3 - LOG2, rel=1e-6)
    assert float(gradient[0, 2]) == 0


def test_a_candidate_that_is_in_few_batches_counts_for_those_it_is_not_in() -> None:
    users, movies, weights = jnp.array([0]), jnp.array([0]), jnp.ones(1)
    rare = jnp.log(jnp.array([1.0, 1.0, 0.25]))
    loss = in_batch_softmax_loss(SCORES, users, movies, weights, rare)
    assert float(loss) == pytest.approx(np.log((1 + 2 + 4) / 1), rel=1e-6)


def test_a_user_whose_batch_holds_nothing_but_hits_learns_nothing() -> None:
    users, movies = jnp.array([0, 0, 0]), jnp.array([0, 1, 2])
    loss, gradient = jax.value_and_grad(in_batch_softmax_loss)(
        SCORES, users, movies, jnp.ones(3), jnp.zeros(3)
    )
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(gradient).all()


def test_sampled_softmax_of_everything_is_the_softmax() -> None:
    pairs = jnp.array([0, 0, 1]), jnp.array([1, 2, 0]), jnp.array([1.0, 0.5, 1.5])
    loss = sampled_softmax_loss(SCORES, *pairs, jnp.zeros(3))
    assert float(loss) == pytest.approx(float(softmax_loss(SCORES, *pairs)), rel=1e-6)


def test_a_sampled_candidate_counts_for_those_that_were_not_drawn_and_padding_for_none() -> None:
    users, movies, weights = jnp.array([0, 1]), jnp.array([1, 1]), jnp.array([0.75, 0.25])
    log_counts = jnp.array([LOG3, 0.0, NEVER])
    loss, gradient = jax.value_and_grad(sampled_softmax_loss)(
        SCORES, users, movies, weights, log_counts
    )
    # The first user's normalizer is 3 * 1 + 2, the second's 3 * 1 + 1.
    expected = 0.75 * np.log(5 / 2) + 0.25 * np.log(4 / 1)
    assert float(loss) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(
        gradient, [[0.75 * 3 / 5, -0.75 * 3 / 5, 0], [0.25 * 3 / 4, -0.25 * 3 / 4, 0]], rtol=1e-5
    )
