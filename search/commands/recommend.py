"""What the champion recommends: to one user, in two tables; to many, written block by block."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich import box
from rich.table import Table
from rich.text import Text

from deeprec.data.audience import Id, Request, shown_id
from deeprec.data.verified_files import replacing
from deeprec.errors import DataError, RequestError, printable
from deeprec.events.description import DataDescription, FilesDescription
from deeprec.events.files import Frame, read_columns
from deeprec.recommender import Liked, Ranked, Recommended, Recommender
from deeprec.retrieval.finding import Mask
from search.commands.cli import registered_model, towers_named_by
from search.config.addresses import Workspace
from search.config.study import StudySpec
from search.display.terminal import Screen
from search.execution.runtime import touch_device
from search.records.errors import InputError
from search.tracking.models import champion_uri, published_folder


def chosen(
    model: str | None,
    study: str | None,
    trust: str | None,
    tracking_uri: str | None,
    screen: Screen,
) -> Recommender:
    """The recommender that flags name: the champion of a study where no model is named.

    Its code is trusted where ``trust`` names it, or the file of the study, if that is here.
    """
    wanted = model or champion_uri(registered_model(study))
    trusted = [*filter(None, [trust, towers_named_by(study)])]
    mlruns = Workspace(Path.cwd()).mlruns
    return fetched(wanted, tracking_uri, mlruns, screen, trusted=trusted)


def fetched(
    model: str,
    tracking_uri: str | None,
    mlruns: Path,
    screen: Screen,
    *,
    trusted: Collection[str] = (),
) -> Recommender:
    """The recommender of a model of MLflow, or in a folder; InputError where there is none.

    ``trusted`` are towers of one's own whose code it may run, by name.
    """
    screen.doing("fetching the model")
    with published_folder(tracking_uri, model, folder=mlruns, announce=screen.announce) as folder:
        touch_device()
        screen.doing("loading the model")
        return load(folder, trusted)


def load(folder: Path, trusted: Collection[str] = ()) -> Recommender:
    """The recommender in a folder; InputError if it is damaged, or its code is not trusted."""
    try:
        return Recommender.load(folder, trusted=trusted)
    except DataError as error:
        raise InputError(f"{error}; name another with --model") from error


def recommend(
    recommender: Recommender, request: Request, screen: Screen, among: Mask | None = None
) -> None:
    """Prints what is recommended to a user ``among`` items and, of a known one, what was liked.

    InputError where the recommender cannot answer; nothing was printed then.
    """
    try:
        [answer] = recommender.recommend_all([request], among)
        if isinstance(answer, RequestError):
            raise answer
    except RequestError as error:
        raise InputError(str(error)) from error
    user, movies = request.user_id, answer
    screen.print(recommended_table(movies))
    encoder = recommender.audience.encoder
    for name in encoder.unfamiliar(request.features) if encoder else ():
        value = request.features[name]
        screen.warn(f"training knows no {name} {value!r}: it says nothing of the user here")
    if user is None:
        return
    if not recommender.knows(user):
        by = ", ".join([*request.features, *(["what is liked"] if request.liked else [])])
        screen.show(f"user {user} is not known to this model: recommended by {by}")
        return
    if liked := recommender.liked_by(user, request.k):
        unit = "label" if recommender.is_own else "stars"
        screen.print(liked_table(user, liked, unit))
    elif not recommender.is_own:
        screen.show(f"user {user} has rated nothing with four stars or more")


def recommended_table(movies: Sequence[Recommended]) -> Table:
    """What is recommended, best first."""
    table = _table("", "recommended", "score")
    for rank, movie in enumerate(movies, start=1):
        table.add_row(str(rank), Text(movie.title), f"{movie.score:.3f}")
    return table


def liked_table(user: Id, movies: Sequence[Liked], unit: str = "stars") -> Table:
    """What a user liked, highest rated first; ``unit`` is that of the ratings."""
    table = _table("", f"liked by user {user}", unit)
    for movie in movies:
        table.add_row("", Text(movie.title), f"{movie.stars:g}")
    return table


def _table(number: str, title: str, value: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(number, justify="right")
    table.add_column(title)
    table.add_column(value, justify="right")
    return table


_CONDITION = re.compile(r"\s*([^<>=!]*[^<>=!\s])\s*(?:(<=|>=|!=|=|<|>)\s*(.*?)\s*)?")
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda own, other: own == other,
    "!=": lambda own, other: own != other,
    "<": lambda own, other: own < other,
    "<=": lambda own, other: own <= other,
    ">": lambda own, other: own > other,
    ">=": lambda own, other: own >= other,
}


def items_where(
    recommender: Recommender, conditions: Sequence[str], items: Path | None, spec: StudySpec | None
) -> Mask | None:
    """The items of a table that meet all conditions, bool ``[items]``; None without conditions.

    Args:
        recommender: whose items they are.
        conditions: such as ``in_stock``, ``brand=Acme`` or ``price<=20``, on columns of the table.
        items: the table; that of the study when None.
        spec: the study, whose table is read as its file says.

    Raises:
        InputError: there is no table, it lacks a column, or a condition cannot be read or met.
    """
    if not conditions:
        return None
    side = spec.data.items if spec and isinstance(spec.data, DataDescription) else None
    read = side.table if side else None
    if items is not None:
        read = (read or FilesDescription(path=".")).model_copy(
            update={"path": str(items.absolute())}
        )
    if read is None:
        raise InputError("--where needs the table of the items: name it with --items")
    frame = _read(read, spec.folder if spec else Path.cwd())
    names = [recommender.names[1], *([side.id] if side and side.id else [])]
    ids = _text(frame, next((name for name in names if name in frame.table.column_names), names[0]))
    met = np.logical_and.reduce([_Condition.of(text).met_in(frame) for text in conditions])
    own = pa.array([str(shown_id(each)) for each in recommender.movie_ids])
    found = pa.compute.is_in(own, ids.filter(pa.array(met))).to_numpy(zero_copy_only=False)
    if not found[recommender.audience.reserved :].any():
        raise InputError(
            f"no item of the model is one of {frame.name} with {' and '.join(conditions)}"
        )
    return np.asarray(found, bool)


@dataclass(frozen=True)
class _Condition:
    """What is asked of a column: to be true, or to compare with a value."""

    column: str
    sign: str | None
    value: str

    @classmethod
    def of(cls, text: str) -> "_Condition":
        found = _CONDITION.fullmatch(text)
        if found is None or found[3] == "":
            raise InputError(
                f"--where must be COLUMN, or COLUMN, one of {' '.join(_SIGNS)} and a value, but "
                f"got {text!r}"
            )
        return cls(found[1], found[2], found[3] or "")

    def met_in(self, frame: Frame) -> Mask:
        """Where a table meets it, bool ``[rows]``: nowhere where the value is missing."""
        encoded = _text(frame, self.column).dictionary_encode()
        decimal = frame.described.decimal
        met = [self._met(value, decimal) for value in encoded.dictionary.to_pylist()]
        verdicts = np.array([*met, False], bool)
        return np.asarray(verdicts[encoded.indices.fill_null(-1).to_numpy()], bool)

    def _met(self, value: str, decimal: str) -> bool:
        own, other = _number(value, decimal), _number(self.value, ".")
        if self.sign in ("=", "!="):
            same = value == self.value if own is None or other is None else own == other
            return same == (self.sign == "=")
        if own is None or (self.sign and other is None):
            wrong = printable(repr(value if own is None else self.value), 80)
            wanted = "a number" if self.sign else "true or false"
            raise InputError(
                f"--where: {self.column} must be {wanted} but got {wrong}; text compares by = or !="
            )
        return bool(own) if self.sign is None else _SIGNS[self.sign](own, other)


def _number(text: str, decimal: str) -> float | None:
    """A number, true or false as a number; None where a text is neither."""
    word = text.strip().lower()
    try:
        return _WORDS[word] if word in _WORDS else float(word.replace(decimal, "."))
    except ValueError:
        return None


def _read(described: FilesDescription, folder: Path) -> Frame:
    try:
        return read_columns(described, folder, None)
    except DataError as error:
        raise InputError(str(error)) from error


def _text(frame: Frame, name: str) -> pa.Array:
    """A column as text."""
    columns = frame.table.column_names
    if name not in columns:
        near = get_close_matches(name, columns, n=1) or [", ".join(columns[:20])]
        raise InputError(f"{frame.name} has no column {name!r}; it has {near[0]}")
    try:
        return frame.column(name).cast(pa.string()).combine_chunks()
    except pa.ArrowException as error:
        raise InputError(f"{frame.name}: the column {name!r} must hold plain values") from error


@dataclass(frozen=True)
class Asked:
    """The users to recommend to: all of the model, or those of a file.

    Attributes:
        recommender: whose users they are.
        k: how many items for each.
        frame: a row a user, with the id, features of an unknown user, or both.
    """

    recommender: Recommender
    k: int
    frame: Frame | None = None

    @classmethod
    def of(cls, recommender: Recommender, k: int, users: Path | None, screen: Screen) -> "Asked":
        """Those of a file, CSV or Parquet; all users whom the model knows when there is none.

        Raises:
            InputError: the file cannot be read, or says nothing of users.
        """
        if users is None:
            return cls(recommender, k)
        frame = _read(FilesDescription(path=str(users.absolute())), Path.cwd())
        asked = cls(recommender, k, frame)
        unused = [name for name in frame.table.column_names if name not in asked._columns]
        if not set(asked._columns) & set(frame.table.column_names):
            allowed = ", ".join(asked._columns)
            raise InputError(
                f"{frame.name} must have some of {allowed} but has {', '.join(unused)}"
            )
        if unused:
            screen.warn(f"{frame.name}: not used: {', '.join(unused)}")
        return asked

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        encoder = self.recommender.audience.encoder
        return (self.recommender.names[0], *(encoder.questions if encoder else ()))

    @cached_property
    def id_type(self) -> Any:
        """Of the ids in what is written: whole numbers where all are."""
        kind = pa.string() if self.recommender.audience.ids.dtype.kind == "S" else pa.int64()
        name = self._columns[0]
        if self.frame is None or name not in self.frame.table.column_names:
            return kind
        try:
            self.frame.column(name).cast(kind)
        except pa.ArrowException:
            return pa.string()
        return kind

    def __iter__(self) -> Iterator[Request]:
        """A request for each; nothing is said of users whom the model knows but their ids."""
        if self.frame is None:
            audience = self.recommender.audience
            yield from (Request(shown_id(i), self.k) for i in audience.ids[audience.reserved :])
            return
        used = self.frame.table.select(
            [n for n in self._columns if n in self.frame.table.schema.names]
        )
        for batch in used.to_batches(max_chunksize=1 << 14):
            for row in batch.to_pylist():
                user = row.pop(self._columns[0], None)
                is_known = user is not None and self.recommender.knows(user)
                given = {} if is_known else {n: v for n, v in row.items() if v is not None}
                yield Request(user, self.k, given)


def recommend_to_many(asked: Asked, out: Path, among: Mask | None, screen: Screen) -> None:
    """Writes what is recommended to each user: whole, or not at all.

    Raises:
        InputError: no user can be answered.
    """
    started, given, refused = time.perf_counter(), 0, 0
    first = ""
    with _writing(out, asked) as write:
        for block in asked.recommender.ranked(asked, among):
            write(block, given)
            if block.refused and not first:
                place, reason = next(iter(block.refused.items()))
                first = f"row {given + place}: {reason}"
            given, refused = given + len(block.requests), refused + len(block.refused)
            screen.doing(f"recommending: {given:,} users")
        if given == refused:
            raise InputError(first or "there are no users")
    seconds = time.perf_counter() - started
    rate = (given - refused) / seconds
    screen.show(f"{out}: {given - refused:,} users in {seconds:.1f} s, {rate:,.0f} a second")
    if refused:
        screen.warn(f"{refused:,} users are left out, the first at {first}")


@contextmanager
def _writing(out: Path, asked: Asked) -> Iterator[Callable[[Ranked, int], None]]:
    """What writes a block whose first user is the row of that number, to a new file."""
    recommender, (user, item) = asked.recommender, asked.recommender.names
    own_ids = pa.array([shown_id(each) for each in recommender.movie_ids])
    titles = pa.array(recommender.titles, pa.string())
    columns = {"rank": pa.int32(), item: own_ids.type, "title": titles.type, "score": pa.float32()}
    schema = pa.schema({user: asked.id_type, **columns, "row": pa.int64()})
    with (
        replacing(out, prefix=f".{out.name}.") as file,
        pa.parquet.ParquetWriter(file, schema)
        if out.suffix == ".parquet"
        else pa.csv.CSVWriter(file, schema) as writer,
    ):

        def write(block: Ranked, first: int) -> None:
            answered = [n for n in range(len(block.requests)) if n not in block.refused]
            users = [block.requests[n].user_id for n in answered]
            found = np.isfinite(block.scores)
            of_user, ranks = np.nonzero(found)
            movies: npt.NDArray[np.int32] = block.movies[found]
            ids = pa.array([None if u is None else str(u) for u in users], pa.string())
            taken = [
                ids.take(of_user).cast(asked.id_type),
                pa.array(ranks + 1, pa.int32()),
                own_ids.take(movies),
                titles.take(movies),
                pa.array(block.scores[found]),
                pa.array((np.array(answered, np.int64) + first)[of_user]),
            ]
            writer.write_table(pa.table(taken, schema))

        yield write
