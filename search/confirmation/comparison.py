"""What a confirmation found: as plain data, as two tables, and what they mean in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from deeprec.evaluation.ranking import same_for_all
from search.analysis.noise import Difference, Estimate, Sample, compare
from search.analysis.slices import slice_results, where_it_loses
from search.analysis.verdict import listed
from search.confirmation.measuring import Contender
from search.records.results import (
    UNSEEN,
    ReferenceRecord,
    RetrainRecord,
    reference_title,
    references_for,
)
from search.records.trials import (
    SEEN_KEPT,
    SEEN_REMOVED,
    TUTORIAL_OBJECTIVE,
    front_of,
    measure_words,
    objective_text,
    objective_words,
    shown_metrics,
)

TEST_METRIC, UNSEEN_METRIC = "test_top_100_accuracy", "test_top_100_accuracy_unseen"

Validated = tuple[tuple[Contender, Sample], ...]
Tested = tuple[tuple[RetrainRecord, Path | None], ...]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The contenders over several seeds, and the winner's test."""

    # every contender with its validation accuracies, one a seed: the trials in the order in which
    # the search ranks them, then the reference configuration
    validated: Validated
    # the winner's trainings on training and validation rows, with the towers of the first
    tested: Tested
    references: Sequence[ReferenceRecord]  # what any model should beat, on the test rows
    # names among the metrics of the validation rows, and of costs; the first decides
    objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,)
    slice_users: Mapping[str, int] = field(default_factory=dict)  # of the test rows, by slice

    @property
    def objective(self) -> str:
        """The first objective, by which the winner is the best."""
        return self.objectives[0]

    @property
    def ranked(self) -> list[tuple[Contender, Sample]]:
        """The trials among the contenders, see :func:`ranked`."""
        return ranked(self.validated)

    @property
    def winner(self) -> Contender:
        """The stable trial with the highest mean."""
        return self.ranked[0][0]

    @property
    def winner_validation(self) -> Sample:
        """Its validation accuracies."""
        return self.ranked[0][1]

    @property
    def reference(self) -> tuple[Contender, Sample]:
        """The reference configuration and its validation accuracies."""
        return next(pair for pair in self.validated if pair[0].trial is None)

    @cached_property
    def test(self) -> Mapping[str, Sample]:
        """Every metric of the test rows over the seeds; nothing where all trainings collapsed."""
        return test_samples([record for record, _ in self.tested])

    @cached_property
    def from_contenders(self) -> Mapping[str, Difference]:
        """How the winner's validation differs from that of each other stable contender, by key."""
        others = {
            contender.key: sample.estimate
            for contender, sample in self.validated
            if contender is not self.winner and sample.is_stable
        }
        return compare(self.winner_validation.estimate, others)

    @cached_property
    def from_references(self) -> Mapping[str, Mapping[str, Difference]]:
        """How the test differs from that of each reference that was tuned for it, by metric."""
        return {
            metric: compare(
                sample.estimate,
                {
                    each.name: Estimate.of_reference(each, metric)
                    for each in references_for(metric, self.references)
                },
            )
            for metric, sample in self.test.items()
            if metric in (self.test_objective, UNSEEN_METRIC)
        }

    @property
    def differences(self) -> list[dict[str, Any]]:
        """All comparisons that were made, as JSON values."""
        names = {contender.key: contender.name for contender, _ in self.validated}
        found = [(self.objective, names[key], each) for key, each in self.from_contenders.items()]
        found += [
            (metric, reference_title(name), each)
            for metric, of_metric in self.from_references.items()
            for name, each in of_metric.items()
        ]
        return [{"metric": metric, "against": name, **asdict(each)} for metric, name, each in found]

    @property
    def not_beaten(self) -> Mapping[str, list[str]]:
        """The references that the test does not beat by more than the noise, by metric."""
        return {
            metric: [name for name, each in of_metric.items() if not each.is_above]
            for metric, of_metric in self.from_references.items()
        }

    @property
    def test_objective(self) -> str:
        """The objective's name among the metrics of the test rows."""
        return self.objective.replace("val_", "test_", 1)

    @property
    def towers(self) -> Path | None:
        """The towers of the first seed: no test result chose them."""
        return self.tested[0][1]

    @property
    def value_of_search(self) -> float:
        """The validation value that won the search: the best of many, so a lucky one."""
        trial = self.winner.trial
        assert trial is not None
        assert trial.value is not None
        return trial.value

    @property
    def metrics(self) -> Mapping[str, float]:
        """All of it as numbers by name, for tracking."""
        validation = self.winner_validation
        reference, of_reference = self.reference
        test = self.test.get(self.test_objective)
        over_seeds = {
            f"{name}_{part}": value
            for name, sample in {self.objective: validation, **self.test}.items()
            for part, value in (
                ("mean", sample.mean),
                ("std", sample.deviation),
                ("users_error", sample.over_users),
            )
            if value is not None
        }
        return {
            **over_seeds,
            f"{reference.key}_{self.objective}_mean": of_reference.mean,
            "search_minus_validation": self.value_of_search - validation.mean,
            **({} if test is None else {"search_minus_test": self.value_of_search - test.mean}),
            **{
                f"{reference.name}_{name}": value
                for reference in self.references
                for name, value in reference.test_metrics.items()
            },
            **{
                f"above_{reference}_{metric}{part}": value
                for metric, of_metric in self.from_references.items()
                for reference, each in of_metric.items()
                for part, value in _numbers(each).items()
            },
        }


