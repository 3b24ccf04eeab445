"""Facts as tables: columns, and cells with what is shown and what rows are sorted by."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.analysis.noise import Sample
from search.analysis.slices import SliceResult
from search.records.results import reference_title
from search.records.trials import (
    COSTS,
    TUTORIAL_OBJECTIVE,
    TrialRecord,
    metric_words,
    objective_in,
    objective_words,
    parameter_name,
    shown_metrics,
)
from search.report.facts import Facts, parameter_count

TOP = 20  # rows of the leaderboard that are shown at first

NO_COLUMNS = ("depth", "output_width", "embedding_dimension", "learning_rate")
"""Parameters that have a column of their own, or follow from the widths."""

Cell = tuple[str, float | str | None]
"""What is shown, and what rows are sorted by; None is last in either direction."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table."""

    columns: Sequence[tuple[str, bool]]  # headers, each with whether it holds numbers
    rows: Sequence[Sequence[Cell]]

    @property
    def content(self) -> dict[str, Any]:
        """What the page's script sorts, as JSON values."""
        return {
            "numeric": [is_number for _, is_number in self.columns],
            "rows": [[list(cell) for cell in row] for row in self.rows],
        }


Value = float | str | Sample | None
Column = tuple[str, str, Callable[[Any], Value]]
"""Header, how its numbers are formatted (empty for text), and its value for an item."""


def _table(items: Iterable[Any], columns: Sequence[Column]) -> Table:
    rows = [[_cell(value_of(item), form) for _, form, value_of in columns] for item in items]
    return Table(columns=[(name, bool(form)) for name, form, _ in columns], rows=rows)


def _cell(value: Value, form: str) -> Cell:
    if value is None:
        return ("", None)
    if isinstance(value, bool):
        return ("yes" if value else "no", float(value))
    if isinstance(value, Sample):
        return (str(value), value.mean)
    return (value, value) if isinstance(value, str) else (format(value, form), value)


def leaderboard(facts: Facts) -> Table:
    """Every finished trial, complete ones first, the best on top, infeasible ones last.

    What a narrow screen shows without scrolling comes first: which trial, and its value.
    """
    trials = facts.finished
    ranks = {trial.number: rank for rank, trial in enumerate(trials, start=1)}

    def parameter(name: str) -> Callable[[TrialRecord], Value]:
        return lambda trial: trial.parameters.get(name)

    def measured(cost: str) -> Callable[[TrialRecord], Value]:
        return lambda trial: trial.costs.get(cost)

    return _table(
        trials,
        [
            ("rank", "d", lambda trial: ranks[trial.number]),
            ("trial", "", _named),
            ("value", ".4f", lambda trial: trial.value),
            ("hidden widths", "", _hidden_widths),
            ("output width", "d", parameter("output_width")),
            ("embedding dimension", "d", parameter("embedding_dimension")),
            ("learning rate", ".4g", parameter("learning_rate")),
            *((parameter_name(n), _format(trials, n), parameter(n)) for n in varying(trials)),
            ("parameters", ",d", parameter_count),
            *((cost, ".4g", measured(cost)) for cost in facts.measured_costs),
            ("best epoch", "d", lambda trial: trial.best_epoch),
            ("seconds", ".1f", lambda trial: trial.train_seconds),
            ("state", "", _state),
        ],
    )


def _format(trials: Sequence[TrialRecord], name: str) -> str:
    """How the values of a parameter are written: some are texts."""
    return "" if any(isinstance(trial.parameters.get(name), str) for trial in trials) else ".4g"


def varying(trials: Sequence[TrialRecord]) -> list[str]:
    """The parameters beyond widths, embedding and learning rate that differ between trials."""
    names = dict.fromkeys(name for trial in trials for name in trial.parameters)
    return [
        name
        for name in names
        if name not in NO_COLUMNS
        and not name.startswith("hidden_width")
        and len({trial.parameters.get(name) for trial in trials}) > 1
    ]


def _named(trial: TrialRecord) -> str:
    return f"{trial.number} {trial.origin}".strip()


def _hidden_widths(trial: TrialRecord) -> str | None:
    """From the input on, such as ``128, 64``; the output's has a column of its own."""
    *hidden, _ = trial.layer_sizes.strip("(,)").split(", ")
    return (", ".join(hidden) or "none") if trial.layer_sizes else None


def _state(trial: TrialRecord) -> str:
    if trial.infeasible:
        return f"{trial.state}, infeasible: {trial.infeasible}"
    if trial.pruned_at_epoch is not None:
        return f"pruned at epoch {trial.pruned_at_epoch}"
    if trial.state == "diverged" and trial.curve:
        return f"diverged at epoch {trial.curve[-1].epoch}"
    return str(trial.state)


