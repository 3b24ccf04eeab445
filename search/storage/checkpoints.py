"""Checkpoints: how far the trainings of a study are, one file for each configuration that trains.

A file is named by the first trial of its configuration, so that the trial that runs it again finds
it. It replaces the one before it whole. What it belongs to is in it: it is gone on from only where
that is the same, and where every byte is as it was written.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec.data.verified_files import read_arrays, replacing
from deeprec.errors import DataError, printable
from search.records.trials import CurvePoint, TrialRecord
from search.storage.trials import curve_from_json, curve_to_json


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A training after some epochs."""

    # what decides the numbers of the training, by name: what goes on from it must agree
    belongs_to: Mapping[str, str]
    curve: tuple[CurvePoint, ...]
    arrays: Sequence[npt.NDArray[Any]]  # of its progress


def checkpoint_file(folder: Path, first_try: int) -> Path:
    """Where the checkpoint of a configuration is, or would be, by the number of its first trial."""
    return folder / f"trial-{first_try:04d}.checkpoint"


def write_checkpoint(file: Path, checkpoint: Checkpoint) -> None:
    """Writes it whole, or not at all; what was there before is replaced. OSError if it cannot."""
    about = {
        "belongs_to": dict(checkpoint.belongs_to),
        "curve": curve_to_json(checkpoint.curve),
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file, f".{file.name}.") as new:
        np.savez(new, text, *checkpoint.arrays)


def read_checkpoint(file: Path, belongs_to: Mapping[str, str]) -> Checkpoint | None:
    """The checkpoint of a training, if there is one.

    Raises:
        DataError: it is damaged, or belongs to another training.
    """
    try:
        stored = read_arrays(file)
        text, *arrays = (stored[f"arr_{number}"] for number in range(len(stored)))
        about = json.loads(text.tobytes())
        found = Checkpoint(
            belongs_to=about["belongs_to"], curve=curve_from_json(about["curve"]), arrays=arrays
        )
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever NumPy's parser makes of bytes that are no file of ours
        raise DataError(f"it is damaged: {printable(error) or type(error).__name__}") from error
    others = [name for name, mine in belongs_to.items() if found.belongs_to.get(name) != mine]
    if others:
        raise DataError(f"it was made with another {', another '.join(others)}")
    return found


def remove_checkpoints(folder: Path, trials: Iterable[TrialRecord]) -> None:
    """Removes those of configurations that do not run again, as one of these trials has ended."""
    for trial in trials:
        if trial.has_ended and trial.state != "interrupted":
            with suppress(OSError):
                checkpoint_file(folder, trial.first_try).unlink()
