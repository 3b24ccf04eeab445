"""The raw tables: checked when made, and known by their digest."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deeprec.errors import DataError
from deeprec.sources.movielens import RATING_COLUMNS, Movie, RawTables, check_tables
from deeprec.sources.releases import MOVIELENS_1M, MOVIELENS_100K, Release
from tests.unit.deeprec.raw import raw_tables


def with_column(tables: RawTables, name: str, column: Any) -> RawTables:
    if name in RATING_COLUMNS:
        return replace(tables, **{name: column})
    return replace(tables, user_columns={**tables.user_columns, name: column})


def _changed(name: str) -> Callable[[RawTables], RawTables]:
    def change(tables: RawTables) -> RawTables:
        column = dict(tables.rating_columns())[name].copy()
        column[-1] = not column[-1] if column.dtype == np.bool_ else column[-1] + 1
        return with_column(tables, name, column)

    return change


def _reversed(tables: RawTables) -> RawTables:
    for name, column in tables.rating_columns():
        tables = with_column(tables, name, column[::-1])
    return tables


COLUMNS = [name for name, _ in raw_tables().rating_columns()]
CHANGES: dict[str, Callable[[RawTables], RawTables]] = {
    **{name: _changed(name) for name in COLUMNS},
    "order of ratings": _reversed,
    "title": lambda tables: replace(tables, movies=[Movie(1, "", (0,)), *tables.movies[1:]]),
    "genres": lambda tables: replace(
        tables, movies=[tables.movies[0]._replace(genres=()), *tables.movies[1:]]
    ),
    "order of movies": lambda tables: replace(tables, movies=tables.movies[::-1]),
    "genre names": lambda tables: replace(tables, genre_names=tables.genre_names[::-1]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_changes_the_digest(change: Callable[[RawTables], RawTables]) -> None:
    assert raw_tables().digest() == raw_tables().digest() != change(raw_tables()).digest()


@pytest.mark.parametrize("name", COLUMNS)
def test_column_of_another_type_or_length_is_refused(name: str) -> None:
    tables = raw_tables()
    column = dict(tables.rating_columns())[name]
    wrong = [column[:-1], column[None]]
    if name in RATING_COLUMNS:
        wrong.append(column.astype(np.complex128))
    for other in wrong:
        with pytest.raises(ValueError, match=r"must be .* of shape .* but got"):
            with_column(tables, name, other)


KNOWN = replace(MOVIELENS_100K, raw_sha256=raw_tables().digest())
COUNTED = replace(MOVIELENS_1M, rating_count=6, movie_count=4, user_count=3)


@pytest.mark.parametrize("release", [KNOWN, COUNTED], ids=["by digest", "by counts"])
def test_genuine_tables_pass(release: Release) -> None:
    tables = raw_tables()
    assert check_tables(tables, release) is tables


def test_other_tables_are_refused_with_both_digests() -> None:
    other = replace(raw_tables(), genre_names=())
    message = f"not those of MovieLens 100K: .* must be {KNOWN.raw_sha256} but got {other.digest()}"
    with pytest.raises(DataError, match=message):
        check_tables(other, KNOWN)


@pytest.mark.parametrize(
    ("release", "message"),
    [
        (replace(COUNTED, rating_count=7), "ratings must be 7 but got 6"),
        (replace(COUNTED, movie_count=3), "movies must be 3 but got 4"),
        (replace(COUNTED, user_count=4), "users must be 4 but got 3"),
        (replace(COUNTED, stars=(2, 5)), "ratings must lie in 2 to 5 but got 1.0 to 5.0"),
        (replace(COUNTED, stars=(1, 4.5)), "ratings must lie in 1 to 4.5 but got 1.0 to 5.0"),
    ],
)
def test_tables_with_other_counts_or_ratings_are_refused(release: Release, message: str) -> None:
    with pytest.raises(DataError, match=f"not those of MovieLens 1M: .*{message}"):
        check_tables(raw_tables(), release)
    stars = np.array([1, 2, 3, 4, 5, np.nan], np.float32)
    with pytest.raises(DataError, match="ratings must lie in"):
        check_tables(replace(raw_tables(), user_rating=stars), COUNTED)
