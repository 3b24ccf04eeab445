"""What a search and its workers tell each other.

The messages travel pickled over a socket that only the two processes have. Passwords in the
storage's URL are so never seen in a list of processes.
"""

from dataclasses import dataclass
from pathlib import Path

from search.config.study import StudySpec
from search.records.events import Outcome, TrialEvent


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The first message to a worker.

    Attributes:
        spec: the study file, the command line's choices included.
        storage_url: of the study, which exists.
        towers_folder: where towers are saved.
        data_dir: where the raw data is; looked for when None.
        data_fingerprint: of the data set that the study is searched on.
        grace_seconds: how long a worker may be silent.
        first_number: failures of trials before this number are not counted.
        seconds_left: no trial starts later than this; None without a limit.
        worker: the name that the worker has, as no other; filled in once it is started.
    """

    spec: StudySpec
    storage_url: str
    towers_folder: Path
    data_dir: Path | None
    data_fingerprint: str
    grace_seconds: float
    first_number: int
    seconds_left: float | None
    worker: str = ""


@dataclass(frozen=True)
class Stop:
    """To a worker: end after this epoch; its trial is recorded as interrupted."""

    reason: str


@dataclass(frozen=True)
class Warned:
    """From a worker: a line for the user."""

    line: str


@dataclass(frozen=True)
class Alive:
    """From a worker, all the time: it lives, whatever it is doing."""


@dataclass(frozen=True)
class Ended:
    """The last message of a worker that has nothing more to do."""

    outcome: Outcome


@dataclass(frozen=True)
class Crashed:
    """The last message of a worker that cannot go on."""

    reason: str


Event = TrialEvent | Warned | Alive | Ended | Crashed
