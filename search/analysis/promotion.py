"""Which model is the champion: the present one, or the one that has just been confirmed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from search.analysis.noise import Difference, Estimate, Sample, Spread, difference
from search.records.trials import short_measure
from search.records.users import UserResults


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """What a model was found to be worth on the test rows: its accuracy over several seeds."""

    mean: float
    deviation: float | None
    seeds: int  # 0 where the one model was measured again, as it is
    data_fingerprint: str
    split: str  # how the rows were divided: other test rows are another test, as are other data
    metric: str = "test_top_100_accuracy"  # what was measured
    # the same of each user, or group of users; None for what earlier versions confirmed
    users: UserResults | None = field(default=None, compare=False)
    # the latest time of the rows that the model was trained on, in the data's unit; None for what
    # earlier versions confirmed
    trained_until: int | None = None

    @property
    def estimate(self) -> Estimate:
        """The mean with its errors."""
        spread = Spread(self.deviation, self.seeds) if self.seeds else None
        return Estimate(self.mean, spread, self.users)

    @property
    def measure(self) -> str:
        """What the mean is of: ``nDCG@10``; MovieLens's is plain ``accuracy``."""
        return short_measure(self.metric)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a confirmation found of a model, beside its test."""

    collapsed: int
    trainings: int
    """Trainings for validation and for the test, and how many of them collapsed."""

    chance: float  # the test accuracy of a random order, in 0..1
    validation: Sample | None = None
    reference: Sample | None = None
    """Validation accuracies; of the study's reference None where the model is that, of both where
    the configuration is the champion's."""

    reference_name: str = ""
    not_beaten: Sequence[str] = ()
    """References that need no search and that the test does not beat by more than the noise."""


@dataclass(frozen=True)
class Decision:
    """Whether the new model becomes the champion, and why, in a sentence."""

    promote: bool
    reason: str


def decide(
    new: Confirmed, evidence: Evidence, champion: Confirmed | None, choice: bool | None = None
) -> Decision:
    """Whether a model becomes the champion.

    It does where none of its trainings collapsed, and where it beats chance, the study's reference
    configuration and the champion, if there is one, each by more than the noise
    (:mod:`search.analysis.noise`). References that need no search do not decide; they are named.
    What the user has chosen, ``--promote`` or ``--no-promote``, overrules it.
    """
    found = _refused(new, evidence) or _compare(new, champion)
    if evidence.not_beaten:
        also = f"it does not beat {without_search(evidence.not_beaten)}"
        found = Decision(found.promote, f"{found.reason}; {also}")
    if choice is None or choice == found.promote:
        return found
    flag = "--promote" if choice else "--no-promote"
    return Decision(choice, f"{flag} was given; {found.reason}")


def _refused(new: Confirmed, evidence: Evidence) -> Decision | None:
    """Why a model cannot be the champion, whatever the present one is; None if it can."""
    if evidence.collapsed:
        return Decision(
            False, f"unstable: {evidence.collapsed} of {evidence.trainings} trainings collapsed"
        )
    above_chance = f"test {new.measure} {new.mean:.4f} against {evidence.chance:.4f} of chance"
    found = difference(new.estimate, evidence.chance)
    if found.p is None:
        return Decision(
            False, f"{above_chance}, and a single seed leaves the noise unknown; give more --seeds"
        )
    if not found.is_above:
        return Decision(False, f"{above_chance}: {_not_better(found)}")
    if evidence.reference is None or evidence.validation is None:
        return None
    found = difference(evidence.validation.estimate, evidence.reference.estimate)
    if found.is_above:
        return None
    return Decision(
        False,
        f"validation {new.measure} {evidence.validation} against {evidence.reference} of "
        f"{evidence.reference_name}: {_not_better(found)}",
    )


def _compare(new: Confirmed, champion: Confirmed | None) -> Decision:
    if champion is None:
        return Decision(True, "there was no champion")
    test, tested = new.data_fingerprint, champion.data_fingerprint
    if tested != test:
        other = f"other data ({tested[:8]}, not {test[:8]})"
        return Decision(False, f"not comparable: the champion was tested on {other}")
    if champion.split != new.split:
        other = f"another split ({champion.split}, not {new.split})"
        return Decision(False, f"not comparable: the champion was tested on {other}")
    if champion.metric != new.metric:
        other = f"another metric ({champion.measure}, not {new.measure})"
        return Decision(False, f"not comparable: the champion was tested on {other}")
    both = f"mean test {new.measure} {new.mean:.4f} against the champion's {champion.mean:.4f}"
    found = difference(new.estimate, champion.estimate)
    if found.is_above:
        return Decision(True, f"{both}: better by more than the noise ({found.words})")
    return Decision(False, f"{both}: {_not_better(found)}")


def _not_better(found: Difference) -> str:
    if found.p is None or found.mean <= 0:
        return "not better"
    return f"not better by more than the noise ({found.words})"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Such as ``one, two and three``; empty for none."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def without_search(names: Sequence[str]) -> str:
    """Such as ``one and two, which need no search``."""
    return f"{listed(names)}, which {'needs' if len(names) == 1 else 'need'} no search"
