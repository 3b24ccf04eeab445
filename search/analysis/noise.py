"""Results with two errors, another seed and another sample of users, and when one is better.

A result is uncertain twice. Another seed trains another model: few seeds leave their spread
uncertain, so their part follows the t distribution (Student's, and Welch 1947, "The generalization
of Student's problem when several different population variances are involved"). Another sample of
users asks for other items: their part is a bootstrap over users, who are the same for both results,
so that what makes a user hard cancels out (Efron and Tibshirani 1993, chapter 16). A draw has both;
what depends on user and seed together is in each, which errs on the side of caution (Owen 2007,
"The pigeonhole bootstrap"). Of several comparisons, p values are corrected as Holm (1979) does.
A training that collapsed is no noise; it is counted apart.
"""

import math
import operator
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from search.records.results import ReferenceRecord, UserResults

CONFIDENCE = 0.95  # of intervals; of comparisons between equals, no fewer are called no different
DRAWS = 10_000  # samples of users, each with seeds
UPPER = (1 + CONFIDENCE) / 2

Draws = npt.NDArray[np.float64]
Key = TypeVar("Key")


class Spread(NamedTuple):
    """How uncertain a mean over seeds is; a single seed has no standard deviation."""

    deviation: float | None
    seeds: int


class Deviation(NamedTuple):
    """How much single trainings of one configuration differ over seeds, and degrees of freedom.

    ``over_users`` is the standard error, over users, of the difference of two configurations.
    """

    deviation: float
    freedom: int
    over_users: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """A result, and what is known of its errors."""

    mean: float
    over_seeds: Spread | None = None  # None where nothing is drawn, as of popularity
    users: UserResults | None = field(default=None, compare=False)  # mean over seeds; None: unknown

    @classmethod
    def of_reference(cls, reference: ReferenceRecord, metric: str) -> Self:
        """A metric of a reference, which no seed moves; its users where they were kept."""
        text = reference.users.get(metric)
        users = None if text is None else UserResults.of_text(text)
        return cls(reference.metrics[metric], None, users)


@dataclass(frozen=True)
class Sample:
    """One number measured with several seeds."""

    values: tuple[float, ...]  # one for each seed whose training held
    collapsed: int = 0  # how many trainings diverged, or ended no better than chance
    # mean over these seeds; None where it was not kept
    users: UserResults | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.values and not self.collapsed:
            raise ValueError("values must not be empty")

    @classmethod
    def of(cls, values: Sequence[float | None], users: Sequence[str | None] = ()) -> "Sample":
        """The sample of some values, of which None is a training that collapsed.

        ``users`` has the same of each user, see :attr:`search.records.results.UserResults.text`.
        """
        held = tuple(value for value in values if value is not None)
        kept = [text for value, text in zip(values, users, strict=False) if value is not None]
        known = [UserResults.of_text(text) for text in kept if text]
        is_known = held and len(known) == len(held) and len(set(map(len, known))) == 1
        return cls(held, len(values) - len(held), UserResults.mean_of(known) if is_known else None)

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
    def over_users(self) -> float | None:
        """The standard error over users: how far another sample of them would move the mean."""
        return None if self.users is None else self.users.error()

    @property
    def estimate(self) -> Estimate:
        """The mean with its errors."""
        spread = Spread(self.deviation, max(len(self.values), 1))
        return Estimate(self.mean, spread, self.users)

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

    @property
    def errors(self) -> str | None:
        """Both errors, named for what they are; None where neither is known."""
        named = {"another seed": self.deviation, "another sample of users": self.over_users}
        known = [f"{name} by ±{error:.4f}" for name, error in named.items() if error is not None]
        return ", ".join(known) or None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much higher one result is than another, and whether that is more than noise."""

    mean: float
    # the 95 % interval of the difference; None where the noise is unknown
    interval: tuple[float, float] | None
    p: float | None  # two-sided, corrected for as many comparisons; None where it is unknown
    comparisons: int = 1
    over_users: float | None = None  # standard error over users; None where users are unknown
    # share of users (or of groups of them) for whom it is higher, and lower
    users_above: float | None = None
    users_below: float | None = None

    @property
    def is_above(self) -> bool | None:
        """Whether it is higher by more than the noise; None where the noise is unknown."""
        return None if self.p is None else self.mean > 0 and self.p <= 1 - CONFIDENCE

    @property
    def is_below(self) -> bool | None:
        """Whether it is lower by more than the noise; None where the noise is unknown."""
        return None if self.p is None else self.mean < 0 and self.p <= 1 - CONFIDENCE

    @property
    def words(self) -> str:
        """Such as ``+0.0120, 95 % interval +0.0040 to +0.0200``."""
        if self.interval is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f}, 95 % interval {self.interval[0]:+.4f} to {self.interval[1]:+.4f}"


def compare(one: Estimate, others: Mapping[str, Estimate]) -> dict[str, Difference]:
    """How one result differs from others, by their names; p values are Holm's over all of them."""
    return corrected(uncorrected(one, others))


def uncorrected(one: Estimate, others: Mapping[str, Estimate]) -> dict[str, Difference]:
    """The same with p values as if each were the only comparison.

    The errors over users are those of the results that have users; they are paired where both do.
    """
    resampled = _resampled([one.users, *(other.users for other in others.values())])
    return {
        name: _difference(one, other, resampled[0] - of_other)
        for (name, other), of_other in zip(others.items(), resampled[1:], strict=True)
    }


