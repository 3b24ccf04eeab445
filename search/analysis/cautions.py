"""What to be careful about before a study's result is believed: pure functions, in words."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from itertools import groupby, pairwise

from search.analysis.noise import Deviation, noise_of_draws
from search.analysis.verdict import Leader
from search.config.dimensions import Bounds
from search.config.strategies import (
    CmaesOptions,
    MedianOptions,
    PatientOptions,
    PercentileOptions,
    TpeOptions,
)
from search.config.study import StudySpec
from search.records.trials import (
    TrialRecord,
    best_of,
    configuration_words,
    counted,
    parameter_name,
    ranked,
)

EDGE_SHARE = 0.05  # a continuous value is at the edge within this share of its range, on its scale

MANY_FAILURES = 0.1
"""A share of failed trials, of those that ended by themselves, that is worth a word."""


def cautions(
    trials: Sequence[TrialRecord],
    spec: StudySpec,
    spread: Deviation | None = None,
    leader: Leader | None = None,
) -> list[str]:
    """Everything to be careful about, a sentence each, what matters most first.

    A confirmation gives the spread, how much one configuration's validation accuracy differs over
    seeds, and the leader, the trial that is best over them.
    """
    return [
        *many_failures(trials),
        *instability(trials, spec.space.bounds),
        *at_the_edge(trials, spec, leader),
        *within_noise(trials, spread, leader),
        *repetitions(trials),
        *too_few_trials(trials, spec),
    ]


def at_the_edge(
    trials: Sequence[TrialRecord], spec: StudySpec, leader: Leader | None = None
) -> list[str]:
    """The parameters of the best trial that lie at an end of the space, where more may be beyond.

    Hidden widths and the output's have one range; each end of it is named once. The best trial is
    the confirmed one, where there is one.
    """
    best = _holding(trials, leader)
    if best is None:
        return []
    found: dict[tuple[str, str], str] = {}
    for name, bounds in spec.space.bounds.items():
        value = best.parameters.get(name)
        end = "" if value is None else _end(float(value), bounds)
        if end:
            found.setdefault((bounds.key, end), f"{parameter_name(name)} = {value:.4g} ({end})")
    if not found:
        return []
    return [
        f"The {'confirmed' if leader else 'best'} trial, {best.number}, lies at the edge of the "
        f"space: {', '.join(found.values())}; a better value may lie beyond."
    ]


def _end(value: float, bounds: Bounds) -> str:
    """The end that a value lies at; empty inside, where there is no choice, or nothing beyond."""
    low, high = bounds.low, bounds.high
    if low >= high:
        return ""
    if bounds.is_logarithmic and low > 0 and value > 0:
        low, high, value = math.log(low), math.log(high), math.log(value)
    place = (value - low) / (high - low)
    margin = EDGE_SHARE if bounds.is_continuous else 0.0
    if place >= 1 - margin:
        return "high"
    return "low" if place <= margin and bounds.low != bounds.lowest else ""


def many_failures(trials: Sequence[TrialRecord]) -> list[str]:
    """That many trials failed, and the reason that most of them have.

    Those whose configuration finished when it ran again are left out.
    """
    made_good = {trial.retry_of for trial in trials if trial.is_finished}
    failed = [
        trial for trial in trials if trial.state == "failed" and trial.first_try not in made_good
    ]
    ended = len(failed) + sum(trial.is_finished for trial in trials)
    if not failed or len(failed) < MANY_FAILURES * ended:
        return []
    reasons = Counter(trial.reason for trial in failed if trial.reason)
    reason = reasons.most_common(1)[0] if reasons else None
    words = f"{len(failed)} of {ended} trials failed"
    if reason is not None:
        words += f", {reason[1]} of them with: {reason[0]}"
    return [f"{words.rstrip('.')}. What fails is not searched: the best may be among it."]


def repetitions(trials: Sequence[TrialRecord]) -> list[str]:
    """How many trials tried what another had tried; each was another seed, and no other choice."""
    finished = [frozenset(trial.parameters.items()) for trial in trials if trial.is_finished]
    different = len(set(finished))
    repeated = len(finished) - different
    words = (
        f"{repeated} of {len(finished)} trials {'repeats' if repeated == 1 else 'repeat'} a "
        f"configuration: {different} different ones were tried."
    )
    return [words] if repeated else []


def too_few_trials(trials: Sequence[TrialRecord], spec: StudySpec) -> Iterator[str]:
    """That pruner or sampler had too few trials to decide by."""
    complete = sum(trial.state == "complete" for trial in trials)
    finished = sum(trial.is_finished for trial in trials)
    pruner, sampler = spec.pruner, spec.sampler
    has_startup = MedianOptions | PercentileOptions | PatientOptions
    if isinstance(pruner, has_startup) and 0 < complete < pruner.startup_trials:
        yield (
            f"The pruner needs {pruner.startup_trials} complete trials before it decides and has "
            f"{complete}: no trial was given up yet."
        )
    if isinstance(sampler, TpeOptions | CmaesOptions) and 0 < finished <= sampler.startup_trials:
        yield (
            f"The sampler {sampler.name!r} starts with {sampler.startup_trials} trials without a "
            f"model of the results, and the study has {finished}: all were enqueued or drawn at "
            "random."
        )


def within_noise(
    trials: Sequence[TrialRecord], spread: Deviation | None, leader: Leader | None = None
) -> list[str]:
    """Which trials cannot be told from the best, or from the confirmed one where there is one.

    A trial is one draw of one seed, see :func:`search.analysis.noise.noise_of_draws`. Trials that
    were confirmed, too, are left out: their seeds say more.
    """
    best = _holding(trials, leader)
    others = [trial for trial in ranked(trials) if trial is not best]
    if best is None or best.value is None or not others:
        return []
    if spread is None and leader is None:
        gap = best.value - (others[0].value or 0.0)
        return [
            f"Trial {best.number} is ahead of trial {others[0].number} by {gap:.4f}, each trained "
            "with a single seed: that cannot be told from noise."
        ]
    if spread is None:
        return []
    apart = noise_of_draws(spread)
    confirmed = leader.others if leader else {}
    near = [
        trial.number
        for trial in others
        if best.value - (trial.value or 0.0) <= apart and trial.number not in confirmed
    ]
    if not near:
        return []
    which = "the confirmed one" if leader else "the best"
    users = f", and over users {spread.over_users:.4f}" if spread.over_users else ""
    return [
        f"{_numbered(near)} cannot be told from {which}, trial {best.number}, by what the search "
        f"saw: the difference is at most {apart:.4f}, the noise between two trainings whose "
        f"standard deviation over seeds is {spread.deviation:.4f}{users}."
    ]


def _holding(trials: Sequence[TrialRecord], leader: Leader | None) -> TrialRecord | None:
    """The trial that is best as far as is known: the confirmed one, or that of the search."""
    if leader is None:
        return best_of(trials)
    return next((trial for trial in trials if trial.number == leader.number), None)


def _numbered(numbers: Sequence[int], shown: int = 5) -> str:
    if len(numbers) == 1:
        return f"Trial {numbers[0]}"
    listed = ", ".join(map(str, numbers[:shown]))
    more = f" and {len(numbers) - shown} more" if len(numbers) > shown else ""
    return f"Trials {listed}{more}"


# --- which part of the space is unstable: where trials diverged ------------------------------

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
    words = f"{len(diverged)} of {counted(finished, 'trial')} diverged"
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
