"""Models in MLflow: logged, registered, promoted, and found again, through a ``ModelStore``."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from search.analysis.promotion import Confirmed, Decision, Evidence, decide
from search.config.addresses import call, check_names, flag
from search.records.errors import InputError
from search.records.trials import measure_words
from search.records.users import UserResults
from search.tracking.destination import (
    Destination,
    bring_along,
    check_database,
    prepare_environment,
    resolve_uri,
)

if TYPE_CHECKING:
    from search.tracking.model_store import ModelStore

MODEL_NAME = "deep-retrieval"  # the registered model of all studies of MovieLens

CHAMPION = "champion"  # the alias of the version to use

CHAMPION_URI = f"models:/{MODEL_NAME}@{CHAMPION}"


def champion_uri(name: str | None) -> str:
    """The champion of a registered model; MovieLens's when none is named."""
    return CHAMPION_URI if name is None else f"models:/{name}@{CHAMPION}"


def recommend_by(model: str) -> str:
    """What recommends by the champion of a registered model: of MovieLens's, or of a study."""
    return f"python -m search.recommend {'42' if model == MODEL_NAME else f'USER --study {model}'}"


def model_description(model: str) -> str:
    """Of a registered model."""
    return (
        "Two-tower models that recommend titles. A version is the first training of a "
        f"confirmation; the alias `champion` is on the one to use: `{recommend_by(model)}`"
    )


PROMOTED, NOT_PROMOTED = "deeprec.promoted_because", "deeprec.not_promoted_because"

