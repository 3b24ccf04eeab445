"""From published ids, which may have gaps, to the rows of a table, which have none."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from deeprec.data.tables import IntArray
from deeprec.errors import DataError


@dataclass(frozen=True)
class Numbering:
    """The row that each published id is given: 1, 2, 3, ... in ascending order of the ids.

    Ids that are 1, 2, 3, ... themselves are their own rows.

    Attributes:
        ids: int32 ``[rows + 1]``, the published id of each row; row 0 is reserved, and
            has id 0.
    """

    ids: IntArray

    @classmethod
    def of(cls, what: str, ids: IntArray) -> Self:
        """Numbers the ids that occur; ``what`` they name is for the error.

        Raises:
            DataError: an id is not positive.
        """
        distinct = np.unique(ids)
        if len(distinct) and distinct[0] < 1:
            raise DataError(f"ids of {what}s must be positive but got {distinct[0]}")
        return cls(np.concatenate([[0], distinct]).astype(np.int32))

    @property
    def rows(self) -> int:
        """The number of rows, row 0 included."""
        return len(self.ids)

    @property
    def is_identity(self) -> bool:
        """Whether every id is its own row."""
        return bool(self.ids[-1] == self.rows - 1)

    def rows_of(self, what: str, ids: npt.NDArray[np.int32]) -> IntArray:
        """The rows of the given ids, int32; ``what`` they name is for the error.

        Raises:
            DataError: an id has no row.
        """
        rows = np.searchsorted(self.ids, ids).astype(np.int32)
        known = self.ids[np.minimum(rows, self.rows - 1)] == ids
        if not (known & (ids > 0)).all():
            unknown = ids[~(known & (ids > 0))][0]
            raise DataError(f"{what} {unknown} is rated but not in the table of {what}s")
        return rows
