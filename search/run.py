"""``python -m search.run``: search a study, or go on with one, until it has its trials."""

from typing import Annotated, Any, Literal

import typer

from search.commands.cli import (
    CompilationCacheOption,
    DataDirOption,
    StorageOption,
    TrackingUriOption,
    command_screen,
    run_command,
)
from search.config.addresses import VARIABLES
from search.scheduling import GRACE_SECONDS
from search.study import Study

MOST_WORKERS = 1024

StudyOption = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="A study of studies/, or a path of a .toml.")
]
TrialsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many finished trials (complete or pruned) the study shall have in all.",
        show_default="the study file's",
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Start no trial later than this.", show_default="none"),
]


def _workers(given: str) -> int | Literal["auto"]:
    """The number of workers, or ``auto``."""
    if given == "auto":
        return "auto"
    if not given.isdecimal() or not 1 <= int(given) <= MOST_WORKERS:
        raise typer.BadParameter(f"{given!r} is not auto or a number from 1 to {MOST_WORKERS}.")
    return int(given)


WorkersOption = Annotated[
    Any,
    typer.Option(
        parser=_workers,
        metavar="N|auto",
        help="Processes that run trials, each with its share of the cores; auto: as many as pay.",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local",
        help="Have Ray place the workers: on that cluster, or on this machine.",
        show_default="none",
    ),
]
WorkerCpusOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Cores of each worker on a cluster.", show_default="1"),
]
WorkerGpusOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        metavar="X",
        help="Cards of each worker on a cluster, or a share of one, as 0.25.",
        show_default="none",
    ),
]
GpusOption = Annotated[
    str | None,
    typer.Option(
        metavar="I,J",
        help="Cards of this machine that its workers run on, one on each.",
        show_default="JAX's choice",
    ),
]
PerGpuOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Workers that share each of --gpus.", show_default="1"),
]
SharedOption = Annotated[
    str | None,
    typer.Option(
        envvar=VARIABLES["--shared"],
        metavar="URL",
        help="Where checkpoints and towers are kept for all machines: file:///, s3:// or gs://; "
        "or in DEEPREC_SHARED.",
        show_envvar=False,
        show_default="none",
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="S",
        help="Origin of every random draw of the study.",
        show_default="the study file's",
    ),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="tpe, random, grid, cmaes or nsgaii.",
        show_default="the study file's",
    ),
]
PrunerOption = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="median, hyperband, successive-halving, percentile, patient or none.",
        show_default="the study file's",
    ),
]
ExtendsOption = Annotated[
    str | None,
    typer.Option(
        "--extends",
        metavar="NAME",
        help="A study whose finished trials a new study begins with.",
        show_default="the study file's",
    ),
]
GraceOption = Annotated[
    float,
    typer.Option(
        "--grace",
        min=1,
        max=86_400,
        metavar="SECONDS",
        help="How long a worker may send no heartbeat before its trial runs again.",
    ),
]
AcceptCodeOption = Annotated[
    bool,
    typer.Option("--accept-code", help="Go on where the code of the study's parts has changed."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be tried and written; write nothing.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show the final summary alone.")]


def main(
    study: StudyOption = "tutorial",
    trials: TrialsOption = None,
    timeout: TimeoutOption = None,
    workers: WorkersOption = "1",
    seed: SeedOption = None,
    sampler: SamplerOption = None,
    pruner: PrunerOption = None,
    extends: ExtendsOption = None,
    storage: StorageOption = None,
    tracking_uri: TrackingUriOption = None,
    cluster: ClusterOption = None,
    worker_cpus: WorkerCpusOption = None,
    worker_gpus: WorkerGpusOption = None,
    gpus: GpusOption = None,
    per_gpu: PerGpuOption = None,
    shared: SharedOption = None,
    data_dir: DataDirOption = None,
    compilation_cache: CompilationCacheOption = True,
    grace: GraceOption = GRACE_SECONDS,
    accept_code: AcceptCodeOption = False,
    dry_run: DryRunOption = False,
    quiet: QuietOption = False,
) -> int:
    """Searches the architecture and learning rate of a two-tower retrieval model.

    Trials are pruned when they cannot win, and tracked in MLflow under mlruns/. Run again, the
    command finishes what is missing: nothing that is done is done twice. Ctrl-C stops it tidily.
    Started again beside itself, here or on another machine, it joins the search.

    Example: python -m search.run --study tutorial --trials 50 --workers 2
    """
    with command_screen(quiet=quiet) as screen:
        found = Study(
            study,
            storage=storage,
            tracking_uri=tracking_uri,
            data_dir=data_dir,
            compilation_cache=compilation_cache,
            screen=screen,
        )
        options: dict[str, Any] = {
            "trials": trials,
            "workers": workers,
            "seed": seed,
            "sampler": sampler,
            "pruner": pruner,
            "extends": extends,
            "grace": grace,
            "cluster": cluster,
            "worker_cpus": worker_cpus,
            "worker_gpus": worker_gpus,
            "gpus": gpus,
            "per_gpu": per_gpu,
            "shared": shared,
        }
        if dry_run:
            found.dry_run(**options)
        else:
            found.search(timeout=timeout, accept_code=accept_code, **options)
    return 0


if __name__ == "__main__":
    run_command(main)
