"""What commands share: their flags, how one on a study begins, and how each ends.

What is slow is imported inside, so that ``--help`` and most errors answer at once.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from search.config.addresses import VARIABLES, check_address, exposed_secrets, mask
from search.display.console import keep_writable
from search.records.errors import (
    InputError,
    Interrupted,
    SearchFailedError,
    is_denied,
    is_disk_full,
)

if TYPE_CHECKING:
    from search.config.study import StudySpec
    from search.display.terminal import Screen

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


def _checked_storage(url: str | None) -> str | None:
    if url is not None:
        check_address(url, "--storage")
        from search.storage.database import Database  # here, for only those who give one wait

        Database.at(url)
    return url


StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=VARIABLES["--storage"],
        callback=_checked_storage,
        metavar="URL",
        help="Database of the study; or in DEEPREC_STORAGE.",
        show_envvar=False,
        show_default="SQLite, studies/NAME.db",
    ),
]
TrackingUriOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar=VARIABLES["--tracking-uri"],
        metavar="URI",
        help="MLflow server; or in MLFLOW_TRACKING_URI.",
        show_envvar=False,
        show_default="SQLite, mlruns/mlflow.db",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="URI|FOLDER",
        help="A model in MLflow, or the folder of a confirmed one.",
        show_default="models:/deep-retrieval@champion",
    ),
]
ChampionOfOption = Annotated[
    str | None,
    typer.Option("--study", metavar="NAME", help="Whose champion; MovieLens's studies share one."),
]
TrustOption = Annotated[
    str | None,
    typer.Option("--trust", metavar="TOWERS", help="Own towers, whose code the model may run."),
]
SearchedStudyOption = Annotated[
    str, typer.Option("--study", metavar="NAME|FILE", help="A study that has been searched.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show the result alone.")]
CompilationCacheOption = Annotated[
    bool,
    typer.Option(
        "--compilation-cache/--no-compilation-cache",
        help="Keep compiled programs in the user's cache folder, for later runs.",
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The published archive (as ml-100k.zip), a folder with it, or a TFDS data directory.",
        show_default="cache, TFDS, download",
    ),
]


def run_command(command: Callable[..., int | None], *, is_for_output: bool = False) -> NoReturn:
    """Runs a Typer command and exits: 0 when it worked, 2 with one line for bad input.

    Whatever it writes belongs to its user alone.

    A command ``is_for_output`` that is for nothing but what it prints has not worked where that
    could not be written.
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
    """The command; its Ctrl-C differs from a return of 130, which Typer makes the same."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> int | None:
        try:
            return command(*arguments, **options)
        except Interrupted as interrupt:  # tidily, and it has said so
            return interrupt.exit_code
        except SearchFailedError:  # as is this
            return FAILED
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


@contextmanager
def command_screen(*, quiet: bool = False) -> "Iterator[Screen]":
    """The screen of a command, which warns of what its arguments show to others."""
    # Imported here, so that --help and most errors of the command line answer at once.
    from search.display.terminal import Screen

    with Screen(quiet=quiet) as screen:
        for warning in exposed_secrets(sys.argv):
            screen.warn(warning)
        yield screen


def registered_model(study: str | None) -> str | None:
    """The name of a study's models in MLflow's registry: its own where its file is not here."""
    spec = study_here(study)
    return study if spec is None else spec.registered_model


def towers_named_by(study: str | None) -> str | None:
    """The towers of its own that a study's file names, which can be imported from now on."""
    from search.config.study import make_importable

    spec = study_here(study)
    if spec is None:
        return None
    make_importable(spec)
    return spec.model.towers


def study_here(study: str | None) -> "StudySpec | None":
    """The study of a file that is here; None where none is."""
    from search.config.addresses import Workspace
    from search.config.reading import load_spec

    if study is None:
        return None
    try:
        return load_spec(study, folders=Workspace(Path.cwd()).study_files)
    except InputError:
        return None
