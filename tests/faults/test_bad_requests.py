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

from tests.faults.deceit import JSON, WRITER
from tests.faults.served import ANSWERED, Served
from tests.tiny_recommender import tiny_recommender

pytestmark = [pytest.mark.data, pytest.mark.faults]


@pytest.fixture(scope="module")
def served() -> Served:
    return Served(tiny_recommender())


NAN, INF = float("nan"), float("inf")


def refused_request(served: Served, body: str) -> None:
    status, text = served.ask(body.encode())
    assert status == 400, text
    assert json.loads(text)["message"]
    assert "Traceback" not in text
    assert "stack_trace" not in text


@pytest.mark.parametrize(
    "row",
    [
        *({"user_id": user} for user in (77, -1, 2**70, "one", [1], {"a": 1}, None, NAN, INF)),
        *({"user_id": 1, "k": k} for k in (0, -(2**62), 2**70, "many")),
        *({**WRITER, "age": age} for age in (0, 131, NAN, INF, "old")),
        *({**WRITER, "gender": gender} for gender in ("\x1b[31m", "x", "", 7, ["F"])),
        *({**WRITER, "occupation": occupation} for occupation in ("w" * 100_000, "\0")),
        *({"user_id": 1, **WRITER}, {"age": 30}, {"user": 1}, {}, 1, "a", [1], None),
    ],
    ids=lambda row: str(row)[:40],
)
def test_a_row_that_cannot_be_answered(served: Served, row: Any) -> None:
    refused_request(served, json.dumps({"dataframe_records": [row]}))
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
        *("", "{", "[]", "null", "1", '"a"', "\0", "{}"),
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
    refused_request(served, body)


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
        assert tuple(answer.columns) == ANSWERED
