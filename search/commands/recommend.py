"""What the champion recommends, for people: loaded, asked, and shown in two tables."""

from collections.abc import Collection, Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from deeprec.data.audience import Id, Request
from deeprec.errors import DataError, RequestError
from deeprec.recommender import Liked, Recommended, Recommender
from deeprec.retrieval.finding import Mask
from search.commands.cli import registered_model, towers_named_by
from search.config.addresses import Workspace
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
