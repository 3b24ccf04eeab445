"""Small archives in the published formats of the larger MovieLens, and the releases they are."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deeprec.data.dataset import Dataset
from deeprec.sources.archive import FileChecksum
from deeprec.sources.releases import MOVIELENS_1M, MOVIELENS_20M, MOVIELENS_25M, Release

AGES = (1, 18, 25, 35, 45, 50, 56)
"""As MovieLens 1M publishes them: each is the youngest of its range."""


class PublishedMovie(NamedTuple):
    """A line of a movies file; genres as in the file."""

    id: int
    title: str
    genres: tuple[str, ...]


class PublishedUser(NamedTuple):
    """A line of the users file of MovieLens 1M."""

    id: int
    gender: str
    age: int
    occupation: int


class PublishedRating(NamedTuple):
    """A line of a ratings file."""

    user: int
    movie: int
    stars: float
    timestamp: int


@dataclass(frozen=True, kw_only=True)
class Published:
    """An archive, what was written to it, and the release that it is."""

    path: Path
    release: Release  # a real one, but for the checksum of its archive and the counts
    movies: Sequence[PublishedMovie]
    users: Sequence[PublishedUser]
    ratings: Sequence[PublishedRating]


OLDER_MOVIES = (
    PublishedMovie(1, "Toy Story (1995)", ("Animation", "Children's", "Comedy")),
    PublishedMovie(2, "Jumanji (1995)", ("Adventure", "Children's", "Fantasy")),
    PublishedMovie(73, "Misérables, Les (1995)", ("Drama", "Musical")),
    PublishedMovie(3952, "Contender, The (2000)", ("Drama", "Thriller")),
    PublishedMovie(3951, "Nobody Rated This (2000)", ("Drama",)),
)
NEWER_MOVIES = (
    PublishedMovie(1, "Toy Story (1995)", ("Adventure", "Animation", "Children", "Comedy")),
    PublishedMovie(11, "American President, The (1995)", ("Comedy", "Drama", "Romance")),
    PublishedMovie(4, 'Waiting to "Exhale" (1995)', ("Comedy", "Drama", "Romance")),
    PublishedMovie(29, "Cité des enfants perdus, La (1995)", ("Adventure", "IMAX")),
    PublishedMovie(176601, "Black Mirror", ("(no genres listed)",)),
    PublishedMovie(209171, "Жизнь и жизни, 2 (2018)", ("Drama", "Sci-Fi")),
    PublishedMovie(131262, "Nobody Rated This (2015)", ("Horror",)),
)
WHOLE_STARS = (1, 2, 3, 4, 5)
HALF_STARS = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5)


def made_ratings(
    movies: Sequence[PublishedMovie], users: int, stars: Sequence[float], rows: int
) -> list[PublishedRating]:
    """Random ratings of all movies but the last, in the order of the users, as published."""
    rng = np.random.default_rng(7)
    user = np.sort(np.r_[np.arange(users), rng.integers(0, users, rows - users)]) + 1
    movie = [movies[index].id for index in rng.integers(0, len(movies) - 1, rows)]
    given, times = rng.choice(stars, rows), rng.integers(789_652_009, 1_574_327_703, rows)
    lines = zip(user.tolist(), movie, given.tolist(), times.tolist(), strict=True)
    return [PublishedRating(*line) for line in lines]


def write_1m(folder: Path, rows: int) -> Published:
    """Lines of ``::``, in Latin-1."""
    users = [PublishedUser(n, "MF"[n % 3 == 0], AGES[n % 7], n % 21) for n in range(1, 61)]
    ratings = made_ratings(OLDER_MOVIES, len(users), WHOLE_STARS, rows)
    tables: dict[str, list[tuple[object, ...]]] = {
        "movies.dat": [(m.id, m.title, "|".join(m.genres)) for m in OLDER_MOVIES],
        "users.dat": [(*user, "48067") for user in users],
        "ratings.dat": [(r.user, r.movie, int(r.stars), r.timestamp) for r in ratings],
    }
    files = {
        name: "".join("::".join(map(str, line)) + "\n" for line in lines).encode("latin-1")
        for name, lines in tables.items()
    }
    return _published(folder, MOVIELENS_1M, files, OLDER_MOVIES, users, ratings)


def write_csv(folder: Path, release: Release, rows: int, sequels: int = 0) -> Published:
    """Comma-separated values with a header, in UTF-8; of the first movie with so many sequels."""
    more = [
        PublishedMovie(1000 + n, f"Toy Story {n} (1995)", ("Comedy",))
        for n in range(2, sequels + 2)
    ]
    movies = (*more, *NEWER_MOVIES)
    ratings = made_ratings(movies, 60, HALF_STARS, rows)
    files = {
        "movies.csv": _csv(
            ("movieId", "title", "genres"), [(m.id, m.title, "|".join(m.genres)) for m in movies]
        ),
        "ratings.csv": _csv(("userId", "movieId", "rating", "timestamp"), ratings),
    }
    return _published(folder, release, files, movies, (), ratings)


def write_release(name: str, folder: Path, rows: int = 400) -> Published:
    """A small archive of the release of that name."""
    if name == "movielens/1m":
        return write_1m(folder, rows)
    releases = {"movielens/20m": MOVIELENS_20M, "movielens/25m": MOVIELENS_25M}
    return write_csv(folder, releases[name], rows)


def _csv(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _published(
    folder: Path,
    release: Release,
    files: Mapping[str, bytes],
    movies: Sequence[PublishedMovie],
    users: Sequence[PublishedUser],
    ratings: Sequence[PublishedRating],
) -> Published:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / release.archive.archive.name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{release.archive.folder}/{name}", content)
        archive.writestr(f"{release.archive.folder}/README.txt", "not needed")
    content = path.read_bytes()
    checksum = FileChecksum(path.name, len(content), hashlib.sha256(content).hexdigest())
    small = replace(
        release,
        archive=replace(release.archive, archive=checksum),
        rating_count=len(ratings),
        movie_count=len(movies),
        user_count=len({rating.user for rating in ratings}),
    )
    return Published(path=path, release=small, movies=movies, users=users, ratings=ratings)


def digest_of(dataset: Dataset) -> str:
    """The SHA-256 of all arrays of a data set and of their names, types and shapes."""
    arrays = {
        **{f"users.{name}": column for name, column in dataset.users.columns.items()},
        **{f"movies.{name}": column for name, column in dataset.movies.columns.items()},
        **{
            name: column
            for name, column in vars(dataset.interactions).items()
            if column is not None
        },
        "user_ids": dataset.user_ids,
        "movie_ids": dataset.movie_ids,
        "titles": np.array(dataset.titles),
    }
    if dataset.tutorial_order is not None:
        arrays["tutorial_order"] = dataset.tutorial_order
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
