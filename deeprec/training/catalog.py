"""What all lists together show of the catalog: how much of it, how evenly, and how popular it is.

None of these metrics asks what users want, and random lists do well by most of them. So they are
reported beside a metric of relevance, and are no objective.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from deeprec.data.tables import Interactions


@dataclass(frozen=True)
class Catalog:
    """The items, and how popular each is among the users of the rows that were learned from.

    Attributes:
        popularity: int64 ``[items]``, how many users have a row of each item; no reserved rows.
        users: how many have a row of any.
    """

    popularity: npt.NDArray[np.int64]
    users: int

    @classmethod
    def of(cls, known: Interactions, items: int, reserved: int) -> Self:
        """The catalog of an item table with so many rows, the first of them reserved."""
        pairs = np.unique(known.user_id.astype(np.int64) * items + known.movie_id)
        popularity = np.bincount(pairs % items, minlength=items)[reserved:]
        return cls(popularity, len(np.unique(pairs // items)))

    @cached_property
    def novelty(self) -> npt.NDArray[np.float64]:
        """The self-information of each item, of the most that there can be: in 0..1.

        ``-log2(share of users)`` (Zhou et al. 2010; Castells et al. 2015) over ``log2(users)``,
        that of an item of a single user: 0 for what all users have, and the same for any number
        of users and any base. What no user has counts as an item of a single user.
        """
        own = np.log(np.maximum(self.popularity, 1))
        return np.asarray(1 - own / np.log(max(self.users, 2)))

    @cached_property
    def percentiles(self) -> npt.NDArray[np.float64]:
        """The share of the catalog that is less popular than each item, in 0..1.

        Of equally popular items half count as less popular, so the mean of the catalog is 1/2.
        """
        _, where, sizes = np.unique(self.popularity, return_inverse=True, return_counts=True)
        return np.asarray((np.cumsum(sizes) - sizes / 2)[where] / len(self.popularity))

    def measure(self, name: str, shown: npt.NDArray[np.integer]) -> float:
        """A metric of all places of all lists, in 0..1.

        See :func:`deeprec.training.lists.measured`.

        Args:
            name: ``coverage``, ``gini``, ``novelty`` or ``popularity_percentile``.
            shown: int ``[places]``, where in the catalog the item of each place is.
        """
        places = np.bincount(shown, minlength=len(self.popularity))
        filled = max(len(shown), 1)
        match name:
            case "coverage":
                return float((places > 0).mean())
            case "gini":
                above = 2 * np.arange(1, len(places) + 1) - len(places) - 1
                return float((above * np.sort(places)).sum() / (len(places) * filled))
            case "novelty":
                return float(places @ self.novelty / filled)
            case "popularity_percentile":
                return float(places @ self.percentiles / filled)
            case _:
                raise ValueError(f"{name} is no metric of the catalog")
