"""A trained model that recommends, saved and loaded: nothing but its folder is needed."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeprec.config import ModelConfig
from deeprec.data.audience import Request
from deeprec.errors import RequestError
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.towers import QueryModel
from deeprec.recommender import Liked, Recommended, Recommender
from deeprec.recommender_files import FILES, History
from search.config.addresses import PROJECT
from tests.tiny_recommender import (
    MOVIE_IDS,
    MOVIES,
    ROWS,
    TITLES,
    USER_IDS,
    USERS,
    tiny_dataset,
    tiny_model,
    tiny_recommender,
)

WRITER: dict[str, Any] = {"age": 30, "gender": "F", "occupation": "writer"}


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def by_hand() -> Recommender:
    """Every user's embedding is (1, 0): the score of a movie is the first of its numbers."""
    model = tiny_model()
    kernel, bias = model.query_model.trainable_variables[-2:]
    kernel.assign(np.zeros(kernel.shape))
    bias.assign([1.0, 0.0])
    scores = [99, 1, 7, 3, 2, 8, 3]  # row 0 is no movie
    candidates = np.array([[score, -50] for score in scores], np.float32)
    return replace(Recommender.of(model, tiny_dataset(), ROWS), candidates=candidates)


def test_the_best_come_first_and_of_equal_ones_the_lower_row(by_hand: Recommender) -> None:
    assert by_hand.recommend(3, k=4) == [
        Recommended(50, "Emma (1996)", 8.0),
        Recommended(20, "Brazil (1985)", 7.0),
        Recommended(30, "Casino (1995)", 3.0),
        Recommended(60, "Fargo", 3.0),
    ]


def test_what_a_user_has_rated_is_left_out(by_hand: Recommender) -> None:
    assert [movie.movie_id for movie in by_hand.recommend(1)] == [50, 60]
    assert [movie.movie_id for movie in by_hand.recommend(5, k=2)] == [20, 30]  # in row 4


def test_nothing_is_left_out_for_an_unknown_user(by_hand: Recommender) -> None:
    assert [movie.movie_id for movie in by_hand.recommend(None, **WRITER)] == [
        50, 20, 30, 60, 40, 10,
    ]  # fmt: skip


@given(user=st.sampled_from(USER_IDS[1:]), k=st.integers(1, 9))
def test_scores_are_those_of_the_model(recommender: Recommender, user: int, k: int) -> None:
    row = USER_IDS.index(user)
    query = np.asarray(recommender.query_model(USERS.take(np.array([row], np.int32))))[0]
    movies = np.asarray(recommender.candidate_model(dict(MOVIES.columns)))
    seen = set(ROWS.movie_id[ROWS.user_id == row].tolist())
    expected = sorted((-float(movies[m] @ query), m) for m in range(1, 7) if m not in seen)[:k]
    found = recommender.recommend(user, k)
    assert [movie.movie_id for movie in found] == [MOVIE_IDS[m] for _, m in expected]
    assert [movie.title for movie in found] == [TITLES[m] for _, m in expected]
    np.testing.assert_allclose([movie.score for movie in found], [-s for s, _ in expected], 1e-5)


def test_an_unknown_user_has_the_reserved_id_and_features(recommender: Recommender) -> None:
    features = {"user_id": 0, "user_gender": 1, "raw_user_age": 1, "user_occupation_label": 1}
    features["user_gender_X_raw_user_age"] = 2
    batch = {name: np.array([value], np.int32) for name, value in features.items()}
    query = np.asarray(recommender.query_model(batch))[0]
    best = recommender.recommend(None, 1, **WRITER)[0]
    assert best.score == pytest.approx(float(np.max(recommender.candidates[1:] @ query)))


def test_an_unknown_id_may_be_described(recommender: Recommender) -> None:
    assert recommender.recommend(77, **WRITER) == recommender.recommend(None, **WRITER)
    assert not recommender.knows(77)
    assert recommender.knows(8)
    assert not recommender.knows(0)


