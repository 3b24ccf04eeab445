"""``python -m search.reproduce``: does a logged number come out again?"""

import os
from pathlib import Path
from typing import Annotated

import typer

from search.commands.cli import (
    CompilationCacheOption,
    DataDirOption,
    QuietOption,
    TrackingUriOption,
    run_command,
)
from search.execution.runtime import NPROC, prepare_runtime, touch_device
from search.tracking.names import THREADS


def main(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN_ID", help="MLflow's id of a trial or a re-training.")
    ],
    tracking_uri: TrackingUriOption = None,
    data_dir: DataDirOption = None,
    compilation_cache: CompilationCacheOption = True,
    quiet: QuietOption = False,
) -> int:
    """Trains a logged run again, from what MLflow holds of it, and compares the numbers.

    Parameters, seed, epochs, study file and the data set's fingerprint are read from MLflow, and
    the number of threads, which decides how sums are rounded: it is used unless NPROC is set. A
    data set, library or processor that is not as it was is named. Exit code 1 where a number
    differs.

    Example: python -m search.reproduce 3f2c9d0e8b7a4c51a6d0e9b8c7f61234
    """
    # Imported here, so that --help and most errors of the command line answer at once.
    from search.display.terminal import Screen

    with Screen(quiet=quiet) as screen:
        from search.config.addresses import Workspace
        from search.config.reading import folder_of, spec_of_text
        from search.tracking.connection import read_run

        screen.doing(f"reading run {run_id} from MLflow")
        workspace = Workspace(Path.cwd())
        run = read_run(tracking_uri, run_id, folder=workspace.mlruns)
        source = f"the study file of run {run_id}"
        # Paths in it begin where the study file lies, which MLflow does not know.
        folder = folder_of(run.study, workspace.study_files) or workspace.studies
        spec = spec_of_text(run.spec_text, name=run.study, source=source, folder=folder)

        if threads := run.computed_on.get(THREADS):  # however many cores there are
            os.environ.setdefault(NPROC, threads)
        screen.doing("loading Keras and JAX")
        prepare_runtime(compilation_cache=compilation_cache, announce=screen.announce)
        touch_device()
        screen.doing("loading Optuna and MLflow")
        from search.commands.reproduce import reproduce
        from search.session.session import Flags, Session

        screen.doing(f"looking for study {spec.name}")
        flags = Flags(study=spec.name, tracking_uri=tracking_uri, data_dir=data_dir)
        return reproduce(Session.of(flags, spec, workspace, screen), run)


if __name__ == "__main__":
    run_command(main)
