"""The raw tables: checked when made, and told from any other tables by their digest."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deeprec.errors import DataError
from deeprec.movielens import MOVIELENS_100K, RATING_COLUMNS, Movie, RawTables, check_tables
from tests.unit.deeprec.raw import raw_tables


def test_equal_tables_have_equal_digests() -> None:
    assert raw_tables().digest() == raw_tables().digest()


def _changed(name: str) -> Callable[[RawTables], RawTables]:
    def change(tables: RawTables) -> RawTables:
        column = getattr(tables, name).copy()
        column[-1] = not column[-1] if column.dtype == np.bool_ else column[-1] + 1
        return replace(tables, **{name: column})

    return change


CHANGES: dict[str, Callable[[RawTables], RawTables]] = {
    **{name: _changed(name) for name in RATING_COLUMNS},
    "title": lambda tables: replace(tables, movies=[Movie(1, "", (0,)), *tables.movies[1:]]),
    "genres": lambda tables: replace(
        tables, movies=[tables.movies[0]._replace(genres=()), *tables.movies[1:]]
    ),
    "order of movies": lambda tables: replace(tables, movies=tables.movies[::-1]),
    "genre names": lambda tables: replace(tables, genre_names=tables.genre_names[::-1]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_changes_the_digest(change: Callable[[RawTables], RawTables]) -> None:
    assert change(raw_tables()).digest() != raw_tables().digest()


def test_order_of_ratings_is_part_of_the_digest() -> None:
    tables = raw_tables()
    reversed_columns: dict[str, Any] = {
        name: getattr(tables, name)[::-1] for name in RATING_COLUMNS
    }
    assert replace(tables, **reversed_columns).digest() != tables.digest()


def test_genuine_tables_pass() -> None:
    tables = raw_tables()
    assert check_tables(tables, tables.digest()) is tables


def test_other_tables_are_refused_with_both_digests() -> None:
    tables = raw_tables()
    with pytest.raises(DataError, match=f"must be 0123 but got {tables.digest()}"):
        check_tables(tables, "0123")


def test_counts_follow_from_the_ids() -> None:
    tables = raw_tables()
    assert (len(tables), tables.user_count, tables.movie_count) == (6, 3, 4)


@pytest.mark.parametrize("name", RATING_COLUMNS)
def test_column_of_another_type_or_length_is_refused(name: str) -> None:
    tables = raw_tables()
    column = getattr(tables, name)
    for wrong in (column.astype(np.complex128), column[:-1], column[None]):
        with pytest.raises(ValueError, match=r"must be .* of shape .* but got"):
            replace(tables, **{name: wrong})


def test_published_files_are_known_by_size_and_digest() -> None:
    files = (MOVIELENS_100K.archive, *MOVIELENS_100K.files)
    assert [file.name for file in files] == ["ml-100k.zip", "u.data", "u.item", "u.user"]
    assert all(file.size > 0 and len(bytes.fromhex(file.sha256)) == 32 for file in files)
