"""Evaluation: the loss of interactions and how well they are retrieved, over all candidates.

What depends on the user alone is computed once a user, not once a rating; the scores of liked
rows, or of users, over the catalogue are computed block by block, and never all exist at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.config import Metric, TrainingConfig
from deeprec.data.tables import FeatureTable, IntArray, Interactions
from deeprec.errors import NonFiniteError
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_tables import Rows, places_of, take_rows
from deeprec.training.forward import TowerProgram, Weights, dot_products, programs_of, weights_of
from deeprec.training.lists import Asked, best_lists, measured
from deeprec.training.losses import rating_loss, surprises
from deeprec.training.metrics import LikedRows, means_over_liked, ranks
from deeprec.training.programs import QUICK_TO_COMPILE, compiled


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model reaches on some rows.

    The loss is the mean squared error over all rows, or for a ranking loss the mean cross-entropy
    of a softmax over all candidates, over the relevant rows.
    """

    loss: float
    values: Mapping[Metric, float]
    """In 0..1."""

    @property
    def value(self) -> float:
        """Of the first metric."""
        return next(iter(self.values.values()))

    def named(self, split: str) -> dict[str, float]:
        """The metrics under their names in tracking, such as ``val_loss`` for split ``val``."""
        values = {f"{split}_{metric.key}": value for metric, value in self.values.items()}
        return {f"{split}_loss": self.loss, **values}


class EvaluationRows(NamedTuple):
    """Interactions to evaluate on, on the device.

    Attributes:
        users: int32 ``[users]``, the distinct user ids.
        places: int ``[n]`` by feature, the places of the values of these users.
        positions: int32 ``[n]``, where in ``users`` each interaction's user is.
        movies: int32 ``[n]``, ids.
        ratings: float32 ``[n]``, in 0..1.
        liked: those of five stars, in blocks.
    """

    users: jax.Array
    places: Mapping[str, jax.Array]
    positions: jax.Array
    movies: jax.Array
    ratings: jax.Array
    liked: LikedRows

    @classmethod
    def of(cls, interactions: Interactions, users: FeatureTable, movies: FeatureTable) -> Self:
        """Prepares interactions once, for many evaluations; all movies are candidates."""
        distinct, inverse = np.unique(interactions.user_id, return_inverse=True)
        positions = inverse.astype(np.int32)
        places = places_of(users, distinct)
        ids = interactions.movie_id
        liked = LikedRows.of(positions, ids, interactions.liked_once, movies.rows)
        rows = cls(distinct, places, positions, ids, interactions.rating, liked)  # type: ignore[arg-type]
        return jax.device_put(rows)


class Evaluator:
    """Evaluates weights of one architecture on some rows.

    Args:
        model: of this architecture.
        users: on the device.
        movies: on the device; all are candidates.
        rows: the interactions.
        split: what these rows are called in an error: ``val`` or ``test``.
        config: says which loss, at which temperature.
        k: how many candidates are retrieved; the model's ``retrieval_k`` when not given.
    """

    def __init__(
        self,
        model: RetrievalModel,
        users: Rows,
        movies: Rows,
        rows: EvaluationRows,
        *,
        split: str,
        config: TrainingConfig,
        k: int | None = None,
    ) -> None:
        self.split = split
        self.plan = _Plan(
            *programs_of(model),
            config.loss == "rating",
            k or model.retrieval_k,
        )
        self.on_device = (np.float32(config.temperature), users, movies, rows)

    def evaluate(self, weights: Weights, *, epoch: int) -> Evaluation:
        """Evaluates the weights; what comes back from the device comes in one transfer.

        Raises:
            NonFiniteError: an embedding or a score is NaN or infinite.
        """
        arguments = (weights, *self.on_device)
        program = compiled(_evaluate, self.plan, *arguments, options=QUICK_TO_COMPILE)
        loss, accuracy, finite = np.asarray(program(*arguments)).tolist()
        if not finite:
            raise NonFiniteError(f"{self.split}_score", epoch)
        return Evaluation(loss=loss, values={Metric("top_accuracy", self.plan.k): accuracy})


class _Plan(NamedTuple):
    """What the program depends on, beside the shapes of its arguments."""

    query: TowerProgram
    candidate: TowerProgram
    rates: bool
    k: int


def _evaluate(
    plan: _Plan,
    weights: Weights,
    temperature: jax.Array,
    users: Rows,
    movies: Rows,
    rows: EvaluationRows,
) -> jax.Array:
    """Loss, accuracy, and 1 if all is finite, else 0: float ``[3]``."""
    queries = plan.query.embed(weights.query, users.take(rows.users, rows.places))
    candidates = plan.candidate.embed(weights.candidate, movies)

    def measure(scores: jax.Array, movie_ids: jax.Array) -> tuple[jax.Array, ...]:
        hits = ranks(scores, movie_ids) < plan.k
        if plan.rates:
            return (hits,)
        return hits, surprises(scores / temperature, movie_ids)

    means, finite = means_over_liked(
        lambda of: take_rows(queries, of) @ candidates.T, rows.liked, measure
    )
    if plan.rates:
        own = dot_products(take_rows(queries, rows.positions), take_rows(candidates, rows.movies))
        loss = rating_loss(own, rows.ratings, len(own))
    else:
        loss = means[1]
    for embeddings in (queries, candidates):
        finite &= jnp.isfinite(embeddings).all()
    return jnp.stack([loss, means[0], (finite & jnp.isfinite(loss)).astype(loss.dtype)])


