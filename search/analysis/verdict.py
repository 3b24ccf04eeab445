"""What a study has reached, in words, and which model is the champion: pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from search.analysis.noise import Difference, Estimate, Sample, Spread, compare, difference
from search.records.results import UNSEEN, ReferenceRecord, UserResults
from search.records.trials import (
    TUTORIAL_OBJECTIVE,
    TrialRecord,
    TrialState,
    all_reached,
    best_of,
    counted,
    front_of,
    measure_words,
    objective_in,
    objective_words,
    short_measure,
)


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


ENDED: tuple[TrialState, ...] = ("complete", "pruned", "diverged", "failed", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Leader:
    """The trial that is best over several seeds, and its validation accuracies."""

    number: int
    sample: Sample
    others: Mapping[int, Sample] = field(default_factory=dict)
    """The same of the other trials that were confirmed, the highest mean first."""

    newer: tuple[TrialRecord, ...] = ()
    """Finished trials that ended after the last confirmation, and were not trained again."""

    @property
    def is_unstable(self) -> bool:
        """Whether it collapsed with one of its seeds."""
        return not self.sample.is_stable


def validated_references(references: Iterable[ReferenceRecord]) -> dict[str, Estimate]:
    """The references that trials can be compared with, by a name for people."""
    return {
        reference.title: Estimate.of_reference(reference, name)
        for reference in references
        if not reference.name.endswith(UNSEEN) and (name := objective_in(reference.metrics))
    }


def verdict(
    trials: Sequence[TrialRecord],
    references: Mapping[str, Estimate],
    leader: Leader | None = None,
    *,
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
) -> list[str]:
    """What holds now, a sentence or two an item: counts, the best, and where it stands.

    A confirmation outweighs the search: its mean over seeds is named first, and is what is held
    against the references, which are validation values of what needs no search, by name. A trial
    is a single training, which says nothing of noise.
    """
    counts = _counts(trials)
    best = best_of(trials)
    objective, front = objectives[0], front_words(trials, objectives)
    if leader is not None:
        return [
            f"{counts}. {_confirmed(leader, objective)}{_highest_single(leader, best, objective)}.",
            *front,
            *_newer(leader, objective),
            *_confirmed_against_references(leader, references),
        ]
    if best is None or best.value is None:
        none = "No trial is complete"
        if any(trial.state == "complete" for trial in trials):
            none += " within the limits"
        return [f"{counts}. {none}, so there is no best one."]
    return [
        f"{counts}. Trial {best.number} is the best: {_reached(best.value, objective)}"
        f"{_against_enqueued(trials, best, objective)}.",
        *front,
        *_against_references(best.value, references),
    ]


def front_words(trials: Iterable[TrialRecord], objectives: Sequence[str]) -> list[str]:
    """The size and the ends of the Pareto front, in a sentence; nothing of one objective."""
    front = front_of(trials, objectives) if len(objectives) > 1 else []
    if not front:
        return []
    names = listed([objective_words(name) for name in objectives])
    ends = " to ".join(
        f"trial {trial.number} ({', '.join(all_reached(trial, objectives).values())})"
        for trial in (front[0], front[-1])[: len(front)]
    )
    return [f"The Pareto front of {names} has {counted(len(front), 'trial')}: {ends}."]


def _reached(value: float, objective: str) -> str:
    if objective == TUTORIAL_OBJECTIVE:
        return f"{value:.1%} of the five-star validation ratings are in its top 100"
    return f"{measure_words(objective.removeprefix('val_'))} {value:.4f} on the validation rows"


def _confirmed(leader: Leader, objective: str) -> str:
    """What the seeds say of the leader; a trial that was alone, or had one seed, is no best one."""
    name, values = f"Trial {leader.number}", leader.sample.values
    if leader.is_unstable:
        return (
            f"{name} does not hold: {leader.sample.collapsed} of its {leader.sample.seeds} "
            "trainings diverged or ended no better than chance"
        )
    mean = _reached(leader.sample.mean, objective)
    if len(values) == 1:
        return f"{name} was trained again with one seed: {mean}"
    if not leader.others:
        return f"{name}, the only trial with {len(values)} seeds, holds: on average {mean}"
    stable = [each for each in leader.others.items() if each[1].is_stable]
    closest = stable[0][1].estimate if stable else None
    if closest is None or difference(leader.sample.estimate, closest).is_above:
        return f"{name} is confirmed best over {len(values)} seeds: on average {mean}"
    return (
        f"{name} is best over {len(values)} seeds, within the noise of trial {stable[0][0]}: on "
        f"average {mean}"
    )


def _highest_single(leader: Leader, best: TrialRecord | None, objective: str) -> str:
    """The trial that the search itself prefers, and what became of it."""
    if best is None or best.value is None:
        return ""
    value = _figure(best.value, objective)
    if best.number == leader.number:
        return f"; the search saw {value}"
    words = f". Trial {best.number} had the highest single value of the search, {value}"
    sample = leader.others.get(best.number)
    if sample is not None and not sample.is_stable:
        return f"{words}, but {sample.collapsed} of its {sample.seeds} trainings collapsed"
    if sample is not None:
        return f"{words}, and {_figure(sample.mean, objective)} on average over its seeds"
    return f"{words}, and was not trained again"


def _newer(leader: Leader, objective: str) -> list[str]:
    """That trials ended after the confirmation, and whether one of them should be confirmed."""
    count = len(leader.newer)
    if not count:
        return []
    words = f"{count} {'trial is' if count == 1 else 'trials are'} newer than the confirmation"
    best = best_of(leader.newer)
    if best is None:
        return [f"{words}; {'it is not' if count == 1 else 'none of them is'} complete."]
    assert best.value is not None, "a best trial is complete"
    value = _figure(best.value, objective)
    return [f"{words}; the best of them, trial {best.number} ({value}), was no part of it."]


def _figure(value: float, objective: str) -> str:
    """The tutorial's accuracy in percent; any other metric as tables have it."""
    return f"{value:.1%}" if objective == TUTORIAL_OBJECTIVE else f"{value:.4f}"


