"""The rows of the table by name, in the order in which they are measured and printed."""

import sys
import time
from collections.abc import Iterator, Sequence

from tests.benchmarks.fresh import MeasurementError, call
from tests.benchmarks.results import Failure, Result

ROWS = (
    "step",
    "trial",
    "study",
    "overhead",
    "start",
    "pages",
    "backfill",
    "workers",
    "memory",
    "evaluation",
    "scale",
    "default",
)
"""Each is a module of this package with a function ``measure(*, quick)``."""


def measure_all(names: Sequence[str], *, quick: bool) -> Iterator[Result | Failure]:
    """Measures the rows in turn, each in a fresh process; the others go on where one fails."""
    for name in names:
        sys.stderr.write(f"{name} ... ")
        sys.stderr.flush()
        started = time.perf_counter()
        outcomes = _measured(name, quick=quick)
        sys.stderr.write(f"{time.perf_counter() - started:.0f} s\n")
        yield from outcomes


def _measured(name: str, *, quick: bool) -> list[Result] | list[Failure]:
    try:
        return [Result.from_json(values) for values in call(f"{name}:measure", {"quick": quick})]
    except MeasurementError as error:
        return [Failure(row=name, reason=str(error))]
