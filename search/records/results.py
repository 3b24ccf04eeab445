"""What was measured of models, as plain data: re-trainings, references, what each user adds."""

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from search.records.trials import SEEN_REMOVED, CurvePoint

MOST_GROUPS = 4096
"""More users than these are kept in so many groups: an error over users is as sure with them."""


@dataclass(frozen=True, eq=False)
class UserResults:
    """A metric of some rows, user by user; of as many it is the ratio of two sums.

    Two results of the same rows have the same users in the same places.

    Attributes:
        totals: float64 ``[users]``, what each user adds.
        weights: float64 ``[users]``, of how much; 1 where users count alike.
    """

    totals: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """How many users, or groups of users, there are."""
        return len(self.totals)

    @property
    def mean(self) -> float:
        """The metric over all users."""
        return float(self.totals.sum() / self.weights.sum())

    def error(self, other: Self | None = None) -> float | None:
        """The standard error over users of the metric, or of its difference to that of another.

        That of a ratio of sums, linearized (Cochran 1977, "Sampling Techniques", chapter 6); users
        are paired. None below two users.
        """
        if len(self) < 2:
            return None
        off = self._off() - (0.0 if other is None else other._off())
        return float(np.sqrt(off @ off * len(self) / (len(self) - 1)))

    def _off(self) -> npt.NDArray[np.float64]:
        """How far each user moves the metric."""
        found: npt.NDArray[np.float64] = self.totals - self.mean * self.weights
        found /= self.weights.sum()
        return found

    def in_groups(self, groups: int) -> Self:
        """The same with the users in so many groups at most, dealt out in turn."""
        if len(self) <= groups:
            return self
        dealt = np.arange(len(self)) % groups
        return type(self)(np.bincount(dealt, self.totals), np.bincount(dealt, self.weights))  # type: ignore[arg-type]  # floats, by their weights

    @classmethod
    def mean_of(cls, several: Sequence[Self]) -> Self:
        """The mean over trainings, of each user."""
        return cls(np.mean([each.totals for each in several], axis=0), several[0].weights)

    @property
    def text(self) -> str:
        """As text of at most 44,000 characters; :meth:`of_text` reads it again."""
        kept = self.in_groups(MOST_GROUPS)
        numbers = np.concatenate([kept.totals, kept.weights]).astype("<f4")
        return base64.b64encode(zlib.compress(numbers.tobytes(), 9)).decode("ascii")

    @classmethod
    def of_text(cls, text: str) -> Self:
        """What :attr:`text` has made of it, in single precision."""
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4").astype(np.float64)
        return cls(*np.split(numbers, 2))


def texts_of(
    by_user: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]], split: str
) -> dict[str, str]:
    """Totals and weights by the keys of metrics, as texts by their names in tracking."""
    return {f"{split}_{key}": UserResults(*parts).text for key, parts in by_user.items()}


def test_metric(metrics: Iterable[str]) -> str:
    """The name of the objective among metrics of the test rows: the first of them."""
    return next(name for name in metrics if name.startswith("test_"))


@dataclass(frozen=True, kw_only=True)
class RetrainRecord:
    """One re-training of a trial's configuration, and its one test."""

    trial: int
    # the sampled parameters of that trial, as its record has them
    parameters: Mapping[str, int | float | str]
    # what follows from them: ``layer_sizes`` (as text), ``parameter_count``
    derived: Mapping[str, int | str] = field(default_factory=dict)
    epochs: int  # passes over the rows trained on
    seed: int
    curve: tuple[CurvePoint, ...] = ()  # the epochs, in order, with ``train_loss``
    # of the test rows, see :class:`deeprec.evaluation.ranking.RankingMetrics`; none where the
    # training diverged
    metrics: Mapping[str, float]
    # by metric, what each user adds, see :attr:`search.records.results.UserResults.text`; of the
    # objective and what it is compared by. Studies of version 0.1.0 lack it.
    users: Mapping[str, str] = field(default_factory=dict)
    # what the index of its recommender loses and saves, by the names of
    # :func:`deeprec.serving_costs.index_costs`; empty where it has none
    index: Mapping[str, float] = field(default_factory=dict)
    # why this training is no result: it diverged, or is no better than chance
    collapsed: str | None = None
    started_ms: int
    ended_ms: int
    # what decides how its sums were rounded, see :func:`search.execution.runtime.computed_on`;
    # empty for those of version 0.1.0
    computed_on: Mapping[str, str] = field(default_factory=dict)
    # whether it is the champion's configuration on newer data than the study was searched on
    is_refresh: bool = False

    @property
    def layer_sizes(self) -> str:
        """The widths as text, such as ``(64, 32)``; empty where unknown."""
        return str(self.derived.get("layer_sizes", ""))


def words_of_index(index: Mapping[str, float]) -> str:
    """What the index of a served model loses and saves, as a sentence; nothing without one."""
    if not index:
        return ""
    return (
        f"Served, it answers from an index, which finds {index['index_recall_at_10']:.1%} of the "
        f"ten best items in {index['index_milliseconds']:.3g} ms a request; all scores take "
        f"{index['exact_milliseconds']:.3g} ms."
    )


@dataclass(frozen=True, kw_only=True)
class ReferenceRecord:
    """What any model should beat, measured like a model."""

    name: str  # such as ``popularity``
    parameters: Mapping[str, float]  # what was chosen for it on the validation rows
    metrics: Mapping[str, float]  # of validation rows and, once a model was tested, of test rows
    users: Mapping[str, str] = field(default_factory=dict)  # as of :class:`RetrainRecord`
    measured_ms: int

    @property
    def title(self) -> str:
        """What people call it."""
        return reference_title(self.name)

    @property
    def test_metrics(self) -> Mapping[str, float]:
        """Those of the test rows alone."""
        return {name: each for name, each in self.metrics.items() if name.startswith("test_")}


UNSEEN = "_unseen"
"""Ends the names of metrics, and of references whose choices were made for those metrics, where
seen movies are removed."""


def references_for(metric: str, references: Sequence[ReferenceRecord]) -> list[ReferenceRecord]:
    """Those of the references that were measured by a metric, with what was chosen for it.

    A choice is also for seen movies removed, unless there is another one for that.
    """
    measured = [each for each in references if metric in each.metrics]
    if metric.endswith(UNSEEN):
        names = {each.name for each in measured}
        return [each for each in measured if each.name + UNSEEN not in names]
    return [each for each in measured if not each.name.endswith(UNSEEN)]


def reference_title(name: str) -> str:
    """What people call a reference, such as ``damped mean`` or ``EASE``."""
    base = name.removesuffix(UNSEEN)
    title = _TITLES.get(base, base.replace("_", " "))
    return title if base == name else f"{title} ({SEEN_REMOVED})"


_TITLES = {
    "recent_popularity": "popular lately",
    "own_frequent": "own history",
    "ease": "EASE",
    "item_knn": "item kNN",
    "ials": "iALS",
    "slim": "SLIM",
}


@dataclass(frozen=True, kw_only=True)
class ConfirmationRecord:
    """What a confirmation found, in numbers and words."""

    trial: int  # number of the winner
    name: str  # what people call it, such as ``trial 12 (64, 32)``
    # by name: means and standard deviations over the seeds, and the references'
    metrics: Mapping[str, float]
    lines: tuple[str, ...]
    confirmed_ms: int
    # comparisons of the winner, see :attr:`search.confirmation.comparison.Confirmation.differences`
    differences: tuple[Mapping[str, Any], ...] = ()
