"""Small tables of the shape of MovieLens, for every unit test."""

import numpy as np
import pytest

from deeprec.data.dataset import TrainingData
from deeprec.data.tables import FeatureTable, Interactions
from tests.synthetic import MOVIE_SCHEMA, USER_SCHEMA, random_interactions, random_table


@pytest.fixture(scope="session")
def users() -> FeatureTable:
    return random_table(USER_SCHEMA, np.random.default_rng(1))


@pytest.fixture(scope="session")
def movies() -> FeatureTable:
    return random_table(MOVIE_SCHEMA, np.random.default_rng(2))


@pytest.fixture(scope="session")
def train_rows() -> Interactions:
    return random_interactions(230, seed=3)


@pytest.fixture(scope="session")
def validation_rows() -> Interactions:
    return random_interactions(90, seed=4)


@pytest.fixture(scope="session")
def training_data(
    users: FeatureTable,
    movies: FeatureTable,
    train_rows: Interactions,
    validation_rows: Interactions,
) -> TrainingData:
    return TrainingData(users=users, movies=movies, train=train_rows, validation=validation_rows)
