"""What the split of a study loses, in words."""

from collections.abc import Iterator, Mapping

from search.analysis.promotion import listed

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
