"""``python -m search.export``: the champion for other runtimes, in a folder."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from deeprec.config import Format
from search.commands.cli import (
    ChampionOfOption,
    ModelOption,
    TrackingUriOption,
    TrustOption,
    command_screen,
    run_command,
)
from search.execution.runtime import prepare_runtime
from search.records.errors import InputError


def main(
    to: Annotated[
        Format, typer.Option(help="For TensorFlow, for onnxruntime, or for NumPy alone.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where; it is made.")],
    model: ModelOption = None,
    study: ChampionOfOption = None,
    trust: TrustOption = None,
    tracking_uri: TrackingUriOption = None,
) -> int:
    """Exports a model into a folder that recommends without this project and without Keras.

    The folder holds both towers, the embeddings of the items, ids and titles, what known users are
    to the query tower, and recommend.py, which recommends with them. For NumPy the embeddings of
    all known users take the place of the towers.

    Examples: python -m search.export --to numpy --out exported
    python -m search.export --to onnx --out exported-onnx
    """
    _check(to, out)
    with command_screen() as screen:
        screen.doing("loading Keras and JAX")
        prepare_runtime(announce=screen.announce)  # before MLflow's models, which import Keras
        screen.doing("loading MLflow")
        from deeprec.errors import DataError
        from deeprec.export import export
        from search.commands.recommend import chosen

        recommender = chosen(model, study, trust, tracking_uri, screen)
        screen.doing(f"exporting as {to}")
        try:
            export(recommender, to, out)
        except DataError as error:
            raise InputError(str(error)) from error
        screen.show(f"exported as {to}: {out}; how to use it: {out / 'README.md'}")
        return 0


def _check(to: Format, out: Path) -> None:
    if out.exists() or not out.absolute().parent.is_dir():
        raise InputError(
            f"--out must be a new folder, in one that is there, but got {str(out)!r}; name another"
        )
    if to == "onnx" and (missing := _missing("onnx", "tf2onnx")):
        from search.config.addresses import call

        raise InputError(
            f"--to onnx needs the package {missing}, which is not installed; install it: "
            f"{call('pip', 'install')} '.[onnx]'"
        )


def _missing(*packages: str) -> str | None:
    return next((each for each in packages if importlib.util.find_spec(each) is None), None)


if __name__ == "__main__":
    run_command(main)
