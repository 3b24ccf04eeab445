"""``python -m search.sync``: make MLflow agree with a study."""

from search.commands.cli import (
    QuietOption,
    SearchedStudyOption,
    StorageOption,
    TrackingUriOption,
    command_screen,
    run_command,
)
from search.study import Study


def main(
    study: SearchedStudyOption = "tutorial",
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    quiet: QuietOption = False,
) -> int:
    """Makes MLflow agree with a study: after an outage of the server, or at another server.

    Runs of trials, references, re-trainings and confirmations that are missing are made, those
    that lack something are completed, those that were left open are closed. Trials that run are
    left alone. The data set is not needed. Exit code 1 when MLflow cannot be reached.

    Example: python -m search.sync --study tutorial --tracking-uri http://127.0.0.1:5000
    """
    with command_screen(quiet=quiet) as screen:
        return Study(study, storage=storage, tracking_uri=tracking_uri, screen=screen).sync()


if __name__ == "__main__":
    run_command(main)
