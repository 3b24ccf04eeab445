"""A confirmation for people: two tables and what they mean in words."""

from rich import box
from rich.table import Table

from deeprec.evaluation.ranking import same_for_all
from search.analysis.noise import Sample, noise_of
from search.analysis.promotion import listed
from search.confirmation.comparison import UNSEEN_METRIC, Confirmation, Validated, ranked
from search.confirmation.contenders import Contender
from search.records.results import TEST_METRIC, reference_title

TEST_COLUMNS = {
    TEST_METRIC: "top-100\naccuracy",
    UNSEEN_METRIC: "top-100,\nseen removed",
    "test_recall_at_10": "recall@10",
    "test_ndcg_at_10": "nDCG@10",
}


def validation_table(validated: Validated) -> Table:
    """Every contender: what the search saw, and the mean over the seeds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("validation, top-100 accuracy")
    for header in ("in the search", "epochs", "mean over seeds"):
        table.add_column(header, justify="right", no_wrap=True)
    in_order = ranked(validated)
    for contender, sample in [*in_order, *(p for p in validated if p[0].trial is None)]:
        value = contender.trial.value if contender.trial else None
        table.add_row(
            contender.name,
            "" if value is None else f"{value:.4f}",
            str(contender.training.epochs),
            str(sample),
            style="green" if contender is in_order[0][0] and sample.is_stable else None,
        )
    return table


def results_table(confirmation: Confirmation) -> Table:
    """The winner and the references on the test rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("test", no_wrap=True)
    for header in TEST_COLUMNS.values():
        table.add_column(header, justify="right", no_wrap=True)
    test = confirmation.test
    table.add_row(
        _short_name(confirmation),
        *(test[name].figures if name in test else "collapsed" for name in TEST_COLUMNS),
        style="green",
    )
    for reference, metrics in confirmation.references.items():
        shown = (f"{metrics[name]:.4f}" if name in metrics else "" for name in TEST_COLUMNS)
        table.add_row(reference_title(reference), *shown)
    return table


def _short_name(confirmation: Confirmation) -> str:
    """The winner without its layers: four means with deviations leave no room for them."""
    winner = confirmation.winner
    return winner.name if winner.trial is None else f"trial {winner.trial.number}"


def verdict(confirmation: Confirmation) -> list[str]:
    """What the tables mean, a sentence each."""
    return [
        *_against_contenders(confirmation),
        *unstable(confirmation.validated),
        *_collapsed_tests(confirmation),
        *_against_references(confirmation),
        *_same_for_all(confirmation),
        *_winners_curse(confirmation),
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
    own = (confirmation.winner, confirmation.winner_validation)
    others = [*confirmation.ranked[1:2], confirmation.reference]
    return [_comparison(own, other) for other in others if other[1].is_stable]


def _comparison(one: tuple[Contender, Sample], two: tuple[Contender, Sample]) -> str:
    (name, own), (other_name, other) = (
        (contender.name, sample) for contender, sample in (one, two)
    )
    difference = own.mean - other.mean
    noise = noise_of(own.spread, other.spread)
    if noise is None:
        return (
            f"{name} is {difference:+.4f} against {other_name}; with one seed each, that cannot "
            "be told from noise."
        )
    if abs(difference) <= noise:
        return (
            f"{name} and {other_name} cannot be told apart: {difference:+.4f}, within the noise "
            f"({noise:.4f})."
        )
    verb = "beats" if difference > 0 else "is below"
    return (
        f"{name} {verb} {other_name} by {abs(difference):.4f}: more than the noise ({noise:.4f})."
    )


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
    kept, removed = (
        listed([reference_name(name) for name in confirmation.not_beaten[metric]], "or")
        for metric in (TEST_METRIC, UNSEEN_METRIC)
    )
    if kept == removed:
        where = ", whether movies seen in training are kept or removed"
        return [_not_beaten(kept, where if kept else "")]
    return [
        _not_beaten(names, f" with the movies seen in training {protocol}")
        for names, protocol in ((kept, "kept"), (removed, "removed"))
    ]


def _same_for_all(confirmation: Confirmation) -> list[str]:
    said = same_for_all({name: each.mean for name, each in confirmation.test.items()}, "test")
    return [] if said is None else [said]


def _not_beaten(names: str, where: str) -> str:
    if not names:
        return f"On the test rows it beats every reference by more than the noise{where}."
    return f"On the test rows it does not beat {names} by more than the noise{where}."


def reference_name(name: str) -> str:
    """What people call a reference where it does not matter for which metric it was chosen."""
    return reference_title(name.removesuffix("_unseen"))


def _winners_curse(confirmation: Confirmation) -> list[str]:
    value, test = confirmation.value_of_search, confirmation.test.get(TEST_METRIC)
    if test is None:
        return []
    validation = confirmation.winner_validation
    return [
        f"The search saw {value:.4f}, the best of its draws; over the seeds validation shows "
        f"{validation.mean:.4f} ({validation.mean - value:+.4f}) and the test {test.mean:.4f} "
        f"({test.mean - value:+.4f}; other rows, and trained on the validation rows, too)."
    ]
