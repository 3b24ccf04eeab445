"""The served model: what requests may look like, and that nothing is read as something else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from deeprec.config import ModelConfig
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.retrieval import approximate
from tests.faults.served import Served
from tests.tiny_recommender import MOVIES, ROWS, TITLES, USERS, tiny_dataset, tiny_recommender

WRITER: dict[str, Any] = {"age": 30, "gender": "F", "occupation": "writer"}
JSON, CSV = "application/json", "text/csv"


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def served(recommender: Recommender) -> Served:
    return Served(recommender)


def records(*rows: dict[str, Any]) -> str:
    return json.dumps({"dataframe_records": rows})


def asked(served: Served, body: str, kind: str = JSON) -> list[dict[str, Any]]:
    """The rows of the answer; it must be JSON, which has no NaN."""
    status, text = served.ask(body.encode(), kind)
    assert status == 200, text
    found = json.loads(text, parse_constant=pytest.fail)["predictions"]
    assert isinstance(found, list)
    return found


def counts(rows: list[dict[str, Any]]) -> list[tuple[Any, int]]:
    """How many titles each row of the request got, by its user."""
    users = {row["row"]: row["user_id"] for row in rows}
    return [(user, sum(r["row"] == n for r in rows)) for n, user in sorted(users.items())]


TWO = [(2, 2), (3, 6)]
"""User 2 is recommended two titles, and user 3 all six, as nothing says how many."""

NO_K: list[tuple[str, str]] = [
    (records({"user_id": 2, "k": 2}, {"user_id": 3}), JSON),
    (records({"user_id": 2, "k": 2}, {"user_id": 3, "k": None}), JSON),
    (records({"user_id": 2.0, "k": 2.0}, {"user_id": "3", "k": None}), JSON),
    ('{"dataframe_split": {"columns": ["user_id", "k"], "data": [[2, 2], [3, null]]}}', JSON),
    ("user_id,k\n2,2\n3,\n", CSV),
    ("user_id,k,age,gender,occupation\n2.0,2,,,\n3,,,,\n", CSV),
]


@pytest.mark.parametrize(("body", "kind"), NO_K)
def test_what_is_not_said_may_be_missing_or_null(served: Served, body: str, kind: str) -> None:
    assert counts(asked(served, body, kind)) == TWO


@pytest.mark.parametrize(
    "columns",
    [
        {"user_id": [2, 3], "k": [2, np.nan]},
        {"user_id": [2.0, 3.0], "k": np.array([2, None], object)},
        {"user_id": pd.array([2, 3], "Int64"), "k": pd.array([2, None], "Int64")},
        {"user_id": np.array([2, 3], np.int32), "k": pd.array(["2", None], "str")},
        {"user_id": [2, 3], "k": [2, pd.NaT], "age": [None, pd.NA], "gender": [None, np.nan]},
    ],
)
def test_the_same_as_a_data_frame(served: Served, columns: dict[str, Any]) -> None:
    answer: Any = served.pyfunc.predict(pd.DataFrame(columns, index=[7, 7]))
    assert counts(answer.to_dict("records")) == TWO
    assert answer.dtypes[["user_id", "rank", "movie_id", "score", "row"]].tolist() == [
        np.int64, np.int64, np.int64, np.float64, np.int64,
    ]  # fmt: skip


def test_known_and_described_users_may_be_mixed(served: Served) -> None:
    rows = [{"user_id": 2, "k": 1}, {"k": 1, **WRITER}, {"user_id": 77, "k": 1, **WRITER}]
    found = asked(served, records(*rows))
    assert [(row["user_id"], row["known_user"]) for row in found] == [
        (2, True), (0, False), (77, False),
    ]  # fmt: skip
    assert found[1]["title"] == found[2]["title"]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        *((cell, JSON) for cell in (2.5, True, "2.5", "", "1e0", "2_0", [2], 2**63, float("inf"))),
        *((cell, CSV) for cell in ("2.5", "True", "two")),
    ],
)
@pytest.mark.parametrize("column", ["user_id", "k"])
def test_cells_must_be_whole_numbers(served: Served, cell: Any, kind: str, column: str) -> None:
    row = {"user_id": 2, "k": 1} | {column: cell}
    lines = "\n".join(["user_id,k", "2,1", f"{row['user_id']},{row['k']}", "3,1"])
    body = records({"user_id": 2, "k": 1}, row, {"user_id": 3, "k": 1}) if kind == JSON else lines
    first, bad, last = asked(served, body, kind)
    assert (first["user_id"], first["error"], last["user_id"]) == (2, None, 3)
    assert bad["error"].startswith(f"{column} must be a whole number but got ")
    assert (bad["row"], bad["rank"], bad["movie_id"], bad["title"]) == (1, None, None, None)


def test_where_no_row_can_be_answered_the_request_is_refused(served: Served) -> None:
    with pytest.raises(MlflowException, match=r"row 0 \(and 1 more rows\): user must be one of"):
        served.pyfunc.predict(pd.DataFrame({"user_id": [77, 78]}))


def test_rows_that_mlflow_would_mix_up_are_refused(served: Served) -> None:
    """MLflow makes one row of these two: user 2, who wants one title."""
    status, text = served.ask(b'{"instances": [{"user_id": 2}, {"k": 1}]}')
    assert status == 400
    assert "a request must be a table" in text


def test_what_is_liked_is_an_array_of_ids_and_titles() -> None:
    config = ModelConfig(layer_sizes=(2,), embedding_dimension=4, retrieval_k=3, history=4)
    model = RetrievalModel.for_tables(USERS, MOVIES, config, seed=1)
    served = Served(Recommender.of(model, tiny_dataset(), ROWS))
    rows: list[dict[str, Any]] = [
        {"liked": ["Alien (1979)", 20], "k": 9},
        {"liked": 20.0},
        {"liked": [1.5]},
        {},
    ]
    found = asked(served, records(*rows))
    assert {r["title"] for r in found if r["row"] == 0} == set(TITLES[3:])
    assert {r["title"] for r in found if r["row"] == 1} == {*TITLES[1:]} - {TITLES[2]}
    errors = [r["error"] for r in found if r["row"] > 1]
    assert errors[0] == "liked must be a whole number but got 1.5"
    assert errors[1].startswith("give a user, or what an unknown one has liked")


def test_the_index_of_a_model_is_looked_for_where_it_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiny_recommender().indexed().save(tmp_path / "recommender")
    found: dict[str, Any] = {}
    monkeypatch.setattr(approximate, "find_spec", found.get)
    Served(tiny_recommender()).load(tmp_path / "recommender")
    assert "which needs the package usearch" in caplog.text