def test_rows_of_other_data_are_scored_by_their_ids_and_unknown_movies_are_last(
    by_hand: Recommender,
) -> None:
    users, movies = np.array([0, 8, 77]), np.array([0, 50, 99, 20, 10])
    score = by_hand.scores_for(users, movies)
    scores = score(np.array([1, 2], np.int32))
    assert scores.tolist() == [[0.0, 8.0, 0.0, 7.0, 1.0]] * 2, "99 is below the 1 of movie 10"


MANY = [
    Request(1, 2),
    Request(77),
    Request(None, 3, WRITER),
    Request(2, 0),
    Request(3, 9),
] * 9


@pytest.mark.parametrize("in_a_block", [1, 3, 1000])
def test_many_are_answered_as_each_alone_in_any_blocks(
    recommender: Recommender, monkeypatch: pytest.MonkeyPatch, in_a_block: int
) -> None:
    monkeypatch.setattr("deeprec.retrieval.finding.SCORES_IN_A_BLOCK", in_a_block * len(TITLES))
    for request, answer in zip(MANY, recommender.recommend_all(MANY), strict=True):
        if request.user_id in (2, 77):
            assert isinstance(answer, RequestError)
            continue
        alone = recommender.recommend(request.user_id, request.k, **request.features)
        assert not isinstance(answer, RequestError)
        assert [movie.movie_id for movie in answer] == [movie.movie_id for movie in alone]
        scores = [movie.score for movie in alone]
        assert [movie.score for movie in answer] == pytest.approx(scores, abs=1e-6)


