"""Addresses and folders that a command is given, checked before use; commands to be copied."""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from search.records.errors import InputError

HIDDEN = "***"

_LOOKS_SECRET = re.compile(r"pass|pwd|secret|token|credential|(^|_)key$", re.IGNORECASE)
# A password may hold slashes: all up to the last @ may be a part of it.
_DATABASE_USER = re.compile(
    r"((?:postgres(?:ql)?|mysql|mariadb|mssql|oracle)(?:\+\w+)?://)[^\s'\"]*@", re.IGNORECASE
)
_USER_WITH_PASSWORD = re.compile(r"(?<=://)[^/\s'\":@]*:(?!\d+(?:[/?#]|$))[^\s'\"]*@")
_USER = re.compile(r"(?<=://)[^/\s'\"]+@")
_QUERY = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]+")
_QUERY_VALUE = re.compile(r"([?&])([^=&\s]+)=([^&#]*)")


def mask(text: str) -> str:
    """The text with user names, passwords and query values of its URLs replaced by ``***``."""
    text = _DATABASE_USER.sub(rf"\1{HIDDEN}@", text)
    text = _USER_WITH_PASSWORD.sub(f"{HIDDEN}@", text)
    text = _USER.sub(f"{HIDDEN}@", text)
    return _QUERY.sub(rf"\1{HIDDEN}", text)


def mask_query(url: str) -> str:
    """A URL whose query tells how to connect: the values that look like secrets are replaced."""

    def replaced(part: re.Match[str]) -> str:
        mark, name, value = part.groups()
        return f"{mark}{name}={HIDDEN if _LOOKS_SECRET.search(unquote(name)) else value}"

    return _QUERY_VALUE.sub(replaced, url)


def holds_secret(url: str) -> bool:
    """Whether a URL holds what others must not read.

    The name of a user alone is no secret, except for a web server, where it may be a token.
    """
    if url.lower().startswith(("http://", "https://")):
        return mask(url) != url
    after = url.partition("://")[2]
    has_password = re.match(r"[^/:@]*:[^@]*@", after) is not None
    return has_password or mask_query(url) != url


VARIABLES: Mapping[str, str] = {
    "--storage": "DEEPREC_STORAGE",
    "--tracking-uri": "MLFLOW_TRACKING_URI",
    "--shared": "DEEPREC_SHARED",
}
"""The environment variable that stands for a flag."""

LONGEST_ADDRESS = 2000
LONGEST_NAME = 255  # bytes in the name of a file or a folder


def check_address(address: str, flag: str) -> None:
    """Checks an address by itself, without looking at what it names; it is never repeated whole.

    Raises:
        InputError: it is empty or too long, or holds what cannot be printed or name a file.
    """
    if not address:
        raise InputError(
            f"{flag} must be an address but is empty; set the variable it was given by"
        )
    if len(address) > LONGEST_ADDRESS:
        raise InputError(
            f"{flag} must have at most {LONGEST_ADDRESS:,} characters but got {len(address):,}"
        )
    if unprintable := next((c for c in address if not c.isprintable()), None):
        raise InputError(
            f"{flag} must be free of control characters but got {unprintable!r}; "
            "type it again, or quote it in the shell"
        )
    check_names(address, flag)


def exposed_secrets(arguments: Sequence[str]) -> list[str]:
    """Warnings of passwords and tokens that are arguments, where every user can read them."""
    return [
        f"every user of this machine can see the secret in {flag}; set {variable} instead"
        for flag, variable in VARIABLES.items()
        if any(map(holds_secret, _values(arguments, flag)))
    ]


def _values(arguments: Sequence[str], flag: str) -> list[str]:
    apart = [value for before, value in pairwise(arguments) if before == flag]
    joined = [each.partition("=")[2] for each in arguments if each.startswith(f"{flag}=")]
    return [*apart, *joined]


def check_names(path: str, flag: str) -> None:
    """InputError unless files can have the names in a path: short, without null characters."""
    if "\0" in path:
        raise InputError(f"{flag} must be free of null characters")
    if any(len(name.encode(errors="surrogatepass")) > LONGEST_NAME for name in path.split("/")):
        raise InputError(f"{flag} must have names of at most {LONGEST_NAME} bytes between slashes")


@dataclass(frozen=True, kw_only=True)
class NextCommands:
    """Commands to go on with, ready to be copied: with the interpreter and flags of this one."""

    compare: str  # shows the trials in MLflow
    search: str
    """Starts the search, or goes on with it; ``more`` goes on for more trials."""

    more: str
    retrain: str
    sync: str
    report: str
    recommend: str  # recommends to a user, by the champion

    def recommend_by(self, model: str | Path | None) -> str:
        """Recommends by a model that is not the champion; None is the champion."""
        return " ".join(filter(None, [self.recommend, flag("--model", model)]))


def call(module: str, *arguments: str) -> str:
    """Runs a module by the interpreter that runs now; empty arguments are left out."""
    return " ".join([script(_interpreter().name), "-m", module, *filter(None, arguments)])


def script(name: str) -> str:
    """A program beside the interpreter, as a shell in the working directory calls it."""
    path, here = _interpreter().with_name(name), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def flag(name: str, value: object) -> str:
    """A flag with its value, for a shell; nothing where the value is None.

    A URL that holds a secret is replaced by the environment variable that stands for the flag.
    """
    if value is None:
        return ""
    if name in VARIABLES and holds_secret(str(value)):
        return f'{name} "${VARIABLES[name]}"'
    return f"{name} {shlex.quote(str(value))}"


def _interpreter() -> Path:
    return Path(sys.executable or "python")


# --- folders ---------------------------------------------------------------------------------

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parent
"""The folder of the project, or that of the environment which it is installed in."""

STUDIES = PACKAGE / "studies"
"""The studies that come with the project, known by name wherever a search is started."""


@dataclass(frozen=True)
class Workspace:
    """The folder a search works in."""

    folder: Path  # usually the working directory

    @property
    def studies(self) -> Path:
        """Study files, study databases, and a folder of towers a study."""
        return self.folder / "studies"

    @property
    def mlruns(self) -> Path:
        """MLflow's database and artifacts."""
        return self.folder / "mlruns"

    @property
    def study_files(self) -> tuple[Path, ...]:
        """The folders whose ``*.toml`` can be named by ``--study``, the first wins."""
        own, shipped = self.studies, STUDIES.resolve()
        return (own,) if own.resolve() == shipped else (own, shipped)

    def towers(self, study: str) -> Path:
        """Where the towers of a study lie, a folder a trial."""
        return self.studies / study

    def check_writable(self) -> None:
        """InputError, without writing, unless both folders can be written or made."""
        for folder in (self.studies, self.mlruns):
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
                raise InputError(
                    f"{folder} must be a folder that can be written but {existing} is not; "
                    "start the search in a folder of your own"
                )
