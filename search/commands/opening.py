"""How a command on a study begins: the study file read, the slow libraries loaded, said as it goes.

What is slow is imported inside, so that ``--help`` and most errors answer at once.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.config.addresses import exposed_secrets
from search.execution.runtime import prepare_runtime

if TYPE_CHECKING:
    from search.config.study import StudySpec
    from search.display.terminal import Screen
    from search.session.session import Session


def open_session(
    screen: "Screen",
    study: str,
    *,
    change: "Callable[[StudySpec], StudySpec]" = lambda spec: spec,
    compilation_cache: bool = True,
    **options: Any,
) -> "Session":
    """The session of a study; what can be refused without Keras, JAX and Optuna is refused before.

    Args:
        screen: of the command.
        study: as the command line names it.
        change: what the command line has otherwise than the study file.
        compilation_cache: see :func:`~search.execution.runtime.prepare_runtime`.
        options: of :class:`search.session.session.Session`.

    Raises:
        InputError: something given cannot be used.
    """
    from search.config.study import load_spec
    from search.config.workspace import Workspace

    screen.doing("reading the study file")
    workspace = Workspace(Path.cwd())
    spec = change(load_spec(study, folders=workspace.study_files))

    screen.doing("loading Keras and JAX")
    prepare_runtime(compilation_cache=compilation_cache, announce=screen.announce)
    screen.doing("loading Optuna and MLflow")
    from search.session.session import Session

    screen.doing(f"looking for study {spec.name}")
    session = Session(
        spec=spec, study_argument=study, workspace=workspace, screen=screen, **options
    )
    for warning in exposed_secrets(sys.argv):
        session.warn(warning)
    return session