def _numbers(difference: Difference) -> dict[str, float]:
    """A difference and its interval, by what follows its name."""
    if difference.interval is None:
        return {"": difference.mean}
    low, high = difference.interval
    return {"": difference.mean, "_low": low, "_high": high}


def ranked(validated: Validated) -> list[tuple[Contender, Sample]]:
    """The trials among contenders: stable ones first, the highest mean first.

    One is unstable if a training of it collapsed. Of equals the search's favorite comes first.
    """
    trials = [pair for pair in validated if pair[0].trial is not None]
    return sorted(trials, key=lambda pair: (not pair[1].is_stable, -pair[1].mean))


def test_samples(records: Sequence[RetrainRecord]) -> dict[str, Sample]:
    """Every metric of the test rows over the seeds of one configuration, by name.

    Studies of earlier versions lack some; those that a seed lacks are left out.
    """
    held = [record for record in records if not record.collapsed]
    first = held[0].metrics if held else {}
    names = [name for name in first if all(name in record.metrics for record in held)]
    nothing: list[float | None] = [None] * (len(records) - len(held))
    return {
        name: Sample.of(
            [*(record.metrics[name] for record in held), *nothing],
            [record.users.get(name) for record in held],
        )
        for name in names
    }


# --- for people -------------------------------------------------------------------------------

TEST_COLUMNS = {
    TEST_METRIC: "top-100,\nseen movies\nranked too",
    UNSEEN_METRIC: "top-100,\nseen movies\nleft out",
}
"""The headers that are not the metric's name in words."""