def evaluate_model(
    model: RetrievalModel,
    users: FeatureTable,
    movies: FeatureTable,
    interactions: Interactions,
    *,
    split: str,
    config: TrainingConfig,
) -> Evaluation:
    """Evaluates the weights that a training of ``config`` left in the model, once."""
    rows = EvaluationRows.of(interactions, users, movies)
    query, candidate = programs_of(model)
    tables = (query.rows_of(users), candidate.rows_of(movies))
    evaluator = Evaluator(model, *tables, rows, split=split, config=config)
    return evaluator.evaluate(weights_of(model), epoch=config.epochs)


class ListEvaluator:
    """Evaluates weights of one architecture by the lists that they recommend.

    Args:
        model: of this architecture.
        users: on the device.
        movies: on the device; all are candidates but for the reserved rows.
        rows: the interactions, on the device.
        asked: what these rows ask for.
        split: what the rows are called in an error: ``val`` or ``test``.
        config: says which loss, at which temperature, and which metrics.
    """

    def __init__(
        self,
        model: RetrievalModel,
        users: Rows,
        movies: Rows,
        rows: EvaluationRows,
        asked: Asked,
        *,
        split: str,
        config: TrainingConfig,
    ) -> None:
        self.split = split
        self.asked = asked
        self.metrics = config.metrics
        self.plan = _Plan(
            *programs_of(model),
            config.loss == "rating",
            max(metric.k for metric in config.metrics),
        )
        self.temperature = np.float32(config.temperature)
        self.on_device = (users, movies, rows)
        self.position = np.searchsorted(np.asarray(rows.users), asked.users).astype(np.int32)

    def evaluate(self, weights: Weights, *, epoch: int) -> Evaluation:
        """Evaluates the weights.

        Raises:
            NonFiniteError: an embedding or a score is NaN or infinite.
        """
        arguments = (weights, *self.on_device)
        embedded = compiled(_embedded, self.plan, *arguments, options=QUICK_TO_COMPILE)
        queries, candidates, rating = embedded(*arguments)
        surprise: list[np.ndarray] = []

        def score(block: slice) -> jax.Array:
            own, counts = self._relevant(block)
            given = (queries, candidates, self._users(block), own, self.temperature)
            scores, sums = compiled(_block_scores, None, *given)(*given)
            surprise.append(np.asarray(sums)[:counts])
            return scores

        lists, finite = best_lists(score, self.asked, self.plan.k)
        of_rows = np.concatenate([*surprise, np.zeros(0, np.float32)])
        loss = float(rating) if self.plan.rates else float(of_rows.mean() if len(of_rows) else 0.0)
        if not finite or not np.isfinite(loss):
            raise NonFiniteError(f"{self.split}_score", epoch)
        values = measured(lists, self.asked, self.metrics)
        return Evaluation(loss=loss, values={each: values[each.key] for each in self.metrics})

    def _users(self, block: slice) -> IntArray:
        """Where the embeddings of a block's users are; a whole block, whatever is left."""
        found = np.zeros(self.asked.block, np.int32)
        found[: block.stop - block.start] = self.position[block]
        return found

    def _relevant(self, block: slice) -> tuple[tuple[IntArray, IntArray], int]:
        """The users, in the block, and the items of the pairs that a block's users like, padded."""
        items = self.asked.items
        ends = np.searchsorted(self.asked.relevant, [block.start * items, block.stop * items])
        pairs = self.asked.relevant[slice(*ends)]
        padding = (0, self.asked.most_relevant - len(pairs))
        of_user = (pairs // items - block.start).astype(np.int32)
        own = (np.pad(of_user, padding), np.pad((pairs % items).astype(np.int32), padding))
        return own, len(pairs)


def _embedded(
    plan: _Plan, weights: Weights, users: Rows, movies: Rows, rows: EvaluationRows
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The embeddings of the users of some rows and of all candidates, and the rating loss."""
    queries = plan.query.embed(weights.query, users.take(rows.users, rows.places))
    candidates = plan.candidate.embed(weights.candidate, movies)
    loss = jnp.zeros(())
    if plan.rates:
        own = dot_products(take_rows(queries, rows.positions), take_rows(candidates, rows.movies))
        loss = rating_loss(own, rows.ratings, len(own))
    return queries, candidates, loss


def _block_scores(
    _plan: None,
    queries: jax.Array,
    candidates: jax.Array,
    users: jax.Array,
    relevant: tuple[jax.Array, jax.Array],
    temperature: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The scores of some users, and for each relevant pair how much a softmax is surprised."""
    scores = take_rows(queries, users) @ candidates.T
    of_user, items = relevant
    normalizers = jax.nn.logsumexp(scores / temperature, axis=-1)
    return scores, normalizers[of_user] - scores[of_user, items] / temperature