def test_few_shapes_are_compiled(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deeprec.retrieval.finding.SCORES_IN_A_BLOCK", 40 * len(TITLES))
    shapes = set()

    class Traced(QueryModel):
        def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
            shapes.add(len(features["user_id"]))
            return super().call(features, training=training)

    tower = Traced.from_config(recommender.query_model.get_config())
    counted = replace(recommender, query_model=tower)
    for count in (1, 2, 15, 16, 17, 39, 40, 41, 100):
        assert len(list(counted.recommend_all([Request(1)] * count))) == count
    assert shapes == {1, 16, 40}


@pytest.fixture(scope="module")
def with_copies(by_hand: Recommender) -> Recommender:
    """Rows 2 and 5 are Brazil (scores 7 and 8), rows 3 and 6 Casino; user 1 rated 1, 2, 3 and 4."""
    brazil, casino = TITLES[2], TITLES[3]
    return replace(by_hand, titles=("", TITLES[1], brazil, casino, TITLES[4], brazil, casino))


def test_the_best_of_the_movies_with_one_title_is_recommended(with_copies: Recommender) -> None:
    assert with_copies.recommend(3) == [
        Recommended(50, "Brazil (1985)", 8.0),
        Recommended(30, "Casino (1995)", 3.0),
        Recommended(40, "Dune (1984)", 2.0),
        Recommended(10, "Alien (1979)", 1.0),
    ]


def test_what_was_rated_under_its_other_id_is_left_out(with_copies: Recommender) -> None:
    assert with_copies.recommend(1) == []  # Alien, Brazil, Casino and Dune
    assert [movie.title for movie in with_copies.recommend(2)] == [
        "Brazil (1985)", "Dune (1984)", "Alien (1979)",
    ]  # fmt: skip


def test_what_was_liked_under_two_ids_is_shown_once(by_hand: Recommender) -> None:
    copies = replace(by_hand, titles=(*TITLES[:4], TITLES[2], *TITLES[5:]))
    assert [(movie.movie_id, movie.title) for movie in copies.liked_by(1)] == [
        (40, "Brazil (1985)"), (10, "Alien (1979)"),
    ]  # fmt: skip


def test_movies_without_a_title_are_different_ones(by_hand: Recommender) -> None:
    untitled = replace(by_hand, titles=("",) * 7)
    assert len(untitled.recommend(3)) == 6
    assert len(untitled.liked_by(1)) == 3


def test_four_stars_and_more_are_liked_best_and_newest_first(recommender: Recommender) -> None:
    assert recommender.liked_by(1) == [
        Liked(40, "Dune (1984)", 5),
        Liked(20, "Brazil (1985)", 5),
        Liked(10, "Alien (1979)", 4),
    ]
    assert recommender.liked_by(1, k=1) == [Liked(40, "Dune (1984)", 5)]
    assert recommender.liked_by(2) == []


def test_of_equal_ratings_the_newest_comes_first_until_the_last_second() -> None:
    newest = replace(ROWS, timestamp=np.array([1, 5, 8, 2**32 - 1, 1, 2], np.uint32))
    history = History.of(newest, users=6)
    assert history.of_user(1)[0].tolist() == [4, 2, 1, 3]
    assert history.of_user(3)[0].tolist() == []


def test_half_stars_are_shown_as_they_were_given() -> None:
    rows = replace(ROWS, rating=np.array([7 / 9, 1, 0, 8 / 9, 0, 0], np.float32))
    halves = Recommender.of(tiny_model(), tiny_dataset("movielens/20m"), rows)
    assert [movie.stars for movie in halves.liked_by(1)] == [5, 4.5, 4]


@pytest.mark.parametrize("user", [-1, 0, 4, 9, 2**40])
def test_an_unknown_user_is_refused(recommender: Recommender, user: int) -> None:
    message = rf"one of the 5 of movielens/100k \(1 to 8\) but got {user}"
    with pytest.raises(RequestError, match=message):
        recommender.recommend(user)
    with pytest.raises(RequestError, match=message):
        recommender.liked_by(user)


def test_a_known_user_cannot_be_described_as_another(recommender: Recommender) -> None:
    with pytest.raises(RequestError, match="user 1 is known and has another age and occupation"):
        recommender.recommend(1, age=30, gender="M", occupation="writer")
    as_known = recommender.recommend(1, age=20, gender="M", occupation="student")
    assert as_known == recommender.recommend(1)
    with pytest.raises(RequestError, match="gender must be one of"):
        recommender.recommend(1, gender="?")


def test_a_user_is_known_or_described(recommender: Recommender) -> None:
    with pytest.raises(RequestError, match="give a user, or age, gender, occupation of an"):
        recommender.recommend(None)


@pytest.mark.parametrize("k", [0, -3])
def test_less_than_one_title_is_refused(recommender: Recommender, k: int) -> None:
    with pytest.raises(RequestError, match=f"k must be at least 1 but got {k}"):
        recommender.recommend(1, k)


def test_without_features_of_users_only_known_ones_are_served() -> None:
    dataset = replace(tiny_dataset("movielens/20m"), profiles=None)
    recommender = Recommender.of(tiny_model(), dataset, ROWS)
    assert recommender.recommend(3, 1)
    with pytest.raises(RequestError, match="movielens/20m says nothing of its users but their ids"):
        recommender.recommend(None, **WRITER)


@pytest.fixture(scope="module")
def reading() -> Recommender:
    """One whose query tower reads histories of four."""
    config = ModelConfig(layer_sizes=(2,), embedding_dimension=4, retrieval_k=3, history=4)
    model = RetrievalModel.for_tables(USERS, MOVIES, config, seed=1)
    return Recommender.of(model, tiny_dataset(), ROWS)


def titles(movies: list[Recommended]) -> set[str]:
    return {movie.title for movie in movies}


def test_an_unknown_user_is_described_by_what_is_liked(
    reading: Recommender, tmp_path: Path
) -> None:
    found = reading.recommend(None, 9, liked=["alien (1979)", 40, "60"])
    assert titles(found) == {"Brazil (1985)", "Casino (1995)", "Emma (1996)"}
    # The id of none, and the gender, age and occupation that most users have.
    values: dict[str, Any] = {
        "user_id": 0,
        "user_gender": 1,
        "raw_user_age": 0,
        "user_occupation_label": 0,
    }
    values |= {"user_gender_X_raw_user_age": 4, "history": [1, 4, 6, 0]}
    tower = {name: np.array([value], np.int32) for name, value in values.items()}
    query = np.asarray(reading.query_model(tower))[0]
    assert found[0].score == pytest.approx(float((reading.candidates[[2, 3, 5]] @ query).max()))
    reading.save(tmp_path / "reading")
    loaded = Recommender.load(tmp_path / "reading")
    assert loaded.recommend(None, 9, liked=["Alien (1979)", 40, 60]) == found
    described = reading.recommend(None, 9, liked=[10], **WRITER)
    assert described != reading.recommend(None, 9, liked=[10])


def test_what_a_known_user_likes_now_comes_before_what_is_known(reading: Recommender) -> None:
    before = reading.audience.user_of(Request(1)).features["history"]
    assert before == [1, 4, 2, 0]  # Casino had two stars
    user = reading.audience.user_of(Request(1), [5, 4])
    assert user.features["history"] == [5, 4, 1, 2]
    assert titles(reading.recommend(1, 9, liked=[50])) == {"Fargo"}


@pytest.mark.parametrize("item", ["Alien", "alien (1997)", 0, -1, ""])
def test_what_is_liked_must_be_known(reading: Recommender, item: Any) -> None:
    with pytest.raises(
        RequestError, match="liked must be ids or titles of items but got"
    ) as raised:
        reading.recommend(None, liked=[item])
    assert ("close to it: 'Alien (1979)'" in str(raised.value)) == ("lien" in str(item))


def test_of_several_items_with_a_title_one_is_named_by_its_id() -> None:
    config = ModelConfig(layer_sizes=(2,), embedding_dimension=4, retrieval_k=3, history=4)
    model = RetrievalModel.for_tables(USERS, MOVIES, config, seed=1)
    dataset = replace(tiny_dataset(), titles=("", "", "Milk", "Milk", "Tea", "Oil", "Rice"))
    movies = Recommender.of(model, dataset, ROWS)
    own = replace(movies, audience=replace(movies.audience, reserved=2, encoder=None))
    with pytest.raises(RequestError, match="title of 2 items: give an id, such as 20, 30"):
        own.recommend(None, liked=["milk"])
    assert own.recommend(None, liked=[30, "tea"]) == own.recommend(None, liked=["30", 40])


def test_a_model_without_histories_says_what_makes_one(recommender: Recommender) -> None:
    message = r"reads no histories.* history = \{ low = 128, high = 128 \} in its \[space\]"
    with pytest.raises(RequestError, match=message):
        recommender.recommend(None, liked=[10])


@pytest.fixture
def folder(recommender: Recommender, tmp_path: Path) -> Path:
    recommender.save(tmp_path / "recommender")
    return tmp_path / "recommender"


def test_it_recommends_the_same_after_loading(recommender: Recommender, folder: Path) -> None:
    loaded = Recommender.load(folder)
    assert {path.name for path in folder.iterdir()} == {*FILES, "manifest.json"}
    assert loaded.recommend(2) == recommender.recommend(2)
    assert loaded.recommend(None, **WRITER) == recommender.recommend(None, **WRITER)
    assert loaded.liked_by(1) == recommender.liked_by(1)
    assert loaded.candidate_model(dict(MOVIES.columns)).shape == (7, 2)


WITHOUT_DATA = """
import json, sys
from pathlib import Path
from deeprec.recommender import Recommender

recommended = Recommender.load(Path(sys.argv[1])).recommend(2)
assert not {"tensorflow", "tensorflow_datasets", "mlflow", "optuna"} & set(sys.modules)
assert not {"deeprec.data.dataset", "deeprec.sources", "deeprec.data.cache"} & set(sys.modules)
print(json.dumps(recommended))
"""


def test_neither_data_set_nor_tensorflow_is_needed(recommender: Recommender, folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_DATA, str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [list(movie) for movie in recommender.recommend(2)]
