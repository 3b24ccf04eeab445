"""What a confirmation found, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from search.contenders import Contender
from search.noise import Sample
from search.retrained import RetrainRecord
from search.trials import OBJECTIVE_METRIC

TEST_METRIC = "test_top_100_accuracy"
UNSEEN_METRIC = "test_top_100_accuracy_unseen"

Results = Mapping[str, Mapping[str, float]]
"""Metrics by name, of each reference by its name."""

Validated = tuple[tuple[Contender, Sample], ...]
Tested = tuple[tuple[RetrainRecord, Path | None], ...]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The contenders over several seeds, and the winner's test.

    Attributes:
        validated: every contender with its validation accuracies, one a seed: the trials in the
            order in which the search ranks them, then the tutorial's model.
        tested: the winner's trainings on training and validation rows, with the towers of the
            first.
        references: metrics of the test rows, of what any model should beat.
    """

    validated: Validated
    tested: Tested
    references: Results

    @property
    def ranked(self) -> list[tuple[Contender, Sample]]:
        """The trials among the contenders, the highest mean first."""
        return ranked(self.validated)

    @property
    def winner(self) -> Contender:
        """The trial with the highest mean."""
        return self.ranked[0][0]

    @property
    def winner_validation(self) -> Sample:
        """Its validation accuracies."""
        return self.ranked[0][1]

    @property
    def tutorial(self) -> Sample:
        """The validation accuracies of the tutorial's own model."""
        return next(sample for contender, sample in self.validated if contender.trial is None)

    @property
    def test(self) -> Mapping[str, Sample]:
        """Every metric of the test rows over the seeds."""
        records = [record for record, _ in self.tested]
        return {
            name: Sample.of([record.metrics[name] for record in records])
            for name in records[0].metrics
        }

    @property
    def towers(self) -> Path | None:
        """The towers of the first seed: no test result chose them."""
        return self.tested[0][1]

    @property
    def value_of_search(self) -> float:
        """The validation value that won the search: the best of many, so a lucky one."""
        trial = self.winner.trial
        assert trial is not None
        assert trial.value is not None
        return trial.value

    @property
    def metrics(self) -> Mapping[str, float]:
        """All of it as numbers by name, for tracking."""
        validation = self.winner_validation
        over_seeds = {
            f"{name}_{part}": value
            for name, sample in {OBJECTIVE_METRIC: validation, **self.test}.items()
            for part, value in (("mean", sample.mean), ("std", sample.deviation))
            if value is not None
        }
        return {
            **over_seeds,
            f"tutorial_{OBJECTIVE_METRIC}_mean": self.tutorial.mean,
            "search_minus_validation": self.value_of_search - validation.mean,
            "search_minus_test": self.value_of_search - self.test[TEST_METRIC].mean,
            **{
                f"{reference}_{name}": value
                for reference, metrics in self.references.items()
                for name, value in metrics.items()
            },
        }


def ranked(validated: Validated) -> list[tuple[Contender, Sample]]:
    """The trials among contenders, the highest mean first, of equals the search's favorite."""
    trials = [pair for pair in validated if pair[0].trial is not None]
    return sorted(trials, key=lambda pair: -pair[1].mean)
