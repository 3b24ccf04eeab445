"""The towers as pure functions compute what the Keras models compute."""

import jax.numpy as jnp
import numpy as np
import pytest

from deeprec.config import ModelConfig
from deeprec.data.tables import Feature, FeatureKind, FeatureSchema, FeatureTable
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.towers import QueryModel
from deeprec.training.device_tables import SMALL_VOCABULARY, places_of, rows_of, take_rows
from deeprec.training.forward import TowerShape, assign_weights, embed, weights_of
from tests.synthetic import random_table

ROWS = 23
ID = Feature(name="id", kind="id", vocabulary_size=ROWS)


def feature(kind: FeatureKind, vocabulary_size: int, length: int = 1) -> Feature:
    name = f"{kind} of {length} of {vocabulary_size}"
    return Feature(name=name, kind=kind, vocabulary_size=vocabulary_size, length=length)


SINGLE = (
    feature("categorical", 2),
    feature("discretized", SMALL_VOCABULARY),
    feature("cross", SMALL_VOCABULARY + 1),
    feature("vector", 5),
)
SEVERAL = (
    feature("tags", SMALL_VOCABULARY, 5),
    feature("text", SMALL_VOCABULARY, 1),
    feature("tags", SMALL_VOCABULARY + 1, 1),
    feature("text", 300, 4),
)
HISTORIES = (Feature(name="history", kind="history", vocabulary_size=9, length=6), ID)


@pytest.mark.parametrize(
    ("features", "depth", "normalize"),
    [
        ((ID,), 1, False),
        ((*SINGLE, ID, *SEVERAL), 3, True),
        ((*SEVERAL, *SINGLE, ID), 2, False),
        (HISTORIES, 2, True),
    ],
    ids=["the id alone", "every kind, normalized", "every kind, in another order", "a history"],
)
def test_a_tower_of_any_schema_equals_its_keras_model(
    features: tuple[Feature, ...], depth: int, normalize: bool
) -> None:
    schema, seed = FeatureSchema(features), 7
    table = random_table(schema, np.random.default_rng(seed))
    tower = QueryModel(
        schema, (6, 5, 4)[:depth], embedding_dimension=3, normalize=normalize, seed=seed
    )
    for layer in tower.dense_layers:  # a bias of zero would hide one that is not added
        layer.bias.assign(np.random.default_rng(seed).normal(size=layer.bias.shape))
    weights = [variable.value for variable in tower.trainable_variables]
    expected = np.asarray(tower(table.columns))

    shape = TowerShape(schema, normalize)
    everything = embed(shape, weights, rows_of(table))
    np.testing.assert_allclose(everything, expected, atol=1e-6)

    some = np.array([5, 0, 19, 7], np.int32)
    taken = rows_of(table).take(jnp.asarray(some), places_of(table, some))
    np.testing.assert_allclose(embed(shape, weights, taken), expected[some], atol=1e-6)
    drawn = rows_of(table).take(jnp.asarray(some), None)
    np.testing.assert_allclose(embed(shape, weights, drawn), expected[some], atol=1e-6)


def test_embeddings_of_the_id_may_be_looked_up_already(users: FeatureTable) -> None:
    tower = QueryModel(users.schema, (6, 4), embedding_dimension=3, seed=1)
    weights = [variable.value for variable in tower.trainable_variables]
    ids = jnp.array([3, 1, 30])
    rows = rows_of(users).take(ids, {})
    looked_up = [take_rows(weights[0], ids), *weights[1:]]
    shape = TowerShape.of(tower)
    np.testing.assert_array_equal(
        embed(shape, looked_up, rows._replace(ids=None)), embed(shape, weights, rows)
    )


def test_weights_go_back_where_they_came_from(users: FeatureTable, movies: FeatureTable) -> None:
    config = ModelConfig(layer_sizes=(6, 4), embedding_dimension=3, retrieval_k=5)
    source, target = (
        RetrievalModel.for_tables(users, movies, config, seed=seed) for seed in (1, 2)
    )
    assign_weights(target, weights_of(source))
    for mine, yours in zip(source.trainable_variables, target.trainable_variables, strict=True):
        np.testing.assert_array_equal(mine.value, yours.value)


def test_weights_of_another_backend_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    tower = object()  # whatever it is, it is not looked at
    with pytest.raises(RuntimeError, match="needs Keras on JAX but got torch; set KERAS_BACKEND"):
        weights_of(tower)  # type: ignore[arg-type]
