"""What the champion recommends, for people: loaded, asked, and shown in two tables."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from deeprec.data.profiles import Profile
from deeprec.errors import DataError, RequestError
from deeprec.recommender import Liked, Recommended, Recommender
from search.display.terminal import Screen
from search.records.errors import InputError


def load(folder: Path) -> Recommender:
    """The recommender in a folder; InputError if it is damaged."""
    try:
        return Recommender.load(folder)
    except DataError as error:
        raise InputError(f"{error}; name another with --model") from error


def recommend(
    recommender: Recommender, user: int | None, profile: Profile, k: int, screen: Screen
) -> None:
    """Prints what is recommended to a user and, of a known one, what was liked.

    InputError where the recommender cannot answer; nothing was printed then.
    """
    try:
        movies = recommender.recommend(
            user, k, age=profile.age, gender=profile.gender, occupation=profile.occupation
        )
    except RequestError as error:
        raise InputError(str(error)) from error
    screen.print(recommended_table(movies))
    if user is None:
        return
    if not recommender.knows(user):
        by = ", ".join(profile.answered)
        screen.show(f"user {user} is not known to this model: recommended by {by}")
        return
    if liked := recommender.liked_by(user, k):
        screen.print(liked_table(user, liked))
    else:
        screen.show(f"user {user} has rated nothing with four stars or more")


def recommended_table(movies: Sequence[Recommended]) -> Table:
    """What is recommended, best first."""
    table = _table("", "recommended", "score")
    for rank, movie in enumerate(movies, start=1):
        table.add_row(str(rank), Text(movie.title), f"{movie.score:.3f}")
    return table


def liked_table(user: int, movies: Sequence[Liked]) -> Table:
    """What a user liked, highest rated first."""
    table = _table("", f"liked by user {user}", "stars")
    for movie in movies:
        table.add_row("", Text(movie.title), f"{movie.stars:g}")
    return table


def _table(number: str, title: str, value: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(number, justify="right")
    table.add_column(title)
    table.add_column(value, justify="right")
    return table
