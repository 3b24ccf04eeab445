"""Features for the two towers, computed from the raw tables with Keras.

What is learned (bins, vocabularies) is learned from the rows that the release names, in their
order: for MovieLens 100K as in the tutorial, from every rating. What is computed is computed
once a user and once a movie. Everything runs in ``tf.data`` on the CPU, whatever backend Keras
uses; it is imported when something is computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, FloatArray, IntArray
from deeprec.errors import DataError
from deeprec.sources.movielens import RawTables
from deeprec.sources.quiet_tensorflow import import_tensorflow
from deeprec.sources.releases import Release

MAX_TITLE_TOKENS = 10_000
TITLE_LENGTH = 16

ADAPT_BATCH = 32
"""Rows a step while Keras learns, where the recipe of no feature depends on it."""

CROSS = "_X_"
"""Between the names of two features in the name of their cross, as FeatureSpace puts it."""

MOVIE_RECIPE: Mapping[str, Mapping[str, Any]] = {
    "movie_title": {"kind": "text", "max_tokens": MAX_TITLE_TOKENS, "length": TITLE_LENGTH},
    "movie_genres": {"kind": "tags", "offset": 1},
}
"""The features of a movie: the same for every release."""


def recipe_of(release: Release) -> Mapping[str, Any]:
    """What is computed and how, as plain values: part of the fingerprint of prepared data."""
    lowest, highest = release.stars
    rescaled = {"scale": 1 / (highest - lowest), "offset": -lowest / (highest - lowest)}
    return {**release.user_recipe, **MOVIE_RECIPE, "user_rating": rescaled}


@dataclass(frozen=True)
class Numbering:
    """The row that each published id is given: 1, 2, 3, ... in ascending order of the ids.

    Attributes:
        ids: int32 ``[rows + 1]``, the published id of each row; the reserved row 0 has id 0.
    """

    ids: IntArray

    @classmethod
    def of(cls, what: str, ids: IntArray) -> Self:
        """Numbers the ids that occur; ``what`` they name is for the error.

        Raises:
            DataError: an id is not positive.
        """
        distinct = np.unique(ids)
        if len(distinct) and distinct[0] < 1:
            raise DataError(f"ids of {what}s must be positive but got {distinct[0]}")
        return cls(np.concatenate([[0], distinct]).astype(np.int32))

    @property
    def rows(self) -> int:
        """The number of rows, row 0 included."""
        return len(self.ids)

    @property
    def is_identity(self) -> bool:
        """Whether every id is its own row."""
        return bool(self.ids[-1] == self.rows - 1)

    def rows_of(self, what: str, ids: IntArray) -> IntArray:
        """The rows of the given ids; ``what`` they name is for the error.

        Raises:
            DataError: an id has no row.
        """
        rows = np.searchsorted(self.ids, ids).astype(np.int32)
        known = (self.ids[np.minimum(rows, self.rows - 1)] == ids) & (ids > 0)
        if not known.all():
            raise DataError(f"{what} {ids[~known][0]} is rated but not in the table of {what}s")
        return rows


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """All features of a data set.

    Attributes:
        users: ``[users + 1]`` rows; row 0 is reserved and all zeros.
        movies: ``[movies + 1]`` rows; row 0 has an empty title and no genre.
        user_numbers: from published user ids to rows of ``users``.
        movie_numbers: from published movie ids to rows of ``movies``.
        encodings: how the features of a user follow from its columns, as plain values, see
            :class:`deeprec.data.profiles.ProfileEncoder`; none where there are no columns.
    """

    users: FeatureTable
    movies: FeatureTable
    user_numbers: Numbering
    movie_numbers: Numbering
    encodings: Sequence[Mapping[str, Any]]


def build_features(tables: RawTables, release: Release) -> FeatureSet:
    """Computes the features; takes about 7 seconds for MovieLens 100K, most of it learning.

    Every movie of the table is a candidate, also one without a rating: which movies have been
    rated is known from the ratings alone, the test rows among them.

    Raises:
        DataError: a user's features differ from one of its ratings to another, or two movies
            have one id.
    """
    users = Numbering.of("user", tables.user_id)
    ids = np.array([movie.id for movie in tables.movies], np.int32)
    movies = Numbering.of("movie", ids)
    if movies.rows != len(tables.movies) + 1:
        raise DataError("ids of movies must be distinct but are not")
    user_table, encodings = _user_table(tables, release, users)
    return FeatureSet(
        users=user_table,
        movies=_movie_table(tables, movies.rows, movies.rows_of("movie", ids)),
        user_numbers=users,
        movie_numbers=movies,
        encodings=encodings,
    )


def rescaled(stars: FloatArray, release: Release) -> FloatArray:
    """Ratings as labels: float32 ``[n]``, the lowest possible is 0 and the highest is 1."""
    lowest, highest = np.float32(release.stars[0]), np.float32(release.stars[1])
    return (stars - lowest) / (highest - lowest)


def _user_table(
    tables: RawTables, release: Release, users: Numbering
) -> tuple[FeatureTable, list[dict[str, Any]]]:
    features = [Feature(name="user_id", kind="id", vocabulary_size=users.rows)]
    columns = {"user_id": np.arange(users.rows, dtype=np.int32)}
    if not release.user_recipe:
        return FeatureTable(FeatureSchema(tuple(features)), columns), []
    rows = users.rows_of("user", tables.user_id)
    by_user = {
        name: one_row_each(name, rows, values)[1:] for name, values in tables.user_columns.items()
    }
    space = _feature_space(release)
    _adapt(space, tables.user_columns if release.learned_from == "rating" else by_user, release)
    computed = _transform(space, by_user, rows=users.rows - 1)
    encodings = _encodings(space, release, by_user)
    for encoding, (name, recipe) in zip(encodings, release.user_recipe.items(), strict=True):
        with_reserved_row = np.concatenate([[0], computed[name][:, 0]])
        columns[name] = with_reserved_row.astype(np.int32)
        size = recipe["buckets"] if recipe["kind"] == "cross" else len(_one_of_each(encoding))
        features.append(Feature(name=name, kind=recipe["kind"], vocabulary_size=size))
    return FeatureTable(FeatureSchema(tuple(features)), columns), encodings


def _feature_space(release: Release) -> Any:
    """Keras's preprocessing of a user's columns, as the recipe says, nothing learned yet."""
    import keras

    space = keras.utils.FeatureSpace
    features, crosses = {}, []
    for name, recipe in release.user_recipe.items():
        match recipe["kind"]:
            case "discretized":
                features[name] = space.float_discretized(num_bins=recipe["bins"], output_mode="int")
            case "categorical":
                features[name] = space.integer_categorical(
                    num_oov_indices=recipe["oov"], output_mode="int"
                )
            case "cross":
                of, buckets = tuple(name.split(CROSS)), recipe["buckets"]
                crosses.append(space.cross(of, crossing_dim=buckets, output_mode="int"))
    return space(features=features, crosses=crosses, output_mode="dict")


def _adapt(space: Any, columns: Mapping[str, npt.NDArray[Any]], release: Release) -> None:
    batches = [recipe.get("adapt_batch") for recipe in release.user_recipe.values()]
    batch = next(filter(None, batches), ADAPT_BATCH)
    data = import_tensorflow().data.Dataset
    space.adapt(data.from_tensor_slices(dict(columns)).batch(batch))


def _encodings(
    space: Any, release: Release, by_user: Mapping[str, npt.NDArray[Any]]
) -> list[dict[str, Any]]:
    """What was learned, as plain values from which NumPy computes the same features."""
    encodings: dict[str, dict[str, Any]] = {}
    for name, recipe in release.user_recipe.items():
        learned: dict[str, Any]
        if recipe["kind"] == "discretized":
            learned = {"boundaries": [float(b) for b in space.preprocessors[name].bin_boundaries]}
        elif recipe["kind"] == "categorical":
            vocabulary = space.preprocessors[name].get_vocabulary()
            learned = {"values": [int(value) for value in vocabulary]}
        else:
            one, other = name.split(CROSS)
            table = _cross_table(space, name, encodings[one], encodings[other], by_user)
            learned = {"of": [one, other], "table": table}
        encodings[name] = {"name": name, "kind": recipe["kind"], **learned}
    return list(encodings.values())


def _cross_table(
    space: Any,
    name: str,
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    by_user: Mapping[str, npt.NDArray[Any]],
) -> list[list[int]]:
    """The hash of every pair of values of two features: found by hashing one of each kind."""
    first, second = _one_of_each(one), _one_of_each(other)
    pairs = len(first) * len(second)
    columns = {column: np.repeat(values[:1], pairs) for column, values in by_user.items()}
    columns[one["name"]] = np.repeat(first, len(second)).astype(by_user[one["name"]].dtype)
    columns[other["name"]] = np.tile(second, len(first)).astype(by_user[other["name"]].dtype)
    hashed = _transform(space, columns, rows=pairs)[name][:, 0]
    return hashed.reshape(len(first), len(second)).astype(int).tolist()


def _one_of_each(encoding: Mapping[str, Any]) -> npt.NDArray[Any]:
    """A raw value for each value of a feature, in order."""
    if encoding["kind"] == "categorical":
        return np.array(encoding["values"])
    boundaries = encoding["boundaries"]  # each is the lowest value of the bin above it
    return np.array([boundaries[0] - 1, *boundaries])


def _transform(layer: Any, inputs: Any, *, rows: int) -> Any:
    """What a preprocessing layer makes of all rows, as one batch, in NumPy arrays."""
    data = import_tensorflow().data.Dataset
    return next(data.from_tensor_slices(inputs).batch(rows).map(layer).as_numpy_iterator())


def one_row_each(name: str, rows: IntArray, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Reduces what every rating says of its user to what is so of every user.

    ``rows`` is the user of each rating, from 1; the result ``[largest row + 1]`` is of the values'
    type, and 0 for rows that do not occur. ``name`` says what it is, for the error.

    Raises:
        DataError: a user has several values.
    """
    column = np.zeros(int(rows.max()) + 1, dtype=values.dtype)
    column[rows] = values
    if (differing := column[rows] != values).any():
        user = int(rows[differing][0])
        raise DataError(f"{name} must depend on the user alone but user {user} has several values")
    return column


