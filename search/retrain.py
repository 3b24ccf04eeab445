"""``python -m search.retrain``: confirm the best trials, test the winner."""

from typing import Annotated

import typer

from deeprec.config import INDEX_FROM
from search.commands.cli import (
    CompilationCacheOption,
    DataDirOption,
    QuietOption,
    SearchedStudyOption,
    StorageOption,
    TrackingUriOption,
    command_screen,
    run_command,
)
from search.study import InputError, Study

TrialOption = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="This finished trial alone.", show_default="the best ones"
    ),
]
TopOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100,
        metavar="N",
        help="How many of the best trials compete.",
        show_default="3, of several objectives the Pareto front, 20 at most",
    ),
]
SeedsOption = Annotated[
    int, typer.Option(min=1, max=100, metavar="N", help="Trainings of each of them.")
]
SinceChampionOption = Annotated[
    bool,
    typer.Option(
        "--since-champion",
        help="Train the champion's configuration on newer data, and test both on the newest rows.",
    ),
]
PromoteOption = Annotated[
    bool | None,
    typer.Option(
        "--promote/--no-promote",
        help="Whether the model becomes the champion.",
        show_default="if its test is better by more than the noise",
    ),
]
IndexFromOption = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="ITEMS",
        help="Items from which the served model answers from an approximate index.",
    ),
]


def main(
    study: SearchedStudyOption = "tutorial",
    trial: TrialOption = None,
    top: TopOption = None,
    seeds: SeedsOption = 5,
    since_champion: SinceChampionOption = False,
    promote: PromoteOption = None,
    index_from: IndexFromOption = INDEX_FROM,
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    data_dir: DataDirOption = None,
    compilation_cache: CompilationCacheOption = True,
    quiet: QuietOption = False,
) -> int:
    """Confirms the best trials of a study over several seeds, and tests the winner.

    The best configurations (of several objectives the Pareto front), and the study's reference
    (the first one that its file enqueues), are
    trained with every seed on the training rows and compared on the validation rows. The best on
    average, of those that no seed makes diverge, is trained on both with every seed, and evaluated
    once on the test rows, beside references that any model should beat. The model of the first
    seed is registered in MLflow; it becomes the champion if it beats chance, the study's reference
    and the present champion, each by more than the noise.

    What was computed is kept: an interrupted confirmation goes on, and a second one does nothing
    twice.

    Example: python -m search.retrain --study tutorial
    """
    if since_champion and (trial is not None or top is not None):
        raise InputError("--since-champion takes the champion's trial: leave --trial and --top out")
    with command_screen(quiet=quiet) as screen:
        found = Study(
            study,
            storage=storage,
            tracking_uri=tracking_uri,
            data_dir=data_dir,
            compilation_cache=compilation_cache,
            screen=screen,
        )
        if since_champion:
            found.refresh(seeds=seeds, promote=promote, index_from=index_from)
        else:
            found.confirm(trial=trial, top=top, seeds=seeds, promote=promote, index_from=index_from)
    return 0


if __name__ == "__main__":
    run_command(main)
