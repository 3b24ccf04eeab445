"""``python -m search.retrain``: train the best trial again, and test it once."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import run_command
from search.options import (
    CompilationCacheOption,
    DataDirOption,
    StorageOption,
    TrackingUriOption,
)
from search.runtime import prepare_runtime


def main(
    study: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A study that has been searched.")
    ] = "tutorial",
    trial: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="A finished trial.", show_default="the best"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            metavar="S",
            help="Seed of the weights.",
            show_default="the trial's",
        ),
    ] = None,
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    data_dir: DataDirOption = None,
    compilation_cache: CompilationCacheOption = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result alone.")] = False,
) -> int:
    """Trains the best trial of a study again, and evaluates it once on the test rows.

    It is trained on training and validation rows together, for as many epochs as its best
    validation took, and logged as a run of the study's MLflow experiment, with its towers.

    Example: python -m search.retrain --study tutorial
    """
    # Imported here, so that --help and most errors of the command line answer at once.
    from search.spec import load_spec
    from search.workspace import Workspace

    workspace = Workspace(Path.cwd())
    spec = load_spec(study, folders=workspace.study_files)

    prepare_runtime(compilation_cache=compilation_cache)
    from search.retraining import retrain
    from search.session import Session

    session = Session(
        spec=spec,
        study_argument=study,
        workspace=workspace,
        storage_url=storage,
        tracking_uri=tracking_uri,
        data_dir=data_dir,
        quiet=quiet,
    )
    return retrain(session, trial_number=trial, seed=seed)


if __name__ == "__main__":
    run_command(main)
