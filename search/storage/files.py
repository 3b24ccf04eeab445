"""The files of a study: the towers that its trials saved, and checkpoints of those that train.

A checkpoint is named by the first trial of its configuration, so that the trial that runs it again
finds it. It replaces the one before it whole. What it belongs to is in it: it is gone on from only
where that is the same, and where every byte is as it was written.

Where every machine shall find them, both are copied into a folder of a file system, S3 or GCS as
they are written, each as one file that begins with the SHA-256 of the rest and is in its place once
it is whole. Another machine goes on from the checkpoint, and the search that started the workers
brings the towers home.
"""

import hashlib
import io
import json
import re
import shutil
import uuid
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeprec.data.verified_files import (
    MANIFEST,
    check_folder,
    is_plain_name,
    parsed,
    read_arrays,
    replacing,
    write_folder,
)
from deeprec.errors import DataError, printable
from search.config.addresses import mask
from search.config.sections import SAFE_NAME
from search.records.errors import InputError
from search.records.events import TrialEvent, TrialFinished
from search.records.trials import CurvePoint, TrialRecord
from search.storage.trials import curve_from_json, curve_to_json

if TYPE_CHECKING:
    from deeprec.model.own import OwnTower
    from deeprec.model.retrieval import RetrievalModel
    from deeprec.model.towers import CandidateModel, QueryModel


TOWER_FILES = ("query_model.keras", "candidate_model.keras")


def save_towers(model: "RetrievalModel", folder: Path, name: int | str) -> Path:
    """Saves both towers, and their manifest, into a folder of their own; whole, or not at all.

    The folder's name is the trial's number, or another.
    """
    from deeprec.model.saving import save_model  # here, for looking towers up needs no Keras

    def fill(new: Path) -> None:
        towers = (model.query_model, model.candidate_model)
        for tower, file in zip(towers, TOWER_FILES, strict=True):
            save_model(tower, new / file)

    target = tower_folder(folder, name)
    write_folder(target, fill)
    return target


def find_towers(folder: Path, name: int | str) -> Path | None:
    """The folder of the towers saved under that name, if both are there; nothing is read."""
    target = tower_folder(folder, name)
    return target if all((target / file).is_file() for file in TOWER_FILES) else None


def load_towers(
    folder: Path, *, trusted: Collection[str] = ()
) -> "tuple[QueryModel | OwnTower, CandidateModel | OwnTower]":
    """Reads the towers that :func:`save_towers` wrote: checked by SHA-256 first, then parsed.

    Code that they name is run where its name is among the ``trusted``. DataError unless the folder
    holds both as they were written.
    """
    from deeprec.model.saving import load_tower

    check_folder(folder, TOWER_FILES)
    query_file, candidate_file = TOWER_FILES
    with parsed(folder):
        query = load_tower(folder / query_file, "query", trusted=trusted)
        return query, load_tower(folder / candidate_file, "candidate", trusted=trusted)


def remove_leftovers(folder: Path) -> int:
    """Removes what killed processes left of towers and checkpoints they were saving; how many.

    Only for a process that knows it is alone: another might be saving at this moment.
    """
    left = [path for path in folder.glob(".trial-*") if not path.is_symlink()]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


def tower_folder(folder: Path, name: int | str) -> Path:
    """Where the towers of a trial are, or would be; ValueError for a name that leads elsewhere."""
    plain = f"trial-{name:04d}" if isinstance(name, int) else name
    if not SAFE_NAME.fullmatch(plain):
        raise ValueError(f"the towers' folder must have a plain name but got {name!r}")
    return folder / plain


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


