"""Training data on the device: made once, used by every training of a search."""

import math
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from deeprec.config import LossName, TrainingConfig, loss_part
from deeprec.data.dataset import TrainingData
from deeprec.data.history import table_for
from deeprec.data.tables import FloatArray, Interactions
from deeprec.training.batches import Batches, batched, batched_by_user
from deeprec.training.device_tables import Rows
from deeprec.training.forward import TowerProgram
from deeprec.training.lists import Asked
from deeprec.training.sampling import DrawPlan, SampledBatches, sampled_batches
from deeprec.training.validation import EvaluationRows

T = TypeVar("T")


class DeviceData:
    """The tables, the batches and the validation rows, if any, of some training data."""

    def __init__(self, data: TrainingData) -> None:
        self.source = data
        self._kept: tuple[Hashable, Any] | None = None
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What follows from the data alone: made when it is first asked for, and kept."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def tables(self, towers: tuple[TowerProgram, TowerProgram]) -> tuple[Rows, Rows]:
        """The users and the movies as the programs of both towers read them."""
        query, candidate = towers

        def made() -> tuple[Rows, Rows]:
            users = table_for(query.schema, self.source.users, self.source.train)
            return query.rows_of(users), candidate.rows_of(self.source.movies)

        return self.once((type(query), query.schema), made)

    @cached_property
    def validation(self) -> EvaluationRows | None:
        """The validation rows on the device, if there are any."""
        rows = self.source.validation
        if rows is None:
            return None
        return EvaluationRows.of(rows, self.source.users, self.source.movies)

    @cached_property
    def asked(self) -> Asked:
        """What the validation rows ask for; there must be some."""
        data = self.source
        assert data.validation is not None
        return Asked.of(
            data.validation,
            data.train,
            data.movies.rows,
            reserved=data.reserved,
            repeats=data.repeats,
            features=data.movies.columns,
        )

    def batches(self, config: TrainingConfig) -> Batches:
        """The training rows in batches for a loss; those that were last asked for are kept."""
        data, loss = self.source, config.loss
        cut = batched_by_user if loss == "softmax" or loss_part(loss) else batched
        weighed_by = () if math.isinf(config.half_life) else (config.half_life, config.rating_power)
        return self._last_asked_for(
            (loss, config.batch_size, weighed_by),
            lambda: cut(
                faded(self._train_rows(loss), config),
                config.batch_size,
                data.users,
                data.movies,
                reserved=data.reserved,
            ),
        )

    def sampled_batches(self, plan: DrawPlan, config: TrainingConfig) -> SampledBatches:
        """The same for ``sampled_softmax``."""
        data, size, power = self.source, config.batch_size, config.rating_power
        return self._last_asked_for(
            (plan, size, power, config.half_life),
            lambda: sampled_batches(
                plan, faded(data.train, config), size, data.users, data.movies, power
            ),
        )

    def _last_asked_for(self, key: Hashable, make: Callable[[], T]) -> T:
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # frees the old ones before the new ones are made
            self._kept = (key, make())
        kept: T = self._kept[1]
        return kept

    @property
    def mean_squared_rating(self) -> float:
        """The rating loss of a model that scores everything 0, over the training rows; above 0."""
        ratings = self.source.train.rating.astype(np.float64)
        return float(np.maximum(np.mean(np.square(ratings)), np.finfo(np.float32).eps))

    def log_probabilities(self, batch_size: int) -> FloatArray:
        """The logarithm of the chance of every movie to occur in a batch: float32 ``[movies]``.

        It is for the in-batch softmax; ``inf`` for the reserved rows.
        """
        rows = self._train_rows("in_batch_softmax")
        shares = np.bincount(rows.movie_id, minlength=self.source.movies.rows) / len(rows)
        occurs = -np.expm1(batch_size * np.log1p(-shares))
        logs = np.log(np.maximum(occurs, np.finfo(np.float32).tiny))
        logs[: self.source.reserved] = np.inf
        return logs.astype(np.float32)

    def _train_rows(self, loss: LossName | str) -> Interactions:
        """The rows a loss learns from: a rating of 0 says nothing to a softmax."""
        train = self.source.train
        return train[train.rating > 0] if loss == "in_batch_softmax" else train


def faded(rows: Interactions, config: TrainingConfig) -> Interactions:
    """Rows whose ratings, to the configuration's power, weigh half after each of its half-lives.

    A softmax weighs a row by its rating to that power; so its age is a part of it.
    """
    if math.isinf(config.half_life):
        return rows
    left = 0.5 ** (rows.days_before_the_last / (config.half_life * config.rating_power))
    return replace(rows, rating=(rows.rating * left).astype(np.float32))
