"""Results of several seeds: mean, spread, and whether a difference is more than noise.

Few seeds leave the spread itself uncertain, so a difference of means is judged by the t
distribution: Student's test and Welch's (1947, "The generalization of Student's problem when
several different population variances are involved"), one-sided, at :data:`CONFIDENCE`.
A training that collapsed is no noise; it is counted apart.
"""

import math
import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scipy.special import stdtrit

CONFIDENCE = 0.95  # of comparisons between equals, this share is not called better than noise


class Spread(NamedTuple):
    """How uncertain a mean over seeds is; a single seed has no standard deviation."""

    deviation: float | None
    seeds: int


class Deviation(NamedTuple):
    """How much single trainings of one configuration differ over seeds, and degrees of freedom."""

    deviation: float
    freedom: int


@dataclass(frozen=True)
class Sample:
    """One number measured with several seeds."""

    values: tuple[float, ...]  # one for each seed whose training held
    collapsed: int = 0  # how many trainings diverged, or ended no better than chance

    def __post_init__(self) -> None:
        if not self.values and not self.collapsed:
            raise ValueError("values must not be empty")

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Sample":
        """The sample of some values, of which None is a training that collapsed."""
        held = tuple(value for value in values if value is not None)
        return cls(held, len(values) - len(held))

    @property
    def seeds(self) -> int:
        """How many trainings there were."""
        return len(self.values) + self.collapsed

    @property
    def is_stable(self) -> bool:
        """Whether every training held."""
        return self.collapsed == 0

    @property
    def mean(self) -> float:
        """The mean of the values; 0 where every training collapsed."""
        return statistics.fmean(self.values) if self.values else 0.0

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the seeds (of the sample); None for fewer than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def spread(self) -> Spread:
        """How uncertain the mean is."""
        return Spread(self.deviation, max(len(self.values), 1))

    def __str__(self) -> str:
        """Such as ``0.5958 ± 0.0021``, and how many collapsed."""
        if self.is_stable:
            return self.figures
        return f"{self.figures} ({self.collapsed} collapsed)" if self.values else "all collapsed"

    @property
    def figures(self) -> str:
        """Mean and deviation alone."""
        spread = "" if self.deviation is None else f" ± {self.deviation:.4f}"
        return f"{self.mean:.4f}{spread}"


def beats(one: Sample, other: Sample | float) -> bool | None:
    """Whether the mean of one is higher by more than the noise; None where that is unknown.

    A number for the other has no noise of seeds.
    """
    if isinstance(other, float):
        noise, difference = noise_of(one.spread), one.mean - other
    else:
        noise, difference = noise_of(one.spread, other.spread), one.mean - other.mean
    return None if noise is None else difference > noise


def noise_of(*spreads: Spread) -> float | None:
    """What a mean, or the difference of two, must exceed to be more than noise.

    The larger of what Student's test says, which takes all to spread alike, as a single seed must
    be taken to, and what Welch's says, which is too bold where one of them has two seeds. None,
    unknown, where every mean has a single seed.
    """
    freedoms = [0 if each.deviation is None else each.seeds - 1 for each in spreads]
    variances = [(each.deviation or 0.0) ** 2 for each in spreads]
    freedom = sum(freedoms)
    if not freedom:
        return None
    pooled = sum(map(operator.mul, variances, freedoms)) / freedom
    student = _quantile(freedom) * math.sqrt(pooled * sum(1 / each.seeds for each in spreads))
    if 0 in freedoms:
        return student
    parts = [variance / each.seeds for variance, each in zip(variances, spreads, strict=True)]
    least = sum(part**2 / degrees for part, degrees in zip(parts, freedoms, strict=True))
    welch = _quantile(sum(parts) ** 2 / least) * math.sqrt(sum(parts)) if least else 0.0
    return max(student, welch)


def noise_of_draws(over_seeds: Deviation) -> float:
    """What the difference of two single trainings must exceed to be more than noise."""
    return _quantile(over_seeds.freedom) * math.sqrt(2) * over_seeds.deviation


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, CONFIDENCE))
