"""What the figures were measured on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from search.execution.runtime import git_commit


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, the Python and the commit.

    Attributes:
        cores: that this process may use.
        memory_gib: of the machine.
        processor: its model.
        python: version.
        commit: of the code, if it is known.
        load: how many processes wanted a core over the last minute; figures of a machine that had
            other work are worth little.
    """

    cores: int
    memory_gib: float
    processor: str
    python: str
    commit: str | None
    load: float

    @classmethod
    def this_one(cls) -> Self:
        """The machine that this runs on."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            cores=len(os.sched_getaffinity(0)),
            memory_gib=memory / 2**30,
            processor=_processor(),
            python=platform.python_version(),
            commit=git_commit(),
            load=os.getloadavg()[0],
        )

    def __str__(self) -> str:
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gib:.0f} GiB of memory, "
            f"Python {self.python}, commit {self.commit or 'unknown'}, "
            f"load before {self.load:.1f}"
        )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
