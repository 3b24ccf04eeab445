"""The towers: shapes, the dense stack, masked means, seeds, saving."""

from pathlib import Path

import keras
import numpy as np
import pytest

from deeprec.config import ModelConfig
from deeprec.data.tables import FeatureTable
from deeprec.model.towers import CandidateModel, MeanEmbedding, QueryModel, tower_parameters


def test_parameters_are_a_table_a_feature_and_a_dense_layer_a_width(users: FeatureTable) -> None:
    tower = QueryModel(users.schema, (6, 5), embedding_dimension=4)
    tables = sum(feature.vocabulary_size for feature in users.schema.features) * 4
    dense = (3 * 4 + 1) * 6 + (6 + 1) * 5
    assert tower.count_params() == tables + dense
    config = ModelConfig(layer_sizes=(6, 5), embedding_dimension=4)
    assert tower_parameters(users.schema, config) == tables + dense
    assert tower(users.columns).shape == (users.rows, 5)


def test_relu_follows_every_layer_but_the_last(users: FeatureTable) -> None:
    tower = QueryModel(users.schema, (64, 64), embedding_dimension=8, seed=1)
    activations = [layer.activation for layer in tower.dense_layers]
    assert activations == [keras.activations.relu, keras.activations.linear]
    assert np.min(tower(users.columns)) < 0


def test_the_mean_embedding_leaves_padding_out() -> None:
    layer = MeanEmbedding(5, 3)
    layer.build((None, 4))
    table = np.asarray(layer.embedding.embeddings)
    means = layer(np.array([[1, 3, 0, 0], [2, 2, 4, 0], [0, 0, 0, 0]], np.int32))
    expected = [(table[1] + table[3]) / 2, (2 * table[2] + table[4]) / 3, np.zeros(3)]
    np.testing.assert_allclose(means, expected, rtol=1e-6)


def test_one_seed_gives_one_tower_and_different_layers(users: FeatureTable) -> None:
    first, again, other = (
        QueryModel(users.schema, (8, 8, 8), embedding_dimension=8, seed=seed).get_weights()
        for seed in (5, 5, 6)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[5], first[7]), "two dense layers of one shape"


def test_names_the_schema_lacks_are_ignored(users: FeatureTable) -> None:
    tower = QueryModel(users.schema, (8,), embedding_dimension=4)
    extra = {**users.columns, "movie_id": np.zeros(users.rows, np.int32)}
    np.testing.assert_array_equal(tower(extra), tower(users.columns))


def test_a_tower_needs_a_layer(users: FeatureTable) -> None:
    with pytest.raises(ValueError, match="at least one layer"):
        QueryModel(users.schema, ())


@pytest.mark.parametrize("kind", [QueryModel, CandidateModel])
def test_a_tower_is_saved_and_loaded(
    kind: type[QueryModel], movies: FeatureTable, tmp_path: Path
) -> None:
    tower = kind(movies.schema, (16, 8), embedding_dimension=4, seed=3)
    tower.save(tmp_path / "tower.keras")
    loaded = keras.saving.load_model(tmp_path / "tower.keras", safe_mode=True)
    assert type(loaded) is kind
    np.testing.assert_array_equal(loaded(movies.columns), tower(movies.columns))
