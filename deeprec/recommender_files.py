"""A recommender's folder: what is in its files, written and read.

Both towers in Keras's format, arrays, and a catalog in JSON. Reading runs no code that is in them.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from deeprec.data.audience import Audience, UserEncoder
from deeprec.data.history import HISTORY
from deeprec.data.profiles import ProfileEncoder
from deeprec.data.tables import FeatureTable, FloatArray, IntArray, Interactions
from deeprec.data.verified_files import check_folder, parsed, read_arrays
from deeprec.errors import DataError
from deeprec.events.encoding import Encoder
from deeprec.model.own import OwnTower
from deeprec.model.saving import load_tower, save_model, towers_named_in
from deeprec.model.towers import CandidateModel, QueryModel
from deeprec.retrieval.approximate import Index

QUERY_FILE, CANDIDATE_FILE = "query_model.keras", "candidate_model.keras"
ARRAYS_FILE, CATALOG_FILE = "arrays.npz", "catalog.json"
FILES = (QUERY_FILE, CANDIDATE_FILE, ARRAYS_FILE, CATALOG_FILE)
INDEX_FILE = "index.usearch"
"""Beside the files, of a large catalog."""


@dataclass(frozen=True)
class History:
    """The ratings of each user, highest first, and of equal ones the newest first.

    Attributes:
        starts: int64 ``[users + 1]``, where the ratings of each user start; the last is the end.
        movies: int32 ``[n]``, rows of the movie table.
        ratings: float32 ``[n]``, rescaled to 0..1.
    """

    starts: npt.NDArray[np.int64]
    movies: IntArray
    ratings: FloatArray

    @classmethod
    def of(cls, rows: Interactions, users: int) -> Self:
        """The history in some interactions of so many users, row 0 included."""
        order = np.lexsort((-rows.timestamp.astype(np.int64), -rows.rating, rows.user_id))
        counts = np.bincount(rows.user_id, minlength=users)
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            rows.movie_id[order],
            rows.rating[order],
        )

    def of_user(self, row: int) -> tuple[IntArray, FloatArray]:
        """The movies that a user rated, and the ratings."""
        own = slice(self.starts[row], self.starts[row + 1])
        return self.movies[own], self.ratings[own]


@dataclass(frozen=True, kw_only=True)
class RecommenderParts:
    """What a recommender is made of.

    Attributes:
        query_model: the query tower.
        candidate_model: the candidate tower.
        audience: the users of the data set that it was trained on.
        movie_ids: whole numbers or UTF-8 bytes, the published id of each row of the movies; as many
            rows as users have reserved are no movies.
        titles: by row of the movies.
        candidates: float32 ``[movie rows, dimension]``, the embedding of each movie.
        history: what is known of the users; it is left out of what is recommended.
        stars: the lowest and the highest rating.
        repeats: whether a user is recommended again what is in the history.
        index: finds candidates where people are answered; all are scored where it is None.
    """

    query_model: QueryModel | OwnTower
    candidate_model: CandidateModel | OwnTower
    audience: Audience
    movie_ids: npt.NDArray[Any]
    titles: tuple[str, ...]
    candidates: FloatArray
    history: History
    stars: tuple[float, float]
    repeats: bool = False
    index: Index | None = None

    def fill(self, folder: Path) -> None:
        """Writes the files of the parts into an empty folder."""
        save_model(self.query_model, folder / QUERY_FILE)
        save_model(self.candidate_model, folder / CANDIDATE_FILE)
        arrays: dict[str, npt.NDArray[Any]] = {
            **{f"users.{name}": column for name, column in self.audience.table.columns.items()},
            **{f"history.{part}": getattr(self.history, part) for part in History.__match_args__},
            "user_ids": self.audience.ids,
            "movie_ids": self.movie_ids,
            "candidates": self.candidates,
        }
        np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
        about: dict[str, Any] = {
            "data_name": self.audience.data_name,
            "titles": list(self.titles),
            "encodings": self.audience.encoder.to_config() if self.audience.encoder else [],
            "stars": list(self.stars),
        }
        if self.is_own:
            about["own"] = {"repeats": self.repeats}
        (folder / CATALOG_FILE).write_text(json.dumps(about), encoding="utf-8")
        if self.index is not None:
            self.index.save(folder / INDEX_FILE)

    @classmethod
    def read(cls, folder: Path, trusted: Collection[str]) -> Self:
        """What :meth:`fill` wrote, but no index; the files were checked before.

        Code of other towers than ours is run where its name is among the ``trusted``.

        Raises:
            DataError: the files hold no such parts; and whatever a parser raises.
        """
        about = json.loads((folder / CATALOG_FILE).read_bytes())
        arrays = read_arrays(folder / ARRAYS_FILE)
        query_model = load_tower(folder / QUERY_FILE, "query", trusted=trusted)
        columns = {f.name: arrays[f"users.{f.name}"] for f in query_model.schema.features}
        users, titles = FeatureTable(query_model.schema, columns), tuple(map(str, about["titles"]))
        own = about.get("own")
        _check_arrays(arrays, users.rows, len(titles), is_own=bool(own))
        lowest, highest = about["stars"]
        return cls(
            query_model=query_model,
            candidate_model=load_tower(folder / CANDIDATE_FILE, "candidate", trusted=trusted),
            audience=Audience(
                data_name=str(about["data_name"]),
                table=users,
                ids=arrays["user_ids"],
                encoder=_encoder(about["encodings"], users, is_own=bool(own)),
                reserved=2 if own else 1,
            ),
            movie_ids=arrays["movie_ids"],
            titles=titles,
            candidates=arrays["candidates"],
            history=History(*(arrays[f"history.{part}"] for part in History.__match_args__)),
            stars=(float(lowest), float(highest)),
            repeats=bool(own and own["repeats"]),
        )

    @property
    def is_own(self) -> bool:
        """Whether the data is one's own; MovieLens's movies are known by their titles."""
        return self.audience.reserved > 1


def towers_of(folder: Path) -> str | None:
    """The part that makes the towers in a recommender's folder, where they are not ours.

    Nothing of it is imported. DataError where the folder does not hold a recommender.
    """
    check_folder(folder, FILES)
    with parsed(folder):
        return towers_named_in(folder / QUERY_FILE)


def _encoder(encodings: Any, users: FeatureTable, *, is_own: bool) -> UserEncoder | None:
    """What computes the features of an unknown user: all but the id, or there is no such."""
    if not is_own and encodings == []:
        return None
    encoder: Encoder | ProfileEncoder
    encoder = Encoder.of(encodings) if is_own else ProfileEncoder.from_config(encodings)
    computed = {str(each["name"]) for each in encoder.to_config()}
    if computed != users.columns.keys() - {users.schema.id_feature.name, HISTORY}:
        raise ValueError("the encodings must be those of the features of a user")
    return encoder


def _id_type(ids: npt.NDArray[Any], is_own: bool) -> Any:
    """The type that an array of ids may have: int32 of MovieLens, else int64 or bytes."""
    if not is_own:
        return np.int32
    return ids.dtype if ids.dtype.kind == "S" else np.int64


def _check_arrays(
    arrays: dict[str, npt.NDArray[Any]], users: int, movies: int, *, is_own: bool
) -> None:
    """Checks the types and shapes of the arrays, and that they lead to rows that there are."""
    ratings = arrays["history.movies"].shape
    dimension = arrays["candidates"].shape[-1:]
    for name, kind, shape in (
        ("user_ids", _id_type(arrays["user_ids"], is_own), (users,)),
        ("movie_ids", _id_type(arrays["movie_ids"], is_own), (movies,)),
        ("candidates", np.float32, (movies, *dimension)),
        ("history.starts", np.int64, (users + 1,)),
        ("history.movies", np.int32, ratings),
        ("history.ratings", np.float32, ratings),
    ):
        found = arrays[name]
        if found.dtype != kind or found.shape != shape:
            raise DataError(
                f"the array {name!r} must be {np.dtype(kind)} of shape {shape} but is "
                f"{found.dtype} of shape {found.shape}"
            )
    for name, last in {
        "history.starts": arrays["history.movies"].size,
        "history.movies": movies - 1,
    }.items():
        rows = arrays[name]
        if rows.size and not 0 <= rows.min() <= rows.max() <= last:
            raise DataError(
                f"the array {name!r} must lie in 0 to {last} but has {rows.min()} to {rows.max()}"
            )
