"""What MLflow runs to serve a recommender: the code of the model, kept beside it as text.

``mlflow models serve`` and ``mlflow.pyfunc.load_model`` execute this file; nothing is unpickled.
Of this project it needs the package ``deeprec`` alone, which lies beside it.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from deeprec.data.audience import Request
from deeprec.errors import RequestError, printable
from deeprec.recommender import Recommended, Recommender
from deeprec.recommender_files import towers_of

DEFAULT_K = 10
ASKED = ("user_id", "k", "liked")
ANSWERED = ("user_id", "rank", "movie_id", "title", "score", "row", "known_user", "error")
PROFILE = ("age", "gender", "occupation")
_LARGEST = 2**63 - 1  # of what MLflow, pandas and JSON can all hold
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_Row = tuple[Any, ...]


class ServedRecommender(PythonModel):
    """A request is a row: a known user, or what is known of an unknown one.

    Of MovieLens's users that is age, gender and occupation, of others the features of the study;
    ids of other data than MovieLens are the user's own, and items are ``item_id``. Where the model
    reads histories, ``liked`` is an array of ids or titles of items, the latest first. What is not
    said may be missing or null, in every form that MLflow takes. The answer has a row for each
    recommended item, the rows of the first request first; a request that cannot be answered has
    one row, with the reason as its ``error``.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the recommender that is among the artifacts.

        The code of its towers lies beside this file, and is trusted as this file is; so is its
        index.
        """
        folder = Path(context.artifacts["recommender"])
        towers = towers_of(folder)
        trusted = [] if towers is None else [towers]
        self.use(Recommender.load(folder, trusted=trusted, with_index=True))

    def use(self, recommender: Recommender) -> None:
        """Answers by a recommender."""
        self._recommender, encoder = recommender, recommender.audience.encoder
        self._is_own = recommender.is_own
        features = encoder.questions if encoder and self._is_own else PROFILE
        self._inputs = (*ASKED, *features)
        items = "item_id" if self._is_own else "movie_id"
        self._columns = tuple(items if name == "movie_id" else name for name in ANSWERED)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answers each row, or refuses them all with the reason where none can be answered."""
        requests = [self._request(cells) for cells in _rows(model_input, self._inputs)]
        asked = [request for request in requests if isinstance(request, Request)]
        found = self._recommender.recommend_all(asked)
        answers = [next(found) if isinstance(each, Request) else each for each in requests]
        errors = [answer for answer in answers if isinstance(answer, RequestError)]
        if len(errors) == len(answers):
            others = f" (and {len(errors) - 1} more rows)" if errors[1:] else ""
            raise _refusal(f"row 0{others}: {errors[0]}")
        rows = [
            row
            for number, (request, answer) in enumerate(zip(requests, answers, strict=True))
            for row in self._answer(number, request, answer)
        ]
        # What is empty is None, as JSON knows no NaN.
        whole: dict[str, type] = {} if errors else {"rank": int, "score": float}
        if not errors and not self._is_own:
            whole |= {"user_id": int, "movie_id": int}
        return _table(self._columns, rows, {**whole, "row": int})

    def _answer(
        self, number: int, request: Request | RequestError, answer: list[Recommended] | RequestError
    ) -> Iterator[_Row]:
        user_id = request.user_id if isinstance(request, Request) else None
        known = user_id is not None and self._recommender.knows(user_id)
        if isinstance(answer, RequestError):
            yield user_id, None, None, None, None, number, known, str(answer)
            return
        for rank, movie in enumerate(answer, start=1):
            unknown = None if self._is_own else 0
            yield user_id or unknown, rank, *movie, number, known, None

    def _request(self, cells: _Row) -> Request | RequestError:
        user_id, k, liked, *features = map(_given, cells)
        given = dict(zip(self._inputs[len(ASKED) :], features, strict=True))
        try:
            return Request(
                None if user_id is None else self._id(user_id),
                _whole("k", DEFAULT_K if k is None else k),
                {name: value for name, value in given.items() if value is not None},
                _items(liked),
            )
        except RequestError as error:
            return error

    def _id(self, cell: Any) -> int | str:
        """An id as it was published: text, or a whole number."""
        return cell if self._is_own and isinstance(cell, str) else _whole("user_id", cell)


def _rows(model_input: Any, inputs: tuple[str, ...]) -> Iterator[_Row]:
    """The cells of each row in the order of the inputs; None where they are empty.

    No types are declared for them: MLflow would read 42.7 as 42, true as 1, and refuse null.
    """
    if not isinstance(model_input, pd.DataFrame):
        raise _refusal(
            "a request must be a table (dataframe_records, dataframe_split, CSV, Parquet): MLflow "
            "mixes up the rows and the types of inputs and instances"
        )
    names = [name for name in inputs if name in model_input.columns]
    if not names or not len(model_input) or not model_input.columns.is_unique:
        raise _refusal(f"a request needs a row with some of {', '.join(inputs)}, each once")
    columns = {name: model_input[name].tolist() for name in names}
    empty = [None] * len(model_input)
    return zip(*(columns.get(name, empty) for name in inputs), strict=True)


def _table(names: tuple[str, ...], rows: list[_Row], types: dict[str, type]) -> pd.DataFrame:
    """A table whose other columns hold objects.

    Each column is made with its type: to cast a table afterwards takes as long as all the rest of
    an answer.
    """
    columns: dict[str, Any] = {}
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        of_numbers = name in types
        columns[name] = (
            np.array(cells, types[name]) if of_numbers else pd.Series(cells, dtype=object)
        )
    return pd.DataFrame(columns)


def _given(cell: Any) -> Any | None:
    return None if cell is None or pd.isna(cell) is True else cell


def _items(cell: Any) -> list[Any]:
    """What is liked: one id or title, or an array of them."""
    cells = cell if isinstance(cell, list | tuple | np.ndarray) else [] if cell is None else [cell]
    return [each if isinstance(each, str) else _whole("liked", each) for each in cells]


def _whole(name: str, cell: Any) -> int:
    """A whole number, also one in text: in a CSV file with one bad cell the others are text."""
    value = cell
    if isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()):
        value = Decimal(cell.strip())
    is_number = not isinstance(value, bool) and isinstance(value, Real | Decimal)
    if not is_number or not abs(value) <= _LARGEST or value != int(value):
        raise RequestError(f"{name} must be a whole number but got {_shown(cell)}")
    return int(value)


def _shown(cell: Any) -> str:
    return printable(repr(cell), 80)


def _refusal(reason: str) -> MlflowException:
    """The error that MLflow answers with HTTP 400."""
    return MlflowException(reason, error_code=INVALID_PARAMETER_VALUE)


set_model(ServedRecommender())
