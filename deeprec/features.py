"""Features for the two towers, computed from the raw tables with Keras.

What is learned (age bins, vocabularies) is learned as the tutorial learns it, from the same rows in
the same order; the results are then reduced to one row a user and one row a movie. Everything
runs in ``tf.data`` on the CPU, whatever backend Keras uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from deeprec.errors import DataError
from deeprec.movielens import RawTables
from deeprec.quiet_tensorflow import import_tensorflow
from deeprec.tables import Feature, FeatureSchema, FeatureTable, FloatArray, IntArray

AGE_BINS = 10
CROSS_BUCKETS = 20
MAX_TITLE_TOKENS = 10_000
TITLE_LENGTH = 16

ADAPT_BATCH = 32
"""Rows a step while Keras learns. The age bins depend on it, as the quantiles are approximate;
32 is what Keras takes by itself for unbatched data, and so what the tutorial's bins come from."""

CROSS_NAME = "user_gender_X_raw_user_age"

RECIPE: Mapping[str, Any] = {
    "raw_user_age": {"kind": "discretized", "bins": AGE_BINS, "adapt_batch": ADAPT_BATCH},
    "user_gender": {"kind": "categorical", "oov": 0},
    "user_occupation_label": {"kind": "categorical", "oov": 0},
    CROSS_NAME: {"kind": "cross", "buckets": CROSS_BUCKETS},
    "movie_title": {"kind": "text", "max_tokens": MAX_TITLE_TOKENS, "length": TITLE_LENGTH},
    "movie_genres": {"kind": "tags", "offset": 1},
    "user_rating": {"scale": 1 / 4, "offset": -1 / 4},
}
"""What is computed and how, as plain values: part of the fingerprint of prepared data."""


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """All features of a data set.

    Attributes:
        users: ``[users + 1]`` rows; row 0 belongs to nobody and is all zeros.
        movies: ``[movies + 1]`` rows; row 0 has an empty title and no genre.
        rating: float32 ``[n]``, the label, rescaled to 0..1.
    """

    users: FeatureTable
    movies: FeatureTable
    rating: FloatArray


def build_features(tables: RawTables) -> FeatureSet:
    """Computes the features; takes about 7 seconds for MovieLens 100K, most of it learning.

    Raises:
        DataError: a user's features differ from one of its ratings to another.
    """
    space = _rating_feature_space()
    inputs = {name: getattr(tables, name) for name in space.features}
    space.adapt(import_tensorflow().data.Dataset.from_tensor_slices(inputs).batch(ADAPT_BATCH))
    by_rating = _transform(space, inputs, rows=len(tables))
    return FeatureSet(
        users=_user_table(tables, space, by_rating),
        movies=_movie_table(tables),
        rating=by_rating["user_rating"].astype(np.float32)[:, 0],
    )


def _rating_feature_space() -> Any:
    space = keras.utils.FeatureSpace
    return space(
        features={
            "raw_user_age": space.float_discretized(num_bins=AGE_BINS, output_mode="int"),
            "user_gender": space.integer_categorical(num_oov_indices=0, output_mode="int"),
            "user_occupation_label": space.integer_categorical(
                num_oov_indices=0, output_mode="int"
            ),
            "user_rating": space.float_rescaled(**RECIPE["user_rating"]),
        },
        crosses=[
            space.cross(
                ("user_gender", "raw_user_age"), crossing_dim=CROSS_BUCKETS, output_mode="int"
            )
        ],
        output_mode="dict",
    )


def _transform(layer: Any, inputs: Any, *, rows: int) -> Any:
    """What a preprocessing layer makes of all rows, as one batch, in NumPy arrays."""
    data = import_tensorflow().data.Dataset
    return next(data.from_tensor_slices(inputs).batch(rows).map(layer).as_numpy_iterator())


