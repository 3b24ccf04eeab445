"""One epoch as a pure function: the program that :func:`deeprec.training.train` compiles."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.config import LossName, OptimizerName, loss_part
from deeprec.data.history import history_of
from deeprec.model.own import OwnTower
from deeprec.model.towers import Tower
from deeprec.parts import Part
from deeprec.training.batches import UNKNOWN_ROW, Batches, Side
from deeprec.training.device_tables import Rows, places_in, shown_in, take_rows, thinned
from deeprec.training.forward import (
    DroppedIds,
    TowerProgram,
    TowerShape,
    TowerWeights,
    Weights,
    dot_products,
    program_of,
)
from deeprec.training.losses import (
    NEVER,
    in_batch_softmax_loss,
    rating_loss,
    rating_weights,
    sampled_softmax_loss,
    softmax_loss,
)
from deeprec.training.optimizers import OPTIMIZERS, Optimizer, Slots, update_rows
from deeprec.training.sampling import DrawPlan, SampledBatches, UserBatches, drawn

Sides = tuple[Side, Side]
Tables = tuple[Rows, Rows]

ROWS_PAY_ABOVE = 4
"""With more rows in a table than this, for one that a batch uses, only those used are updated.

Looking rows up and putting them back costs more a row than passing over the table: with two and
three rows for one it takes 14 % longer on a (32,) model, and 2 % less on a (128, 64, 32) one."""


class TowerPlan(NamedTuple):
    """What an epoch's program knows of a tower, beside the shapes of its weights.

    With ``updates_rows`` a step updates only those rows of the id's table that it used.
    """

    program: TowerProgram
    updates_rows: bool

    @classmethod
    def of(cls, tower: Tower | OwnTower, used: int | None, optimizer: Optimizer) -> Self:
        """The plan that is cheapest for steps that use so many rows; None: the whole table."""
        program, rows = program_of(tower), tower.schema.id_feature.vocabulary_size
        pays = optimizer.zero_changes_nothing and rows > ROWS_PAY_ABOVE * (used or rows)
        return cls(program, pays and isinstance(program, TowerShape))

    @property
    def id_position(self) -> int:
        """Where the table of the id is among the weights."""
        schema = self.program.schema
        return schema.features.index(schema.id_feature)

    def rows_of_ids(self, side: Side) -> jax.Array:
        """Where the ids of a batch are in their table.

        What is drawn may be what training does not know: it has no row there, and gets that of
        padding, as it is trained as unknown.
        """
        assert side.ids is not None
        if side.places is not None:
            return side.ids
        return jnp.where(side.ids < self.program.schema.id_feature.vocabulary_size, side.ids, 0)


class EpochPlan(NamedTuple):
    """What an epoch's program is decided by, beside the shapes of its arguments.

    ``draws`` is of ``sampled_softmax`` alone; ``has_unknown`` is whether both tables have a row for
    unknown users and items. Where they have none, only ids of users are dropped. ``hides_shown`` is
    whether a ranking loss asks for nothing that a history shows, see
    :func:`~deeprec.training.device_tables.shown_in`.
    """

    loss: LossName | str
    optimizer: OptimizerName
    towers: tuple[TowerPlan, TowerPlan]
    averages: bool
    drops_ids: bool
    has_unknown: bool
    hides_shown: bool
    draws: DrawPlan | None


class Knobs(NamedTuple):
    """The numbers of a training, see ``TrainingConfig``: changing one needs no new program.

    Each is a scalar but for ``log_probabilities``, float ``[candidates]``, of a candidate to occur
    in a batch; None but for the loss that needs it. ``own`` are those of a loss that is a part.
    """

    rate: jax.Array
    temperature: jax.Array
    dropout: jax.Array
    l2: jax.Array
    rating_power: jax.Array
    averaging: jax.Array
    id_dropout: jax.Array
    history_dropout: jax.Array
    seed: jax.Array
    log_probabilities: jax.Array | None
    own: Mapping[str, jax.Array]


class TrainingState(NamedTuple):
    """All that changes in a training.

    ``slots`` are the optimizer's, for each weight that is trained; ``steps`` counts those done,
    int32 ``[]``; ``averages`` are of the weights after the epochs, None where nothing is averaged.
    """

    weights: Weights
    slots: tuple[list[Slots], list[Slots]]
    steps: jax.Array
    averages: Weights | None

    @property
    def results(self) -> Weights:
        """The weights that count: the averages, where there are any."""
        return self.weights if self.averages is None else self.averages

    @classmethod
    def start(
        cls,
        weights: Weights,
        optimizer: Optimizer,
        *,
        averages: bool,
        trained: Weights | None = None,
    ) -> Self:
        """The given weights, of which some are trained or all, and a fresh optimizer."""

        def of_tower(tower: TowerWeights) -> list[Slots]:
            return [
                tuple(np.full(weight.shape, value, np.float32) for value in optimizer.initial)  # type: ignore[misc]
                for weight in tower
            ]

        query, candidate = map(of_tower, trained or weights)
        slots = (query, candidate)
        slots, steps = jax.device_put((slots, np.int32(0)))
        return cls(weights, slots, steps, weights if averages else None)


def run_epoch(
    plan: EpochPlan,
    state: TrainingState,
    knobs: Knobs,
    tables: Tables,
    batches: Batches | SampledBatches,
) -> tuple[TrainingState, jax.Array]:
    """Trains on all batches, one after another.

    Returns:
        The state after the epoch, and the loss of every batch before its step, ``[steps]``.
    """
    optimizer = OPTIMIZERS[plan.optimizer]
    by_step: Any = batches.by_step if isinstance(batches, SampledBatches) else batches

    def step(
        state: TrainingState, of_step: Batches | UserBatches
    ) -> tuple[TrainingState, jax.Array]:
        number = state.steps + 1
        batch = _learned_from(plan, knobs, number, batches, of_step)
        sides = (batch.users, batch.movies)
        used = Weights(*map(_used, plan.towers, state.weights, sides))
        (loss, others), gradients = jax.value_and_grad(_loss, has_aux=True)(
            used, state.weights, plan, knobs, tables, batch, number
        )
        update = partial(_updated, optimizer, knobs.rate, number)
        towers = map(update, plan.towers, state.weights, state.slots, gradients, others, sides)
        weights, slots = zip(*towers, strict=True)
        return TrainingState(Weights(*weights), slots, number, None), loss

    after, losses = jax.lax.scan(step, state._replace(averages=None), by_step)
    if state.averages is None:
        return after, losses
    return after._replace(averages=_averaged(state.averages, after, knobs, len(losses))), losses


def _learned_from(
    plan: EpochPlan,
    knobs: Knobs,
    number: jax.Array,
    batches: Batches | SampledBatches,
    of_step: Batches | UserBatches,
) -> Batches:
    """The batch of a step: as it was cut, or what is drawn for it."""
    if isinstance(of_step, Batches):
        return of_step
    assert isinstance(batches, SampledBatches)
    assert plan.draws is not None
    key = jax.random.fold_in(jax.random.key(knobs.seed + 2), number)
    return drawn(plan.draws, of_step, batches.drawable, key)


def _averaged(averages: Weights, after: TrainingState, knobs: Knobs, steps: int) -> Weights:
    """The averages with one more epoch in them: its own share, the rest to those before it."""
    epoch = after.steps // steps
    share = (1 - knobs.averaging) / (1 - knobs.averaging**epoch)

    def averaged(old: jax.Array, new: jax.Array) -> jax.Array:
        return old + share * (new - old) if jnp.issubdtype(new.dtype, jnp.floating) else new

    return jax.tree.map(averaged, averages, after.weights)


def _used(tower: TowerPlan, weights: TowerWeights, side: Side) -> TowerWeights:
    """The weights that a step differentiates: of a large id table only the rows it uses."""
    used = list(tower.program.trained(weights))
    if tower.updates_rows:
        assert side.ids is not None, "a table that is used whole is updated whole"
        used[tower.id_position] = take_rows(used[tower.id_position], tower.rows_of_ids(side))
    return used


def _loss(
    used: Weights,
    weights: Weights,
    plan: EpochPlan,
    knobs: Knobs,
    tables: Tables,
    batch: Batches,
    number: jax.Array,
) -> tuple[jax.Array, tuple[TowerWeights, ...]]:
    """The loss, and what the step leaves of the weights of both towers that are not trained."""
    sides = (batch.users, batch.movies)
    dropped: tuple[DroppedIds | None, ...] = (None, None)
    if plan.drops_ids:
        query, candidate = _dropped_ids(knobs, number, tables, sides)
        dropped = (query, candidate) if plan.has_unknown else (query._replace(unknown=None), None)
    rows = [*map(_rows_used, plan.towers, tables, sides)]
    if reads_history := history_of(plan.towers[0].program.schema):
        key = jax.random.fold_in(jax.random.key(knobs.seed + 3), number)
        rows[0] = rows[0].with_histories(partial(thinned, share=knobs.history_dropout, key=key))
    embedded = map(_embed_used, plan.towers, used, weights, rows, dropped)
    (queries, candidates), others = zip(*embedded, strict=True)
    if plan.loss == "rating":
        scores = dot_products(
            take_rows(queries, batch.users.positions), take_rows(candidates, batch.movies.positions)
        )
        return rating_loss(scores, batch.ratings, batch.sizes), others
    of_queries, of_candidates = jax.random.split(
        jax.random.fold_in(jax.random.key(knobs.seed), number)
    )
    queries = _dropped(queries, knobs.dropout, of_queries)
    candidates = _dropped(candidates, knobs.dropout, of_candidates)
    scores = queries @ candidates.T / knobs.temperature
    if reads_history and plan.hides_shown:
        places = places_in(batch.movies.ids, reads_history.vocabulary_size, scores.shape[1])
        shown = shown_in(rows[0].histories, places, scores.shape[1])
        scores = jnp.where(shown, NEVER, scores)
        is_shown = shown[batch.users.positions, batch.movies.positions]
        batch = batch._replace(ratings=jnp.where(is_shown, 0.0, batch.ratings))
    penalty = sum(jnp.sum(jnp.square(weight)) for weight in jax.tree.leaves(used))
    return ranking_loss(plan.loss)(scores, batch, knobs) + knobs.l2 * penalty, others


def _softmax(scores: jax.Array, batch: Batches, knobs: Knobs) -> jax.Array:
    weights = rating_weights(batch.ratings, knobs.rating_power)
    return softmax_loss(scores, batch.users.positions, batch.movies.positions, weights)


def _in_batch_softmax(scores: jax.Array, batch: Batches, knobs: Knobs) -> jax.Array:
    weights = rating_weights(batch.ratings, knobs.rating_power)
    assert batch.movies.ids is not None
    assert knobs.log_probabilities is not None
    log_probabilities = take_rows(knobs.log_probabilities, batch.movies.ids)
    positions = (batch.users.positions, batch.movies.positions)
    return in_batch_softmax_loss(scores, *positions, weights, log_probabilities)


def _sampled_softmax(scores: jax.Array, batch: Batches, _knobs: Knobs) -> jax.Array:
    assert batch.log_counts is not None
    positions = (batch.users.positions, batch.movies.positions)
    return sampled_softmax_loss(scores, *positions, batch.ratings, batch.log_counts)


RankingLoss = Callable[[jax.Array, Batches, Knobs], jax.Array]

RANKING_LOSSES: Mapping[str, RankingLoss] = {
    "softmax": _softmax,
    "in_batch_softmax": _in_batch_softmax,
    "sampled_softmax": _sampled_softmax,
}
"""From the scores of a batch's users (rows) for its candidates."""


