"""Which part of the search space is unstable: where trials diverged."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from itertools import groupby, pairwise

from search.config.dimensions import Bounds
from search.records.trials import TrialRecord, configuration_words, parameter_name

LEAST_SHARE = 0.5
"""A limit is worth a sentence where the share of diverged trials beyond it exceeds that of the
others by so much (Youden's J, 1 where it separates them all)."""

FIRST = "learning_rate"
"""Of limits that separate equally well, one of this parameter is named: it is the usual cause."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """One side of a limit of one parameter, where most of the diverged trials lie."""

    parameter: str
    limit: float  # a value that belongs to the region, in few digits
    is_above: bool  # whether the region is the limit and more; else the limit and less
    diverged: int
    others: int
    """How many trials diverged inside, and how many finished ones did not."""

    @property
    def words(self) -> str:
        """Such as ``learning rate 0.24 and more``."""
        way = "more" if self.is_above else "less"
        return f"{parameter_name(self.parameter)} {self.limit:g} and {way}"


def diverged_trials(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials whose training diverged."""
    return [trial for trial in trials if trial.state == "diverged"]


def unstable_region(trials: Iterable[TrialRecord], bounds: Mapping[str, Bounds]) -> Region | None:
    """The limit of one parameter that tells the diverged trials best from the other finished ones.

    None below two diverged trials, and where no limit has most of them on its side and few others.
    """
    finished = [trial for trial in trials if trial.is_finished]
    diverged = diverged_trials(finished)
    if len(diverged) < 2:
        return None
    found = [
        each
        for name in _open(bounds)
        for each in _limits(name, finished, is_continuous=bounds[name].is_continuous)
        if 2 * each.diverged > len(diverged)
    ]
    others = len(finished) - len(diverged)

    def separation(region: Region) -> float:
        return region.diverged / len(diverged) - region.others / max(others, 1)

    best = max(found, key=separation, default=None)
    return None if best is None or separation(best) < LEAST_SHARE or not others else best


def instability(trials: Sequence[TrialRecord], bounds: Mapping[str, Bounds]) -> list[str]:
    """How many trials diverged and where, in a sentence or two; nothing where none did."""
    diverged = diverged_trials(trials)
    if not diverged:
        return []
    finished = sum(trial.is_finished for trial in trials)
    words = f"{len(diverged)} of {finished} {'trial' if finished == 1 else 'trials'} diverged"
    region = unstable_region(trials, bounds)
    if region is None:
        apart = "no limit of one parameter tells them apart; they have "
        is_few = len(diverged) == 1 or len(diverged) == finished
        return [f"{words}: {'' if is_few else apart}{_where(diverged, bounds)}."]
    which = "all" if region.diverged == len(diverged) else f"{region.diverged} of them"
    beside = (
        "every trial there"
        if not region.others
        else (f"{region.diverged} of the {region.diverged + region.others} trials there")
    )
    return [f"{words}: {which} with {region.words}, {beside}. That part of the space is unstable."]


def _where(diverged: Sequence[TrialRecord], bounds: Mapping[str, Bounds]) -> str:
    """The only one's configuration, or the ranges of several, the usual cause first."""
    if len(diverged) == 1:
        [only] = diverged
        return f"trial {only.number} ({configuration_words(only)})"
    ranges = []
    for name in _open(bounds):
        known = [trial.parameters[name] for trial in diverged if name in trial.parameters]
        if len(known) == len(diverged):
            low, high = min(known), max(known)
            end = "" if low == high else f" to {high:.3g}"
            ranges.append(f"{parameter_name(name)} {low:.3g}{end}")
    return ", ".join(ranges)


def _open(bounds: Mapping[str, Bounds]) -> list[str]:
    """The parameters that have more than one value, the usual cause first."""
    names = [name for name, each in bounds.items() if each.low < each.high]
    return sorted(names, key=lambda name: name != FIRST)


def _limits(name: str, finished: Sequence[TrialRecord], *, is_continuous: bool) -> Iterator[Region]:
    """Every region of a parameter that begins with a diverged trial, from either end inward."""
    having = [trial for trial in finished if name in trial.parameters]
    for is_above in (True, False):
        ordered = sorted(having, key=lambda trial: trial.parameters[name], reverse=is_above)
        groups = [
            (float(value), [trial.state == "diverged" for trial in alike])
            for value, alike in groupby(ordered, key=lambda trial: trial.parameters[name])
        ]
        diverged = others = 0
        for (value, states), (beyond, _) in pairwise(groups):
            diverged += sum(states)
            others += len(states) - sum(states)
            if any(states):
                yield Region(
                    parameter=name,
                    limit=_in_few_digits(value, beyond) if is_continuous else value,
                    is_above=is_above,
                    diverged=diverged,
                    others=others,
                )


def _in_few_digits(inside: float, outside: float) -> float:
    """The shortest number from the one inside to the one outside, the latter excluded."""
    toward = ROUND_FLOOR if inside > outside else ROUND_CEILING
    for digits in range(1, 17):
        shortened = float(Context(prec=digits, rounding=toward).create_decimal(repr(inside)))
        if (shortened - outside) * (inside - outside) > 0:
            return shortened
    return inside
