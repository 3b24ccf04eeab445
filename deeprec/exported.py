"""Recommends from this folder, with NumPy and the runtime that its towers were exported for.

    python recommend.py USER [K]

The runtime is TensorFlow (saved_model), onnxruntime (onnx) or none (numpy).
"""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Tower = Callable[[Mapping[str, Any]], Any]


class Exported:
    """What was exported into a folder.

    Attributes:
        about: what ``export.json`` says: format, the features of both towers, titles.
        items: ``ids``, ``embeddings`` ``[items, dimension]``, and ``groups``: items of one title
            have the same number.
        users: ``ids``; ``seen.items``, rows of the items, of which a user has those from
            ``seen.starts`` on; and ``embeddings`` or what the query tower is given,
            ``feature.NAME``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = json.loads((folder / "export.json").read_text(encoding="utf-8"))
        self.items = dict(np.load(folder / "items.npz", allow_pickle=False))
        self.users = dict(np.load(folder / "users.npz", allow_pickle=False))
        self.rows = {shown(each): row for row, each in enumerate(self.users["ids"].tolist())}
        self.query = None if self.about["format"] == "numpy" else self.tower("query")

    def tower(self, side: str) -> Tower:
        """A tower, ``query`` or ``candidate``: arrays by feature to ``[rows, dimension]``."""
        features = self.about[side]
        if self.about["format"] == "onnx":
            runtime = importlib.import_module("onnxruntime")
            session = runtime.InferenceSession(str(self.folder / f"{side}.onnx"))
            return lambda given: session.run(
                None, {each["input"]: given[each["name"]] for each in features}
            )[0]
        tensorflow = importlib.import_module("tensorflow")
        loaded = tensorflow.saved_model.load(str(self.folder / side))
        return lambda given: loaded.serve(
            {each["input"]: tensorflow.constant(given[each["name"]]) for each in features}
        ).numpy()

    def embedding(self, row: int) -> Any:
        """The embedding of the user of a row, ``[dimension]``."""
        if self.query is None:
            return self.users["embeddings"][row]
        names = [feature["name"] for feature in self.about["query"]]
        return self.query({name: self.users[f"feature.{name}"][row : row + 1] for name in names})[0]

    def recommend(self, user: str, k: int = 10) -> list[tuple[str, str, float]]:
        """Id, title and score of the best items; KeyError where the user is unknown."""
        row = self.rows[user]
        scores = self.items["embeddings"] @ self.embedding(row)
        start, end = self.users["seen.starts"][row : row + 2]
        groups = self.items["groups"]
        taken = set(groups[self.users["seen.items"][start:end]].tolist())
        best: list[int] = []
        for item in np.argsort(-scores, kind="stable").tolist():
            if len(best) == k:
                break
            if groups[item] not in taken:
                taken.add(groups[item])
                best.append(item)
        ids, titles = self.items["ids"], self.about["titles"]
        return [(shown(ids[item].item()), titles[item], float(scores[item])) for item in best]


def shown(own: Any) -> str:
    """An id as it was published."""
    return own.decode() if isinstance(own, bytes) else str(own)


if __name__ == "__main__":
    exported = Exported(Path(__file__).resolve().parent)
    for item_id, title, score in exported.recommend(sys.argv[1], int([*sys.argv, "10"][2])):
        print(f"{score:.6f}\t{item_id}\t{title}")  # noqa: T201