def difference(one: Estimate, other: Estimate | float) -> Difference:
    """How one result differs from another, or from a number without any noise."""
    return compare(one, {"": other if isinstance(other, Estimate) else Estimate(other)})[""]


def _difference(one: Estimate, other: Estimate, over_users: Draws) -> Difference:
    mean, seeds = one.mean - other.mean, _over_seeds(one.over_seeds, other.over_seeds)
    above, below = _shares(one.users, other.users)
    found = Difference(
        mean=mean,
        interval=None,
        p=None,
        over_users=float(over_users.std()) or None,
        users_above=above,
        users_below=below,
    )
    if seeds is None:
        return found
    drawn = mean + over_users + seeds
    low, high = np.quantile(drawn, [1 - UPPER, UPPER])
    p = 2 * min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    return replace(found, interval=(float(low), float(high)), p=min(max(p, 1 / DRAWS), 1.0))


def corrected(found: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """The same with p values for as many comparisons.

    Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    known = [(each.p, name) for name, each in found.items() if each.p is not None]
    result, highest = dict(found), 0.0
    for place, (p, name) in enumerate(sorted(known, key=operator.itemgetter(0))):
        highest = max(highest, min(p * (len(known) - place), 1.0))
        result[name] = replace(found[name], p=highest, comparisons=len(known))
    return result


def _resampled(results: Sequence[UserResults | None]) -> list[Draws]:
    """How far samples of users, drawn with replacement, move each result: float ``[DRAWS]`` each.

    Zeros where the users are not known. The samples are the same for all, and for every call.
    """
    known = [each for each in results if each is not None]
    groups = min(map(len, known), default=0)
    if groups < 2:
        return [np.zeros(DRAWS) for _ in results]
    columns = [each.in_groups(groups) for each in known]
    sums = _sums_of_samples([part for each in columns for part in (each.totals, each.weights)])
    moved = iter(
        totals / np.maximum(weights, 1e-9) - each.mean
        for each, totals, weights in zip(columns, sums[::2], sums[1::2], strict=True)
    )
    return [np.zeros(DRAWS) if each is None else next(moved) for each in results]


def _sums_of_samples(columns: Sequence[Draws]) -> Draws:
    """The sums of each column over samples of its rows: float ``[columns, DRAWS]``."""
    values = np.stack(columns, axis=1).astype(np.float32)
    return np.concatenate([part @ values for part in _counts(len(values))]).T.astype(np.float64)


@lru_cache(maxsize=1)
def _counts(rows: int, at_once: int = 500) -> list[npt.NDArray[np.uint8]]:
    """How often each row is in each sample, of as many rows, with replacement."""
    rng, counts = np.random.default_rng(0), []
    for _ in range(DRAWS // at_once):
        drawn = rng.integers(0, rows, (at_once, rows)) + np.arange(at_once)[:, None] * rows
        found = np.bincount(drawn.ravel(), minlength=at_once * rows)
        counts.append(found.astype(np.uint8).reshape(at_once, rows))
    return counts


def _over_seeds(*spreads: Spread | None) -> Draws | None:
    """How far other seeds move a difference of means: float ``[DRAWS]``.

    None, unknown, where every mean that was drawn has a single seed.
    """
    drawn = [each for each in spreads if each is not None]
    if not drawn:
        return np.zeros(DRAWS)
    found = _error_of_seeds(drawn)
    if found is None:
        return None
    error, freedom = found
    return _drawn_from_t(freedom) * error


@lru_cache(maxsize=64)
def _drawn_from_t(freedom: float) -> Draws:
    """Quantiles of the t distribution, shuffled: exact by themselves, and paired with no user."""
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    return np.random.default_rng(1).permutation(stdtrit(freedom, levels))


def _error_of_seeds(spreads: Sequence[Spread]) -> tuple[float, float] | None:
    """The standard error of a mean, or of the difference of two, and its degrees of freedom.

    Of what Student's test says, which takes all to spread alike, as a single seed must be taken
    to, and what Welch's says, which is too bold where one of them has two seeds, what is wider.
    """
    freedoms = [0 if each.deviation is None else each.seeds - 1 for each in spreads]
    variances = [(each.deviation or 0.0) ** 2 for each in spreads]
    freedom = sum(freedoms)
    if not freedom:
        return None
    pooled = sum(map(operator.mul, variances, freedoms)) / freedom
    student = (math.sqrt(pooled * sum(1 / each.seeds for each in spreads)), float(freedom))
    if 0 in freedoms:
        return student
    parts = [variance / each.seeds for variance, each in zip(variances, spreads, strict=True)]
    least = sum(part**2 / degrees for part, degrees in zip(parts, freedoms, strict=True))
    welch = (math.sqrt(sum(parts)), sum(parts) ** 2 / least) if least else (0.0, float(freedom))
    return max(student, welch, key=lambda each: each[0] * _quantile(each[1]))


def _shares(
    one: UserResults | None, other: UserResults | None
) -> tuple[float | None, float | None]:
    """The shares of users for whom one result is higher than the other, and lower."""
    if one is None or other is None:
        return None, None
    groups = min(len(one), len(other))
    gains = one.in_groups(groups).totals - other.in_groups(groups).totals
    return float((gains > 1e-6).mean()), float((gains < -1e-6).mean())


def noise_of_draws(deviation: Deviation) -> float:
    """What the difference of two single trainings must exceed to be more than noise."""
    over_seeds = _quantile(deviation.freedom) * math.sqrt(2) * deviation.deviation
    return math.hypot(over_seeds, _quantile(math.inf) * deviation.over_users)


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, UPPER)) if math.isfinite(freedom) else 1.959964
