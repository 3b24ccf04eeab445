"""People the training did not know: two towers that read histories, beside EASE and item kNN.

``python -m tests.experiments unknown_users STUDY history=256 dropout=0.5 ... [--epochs 60]
[--seeds 5]`` holds out a fifth of the users whole, another one with each of five seeds, so that
everyone is held out once (strong generalization, Marlin 2004). Of what a held-out user liked 80 %
at random are given, and the rest is to be found: all items are ranked but those given. Another
tenth of the users validates: the settings of the references, and with ``--validate`` nothing else
is measured. What is liked teaches, all of it alike, as it does the references. The towers are those
of the first configuration that the study file enqueues, with the changes, and without the ids of
users: history and features describe one, those of ``--features`` where they are named.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.dataset import Dataset
from deeprec.data.history import LIKED_FROM
from deeprec.data.tables import FeatureSchema, FeatureTable, FloatArray, IntArray, Interactions
from deeprec.evaluation.item_models import gram_matrix, neighbor_weights, rated_matrix
from deeprec.evaluation.ranking import Score, model_scores
from deeprec.evaluation.references import CHOICES
from deeprec.training.device_data import DeviceData
from deeprec.training.lists import Asked, ByUser, best_lists, of_users
from deeprec.training.train import train_new
from search.analysis.noise import Estimate, compare
from search.config.reading import load_spec
from search.config.space import enqueued_configurations
from search.config.study import StudySpec
from search.execution.data import load_data
from search.records.results import UserResults

METRICS = (Metric("ndcg", 10), Metric("recall", 100))
TENTHS, FEWEST, GIVEN = 10, 5, 0.8
FROM_ROWS = Callable[[Any], FloatArray]
"""Maps what some users have, sparse ``[users, items]``, to scores."""


def main(arguments: list[str]) -> None:
    """Prints each metric of the towers and the references, and how the towers differ."""
    parser = argparse.ArgumentParser(prog="unknown_users", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5, choices=range(1, 6))
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--features", type=lambda text: text.split(","))
    given = parser.parse_args(arguments)
    spec = load_spec(given.study, folders=[Path("studies")])
    dataset = load_data(spec, None).dataset
    if given.features is not None:
        users, movies = (_with(t, given.features) for t in (dataset.users, dataset.movies))
        dataset = replace(dataset, users=users, movies=movies)
    changes = dict(_change(each) for each in given.changes) | {"epochs": given.epochs}
    found: dict[str, list[list[ByUser]]] = {}
    for seed in range(given.seeds):
        fold = Fold.of(dataset, seed)
        part = fold.validation if given.validate else fold.test
        towers = {"towers": _towers(spec, dataset, fold, changes, seed)}
        for name, score in (towers | ({} if given.validate else _references(fold))).items():
            measured = part.measure(score)
            found.setdefault(name, []).append(measured)
            _say(f"  seed {seed}, {name}: {_means([measured])}")
    for name, by_seed in found.items():
        _say(f"{name}: {_means(by_seed)}")
    for place, metric in enumerate(METRICS):
        of = {name: _estimate([each[place] for each in seeds]) for name, seeds in found.items()}
        for name, difference in compare(of.pop("towers"), of).items():
            _say(f"{metric}, towers above {name}: {difference.words}")


@dataclass(frozen=True)
class Part:
    """Some users who are held out: what is given of them, and what that is asked for."""

    given: Interactions
    asked: Asked

    def measure(self, score: Score) -> list[ByUser]:
        """Each metric of a scorer, user by user."""

        def of_block(block: slice) -> Any:
            scores = np.zeros((self.asked.block, self.asked.items), np.float32)
            scores[: block.stop - block.start] = score(self.asked.users[block])
            return jnp.asarray(scores)

        lists, _ = best_lists(of_block, self.asked, max(metric.k for metric in METRICS))
        return [of_users(metric, self.asked.judged(lists)) for metric in METRICS]


@dataclass(frozen=True)
class Fold:
    """Rows of some users to learn from, and other users who are held out whole."""

    train: Interactions
    validation: Part
    test: Part
    shape: tuple[int, int]

    @classmethod
    def of(cls, dataset: Dataset, seed: int) -> Self:
        """Another fifth of the users tests for each seed, and the tenth after it validates."""
        rows, reserved = dataset.interactions, dataset.reserved
        rows = rows[(rows.user_id >= reserved) & (rows.movie_id >= reserved)]
        pairs = rows.user_id.astype(np.int64) * dataset.movies.rows + rows.movie_id
        rows = rows[np.unique(pairs, return_index=True)[1]]  # a split may part repeated ones
        liked = rows[rows.rating >= LIKED_FROM]
        counts = np.bincount(liked.user_id)
        users = np.random.default_rng(0).permutation(np.flatnonzero(counts >= FEWEST))
        tenths = np.array_split(users, TENTHS)
        tests = np.concatenate(tenths[2 * seed : 2 * seed + 2])
        validates = tenths[(2 * seed + 2) % TENTHS]
        train = liked[~np.isin(liked.user_id, [*tests, *validates])]
        train = replace(train, rating=np.ones_like(train.rating))
        # Every row has the same chance to be given, whichever the fold.
        order = np.random.default_rng(1).permutation(len(liked))
        place = np.empty(len(liked), np.int64)
        by_user = order[np.argsort(liked.user_id[order], kind="stable")]
        place[by_user] = np.arange(len(liked)) - np.repeat(np.cumsum(counts) - counts, counts)
        is_given = place < np.rint(GIVEN * counts[liked.user_id])

        def part(held_out: IntArray) -> Part:
            own = np.isin(liked.user_id, held_out)
            given, asked = liked[own & is_given], liked[own & ~is_given]
            asked = replace(asked, relevant=np.ones(len(asked), bool))
            items = dataset.movies.rows
            return Part(given, Asked.of(asked, given, items, reserved=reserved))

        shape = (dataset.users.rows, dataset.movies.rows)
        return cls(train, part(validates), part(tests), shape)


def _towers(
    spec: StudySpec, dataset: Dataset, fold: Fold, changes: Mapping[str, Any], seed: int
) -> Score:
    """Towers that are trained on the users of a fold, without their ids."""
    start = next(iter(enqueued_configurations(spec).values()))
    names, of_training = ({each.name for each in fields(c)} for c in (ModelConfig, TrainingConfig))
    model = {"history": 256} | {n: v for n, v in changes.items() if n in names}
    training = {name: value for name, value in changes.items() if name in of_training}
    own = [item for item in changes.items() if item[0] not in names | of_training]
    model["own"] = tuple(sorted(own))
    config = replace(start.training_config(spec, seed=seed), metrics=(), **training)
    users = _without_ids(dataset.users, dataset.reserved - 1)
    data = replace(dataset.training(fold.train), users=users)
    trained, _ = train_new(replace(start.model_config(), **model), DeviceData(data), config)
    known = fold.validation.given.followed_by(fold.test.given)
    return model_scores(trained, users, dataset.movies, known)


def _with(table: FeatureTable, names: Sequence[str]) -> FeatureTable:
    """A table without its features but for the id and those that are named."""
    features = [f for f in table.schema.features if f.kind == "id" or f.name in names]
    columns = {feature.name: table.columns[feature.name] for feature in features}
    return FeatureTable(FeatureSchema(tuple(features)), columns)


def _without_ids(users: FeatureTable, unknown: int) -> FeatureTable:
    """The users, of whom each has the id of an unknown one."""
    own = users.schema.id_feature
    features = (
        replace(f, vocabulary_size=unknown + 1) if f == own else f for f in users.schema.features
    )
    ids = np.full(users.rows, unknown, np.int32)
    return FeatureTable(FeatureSchema(tuple(features)), {**users.columns, own.name: ids})


def _references(fold: Fold) -> dict[str, Score]:
    """EASE and item kNN, each with the settings that are best for the users who validate."""
    rated = rated_matrix(fold.train, *fold.shape)
    known = fold.validation.given.followed_by(fold.test.given)
    given = rated_matrix(known, *fold.shape)

    def of(made: list[FROM_ROWS]) -> Score:
        scores = [_of_given(one, given) for one in made]
        return max(scores, key=lambda score: fold.validation.measure(score)[0].mean)

    near = [neighbor_weights(rated, **each) for each in CHOICES["item_knn"]]  # type: ignore[arg-type]
    return {
        "EASE": of([ease(rated, each["penalty"]) for each in CHOICES["ease"]]),
        "item kNN": of([_by_neighbors(one) for one in near]),
    }


def _of_given(score: FROM_ROWS, given: Any) -> Score:
    return lambda users: score(given[users])


def _by_neighbors(weights: Any) -> FROM_ROWS:
    return lambda rows: (rows @ weights).toarray()


def ease(rated: Any, penalty: float) -> FROM_ROWS:
    """EASE for users it has not seen, ``x B``, by the inverse ``K`` of ``X X' + penalty * I``.

    ``x P = (x - x X' K X) / penalty`` and ``diag(P) = (1 - x_j' K x_j) / penalty``, see
    :func:`deeprec.evaluation.item_models.ease_scores`.
    """
    rated = rated[np.diff(rated.indptr) > 0]
    gram = gram_matrix(rated) + penalty * np.eye(rated.shape[0], dtype=np.float32)
    kernel = scipy.linalg.inv(gram)
    by_item = rated.T.tocsr()
    own = np.concatenate(
        [
            np.asarray(some.multiply(some @ kernel).sum(axis=1)).ravel()
            for some in (
                by_item[start : start + 4096] for start in range(0, by_item.shape[0], 4096)
            )
        ]
    )

    def score(rows: Any) -> FloatArray:
        explained = (by_item @ ((rows @ rated.T).toarray() @ kernel).T).T
        dense = rows.toarray()
        return np.asarray(dense - (dense - explained) / (1 - own), np.float32)

    return score


def _estimate(by_seed: list[ByUser]) -> Estimate:
    """All users, each held out once."""
    totals, weights = (np.concatenate(each) for each in zip(*by_seed, strict=True))
    users = UserResults(totals, weights)
    return Estimate(users.mean, None, users)


def _means(by_seed: list[list[ByUser]]) -> str:
    estimates = [_estimate([each[place] for each in by_seed]) for place in range(len(METRICS))]
    return ", ".join(f"{m} {e.mean:.4f}" for m, e in zip(METRICS, estimates, strict=True))


def _change(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name == "layer_sizes":
        return name, tuple(map(int, value.split(",")))
    if name in ("towers", "loss", "optimizer"):
        return name, value
    return name, int(value) if value.isdecimal() else float(value)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
