"""What pictures show, in words: the finding first, then how to read them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean, median

from search.analysis.instability import diverged_trials
from search.analysis.noise import Sample, beats
from search.records.trials import TrialRecord, best_by_depth, best_of, ranked
from search.report.facts import Facts
from search.report.style import depth_name, readable


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


TOP_SHARE = 0.2
"""The share of the complete trials that counts as the top."""


def top_trials(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best fifth of the complete trials, best first; at least one if there is any."""
    complete = ranked(trials)
    return complete[: max(1, round(TOP_SHARE * len(complete)))]


def curves_finding(trials: Sequence[TrialRecord], diverged: Sequence[TrialRecord] = ()) -> str:
    """Which depth goes highest, and when the others were cut.

    Args:
        trials: finished and validated.
        diverged: trials whose training diverged.
    """
    best = best_by_depth(trials)
    order = sorted(best.items(), key=lambda item: -(item[1].value or 0.0))
    reached = ", ".join(
        f"{depth_name(depth)} {trial.value:.4f} (trial {trial.number})" for depth, trial in order
    )
    words = f"The best trial of each depth reaches: {reached}."
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.pruned_at_epoch]
    if pruned:
        at = median(trial.pruned_at_epoch or 0 for trial in pruned)
        words += (
            f" {_counted(len(pruned), 'trial')} {_were(len(pruned))} pruned, half of them by epoch "
            f"{at:g}: dotted lines that end in a cross."
        )
    if diverged:
        words += (
            f" {_counted(len(diverged), 'trial')} diverged: red crosses, at the foot where "
            "the training was never validated."
        )
    return words + " The thick line is the best trial of its depth."


def history_finding(facts: Facts) -> str:
    """When the best was found, and how long nothing better came."""
    best = facts.best
    if best is None:
        return "No trial is complete, so there is no best one."
    after = sum(trial.number > best.number and trial.is_finished for trial in facts.trials)
    words = f"The highest single value, {best.value:.4f}, came with trial {best.number}"
    words += (
        f"; {_counted(after, 'finished trial')} after it did not reach it."
        if after
        else ", the last one: more trials may find better."
    )
    return words + " The line is the best complete trial so far."


def importance_finding(importances: Mapping[str, float]) -> str:
    """Which parameters decide most."""
    (first, share), *others = importances.items()
    words = (
        f"The {readable(first)} tells the best trials from the rest more than others: {share:.0%}"
    )
    if others:
        words += f", before the {readable(others[0][0])} with {others[0][1]:.0%}"
    return (
        f"{words}. Shares of PED-ANOVA over the complete trials; they say where the best trials "
        "cluster, not which value is best."
    )


def parallel_finding(trials: Sequence[TrialRecord]) -> str:
    """What the top trials have in common."""
    top = top_trials(trials)
    if not top:
        return "No trial is complete, so no trial is a top one."
    names = [name for name in top[0].parameters if all(name in trial.parameters for trial in top)]
    ranges = [_range_of(name, [float(trial.parameters[name]) for trial in top]) for name in names]
    return (
        f"The {_counted(len(top), 'best complete trial')} (the top {TOP_SHARE:.0%}) "
        f"{'has' if len(top) == 1 else 'have'}: {', '.join(ranges)}. Each line is a finished "
        f"trial{', a red one diverged' if diverged_trials(trials) else ''}; on a wide screen, drag "
        "along an axis to keep the trials in that range."
    )


def _range_of(name: str, values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{readable(name)} {low:.3g}" + ("" if low == high else f" to {high:.3g}")


def slice_finding(name: str, trials: Sequence[TrialRecord]) -> str:
    """Where the top trials lie on one axis, or the mean of each value of one with few."""
    complete = [trial for trial in trials if trial.state == "complete" and name in trial.parameters]
    if not complete:
        return "No complete trial has this parameter."
    top = [float(trial.parameters[name]) for trial in top_trials(complete)]
    best = best_of(complete)
    assert best is not None
    span = _range_of("", top).strip()
    words = f"The top {TOP_SHARE:.0%} {'lies at' if min(top) == max(top) else 'lie at'} {span}"
    means = _means(name, complete) if isinstance(best.parameters[name], int) else {}
    if len(means) > 1:
        value, mean = max(means.items(), key=lambda item: item[1])
        words += (
            f"; of the values with several complete trials {value:g} has the best mean, {mean:.4f}"
        )
    return f"{words}; the trial with the highest value has {float(best.parameters[name]):.3g}."


def _means(name: str, trials: Sequence[TrialRecord]) -> dict[float, float]:
    """The mean of each value that several trials have."""
    ordered = sorted(trials, key=lambda trial: trial.parameters[name])
    values = {
        float(value): [trial.value or 0.0 for trial in alike]
        for value, alike in groupby(ordered, key=lambda trial: trial.parameters[name])
    }
    return {value: fmean(several) for value, several in values.items() if len(several) > 1}


def size_finding(trials: Sequence[TrialRecord]) -> str:
    """What the smallest and the best of the front have."""
    front = pareto_front(trials)
    if not front:
        return "No complete trial has a known number of parameters."
    small, best = front[0], front[-1]
    words = (
        f"The trial with the highest value, {best.number}, has {parameter_count(best):,} "
        f"parameters and {best.value:.4f}"
    )
    if small is not best:
        words += (
            f"; trial {small.number}, the smallest, has {parameter_count(small):,} "
            f"and {small.value:.4f}"
        )
    numbers = ", ".join(str(trial.number) for trial in front)
    return (
        f"{words}. The line joins the trials that none beats with as few parameters "
        f"(the Pareto front): {numbers}."
    )


def confirmation_finding(facts: Facts) -> str:
    """Who leads over the seeds, and whether by more than noise."""
    trials = [each for each in facts.contenders if each.trial is not None]
    tutorial = next((each for each in facts.contenders if each.trial is None), None)
    if not trials:
        return "No trial was trained with several seeds yet."
    stable = [each for each in trials if not each.is_unstable]
    first, *others = stable or trials
    second = others[0] if stable and others else None
    words = [f"{first.name} has the highest mean over its seeds, {first.sample}"]
    words += [
        f"it is {_against(first.sample, other.sample, other.name)}"
        for other in (second, tutorial)
        if other is not None
    ]
    collapsed = [
        f"{each.name} is unstable: {each.sample.collapsed} of {each.sample.seeds} trainings "
        "collapsed."
        for each in facts.contenders
        if each.is_unstable
    ]
    said = [_capitalized(sentence) for sentence in ["; ".join(words) + ".", *collapsed]]
    return (
        f"{' '.join(said)} Small points are seeds, bars one standard deviation around the mean; "
        "the open diamond is what the search saw, the best of several validations."
    )


def _against(own: Sample, other: Sample, name: str) -> str:
    """Where a mean lies, such as ``0.0123 above trial 5 (64, 32), by more than the noise``."""
    difference = own.mean - other.mean
    one, two = (own, other) if difference >= 0 else (other, own)
    judged = {
        True: "by more than the noise",
        False: "within the noise",
        None: "which one seed cannot tell from noise",
    }[beats(one, two)]
    way = "above" if difference >= 0 else "below"
    return f"{abs(difference):.4f} {way} {name}, {judged}"


def _capitalized(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
