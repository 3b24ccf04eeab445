"""What to be careful about before a study's result is believed: pure functions, in words."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from search.analysis.instability import instability
from search.analysis.noise import Deviation, noise_of_draws
from search.analysis.verdict import Leader
from search.config.dimensions import Bounds
from search.config.sections import (
    CmaesOptions,
    MedianOptions,
    PatientOptions,
    PercentileOptions,
    TpeOptions,
)
from search.config.study import StudySpec
from search.records.trials import TrialRecord, best_of, parameter_name, ranked

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
        trial
        for trial in trials
        if trial.state == "failed"
        and (trial.number if trial.retry_of is None else trial.retry_of) not in made_good
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
    return [
        f"{_numbered(near)} cannot be told from {which}, trial {best.number}, by what the search "
        f"saw: the difference is at most {apart:.4f}, the noise between two trainings whose "
        f"standard deviation over seeds is {spread.deviation:.4f}."
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
