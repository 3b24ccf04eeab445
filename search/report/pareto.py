"""Which trials nobody beats with fewer parameters."""

from collections.abc import Iterable

from search.trials import TrialRecord


def parameter_count(trial: TrialRecord) -> int | None:
    """The parameters of both towers; None where that is not known."""
    count = trial.derived.get("parameter_count")
    return int(count) if count else None


def pareto_front(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete trials that no other beats with as many parameters or fewer, small to large.

    Of equals the earliest stays.
    """
    known = [
        (parameter_count(trial) or 0, -(trial.value or 0.0), trial.number, trial)
        for trial in trials
        if trial.state == "complete" and trial.value is not None and parameter_count(trial)
    ]
    front: list[TrialRecord] = []
    for _, negative, _, trial in sorted(known, key=lambda each: each[:3]):
        if not front or -negative > (front[-1].value or 0.0):
            front.append(trial)
    return front
