"""What a confirmation left in a study's ledger: contenders over seeds, and tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from search.analysis.noise import Deviation, Sample
from search.analysis.verdict import Leader
from search.config.study import StudySpec
from search.confirmation.comparison import test_samples
from search.confirmation.measuring import TUTORIAL, reference_contender, tutorial_contender
from search.records.results import ConfirmationRecord, RetrainRecord, test_metric
from search.records.trials import TrialRecord
from search.storage.results import (
    SECONDS,
    Ledger,
    ValidatedSeed,
    kept_tests,
    kept_validations,
)

TRIAL = "trial-"

COLLAPSED = 0.5  # a seed below this share of another one of its configuration is no noise


@dataclass(frozen=True, kw_only=True)
class ContenderResult:
    """A configuration that was trained with several seeds on the training rows."""

    name: str  # for people, such as ``trial 12 (64, 32)``
    trial: int | None  # number of the trial; None for the study's reference configuration
    layer_sizes: str  # as text; empty where unknown
    epochs: int
    value_of_search: float | None  # what the search saw; None for the reference
    sample: Sample  # validation top-100 accuracies, one a seed


def contender_results(
    ledger: Ledger, trials: Sequence[TrialRecord], spec: StudySpec
) -> list[ContenderResult]:
    """Every contender: stable trials, the highest mean first, unstable ones, the reference."""
    values: dict[tuple[str, int], dict[int, ValidatedSeed]] = {}
    for key, result in kept_validations(ledger).items():
        of_one = values.setdefault((key.contender, key.epochs), {})
        of_one[key.number] = ValidatedSeed.of(result)
    by_number = {trial.number: trial for trial in trials}
    found = [_result(*which, of_one, by_number, spec) for which, of_one in values.items()]
    return sorted(
        found, key=lambda each: (each.trial is None, not each.sample.is_stable, -each.sample.mean)
    )


def _result(
    key: str,
    epochs: int,
    seeds: Mapping[int, ValidatedSeed],
    trials: Mapping[int, TrialRecord],
    spec: StudySpec,
) -> ContenderResult:
    number = trial = None
    if key.startswith(TRIAL):
        number = int(key.removeprefix(TRIAL))
        trial = trials.get(number)
        layer_sizes = trial.layer_sizes if trial else ""
        name = f"trial {number} {layer_sizes}".rstrip()
    else:
        reference = tutorial_contender() if key == TUTORIAL else reference_contender(spec)
        name, layer_sizes = reference.name, str(reference.model.layer_sizes)
    return ContenderResult(
        name=name,
        trial=number,
        layer_sizes=layer_sizes,
        epochs=epochs,
        value_of_search=trial.value if trial else None,
        sample=_sample([seeds[number] for number in sorted(seeds)]),
    )


def _sample(seeds: Sequence[ValidatedSeed]) -> Sample:
    """The values with None for what collapsed; version 0.1.0 kept no mark of it."""
    highest = max((seed.value for seed in seeds if seed.value is not None), default=0.0)
    held = [
        None if seed.value is None or seed.value < COLLAPSED * highest else seed.value
        for seed in seeds
    ]
    return Sample.of(held, [seed.users for seed in seeds])


def leader_of(
    contenders: Sequence[ContenderResult],
    confirmations: Sequence[ConfirmationRecord],
    trials: Sequence[TrialRecord],
) -> Leader | None:
    """The winner of a confirmation with the highest mean, stable ones first; None without any.

    One that is above a limit of the study, which may be newer than the confirmation, is none.
    """
    infeasible = {trial.number for trial in trials if trial.infeasible}
    winners = {each.trial for each in confirmations} - infeasible
    samples = {each.trial: each.sample for each in contenders if each.trial is not None}
    last = last_of(confirmations)
    stable_first = sorted(samples, key=lambda trial: not samples[trial].is_stable)
    number = next((trial for trial in stable_first if trial in winners), None)
    if number is None or last is None:
        return None
    return Leader(
        number=number,
        sample=samples[number],
        others={other: sample for other, sample in samples.items() if other != number},
        newer=tuple(
            trial
            for trial in trials
            if trial.is_finished
            and (trial.ended_ms or 0) > last.confirmed_ms
            and trial.number not in samples
        ),
    )


def last_of(confirmations: Iterable[ConfirmationRecord]) -> ConfirmationRecord | None:
    """The confirmation that was made last."""
    return max(confirmations, key=lambda each: each.confirmed_ms, default=None)


@dataclass(frozen=True, kw_only=True)
class TestedTrial:
    """A trial whose model was tested."""

    name: str  # for people, such as ``trial 12 (64, 32)``
    trial: int
    # of the test rows over the seeds, by name; those that every seed has
    metrics: Mapping[str, Sample]
    # of the model of the first seed, see :attr:`search.records.results.RetrainRecord.index`
    index: Mapping[str, float]


def tested_trials(retrainings: Iterable[RetrainRecord]) -> list[TestedTrial]:
    """Every trial that was tested, the highest mean first."""
    by_trial: dict[int, list[RetrainRecord]] = {}
    for record in retrainings:
        by_trial.setdefault(record.trial, []).append(record)
    found = [
        TestedTrial(
            name=f"trial {number} {several[0].layer_sizes}".rstrip(),
            trial=number,
            metrics=test_samples(several),
            index=next((record.index for record in several if record.index), {}),
        )
        for number, several in by_trial.items()
        if any(not record.collapsed for record in several)
    ]
    return sorted(found, key=lambda each: -each.metrics[test_metric(each.metrics)].mean)


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
    With it comes the error over users of the difference of two of them, the mean of all pairs.
    """
    known = [
        (each.sample.deviation, len(each.sample.values) - 1)
        for each in results
        if each.sample.deviation is not None and each.sample.is_stable
    ]
    freedom = sum(degrees for _, degrees in known)
    if not freedom:
        return None
    squares: float = sum(deviation**2 * degrees for deviation, degrees in known)
    return Deviation(float((squares / freedom) ** 0.5), freedom, _error_over_users(results))


def _error_over_users(results: Iterable[ContenderResult]) -> float:
    known = [each.sample.users for each in results if each.sample.users and each.sample.is_stable]
    alike = [pair for pair in combinations(known, 2) if len(pair[0]) == len(pair[1])]
    errors = [one.error(other) or 0.0 for one, other in alike]
    return sum(errors) / max(len(errors), 1)
