"""The options that several commands have, worded once."""

from pathlib import Path
from typing import Annotated

import typer

from search.config.addresses import VARIABLES, checked_storage

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=VARIABLES["--storage"],
        callback=checked_storage,
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
