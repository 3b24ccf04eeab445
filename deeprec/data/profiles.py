"""From what people say of themselves to the integer features of a user: no TensorFlow, no data set.

Bins, vocabularies and hashes are learned when the data set is prepared, see
:mod:`deeprec.data.features`; here they are looked up, for users who are in no table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np

from deeprec.data.audience import check_questions
from deeprec.data.tables import Code
from deeprec.errors import RequestError, printable

Question = Literal["age", "gender", "occupation"]
"""The features by which an unknown user may be described."""

QUESTIONS: Mapping[str, Question] = {
    "raw_user_age": "age",
    "bucketized_user_age": "age",
    "user_gender": "gender",
    "user_occupation_label": "occupation",
}
"""By the column of TFDS, what a person would be asked."""

GENDERS: Mapping[str, int] = {"F": 0, "M": 1}
"""As TFDS has ``user_gender``: whether the user is male."""

OCCUPATIONS = (
    "academic/educator",
    "artist",
    "clerical/admin",
    "customer service",
    "doctor/health care",
    "entertainment",
    "executive/managerial",
    "farmer",
    "homemaker",
    "lawyer",
    "librarian",
    "other/not specified",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "student",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)
"""By TFDS's ``user_occupation_label``, which is the same for every release."""

PUBLISHED: Mapping[str, str] = {
    "administrator": "clerical/admin",
    "college/grad student": "student",
    "healthcare": "doctor/health care",
    "k-12 student": "student",
    "none": "other/not specified",
    "salesman": "sales/marketing",
}
"""What TFDS made of the names in the published files that are none of its own and no part of one:
of the ``u.occupation`` of MovieLens 100K and the README of MovieLens 1M, in lower case."""

OLDEST = 130


@dataclass(frozen=True)
class ProfileEncoder:
    """Computes the features of an unknown user, encoded as those of the table's users.

    Attributes:
        encodings: plain values, one a feature in the order of the schema: its ``name`` and
            ``kind``; ``boundaries`` of a discretized one, ``values`` by index of a categorical
            one, and of a cross the two features it is ``of`` and the ``table`` of its values.
    """

    encodings: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_config(cls, config: Sequence[Mapping[str, Any]]) -> Self:
        """The encoder of some encodings, as they were read from JSON.

        Raises:
            ValueError: they are none.
        """
        _check_encodings(config)
        return cls(tuple(config))

    @property
    def questions(self) -> tuple[Question, ...]:
        """What has to be known of a user."""
        asked = {QUESTIONS[e["name"]] for e in self.encodings if e["name"] in QUESTIONS}
        return tuple(name for name in get_args(Question) if name in asked)

    @property
    def occupations(self) -> tuple[str, ...]:
        """Those that occur in the data set; there is nothing to be said of others."""
        encoding = next(e for e in self.encodings if e["name"] == "user_occupation_label")
        return tuple(sorted(OCCUPATIONS[label] for label in encoding["values"]))

    def features_of(self, given: Mapping[str, Any]) -> dict[str, Code]:
        """The features of such a user, by name; the id is not among them.

        Raises:
            RequestError: an answer is missing, or is none that the data set knows.
        """
        check_questions(given, self.questions)
        if missing := [name for name in self.questions if name not in given]:
            raise RequestError(
                f"an unknown user needs {', '.join(self.questions)}; "
                f"{', '.join(missing)} is missing"
            )
        features: dict[str, int] = {}
        for encoding in self.encodings:
            if encoding["kind"] == "cross":
                one, other = (features[name] for name in encoding["of"])
                features[encoding["name"]] = int(encoding["table"][one][other])
            else:
                features[encoding["name"]] = self._index(encoding, given)
        return {**features}

    def contradicted(self, given: Mapping[str, Any], features: Mapping[str, Any]) -> list[str]:
        """The answers that are not those of a known user with these features.

        Raises:
            RequestError: an answer is none that the data set knows.
        """
        check_questions(given, self.questions)
        wrong = {
            QUESTIONS[name]
            for encoding in self.encodings
            if (name := encoding["name"]) in QUESTIONS and QUESTIONS[name] in given
            if self._index(encoding, given) != features[name]
        }
        return [question for question in self.questions if question in wrong]

    def unfamiliar(self, given: Mapping[str, Any]) -> list[str]:
        """None: an answer that the data set does not know is refused."""
        return []

    def to_config(self) -> list[Any]:
        """The encodings, which are plain values."""
        return list(self.encodings)

    def _index(self, encoding: Mapping[str, Any], given: Mapping[str, Any]) -> int:
        question = QUESTIONS[encoding["name"]]
        if question == "gender":
            return _position(encoding, _gender(str(given[question])))
        if question == "occupation":
            return _position(encoding, self._occupation(str(given[question])))
        age = _checked_age(given[question])
        if encoding["kind"] == "discretized":
            return int(np.digitize(np.float32(age), encoding["boundaries"]))
        published = sorted(encoding["values"])  # the youngest age of each range
        return _position(encoding, max([published[0], *(low for low in published if low <= age)]))

    def _occupation(self, given: str) -> int:
        """The label of an occupation: as published, by TFDS's name, or by a part of that name."""
        wanted = given.strip().casefold()
        wanted = PUBLISHED.get(wanted, wanted)
        for name in self.occupations:
            if wanted in (name.casefold(), *name.casefold().split("/")):
                return OCCUPATIONS.index(name)
        raise RequestError(
            f"occupation must be one of {', '.join(self.occupations)} but got {_shown(given)}"
        )