def _movie_table(tables: RawTables, count: int, rows: IntArray) -> FeatureTable:
    """The features of the movies, each in its row."""
    tokens, vocabulary_size = _title_tokens([movie.title for movie in tables.movies])
    titles = np.zeros((count, TITLE_LENGTH), np.int32)
    titles[rows] = tokens
    most = max([1, *(len(movie.genres) for movie in tables.movies)])
    genres = np.zeros((count, most), np.int32)
    for row, movie in zip(rows, tables.movies, strict=True):
        genres[row, : len(movie.genres)] = np.array(movie.genres, np.int32) + 1
    schema = FeatureSchema(
        (
            Feature(name="movie_id", kind="id", vocabulary_size=count),
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
                length=most,
            ),
        )
    )
    ids = np.arange(count, dtype=np.int32)
    return FeatureTable(schema, {"movie_id": ids, "movie_title": titles, "movie_genres": genres})


def _title_tokens(titles: list[str]) -> tuple[npt.NDArray[np.int64], int]:
    """The tokens of every title, ``[titles, TITLE_LENGTH]``, and the size of the vocabulary."""
    import keras

    vectorizer = keras.layers.TextVectorization(
        max_tokens=MAX_TITLE_TOKENS, output_sequence_length=TITLE_LENGTH, dtype="int32"
    )
    data = import_tensorflow().data.Dataset
    vectorizer.adapt(data.from_tensor_slices(titles).batch(len(titles)))
    return _transform(vectorizer, titles, rows=len(titles)), int(vectorizer.vocabulary_size())