_MODEL_URI = re.compile(r"models:/[^/@\s]+(@[^/@\s]+|/\d+)?")
_MEAN, _DEVIATION = "deeprec.test_accuracy_mean", "deeprec.test_accuracy_deviation"
_METRIC = "deeprec.test_metric"
_USERS = "deeprec.test_by_user"
GROUPS_IN_A_TAG = 256  # of users: the longest text is of 2,700 characters, and a tag holds 5,000
_SEEDS, _FINGERPRINT, _SPLIT = "deeprec.seeds", "deeprec.data_fingerprint", "deeprec.split"


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A version of the registered model, of which run it was made, and what it is worth."""

    version: str
    run_id: str | None
    confirmed: Confirmed


@dataclass(frozen=True)
class Published:
    """The version that was made of a model, and whether it is the champion now, and why."""

    version: str
    decision: Decision
    name: str = MODEL_NAME  # of the registered model

    @property
    def for_flag(self) -> str | None:
        """What ``--model`` must be to use it; None where it is the champion, the default."""
        return None if self.decision.promote else f"models:/{self.name}/{self.version}"


def worth_of(confirmed: Confirmed) -> str:
    """The accuracy on the test rows for people, such as ``0.3465 ± 0.0048``."""
    spread = "" if confirmed.deviation is None else f" ± {confirmed.deviation:.4f}"
    return f"{confirmed.mean:.4f}{spread}"


def description_of(confirmed: Confirmed, note: str) -> str:
    """What a version is, in Markdown, with the note of the run that made it."""
    measure = measure_words(confirmed.metric.removeprefix("test_"))
    measure = measure[0].upper() + measure[1:] if measure.startswith("top") else measure
    trainings = "one training" if confirmed.seeds == 1 else f"{confirmed.seeds} trainings"
    return (
        f"**{measure} {worth_of(confirmed)}** on the test rows ({trainings}, "
        f"{confirmed.split} split).\n\n{note}"
    ).strip()


def tags_of(confirmed: Confirmed) -> dict[str, str]:
    """The tags of a version that keep what it is worth."""
    deviation, users = confirmed.deviation, confirmed.users
    return {
        confirmed.metric: worth_of(confirmed),
        _METRIC: confirmed.metric,
        _MEAN: repr(confirmed.mean),
        **({} if deviation is None else {_DEVIATION: repr(deviation)}),
        _SEEDS: str(confirmed.seeds),
        _FINGERPRINT: confirmed.data_fingerprint,
        _SPLIT: confirmed.split,
        **({} if users is None else {_USERS: users.in_groups(GROUPS_IN_A_TAG).text}),
    }


def confirmed_of(tags: Mapping[str, str]) -> Confirmed:
    """What a version is worth; one without such tags was tested on unknown data."""
    deviation, users = tags.get(_DEVIATION), tags.get(_USERS)
    return Confirmed(
        mean=float(tags.get(_MEAN, math.nan)),
        deviation=None if deviation is None else float(deviation),
        seeds=int(tags.get(_SEEDS, 0)),
        data_fingerprint=tags.get(_FINGERPRINT, "unknown"),
        split=tags.get(_SPLIT, "unknown"),
        metric=tags.get(_METRIC, Confirmed.metric),
        users=None if users is None else UserResults.of_text(users),
    )


def publish(
    store: "ModelStore",
    run_id: str,
    folder: Path,
    confirmed: Confirmed,
    evidence: Evidence,
    *,
    choice: bool | None = None,
) -> Published:
    """Logs a model, registers it, and makes it the champion if it is better.

    A run is published once, however often asked; whether it is promoted may be asked again. To be
    called while no other process publishes; raises what mlflow raises.

    ``folder`` is a recommender's, see :class:`deeprec.recommender.Recommender`. A ``choice`` is the
    user's; None compares the model with the champion.
    """
    made = store.version_of(run_id)
    version = made or store.register(store.log_model(run_id, folder), confirmed)
    champion = store.champion()
    if champion and champion.version == version:
        return Published(version, Decision(True, "it is the champion"), store.name)
    decision = decide(confirmed, evidence, champion.confirmed if champion else None, choice)
    store.tag(version, PROMOTED if decision.promote else NOT_PROMOTED, decision.reason)
    if decision.promote:
        store.promote(version)
    return Published(version, decision, store.name)


@contextmanager
def published_folder(
    tracking_uri: str | None,
    model_uri: str | None,
    *,
    folder: Path,
    announce: Callable[[str], None] = lambda _line: None,
) -> Iterator[Path]:
    """The recommender of a model, as files on this machine; nothing is written.

    ``model_uri`` is ``models:/...``, or the folder of a confirmed model; the champion when None.
    InputError where MLflow cannot be used, or there is no such model.
    """
    wanted = model_uri or CHAMPION_URI
    if not _MODEL_URI.fullmatch(wanted):
        check_names(wanted, "--model")
        if Path(wanted).is_dir():
            yield Path(wanted)
            return
        raise InputError(
            "--model must look like models:/NAME@ALIAS, models:/NAME/VERSION or models:/ID, or be "
            f"the folder of a confirmed model, but got {wanted!r}"
        )
    destination = resolve_uri(tracking_uri, folder)
    if destination.database is not None:
        if not destination.database.exists():
            raise _no_model(wanted, destination, folder)
        check_database(destination.database, writes=False)
    prepare_environment()
    from search.tracking.model_store import ModelStore  # here, for it imports mlflow and Keras
    from search.tracking.store import explain

    with TemporaryDirectory() as place:
        try:
            if destination.database is not None:
                bring_along(destination.database, announce)
            found = ModelStore(destination).download(wanted, Path(place))
        except Exception as error:
            raise InputError(f"the model cannot be had: {explain(error, destination)}") from error
        if found is None:
            raise _no_model(wanted, destination, folder)
        yield found


def _no_model(model_uri: str, destination: Destination, folder: Path) -> InputError:
    given = None if destination == resolve_uri(None, folder) else destination.uri
    hint = f"make one with {call('search.retrain', flag('--tracking-uri', given))}"
    if model_uri == CHAMPION_URI:
        return InputError(f"there is no champion at {destination.shown} yet; {hint}")
    return InputError(
        f"there is no model {model_uri} at {destination.shown}; name another, leave --model out "
        f"for the champion, or {hint}"
    )