_ADDRESS = re.compile(r"(file:///|s3://[^/]|gs://[^/]).*")
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Shared:
    """The folder of one study at an address that every machine reaches."""

    address: str = field(repr=False)  # such as ``s3://bucket/studies``; may hold a secret
    study: str  # its identity, which names the folder

    def names(self) -> set[str]:
        """What it holds; OSError where it cannot be reached."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._folder, allow_not_found=True)
        return {Path(info.path).name for info in self._files.get_file_info(selector)}

    def keep(self, path: Path) -> None:
        """Copies a checkpoint, or a folder of towers; OSError if it cannot."""
        content = _packed(path) if path.is_dir() else path.read_bytes()
        target = f"{self._folder}/{path.name}"
        new = f"{target}.{uuid.uuid4().hex}"
        self._files.create_dir(self._folder, recursive=True)
        with self._files.open_output_stream(new) as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        self._files.move(new, target)

    def fetch(self, path: Path) -> None:
        """Copies what :meth:`keep` was given by that name, if anything, to the path.

        Raises:
            DataError: it is not as it was written.
            OSError: it cannot be read, or written here.
        """
        try:
            with self._files.open_input_stream(f"{self._folder}/{path.name}") as file:
                stored = file.read()
        except FileNotFoundError:
            return
        digest, content = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            raise DataError(f"{path.name} at {mask(self.address)} differs from its SHA-256")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            with replacing(path, f".{path.name}.") as new:
                new.write(content)
        else:
            write_folder(path, lambda folder: _unpack(content, folder))

    def remove(self, name: str) -> None:
        """Removes it, if it is there and that can be done."""
        with suppress(OSError):
            self._files.delete_file(f"{self._folder}/{name}")

    def bring_home(
        self, folder: Path, trials: Iterable[TrialRecord], warn: Callable[[str], None]
    ) -> None:
        """Fetches the towers that the folder lacks; removes checkpoints that none goes on from."""
        try:
            held = self.names()
        except OSError as error:
            warn(f"towers at {mask(self.address)} are not brought here: {error}")
            return
        for trial in trials:
            towers = tower_folder(folder, trial.number)
            if towers.name in held and find_towers(folder, trial.number) is None:
                try:
                    self.fetch(towers)
                except (DataError, OSError) as error:
                    warn(f"the towers of trial {trial.number} are not brought here: {error}")
            self._tidy(folder, trial, held)

    def brought(self, event: TrialEvent, folder: Path) -> TrialEvent:
        """The event, with towers that are in the folder: where they are not yet, they are fetched.

        Those that cannot be fetched now are left to :meth:`bring_home`.
        """
        if not isinstance(event, TrialFinished):
            return event
        self._tidy(folder, event.trial)
        number = event.trial.number
        if event.towers is not None and find_towers(folder, number) is None:
            with suppress(DataError, OSError):
                self.fetch(tower_folder(folder, number))
        return replace(event, towers=find_towers(folder, number))

    def _tidy(self, folder: Path, trial: TrialRecord, held: Iterable[str] | None = None) -> None:
        name = checkpoint_file(folder, trial.first_try).name
        if trial.has_ended and trial.state != "interrupted" and (held is None or name in held):
            self.remove(name)

    @property
    def _folder(self) -> str:
        return f"{self._place[1]}/{self.study}"

    @property
    def _files(self) -> Any:
        return self._place[0]

    @cached_property
    def _place(self) -> tuple[Any, str]:
        from pyarrow.fs import FileSystem  # here, for only those who share wait for it

        files, folder = FileSystem.from_uri(self.address)
        return files, folder.rstrip("/")

    def __getstate__(self) -> dict[str, str]:
        """Connections stay in their process."""
        return {"address": self.address, "study": self.study}


def check_shared(shared: Shared) -> None:
    """Looks at the address; InputError if it cannot be used."""
    if not _ADDRESS.fullmatch(shared.address):
        raise InputError(
            "--shared must be file:///FOLDER, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER but got "
            f"{mask(shared.address)}"
        )
    try:
        shared.names()
    except (OSError, ValueError, NotImplementedError) as error:
        cause = " ".join(str(error).split())
        raise InputError(
            f"--shared {mask(shared.address)} cannot be used: {cause}; is the address right, and "
            "may this user read and write there?"
        ) from error


def _packed(folder: Path) -> bytes:
    """The files of a folder as one; its manifest is made anew where it is unpacked."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.iterdir()):
            if path.name != MANIFEST:
                archive.write(path, path.name)
    return content.getvalue()


def _unpack(content: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if not is_plain_name(name):
                raise DataError(f"a file of towers must have a plain name but got {name[:80]!r}")
            (folder / name).write_bytes(archive.read(name))