def validation_table(
    validated: Validated, objectives: Sequence[str] = (TUTORIAL_OBJECTIVE,)
) -> Table:
    """Every contender: what the search saw by all objectives, and the mean over the seeds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    objective, *further = objectives
    table.add_column(f"validation, {measure_words(objective.removeprefix('val_'))}")
    for name in further:
        table.add_column(objective_words(name), justify="right", no_wrap=True)
    for header in ("in the search", "epochs", "mean over seeds"):
        table.add_column(header, justify="right", no_wrap=True)
    in_order = ranked(validated)
    for contender, sample in [*in_order, *(p for p in validated if p[0].trial is None)]:
        value = contender.trial.value if contender.trial else None
        table.add_row(
            contender.name,
            *(
                objective_text(name, contender.trial.reached(name)) if contender.trial else ""
                for name in further
            ),
            "" if value is None else f"{value:.4f}",
            str(contender.training.epochs),
            str(sample),
            style="green" if contender is in_order[0][0] and sample.is_stable else None,
        )
    return table


def results_table(confirmation: Confirmation) -> Table:
    """The winner and the references on the test rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("test")
    test = confirmation.test
    measured = [name for each in confirmation.references for name in each.test_metrics]
    columns = shown_metrics([*test, *measured])
    for name in columns:
        header = TEST_COLUMNS.get(name, measure_words(name.removeprefix("test_")))
        table.add_column(header, justify="right", no_wrap=True)
    table.add_row(
        _short_name(confirmation),
        *(test[name].figures if name in test else "collapsed" for name in columns),
        style="green",
    )
    if any(sample.over_users for sample in test.values()):
        errors = (test[name].over_users if name in test else None for name in columns)
        shown = ("" if each is None else f"± {each:.4f}" for each in errors)
        table.add_row("other users", *shown)
    for reference in confirmation.references:
        metrics = reference.test_metrics
        shown = (f"{metrics[name]:.4f}" if name in metrics else "" for name in columns)
        table.add_row(reference.title, *shown)
    return table


def _short_name(confirmation: Confirmation) -> str:
    """The winner without its layers: four means with deviations leave no room for them."""
    winner = confirmation.winner
    return winner.name if winner.trial is None else f"trial {winner.trial.number}"


def verdict(confirmation: Confirmation) -> list[str]:
    """What the tables mean, a sentence each."""
    return [
        *_front(confirmation),
        *_against_contenders(confirmation),
        *unstable(confirmation.validated),
        *_collapsed_tests(confirmation),
        *_against_references(confirmation),
        *where_it_loses(
            slice_results(
                confirmation.test_objective,
                confirmation.test,
                confirmation.references,
                confirmation.slice_users,
            )
        ),
        *_same_for_all(confirmation),
        *_winners_curse(confirmation),
    ]


def _front(confirmation: Confirmation) -> list[str]:
    """Which of several trials are on the Pareto front by their means; nothing of one objective."""
    trials = [
        replace(contender.trial, value=sample.mean)
        for contender, sample in confirmation.validated
        if contender.trial is not None and sample.is_stable
    ]
    if len(confirmation.objectives) == 1 or len(trials) < 2:
        return []
    front = [f"trial {trial.number}" for trial in front_of(trials, confirmation.objectives)]
    return [
        f"By the means over seeds {len(front)} of {len(trials)} stay on the Pareto front: "
        f"{listed(front)}."
    ]


def unstable(validated: Validated) -> list[str]:
    """The configurations of which a training collapsed, a sentence each."""
    return [
        f"{contender.name} is unstable: {sample.collapsed} of {sample.seeds} trainings diverged or "
        "ended no better than chance."
        for contender, sample in validated
        if not sample.is_stable
    ]


def _against_contenders(confirmation: Confirmation) -> list[str]:
    """The winner against the next trial and the reference; unstable ones are named elsewhere."""
    others = [*confirmation.ranked[1:2], confirmation.reference]
    return [
        _comparison(confirmation.winner.name, other.name, confirmation.from_contenders[other.key])
        for other, sample in others
        if sample.is_stable
    ]


def _comparison(name: str, other: str, found: Difference) -> str:
    if found.p is None:
        return (
            f"{name} is {found.words} against {other}; with one seed each, that cannot be told "
            "from noise."
        )
    if not (found.is_above or found.is_below):
        return f"{name} and {other} cannot be told apart: {found.words}."
    verb = "beats" if found.is_above else "is below"
    return f"{name} {verb} {other} by more than the noise: {found.words}."