def ranking_loss(name: str) -> RankingLoss:
    """One of ours, or a part, which is given the arguments of :func:`softmax_loss`."""
    part = loss_part(name)
    return RANKING_LOSSES[name] if part is None else partial(_own_loss, part)


def _own_loss(part: Part, scores: jax.Array, batch: Batches, knobs: Knobs) -> jax.Array:
    weights = rating_weights(batch.ratings, knobs.rating_power)
    positions = (batch.users.positions, batch.movies.positions)
    return jnp.asarray(part.call(scores, *positions, weights, **knobs.own))


def _dropped(embeddings: jax.Array, share: jax.Array, key: jax.Array) -> jax.Array:
    """Without some of the elements, the others larger: the expected score stays the same."""
    kept = jax.random.bernoulli(key, 1 - share, embeddings.shape)
    return jnp.where(kept, embeddings / (1 - share), 0.0)


def _dropped_ids(
    knobs: Knobs, number: jax.Array, tables: Tables, sides: Sides
) -> tuple[DroppedIds, DroppedIds]:
    """Which rows of both sides are trained as unknown: others in every step."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(knobs.seed + 1), number))

    def of_side(key: jax.Array, table: Rows, side: Side) -> DroppedIds:
        ids = table.ids if side.ids is None else side.ids
        assert ids is not None
        mask = jax.random.bernoulli(key, knobs.id_dropout, ids.shape)
        if side.places is None:  # what is drawn may be what training does not know
            assert table.ids is not None
            mask |= take_rows(table.ids, ids) != ids
        return DroppedIds(mask, UNKNOWN_ROW if side.ids is None else 0)

    query, candidate = map(of_side, keys, tables, sides)
    return query, candidate


def _rows_used(tower: TowerPlan, table: Rows, side: Side) -> Rows:
    """The rows of a table that a step uses."""
    if side.ids is None:
        return table
    rows = table.take(side.ids, side.places)
    return rows._replace(ids=None) if tower.updates_rows else rows  # type: ignore[arg-type]


def _embed_used(
    tower: TowerPlan,
    used: TowerWeights,
    weights: TowerWeights,
    rows: Rows,
    dropped: DroppedIds | None,
) -> tuple[jax.Array, TowerWeights]:
    return tower.program.train([*used, *weights[len(used) :]], rows, dropped)


def _updated(
    optimizer: Optimizer,
    rate: jax.Array,
    number: jax.Array,
    tower: TowerPlan,
    weights: TowerWeights,
    slots: list[Slots],
    gradients: TowerWeights,
    others: TowerWeights,
    side: Side,
) -> tuple[TowerWeights, list[Slots]]:
    """The weights and slots of a tower after a step."""
    updated = []
    trained = tower.program.trained(weights)
    for position, of_weight in enumerate(zip(trained, slots, gradients, strict=True)):
        weight, kept, gradient = of_weight
        if tower.updates_rows and position == tower.id_position:
            ids = tower.rows_of_ids(side)
            new = update_rows(optimizer.update, weight, kept, ids, gradient, rate, number)
        else:
            new = optimizer.update(weight, kept, gradient, rate, number)
        updated.append(new)
    new_weights, new_slots = zip(*updated, strict=True)
    return [*new_weights, *others], list(new_slots)
