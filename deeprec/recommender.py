"""A trained model that recommends: without the data set, without TensorFlow, without a search.

A recommender is a folder: both towers in Keras's format, arrays, and a catalog in JSON, each known
by its SHA-256. Loading it runs no code that is in the folder.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from deeprec.errors import RequestError
from deeprec.history import History
from deeprec.profiles import Profile, ProfileEncoder
from deeprec.retrieval import RetrievalModel
from deeprec.saving import load_model_of, save_model
from deeprec.stored_arrays import check_arrays, read_arrays
from deeprec.tables import FeatureTable, FloatArray, IntArray, Interactions
from deeprec.towers import CandidateModel, QueryModel
from deeprec.verified_files import check_folder, parsed, write_folder

if TYPE_CHECKING:
    from deeprec.dataset import Dataset  # what prepares data is not needed to recommend

QUERY_FILE, CANDIDATE_FILE = "query_model.keras", "candidate_model.keras"
ARRAYS_FILE, CATALOG_FILE = "arrays.npz", "catalog.json"
FILES = (QUERY_FILE, CANDIDATE_FILE, ARRAYS_FILE, CATALOG_FILE)

LIKED_FROM = 0.75
"""A label from which a movie is shown as liked: four stars of five."""

BLOCK = 8192
"""Movies that are embedded at a time."""

NOBODY = 0
"""The row that stands for a user whom nobody knows."""


class Recommended(NamedTuple):
    """One movie for a user.

    Attributes:
        movie_id: as published.
        title: with the year.
        score: the dot product of both embeddings; higher is better.
    """

    movie_id: int
    title: str
    score: float


class Liked(NamedTuple):
    """One movie that a user rated highly.

    Attributes:
        movie_id: as published.
        title: with the year.
        stars: as the user gave them.
    """

    movie_id: int
    title: str
    stars: float


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """Both towers, and all that is needed to recommend with them.

    Attributes:
        data_name: the data set that it was trained on.
        query_model: the query tower.
        candidate_model: the candidate tower.
        users: the features of known users; row 0 is nobody.
        user_ids: int32 ``[user rows]``, the published ids, ascending.
        movie_ids: int32 ``[movie rows]``, the published ids; row 0 is no movie.
        titles: by row of the movies.
        candidates: float32 ``[movie rows, dimension]``, the embedding of each movie.
        history: what is known of the users; it is left out of what is recommended.
        profiles: computes the features of a user nobody knows; None where there are none.
        stars: the lowest and the highest rating.
    """

    data_name: str
    query_model: QueryModel
    candidate_model: CandidateModel
    users: FeatureTable
    user_ids: IntArray
    movie_ids: IntArray
    titles: tuple[str, ...]
    candidates: FloatArray
    history: History
    profiles: ProfileEncoder | None
    stars: tuple[float, float]

    @classmethod
    def of(cls, model: RetrievalModel, dataset: "Dataset", rows: Interactions) -> Self:
        """The recommender that a trained model makes, see :meth:`of_towers`."""
        return cls.of_towers(model.query_model, model.candidate_model, dataset, rows)

    @classmethod
    def of_towers(
        cls,
        query_model: QueryModel,
        candidate_model: CandidateModel,
        dataset: "Dataset",
        rows: Interactions,
    ) -> Self:
        """The recommender that two trained towers make.

        Args:
            query_model: trained on the data set.
            candidate_model: trained with it.
            dataset: its users and movies; of its interactions nothing is looked at.
            rows: what is known of the users, usually all that the towers were trained on.
        """
        from deeprec.releases import release_named  # as above

        return cls(
            data_name=dataset.name,
            query_model=query_model,
            candidate_model=candidate_model,
            users=dataset.users,
            user_ids=dataset.user_ids,
            movie_ids=dataset.movie_ids,
            titles=dataset.titles,
            candidates=_embedded(candidate_model, dataset.movies),
            history=History.of(rows, dataset.users.rows),
            profiles=dataset.profiles,
            stars=release_named(dataset.name).stars,
        )

    def recommend(
        self,
        user_id: int | None,
        k: int = 10,
        *,
        age: float | None = None,
        gender: str | None = None,
        occupation: str | None = None,
    ) -> list[Recommended]:
        """The best movies for a user; what a known user has rated is left out.

        Args:
            user_id: as published; None for a user nobody knows, who is described instead.
            k: how many, at least 1; fewer where there are not so many left.
            age: in years.
            gender: ``F`` or ``M``.
            occupation: one of those that the data set has.

        Raises:
            RequestError: the user is unknown, is not described well enough, or is described
                though known; or k is less than 1.
        """
        if k < 1:
            raise RequestError(f"k must be at least 1 but got {k}")
        profile = Profile(age, gender, occupation)
        if user_id is None:
            features, seen = self._features_of(profile), np.empty(0, np.int32)
        else:
            row = self._row_of(user_id, profile)
            features = {name: int(column[row]) for name, column in self.users.columns.items()}
            seen, _ = self.history.of_user(row)
        scores = self._scores(features)
        scores[seen] = -np.inf
        best = np.argsort(-scores, kind="stable")[: min(k, int(np.isfinite(scores).sum()))]
        return [Recommended(*self._movie(row), float(scores[row])) for row in best.tolist()]

    def liked_by(self, user_id: int, k: int | None = None) -> list[Liked]:
        """What a known user rated with four stars or more, best first, newest first.

        Args:
            user_id: as published.
            k: at most so many; all of them when None.

        Raises:
            RequestError: the user is unknown.
        """
        movies, ratings = self.history.of_user(self._row_of(user_id, Profile()))
        lowest, highest = self.stars
        liked = zip(movies.tolist(), ratings.tolist(), strict=True)
        return [
            Liked(*self._movie(row), round(lowest + rating * (highest - lowest), 2))
            for row, rating in liked
            if rating >= LIKED_FROM
        ][:k]

    def save(self, folder: Path) -> None:
        """Writes the recommender, whole or not at all; a folder that exists is replaced."""
        write_folder(folder, self._fill)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads a recommender that :meth:`save` wrote: checked first, then parsed.

        Raises:
            DataError: the folder does not hold one, or it is damaged.
        """
        check_folder(folder, FILES)
        with parsed(folder):
            return cls._parse(folder)

    @classmethod
    def _parse(cls, folder: Path) -> Self:
        about = json.loads((folder / CATALOG_FILE).read_bytes())
        arrays = read_arrays(folder / ARRAYS_FILE)
        query_model = load_model_of(QueryModel, folder / QUERY_FILE)
        columns = {f.name: arrays[f"users.{f.name}"] for f in query_model.schema.features}
        users, titles = FeatureTable(query_model.schema, columns), tuple(map(str, about["titles"]))
        check_arrays(arrays, users.rows, len(titles))
        lowest, highest = about["stars"]
        profiles = _profiles(about["encodings"], users)
        return cls(
            data_name=str(about["data_name"]),
            query_model=query_model,
            candidate_model=load_model_of(CandidateModel, folder / CANDIDATE_FILE),
            users=users,
            user_ids=arrays["user_ids"],
            movie_ids=arrays["movie_ids"],
            titles=titles,
            candidates=arrays["candidates"],
            history=History(*(arrays[f"history.{part}"] for part in History.__match_args__)),
            profiles=profiles,
            stars=(float(lowest), float(highest)),
        )

    def _fill(self, folder: Path) -> None:
        save_model(self.query_model, folder / QUERY_FILE)
        save_model(self.candidate_model, folder / CANDIDATE_FILE)
        arrays: dict[str, npt.NDArray[Any]] = {
            **{f"users.{name}": column for name, column in self.users.columns.items()},
            **{f"history.{part}": getattr(self.history, part) for part in History.__match_args__},
            "user_ids": self.user_ids,
            "movie_ids": self.movie_ids,
            "candidates": self.candidates,
        }
        np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
        about = {
            "data_name": self.data_name,
            "titles": list(self.titles),
            "encodings": list(self.profiles.encodings) if self.profiles else [],
            "stars": list(self.stars),
        }
        (folder / CATALOG_FILE).write_text(json.dumps(about), encoding="utf-8")

    def _row_of(self, user_id: int, profile: Profile) -> int:
        """The row of a known user, of whom nothing else must be said."""
        if profile.answered:
            raise RequestError(
                f"give either a user or {', '.join(profile.answered)} but not both: "
                "the features of a known user are known"
            )
        row = int(np.searchsorted(self.user_ids, user_id))
        if user_id <= 0 or row == len(self.user_ids) or self.user_ids[row] != user_id:
            raise RequestError(
                f"user must be one of the {len(self.user_ids) - 1:,} of {self.data_name} "
                f"({self.user_ids[1]} to {self.user_ids[-1]}) but got {user_id}"
            )
        return row

    def _features_of(self, profile: Profile) -> dict[str, int]:
        """The features of a user nobody knows."""
        if self.profiles is None:
            raise RequestError(
                f"{self.data_name} says nothing of its users but their ids, so only for a known "
                f"user ({self.user_ids[1]} to {self.user_ids[-1]}) anything can be recommended"
            )
        if not profile.answered:
            questions = ", ".join(self.profiles.questions)
            raise RequestError(f"give a user, or {questions} of one whom nobody knows")
        id_feature = self.users.schema.id_feature.name
        return {id_feature: NOBODY, **self.profiles.features_of(profile)}

    def _scores(self, features: Mapping[str, int]) -> FloatArray:
        """float32 ``[movie rows]``; what is no movie has ``-inf``."""
        batch = {name: np.array([value], np.int32) for name, value in features.items()}
        query = np.asarray(self.query_model(batch), np.float32)[0]
        scores = self.candidates @ query
        scores[0] = -np.inf
        return scores

    def _movie(self, row: int) -> tuple[int, str]:
        return int(self.movie_ids[row]), self.titles[row]


def _profiles(encodings: Any, users: FeatureTable) -> ProfileEncoder | None:
    """What computes the features of a user nobody knows: all but the id, or there is no such."""
    if encodings == []:
        return None
    profiles = ProfileEncoder.from_config(encodings)
    computed = {encoding["name"] for encoding in profiles.encodings}
    if computed != users.columns.keys() - {users.schema.id_feature.name}:
        raise ValueError("the encodings must be those of the features of a user")
    return profiles


def _embedded(tower: CandidateModel, movies: FeatureTable) -> FloatArray:
    """The embeddings of all movies, float32 ``[movie rows, dimension]``."""
    rows = np.arange(movies.rows, dtype=np.int32)
    blocks = [movies.take(rows[start : start + BLOCK]) for start in range(0, movies.rows, BLOCK)]
    return np.concatenate([np.asarray(tower(block), np.float32) for block in blocks])
