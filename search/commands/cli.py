"""What every command shares: how it ends, and what it says when it cannot."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from search.config.addresses import mask
from search.display.console import keep_writable
from search.records.errors import InputError, is_denied, is_disk_full

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


def run_command(command: Callable[..., int | None], *, is_for_output: bool = False) -> NoReturn:
    """Runs a Typer command and exits: 0 when it worked, 2 with one line for bad input.

    Whatever it writes belongs to its user alone.

    Args:
        command: a function with Typer's annotations; it returns its exit code, or None for 0.
        is_for_output: whether it is for nothing but what it prints, so that it has not worked where
            that could not be written.
    """
    output = keep_writable()
    _keep_to_owner()
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(_interruptible(command))
    exit_code = _exit_code(app)
    if output is not None and is_for_output:
        sys.stdout.flush()
        if not exit_code and output.is_incomplete:
            exit_code = _complain(f"the output cannot be written: {output.lost}", FAILED)
    sys.exit(exit_code)


def _keep_to_owner() -> None:
    """From now on files and folders are made for their owner alone."""
    os.umask(os.umask(0o077) | 0o077)


def _interruptible(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """The command, whose Ctrl-C is told from one that returns 130: Typer makes them the same."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> int | None:
        try:
            return command(*arguments, **options)
        except KeyboardInterrupt as interrupt:
            raise typer.Abort from interrupt

    return run


def _exit_code(app: Any) -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except InputError as error:
        return _complain(str(error))
    except TyperException as error:
        return _complain(mask(error.format_message()))
    except OSError as error:
        if not (is_disk_full(error) or is_denied(error)):
            raise
        return _complain(f"{error.strerror}: {error.filename or 'a file'}", FAILED)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


def _complain(message: str, exit_code: int = BAD_INPUT) -> int:
    one_line = " ".join(message.split())
    print(f"error: {one_line}", file=sys.stderr)  # noqa: T201
    return exit_code
