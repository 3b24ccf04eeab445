"""``python -m search.recommend``: what the champion recommends to a user."""

from pathlib import Path
from typing import Annotated

import typer

from search.commands.cli import (
    ChampionOfOption,
    ModelOption,
    TrackingUriOption,
    TrustOption,
    command_screen,
    run_command,
    study_here,
)
from search.execution.runtime import prepare_runtime
from search.records.errors import InputError


def main(
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="A user of the data set.")
    ] = None,
    k: Annotated[int, typer.Option(min=1, metavar="K", help="How many titles.")] = 10,
    model: ModelOption = None,
    age: Annotated[float | None, typer.Option(metavar="YEARS", help="Of an unknown user.")] = None,
    gender: Annotated[str | None, typer.Option(metavar="F|M", help="Of such a user.")] = None,
    occupation: Annotated[str | None, typer.Option(metavar="NAME", help="Of such a user.")] = None,
    study: ChampionOfOption = None,
    features: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FEATURE=VALUE", help="Of an unknown user of other data."),
    ] = None,
    liked: Annotated[
        list[str] | None,
        typer.Option(metavar="TITLE|ID", help="What the user likes, the latest first; repeatable."),
    ] = None,
    trust: TrustOption = None,
    to_all: Annotated[
        bool, typer.Option("--all", help="To all users whom the model knows, into --out.")
    ] = False,
    users: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --all: to these, by their ids or their features."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Of --all: .parquet or .csv.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION", help="Of items: in_stock, brand=Acme, price<=20; all must hold."
        ),
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The table of the items that --where is about.",
            show_default="the study's",
        ),
    ] = None,
    tracking_uri: TrackingUriOption = None,
) -> int:
    """Recommends titles to a user, and shows what the user liked; or to all users, into a file.

    An unknown user is described by --liked, where the model reads histories, and by --age, --gender
    and --occupation, or by --set where the data is not MovieLens. Neither the data set nor a study
    is needed.

    Examples: python -m search.recommend 42
    python -m search.recommend --age 30 --gender F --occupation writer
    python -m search.recommend --liked "Toy Story (1995)" --liked 1196
    python -m search.recommend --all --out recommended.parquet
    """
    flags = {"age": age, "gender": gender, "occupation": occupation}
    described = {name: value for name, value in flags.items() if value is not None}
    described |= _features(features or [])
    if to_all or users or out:
        _check_batch(out, is_whole=to_all and user is None and not described and not liked)
    elif user is None and not described and not liked:
        asked = "--age, --gender and --occupation" if study is None else "--set FEATURE=VALUE"
        raise InputError(f"give a USER, or {asked}, or --liked, of an unknown one, or --all")
    with command_screen() as screen:
        screen.doing("loading Keras and JAX")
        prepare_runtime(announce=screen.announce)  # before MLflow's models, which import Keras
        screen.doing("loading MLflow")
        from deeprec.data.audience import Request
        from search.commands.recommend import (
            Asked,
            chosen,
            items_where,
            recommend,
            recommend_to_many,
        )

        recommender = chosen(model, study, trust, tracking_uri, screen)
        among = items_where(recommender, where or [], items, study_here(study))
        if out is None:
            recommend(recommender, Request(user, k, described, liked or ()), screen, among)
        else:
            many = Asked.of(recommender, k, users, screen)
            recommend_to_many(many, out, among, screen)
        return 0


def _check_batch(out: Path | None, *, is_whole: bool) -> None:
    if out is None or not is_whole:
        raise InputError("--all and --out belong together, --users to both; leave a USER out")
    if out.suffix not in (".parquet", ".csv"):
        raise InputError(f"--out must end in .parquet or .csv but got {str(out)!r}")
    if not out.parent.is_dir() or out.is_dir():
        raise InputError(f"--out must be a file in a folder that is there but got {str(out)!r}")


def _features(given: list[str]) -> dict[str, float | str]:
    """What ``--set`` says, by feature."""
    pairs = [text.partition("=") for text in given]
    if wrong := next((text for text, pair in zip(given, pairs, strict=True) if not pair[1]), None):
        raise InputError(f"--set must be FEATURE=VALUE but got {wrong!r}")
    return {name: value for name, _, value in pairs}


if __name__ == "__main__":
    run_command(main, is_for_output=True)
