"""Recommendations for many users: which items are among them, and what is written."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from deeprec.data.audience import Request
from deeprec.recommender import Recommender
from search.commands.recommend import Asked, items_where, recommend_to_many
from search.records.errors import InputError
from tests.tiny_recommender import MOVIE_IDS, USER_IDS, tiny_recommender
from tests.unit.search.terminals import Pipe

STOCK = """movie_id,in_stock,price,maker,note
10,true,3.5,Acme,
20,false,7,Acme,old
30,TRUE,12,"Bolt, Inc",
40,,1,Acme,new
99,true,1,Acme,new
"""
"""Movies 50 and 60 are not in the table, 99 is not in the model."""


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    path = tmp_path / "stock.csv"
    path.write_text(STOCK)
    return path


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["in_stock"], [10, 30]),
        (["in_stock=false"], [20]),
        (["price<=7"], [10, 20, 40]),
        (["price > 3.5"], [20, 30]),
        (["price=7.0"], [20]),
        (["maker=Acme", "price>=3.5"], [10, 20]),
        (["maker = Bolt, Inc"], [30]),
        (["maker!=Acme"], [30]),
        (["note"], "note must be true or false but got 'old'; text compares by = or !="),
        (["maker<3"], "maker must be a number but got 'Acme'"),
        (["price<cheap"], "price must be a number but got 'cheap'"),
        (["prize<3"], "stock.csv has no column 'prize'; it has price"),
        (["price<"], "--where must be COLUMN, or COLUMN, one of = != < <= > >= and a value"),
        (["=3"], "--where must be COLUMN"),
        (["price>100"], "no item of the model is one of .*stock.csv with price>100"),
    ],
    ids=str,
)
def test_items_are_chosen_by_the_columns_of_their_table(
    recommender: Recommender, stock: Path, conditions: list[str], expected: list[int] | str
) -> None:
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            items_where(recommender, conditions, stock, None)
        return
    chosen = items_where(recommender, conditions, stock, None)
    assert chosen is not None
    assert np.array(MOVIE_IDS)[chosen].tolist() == expected


def test_conditions_need_a_table(recommender: Recommender) -> None:
    assert items_where(recommender, [], None, None) is None
    with pytest.raises(InputError, match="--where needs the table of the items"):
        items_where(recommender, ["in_stock"], None, None)


def written(recommender: Recommender, out: Path, *, k: int = 3, **given: Any) -> pd.DataFrame:
    """What a file holds, and what was said is in its ``attrs``."""
    pipe = Pipe()
    asked = Asked.of(recommender, k, given.get("users"), pipe.screen)
    recommend_to_many(asked, out, given.get("among"), pipe.screen)
    frame = pd.read_csv(out) if out.suffix == ".csv" else pd.read_parquet(out)
    frame.attrs["said"] = pipe.text
    return frame


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("in_a_block", [2, 1000])
def test_all_users_get_what_each_would_alone(
    recommender: Recommender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    in_a_block: int,
) -> None:
    monkeypatch.setattr("deeprec.retrieval.finding.SCORES_IN_A_BLOCK", in_a_block * len(MOVIE_IDS))
    frame = written(recommender, tmp_path / f"out{ending}")
    assert list(frame) == ["user_id", "rank", "movie_id", "title", "score", "row"]
    assert frame.user_id.unique().tolist() == list(USER_IDS[1:])
    assert len(frame) == 2 + 3 * 4, "user 1 has two movies left"
    for place, user in enumerate(USER_IDS[1:]):
        own, alone = frame[frame.user_id == user], recommender.recommend(user, 3)
        assert list(zip(own.movie_id, own.title, strict=True)) == [
            (movie.movie_id, movie.title) for movie in alone
        ]
        assert own.score.tolist() == pytest.approx([movie.score for movie in alone], rel=1e-5)
        assert own["rank"].tolist() == list(range(1, len(own) + 1))
        assert set(own.row) == {place}
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


def test_users_of_a_file_are_known_or_described(recommender: Recommender, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("user_id,age,gender,occupation,town\n8,99,M,student,Ulm\n77,30,F,writer,\n"
                     "78,,,,\n,30,F,writer,\n")  # fmt: skip
    frame = written(recommender, tmp_path / "out.parquet", k=2, users=users)
    assert frame.row.tolist() == [0, 0, 1, 1, 3, 3]
    assert frame.user_id.fillna(0).tolist() == [8, 8, 77, 77, 0, 0]
    expected = [m.movie_id for m in recommender.recommend(None, 2, age=30, gender="F",
                                                          occupation="writer")]  # fmt: skip
    assert frame.movie_id.tolist() == [m.movie_id for m in recommender.recommend(8, 2)] + [
        *expected, *expected,
    ]  # fmt: skip
    said = " ".join(frame.attrs["said"].split())
    assert "users.csv: not used: town" in said
    assert "1 users are left out, the first at row 2: user must be one of the 5" in said


def test_nothing_is_written_where_nobody_can_be_answered(
    recommender: Recommender, tmp_path: Path
) -> None:
    users, out = tmp_path / "users.csv", tmp_path / "out.csv"
    users.write_text("user_id\n77\n78\n")
    out.write_text("kept")
    with pytest.raises(InputError, match="row 0: user must be one of the 5"):
        written(recommender, out, users=users)
    assert out.read_text() == "kept"
    users.write_text("name\nAda\n")
    with pytest.raises(InputError, match="must have some of user_id, age, .* but has name"):
        written(recommender, out, users=users)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "users.csv"]


def test_items_outside_a_choice_are_never_recommended(
    recommender: Recommender, tmp_path: Path, stock: Path
) -> None:
    among = items_where(recommender, ["price<=7"], stock, None)
    frame = written(recommender, tmp_path / "out.csv", k=9, among=among)
    assert set(frame.movie_id) == {10, 20, 40}
    assert 1 not in set(frame.user_id), "who has seen all three"


def test_a_title_is_shown_under_that_of_its_ids_which_may_be(recommender: Recommender) -> None:
    titles = list(recommender.titles)
    titles[5] = titles[2]
    copies = replace(recommender, titles=tuple(titles))
    for row in (2, 5):
        among = np.arange(7) == row
        [found] = copies.recommend_all([Request(3)], among)
        assert not isinstance(found, Exception)
        assert [movie.movie_id for movie in found] == [MOVIE_IDS[row]]
