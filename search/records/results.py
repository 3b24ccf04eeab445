"""A model that was trained again for good, as plain data for tracking and reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from search.records.trials import SEEN_REMOVED, CurvePoint

TEST_METRIC = "test_top_100_accuracy"
"""The metric of the test rows by which models are compared; higher is better."""


@dataclass(frozen=True, kw_only=True)
class RetrainRecord:
    """One re-training of a trial's configuration, and its one test.

    Attributes:
        trial: number of the trial whose configuration this is.
        parameters: the sampled parameters of that trial, as its record has them.
        derived: what follows from them: ``layer_sizes`` (as text), ``parameter_count``.
        epochs: passes over the rows trained on.
        seed: the seed of this training.
        curve: the epochs, in order, with ``train_loss``.
        metrics: of the test rows, see :class:`deeprec.evaluation.ranking.RankingMetrics`; none
            where the training diverged.
        collapsed: why this training is no result: it diverged, or is no better than chance.
        started_ms: milliseconds since 1970.
        ended_ms: milliseconds since 1970.
        computed_on: what decides how its sums were rounded, see
            :func:`search.execution.runtime.computed_on`; empty for those of version 0.1.0.
    """

    trial: int
    parameters: Mapping[str, int | float]
    derived: Mapping[str, int | str] = field(default_factory=dict)
    epochs: int
    seed: int
    curve: tuple[CurvePoint, ...] = ()
    metrics: Mapping[str, float]
    collapsed: str | None = None
    started_ms: int
    ended_ms: int
    computed_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def layer_sizes(self) -> str:
        """The widths as text, such as ``(64, 32)``; empty where unknown."""
        return str(self.derived.get("layer_sizes", ""))


@dataclass(frozen=True, kw_only=True)
class ReferenceRecord:
    """What any model should beat, measured like a model.

    Attributes:
        name: such as ``popularity``.
        parameters: what was chosen for it on the validation rows.
        metrics: of validation rows and, once a model was tested, of test rows.
        measured_ms: milliseconds since 1970.
    """

    name: str
    parameters: Mapping[str, float]
    metrics: Mapping[str, float]
    measured_ms: int

    @property
    def title(self) -> str:
        """What people call it."""
        return reference_title(self.name)

    @property
    def test_metrics(self) -> Mapping[str, float]:
        """Those of the test rows alone."""
        return {name: each for name, each in self.metrics.items() if name.startswith("test_")}


def reference_title(name: str) -> str:
    """What people call a reference, such as ``damped mean`` or ``EASE``."""
    return _TITLES.get(name, name.replace("_", " "))


_TITLES = {"ease": "EASE", "ease_unseen": f"EASE ({SEEN_REMOVED})"}


@dataclass(frozen=True, kw_only=True)
class ConfirmationRecord:
    """What a confirmation found, in numbers and words.

    Attributes:
        trial: number of the winner.
        name: what people call it, such as ``trial 12 (64, 32)``.
        metrics: by name: means and standard deviations over the seeds, and the references'.
        lines: the verdict in words.
        confirmed_ms: milliseconds since 1970.
    """

    trial: int
    name: str
    metrics: Mapping[str, float]
    lines: tuple[str, ...]
    confirmed_ms: int
