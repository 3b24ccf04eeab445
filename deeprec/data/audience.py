"""Users to recommend to: known ones by their published ids, unknown ones by their features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from deeprec.data.history import HISTORY, history_of, padded_history
from deeprec.data.tables import Code, FeatureTable
from deeprec.errors import RequestError

Id = int | str
"""An id as it was published: text, or a whole number."""


class Request(NamedTuple):
    """What is asked for one user: a known one by the published id, or one who is described.

    ``k`` items are asked for, at least 1; fewer are recommended where fewer are left. An unknown
    user is described by ``features``, named as :attr:`UserEncoder.questions` names them, or by what
    is ``liked``: ids or titles of items, the latest first. Of a known user that is what came since.
    """

    user_id: Id | None = None
    k: int = 10
    features: Mapping[str, Any] = MappingProxyType({})
    liked: Sequence[Id] = ()


class User(NamedTuple):
    """A user to recommend to: the row of the table, and what the tower is given, by feature.

    ``liked`` are rows of the items beyond those that are known of the row.
    """

    row: int
    features: Mapping[str, Code]
    liked: Sequence[int] = ()


class UserEncoder(Protocol):
    """Computes the features of users who are in no table."""

    @property
    def questions(self) -> Sequence[str]:
        """What may be said of a user."""

    def features_of(self, given: Mapping[str, Any]) -> dict[str, Code]:
        """The features by name, without the id.

        Raises:
            RequestError: there is no such question, an answer is missing, or it is none.
        """

    def contradicted(self, given: Mapping[str, Any], features: Mapping[str, Any]) -> list[str]:
        """The questions whose answers are not those of a known user with these features.

        Raises:
            RequestError: there is no such question, or an answer is none.
        """

    def unfamiliar(self, given: Mapping[str, Any]) -> list[str]:
        """The questions whose answers training does not know, such as a misspelled city."""

    def to_config(self) -> list[Any]:
        """Plain values, for a JSON file."""


@dataclass(frozen=True, kw_only=True)
class Audience:
    """All users of a data set, and what others are asked.

    Attributes:
        data_name: the data set.
        table: the features of known users; the first rows are reserved.
        ids: whole numbers or UTF-8 bytes, the published id of each row.
        encoder: of unknown users; None where nothing is known of users but their ids.
        reserved: how many rows stand for none: 1, and 2 with a row for unknown users. The last of
            them is given to the tower for an unknown user.
    """

    data_name: str
    table: FeatureTable
    ids: npt.NDArray[Any]
    encoder: UserEncoder | None
    reserved: int

    def row_of(self, user_id: Id) -> int | None:
        """The row of a known user."""
        key: Any = user_id
        if self.ids.dtype.kind == "S":
            key = str(user_id).encode()
        elif isinstance(user_id, str):
            key = int(user_id) if user_id.isascii() and user_id.isdecimal() else None
        return self._rows.get(key)

    def known_row(self, user_id: Id) -> int:
        """The row of a user.

        Raises:
            RequestError: the user is unknown.
        """
        row = self.row_of(user_id)
        if row is not None:
            return row
        asked = self.reserved > 1 and self.encoder and ", ".join(self.encoder.questions)
        raise RequestError(
            f"user must be one of the {len(self.ids) - self.reserved:,} of {self.data_name} "
            f"({self._some_ids}) but got {user_id}"
            + (f"; an unknown one needs a value of {asked}" if asked else "")
        )

    def user_of(self, request: Request, liked: Sequence[int] = ()) -> User:
        """The user of a request: known, or described.

        Args:
            request: what is asked.
            liked: the rows of the items that are liked.

        Raises:
            RequestError: the user is unknown and not described well enough, or known and described
                as another.
        """
        row = None if request.user_id is None else self.row_of(request.user_id)
        if row is None:
            return self._described(request, liked)
        user = self.user_at(row)
        if request.features:
            wrong = self._asking.contradicted(request.features, user.features)
            if wrong:
                raise RequestError(
                    f"user {request.user_id} is known and has another {' and '.join(wrong)}: leave "
                    f"{', '.join(request.features)} out"
                )
        if not liked:
            return user
        history = self._history(liked, self.table.columns[HISTORY][row].tolist())
        return User(row, {**user.features, **history}, liked)

    def user_at(self, row: int) -> User:
        """The user of a row of the table."""
        columns = self.table.columns.items()
        return User(row, {name: column[row].tolist() for name, column in columns})

    def _described(self, request: Request, liked: Sequence[int]) -> User:
        if not request.features and not liked:
            if request.user_id is not None:
                self.known_row(request.user_id)
            if history_of(self.table.schema):
                raise RequestError("give a user, or what an unknown one has liked")
            questions = ", ".join(self._asking.questions)
            raise RequestError(f"give a user, or {questions} of an unknown one")
        row = self.reserved - 1
        described = self._asking.features_of(request.features) if request.features else {}
        user = {**self._undescribed, **described, **self._history(liked)}
        return User(row, {**user, self.table.schema.id_feature.name: row}, liked)

    def _history(self, liked: Sequence[int], before: Sequence[int] = ()) -> dict[str, Code]:
        """What the tower is given of a history: what is liked, and what was before, each once."""
        feature = history_of(self.table.schema)
        if feature is None:
            return {}
        rows = np.array([*dict.fromkeys([*liked, *before])], np.int32)
        return {feature.name: padded_history(feature, rows[rows > 0]).tolist()}

    @cached_property
    def _undescribed(self) -> dict[str, Code]:
        """The features of a user of whom nothing is said.

        MovieLens has no values for that: there they are what most users have.
        """
        if self.reserved > 1:
            return {name: column[1].tolist() for name, column in self.table.columns.items()}
        return {
            feature.name: int(np.bincount(self.table.columns[feature.name][1:]).argmax())
            for feature in self.table.schema.features
            if feature.name != HISTORY
        }

    @property
    def _asking(self) -> UserEncoder:
        if self.encoder is None or not self.encoder.questions:
            raise RequestError(
                f"{self.data_name} says nothing of its users but their ids, so only for a known "
                f"user ({self._some_ids}) anything can be recommended"
            )
        return self.encoder

    @cached_property
    def _rows(self) -> dict[Any, int]:
        """The row of each known user, by the id as the array has it."""
        ids = self.ids[self.reserved :].tolist()
        return dict(zip(ids, range(self.reserved, len(ids) + self.reserved), strict=True))

    @property
    def _some_ids(self) -> str:
        """The first and the last of MovieLens; the first few of other data."""
        if self.reserved == 1:
            return f"{self.ids[1]} to {self.ids[-1]}"
        return "such as " + ", ".join(str(shown_id(each)) for each in self.ids[2:5])


def check_questions(given: Mapping[str, Any], questions: Sequence[str]) -> None:
    """Checks that nothing is said of a user that is not asked.

    Raises:
        RequestError: there is no such question.
    """
    if unknown := sorted(set(given) - set(questions)):
        raise RequestError(f"there is no feature {unknown[0]!r}; there are {', '.join(questions)}")


def shown_id(own: Any) -> Id:
    """An id of an array as it was published."""
    return own.decode() if isinstance(own, bytes) else int(own)
