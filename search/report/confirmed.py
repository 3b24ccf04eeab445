"""What a confirmation left in a study's ledger: contenders over seeds, and tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from search.contenders import TUTORIAL, tutorial_contender
from search.depths import depth_of
from search.kept_results import SECONDS, VALIDATION, kept_tests
from search.ledger import Ledger
from search.noise import Sample
from search.retrained import ConfirmationRecord, RetrainRecord
from search.trials import OBJECTIVE_METRIC, TrialRecord

TRIAL = "trial-"


@dataclass(frozen=True, kw_only=True)
class ContenderResult:
    """A configuration that was trained with several seeds on the training rows.

    Attributes:
        trial: number of the trial; None for the tutorial's own model.
        layer_sizes: as text; empty where unknown.
        epochs: of each training.
        value_of_search: what the search saw; None for the tutorial's own model.
        sample: validation top-100 accuracies, one a seed.
    """

    trial: int | None
    layer_sizes: str
    epochs: int
    value_of_search: float | None
    sample: Sample

    @property
    def name(self) -> str:
        """For people, such as ``trial 12 (64, 32)``."""
        if self.trial is None:
            return f"the tutorial's {self.layer_sizes}"
        return f"trial {self.trial} {self.layer_sizes}".rstrip()

    @property
    def depth(self) -> int:
        """The number of layers; 0 where it is unknown."""
        return depth_of(self.layer_sizes)

    @property
    def short_name(self) -> str:
        """For axes, such as ``trial 12``."""
        return TUTORIAL if self.trial is None else f"trial {self.trial}"


def contender_results(ledger: Ledger, trials: Sequence[TrialRecord]) -> list[ContenderResult]:
    """Every contender so far: the trials, the highest mean first, then the tutorial's model.

    Args:
        ledger: of the study.
        trials: all of the study.
    """
    values: dict[tuple[str, int], dict[int, float]] = {}
    for name, result in ledger.starting_with(VALIDATION).items():
        key, epochs, number = name.rsplit(":", 2)
        of_one = values.setdefault((key, int(epochs)), {})
        of_one[int(number)] = float(result[OBJECTIVE_METRIC])
    by_number = {trial.number: trial for trial in trials}
    found = [_result(*which, of_one, by_number) for which, of_one in values.items()]
    return sorted(found, key=lambda each: (each.trial is None, -each.sample.mean))


def _result(
    key: str, epochs: int, values: Mapping[int, float], trials: Mapping[int, TrialRecord]
) -> ContenderResult:
    is_tutorial = key == TUTORIAL
    number = None if is_tutorial else int(key.removeprefix(TRIAL))
    trial = None if number is None else trials.get(number)
    layer_sizes = str(tutorial_contender().model.layer_sizes) if is_tutorial else ""
    return ContenderResult(
        trial=number,
        layer_sizes=layer_sizes if trial is None else trial.layer_sizes,
        epochs=epochs,
        value_of_search=None if trial is None else trial.value,
        sample=Sample.of([values[seed] for seed in sorted(values)]),
    )


def last_of(confirmations: Iterable[ConfirmationRecord]) -> ConfirmationRecord | None:
    """The confirmation that was made last."""
    return max(confirmations, key=lambda each: each.confirmed_ms, default=None)


def test_samples(retrainings: Iterable[RetrainRecord], trial: int | None) -> dict[str, Sample]:
    """Every metric of the test rows of a trial over its seeds, by name."""
    records = [record for record in retrainings if record.trial == trial]
    names = records[0].metrics if records else {}
    return {name: Sample.of([record.metrics[name] for record in records]) for name in names}


def seconds_spent(ledger: Ledger) -> float | None:
    """What all trainings of the confirmation took; None where there was none, or no clock."""
    validations = ledger.starting_with(VALIDATION).values()
    spent = [result.get(SECONDS) for result in validations]
    spent += [(test.ended_ms - test.started_ms) / 1000 for test in kept_tests(ledger)]
    known = [seconds for seconds in spent if seconds is not None]
    return sum(known) if known and len(known) == len(spent) else None


def typical_deviation(results: Iterable[ContenderResult]) -> float | None:
    """The standard deviation over seeds, pooled over contenders of two seeds and more.

    The square root of the mean of their variances, each weighed by its degrees of freedom.
    """
    known = [
        (each.sample.deviation, len(each.sample.values) - 1)
        for each in results
        if each.sample.deviation is not None
    ]
    freedom = sum(degrees for _, degrees in known)
    if not freedom:
        return None
    squares: float = sum(deviation**2 * degrees for deviation, degrees in known)
    return float((squares / freedom) ** 0.5)
