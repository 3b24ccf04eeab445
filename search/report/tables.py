"""Facts as tables: columns, and cells with what is shown and what rows are sorted by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from search.analysis.noise import Sample
from search.confirmation.in_words import TEST_COLUMNS
from search.records.trials import OBJECTIVE_METRIC, TrialRecord
from search.report.facts import Facts
from search.report.findings import parameter_count
from search.report.style import readable

TOP = 20
"""Rows of the leaderboard that are shown at first."""

NO_COLUMNS = ("depth", "output_width", "embedding_dimension", "learning_rate")
"""Parameters that have a column of their own, or are told by the layers."""

Cell = tuple[str, float | str | None]
"""What is shown, and what rows are sorted by; None is last in either direction."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        columns: headers, each with whether it holds numbers.
        rows: cells, in the order of the columns.
    """

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[Cell]]

    @property
    def content(self) -> dict[str, Any]:
        """What the page's script sorts, as JSON values."""
        return {
            "numeric": [is_number for _, is_number in self.columns],
            "rows": [[list(cell) for cell in row] for row in self.rows],
        }


def leaderboard(facts: Facts) -> Table:
    """Every finished trial, complete ones first, the best on top, diverged ones last.

    What a narrow screen shows without scrolling comes first: which trial, and its value.
    """
    trials = facts.finished
    others = varying(trials)
    columns = [
        ("rank", True),
        ("trial", False),
        ("value", True),
        ("layers", False),
        ("embedding", True),
        ("learning rate", True),
        *((readable(name), True) for name in others),
        ("parameters", True),
        ("best epoch", True),
        ("seconds", True),
        ("state", False),
    ]
    rows = [_trial_row(rank, trial, others) for rank, trial in enumerate(trials, start=1)]
    return Table(columns=columns, rows=rows)


def varying(trials: Sequence[TrialRecord]) -> list[str]:
    """The parameters beyond layers, embedding and learning rate that differ between trials."""
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    return [
        name
        for name in names
        if name not in NO_COLUMNS
        and not name.startswith("hidden_width")
        and len({trial.parameters.get(name) for trial in trials}) > 1
    ]


def _trial_row(rank: int, trial: TrialRecord, others: Sequence[str]) -> list[Cell]:
    rate = trial.parameters.get("learning_rate")
    name = f"{trial.number}"
    if trial.reference:
        name += f" {trial.reference.removesuffix(trial.layer_sizes).strip() or trial.reference}"
    state = _state(trial)
    return [
        (str(rank), rank),
        (name, trial.number),
        _number(trial.value, ".4f"),
        (trial.layer_sizes, trial.layer_sizes),
        _number(trial.parameters.get("embedding_dimension"), "d"),
        _number(rate, ".4g"),
        *(_value(trial.parameters.get(other)) for other in others),
        _number(parameter_count(trial), ",d"),
        _number(trial.best_epoch, "d"),
        _number(trial.train_seconds, ".1f"),
        (state, state),
    ]


def _state(trial: TrialRecord) -> str:
    """How a trial ended, and where if that was early."""
    if trial.pruned_at_epoch is not None:
        return f"pruned at epoch {trial.pruned_at_epoch}"
    if trial.state == "diverged" and trial.curve:
        return f"diverged at epoch {trial.curve[-1].epoch}"
    return str(trial.state)


def _number(value: float | None, form: str) -> Cell:
    return ("", None) if value is None else (format(value, form), value)


def _value(value: float | bool | None) -> Cell:
    if isinstance(value, bool):
        return ("yes" if value else "no", float(value))
    return _number(value, ".4g")


def references_table(facts: Facts) -> Table:
    """The references, and below them the trials that were tested and the best of the search."""
    known = {name for reference in facts.references for name in reference.metrics}
    names = [name for name in _metric_order() if name in known]
    columns = [("", False), *((metric_name(name), True) for name in names)]
    rows = [*_reference_rows(facts, names), *_tested_rows(facts, names)]
    best = facts.best
    if best is not None:
        own = {OBJECTIVE_METRIC: best.value}
        cells = [_number(own.get(name), ".4f") for name in names]
        which = "highest single value" if facts.leader else "the best of the search"
        rows.append([(f"trial {best.number}, {which}", None), *cells])
    return Table(columns=columns, rows=rows)


def results_of_test(facts: Facts) -> Table:
    """What was tested and the references on the test rows; without rows before any test."""
    known = {name for each in facts.tested for name in each.metrics}
    names = [name for name in TEST_COLUMNS if name in known]
    columns = [("", False), *((metric_name(name), True) for name in names)]
    rows = [*_tested_rows(facts, names), *_reference_rows(facts, names)] if names else []
    return Table(columns=columns, rows=rows)


def _reference_rows(facts: Facts, names: Sequence[str]) -> list[list[Cell]]:
    return [
        [
            (reference.title, None),
            *(_number(reference.metrics.get(name), ".4f") for name in names),
        ]
        for reference in facts.references
    ]


def _tested_rows(facts: Facts, names: Sequence[str]) -> list[list[Cell]]:
    """A row a tested trial: its means and deviations over seeds, of validation and test rows."""
    validated = {each.trial: each.sample for each in facts.contenders}
    rows: list[list[Cell]] = []
    for each in facts.tested:
        samples = dict(each.metrics)
        if each.trial in validated:
            samples[OBJECTIVE_METRIC] = validated[each.trial]
        rows.append([(each.name, None), *(_sample(samples.get(name)) for name in names)])
    return rows


def _sample(sample: Sample | None) -> Cell:
    return ("", None) if sample is None else (str(sample), sample.mean)


def confirmation_table(facts: Facts) -> Table:
    """Every contender: what the search saw, and the mean over the seeds."""
    columns = [("", False), ("in the search", True), ("epochs", True)]
    columns += [("seeds", True), ("mean over seeds", True)]
    rows = [
        [
            (each.name, None),
            _number(each.value_of_search, ".4f"),
            _number(each.epochs, "d"),
            _number(len(each.sample.values), "d"),
            (str(each.sample), each.sample.mean),
        ]
        for each in facts.contenders
    ]
    return Table(columns=columns, rows=rows)


def metric_name(name: str) -> str:
    """A metric for people, such as ``test: top-100 accuracy, seen removed``."""
    part, metric = name.split("_", 1)
    where = {"val": "validation", "test": "test"}.get(part, part)
    return f"{where}: {TEST_COLUMNS.get(f'test_{metric}', readable(metric))}".replace("\n", " ")


def _metric_order() -> list[str]:
    return [name.replace("test_", part) for part in ("val_", "test_") for name in TEST_COLUMNS]
