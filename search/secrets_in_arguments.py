"""Secrets of the command line, which every user of the machine can read in the list of processes.

They are moved to environment variables, which only the owner of a process can read: the command
starts itself again, in the same process, without them.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from search.masking import holds_secret

VARIABLES: Mapping[str, str] = {
    "--storage": "DEEPREC_STORAGE",
    "--tracking-uri": "MLFLOW_TRACKING_URI",
}
"""The variable that stands for a flag."""


def hide_secrets(flags: Collection[str]) -> None:
    """Starts this command again if its arguments hold secrets; returns where they do not.

    Args:
        flags: those of ``VARIABLES`` that the command has.
    """
    known = {flag: VARIABLES[flag] for flag in flags if flag in VARIABLES}
    given = sys.argv[1:]
    before = sys.orig_argv[: len(sys.orig_argv) - len(given)]
    if [*before, *given] != sys.orig_argv:  # called by a program, not from a shell
        return
    kept, moved = without_secrets(given, known)
    if moved:
        os.execve(sys.executable, [*before, *kept], os.environ | moved)  # noqa: S606


def without_secrets(
    arguments: Sequence[str], variables: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The arguments without those flags whose URLs hold secrets.

    Args:
        arguments: of a command.
        variables: the variable of each flag.

    Returns:
        The arguments that remain, and the value of each variable: the last that was given.
    """
    groups = list(_groups(arguments, variables))
    given: dict[str, list[str]] = {}
    for group in groups:
        if group.flag is not None:
            given.setdefault(group.flag, []).append(group.value)
    secret = {flag for flag, values in given.items() if any(map(holds_secret, values))}
    kept = [part for group in groups if group.flag not in secret for part in group.arguments]
    return kept, {variables[flag]: given[flag][-1] for flag in secret}


class _Group(NamedTuple):
    """Arguments that belong together: a flag and its value, or one argument of another kind."""

    arguments: Sequence[str]
    flag: str | None = None
    value: str = ""


def _groups(arguments: Sequence[str], flags: Collection[str]) -> Iterator[_Group]:
    rest = iter(arguments)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        if argument == "--":  # no flags after it
            yield _Group([argument, *rest])
        elif flag in flags and equals:
            yield _Group([argument], flag, value)
        elif flag in flags and (following := next(rest, None)) is not None:
            yield _Group([argument, following], flag, following)
        else:
            yield _Group([argument])
