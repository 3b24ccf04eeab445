"""What the encodings of a user's features must be, before anybody relies on them."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any


def check_encodings(
    encodings: Sequence[Any], asked: Collection[str], labels: Mapping[str, int]
) -> None:
    """Checks plain values that were read from a file, see :mod:`deeprec.data.profiles`.

    Args:
        encodings: one a feature.
        asked: the features that a question decides.
        labels: how many values such a feature may have at most, where that is known.

    Raises:
        ValueError: one is none.
    """
    sizes: dict[str, int] = {}
    for encoding in encodings:
        if not isinstance(encoding, Mapping) or not isinstance(encoding.get("name"), str):
            raise ValueError("an encoding must be an object with a name")
        name, kind = encoding["name"], encoding.get("kind")
        if name in sizes or (kind != "cross" and name not in asked):
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
