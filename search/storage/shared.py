"""Files of trials where every machine finds them: in a folder of a file system, S3 or GCS.

Checkpoints and saved towers are copied there as they are written, each as one file that begins
with the SHA-256 of the rest and is in its place once it is whole. Another machine goes on from the
checkpoint, and the search that started the workers brings the towers home.
"""

import hashlib
import io
import re
import uuid
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from deeprec.data.verified_files import MANIFEST, is_plain_name, replacing, write_folder
from deeprec.errors import DataError
from search.config.addresses import mask
from search.records.errors import InputError
from search.records.events import TrialEvent, TrialFinished
from search.records.trials import TrialRecord
from search.storage.checkpoints import checkpoint_file
from search.storage.towers import find_towers, tower_folder

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
