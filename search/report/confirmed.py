"""What a confirmation left in a study's ledger: contenders over seeds, and tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from search.analysis.noise import Deviation, Sample
from search.analysis.verdict import Leader
from search.config.study import StudySpec
from search.confirmation.comparison import test_samples
from search.confirmation.contenders import (
    TUTORIAL,
    reference_contender,
    tutorial_contender,
)
from search.records.results import TEST_METRIC, ConfirmationRecord, RetrainRecord
from search.records.trials import TrialRecord, depth_of
from search.storage.results import (
    SECONDS,
    Ledger,
    kept_tests,
    kept_validations,
    validated_accuracy,
)

TRIAL = "trial-"

COLLAPSED = 0.5
"""A seed below this share of another one of its configuration is no noise."""


@dataclass(frozen=True, kw_only=True)
class ContenderResult:
    """A configuration that was trained with several seeds on the training rows.

    Attributes:
        trial: number of the trial; None for the study's reference configuration.
        layer_sizes: as text; empty where unknown.
        epochs: of each training.
        value_of_search: what the search saw; None for the reference.
        sample: validation top-100 accuracies, one a seed.
        name: for people, such as ``trial 12 (64, 32)``.
    """

    trial: int | None
    layer_sizes: str
    epochs: int
    value_of_search: float | None
    sample: Sample
    name: str

    @property
    def depth(self) -> int:
        """The number of layers; 0 where it is unknown."""
        return depth_of(self.layer_sizes)

    @property
    def is_unstable(self) -> bool:
        """Whether a training collapsed."""
        return not self.sample.is_stable

    @property
    def short_name(self) -> str:
        """For axes, such as ``trial 12``."""
        return "reference" if self.trial is None else f"trial {self.trial}"


def contender_results(
    ledger: Ledger, trials: Sequence[TrialRecord], spec: StudySpec
) -> list[ContenderResult]:
    """Every contender so far: stable trials, the highest mean first, unstable ones, the reference.

    Args:
        ledger: of the study.
        trials: all of the study.
        spec: its file.
    """
    values: dict[tuple[str, int], dict[int, float | None]] = {}
    for key, result in kept_validations(ledger).items():
        of_one = values.setdefault((key.contender, key.epochs), {})
        of_one[key.number] = validated_accuracy(result)
    by_number = {trial.number: trial for trial in trials}
    found = [_result(*which, of_one, by_number, spec) for which, of_one in values.items()]
    return sorted(
        found, key=lambda each: (each.trial is None, not each.sample.is_stable, -each.sample.mean)
    )


def _result(
    key: str,
    epochs: int,
    values: Mapping[int, float | None],
    trials: Mapping[int, TrialRecord],
    spec: StudySpec,
) -> ContenderResult:
    sample = Sample.of(_without_collapsed([values[seed] for seed in sorted(values)]))
    if not key.startswith(TRIAL):
        reference = tutorial_contender() if key == TUTORIAL else reference_contender(spec)
        return ContenderResult(
            trial=None,
            layer_sizes=str(reference.model.layer_sizes),
            epochs=epochs,
            value_of_search=None,
            sample=sample,
            name=reference.name,
        )
    number = int(key.removeprefix(TRIAL))
    trial = trials.get(number)
    layer_sizes = trial.layer_sizes if trial else ""
    return ContenderResult(
        trial=number,
        layer_sizes=layer_sizes,
        epochs=epochs,
        value_of_search=trial.value if trial else None,
        sample=sample,
        name=f"trial {number} {layer_sizes}".rstrip(),
    )


def _without_collapsed(values: Sequence[float | None]) -> list[float | None]:
    """The values with None for what collapsed; version 0.1.0 kept no mark of it."""
    highest = max((value for value in values if value is not None), default=0.0)
    return [None if value is None or value < COLLAPSED * highest else value for value in values]


def leader_of(
    contenders: Sequence[ContenderResult],
    confirmations: Sequence[ConfirmationRecord],
    trials: Iterable[TrialRecord],
) -> Leader | None:
    """The winner of a confirmation with the highest mean, stable ones first; None without any.

    Args:
        contenders: the highest mean first, see :func:`contender_results`.
        confirmations: the last of every winner.
        trials: all of the study.
    """
    winners = {each.trial for each in confirmations}
    rivals = {each.trial: each for each in contenders if each.trial is not None}
    won = sorted(
        (each for number, each in rivals.items() if number in winners),
        key=lambda each: each.is_unstable,
    )
    last = last_of(confirmations)
    if not won or last is None:
        return None
    first = won[0]
    assert first.trial is not None
    return Leader(
        number=first.trial,
        sample=first.sample,
        others={number: each.sample for number, each in rivals.items() if each is not first},
        newer=tuple(
            trial
            for trial in trials
            if trial.is_finished
            and (trial.ended_ms or 0) > last.confirmed_ms
            and trial.number not in rivals
        ),
    )


def last_of(confirmations: Iterable[ConfirmationRecord]) -> ConfirmationRecord | None:
    """The confirmation that was made last."""
    return max(confirmations, key=lambda each: each.confirmed_ms, default=None)


@dataclass(frozen=True, kw_only=True)
class TestedTrial:
    """A trial whose model was tested.

    Attributes:
        trial: its number.
        layer_sizes: as text; empty where unknown.
        metrics: of the test rows over the seeds, by name; those that every seed has.
    """

    trial: int
    layer_sizes: str
    metrics: Mapping[str, Sample]

    @property
    def name(self) -> str:
        """For people, such as ``trial 12 (64, 32)``."""
        return f"trial {self.trial} {self.layer_sizes}".rstrip()


def tested_trials(retrainings: Iterable[RetrainRecord]) -> list[TestedTrial]:
    """Every trial that was tested, the highest mean first."""
    by_trial: dict[int, list[RetrainRecord]] = {}
    for record in retrainings:
        by_trial.setdefault(record.trial, []).append(record)
    found = [
        TestedTrial(
            trial=number,
            layer_sizes=several[0].layer_sizes,
            metrics=test_samples(several),
        )
        for number, several in by_trial.items()
        if any(not record.collapsed for record in several)
    ]
    return sorted(found, key=lambda each: -each.metrics[TEST_METRIC].mean)


def seconds_spent(ledger: Ledger) -> float | None:
    """What all trainings of the confirmation took; None where there was none, or no clock."""
    spent = [result.get(SECONDS) for result in kept_validations(ledger).values()]
    spent += [(test.ended_ms - test.started_ms) / 1000 for test in kept_tests(ledger)]
    known = [seconds for seconds in spent if seconds is not None]
    return sum(known) if known and len(known) == len(spent) else None


def typical_deviation(results: Iterable[ContenderResult]) -> Deviation | None:
    """The standard deviation over seeds, pooled over contenders of two seeds and more.

    The square root of the mean of their variances, each weighed by its degrees of freedom. What
    collapsed with a seed is left out: how far it fell says nothing about the noise of the others.
    """
    known = [
        (each.sample.deviation, len(each.sample.values) - 1)
        for each in results
        if each.sample.deviation is not None and not each.is_unstable
    ]
    freedom = sum(degrees for _, degrees in known)
    if not freedom:
        return None
    squares: float = sum(deviation**2 * degrees for deviation, degrees in known)
    return Deviation(float((squares / freedom) ** 0.5), freedom)
