"""Requests that cannot be answered: HTTP 400 and the reason."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, ErrorCode

from deeprec.errors import RequestError
from deeprec.recommender import Recommender
from tests.faults.deceit import JSON, WRITER, few, one_line
from tests.faults.served import COLUMNS, Served
from tests.tiny_recommender import tiny_recommender

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def served(recommender: Recommender) -> Served:
    return Served(recommender)


def test_a_request_is_answered(served: Served) -> None:
    status, text = served.ask(b'{"dataframe_records": [{"user_id": 2, "k": 1}]}')
    assert status == 200
    assert json.loads(text)["predictions"][0]["title"] == "Dune (1984)"


def refused_request(served: Served, body: bytes | str, content_type: str) -> None:
    status, text = served.ask(body.encode() if isinstance(body, str) else body, content_type)
    assert status == 400, text
    assert json.loads(text)["message"]
    assert "Traceback" not in text
    assert "stack_trace" not in text


def refused_rows(served: Served, *rows: Any) -> None:
    refused_request(served, json.dumps({"dataframe_records": rows}), "application/json")


@pytest.mark.parametrize(
    "row",
    [
        {"user_id": 77},
        {"user_id": 2**70},
        {"user_id": "one"},
        {"user_id": [1]},
        {"user_id": {"a": 1}},
        {"user_id": None},
        {"user_id": float("nan")},
        {"user_id": float("inf")},
        {"user_id": 1, "k": 0},
        {"user_id": 1, "k": -(2**62)},
        {"user_id": 1, "k": 2**70},
        {"user_id": 1, "k": "many"},
        {"user_id": 1, **WRITER},
        {**WRITER, "age": 0},
        {**WRITER, "age": 131},
        {**WRITER, "age": float("nan")},
        {**WRITER, "age": float("inf")},
        {**WRITER, "age": "old"},
        {**WRITER, "gender": "\x1b[31m"},
        {**WRITER, "gender": 7},
        {**WRITER, "gender": ["F"]},
        {**WRITER, "occupation": "w" * 100_000},
        {**WRITER, "occupation": "\0"},
        {"age": 30},
        {"user": 1},
        {},
        1,
        "a",
        [1],
        None,
    ],
    ids=lambda row: str(row)[:40],
)
def test_a_row_that_cannot_be_answered(served: Served, row: Any) -> None:
    refused_rows(served, row)
    if isinstance(row, dict) and row:
        answered_beside(served, row)


def answered_beside(served: Served, row: Any) -> None:
    """A bad row refuses no good one, and has its reason."""
    body = json.dumps({"dataframe_records": [{"user_id": 1, "k": 1}, row]})
    status, text = served.ask(body.encode())
    assert status == 200, text
    good, bad = json.loads(text, parse_constant=pytest.fail)["predictions"]
    assert (good["row"], good["title"], good["error"]) == (0, "Emma (1996)", None)
    assert (bad["row"], bad["rank"], bad["title"]) == (1, None, None)
    assert bad["error"].isprintable()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"a"',
        "\0",
        "{}",
        '{"dataframe_records": 1}',
        '{"dataframe_records": []}',
        '{"dataframe_split": {}}',
        '{"dataframe_split": {"columns": ["user_id"], "data": [[1, 2]]}}',
        '{"dataframe_split": {"columns": ["user_id", "user_id"], "data": [[1, 2]]}}',
        '{"inputs": {}}',
        '{"inputs": []}',
        '{"inputs": {"user_id": [1, 2], "k": [1]}}',
        '{"instances": [], "inputs": []}',
        '{"inputs": {"user_id": [1, 2]}}',
        '{"instances": [{"user_id": 1}, {"k": 1}]}',
    ],
)
def test_a_body_that_is_no_request(served: Served, body: str) -> None:
    refused_request(served, body, "application/json")


@few
@given(user=st.integers(-(2**63), 2**63 - 1).filter(lambda user: user not in (0, 1, 2, 3, 5, 8)))
def test_an_unknown_user(served: Served, user: int) -> None:
    refused_rows(served, {"user_id": user})


@few
@given(k=st.integers(-(2**63), 0))
def test_too_few_movies(served: Served, k: int) -> None:
    refused_rows(served, {"user_id": 1, "k": k})


@few
@given(gender=st.text(max_size=20).filter(lambda text: text.strip().upper() not in ("F", "M")))
def test_an_unknown_gender(served: Served, gender: str) -> None:
    refused_rows(served, {**WRITER, "gender": gender})


CELLS = st.one_of(JSON, st.integers(), st.floats(), st.just(pd.NaT), st.just(np.float64("nan")))


@given(
    cells=st.dictionaries(
        st.sampled_from(["user_id", "k", "age", "gender", "occupation"]), CELLS, min_size=1
    )
)
def test_any_cells_are_answered_or_refused(served: Served, cells: dict[str, Any]) -> None:
    """As a program meets the model that enforces no signature."""
    request = pd.DataFrame({name: pd.Series([cell], dtype=object) for name, cell in cells.items()})
    try:
        answer = served.model.predict(None, request)  # type: ignore[arg-type]
    except MlflowException as error:
        found = error
        assert found.error_code == ErrorCode.Name(INVALID_PARAMETER_VALUE)
        assert found.message.isprintable()
        assert len(found.message) < 500
    else:
        assert tuple(answer.columns) == COLUMNS


@few
@given(user=st.integers(), k=st.integers(max_value=0))
def test_a_recommender_asked_by_a_program(recommender: Recommender, user: int, k: int) -> None:
    with pytest.raises(RequestError) as caught:
        recommender.recommend(user, k)
    one_line(caught)
