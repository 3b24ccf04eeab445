"""What MLflow runs to serve a recommender: the code of the model, kept beside it as text.

``mlflow models serve`` and ``mlflow.pyfunc.load_model`` execute this file; nothing is unpickled.
Of this project it needs the package ``deeprec`` alone, which lies beside it.
"""

from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from deeprec.errors import RequestError, printable
from deeprec.recommender import Recommender

DEFAULT_K = 10
COLUMNS = ("user_id", "rank", "movie_id", "title", "score")
_LARGEST = 10**9  # numbers beyond it are all the same: too large
INPUTS = ("user_id", "k", "age", "gender", "occupation")


class ServedRecommender(PythonModel):
    """A request is a row: a known user, or age, gender and occupation of one nobody knows.

    The answer has a row for each recommended movie, the rows of the first request first. A user
    nobody knows has ``user_id`` 0, or none.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the recommender that is among the artifacts."""
        self._recommender = Recommender.load(Path(context.artifacts["recommender"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answers each row; a row that cannot be answered refuses the request with its reason."""
        if not set(model_input.columns) & set(INPUTS) or not len(model_input):
            raise _refusal(f"a request needs a row with some of {', '.join(INPUTS)}")
        rows: list[tuple[Any, ...]] = []
        for number, request in enumerate(model_input.to_dict("records")):
            given = {name: _given(request.get(name)) for name in INPUTS}
            try:
                rows += self._answer(given)
            except RequestError as error:
                raise _refusal(f"row {number}: {error}") from error
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _answer(self, given: dict[str, Any]) -> list[tuple[Any, ...]]:
        user_id, k = _whole("user_id", given["user_id"]) or 0, _whole("k", given["k"])
        recommended = self._recommender.recommend(
            user_id or None,
            DEFAULT_K if k is None else k,
            age=_number("age", given["age"]),
            gender=_text(given["gender"]),
            occupation=_text(given["occupation"]),
        )
        return [(user_id, rank, *movie) for rank, movie in enumerate(recommended, start=1)]


def _given(value: Any) -> Any | None:
    """A cell, or None where it is empty."""
    return None if value is None or pd.isna(value) is True else value


def _whole(name: str, value: Any | None) -> int | None:
    if value is None:
        return None
    if not _is_number(value) or value != value // 1:
        raise RequestError(f"{name} must be a whole number but got {_shown(value)}")
    return int(value)


def _number(name: str, value: Any | None) -> float | None:
    if value is None:
        return None
    if not _is_number(value):
        raise RequestError(f"{name} must be a number but got {_shown(value)}")
    return float(max(-_LARGEST, min(value, _LARGEST)))


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value: Any | None) -> str | None:
    return None if value is None else str(value)


def _shown(value: Any) -> str:
    return printable(repr(value), 80)


def _refusal(reason: str) -> MlflowException:
    """The error that MLflow answers with HTTP 400."""
    return MlflowException(reason, error_code=INVALID_PARAMETER_VALUE)


set_model(ServedRecommender())
