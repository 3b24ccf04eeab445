"""A model that was trained again for good, as plain data for tracking and reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from search.trials import CurvePoint


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
        metrics: of the test rows: ``test_top_100_accuracy``, ``test_loss``.
        references: the same metrics of what any model must beat, by a name of their own, such as
            ``popularity_test_top_100_accuracy``.
        started_ms: milliseconds since 1970.
        ended_ms: milliseconds since 1970.
    """

    trial: int
    parameters: Mapping[str, int | float]
    derived: Mapping[str, int | str] = field(default_factory=dict)
    epochs: int
    seed: int
    curve: tuple[CurvePoint, ...] = ()
    metrics: Mapping[str, float]
    references: Mapping[str, float] = field(default_factory=dict)
    started_ms: int
    ended_ms: int

    @property
    def layer_sizes(self) -> str:
        """The widths as text, such as ``(64, 32)``; empty where unknown."""
        return str(self.derived.get("layer_sizes", ""))
