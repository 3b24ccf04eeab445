"""A confirmation for people: two tables and what they mean in words."""

from rich import box
from rich.table import Table

from search.confirmation import TEST_METRIC, UNSEEN_METRIC, Confirmation
from search.noise import Sample, beats

TEST_COLUMNS = {
    TEST_METRIC: "top-100\naccuracy",
    UNSEEN_METRIC: "top-100,\nseen removed",
    "test_recall_at_10": "recall@10",
    "test_ndcg_at_10": "nDCG@10",
}


def validation_table(confirmation: Confirmation) -> Table:
    """Every contender: what the search saw, and the mean over the seeds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("validation, top-100 accuracy")
    for header in ("in the search", "epochs", "mean over seeds"):
        table.add_column(header, justify="right", no_wrap=True)
    rows = [*confirmation.ranked, *(p for p in confirmation.validated if p[0].trial is None)]
    for contender, sample in rows:
        value = contender.trial.value if contender.trial else None
        table.add_row(
            contender.name,
            "" if value is None else f"{value:.4f}",
            str(contender.training.epochs),
            str(sample),
            style="green" if contender is confirmation.winner else None,
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
        _short_name(confirmation), *(str(test[name]) for name in TEST_COLUMNS), style="green"
    )
    for reference, metrics in confirmation.references.items():
        shown = (f"{metrics[name]:.4f}" if name in metrics else "" for name in TEST_COLUMNS)
        table.add_row(reference.replace("_", " "), *shown)
    return table


def _short_name(confirmation: Confirmation) -> str:
    """The winner without its layers: four means with deviations leave no room for them."""
    winner = confirmation.winner
    return winner.name if winner.trial is None else f"trial {winner.trial.number}"


def verdict(confirmation: Confirmation) -> list[str]:
    """What the tables mean, a sentence each."""
    return [
        *_against_contenders(confirmation),
        _against_references(confirmation),
        _winners_curse(confirmation),
    ]


def _against_contenders(confirmation: Confirmation) -> list[str]:
    name, own = confirmation.winner.name, confirmation.winner_validation
    others = [*confirmation.ranked[1:2], *(p for p in confirmation.validated if p[0].trial is None)]
    return [_comparison(name, own, other.name, sample) for other, sample in others]


def _comparison(name: str, own: Sample, other_name: str, other: Sample) -> str:
    difference = own.mean - other.mean
    certain = beats(own, other)
    if certain is None:
        return (
            f"{name} is {difference:+.4f} against {other_name}; with one seed nobody can tell "
            "that from noise."
        )
    if certain:
        return f"{name} beats {other_name} by {difference:.4f}: more than the noise."
    return f"{name} does not beat {other_name} by more than the noise ({difference:+.4f})."


def _against_references(confirmation: Confirmation) -> str:
    not_beaten = [
        f"{reference.replace('_', ' ')} ({protocol})"
        for metric, protocol in ((TEST_METRIC, "seen kept"), (UNSEEN_METRIC, "seen removed"))
        for reference, metrics in confirmation.references.items()
        if not _surely_above(confirmation.test[metric], metrics[metric])
    ]
    if not not_beaten:
        return "On the test rows it beats every reference by more than 3 standard deviations."
    return (
        "On the test rows it does NOT beat by 3 standard deviations: " + ", ".join(not_beaten) + "."
    )


def _surely_above(sample: Sample, reference: float) -> bool:
    return sample.mean - 3 * (sample.deviation or 0.0) > reference


def _winners_curse(confirmation: Confirmation) -> str:
    value = confirmation.value_of_search
    validation, test = confirmation.winner_validation, confirmation.test[TEST_METRIC]
    return (
        f"The search saw {value:.4f}, the best of its draws; over the seeds validation shows "
        f"{validation.mean:.4f} ({validation.mean - value:+.4f}) and the test {test.mean:.4f} "
        f"({test.mean - value:+.4f}; other rows, and trained on the validation rows, too)."
    )
