"""The table, for people at a terminal and for the README."""

from collections.abc import Sequence
from itertools import chain

from tests.benchmarks.machine import Machine
from tests.benchmarks.results import Failure, Result

HEADINGS = ("what", "ours", "against", "ratio", "target", "result")


def as_text(outcomes: Sequence[Result | Failure], machine: Machine) -> str:
    """Columns of equal width, then the notes."""
    lines = [HEADINGS, *(_cells(outcome) for outcome in outcomes)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    table.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([str(machine), "", *table, *_notes(outcomes)])


def as_markdown(outcomes: Sequence[Result | Failure], machine: Machine) -> str:
    """The README's table, under a line with the machine and the commit."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(_cells(outcome) for outcome in outcomes)]
    table = ["| " + " | ".join(_escaped(cell) for cell in line) + " |" for line in lines]
    return "\n".join([str(machine), "", *table])


def _cells(outcome: Result | Failure) -> tuple[str, ...]:
    if isinstance(outcome, Failure):
        return (outcome.row, "", "", "", "", f"not measured: {outcome.reason}")
    against = "" if outcome.against is None else f"{outcome.opponent}: {outcome.against}"
    ratio = "" if outcome.ratio is None else f"{outcome.ratio:.2f}"
    return (
        outcome.what,
        str(outcome.ours),
        against,
        ratio,
        outcome.target_text,
        outcome.verdict,
    )


def _notes(outcomes: Sequence[Result | Failure]) -> list[str]:
    notes = [
        ["", *f"{outcome.what}: {outcome.note}".splitlines()]
        for outcome in outcomes
        if isinstance(outcome, Result) and outcome.note
    ]
    return list(chain.from_iterable(notes))


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