def _shown(given: Any) -> str:
    return printable(repr(given), 80)


def _gender(given: str) -> int:
    wanted = given.strip().upper()
    if wanted not in GENDERS:
        raise RequestError(f"gender must be one of {', '.join(GENDERS)} but got {_shown(given)}")
    return GENDERS[wanted]


def _checked_age(given: Any) -> float:
    if isinstance(given, bool):  # float() takes it for 0 or 1
        raise RequestError(f"age must be a number but got {given}")
    try:
        age = float(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"age must be a number but got {_shown(given)}") from error
    if not 0 < age <= OLDEST:
        raise RequestError(f"age must lie in 1 to {OLDEST} but got {age:g}")
    return age


def _position(encoding: Mapping[str, Any], value: int) -> int:
    """Where the vocabulary has a value."""
    if value not in encoding["values"]:
        raise RequestError(f"no user of the data set has {encoding['name']} {value}")
    return int(encoding["values"].index(value))


def _check_encodings(encodings: Sequence[Any]) -> None:
    """Checks plain values that were read from a file."""
    labels = {"user_gender": len(GENDERS), "user_occupation_label": len(OCCUPATIONS)}
    sizes: dict[str, int] = {}
    for encoding in encodings:
        if not isinstance(encoding, Mapping) or not isinstance(encoding.get("name"), str):
            raise ValueError("an encoding must be an object with a name")
        name, kind = encoding["name"], encoding.get("kind")
        if name in sizes or (kind != "cross" and name not in QUESTIONS):
            raise ValueError(f"there can be no encoding of {name!r}")
        if kind == "cross":
            sizes[name] = _size_of_cross(encoding, sizes)
        elif kind == "discretized":
            sizes[name] = len(_numbers(encoding, "boundaries", math.inf)) + 1
        elif kind == "categorical":
            sizes[name] = len(_numbers(encoding, "values", labels.get(name, math.inf)))
        else:
            raise ValueError(f"the kind of {name!r} must be categorical, discretized or cross")


def _size_of_cross(encoding: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    of, table = encoding.get("of"), encoding.get("table")
    if not isinstance(of, list) or len(of) != 2 or not all(str(name) in sizes for name in of):
        raise ValueError(f"{encoding['name']!r} must be of two features before it")
    rows, columns = (sizes[str(name)] for name in of)
    if not isinstance(table, list) or len(table) != rows:
        raise ValueError(f"the table of {encoding['name']!r} must have {rows} rows")
    if any(len(_numbers({"row": row}, "row", math.inf)) != columns for row in table):
        raise ValueError(f"the table of {encoding['name']!r} must have {columns} columns")
    return 1 + max(max(row) for row in table)


def _numbers(encoding: Mapping[str, Any], key: str, bound: float) -> list[float]:
    numbers = encoding.get(key)
    if (
        not isinstance(numbers, list)
        or not numbers
        or not all(type(number) in (int, float) and 0 <= number < bound for number in numbers)
    ):
        raise ValueError(f"{key} must be numbers from 0 to less than {bound:g}")
    return numbers