def _collapsed_tests(confirmation: Confirmation) -> list[str]:
    collapsed = sum(record.collapsed is not None for record, _ in confirmation.tested)
    if not collapsed:
        return []
    return [
        f"{confirmation.winner.name} is unstable: {collapsed} of {len(confirmation.tested)} "
        "trainings for the test diverged or ended no better than chance."
    ]


def _against_references(confirmation: Confirmation) -> list[str]:
    if not confirmation.test or not confirmation.references:
        return []
    closest = _closest(confirmation)
    not_beaten = {
        metric: listed([reference_name(name) for name in names], "or")
        for metric, names in confirmation.not_beaten.items()
    }
    if UNSEEN_METRIC not in not_beaten:
        said = _not_beaten(not_beaten[confirmation.test_objective], "")
        return [said, *_better_references(confirmation), *closest]
    kept, removed = not_beaten[TEST_METRIC], not_beaten[UNSEEN_METRIC]
    if kept == removed:
        where = f", {SEEN_KEPT} or {SEEN_REMOVED}"
        return [_not_beaten(kept, where if kept else ""), *closest]
    said_of_each = (
        _not_beaten(names, f", {protocol}")
        for names, protocol in ((kept, SEEN_KEPT), (removed, SEEN_REMOVED))
    )
    return [*said_of_each, *closest]


def _closest(confirmation: Confirmation) -> list[str]:
    """The reference that is hardest to beat, with the interval, and both errors of the test."""
    metric = confirmation.test_objective
    of_metric = confirmation.from_references[metric]
    if not of_metric:
        return []
    name = min(of_metric, key=lambda name: of_metric[name].mean)
    lines = [f"Against {reference_name(name)}, the best of them: {of_metric[name].words}."]
    count = of_metric[name].comparisons
    if count > 1:
        lines.append(f"Of {count} comparisons, p values are corrected as Holm (1979) does.")
    errors = confirmation.test[metric].errors
    return [*lines, f"What would move the test: {errors}."] if errors else lines


def _better_references(confirmation: Confirmation) -> list[str]:
    """What needs no search and wins, by lists of one's own data."""
    metric = confirmation.test_objective
    of_metric = confirmation.from_references[metric]
    better = [name for name, each in of_metric.items() if each.is_below]
    if not better:
        return []
    values = {each.name: each.metrics.get(metric, 0.0) for each in confirmation.references}
    names = [f"{reference_name(name)} ({values[name]:.4f})" for name in better]
    verb = "is" if len(names) == 1 else "are"
    said = f"{listed(names, 'and')} {verb} better than it by more than the noise"
    return [f"{said}; {ADVICE}." if "own_frequent" in better else f"{said}."]


ADVICE = (
    "embeddings of ids cannot count how often a user had an item: list a user's own history first "
    "and fill the list with this model's items"
)
"""Where users come back to what they have, and own history wins."""


def _same_for_all(confirmation: Confirmation) -> list[str]:
    said = same_for_all({name: each.mean for name, each in confirmation.test.items()}, "test")
    return [] if said is None else [said]


def _not_beaten(names: str, where: str) -> str:
    if not names:
        return f"On the test rows it beats every reference by more than the noise{where}."
    return f"On the test rows it does not beat {names} by more than the noise{where}."


def reference_name(name: str) -> str:
    """What people call a reference where it does not matter for which metric it was chosen."""
    return reference_title(name.removesuffix(UNSEEN))


def _winners_curse(confirmation: Confirmation) -> list[str]:
    value, test = confirmation.value_of_search, confirmation.test.get(confirmation.test_objective)
    if test is None:
        return []
    validation = confirmation.winner_validation
    return [
        f"The search saw {value:.4f}, the best of its draws; over the seeds validation shows "
        f"{validation.mean:.4f} ({validation.mean - value:+.4f}) and the test {test.mean:.4f} "
        f"({test.mean - value:+.4f}; other rows, and trained on the validation rows, too)."
    ]
