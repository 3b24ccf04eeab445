"""The accuracies of a registered model, from its files and raw ratings with NumPy alone.

It knows nothing of this project but the files that MLflow hands out, and uses neither Keras nor
JAX: it computes user embeddings from the saved weights and counts for itself.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


def accuracies(folder: Path, users: Numbers, movies: Numbers, stars: Numbers) -> dict[str, float]:
    """Top-100 accuracy of the rows that the model has not seen, by both protocols.

    Args:
        folder: the recommender in a model's artifacts.
        users: the published user id of every rating there is.
        movies: the published movie id.
        stars: 1 to 5.
    """
    files = np.load(folder / "arrays.npz")
    user_rows = np.searchsorted(files["user_ids"], users)
    movie_rows = np.searchsorted(files["movie_ids"], movies)
    seen = np.zeros((len(files["user_ids"]), len(files["movie_ids"])), bool)
    lengths = np.diff(files["history.starts"])
    seen[np.repeat(np.arange(len(lengths)), lengths), files["history.movies"]] = True
    scores = _queries(folder / "query_model.keras", files) @ files["candidates"].T
    tested = ~seen[user_rows, movie_rows] & (stars == 5)
    rows = (user_rows[tested], movie_rows[tested])
    return {
        "test_top_100_accuracy": _share_in_top_100(scores, *rows),
        "test_top_100_accuracy_unseen": _share_in_top_100(np.where(seen, -np.inf, scores), *rows),
    }


def _queries(file: Path, files: Any) -> Numbers:
    """The embedding of every user, by the weights of the query tower."""
    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))["config"]
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    parts = [
        weights[f"feature_embeddings/embedding{_suffix(n)}/vars/0"][:][
            files[f"users.{feature['name']}"]
        ]
        for n, feature in enumerate(config["schema"])
    ]
    hidden = np.concatenate(parts, axis=1)
    for n in range(len(config["layer_sizes"])):
        layer = weights[f"dense_layers/dense{_suffix(n)}/vars"]
        hidden = (np.maximum(hidden, 0) if n else hidden) @ layer["0"][:] + layer["1"][:]
    if config["normalize"]:
        hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    return hidden


def _suffix(number: int) -> str:
    return f"_{number}" if number else ""


def _share_in_top_100(scores: Numbers, users: Numbers, movies: Numbers) -> float:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :100]
    return float((best[users] == movies[:, None]).any(axis=1).mean())
