"""What all rows share: a line of the table, measurements in turn, processes of their own, printing.

``python -m tests.benchmarks.harness MODULE:FUNCTION JSON`` is how :func:`call` measures in a fresh
process. It prints what the function returns as one line of JSON, and all else to standard error.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.config.addresses import PROJECT
from search.execution.runtime import git_commit

ROWS = [
    *("step", "trial", "study", "overhead", "checkpoints", "start", "pages"),
    *(
        "backfill",
        "workers",
        "memory",
        "evaluation",
        "recommend",
        "serving",
        "claims",
        "scale",
        "own_data",
        "default",
    ),
]
"""Each is a module of this package with a function ``measure(*, quick)`` that returns results."""


class MeasurementError(Exception):
    """Something could not be measured; the message is one line for people."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table."""

    what: str
    ours: float = 0.0
    unit: str = "s"  # of both
    against: float | None = None  # how the other does, if there is one
    opponent: str = ""  # what the other is
    at_most: float | None = None  # target for ours, or for ours by the other's if there is one
    at_least: float | None = None  # target for ours, or for the other's by ours: so many times
    is_rate: bool = False  # of ours and the other's more is better, ``at_least`` is for ours by its
    note: str = ""  # what a reader should know, such as the spread
    failure: str = ""  # why it could not be measured, if it could not

    @property
    def ratio(self) -> float | None:
        """What the target is for where there is another; at least 1 is good unless at most so."""
        if self.against is None:
            return None
        ours_by_theirs = self.is_rate or self.at_most is not None
        return self.ours / self.against if ours_by_theirs else self.against / self.ours

    @property
    def target(self) -> str:
        """In words, such as ``at most 1.15 times``; nothing where there is none."""
        unit = self.unit if self.ratio is None else "times"
        if self.at_most is not None:
            return f"at most {self.at_most:g} {unit}"
        return "" if self.at_least is None else f"at least {self.at_least:g} {unit}"

    @property
    def verdict(self) -> str:
        """``met``; ``missed`` and by how much of the bound; nothing where there is no target."""
        judged = self.ours if self.ratio is None else self.ratio
        bound = self.at_least if self.at_most is None else self.at_most
        if self.failure or bound is None:
            return self.failure and f"not measured: {self.failure}"
        is_met = judged >= bound if self.at_most is None else judged <= bound  # NaN never is
        return "met" if is_met else f"missed by {abs(judged / bound - 1):.0%}"

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table shows it, see :data:`HEADINGS`."""
        if self.failure:
            return (self.what, "", "", "", "", self.verdict)
        against = "" if self.against is None else f"{self.opponent}: {self._shown(self.against)}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (self.what, self._shown(self.ours), against, ratio, self.target, self.verdict)

    def _shown(self, value: float) -> str:
        """With three digits where there are more: ``0.412 s``, ``1,234 s``."""
        return f"{value:,.0f} {self.unit}" if abs(value) >= 100 else f"{value:.3g} {self.unit}"


# --- measuring --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """Numbers of ours, each with its partner, which was measured right after it."""

    ours: Sequence[float]
    other: Sequence[float]

    def medians(self, scale: float = 1.0) -> dict[str, Any]:
        """Both medians times ``scale`` and how much pairs differ, for a :class:`Result`."""
        ours, other = (scale * statistics.median(each) for each in (self.ours, self.other))
        return {"ours": ours, "against": other, "note": self.spread}

    @property
    def spread(self) -> str:
        """How much single pairs differ, in words."""
        ratios = sorted(ours / other for ours, other in zip(self.ours, self.other, strict=True))
        return (
            f"medians of {len(ratios)} pairs; ours to the other's in a pair: "
            f"{ratios[0]:.3g} to {ratios[-1]:.3g}, median {statistics.median(ratios):.3g}"
        )


def in_turn(ours: Callable[[], float], other: Callable[[], float], repeats: int) -> Pairs:
    """Measures A B A B ..., so that both meet the same machine."""
    pairs = [(ours(), other()) for _ in range(repeats)]
    return Pairs([ours for ours, _ in pairs], [other for _, other in pairs])


QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_TRACEBACK_FILTERING": "off",  # so that the last line of a traceback is the error
}


def call(
    function: str, arguments: Mapping[str, Any], *, environment: Mapping[str, str] | None = None
) -> Any:
    """What ``MODULE:FUNCTION`` of this package returns in a fresh process, which nothing warmed.

    Args:
        function: such as ``step:measure``.
        arguments: its keyword arguments, of what JSON can carry.
        environment: variables to set there beside those of this process.

    Raises:
        MeasurementError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.harness", function, json.dumps(arguments)],
        cwd=PROJECT,
        env={**os.environ, **QUIET, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode < 0:
        raise MeasurementError(f"killed by signal {-done.returncode}: was there memory enough?")
    if done.returncode > 0:
        raise MeasurementError(last_line(done.stderr) or f"exit code {done.returncode}")
    return json.loads(done.stdout)


def last_line(text: str) -> str:
    """The last line that is not empty: of a traceback, the error."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def answer(function: str, arguments: str) -> None:
    """Calls the function and prints what it returns, alone on standard output."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries print as they like
    module, _, name = function.partition(":")
    returned = getattr(importlib.import_module(f"{__package__}.{module}"), name)(
        **json.loads(arguments)
    )
    with stream:
        stream.write(json.dumps(returned, default=asdict) + "\n")


def measure_all(names: Sequence[str], *, quick: bool) -> Iterator[Result]:
    """Measures the rows in turn, each in a fresh process; the others go on where one fails."""
    for name in names:
        sys.stderr.write(f"{name} ... ")
        sys.stderr.flush()
        started = time.perf_counter()
        try:
            results = [Result(**each) for each in call(f"{name}:measure", {"quick": quick})]
        except MeasurementError as error:
            results = [Result(what=name, failure=str(error))]
        sys.stderr.write(f"{time.perf_counter() - started:.0f} s\n")
        yield from results


# --- printing ---------------------------------------------------------------------------------

HEADINGS = ("what", "ours", "against", "ratio", "target", "result")


def machine() -> str:
    """What figures are measured on; those of a machine that had other work are worth little."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{len(os.sched_getaffinity(0))} cores of {[*models, platform.machine()][0]}, "
        f"{memory:.0f} GiB of memory, Python {platform.python_version()}, "
        f"commit {git_commit() or 'unknown'}, load before {os.getloadavg()[0]:.1f}"
    )


def shown(results: Sequence[Result]) -> str:
    """The table of the README, then the notes."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(result.cells for result in results)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    notes = [f"\n{result.what}: {result.note}" for result in results if result.note]
    return "\n".join([*table, *notes])


if __name__ == "__main__":
    from tests.benchmarks.harness import MeasurementError as Unmeasured  # not that of __main__

    try:
        answer(*sys.argv[1:])
    except Unmeasured as error:
        sys.exit(str(error))
