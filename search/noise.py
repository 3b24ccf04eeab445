"""Results of several seeds: mean, spread, and whether a difference is more than noise."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ERRORS_APART = 2.0
"""A difference counts when it exceeds so many of its standard errors: about 19 of 20 times, a
difference that is mere noise does not."""


@dataclass(frozen=True)
class Sample:
    """One number measured with several seeds.

    Attributes:
        values: one a seed; at least one.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values must not be empty")

    @classmethod
    def of(cls, values: Sequence[float]) -> "Sample":
        """The sample of some values."""
        return cls(tuple(values))

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the seeds (of the sample); None for a single seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None for a single seed."""
        return None if self.deviation is None else self.deviation / math.sqrt(len(self.values))

    def __str__(self) -> str:
        """Such as ``0.5958 ± 0.0021``."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.4f}"
        return f"{self.mean:.4f}{spread}"


def beats(one: Sample, other: Sample) -> bool | None:
    """Whether the mean of one is higher by more than the noise.

    Returns:
        None where a single seed leaves the noise unknown.
    """
    apart = noise_of(one.error, other.error)
    return None if apart is None else one.mean - other.mean > apart


def noise_of(error: float | None, other: float | None) -> float | None:
    """What a difference of two means must exceed, given their standard errors.

    :data:`ERRORS_APART` times the standard error of the difference, ``sqrt(e1 ** 2 + e2 ** 2)``.

    Returns:
        None where an error is not known.
    """
    return None if error is None or other is None else ERRORS_APART * math.hypot(error, other)
