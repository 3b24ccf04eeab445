"""Towers for other runtimes, by Keras's own export: in a process whose backend is TensorFlow.

What Keras exports on JAX is a program for one kind of processor inside of a SavedModel, which
tf2onnx cannot read. On TensorFlow it is a plain graph. A tower is the same on both, as it is
written with ``keras.ops``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np

from deeprec.errors import DataError, printable
from deeprec.model.own import OwnTower, Side
from deeprec.model.saving import load_tower, towers_named_in
from deeprec.model.towers import CandidateModel, QueryModel

ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}


def inputs_of(tower: QueryModel | CandidateModel | OwnTower) -> list[dict[str, Any]]:
    """What a tower is given: the name of each feature and of its input, type, and a row's shape.

    A name that is none in a graph has a number as input; not of towers of one's own, whose code may
    know the names.
    """
    is_own = isinstance(tower, OwnTower)
    return [
        {
            "name": feature.name,
            "input": feature.name if is_own or _is_plain(feature.name) else f"feature_{number}",
            "dtype": "float32" if feature.kind == "vector" else "int32",
            "shape": list(feature.row_shape),
        }
        for number, feature in enumerate(tower.schema.features)
    ]


def export_towers(towers: Path, folder: Path, to: str) -> None:
    """Exports both towers of a folder, ``query.keras`` and ``candidate.keras``, which are trusted.

    Args:
        towers: where they are.
        folder: gets ``query`` and ``candidate``, with ``.onnx`` where that is asked for.
        to: ``saved_model`` or ``onnx``.

    Raises:
        DataError: Keras could not export them; what it said.
    """
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", __name__, str(towers), str(folder), to],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(
            f"the towers cannot be exported as {to} by Keras on TensorFlow ({_said(done.stderr)}); "
            "towers of your own must be written with keras.ops, or be exported as numpy"
        )


def _said(output: str) -> str:
    """The error that ends the output of a process, with the line after it."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [at for at, line in enumerate(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)]
    start = errors[-1] if errors else -1
    return printable(" ".join(lines[start:][:2]))


def _export(towers: Path, folder: Path, to: str) -> None:
    for side in get_args(Side):
        path = towers / f"{side}.keras"
        tower = load_tower(path, side, trusted=[*filter(None, [towers_named_in(path)])])
        inputs = inputs_of(tower)
        given = {
            each["input"]: keras.InputSpec(
                shape=(None, *each["shape"]), dtype=each["dtype"], name=each["input"]
            )
            for each in inputs
        }
        is_onnx = to == "onnx"
        _with_plain_names(tower, inputs).export(
            str(folder / (f"{side}.onnx" if is_onnx else side)),
            format="onnx" if is_onnx else "tf_saved_model",
            verbose=False,
            input_signature=[given],
        )


def _with_plain_names(
    tower: QueryModel | CandidateModel | OwnTower, inputs: Sequence[Mapping[str, Any]]
) -> keras.Model:
    """The same tower, whose features, layers and weights are named after its inputs."""
    if all(each["name"] == each["input"] for each in inputs):
        return tower
    config = tower.get_config()
    for feature, each in zip(config["schema"], inputs, strict=True):
        feature["name"] = each["input"]
    renamed = type(tower).from_config(config)
    renamed({each["input"]: np.zeros((1, *each["shape"]), each["dtype"]) for each in inputs})
    renamed.set_weights(tower.get_weights())
    return renamed


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"(?!feature_\d)[A-Za-z][A-Za-z0-9_]*", name) is not None


if __name__ == "__main__":
    _export(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
