"""What a confirmation found, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.analysis.noise import Sample, beats
from search.confirmation.contenders import Contender
from search.records.results import TEST_METRIC, RetrainRecord
from search.records.trials import OBJECTIVE_METRIC

UNSEEN_METRIC = f"{TEST_METRIC}_unseen"

TUNED_FOR_OTHERS: Mapping[str, tuple[str, ...]] = {
    TEST_METRIC: ("ease_unseen",),
    UNSEEN_METRIC: ("ease",),
}
"""The metrics by which references are judged, each with those that were tuned for the other."""

Results = Mapping[str, Mapping[str, float]]
"""Metrics by name, of each reference by its name."""

Validated = tuple[tuple[Contender, Sample], ...]
Tested = tuple[tuple[RetrainRecord, Path | None], ...]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The contenders over several seeds, and the winner's test.

    Attributes:
        validated: every contender with its validation accuracies, one a seed: the trials in the
            order in which the search ranks them, then the reference configuration.
        tested: the winner's trainings on training and validation rows, with the towers of the
            first.
        references: metrics of the test rows, of what any model should beat.
    """

    validated: Validated
    tested: Tested
    references: Results

    @property
    def ranked(self) -> list[tuple[Contender, Sample]]:
        """The trials among the contenders, see :func:`ranked`."""
        return ranked(self.validated)

    @property
    def winner(self) -> Contender:
        """The stable trial with the highest mean."""
        return self.ranked[0][0]

    @property
    def winner_validation(self) -> Sample:
        """Its validation accuracies."""
        return self.ranked[0][1]

    @property
    def reference(self) -> tuple[Contender, Sample]:
        """The reference configuration and its validation accuracies."""
        return next(pair for pair in self.validated if pair[0].trial is None)

    @property
    def test(self) -> Mapping[str, Sample]:
        """Every metric of the test rows over the seeds; nothing where all trainings collapsed."""
        return test_samples([record for record, _ in self.tested])

    @property
    def not_beaten(self) -> Mapping[str, list[str]]:
        """The references that the test does not beat by more than the noise, by metric."""
        return {
            metric: [
                name
                for name, metrics in self.references.items()
                if name not in TUNED_FOR_OTHERS[metric] and not beats(sample, metrics[metric])
            ]
            for metric, sample in self.test.items()
            if metric in TUNED_FOR_OTHERS
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
        reference, of_reference = self.reference
        test = self.test.get(TEST_METRIC)
        over_seeds = {
            f"{name}_{part}": value
            for name, sample in {OBJECTIVE_METRIC: validation, **self.test}.items()
            for part, value in (("mean", sample.mean), ("std", sample.deviation))
            if value is not None
        }
        return {
            **over_seeds,
            f"{reference.key}_{OBJECTIVE_METRIC}_mean": of_reference.mean,
            "search_minus_validation": self.value_of_search - validation.mean,
            **({} if test is None else {"search_minus_test": self.value_of_search - test.mean}),
            **{
                f"{reference}_{name}": value
                for reference, metrics in self.references.items()
                for name, value in metrics.items()
            },
        }


def ranked(validated: Validated) -> list[tuple[Contender, Sample]]:
    """The trials among contenders: stable ones first, the highest mean first.

    One is unstable if a training of it collapsed. Of equals the search's favorite comes first.
    """
    trials = [pair for pair in validated if pair[0].trial is not None]
    return sorted(trials, key=lambda pair: (not pair[1].is_stable, -pair[1].mean))


def test_samples(records: Sequence[RetrainRecord]) -> dict[str, Sample]:
    """Every metric of the test rows over the seeds of one configuration, by name.

    Studies of earlier versions lack some; those that a seed lacks are left out.
    """
    held = [record for record in records if not record.collapsed]
    first = held[0].metrics if held else {}
    names = [name for name in first if all(name in record.metrics for record in held)]
    collapsed = len(records) - len(held)
    return {
        name: Sample(tuple(record.metrics[name] for record in held), collapsed) for name in names
    }
