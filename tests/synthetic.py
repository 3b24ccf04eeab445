"""Small tables of the shape of MovieLens, made from a fixed seed."""

from dataclasses import replace
from typing import Any

import numpy as np

from deeprec.data.dataset import Dataset
from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, Interactions

USERS = 31
MOVIES = 147

USER_SCHEMA = FeatureSchema(
    (
        Feature(name="user_id", kind="id", vocabulary_size=USERS),
        Feature(name="user_gender", kind="categorical", vocabulary_size=2),
        Feature(name="raw_user_age", kind="discretized", vocabulary_size=10),
    )
)
MOVIE_SCHEMA = FeatureSchema(
    (
        Feature(name="movie_id", kind="id", vocabulary_size=MOVIES),
        Feature(name="movie_title", kind="text", vocabulary_size=100, length=4),
        Feature(name="movie_genres", kind="tags", vocabulary_size=6, length=3),
    )
)


def random_table(schema: FeatureSchema, rng: np.random.Generator) -> FeatureTable:
    rows = schema.id_feature.vocabulary_size
    columns: dict[str, Any] = {}
    for feature in schema.features:
        shape = (rows, *feature.row_shape)
        if feature.kind == "vector":
            columns[feature.name] = rng.random(shape, np.float32)
            continue
        column = rng.integers(0, feature.vocabulary_size, shape, dtype=np.int32)
        column[0] = 0
        columns[feature.name] = column
    columns[schema.id_feature.name] = np.arange(rows, dtype=np.int32)
    return FeatureTable(schema, columns)


def random_interactions(rows: int, seed: int) -> Interactions:
    """Ratings of random users and movies, a quarter of them five stars."""
    rng = np.random.default_rng(seed)
    return Interactions(
        user_id=rng.integers(1, USERS, rows, dtype=np.int32),
        movie_id=rng.integers(1, MOVIES, rows, dtype=np.int32),
        rating=rng.choice(np.array([0.0, 0.5, 0.75, 1.0], np.float32), rows),
        timestamp=np.arange(rows, dtype=np.uint32),
    )


def small_dataset(
    users: FeatureTable, movies: FeatureTable, interactions: Interactions, **changes: Any
) -> Dataset:
    made = Dataset(
        name="movielens/100k",
        users=users,
        movies=movies,
        interactions=interactions,
        user_ids=np.arange(users.rows, dtype=np.int32),
        movie_ids=np.arange(movies.rows, dtype=np.int32),
        tutorial_order=np.arange(len(interactions)),
        titles=("",) * movies.rows,
        fingerprint="0" * 64,
        source="made up",
    )
    return replace(made, **changes)


def interactions_of(*triples: tuple[int, int, float]) -> Interactions:
    """Ratings written out: user, movie, rating in 0..1."""
    users, movies, ratings = zip(*triples, strict=True)
    return Interactions(
        user_id=np.array(users, np.int32),
        movie_id=np.array(movies, np.int32),
        rating=np.array(ratings, np.float32),
        timestamp=np.zeros(len(triples), np.uint32),
    )
