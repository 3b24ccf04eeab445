"""When a trial writes a checkpoint, and whether it goes on from one that it finds."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import optuna

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.errors import DataError
from deeprec.training.progress import Progress
from search.execution.runtime import computed_on, library_versions
from search.records.trials import CurvePoint
from search.storage.attributes import CODE, DATA_FINGERPRINT, IDENTITY
from search.storage.files import Checkpoint, read_checkpoint, write_checkpoint

SAVE_EVERY_S = 2.0
"""Seconds between two checkpoints at least: a trial that is shorter writes none, as to start it
again takes no longer than to start a process."""

LARGEST_SHARE = 0.02  # of a trial's time, which writing its checkpoints takes

ASSUMED_BYTES_PER_S = 1e8  # how fast the first checkpoint of a trial is written

COMPUTE = ("keras", "keras-rs", "jax", "numpy")  # the libraries that a training computes with


class Saver:
    """The checkpoint of one trial, or of the trial that it runs again.

    Args:
        file: where it is.
        belongs_to: see :func:`identity_of`.
        warn: called with a line when a checkpoint cannot be used or written.
        keep: given the file after it was written.
        fetch: given the file before it is read.
    """

    def __init__(
        self,
        file: Path,
        belongs_to: Mapping[str, str],
        warn: Callable[[str], None],
        *,
        keep: Callable[[Path], None] = lambda _file: None,
        fetch: Callable[[Path], None] = lambda _file: None,
    ) -> None:
        self.progress: Progress | None = None  # what is saved next
        self._file = file
        self._belongs_to = belongs_to
        self._warn = warn
        self._keep = keep
        self._fetch = fetch
        self._due_at = 0.0  # of the monotonic clock; never again where it is infinite

    def found(self, start: Progress) -> tuple[Progress, Sequence[CurvePoint]]:
        """Where a training begins that would begin at the start, and its curve until there."""
        self._rest(start.size / ASSUMED_BYTES_PER_S)
        try:
            self._fetch(self._file)
            if checkpoint := read_checkpoint(self._file, self._belongs_to):
                return start.restored(checkpoint.arrays), checkpoint.curve
        except (DataError, OSError, ValueError) as error:
            self._warn(f"{self._file.name} is left out ({error}); its trial starts anew")
        return start, ()

    def is_due(self) -> bool:
        """Whether enough time has passed since the last one."""
        return time.monotonic() >= self._due_at

    def save(self, curve: Sequence[CurvePoint]) -> None:
        """Writes a checkpoint of the progress, with its part of the curve.

        Where that fails there is a warning, and no other try.
        """
        progress, self.progress = self.progress, None
        if progress is None or math.isinf(self._due_at):
            return
        began = time.monotonic()
        try:
            write_checkpoint(
                self._file,
                Checkpoint(
                    belongs_to=self._belongs_to,
                    curve=tuple(curve[: progress.epoch]),
                    arrays=progress.arrays(),
                ),
            )
            self._keep(self._file)
        except OSError as error:
            self._warn(
                f"no checkpoint can be written into {self._file.parent} "
                f"({error.strerror or error}); what is interrupted starts anew"
            )
            self._due_at = math.inf
        else:
            self._rest(time.monotonic() - began)

    def _rest(self, seconds: float) -> None:
        """Has the next one wait, where one takes so many seconds."""
        self._due_at = time.monotonic() + max(SAVE_EVERY_S, seconds / LARGEST_SHARE)


def identity_of(
    study: optuna.Study, model: ModelConfig, config: TrainingConfig
) -> Mapping[str, str]:
    """What decides the numbers of a trial's training, by what it is to people."""
    of_study = study.user_attrs
    return {
        "study": str(of_study.get(IDENTITY)),
        "data set": str(of_study.get(DATA_FINGERPRINT)),
        "code of the study's parts": json.dumps(of_study.get(CODE)),
        "architecture": repr(model),
        "training": repr(config),
        "processor, device or number of threads": json.dumps(computed_on()),
        "version of a library": json.dumps(_versions()),
    }


@cache
def _versions() -> Mapping[str, str]:
    return {name: version for name, version in library_versions().items() if name in COMPUTE}
