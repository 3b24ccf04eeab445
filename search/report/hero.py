"""The numbers a report begins with."""

from dataclasses import dataclass

from search.report.facts import Facts
from search.report.words import duration
from search.retrained import TEST_METRIC
from search.trials import OBJECTIVE_METRIC
from search.verdict import ENDED

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
    """Those that are known of: what holds over seeds, its test, the best value, starts, cost."""
    found = [_confirmed(facts), _test(facts), _best(facts), _enqueued(facts), _popularity(facts)]
    return [*filter(None, found), _trials(facts), _time(facts)]


def _confirmed(facts: Facts) -> Figure | None:
    leader = facts.leader
    if leader is None:
        return None
    seeds = _seeds(len(leader.sample.values))
    name = "unstable" if leader.is_unstable else "confirmed best" if leader.others else "confirmed"
    value = f"{leader.sample.mean:.4f}"
    return Figure(name=name, value=value, note=f"validation, trial {leader.number}, {seeds}")


def _best(facts: Facts) -> Figure | None:
    best = facts.best
    if best is None:
        return None
    name = "best of the search" if facts.leader is None else "highest single value"
    note = f"validation, trial {best.number} {best.layer_sizes}".rstrip()
    return Figure(name=name, value=f"{best.value:.4f}", note=f"{note}, one seed")


def _test(facts: Facts) -> Figure | None:
    tested = next(
        (each for each in facts.tested if facts.leader and each.trial == facts.leader.number), None
    )
    if tested is None:
        return None
    sample = tested.metrics[TEST_METRIC]
    note = f"{tested.name}, {_seeds(len(sample.values))}"
    return Figure(name="test", value=f"{sample.mean:.4f}", note=note)


def _seeds(count: int) -> str:
    return f"mean of {count} seeds" if count > 1 else "one seed"


def _enqueued(facts: Facts) -> Figure | None:
    trial = facts.enqueued_best
    if trial is None:
        return None
    note = f'"{trial.reference}" of the study file, validation, one seed'
    return Figure(name="best starting point", value=f"{trial.value:.4f}", note=note)


def _popularity(facts: Facts) -> Figure | None:
    metrics = next((each.metrics for each in facts.references if each.name == POPULARITY), {})
    if OBJECTIVE_METRIC not in metrics:
        return None
    value = metrics[OBJECTIVE_METRIC]
    note = "needs no search, validation"
    which, own = "best", facts.best.value if facts.best else None
    if facts.leader is not None:
        which, own = "confirmed one", facts.leader.sample.mean
    if own is not None:
        note = f"validation; the {which} is {'above' if own > value else 'not above'} it"
    return Figure(name=POPULARITY, value=f"{value:.4f}", note=note)


def _trials(facts: Facts) -> Figure:
    states = [trial.state for trial in facts.trials]
    named = (*ENDED, "running", "waiting")
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
