"""Where a model loses: its test by slices, beside the references; and what the split loses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from search.analysis.noise import Difference, Estimate, Sample, corrected, uncorrected
from search.analysis.verdict import listed
from search.records.results import ReferenceRecord, reference_title, references_for
from search.records.trials import counted, slice_words, sliced_metrics

FEWEST_USERS = 30
"""Of fewer users a mean says little."""

SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """The objective on a part of the test rows."""

    name: str  # such as ``unknown_users``
    users: int | None  # how many; None where an earlier version did not count them
    winner: Sample
    references: Mapping[str, float]  # by name
    # how the winner differs from the best reference; None where there is none, and of a small slice
    difference: Difference | None = None

    @property
    def words(self) -> str:
        """Which part, for people."""
        return slice_words(self.name)

    @property
    def is_small(self) -> bool:
        """Whether it has too few users to say anything."""
        return self.users is None or self.users < FEWEST_USERS

    @property
    def best(self) -> str | None:
        """The reference with the highest value."""
        return max(self.references, key=lambda name: self.references[name], default=None)

    @property
    def better(self) -> str | None:
        """The best reference, if it is above the winner by more than the noise."""
        return self.best if self.difference is not None and self.difference.is_below else None


def slice_results(
    objective: str,
    test: Mapping[str, Sample],
    references: Sequence[ReferenceRecord],
    users: Mapping[str, int],
) -> list[SliceResult]:
    """Every slice that was measured of the winner, compared with the best reference of each.

    The p values are corrected for all references of all slices: the best are picked among them.

    Args:
        objective: its name among the metrics of the test rows.
        test: the winner's, by name.
        references: what needs no search.
        users: how many each slice has.
    """
    start = f"{objective}_"
    metrics = [metric for metric in sliced_metrics(test) if metric.startswith(start)]
    known = {metric: _estimates(metric, references) for metric in metrics}
    found = [
        SliceResult(
            name=metric.removeprefix(start),
            users=users.get(metric.removeprefix(start)),
            winner=test[metric],
            references={name: each.mean for name, each in known[metric].items()},
        )
        for metric in metrics
    ]
    differences = corrected(
        {
            (each.name, name): one
            for metric, each in zip(metrics, found, strict=True)
            if not each.is_small
            for name, one in uncorrected(each.winner.estimate, known[metric]).items()
        }
    )
    return [
        replace(each, difference=differences.get((each.name, each.best or ""))) for each in found
    ]


def _estimates(metric: str, references: Sequence[ReferenceRecord]) -> dict[str, Estimate]:
    return {
        each.name: Estimate.of_reference(each, metric)
        for each in references_for(metric, references)
    }


def where_it_loses(slices: Sequence[SliceResult]) -> list[str]:
    """The slices where a reference is better than the winner, and those that are too small."""
    lost = sorted((each for each in slices if each.better), key=_gap)
    said = []
    if lost:
        named = [
            f"{each.words} ({reference_title(each.better or '')}, by {-_gap(each):.4f}, "
            f"{counted(each.users or 0, 'user')})"
            for each in lost[:SHOWN]
        ]
        more = f", and on {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        said.append(
            "By parts of the test rows a reference is better than it by more than the noise on "
            f"{listed(named)}{more}."
        )
    small = [f"{each.words} ({each.users})" for each in slices if each.is_small and each.users]
    if small:
        shown = [*small[:SHOWN], *([f"{len(small) - SHOWN} more"] if len(small) > SHOWN else [])]
        said.append(f"Too few users to say anything of: {listed(shown)}.")
    return said


def _gap(each: SliceResult) -> float:
    return each.difference.mean if each.difference else 0.0


Counts = Mapping[str, Mapping[str, int]]
"""By part, ``validation`` and ``test``, what :class:`deeprec.data.overlap.Overlap` counts; and
``left_out``, rows of the log by the reason for which they are in no part."""

LEFT_OUT = {
    "label": "of kinds without a weight",
    "unknown": "whose user or item is in no table",
    "duplicates": "that repeat a user's item",
    "core": "of users or items with too few",
}


def lost_by_the_split(counts: Counts, *, least: float = 0.0) -> list[str]:
    """How much of the evaluated rows training does not know, and which rows are in no part.

    Users and items that have less than a share of these rows are left out.
    """
    parts = [words for part in ("validation", "test") for words in _part(part, counts, least)]
    left = [
        f"{count:,} {LEFT_OUT[reason]}"
        for reason, count in counts.get("left_out", {}).items()
        if count
    ]
    said = [f"Training does not know {listed(parts)}."] if parts else []
    return [*said, *([f"Rows of the log left out: {listed(left)}."] if left else [])]


def _part(part: str, counts: Counts, least: float) -> Iterator[str]:
    of = counts.get(part, {})
    unknown = [
        f"{of[f'unknown_{side}']:,} of {of[side]:,} {side} "
        f"({of[f'rows_of_unknown_{side}'] / of['rows']:.1%} of the rows)"
        for side in ("users", "items")
        if of.get(f"unknown_{side}") and of[f"rows_of_unknown_{side}"] >= least * of["rows"]
    ]
    if unknown:
        yield f"{listed(unknown)} of {part}"
