"""Star-schema data of any size from a fixed seed, with the long tails of MovieLens 20M and 25M.

Movies: the weight of the movie of rank r (from 1) of n is ``(r + 40) ** -1.05 * exp(-7 r / n)``, a
Zipf-Mandelbrot power law with a cut-off. With 20 million ratings of 27,000 movies the most
rated movie has 0.31 % of all ratings, the median movie 35 ratings and the tenth of the
movies that is rated most 84 % of them.
(MovieLens: 0.34 % in 20M, 0.33 % in 25M; the median 18 in 20M.)

Users: each has 20 ratings, MovieLens's minimum, where the total allows, and the rest is shared
in proportion to log-normal weights, to at most a third of the movies: median 64, mean 145, most
9,000 ratings in 20 million of 138,000 users. (MovieLens 20M: 68, 144 and 9,254.)

No pair of user and movie occurs twice: those drawn twice are drawn again.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, Interactions

LEAST_RATINGS = 20
TITLE_TOKENS = 10_000
TITLE_LENGTH = 16
GENRES = 20
GENRE_LENGTH = 6
_CHUNK = 1 << 22

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much there is of everything; ids are from 1 to ``users`` and to ``movies``."""

    ratings: int
    users: int = 138_000
    movies: int = 27_000

    def __post_init__(self) -> None:
        if not self.users <= self.ratings <= self.users * self.movies // 4:
            raise ValueError(
                f"ratings must be at least one a user and at most a quarter of all pairs "
                f"but got {self}"
            )


def make_users(size: Size) -> FeatureTable:
    """The user table: nothing but the id, as in MovieLens 20M."""
    schema = FeatureSchema((Feature(name="user_id", kind="id", vocabulary_size=size.users + 1),))
    return FeatureTable(schema, {"user_id": np.arange(size.users + 1, dtype=np.int32)})


def make_movies(size: Size, seed: int = 0) -> FeatureTable:
    """The movie table: id, title tokens and genres."""
    rng = np.random.default_rng([seed, 1])
    rows = size.movies + 1
    features = (
        Feature(name="movie_id", kind="id", vocabulary_size=rows),
        Feature(name="movie_title", kind="text", vocabulary_size=TITLE_TOKENS, length=TITLE_LENGTH),
        Feature(name="movie_genres", kind="tags", vocabulary_size=GENRES + 1, length=GENRE_LENGTH),
    )
    # Words of titles follow Zipf's law; most titles have two to five of them.
    tokens = np.minimum(rng.zipf(1.3, (rows, TITLE_LENGTH)), TITLE_TOKENS - 1)
    lengths = np.clip(1 + rng.poisson(2.5, rows), 1, TITLE_LENGTH)
    genres = rng.integers(1, GENRES + 1, (rows, GENRE_LENGTH))
    counts = np.clip(1 + rng.poisson(1.0, rows), 1, GENRE_LENGTH)
    columns = {
        "movie_id": np.arange(rows, dtype=np.int32),
        "movie_title": _first(tokens, lengths),
        "movie_genres": _first(genres, counts),
    }
    return FeatureTable(FeatureSchema(features), columns)


def make_ratings(size: Size, seed: int = 0) -> Interactions:
    """The ratings, in random order: five levels from 0 to 1 that user and movie partly explain."""
    rng = np.random.default_rng([seed, 2])
    counts = ratings_of_users(size, rng)
    keys = _distinct_pairs(size, counts, rng)
    rng.shuffle(keys)
    user_id = (keys // size.movies + 1).astype(np.int32)
    movie_id = (keys % size.movies + 1).astype(np.int32)
    del keys
    return Interactions(
        user_id=user_id,
        movie_id=movie_id,
        rating=_ratings(size, user_id, movie_id, rng),
        timestamp=np.arange(size.ratings, dtype=np.uint32),
    )


def movie_weights(movies: int) -> npt.NDArray[np.float64]:
    """How likely each movie is rated, most popular first; they sum to one."""
    ranks = np.arange(1, movies + 1)
    weights = (ranks + 40.0) ** -1.05 * np.exp(-7 * ranks / movies)
    return weights / weights.sum()


def ratings_of_users(size: Size, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How many ratings each user has; they sum to ``size.ratings``."""
    least = min(LEAST_RATINGS, size.ratings // size.users)
    spare = size.ratings - least * size.users
    weights = rng.lognormal(sigma=1.45, size=size.users)
    most = size.movies // 3  # as in MovieLens 20M, where the busiest rated a third of all movies
    counts = np.zeros(size.users, np.int64)
    while spare > 0:
        room = np.maximum(most - least - counts, 0)
        share = weights * (room > 0)
        drawn = rng.multinomial(spare, share / share.sum())
        counts += np.minimum(drawn, room)
        spare -= int(np.minimum(drawn, room).sum())
    return counts + least


def _distinct_pairs(size: Size, counts: npt.NDArray[np.int64], rng: np.random.Generator) -> Keys:
    """``user * movies + movie`` for every rating, from 0: as many for each user as its count."""
    weights = movie_weights(size.movies)
    movie_of_rank = rng.permutation(size.movies)
    missing = counts.copy()
    keys = np.empty(0, np.int64)
    while missing.any():
        users = np.repeat(np.arange(size.users, dtype=np.int64), missing)
        users *= size.movies
        users += movie_of_rank[_draw(np.cumsum(weights), len(users), rng)]
        keys = _merged(keys, users)
        missing = counts - np.bincount(keys // size.movies, minlength=size.users)
        # Who draws again has seen the popular movies: look further down each time.
        weights **= 0.9
    return keys


def _draw(
    cumulative: npt.NDArray[np.float64], count: int, rng: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Ranks, in chunks: the uniform numbers of 20 million ratings never exist at once."""
    ranks = np.empty(count, np.int32)
    for start in range(0, count, _CHUNK):
        part = ranks[start : start + _CHUNK]
        part[:] = np.searchsorted(cumulative, rng.random(len(part)) * cumulative[-1])
    return ranks


def _merged(keys: Keys, new: Keys) -> Keys:
    """All keys, sorted, each once. ``keys`` are sorted: a stable sort then merges, in one pass."""
    new.sort()
    merged = np.concatenate([keys, new])
    merged.sort(kind="stable")
    first = np.empty(len(merged), bool)
    first[:1] = True
    np.not_equal(merged[1:], merged[:-1], out=first[1:])
    return merged[first]


def _ratings(
    size: Size,
    user_id: npt.NDArray[np.int32],
    movie_id: npt.NDArray[np.int32],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    of_users = rng.standard_normal(size.users + 1, np.float32) * 0.12
    of_movies = rng.standard_normal(size.movies + 1, np.float32) * 0.15 + 0.62
    ratings = rng.standard_normal(len(user_id), np.float32)
    ratings *= 0.2
    ratings += of_users[user_id]
    ratings += of_movies[movie_id]
    np.rint(ratings * 4, out=ratings)
    ratings /= 4
    return np.clip(ratings, 0, 1, out=ratings)


def _first(values: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The first values of each row, the rest 0; row 0 is reserved and has none."""
    lengths = np.where(np.arange(len(values)) == 0, 0, lengths)
    present = np.arange(values.shape[1]) < lengths[:, None]
    return np.where(present, values, 0).astype(np.int32)
