"""A recommender with an index: saved beside it, read by what serves it, done without elsewhere."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from deeprec.data.audience import Request
from deeprec.data.tables import FloatArray, IntArray
from deeprec.data.verified_files import MANIFEST
from deeprec.errors import DataError
from deeprec.recommender import Recommender
from deeprec.recommender_files import FILES, INDEX_FILE
from deeprec.retrieval import approximate
from deeprec.retrieval.approximate import Index
from tests.tiny_recommender import tiny_recommender

ALL = [Request(user) for user in (1, 2, 3, 5, 8)]


@pytest.fixture(scope="module")
def indexed() -> Recommender:
    return tiny_recommender().indexed()


@pytest.fixture
def folder(indexed: Recommender, tmp_path: Path) -> Path:
    indexed.save(tmp_path / "recommender")
    return tmp_path / "recommender"


class Fargo:
    """An index that knows one movie."""

    def near(self, query: FloatArray, count: int) -> IntArray:
        return np.array([6], np.int32)


def test_single_users_are_answered_from_the_index_and_whole_data_sets_exactly() -> None:
    exact = tiny_recommender()
    fargo = replace(exact, index=cast("Index", Fargo()))
    assert [movie.title for movie in fargo.recommend(3, 1)] == ["Fargo"]
    [answer] = fargo.recommend_all([Request(3, 1)])
    assert answer == fargo.recommend(3, 1)
    assert exact.recommend(3, 1) != fargo.recommend(3, 1)
    ranked = next(fargo.ranked([Request(3, 1)]))
    assert ranked.movies.tolist() == next(exact.ranked([Request(3, 1)])).movies.tolist()


def test_nothing_is_missing_where_the_index_knows_too_little(indexed: Recommender) -> None:
    exact = tiny_recommender()
    fargo = replace(exact, index=cast("Index", Fargo()))
    expected = [*exact.recommend_all(ALL)]
    assert [*fargo.recommend_all(ALL)] == expected
    assert [*indexed.recommend_all(ALL)] == expected


def test_what_serves_it_reads_the_index_and_others_do_not(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {*FILES, INDEX_FILE, MANIFEST}
    served, plain = Recommender.load(folder, with_index=True), Recommender.load(folder)
    assert served.index is not None
    assert plain.index is None
    assert [*served.recommend_all(ALL)] == [*plain.recommend_all(ALL)]


def test_a_folder_without_an_index_is_read_as_before(tmp_path: Path) -> None:
    tiny_recommender().save(tmp_path / "plain")
    assert Recommender.load(tmp_path / "plain", with_index=True).index is None


def test_a_damaged_index_is_refused_where_it_is_read(folder: Path) -> None:
    whole = (folder / INDEX_FILE).read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:40], b""):
        (folder / INDEX_FILE).write_bytes(damaged)
        with pytest.raises(DataError, match=f"is damaged: {INDEX_FILE} differs"):
            Recommender.load(folder, with_index=True)
    assert Recommender.load(folder).recommend(1)
    (folder / INDEX_FILE).unlink()
    with pytest.raises(DataError, match=INDEX_FILE):
        Recommender.load(folder, with_index=True)


def test_what_is_no_index_is_refused_although_it_is_as_it_was_written(folder: Path) -> None:
    replace(tiny_recommender(), index=cast("Index", Text())).save(folder)
    with pytest.raises(DataError, match="no model of ours"):
        Recommender.load(folder, with_index=True)


class Text:
    """An index whose file is none."""

    def save(self, path: Path) -> None:
        path.write_text("an index", encoding="utf-8")


def test_without_usearch_all_items_are_scored_and_a_line_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(approximate, "find_spec", found.get)
    with caplog.at_level(logging.WARNING):
        served = Recommender.load(folder, with_index=True)
    [line] = caplog.messages
    assert line.endswith(
        "all 6 items are scored for each request; install it: pip install '.[ann]'"
    )
    assert [*served.recommend_all(ALL)] == [*tiny_recommender().recommend_all(ALL)]


def test_the_manifest_alone_says_whether_there_is_an_index(folder: Path) -> None:
    """A file that the manifest does not know was not written with the others: it is not read."""
    digests = json.loads((folder / MANIFEST).read_text())
    del digests[INDEX_FILE]
    (folder / MANIFEST).write_text(json.dumps(digests))
    assert Recommender.load(folder, with_index=True).index is None