def _user_table(
    tables: RawTables, space: Any, by_rating: Mapping[str, npt.NDArray[Any]]
) -> FeatureTable:
    rows = tables.user_count + 1
    cross_buckets = space.crossers[CROSS_NAME].num_bins
    schema = FeatureSchema(
        (
            Feature(name="user_id", kind="id", vocabulary_size=rows),
            _categorical("user_gender", space),
            Feature(
                name="raw_user_age",
                kind="discretized",
                vocabulary_size=len(space.preprocessors["raw_user_age"].bin_boundaries) + 1,
            ),
            Feature(name=CROSS_NAME, kind="cross", vocabulary_size=cross_buckets),
            _categorical("user_occupation_label", space),
        )
    )
    columns = {
        feature.name: one_row_each(feature.name, tables.user_id, by_rating[feature.name][:, 0])
        for feature in schema.features
        if feature.kind != "id"
    }
    return FeatureTable(schema, {"user_id": np.arange(rows, dtype=np.int32), **columns})


def _categorical(name: str, space: Any) -> Feature:
    size = int(space.preprocessors[name].vocabulary_size())
    return Feature(name=name, kind="categorical", vocabulary_size=size)


def one_row_each(name: str, ids: IntArray, values: npt.NDArray[Any]) -> IntArray:
    """Reduces a feature of every rating to a feature of every user.

    Args:
        name: the feature, for the error.
        ids: int ``[n]``, the user of each rating, from 1.
        values: int ``[n]``, the feature of each rating.

    Returns:
        int32 ``[largest id + 1]``; 0 for ids that do not occur.

    Raises:
        DataError: a user has several values.
    """
    column = np.zeros(int(ids.max()) + 1, dtype=np.int32)
    column[ids] = values
    if (differing := column[ids] != values).any():
        user = int(ids[differing][0])
        raise DataError(f"{name} must depend on the user alone but user {user} has several values")
    return column


def _movie_table(tables: RawTables) -> FeatureTable:
    rows = tables.movie_count + 1
    ids = np.array([movie.id for movie in tables.movies])
    tokens, vocabulary_size = _title_tokens([movie.title for movie in tables.movies])
    titles = np.zeros((rows, TITLE_LENGTH), dtype=np.int32)
    titles[ids] = tokens
    genres = _padded_genres(tables)
    schema = FeatureSchema(
        (
            Feature(name="movie_id", kind="id", vocabulary_size=rows),
            Feature(
                name="movie_title",
                kind="text",
                vocabulary_size=vocabulary_size,
                length=TITLE_LENGTH,
            ),
            Feature(
                name="movie_genres",
                kind="tags",
                vocabulary_size=len(tables.genre_names) + 1,
                length=genres.shape[1],
            ),
        )
    )
    columns = {"movie_id": np.arange(rows, dtype=np.int32)}
    return FeatureTable(schema, {**columns, "movie_title": titles, "movie_genres": genres})


def _title_tokens(titles: list[str]) -> tuple[npt.NDArray[np.int64], int]:
    """The tokens of every title, ``[titles, TITLE_LENGTH]``, and the size of the vocabulary."""
    vectorizer = keras.layers.TextVectorization(
        max_tokens=MAX_TITLE_TOKENS, output_sequence_length=TITLE_LENGTH, dtype="int32"
    )
    data = import_tensorflow().data.Dataset
    vectorizer.adapt(data.from_tensor_slices(titles).batch(len(titles)))
    return _transform(vectorizer, titles, rows=len(titles)), int(vectorizer.vocabulary_size())


def _padded_genres(tables: RawTables) -> IntArray:
    """Genre + 1 of every movie, ``[movies + 1, most genres of a movie]``, padded with 0."""
    most = max(len(movie.genres) for movie in tables.movies)
    genres = np.zeros((tables.movie_count + 1, most), dtype=np.int32)
    for movie in tables.movies:
        genres[movie.id, : len(movie.genres)] = np.array(movie.genres, dtype=np.int32) + 1
    return genres
