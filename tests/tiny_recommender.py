"""A recommender of five users and six movies, made without a data set and without training."""

import numpy as np

from deeprec.config import ModelConfig
from deeprec.data.dataset import Dataset
from deeprec.data.profiles import ProfileEncoder
from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, Interactions
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender

FINGERPRINT = "0123456789abcdef" * 4
TITLES = (
    "",
    "Alien (1979)",
    "Brazil (1985)",
    "Casino (1995)",
    "Dune (1984)",
    "Emma (1996)",
    "Fargo",
)
USER_IDS = (0, 1, 2, 3, 5, 8)
MOVIE_IDS = (0, 10, 20, 30, 40, 50, 60)

ENCODINGS = (
    {"name": "user_gender", "kind": "categorical", "values": [1, 0]},
    {"name": "raw_user_age", "kind": "discretized", "boundaries": [25.0, 40.0]},
    {
        "name": "user_gender_X_raw_user_age",
        "kind": "cross",
        "of": ["user_gender", "raw_user_age"],
        "table": [[4, 3, 1], [0, 2, 4]],
    },
    {"name": "user_occupation_label", "kind": "categorical", "values": [17, 21, 18]},
)
"""Men first; younger than 25, than 40, and older; students, writers, technicians and engineers."""

USERS = FeatureTable(
    FeatureSchema(
        (
            Feature(name="user_id", kind="id", vocabulary_size=6),
            Feature(name="user_gender", kind="categorical", vocabulary_size=2),
            Feature(name="raw_user_age", kind="discretized", vocabulary_size=3),
            Feature(name="user_gender_X_raw_user_age", kind="cross", vocabulary_size=5),
            Feature(name="user_occupation_label", kind="categorical", vocabulary_size=3),
        )
    ),
    {
        "user_id": np.arange(6, dtype=np.int32),
        "user_gender": np.array([0, 0, 1, 0, 1, 1], np.int32),
        "raw_user_age": np.array([0, 0, 1, 2, 2, 0], np.int32),
        "user_gender_X_raw_user_age": np.array([0, 4, 2, 1, 4, 0], np.int32),
        "user_occupation_label": np.array([0, 0, 1, 2, 1, 0], np.int32),
    },
)
MOVIES = FeatureTable(
    FeatureSchema(
        (
            Feature(name="movie_id", kind="id", vocabulary_size=7),
            Feature(name="movie_genres", kind="tags", vocabulary_size=4, length=2),
        )
    ),
    {
        "movie_id": np.arange(7, dtype=np.int32),
        "movie_genres": np.array(
            [[0, 0], [1, 0], [1, 2], [2, 0], [3, 1], [3, 0], [0, 0]], np.int32
        ),
    },
)
ROWS = Interactions(
    user_id=np.array([1, 1, 1, 1, 2, 4], np.int32),
    movie_id=np.array([1, 2, 3, 4, 6, 5], np.int32),
    rating=np.array([0.75, 1.0, 0.25, 1.0, 0.5, 0.75], np.float32),
    timestamp=np.array([9, 5, 8, 7, 1, 2], np.uint32),
)
"""User 1 (the first) gave Alien four stars, Brazil five, then Dune five, and Casino two."""


def tiny_dataset(name: str = "movielens/100k") -> Dataset:
    """The data set of these users and movies."""
    return Dataset(
        name=name,
        users=USERS,
        movies=MOVIES,
        user_ids=np.array(USER_IDS, np.int32),
        movie_ids=np.array(MOVIE_IDS, np.int32),
        interactions=ROWS,
        tutorial_order=None,
        titles=TITLES,
        fingerprint=FINGERPRINT,
        source="a test",
        profiles=ProfileEncoder(ENCODINGS),
    )


def tiny_model(seed: int = 1) -> RetrievalModel:
    """A model of it with random weights, and embeddings of two numbers."""
    config = ModelConfig(layer_sizes=(2,), embedding_dimension=4, retrieval_k=3)
    return RetrievalModel.for_tables(USERS, MOVIES, config, seed=seed)


def tiny_recommender() -> Recommender:
    """Random towers, which distinguish every user and every movie."""
    return Recommender.of(tiny_model(), tiny_dataset(), ROWS)
