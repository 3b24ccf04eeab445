"""Whose fault a failure is."""

import errno
import re

import pytest

from deeprec.errors import NonFiniteError
from search.records.errors import environment_fault


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full .*; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "towers"), "Permission denied: 'tow"),
        (ModuleNotFoundError("No module named 'h5py'"), "no fault of the trial: No module named"),
        (OSError(), "no fault of the trial: OSError; mend it"),
    ],
)
def test_what_no_configuration_causes_is_said_with_a_remedy(error: Exception, said: str) -> None:
    reason = environment_fault(error)
    assert reason is not None
    assert reason.endswith("start the same command again")
    assert re.search(said, reason)


@pytest.mark.parametrize(
    "error", [NonFiniteError("train_loss", 1, 1), MemoryError(), ValueError("rank"), TypeError()]
)
def test_what_a_configuration_may_cause_is_its_own(error: Exception) -> None:
    assert environment_fault(error) is None
