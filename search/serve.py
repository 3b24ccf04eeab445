"""``python -m search.serve``: the champion over HTTP, on this machine alone."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from search.commands.cli import ChampionOfOption, TrackingUriOption, registered_model, run_command
from search.records.errors import InputError

HOST = "127.0.0.1"


def main(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="A model in MLflow.", show_default="models:/deep-retrieval@champion"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=1, max=65_535, metavar="PORT", help="Where it listens.")
    ] = 5001,
    study: ChampionOfOption = None,
    tracking_uri: TrackingUriOption = None,
) -> int:
    """Serves a model over HTTP until it is stopped: `mlflow models serve`, checked beforehand.

    It answers at http://127.0.0.1:5001/invocations, to this machine alone and without
    authentication.

    Example: python -m search.serve --port 5002
    """
    environment = dict(os.environ)
    _check_port(port)
    # Imported here, so that --help and most errors of the command line answer at once.
    from search.display.terminal import Screen

    with Screen() as screen:
        screen.doing("loading MLflow")
        from search.config.addresses import Workspace
        from search.tracking.destination import resolve_uri
        from search.tracking.models import champion_uri, published_folder

        mlruns = Workspace(Path.cwd()).mlruns
        wanted = model or champion_uri(registered_model(study))
        screen.doing("looking for the model in MLflow")
        with published_folder(tracking_uri, wanted, folder=mlruns):
            pass
    environment |= {
        "MLFLOW_TRACKING_URI": resolve_uri(tracking_uri, mlruns).uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # MLflow starts uvicorn by its name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}",
    }
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["--model-uri", wanted, "--host", HOST, "--port", str(port)]
    os.execve(sys.executable, command, environment)  # noqa: S606


def _check_port(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(
            f"port {port} of {HOST} cannot be used ({reason}); name another with --port"
        ) from error


if __name__ == "__main__":
    run_command(main)
