"""Models in MLflow: logged, registered, promoted, and found again, through a ``ModelStore``."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from search.analysis.verdict import Confirmed, Decision, Evidence, decide
from search.config.addresses import call, check_names, flag
from search.records.errors import InputError
from search.records.results import UserResults
from search.records.trials import measure_words
from search.tracking.destination import (
    bring_along,
    check_database,
    prepare_environment,
    resolve_uri,
)
from search.tracking.names import FINGERPRINT

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
_SEEDS, _SPLIT = "deeprec.seeds", "deeprec.split"
_TRAINED_UNTIL = "deeprec.trained_until"


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A version of the registered model, of which run it was made, and what it is worth."""

    version: str
    run_id: str | None
    confirmed: Confirmed
    made_by: Mapping[str, str] = field(default_factory=dict)  # tags of that run, if asked for


@dataclass(frozen=True)
class Published:
    """The version that was made of a model, and whether it is the champion now, and why."""

    version: str
    decision: Decision
    name: str = MODEL_NAME  # of the registered model

    @property
    def words(self) -> str:
        """A sentence that says whether it is the champion, and why."""
        standing = "is the champion" if self.decision.promote else "is NOT the champion"
        return f"Version {self.version} of {self.name} {standing}: {self.decision.reason}."

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
    deviation, users, until = confirmed.deviation, confirmed.users, confirmed.trained_until
    return {
        confirmed.metric: worth_of(confirmed),
        _METRIC: confirmed.metric,
        _MEAN: repr(confirmed.mean),
        **({} if deviation is None else {_DEVIATION: repr(deviation)}),
        _SEEDS: str(confirmed.seeds),
        FINGERPRINT: confirmed.data_fingerprint,
        _SPLIT: confirmed.split,
        **({} if until is None else {_TRAINED_UNTIL: str(until)}),
        **({} if users is None else {_USERS: users.in_groups(GROUPS_IN_A_TAG).text}),
    }


def confirmed_of(tags: Mapping[str, str]) -> Confirmed:
    """What a version is worth; one without such tags was tested on unknown data."""
    deviation, users, until = (tags.get(name) for name in (_DEVIATION, _USERS, _TRAINED_UNTIL))
    return Confirmed(
        mean=float(tags.get(_MEAN, math.nan)),
        deviation=None if deviation is None else float(deviation),
        seeds=int(tags.get(_SEEDS, 0)),
        data_fingerprint=tags.get(FINGERPRINT, "unknown"),
        split=tags.get(_SPLIT, "unknown"),
        metric=tags.get(_METRIC, Confirmed.metric),
        users=None if users is None else UserResults.of_text(users),
        trained_until=None if until is None else int(until),
    )


def publish(
    store: "ModelStore",
    run_id: str,
    folder: Path,
    confirmed: Confirmed,
    evidence: Evidence,
    *,
    choice: bool | None = None,
    against: ModelVersion | None = None,
) -> Published:
    """Logs a model, registers it, and makes it the champion if it is better.

    A run is published once, however often asked; whether it is promoted may be asked again. To be
    called while no other process publishes; raises what mlflow raises.

    ``folder`` is a recommender's, see :class:`deeprec.recommender.Recommender`. A ``choice`` is the
    user's; None compares the model with the champion. ``against`` is the champion as it was
    measured on the same test rows; None for what it was confirmed to be worth.
    """
    made = store.version_of(run_id)
    version = made or store.register(store.log_model(run_id, folder), confirmed)
    champion = store.champion()
    if champion and champion.version == version:
        return Published(version, Decision(True, "it is the champion"), store.name)
    if against and champion and champion.version == against.version:
        champion = against
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
    with TemporaryDirectory() as place:
        with _model_store(tracking_uri, folder, wanted, announce=announce) as store:
            found = store.download(wanted, Path(place))
        if found is None:
            raise _no_model(wanted, tracking_uri, folder)
        yield found


def present_champion(tracking_uri: str | None, name: str, *, folder: Path) -> ModelVersion:
    """The champion of a registered model, with the tags of the run that made it.

    InputError where MLflow cannot be used, or there is none.
    """
    with _model_store(tracking_uri, folder, champion_uri(name), name=name) as store:
        champion = store.champion()
        tags = store.tags_of(champion.run_id) if champion and champion.run_id else {}
    if champion is None:
        raise _no_model(champion_uri(name), tracking_uri, folder)
    return replace(champion, made_by=tags)


@contextmanager
def _model_store(
    tracking_uri: str | None,
    folder: Path,
    wanted: str,
    *,
    name: str = MODEL_NAME,
    announce: Callable[[str], None] = lambda _line: None,
) -> Iterator["ModelStore"]:
    """Where a model is looked for; what MLflow raises is an InputError, and nothing is written."""
    destination = resolve_uri(tracking_uri, folder)
    if destination.database is not None:
        if not destination.database.exists():
            raise _no_model(wanted, tracking_uri, folder)
        check_database(destination.database, writes=False)
    prepare_environment()
    from search.tracking.model_store import ModelStore  # here, for it imports mlflow and Keras
    from search.tracking.store import explain

    try:
        if destination.database is not None:
            bring_along(destination.database, announce)
        yield ModelStore(destination, name)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the model cannot be had: {explain(error, destination)}") from error


def _no_model(model_uri: str, tracking_uri: str | None, folder: Path) -> InputError:
    destination = resolve_uri(tracking_uri, folder)
    given = None if destination == resolve_uri(None, folder) else destination.uri
    hint = f"make one with {call('search.retrain', flag('--tracking-uri', given))}"
    if model_uri == CHAMPION_URI:
        return InputError(f"there is no champion at {destination.shown} yet; {hint}")
    return InputError(
        f"there is no model {model_uri} at {destination.shown}; name another, leave --model out "
        f"for the champion, or {hint}"
    )