def front_table(facts: Facts) -> Table:
    """The Pareto front by all objectives, the highest value first, with what seeds say of it."""
    confirmed = {each.trial: each.sample for each in facts.contenders}

    def objective(name: str) -> Column:
        form = ",d" if name == "parameters" else ".4g" if name in COSTS else ".4f"
        return (objective_words(name), form, lambda trial: trial.reached(name))

    return _table(
        facts.front if facts.has_several else (),
        [
            ("trial", "", _named),
            *map(objective, facts.spec.objectives),
            ("mean over seeds", ".4f", lambda trial: confirmed.get(trial.number)),
            ("hidden widths", "", _hidden_widths),
            ("output width", "d", lambda trial: trial.parameters.get("output_width")),
            ("embedding dimension", "d", lambda trial: trial.parameters.get("embedding_dimension")),
        ],
    )


Measured = tuple[str, dict[str, Value]]  # a name, and metrics by theirs


def references_table(facts: Facts) -> Table:
    """The references, and below them the trials that were tested and the best of the search."""
    known = [name for reference in facts.references for name in reference.metrics]
    objective = objective_in(known) or TUTORIAL_OBJECTIVE
    rows = [*_references(facts), *_tested(facts)]
    if facts.best is not None:
        which = "highest single value" if facts.leader else "the best of the search"
        rows.append((f"trial {facts.best.number}, {which}", {objective: facts.best.value}))
    return _metrics_table(rows, shown_metrics(known))


def results_of_test(facts: Facts) -> Table:
    """What was tested and the references on the test rows; without rows before any test."""
    known = [name for each in facts.tested for name in each.metrics]
    names = [name for name in shown_metrics(known) if name.startswith("test_")]
    return _metrics_table([*_tested(facts), *_references(facts)] if names else [], names)


def slices_of_test(facts: Facts) -> Table:
    """The winner and the references on parts of the test rows; without rows before any test."""
    names = dict.fromkeys(name for each in facts.slices for name in each.references)

    def reference(name: str) -> Callable[[SliceResult], Value]:
        return lambda each: each.references.get(name)

    return _table(
        facts.slices,
        [
            ("", "", lambda each: each.words),
            ("users", ",d", lambda each: each.users),
            ("winner", ".4f", lambda each: each.winner),
            *((reference_title(name), ".4f", reference(name)) for name in names),
            ("is a reference better?", "", _better),
        ],
    )


def _better(each: SliceResult) -> str:
    if each.is_small:
        return "too few users" if each.users else ""
    return f"{reference_title(each.better)} is better" if each.better else ""


def _metrics_table(rows: Iterable[Measured], names: Iterable[str]) -> Table:
    def metric(name: str) -> Callable[[Measured], Value]:
        return lambda row: row[1].get(name)

    columns: list[Column] = [("", "", lambda row: row[0])]
    return _table(rows, columns + [(metric_words(name), ".4f", metric(name)) for name in names])


def _references(facts: Facts) -> list[Measured]:
    return [(reference.title, {**reference.metrics}) for reference in facts.references]


def _tested(facts: Facts) -> list[Measured]:
    """The tested trials: means and deviations over seeds, of validation and test rows."""
    validated = {each.trial: each.sample for each in facts.contenders}
    of_references = (name for reference in facts.references for name in reference.metrics)
    objective = objective_in(of_references) or TUTORIAL_OBJECTIVE
    return [
        (each.name, {objective: validated.get(each.trial), **each.metrics}) for each in facts.tested
    ]


def confirmation_table(facts: Facts) -> Table:
    """Every contender: what the search saw, and the mean over the seeds."""
    return _table(
        facts.contenders,
        [
            ("", "", lambda each: each.name),
            ("in the search", ".4f", lambda each: each.value_of_search),
            ("epochs", "d", lambda each: each.epochs),
            ("seeds", "d", lambda each: len(each.sample.values)),
            ("mean over seeds", ".4f", lambda each: each.sample),
            ("± another sample of users", ".4f", lambda each: each.sample.over_users),
        ],
    )


def comparisons_table(facts: Facts) -> Table:
    """Every comparison of the winner of the last confirmation that was made."""

    def value(name: str) -> Callable[[Mapping[str, Any]], Value]:
        return lambda each: each[name]

    return _table(
        facts.confirmation.differences if facts.confirmation else (),
        [
            ("against", "", value("against")),
            ("by", "", lambda each: metric_words(each["metric"])),
            ("difference", "+.4f", value("mean")),
            ("95 % interval", "", _interval),
            ("p", ".4f", value("p")),
            ("users for whom it is better", ".0%", value("users_above")),
            ("worse", ".0%", value("users_below")),
        ],
    )


def _interval(each: Mapping[str, Any]) -> str | None:
    interval = each["interval"]
    return interval and f"{interval[0]:+.4f} to {interval[1]:+.4f}"
