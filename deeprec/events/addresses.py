"""Files at addresses: ``s3://`` and ``gs://``, read by pyarrow's file systems, and ``file://``.

Who may read them is for the environment to say, as for every other program: AWS's and Google's
variables, files and roles. Options stand behind the address, as pyarrow has them:
``s3://bucket/log.parquet?region=eu-central-1``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType

from deeprec.errors import DataError, printable
from deeprec.events.description import shown_path

_ADDRESS = re.compile(r"(?P<root>(?P<scheme>[a-z][a-z0-9]*)://(?P<user>[^@/?]*@)?[^/?]*)(.*)")
_PARTS = re.compile(r"/*(?P<inside>[^?]*)(?P<options>\?.*)?")
_GIVES_UP = "retry_limit_seconds=20"
"""An option of Google's storage, which is asked for a quarter of an hour without it."""


@dataclass(frozen=True)
class Remote:
    """A file or folder of a file system that pyarrow knows, with what of a path is asked here.

    Attributes:
        path: in its file system: ``bucket/folder/file``.
        scheme: in front of it in an address.
        files: the file system.
    """

    path: str
    scheme: str
    files: FileSystem = field(compare=False)

    def __str__(self) -> str:
        """The address, without credentials and options."""
        return f"{self.scheme}://{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """That of the name."""
        return PurePosixPath(self.path).suffix

    @property
    def suffixes(self) -> list[str]:
        """Those of the name."""
        return PurePosixPath(self.path).suffixes

    def open(self, _mode: str = "rb") -> Any:
        """A file to read bytes from; OSError if that cannot be."""
        return self.files.open_input_file(self.path)

    def is_dir(self) -> bool:
        """Whether it is a folder; DataError where that cannot be told."""
        return self._type() is FileType.Directory

    def exists(self) -> bool:
        """Whether it is there; DataError where that cannot be told."""
        return self._type() is not FileType.NotFound

    def beside(self) -> list[str]:
        """The names of what is in the same folder."""
        folder = str(PurePosixPath(self.path).parent)
        return [each.base_name for each in self._listed(folder)]

    def below(self) -> list["Remote"]:
        """All files of the folder and its folders, ascending."""
        return self._sorted(self._listed(self.path, recursive=True))

    def matching(self) -> list["Remote"]:
        """The files whose path matches this one, in which ``**`` is any number of folders."""
        bucket, *parts = PurePosixPath(self.path).parts
        folders = [bucket]
        for part in parts[:-1]:
            folders = [inside for folder in folders for inside in self._folders(folder, part)]
        return self._sorted(
            each
            for folder in folders
            for each in self._listed(folder)
            if fnmatch(each.base_name, parts[-1])
        )

    def _folders(self, folder: str, part: str) -> Iterator[str]:
        if part == "**":
            yield folder
        elif not re.search(r"[*[]", part):
            yield f"{folder}/{part}"
            return
        for each in self._listed(folder, recursive=part == "**"):
            if each.type is FileType.Directory and (part == "**" or fnmatch(each.base_name, part)):
                yield each.path

    def _sorted(self, found: Any) -> list["Remote"]:
        paths = {each.path for each in found if each.type is FileType.File}
        return [Remote(path, self.scheme, self.files) for path in sorted(paths)]

    def _listed(self, folder: str, *, recursive: bool = False) -> list[FileInfo]:
        selector = FileSelector(folder, recursive=recursive, allow_not_found=True)
        try:
            found: list[FileInfo] = self.files.get_file_info(selector)
        except OSError as error:
            raise unreachable(self, error) from error
        return found

    def _type(self) -> FileType:
        try:
            return self.files.get_file_info(self.path).type
        except OSError as error:
            raise unreachable(self, error) from error


def is_address(path: str) -> bool:
    """Whether it names a place that is no path."""
    return _ADDRESS.fullmatch(path) is not None


def located(address: str) -> Path | Remote:
    """What an address names, which need not be there.

    Raises:
        DataError: there is no such address.
    """
    found = _ADDRESS.fullmatch(address)
    assert found is not None
    if found["scheme"] == "file":
        parts = urlsplit(address)
        if parts.netloc or not parts.path.startswith("/"):
            raise DataError(f"{address} must be file:///FOLDER/FILE, with three slashes")
        return Path(unquote(parts.path))
    inside = _PARTS.fullmatch(found[4])
    if found["scheme"] not in ("s3", "gs") or inside is None or found["root"].endswith("/"):
        raise DataError(
            f"{shown_path(address)} must be a path, or an address: s3://BUCKET/FILE, "
            "gs://BUCKET/FILE or file:///FOLDER/FILE"
        )
    options = inside["options"] or ""
    if found["scheme"] == "gs" and "retry_limit_seconds" not in options:
        options += f"{'&' if options else '?'}{_GIVES_UP}"
    try:
        files, bucket = _file_system(found["root"] + options)
    except (OSError, ValueError, NotImplementedError) as error:
        raise unreachable(shown_path(address), error) from error
    return Remote(f"{bucket}/{inside['inside']}".rstrip("/"), found["scheme"], files)


@lru_cache(maxsize=8)
def _file_system(root: str) -> tuple[FileSystem, str]:
    """The file system of a bucket, and the bucket; a connection is kept."""
    found: tuple[FileSystem, str] = FileSystem.from_uri(root)
    return found


def unreachable(place: object, error: Exception) -> DataError:
    """What is said where an address cannot be asked."""
    return DataError(
        f"{place} cannot be read: {printable(error)}; is the address right, and may this user read "
        "there?"
    )