def _against_references(value: float, references: Mapping[str, Estimate]) -> list[str]:
    """Where a single training stands beside what needs no search; nothing if that is unknown."""
    if not references:
        return []
    not_below = [name for name, other in references.items() if other.mean >= value]
    if not_below:
        return [f"It is NOT above {without_search(not_below)}."]
    return [
        f"It is above every reference ({listed(list(references))}) with one seed; whether by more "
        "than the noise is what search.retrain finds out."
    ]


def _confirmed_against_references(leader: Leader, references: Mapping[str, Estimate]) -> list[str]:
    """Whether what was confirmed beats what needs no search by more than the noise."""
    found = compare(leader.sample.estimate, references)
    if not found or not leader.sample.values:
        return []
    if all(each.p is None for each in found.values()):
        return _against_references(leader.sample.mean, references)
    not_beaten = [name for name, each in found.items() if not each.is_above]
    closest = min(found, key=lambda name: found[name].mean)
    words = f"against {closest}: {found[closest].words}"
    if not_beaten:
        beaten = without_search(not_beaten)
        return [f"It is NOT better than {beaten}, by more than the noise ({words})."]
    names = listed(list(references))
    return [f"It is better than every reference by more than the noise: {names} ({words})."]


def _counts(trials: Sequence[TrialRecord]) -> str:
    """How many trials have ended, and how; complete and pruned are named even if there is none."""
    by_state = {state: sum(trial.state == state for trial in trials) for state in ENDED}
    named = [
        f"{count} {state}"
        for state, count in by_state.items()
        if count or state in ("complete", "pruned")
    ]
    total = sum(by_state.values())
    over = sum(bool(trial.infeasible) for trial in trials if trial.is_finished)
    infeasible = f"; {over} of them infeasible, above a limit of the study" if over else ""
    return f"{counted(total, 'trial')}: {', '.join(named)}{infeasible}"


def _against_enqueued(trials: Sequence[TrialRecord], best: TrialRecord, objective: str) -> str:
    """Where the best stands among the configurations that the study file enqueues."""
    reference = best_of(trial for trial in trials if trial.reference)
    if reference is None or reference.value is None:
        return ""
    if reference.number == best.number:
        return f'; the study file enqueues it as "{reference.reference}"'
    value = _figure(reference.value, objective)
    return f'; the best that the study file enqueues, "{reference.reference}", has {value}'
