"""The numbers a report begins with."""

from dataclasses import dataclass

from search.confirmation import TEST_METRIC
from search.report.facts import Facts
from search.report.words import duration
from search.trials import OBJECTIVE_METRIC

POPULARITY = "popularity"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A key number.

    Attributes:
        name: what it is.
        value: as text.
        note: a few words on it.
    """

    name: str
    value: str
    note: str


def hero(facts: Facts) -> list[Figure]:
    """Those that are known of: the best, the test, the tutorial's, popularity, trials, time."""
    found = [_best(facts), _test(facts), _enqueued(facts), _popularity(facts), _trials(facts)]
    return [*filter(None, found), _time(facts)]


def _best(facts: Facts) -> Figure | None:
    best = facts.best
    if best is None:
        return None
    note = f"validation, trial {best.number} {best.layer_sizes}".rstrip()
    return Figure(name="best of the search", value=f"{best.value:.4f}", note=note)


def _test(facts: Facts) -> Figure | None:
    sample = facts.tests.get(TEST_METRIC)
    if sample is None or facts.confirmation is None:
        return None
    seeds = len(sample.values)
    note = (
        f"{facts.confirmation.name}, mean of {seeds} seeds"
        if seeds > 1
        else facts.confirmation.name
    )
    return Figure(name="test", value=f"{sample.mean:.4f}", note=note)


def _enqueued(facts: Facts) -> Figure | None:
    trial = facts.enqueued_best
    if trial is None:
        return None
    note = f"{trial.reference}, validation"
    return Figure(name="best enqueued", value=f"{trial.value:.4f}", note=note)


def _popularity(facts: Facts) -> Figure | None:
    metrics = next((each.metrics for each in facts.references if each.name == POPULARITY), {})
    if OBJECTIVE_METRIC not in metrics:
        return None
    value, best = metrics[OBJECTIVE_METRIC], facts.best
    note = "needs no search, validation"
    if best is not None:
        note = f"validation; the best is {'above' if (best.value or 0.0) > value else 'below'} it"
    return Figure(name=POPULARITY, value=f"{value:.4f}", note=note)


def _trials(facts: Facts) -> Figure:
    states = [trial.state for trial in facts.trials]
    named = ("complete", "pruned", "failed", "interrupted", "running", "waiting")
    parts = [f"{states.count(state)} {state}" for state in named if state in states]
    finished = sum(trial.is_finished for trial in facts.trials)
    return Figure(
        name="finished trials",
        value=f"{finished} of {facts.context.trials}",
        note=", ".join(parts) or "none yet",
    )


def _time(facts: Facts) -> Figure:
    share = facts.cost.saved_share
    note = "while trials ran"
    if facts.cost.saved_epochs and share is not None:
        note = f"pruning saved about {share:.0%}"
    return Figure(name="time", value=duration(facts.cost.wall_seconds), note=note)
