"""Where a model loses: its test by slices, beside the references."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.analysis.noise import Sample
from search.analysis.promotion import listed
from search.records.results import reference_title
from search.records.trials import counted, slice_words, sliced_metrics
from search.storage.results import FOR_OTHER_METRICS

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

    @property
    def words(self) -> str:
        """Which part, for people."""
        return slice_words(self.name)

    @property
    def is_small(self) -> bool:
        """Whether it has too few users to say anything."""
        return self.users is None or self.users < FEWEST_USERS

    @property
    def better(self) -> str | None:
        """The reference that is best there, if it is above the winner; None of a small slice."""
        best = max(self.references, key=lambda name: self.references[name], default=None)
        if best is None or self.is_small or self.references[best] <= self.winner.mean:
            return None
        return best


def slice_results(
    objective: str,
    test: Mapping[str, Sample],
    references: Mapping[str, Mapping[str, float]],
    users: Mapping[str, int],
) -> list[SliceResult]:
    """Every slice that was measured of the winner.

    Args:
        objective: its name among the metrics of the test rows.
        test: the winner's, by name.
        references: the same of each reference, by its name.
        users: how many each slice has.
    """
    start = f"{objective}_"
    return [
        SliceResult(
            name=metric.removeprefix(start),
            users=users.get(metric.removeprefix(start)),
            winner=test[metric],
            references={
                name: own[metric]
                for name, own in references.items()
                if metric in own and name not in FOR_OTHER_METRICS
            },
        )
        for metric in sliced_metrics(test)
        if metric.startswith(start)
    ]


def where_it_loses(slices: Sequence[SliceResult]) -> list[str]:
    """The slices where a reference is above the winner, and those that are too small, in words."""
    lost = [(each, each.references[each.better]) for each in slices if each.better]
    lost.sort(key=lambda pair: pair[0].winner.mean - pair[1])
    said = []
    if lost:
        named = [
            f"{each.words} ({reference_title(each.better or '')} {value:.4f} against "
            f"{each.winner.mean:.4f}, {counted(each.users or 0, 'user')})"
            for each, value in lost[:SHOWN]
        ]
        more = f", and on {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        said.append(
            f"By parts of the test rows a reference is above it on {listed(named)}{more}; whether "
            "that is more than chance was not judged."
        )
    small = [f"{each.words} ({each.users})" for each in slices if each.is_small and each.users]
    if small:
        shown = [*small[:SHOWN], *([f"{len(small) - SHOWN} more"] if len(small) > SHOWN else [])]
        said.append(f"Too few users to say anything of: {listed(shown)}.")
    return said
