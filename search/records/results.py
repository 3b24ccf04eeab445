"""A model that was trained again for good, as plain data for tracking and reports."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from search.records.trials import SEEN_REMOVED, CurvePoint


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
    # by metric, what each user adds, see :attr:`search.records.users.UserResults.text`; of the
    # objective and what it is compared by. Studies of version 0.1.0 lack it.
    users: Mapping[str, str] = field(default_factory=dict)
    # what the index of its recommender loses and saves, by the names of
    # :func:`search.execution.serving_costs.index_costs`; empty where it has none
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
