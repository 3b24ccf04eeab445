"""The end of a search: the best trials, the references beside them, and what it means."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from search.trials import TrialRecord, best_of

TOP = 5


@dataclass(frozen=True, kw_only=True)
class NextCommands:
    """Commands to go on with, ready to be copied."""

    compare: str
    retrain: str
    more: str


def print_summary(
    console: Console,
    trials: Sequence[TrialRecord],
    *,
    popularity: float,
    commands: NextCommands,
) -> None:
    """Prints the best trials as a table, the verdict in words, and the next commands.

    Args:
        console: where to.
        trials: all trials of the study.
        popularity: validation top-100 accuracy of recommending the most popular movies.
        commands: what to do next.
    """
    best = best_of(trials)
    if best is not None:
        console.print(leaderboard(trials, popularity))
    for line in verdict(trials, popularity):
        console.print(line, highlight=False)
    console.print()
    steps = {"compare trials": commands.compare, "search on": commands.more}
    if best is not None:
        steps = {"re-train the best": commands.retrain} | steps
    for purpose, command in steps.items():
        console.print(f"{purpose + ':':<18} {command}", highlight=False, soft_wrap=True)


def leaderboard(trials: Sequence[TrialRecord], popularity: float) -> Table:
    """The best complete trials, every enqueued reference, and popularity."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("", "layers", "embedding", "learning rate", "parameters"):
        table.add_column(header, justify="left" if header in ("", "layers") else "right")
    table.add_column("accuracy", justify="right", style="bold")
    table.add_column("epoch", justify="right")
    ranked = sorted(
        (trial for trial in trials if trial.state == "complete" and trial.value is not None),
        key=lambda trial: (-(trial.value or 0.0), trial.number),
    )
    references = [trial for trial in ranked[TOP:] if trial.reference]
    for trial in ranked[:TOP]:
        table.add_row(*_row(trial), style="green" if trial is ranked[0] else None)
    table.add_section()
    for trial in references:
        table.add_row(*_row(trial))
    table.add_row("popularity", "", "", "", "", f"{popularity:.4f}", "")
    return table


def _row(trial: TrialRecord) -> tuple[str, ...]:
    name = f"trial {trial.number}"
    if trial.reference:
        name += f" ({trial.reference.split()[0]})"
    parameter_count = trial.derived.get("parameter_count")
    return (
        name,
        trial.layer_sizes,
        str(trial.parameters.get("embedding_dimension", "")),
        f"{trial.parameters.get('learning_rate', float('nan')):.4g}",
        "" if parameter_count is None else f"{parameter_count:,}",
        f"{trial.value:.4f}",
        str(trial.best_epoch),
    )


def verdict(trials: Sequence[TrialRecord], popularity: float) -> list[str]:
    """What the search reached, in words: counts, the best, and where it stands."""
    counts = ", ".join(
        f"{sum(trial.state == state for trial in trials)} {state}"
        for state in ("complete", "pruned", "failed", "interrupted")
        if state in ("complete", "pruned") or any(trial.state == state for trial in trials)
    )
    best = best_of(trials)
    if best is None or best.value is None:
        return [f"{len(trials)} trials: {counts}. No trial is complete, so there is no best one."]
    lines = [
        f"{len(trials)} trials: {counts}. The best, trial {best.number}, retrieves "
        f"{best.value:.1%} of the five-star validation ratings among its top 100 movies"
        + _against_references(trials, best)
        + "."
    ]
    if best.value < popularity:
        lines.append(
            f"Recommending everybody the 100 most popular movies retrieves {popularity:.1%}: "
            "this model predicts ratings and does not yet rank as well as popularity does."
        )
    else:
        lines.append(f"That beats popularity, which retrieves {popularity:.1%}.")
    return lines


def _against_references(trials: Sequence[TrialRecord], best: TrialRecord) -> str:
    enqueued = best_of(trial for trial in trials if trial.reference)
    if enqueued is None or enqueued.value is None:
        return ""
    if enqueued.number == best.number:
        return ", and is one of the configurations given to start with"
    return (
        f"; the best configuration given to start with, {enqueued.reference}, {enqueued.value:.1%}"
    )
