"""A trained model that recommends: without the data set, without TensorFlow, without a search.

A recommender is a folder: both towers in Keras's format, arrays, and a catalog in JSON, each known
by its SHA-256. Loading it runs no code that is in the folder.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from deeprec.data.profiles import Profile, ProfileEncoder
from deeprec.data.tables import FeatureTable, FloatArray, IntArray, Interactions
from deeprec.data.verified_files import check_folder, parsed, write_folder
from deeprec.errors import DataError, RequestError
from deeprec.evaluation.selection import best_of, keep_one_of_each_title, rows_by_title
from deeprec.events.encoding import UNKNOWN, Code, Encoder
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.saving import load_model_of, save_model
from deeprec.model.towers import CandidateModel, QueryModel
from deeprec.training.metrics import SCORES_IN_A_BLOCK

if TYPE_CHECKING:
    from deeprec.data.dataset import Dataset  # what prepares data is not needed to recommend

QUERY_FILE, CANDIDATE_FILE = "query_model.keras", "candidate_model.keras"
ARRAYS_FILE, CATALOG_FILE = "arrays.npz", "catalog.json"
FILES = (QUERY_FILE, CANDIDATE_FILE, ARRAYS_FILE, CATALOG_FILE)

LIKED_FROM = 0.75
"""A label from which a movie is shown as liked: four stars of five."""

BLOCK = 8192
"""Movies that are embedded at a time."""

UNKNOWN_ROW = 0
"""The row that stands for an unknown user."""


Id = int | str
"""An id as it was published: text, or a whole number."""


class Request(NamedTuple):
    """What is asked for one user: a known one by the published id, or one who is described.

    ``k`` movies are asked for, at least 1; fewer are recommended where fewer are left. A user of
    MovieLens is described by a profile, one of other data by the features of the study.
    """

    user_id: Id | None = None
    k: int = 10
    profile: Profile = Profile()
    features: Mapping[str, Any] = MappingProxyType({})


class Recommended(NamedTuple):
    """One movie for a user; the score is the dot product of both embeddings."""

    movie_id: Id
    title: str
    score: float


class Liked(NamedTuple):
    """One movie that a user rated highly."""

    movie_id: Id
    title: str
    stars: float


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
class Recommender:
    """Both towers, and all that is needed to recommend with them.

    Attributes:
        data_name: the data set that it was trained on.
        query_model: the query tower.
        candidate_model: the candidate tower.
        users: the features of known users; row 0 is reserved.
        user_ids: whole numbers or UTF-8 bytes, the published id of each row.
        movie_ids: the same of the movies; the reserved rows are no movies.
        titles: by row of the movies.
        candidates: float32 ``[movie rows, dimension]``, the embedding of each movie.
        history: what is known of the users; it is left out of what is recommended.
        profiles: computes the features of an unknown user; None where there are none.
        stars: the lowest and the highest rating.
        reserved: how many of the first rows of users and movies stand for none: 1, and 2 with a row
            for unknown ones, as data of one's own has it.
        repeats: whether a user is recommended again what is in the history.
    """

    data_name: str
    query_model: QueryModel
    candidate_model: CandidateModel
    users: FeatureTable
    user_ids: npt.NDArray[Any]
    movie_ids: npt.NDArray[Any]
    titles: tuple[str, ...]
    candidates: FloatArray
    history: History
    profiles: ProfileEncoder | Encoder | None
    stars: tuple[float, float]
    reserved: int = 1
    repeats: bool = False

    @classmethod
    def of(cls, model: RetrievalModel, dataset: "Dataset", rows: Interactions) -> Self:
        """The recommender that a trained model makes.

        Of the data set only users and movies are looked at; ``rows`` is what is known of the
        users, usually all that the model was trained on.
        """
        from deeprec.sources.releases import release_named  # as above

        return cls(
            data_name=dataset.name,
            query_model=model.query_model,
            candidate_model=model.candidate_model,
            users=dataset.users,
            user_ids=dataset.user_ids,
            movie_ids=dataset.movie_ids,
            titles=dataset.titles,
            candidates=_embedded(model.candidate_model, dataset.movies),
            history=History.of(rows, dataset.users.rows),
            profiles=Encoder.of(dataset.own.encodings) if dataset.own else dataset.profiles,
            stars=dataset.own.labels if dataset.own else release_named(dataset.name).stars,
            reserved=dataset.reserved,
            repeats=dataset.repeats,
        )

    def recommend(
        self,
        user_id: Id | None,
        k: int = 10,
        *,
        age: float | None = None,
        gender: str | None = None,
        occupation: str | None = None,
        features: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Recommended]:
        """The best movies for a user, each title once; what a known user has rated is left out.

        Args:
            user_id: as published; None for an unknown user, who is described instead.
            k: how many, at least 1; fewer where fewer are left.
            age: in years.
            gender: ``F`` or ``M``.
            occupation: one of those that the data set has.
            features: of a user of other data than MovieLens, by their names in the study.

        Raises:
            RequestError: the user is unknown and not described well enough, or known and
                described as another; or k is less than 1.
        """
        request = Request(user_id, k, Profile(age, gender, occupation), features)
        answer = next(self.recommend_all([request]))
        if isinstance(answer, RequestError):
            raise answer
        return answer

    def recommend_all(
        self, requests: Sequence[Request]
    ) -> Iterator[list[Recommended] | RequestError]:
        """Answers many requests, as :meth:`recommend` answers one; a bad one refuses no other.

        Users are scored together, so many that the scores of a block take 16 MiB at most.

        Yields:
            In the order of the requests what is recommended, or why nothing can be.
        """
        for start in range(0, len(requests), self._block):
            block = requests[start : start + self._block]
            users = [self._user_of(request) for request in block]
            found = self._best([user for user in users if not isinstance(user, RequestError)])
            for user in users:
                yield user if isinstance(user, RequestError) else next(found)

    def knows(self, user_id: Id) -> bool:
        """Whether the user was among those of the data set."""
        return self._row_of(user_id) != UNKNOWN_ROW

    def liked_by(self, user_id: Id, k: int | None = None) -> list[Liked]:
        """What a known user rated with four stars or more, best first, newest first, a title once.

        Raises:
            RequestError: the user is unknown.
        """
        row = self._row_of(user_id)
        if row == UNKNOWN_ROW:
            raise self._unknown(user_id)
        movies, ratings = self.history.of_user(row)
        lowest, highest = self.stars
        liked: dict[Id, Liked] = {}
        for movie, rating in zip(movies.tolist(), ratings.tolist(), strict=True):
            if rating >= LIKED_FROM:
                stars = round(lowest + rating * (highest - lowest), 2)
                same = self.titles[movie] if self.reserved == 1 else ""
                liked.setdefault(same or movie, Liked(*self._movie(movie), stars))
        return list(liked.values())[:k]

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
        arrays = _read_arrays(folder / ARRAYS_FILE)
        query_model = load_model_of(QueryModel, folder / QUERY_FILE)
        columns = {f.name: arrays[f"users.{f.name}"] for f in query_model.schema.features}
        users, titles = FeatureTable(query_model.schema, columns), tuple(map(str, about["titles"]))
        _check_arrays(arrays, users.rows, len(titles), is_own=bool(about.get("own")))
        lowest, highest = about["stars"]
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
            profiles=_profiles(about["encodings"], users, own=bool(about.get("own"))),
            stars=(float(lowest), float(highest)),
            reserved=2 if about.get("own") else 1,
            repeats=bool(about.get("own") and about["own"]["repeats"]),
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
        about: dict[str, Any] = {
            "data_name": self.data_name,
            "titles": list(self.titles),
            "encodings": self._encodings(),
            "stars": list(self.stars),
        }
        if self.reserved > 1:
            about["own"] = {"repeats": self.repeats}
        (folder / CATALOG_FILE).write_text(json.dumps(about), encoding="utf-8")

    def _encodings(self) -> list[Any]:
        if isinstance(self.profiles, Encoder):
            return [each.to_config() for each in self.profiles.encodings]
        return list(self.profiles.encodings) if self.profiles else []

    @cached_property
    def _rows(self) -> dict[Any, int]:
        """The row of each known user, by the id as the array has it."""
        ids = self.user_ids[self.reserved :].tolist()
        return dict(zip(ids, range(self.reserved, len(ids) + self.reserved), strict=True))

    def _row_of(self, user_id: Id) -> int:
        """The row of a user; :data:`UNKNOWN_ROW` where the user is unknown."""
        key: Any = user_id
        if self.user_ids.dtype.kind == "S":
            key = str(user_id).encode()
        elif isinstance(user_id, str):
            key = int(user_id) if user_id.isascii() and user_id.isdecimal() else None
        return self._rows.get(key, UNKNOWN_ROW)

    def _user_of(self, request: Request) -> "_User | RequestError":
        """The user of a request, or why it cannot be answered."""
        try:
            if request.k < 1:
                raise RequestError(f"k must be at least 1 but got {request.k}")
            row = UNKNOWN_ROW if request.user_id is None else self._row_of(request.user_id)
            features = self._known(row, request) if row else self._described(request)
        except RequestError as error:
            return error
        return _User(row, request.k, features)

    def _known(self, row: int, request: Request) -> "_Features":
        """The features of a known user, of whom nothing else may be said."""
        features: _Features = {n: column[row].tolist() for n, column in self.users.columns.items()}
        if request.features:
            raise RequestError(
                f"user {request.user_id} is known: leave {', '.join(request.features)} out"
            )
        answered = request.profile.answered
        if answered:
            numbers = {name: each for name, each in features.items() if isinstance(each, int)}
            if wrong := self._profile_encoder.contradicted(request.profile, numbers):
                raise RequestError(
                    f"user {request.user_id} is known and has another {' and '.join(wrong)}: leave "
                    f"{', '.join(answered)} out"
                )
        return features

    def _described(self, request: Request) -> "_Features":
        """The features of an unknown user."""
        own_id = self.users.schema.id_feature.name
        if isinstance(self.profiles, Encoder):
            if request.features:
                return {own_id: UNKNOWN, **self.profiles.features_of(request.features)}
        elif request.features:
            name = next(iter(request.features))
            raise RequestError(f"there is no feature {name!r} of {self.data_name}")
        if request.profile.answered:
            described = self._profile_encoder.features_of(request.profile)
            return {own_id: UNKNOWN_ROW, **described}
        if request.user_id is not None:
            raise self._unknown(request.user_id)
        questions = ", ".join(self._encoder.questions)
        raise RequestError(f"give a user, or {questions} of an unknown one")

    @property
    def _encoder(self) -> ProfileEncoder | Encoder:
        if self.profiles is None or not self.profiles.questions:
            raise RequestError(
                f"{self.data_name} says nothing of its users but their ids, so only for a known "
                f"user ({self._some_users}) anything can be recommended"
            )
        return self.profiles

    @property
    def _profile_encoder(self) -> ProfileEncoder:
        encoder = self._encoder
        if isinstance(encoder, Encoder):
            raise RequestError(
                f"{self.data_name} knows no age, gender or occupation; its features are "
                f"{', '.join(encoder.questions)}"
            )
        return encoder

    @property
    def _some_users(self) -> str:
        """The first and the last of MovieLens; the first few of other data."""
        if self.reserved == 1:
            return f"{self.user_ids[1]} to {self.user_ids[-1]}"
        return "such as " + ", ".join(str(shown_id(each)) for each in self.user_ids[2:5])

    def _unknown(self, user_id: Id) -> RequestError:
        known = isinstance(self.profiles, Encoder) and ", ".join(self.profiles.questions)
        return RequestError(
            f"user must be one of the {len(self.user_ids) - self.reserved:,} of {self.data_name} "
            f"({self._some_users}) but got {user_id}"
            + (f"; an unknown one needs a value of {known}" if known else "")
        )

    def _best(self, users: "Sequence[_User]") -> Iterator[list[Recommended]]:
        """What is recommended to each of the users of a block."""
        if not users:
            return
        scores = self._queries(users) @ self.candidates.T
        scores[:, : self.reserved] = -np.inf  # no movie
        if not self.repeats:
            for own, user in zip(scores, users, strict=True):
                own[self.history.of_user(user.row)[0]] = -np.inf
        keep_one_of_each_title(scores, self._same_titles)
        for own, best in zip(scores, best_of(scores, [user.k for user in users]), strict=True):
            yield [Recommended(*self._movie(row), float(own[row])) for row in best.tolist()]

    def _queries(self, users: "Sequence[_User]") -> FloatArray:
        """The embeddings of users, float32 ``[users, dimension]``.

        JAX compiles for each number of rows that it meets: 1, 16, 256, ... and a block.
        """
        padded = min(16 ** -(-(len(users) - 1).bit_length() // 4), self._block)
        padding = padded - len(users)
        batch = {
            name: np.concatenate(
                [
                    np.array([user.features[name] for user in users], column.dtype),
                    np.zeros((padding, *column.shape[1:]), column.dtype),
                ]
            )
            for name, column in self.users.columns.items()
        }
        return np.asarray(self.query_model(batch), np.float32)[: len(users)]

    @property
    def _block(self) -> int:
        """How many users are scored together."""
        return max(SCORES_IN_A_BLOCK // len(self.titles), 1)

    @cached_property
    def _same_titles(self) -> list[IntArray]:
        """To people MovieLens's movies are their titles; other items may share one."""
        return rows_by_title(self.titles) if self.reserved == 1 else []

    def _movie(self, row: int) -> tuple[Id, str]:
        return shown_id(self.movie_ids[row]), self.titles[row]


def shown_id(own: Any) -> Id:
    """An id of an array as it was published."""
    return own.decode() if isinstance(own, bytes) else int(own)


_Features = dict[str, Code]
"""What a tower is given of each feature, by its name."""


class _User(NamedTuple):
    """A user to recommend to: the row in the table, how many movies, the features by name."""

    row: int
    k: int
    features: _Features


def _profiles(encodings: Any, users: FeatureTable, *, own: bool) -> ProfileEncoder | Encoder | None:
    """What computes the features of an unknown user: all but the id, or there is no such."""
    profiles: ProfileEncoder | Encoder
    if own:
        profiles = Encoder.of(encodings)
        computed = {encoding.name for encoding in profiles.encodings}
    elif encodings == []:
        return None
    else:
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


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file of unknown origin: no pickles, no more than it holds."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > path.stat().st_size:
        raise DataError(
            f"{path} must hold arrays that are not compressed but would unpack to "
            f"{unpacked:,} bytes"
        )
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


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
