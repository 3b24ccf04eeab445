"""``python -m search.sync``: make MLflow agree with a study."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli import run_command
from search.options import StorageOption, TrackingUriOption
from search.runtime import prepare_runtime


def main(
    study: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A study that has been searched.")
    ] = "tutorial",
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result alone.")] = False,
) -> int:
    """Makes MLflow agree with a study: after an outage of the server, or at another server.

    Runs of trials, references, re-trainings and confirmations that are missing are made, those
    that lack something are completed, those that were left open are closed. Trials that run are
    left alone. The data set is not needed. Exit code 1 when MLflow cannot be reached.

    Example: python -m search.sync --study tutorial --tracking-uri http://127.0.0.1:5000
    """
    # Imported here, so that --help and most errors of the command line answer at once.
    from search.screen import Screen

    with Screen(quiet=quiet) as screen:
        from search.spec import load_spec
        from search.workspace import Workspace

        screen.doing("reading the study file")
        workspace = Workspace(Path.cwd())
        spec = load_spec(study, folders=workspace.study_files)

        screen.doing("loading Keras and JAX")
        prepare_runtime()
        screen.doing("loading Optuna and MLflow")
        from search.session import Session
        from search.syncing import sync

        screen.doing(f"looking for study {spec.name}")
        session = Session(
            spec=spec,
            study_argument=study,
            workspace=workspace,
            storage_url=storage,
            tracking_uri=tracking_uri,
            screen=screen,
        )
        return sync(session)


if __name__ == "__main__":
    run_command(main)
