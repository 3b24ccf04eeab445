"""The ends of the search space, for each parameter that a trial has."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.sections import RANKING_DIMENSIONS, PowersOfTwo, Range, SpaceSection


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the study file says about a parameter.

    Attributes:
        key: the key of the study file, such as ``space.width``.
        low: the smallest value a trial can have.
        high: the largest.
        is_logarithmic: whether people read it on a logarithmic scale.
        is_continuous: whether it takes every value in between.
        lowest: the smallest value that makes sense at all; None where there is no such value.
    """

    key: str
    low: float
    high: float
    is_logarithmic: bool
    is_continuous: bool
    lowest: float | None = None


def bounds_of(space: SpaceSection) -> dict[str, Bounds]:
    """The bounds of every parameter with an order, by its readable name.

    Hidden widths are those of the deepest stack; their lower end, the width of the layer after
    them, differs from trial to trial, so the space's own stands for it.
    """
    named: dict[str, tuple[str, Range]] = {"depth": ("depth", space.depth)}
    widths = ["output_width", *(f"hidden_width_{n}" for n in range(1, space.depth.high))]
    named |= dict.fromkeys(widths, ("width", space.width))
    named["embedding_dimension"] = ("embedding_dimension", space.embedding_dimension)
    named["learning_rate"] = ("learning_rate", space.learning_rate)
    named |= {name: (name, values) for name, values in space.ranking.items()}
    return {name: _bounds(key, values) for name, (key, values) in named.items()}


_LOWEST: Mapping[str, float] = {"depth": 1, "width": 1, "embedding_dimension": 1, "dropout": 0.0}


def _bounds(key: str, values: Range) -> Bounds:
    low, high = values.low, values.high
    if isinstance(values, PowersOfTwo):
        low, high = values.values[0], values.values[-1]
    is_continuous = key == "learning_rate" or key in RANKING_DIMENSIONS
    return Bounds(
        key=f"space.{key}",
        low=low,
        high=high,
        is_logarithmic=key != "depth" and RANKING_DIMENSIONS.get(key) != "linear",
        is_continuous=is_continuous,
        lowest=_LOWEST.get(key),
    )
