"""A trained model that recommends: without the data set, without TensorFlow, without a search.

A recommender is a folder: both towers in Keras's format, arrays, and a catalog in JSON, each known
by its SHA-256. Loading it runs no code that is in the folder.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from deeprec.data.audience import Audience, Id, Request, User, shown_id
from deeprec.data.history import LIKED_FROM, history_of, table_for
from deeprec.data.tables import FeatureTable, FloatArray, IntArray, Interactions
from deeprec.data.verified_files import check_folder, parsed, write_folder
from deeprec.errors import RequestError, printable
from deeprec.events.encoding import Encoder
from deeprec.model.own import OwnTower
from deeprec.model.retrieval import RetrievalModel
from deeprec.model.towers import CandidateModel, QueryModel
from deeprec.recommender_files import FILES, INDEX_FILE, History, RecommenderParts
from deeprec.retrieval.approximate import INSTALL, Index, is_installed
from deeprec.retrieval.finding import Finder, Mask, rounded
from deeprec.retrieval.selection import rows_by_title

if TYPE_CHECKING:
    from deeprec.data.dataset import Dataset  # what prepares data is not needed to recommend

_LOG = logging.getLogger(__name__)

BLOCK = 8192
"""Rows that are embedded at a time."""


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


class Ranked(NamedTuple):
    """What is recommended to the users of a block, as arrays, a line for each that is answered.

    Attributes:
        requests: all of the block, in the order in which they were given.
        refused: why one cannot be answered, by its place in the block.
        movies: int32 ``[answered, k]``, rows of the movies, best first.
        scores: float32 ``[answered, k]``, ``-inf`` where fewer are left or were asked for.
    """

    requests: Sequence[Request]
    refused: Mapping[int, RequestError]
    movies: IntArray
    scores: FloatArray


@dataclass(frozen=True, kw_only=True)
class Recommender(RecommenderParts):
    """Both towers, and all that is needed to recommend with them.

    The attributes are those of :class:`~deeprec.recommender_files.RecommenderParts`.
    """

    @classmethod
    def of(cls, model: RetrievalModel, dataset: "Dataset", rows: Interactions) -> Self:
        """The recommender that a trained model makes.

        Of the data set only users and movies are looked at; ``rows`` is what is known of the
        users, usually all that the model was trained on.
        """
        from deeprec.sources.releases import release_named  # as above

        return cls(
            query_model=model.query_model,
            candidate_model=model.candidate_model,
            audience=Audience(
                data_name=dataset.name,
                table=table_for(model.query_model.schema, dataset.users, rows),
                ids=dataset.user_ids,
                encoder=Encoder.of(dataset.own.encodings) if dataset.own else dataset.profiles,
                reserved=dataset.reserved,
            ),
            movie_ids=dataset.movie_ids,
            titles=dataset.titles,
            candidates=embedded(model.candidate_model, dataset.movies),
            history=History.of(rows, dataset.users.rows),
            stars=dataset.own.labels if dataset.own else release_named(dataset.name).stars,
            repeats=dataset.repeats,
        )

    def recommend(
        self,
        user_id: Id | None,
        k: int = 10,
        liked: Sequence[Id] = (),
        **features: Any,
    ) -> list[Recommended]:
        """The best movies for a user, each title once; what the user has is left out.

        Args:
            user_id: as published; None for an unknown user, who is described instead.
            k: how many, at least 1; fewer where fewer are left.
            liked: ids or titles of movies, the latest first, where the tower reads histories.
            features: of an unknown user, by their names in the study; of MovieLens's ``age`` in
                years, ``gender`` (``F`` or ``M``) and ``occupation``.

        Raises:
            RequestError: the user is unknown and not described well enough, or known and
                described as another; k is less than 1; or what is liked is no movie, or says
                nothing to the tower.
        """
        answer = next(self.recommend_all([Request(user_id, k, features, liked)]))
        if isinstance(answer, RequestError):
            raise answer
        return answer

    def recommend_all(
        self, requests: Iterable[Request], among: Mask | None = None
    ) -> Iterator[list[Recommended] | RequestError]:
        """Answers many requests, as :meth:`recommend` answers one; a bad one refuses no other.

        Yields:
            In the order of the requests what is recommended, or why nothing can be.
        """
        for block in self.ranked(requests, among, exact=False):
            lines = zip(block.movies.tolist(), block.scores.tolist(), strict=True)
            for place in range(len(block.requests)):
                yield block.refused.get(place) or [
                    Recommended(*self._movie(row), score)
                    for row, score in zip(*next(lines), strict=True)
                    if score > -np.inf
                ]

    def ranked(
        self, requests: Iterable[Request], among: Mask | None = None, *, exact: bool = True
    ) -> Iterator[Ranked]:
        """What :meth:`recommend_all` answers, as arrays: for the users of a whole data set.

        Users are scored together, so many that the scores of a block take 64 MiB at most.

        Args:
            requests: for which users, and how many; read block by block.
            among: bool ``[movie rows]``, what may be recommended; all where it is None.
            exact: whether all movies are scored, also where there is an index.
        """
        finder, left = self._finder, iter(requests)
        allowed = finder.allowed(among)
        while block := tuple(islice(left, finder.block)):
            found = [self._user_of(request) for request in block]
            refused = {n: user for n, user in enumerate(found) if isinstance(user, RequestError)}
            users = [user for user in found if not isinstance(user, RequestError)]
            counts = np.array([r.k for n, r in enumerate(block) if n not in refused], np.int64)
            queries = self._queries(users) if users else jnp.zeros((0, 1))
            seen = [self._seen(user) for user in users]
            best = finder.best(queries, seen, counts, allowed, exact=exact)
            yield Ranked(block, refused, *best)

    def scores_for(
        self, user_ids: npt.NDArray[Any], movie_ids: npt.NDArray[Any]
    ) -> Callable[[IntArray], FloatArray]:
        """What scores the rows of another data set, by the published ids of its users and movies.

        A user that this model does not know is an unknown one to it; a movie that it does not know
        is below all others. The scores are float32 ``[users, movies]``.
        """
        rows = {each: row for row, each in enumerate(self.movie_ids.tolist())}
        columns = np.array([rows.get(each, 0) for each in movie_ids.tolist()])
        unknown = self.audience.reserved - 1

        def score(users: IntArray) -> FloatArray:
            known = [self.audience.row_of(shown_id(each)) or unknown for each in user_ids[users]]
            asked = [self.audience.user_at(row) for row in known]
            most = self._finder.block
            blocks = [asked[i : i + most] for i in range(0, len(asked), most)]
            queries = np.concatenate([self._queries(block)[: len(block)] for block in blocks])
            scores = (queries @ self.candidates.T)[:, columns]
            scores[:, columns == 0] = scores.min() - 1
            return scores

        return score

    def knows(self, user_id: Id) -> bool:
        """Whether the user was among those of the data set."""
        return self.audience.row_of(user_id) is not None

    def liked_by(self, user_id: Id, k: int | None = None) -> list[Liked]:
        """What a known user rated with four stars or more, best first, newest first, a title once.

        Raises:
            RequestError: the user is unknown.
        """
        row = self.audience.known_row(user_id)
        movies, ratings = self.history.of_user(row)
        lowest, highest = self.stars
        liked: dict[Id, Liked] = {}
        for movie, rating in zip(movies.tolist(), ratings.tolist(), strict=True):
            if rating >= LIKED_FROM:
                stars = round(lowest + rating * (highest - lowest), 2)
                same = "" if self.is_own else self.titles[movie]
                liked.setdefault(same or movie, Liked(*self._movie(movie), stars))
        return list(liked.values())[:k]

    @property
    def items(self) -> int:
        """How many movies there are."""
        return len(self.candidates) - self.audience.reserved

    def indexed(self) -> Self:
        """The recommender with an index: ten minutes for a million movies; usearch is needed."""
        return replace(self, index=Index.of(self.candidates, self.audience.reserved))

    def save(self, folder: Path) -> None:
        """Writes the recommender, whole or not at all; a folder that exists is replaced."""
        write_folder(folder, self.fill)

    @classmethod
    def load(cls, folder: Path, *, trusted: Collection[str] = (), with_index: bool = False) -> Self:
        """Reads a recommender that :meth:`save` wrote: checked first, then parsed.

        Code of other towers than ours, which the folder names, is imported and run where its name
        is among the ``trusted``. The index, if there is one, is read ``with_index`` alone: it is
        native code that reads it, and believes it. Where usearch is not installed, a line of the
        log says so, and all movies are scored.

        Raises:
            DataError: the folder does not hold one, it is damaged, or its code is not trusted or
                cannot be used.
        """
        found = check_folder(folder, FILES, also=[INDEX_FILE] if with_index else [])
        with parsed(folder):
            recommender = cls.read(folder, trusted)
            return recommender._with_index(folder) if INDEX_FILE in found else recommender

    def _with_index(self, folder: Path) -> Self:
        """The recommender with the index in a folder, if usearch is installed."""
        if not is_installed():
            _LOG.warning(
                "%s has an index, which needs the package usearch: all %d items are scored for "
                "each request; install it: %s",
                folder.name,
                self.items,
                INSTALL,
            )
            return self
        index = Index.load(folder / INDEX_FILE, self.candidates, self.audience.reserved)
        return replace(self, index=index)

    @property
    def reads_history(self) -> bool:
        """Whether users can be described by what they liked."""
        return history_of(self.audience.table.schema) is not None

    def _row_named(self, item: Id) -> int:
        """The row of an item, by its id or its title, whatever the case.

        Raises:
            RequestError: there is none, or there are several of the title.
        """
        text, named = str(item).strip(), self._rows_by_title
        by_id = self._rows_by_id.get(text)
        rows = [by_id] if by_id else named.get(text.casefold(), [])
        if not rows:
            wanted = text.casefold()
            near = [title for title in named if wanted and wanted in title][:3]
            near = near or get_close_matches(wanted, named, 3)
            known = ", ".join(repr(self.titles[named[title][0]]) for title in near)
            raise RequestError(
                f"liked must be ids or titles of items but got {printable(repr(item), 80)}"
                + (f"; close to it: {known}" if known else "")
            )
        if len(rows) > 1 and self.is_own:
            ids = ", ".join(str(shown_id(self.movie_ids[row])) for row in rows[:3])
            raise RequestError(
                f"{text!r} is the title of {len(rows):,} items: give an id, such as {ids}"
            )
        return rows[0]

    @cached_property
    def _rows_by_id(self) -> dict[str, int]:
        ids = enumerate(self.movie_ids[self.audience.reserved :], start=self.audience.reserved)
        return {str(shown_id(each)): row for row, each in ids}

    @cached_property
    def _rows_by_title(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for row, title in enumerate(self.titles):
            if row >= self.audience.reserved:
                found.setdefault(title.casefold(), []).append(row)
        return found

    @property
    def names(self) -> tuple[str, str]:
        """What the ids of users and of items are called in tables."""
        return "user_id", "item_id" if self.is_own else "movie_id"

    def _user_of(self, request: Request) -> User | RequestError:
        """The user of a request, or why it cannot be answered."""
        try:
            if request.k < 1:
                raise RequestError(f"k must be at least 1 but got {request.k}")
            if request.liked and not self.reads_history:
                raise RequestError(
                    "this model reads no histories, so what is liked says nothing to it; one of a "
                    "study with history = { low = 128, high = 128 } in its [space] does"
                )
            return self.audience.user_of(request, [*map(self._row_named, request.liked)])
        except RequestError as error:
            return error

    def _seen(self, user: User) -> IntArray:
        """Rows of what is not recommended again."""
        if self.repeats:
            return np.zeros(0, np.int32)
        return np.array([*self.history.of_user(user.row)[0], *user.liked], np.int32)

    def _queries(self, users: Sequence[User]) -> jax.Array:
        """The embeddings of users, float32 ``[users, dimension]``, then those of padding."""
        padding = min(rounded(len(users), 1), self._finder.block) - len(users)
        batch = {
            name: np.concatenate(
                [
                    np.array([user.features[name] for user in users], column.dtype),
                    np.zeros((padding, *column.shape[1:]), column.dtype),
                ]
            )
            for name, column in self.audience.table.columns.items()
        }
        return self._embed(batch)

    @cached_property
    def _embed(self) -> Callable[[dict[str, npt.NDArray[Any]]], jax.Array]:
        """The query tower, compiled."""
        tower = self.query_model
        program = jax.jit(lambda *given: tower.stateless_call(*given)[0].astype(np.float32))
        variables = (tower.trainable_variables, tower.non_trainable_variables)
        return lambda batch: program(*([each.value for each in v] for v in variables), batch)

    @cached_property
    def _finder(self) -> Finder:
        """To people MovieLens's movies are their titles; other items may share one."""
        same = rows_by_title([] if self.is_own else self.titles)
        return Finder(
            embeddings=self.candidates,
            reserved=self.audience.reserved,
            same=same,
            index=self.index,
        )

    def _movie(self, row: int) -> tuple[Id, str]:
        return shown_id(self.movie_ids[row]), self.titles[row]


def embedded(tower: QueryModel | CandidateModel | OwnTower, table: FeatureTable) -> FloatArray:
    """The embeddings of all rows of a table, float32 ``[rows, dimension]``."""
    rows = np.arange(table.rows, dtype=np.int32)
    blocks = [table.take(rows[start : start + BLOCK]) for start in range(0, table.rows, BLOCK)]
    return np.concatenate([np.asarray(tower(block), np.float32) for block in blocks])
