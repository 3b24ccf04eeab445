"""A recommender as a folder that other runtimes read, without this package and without Keras."""

import json
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec import exported
from deeprec.config import Format
from deeprec.data.audience import shown_id
from deeprec.model.exporting import export_towers, inputs_of
from deeprec.model.saving import save_model
from deeprec.recommender import Recommender, embedded
from deeprec.retrieval.selection import rows_by_title

README = """# {data_name}: exported as {to}

`python recommend.py USER [K]` recommends K items (10) to a known user. It needs NumPy{runtime},
and nothing else: neither Keras nor what trained the towers. In Python:

```python
from pathlib import Path

from recommend import Exported

exported = Exported(Path("."))
for item_id, title, score in exported.recommend("{user}", 5):
    print(f"{{score:.3f}}  {{title}}")
```

| file | what is in it |
|---|---|
{towers}| `items.npz` | `ids`, `embeddings`; `groups`: items of one title, which count as one |
| `users.npz` | `ids`, {users}; `seen.starts`, `seen.items`: rows of what is not recommended again |
| `export.json` | the format, titles of the items by row, the features of both towers |

A score is the dot product of the embeddings of a user and an item.
"""
TOWERS = (
    "| `query{suffix}`, `candidate{suffix}` | the towers: features, as numbers of the "
    "vocabularies, to embeddings |\n"
)


def export(recommender: Recommender, to: Format, folder: Path) -> None:
    """Writes a recommender for a runtime, whole or not at all.

    Args:
        recommender: with known users.
        to: ``saved_model`` for TensorFlow, ``onnx`` for onnxruntime, both with towers; ``numpy``
            holds the embeddings of all users and items.
        folder: is made.

    Raises:
        FileExistsError: the folder exists.
        DataError: Keras cannot export the towers.
    """
    if folder.exists():
        raise FileExistsError(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
        new, towers = Path(place, "new"), Path(place, "towers")
        new.mkdir()
        towers.mkdir()
        if to != "numpy":
            save_model(recommender.query_model, towers / "query.keras")
            save_model(recommender.candidate_model, towers / "candidate.keras")
            export_towers(towers, new, to)
        np.savez(new / "items.npz", allow_pickle=False, **_items(recommender))
        np.savez(new / "users.npz", allow_pickle=False, **_users(recommender, to))
        _describe(recommender, to, new)
        new.rename(folder)


def _items(recommender: Recommender) -> dict[str, npt.NDArray[Any]]:
    reserved = recommender.audience.reserved
    groups = np.arange(len(recommender.titles), dtype=np.int32)
    for same in [] if recommender.is_own else rows_by_title(recommender.titles):
        groups[same[same < len(groups)]] = same[0]
    return {
        "ids": recommender.movie_ids[reserved:],
        "embeddings": recommender.candidates[reserved:],
        "groups": groups[reserved:],
    }


def _users(recommender: Recommender, to: Format) -> dict[str, npt.NDArray[Any]]:
    """All but the reserved rows; of what they have nothing where it is recommended again."""
    audience, history = recommender.audience, recommender.history
    starts = history.starts[audience.reserved :]
    if recommender.repeats:
        starts = np.zeros_like(starts)
    seen = history.movies[starts[0] : starts[-1]]
    arrays: dict[str, npt.NDArray[Any]] = {
        "ids": audience.ids[audience.reserved :],
        "seen.starts": starts - starts[0],
        "seen.items": seen - audience.reserved,
    }
    if to == "numpy":
        embeddings = embedded(recommender.query_model, audience.table)
        return {**arrays, "embeddings": embeddings[audience.reserved :]}
    columns = audience.table.columns.items()
    return {**arrays, **{f"feature.{name}": each[audience.reserved :] for name, each in columns}}


def _describe(recommender: Recommender, to: Format, folder: Path) -> None:
    audience = recommender.audience
    about: dict[str, Any] = {
        "format": to,
        "data_name": audience.data_name,
        "keras": version("keras"),
        "query": inputs_of(recommender.query_model),
        "candidate": inputs_of(recommender.candidate_model),
        "titles": list(recommender.titles[audience.reserved :]),
    }
    (folder / "export.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    shutil.copyfile(exported.__file__, folder / "recommend.py")
    has_towers = to != "numpy"
    text = README.format(
        data_name=audience.data_name,
        to=to,
        runtime={"saved_model": ", TensorFlow", "onnx": ", onnxruntime", "numpy": ""}[to],
        user=shown_id(audience.ids[audience.reserved]),
        towers=TOWERS.format(suffix=".onnx" if to == "onnx" else "/") if has_towers else "",
        users="`feature.NAME`: what the query tower is given" if has_towers else "`embeddings`",
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
