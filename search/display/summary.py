"""The end of a search: the best trials, the references beside them, and what it means."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from search.analysis.noise import Estimate
from search.analysis.verdict import Leader, verdict
from search.config.addresses import NextCommands
from search.display.parts import configuration_cells
from search.display.terminal import Screen
from search.records.trials import (
    TUTORIAL_OBJECTIVE,
    TrialRecord,
    all_reached,
    front_of,
    objective_words,
    ranked,
)

TOP = 4
TOP_OF_FRONT = 10  # where there are several objectives; the report has all

HARDEST = 3  # of the references so many are rows; the verdict names all

CAUTIONS = 2  # so many are shown; the report has them all, and a screen has few lines


def print_summary(
    screen: Screen,
    trials: Sequence[TrialRecord],
    *,
    references: Mapping[str, Estimate],
    commands: NextCommands,
    cautions: Sequence[str] = (),
    leader: Leader | None = None,
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
    saved: str = "",
    lost: Sequence[str] = (),
) -> None:
    """Prints the best trials as a table, the verdict in words, and the next commands.

    References are validation results by name; empty where they were not measured. ``saved`` is
    a sentence on what ending trials early has saved, or nothing; ``lost`` says what the split
    loses.
    """
    has_best = bool(ranked(trials))
    if has_best:
        screen.show("")
        screen.print(leaderboard(trials, references, objectives))
        if not cautions:  # with them there is no room on one screen
            screen.show("")
    for line in verdict(trials, references, leader, objectives=objectives):
        screen.print(Text(line))
    if saved:
        screen.show(saved)
    for line in lost:
        screen.print(Text(line))
    for caution in cautions[:CAUTIONS]:
        screen.print(Text(f"careful: {caution}", style="yellow"))
    if len(cautions) > CAUTIONS:
        more = f"careful: {len(cautions) - CAUTIONS} more in the report"
        screen.print(Text(more, style="yellow"))
    if not cautions:
        screen.show("")
    steps = {"report": commands.report, "compare": commands.compare, "search on": commands.more}
    if has_best:
        steps = {"re-train": commands.retrain} | steps
    for purpose, command in steps.items():
        screen.show(f"{purpose + ':':<10} {command}")


def leaderboard(
    trials: Sequence[TrialRecord],
    references: Mapping[str, Estimate],
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,),
) -> Table:
    """The best complete trials, the best enqueued configuration, and the best references.

    Of several objectives the best trials are those of the Pareto front. A row is a line in a
    terminal of 80 columns: what is too long for its column is cut.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial", max_width=14, no_wrap=True, overflow="ellipsis")
    table.add_column("layers", max_width=20, no_wrap=True, overflow="ellipsis")
    for header in ("embed", "rate", "weights"):
        table.add_column(header, justify="right", no_wrap=True)
    further = [name for name in objectives[1:] if name != "parameters"]  # a column of every table
    for name in (objectives[0], *further):
        table.add_column(objective_words(name), justify="right", no_wrap=True, style="bold")
    table.add_column("epoch", justify="right", no_wrap=True)
    best = ranked(trials)
    shown = best[:TOP] if len(objectives) == 1 else front_of(trials, objectives)[:TOP_OF_FRONT]
    enqueued = [trial for trial in best if trial.reference][:1]
    for trial in [*shown, *(each for each in enqueued if each not in shown)]:
        table.add_row(*_row(trial, further), style="green" if trial is best[0] else None)
    hardest = sorted(references.items(), key=lambda pair: -pair[1].mean)[:HARDEST]
    for name, each in hardest:
        table.add_row(name, "", "", "", "", f"{each.mean:.4f}")
    return table


def _row(trial: TrialRecord, further: Sequence[str]) -> tuple[str | Text, ...]:
    cells = configuration_cells(trial).values()
    reached = all_reached(trial, further).values()
    return _name(trial), *cells, f"{trial.value:.4f}", *reached, str(trial.best_epoch)


def _name(trial: TrialRecord) -> Text:
    """The number, and what the study file calls it, without the layers of the next column."""
    name = f"{trial.number} ({trial.origin})" if trial.origin else str(trial.number)
    return Text(name)  # as it is: a name in a file may hold what Rich takes for markup
