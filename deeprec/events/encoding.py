"""From values that people know to the integers that a tower looks up.

An encoding is plain values, learned once (:mod:`deeprec.events.learning`) and kept beside the
prepared arrays and in every model, so that a user in no table is encoded in the same way.

The integers: numbers and times are 0 where there is no value, then a bin; categories are 0 where
there is no value, 1 for a value that training does not know, then the values by frequency; tags and
words are padded with 0, and 1 where training does not know them. A vector stays the numbers that it
is, zeros where there is none.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np

from deeprec.data.audience import check_questions
from deeprec.data.tables import Code, Feature, FloatArray
from deeprec.data.tables import FeatureKind as TableKind
from deeprec.errors import RequestError, printable
from deeprec.events.description import FeatureKind

UNKNOWN = 1
"""What stands for a value that training does not know."""

WORD = re.compile(r"\w+")

KINDS: Mapping[FeatureKind, TableKind] = {
    "number": "discretized",
    "datetime": "discretized",
    "category": "categorical",
    "cross": "cross",
    "tags": "tags",
    "text": "text",
    "vector": "vector",
}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one feature is encoded; plain values alone.

    Attributes:
        name: of the feature.
        kind: as the study file has it.
        boundaries: of numbers and times (microseconds since 1970): the lowest value of each bin but
            the first, ascending.
        values: of categories, tags and words: those that have a place, from 2 on.
        separator: between the tags of a text.
        length: how many tags or words count, or numbers a vector has.
        normalize: whether vectors are scaled to length 1.
        of: the two features of a cross.
        sizes: how many integers these two have.
    """

    name: str
    kind: FeatureKind
    boundaries: tuple[float, ...] = ()
    values: tuple[str | int, ...] = ()
    separator: str = "|"
    length: int = 1
    normalize: bool = False
    of: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The encoding that :meth:`to_config` wrote."""
        lists = {name: tuple(value) for name, value in config.items() if isinstance(value, list)}
        return cls(**{**config, **lists})

    def to_config(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @property
    def vocabulary_size(self) -> int:
        """How many integers there are; of a vector, how many numbers."""
        if self.kind == "vector":
            return self.length
        if self.kind in ("number", "datetime"):
            return len(self.boundaries) + 2
        return math.prod(self.sizes) if self.kind == "cross" else len(self.values) + 2

    @property
    def feature(self) -> Feature:
        """As a table's schema has it."""
        length = 1 if self.kind == "vector" else self.length
        return Feature(
            name=self.name,
            kind=KINDS[self.kind],
            vocabulary_size=self.vocabulary_size,
            length=length,
        )

    def encode(self, value: Any) -> Code:
        """The integer of a value that a person gives, or those of its tags or words, or a vector.

        Raises:
            RequestError: it is no value of this kind.
        """
        if self.kind == "vector":
            return self._vector(value)
        if self.kind in ("tags", "text"):
            words = [] if value is None else tokens(value, self)
            codes = [self._place(word) for word in words[: self.length]]
            return codes + [0] * (self.length - len(codes))
        if value is None:
            return 0
        if self.kind == "category":
            return self._place(category_of(value))
        return int(np.searchsorted(self.boundaries, self._number(value), side="right")) + 1

    def _vector(self, value: Any) -> list[float]:
        try:
            if isinstance(value, str):
                value = json.loads(value)
            vector = np.asarray(np.zeros(self.length) if value is None else value, np.float32)
        except (TypeError, ValueError):
            vector = np.zeros(0, np.float32)
        if vector.shape != (self.length,) or not np.isfinite(vector).all():
            raise RequestError(
                f"{self.name} must be {self.length} numbers such as [0.1, ...] but got "
                f"{printable(repr(value), 80)}"
            )
        scaled: list[float] = (of_length_one(vector) if self.normalize else vector).tolist()
        return scaled

    def _place(self, value: str | int) -> int:
        return self._places.get(str(value), UNKNOWN)

    @property
    def _places(self) -> Mapping[str, int]:
        if "_index" not in self.__dict__:
            index = {str(value): place for place, value in enumerate(self.values, start=2)}
            self.__dict__["_index"] = index
        found: Mapping[str, int] = self.__dict__["_index"]
        return found

    def _number(self, value: Any) -> float:
        if self.kind == "datetime" and isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError as error:
                raise RequestError(
                    f"{self.name} must be a time such as 2025-03-01 but got "
                    f"{printable(repr(value), 80)}"
                ) from error
            return moment.timestamp() * 1e6
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise RequestError(
                f"{self.name} must be a number but got {printable(repr(value), 80)}"
            ) from error
        if not math.isfinite(number):
            raise RequestError(f"{self.name} must be a finite number but got {number}")
        return number


def category_of(value: Any) -> str:
    """A category as text: 3.0 and 3 are the same, and so are True and true."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def tokens(value: Any, encoding: Encoding) -> list[str]:
    """The tags, or the words in lower case, of a value."""
    if not isinstance(value, str):
        return [category_of(each) for each in value if each is not None]
    if encoding.kind == "text":
        return WORD.findall(value.lower())
    return [tag for tag in (part.strip() for part in value.split(encoding.separator)) if tag]


def of_length_one(vectors: FloatArray) -> FloatArray:
    """Vectors ``[..., dimension]`` scaled to length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


@dataclass(frozen=True)
class Encoder:
    """Encodes what is said of a user, or an item, that is in no table."""

    encodings: tuple[Encoding, ...]

    @classmethod
    def of(cls, configs: Iterable[Mapping[str, Any]]) -> Self:
        """The encoder of some encodings, as plain values."""
        return cls(tuple(map(Encoding.from_config, configs)))

    @property
    def questions(self) -> tuple[str, ...]:
        """The features that may be given."""
        return tuple(each.name for each in self.encodings if each.kind != "cross")

    def features_of(self, given: Mapping[str, Any]) -> dict[str, Code]:
        """The integers of all features; those that are not given have no value.

        Raises:
            RequestError: there is no such feature, or a value is none of its kind.
        """
        check_questions(given, self.questions)
        codes = {
            each.name: each.encode(given.get(each.name))
            for each in self.encodings
            if each.kind != "cross"
        }
        for each in self.encodings:
            if each.kind == "cross":
                one, other = (codes[name] for name in each.of)
                assert isinstance(one, int)
                assert isinstance(other, int)
                codes[each.name] = one * each.sizes[1] + other
        return codes

    def contradicted(self, given: Mapping[str, Any], features: Mapping[str, Any]) -> list[str]:
        """The features whose given values are not those of a known user.

        Raises:
            RequestError: there is no such feature, or a value is none of its kind.
        """
        check_questions(given, self.questions)
        return [
            each.name
            for each in self.encodings
            if each.name in given
            and not np.array_equal(each.encode(given[each.name]), features[each.name])
        ]

    def unfamiliar(self, given: Mapping[str, Any]) -> list[str]:
        """The categories, tags and words of which training knows none."""
        found = []
        for each in self.encodings:
            if each.name in given and each.kind in ("category", "tags", "text"):
                codes = {int(code) for code in np.atleast_1d(each.encode(given[each.name]))}
                if UNKNOWN in codes and codes <= {0, UNKNOWN}:
                    found.append(each.name)
        return found

    def to_config(self) -> list[Any]:
        """The encodings, as plain values."""
        return [each.to_config() for each in self.encodings]
