"""Commands that are printed to be copied: with the interpreter that runs, and the flags given."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from search.config.addresses import VARIABLES, holds_secret


@dataclass(frozen=True, kw_only=True)
class NextCommands:
    """Commands to go on with, ready to be copied.

    Attributes:
        compare: shows the trials in MLflow.
        search: starts the search, or goes on with it.
        more: goes on with it, for more trials.
        retrain: confirms the best trials.
        sync: makes MLflow agree with the study.
        report: writes the report.
        recommend: recommends to a user, by the champion.
    """

    compare: str
    search: str
    more: str
    retrain: str
    sync: str
    report: str
    recommend: str

    def recommend_by(self, model: str | Path | None) -> str:
        """Recommends by a model that is not the champion; None is the champion."""
        return " ".join(filter(None, [self.recommend, flag("--model", model)]))


def call(module: str, *arguments: str) -> str:
    """Runs a module by the interpreter that runs now; empty arguments are left out.

    Args:
        module: its name.
        arguments: as a shell reads them, see :func:`flag`.
    """
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
