"""Models in MLflow: logged, registered, promoted, and found again."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from search.analysis.promotion import Confirmed, Decision, Evidence, decide
from search.config.addresses import check_names
from search.config.next_commands import call, flag
from search.records.errors import InputError
from search.tracking.destination import (
    Destination,
    bring_along,
    check_database,
    locked,
    prepare_environment,
    resolve_uri,
)
from search.tracking.model_content import (
    CHAMPION,
    MODEL_NAME,
    NOT_PROMOTED,
    PROMOTED,
    ModelVersion,
)

if TYPE_CHECKING:
    from search.tracking.model_store import ModelStore

CHAMPION_URI = f"models:/{MODEL_NAME}@{CHAMPION}"
_MODEL_URI = re.compile(r"models:/[^/@\s]+(@[^/@\s]+|/\d+)?")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What came of publishing a model.

    Attributes:
        version: its number among the registered ones.
        decision: whether it is the champion now, and why.
    """

    version: str
    decision: Decision

    @property
    def for_flag(self) -> str | None:
        """What ``--model`` must be to use it; None where it is the champion, the default."""
        return None if self.decision.promote else f"models:/{MODEL_NAME}/{self.version}"


class Models:
    """The models of one MLflow. Its methods raise what mlflow raises.

    Args:
        destination: where the models are.
        folder: of the lock under which models are published, usually ``mlruns``.
    """

    def __init__(self, destination: Destination, folder: Path) -> None:
        self._destination = destination
        self._folder = folder

    @property
    def _store(self) -> "ModelStore":
        from search.tracking.model_store import ModelStore  # here, for it imports mlflow and Keras

        return ModelStore(self._destination)

    def publish(
        self,
        run_id: str,
        folder: Path,
        confirmed: Confirmed,
        evidence: Evidence,
        *,
        choice: bool | None = None,
        name: str = MODEL_NAME,
    ) -> Published:
        """Logs a model, registers it, and makes it the champion if it is better.

        A run is published once, however often asked; whether it is promoted may be asked again.

        Args:
            run_id: of the run that it belongs to.
            folder: a recommender's, see :class:`deeprec.recommender.recommender.Recommender`.
            confirmed: what it was found to be worth.
            evidence: what else the confirmation found.
            choice: decided by the user; None to compare it with the champion.
            name: of the registered model.
        """
        with locked(self._folder):
            made = self._store.version_of(name, run_id)
            version = made.version if made else None
            if version is None:
                model_uri = self.log_model(run_id, folder, name=name)
                version = self.register(model_uri, confirmed, name=name)
            champion = self.champion(name)
            if champion and champion.version == version:
                return Published(version=version, decision=Decision(True, "it is the champion"))
            present = champion.confirmed if champion else None
            decision = decide(confirmed, evidence, present, choice)
            if decision.promote:
                self.promote(version, decision.reason, name=name)
            else:
                self._store.tag(name, version, {NOT_PROMOTED: decision.reason})
        return Published(version=version, decision=decision)

    def log_model(self, run_id: str, folder: Path, *, name: str = MODEL_NAME) -> str:
        """Makes a model of a recommender's folder, linked to its run; returns its URI."""
        return self._store.log_model(run_id, folder, name)

    def register(self, model_uri: str, confirmed: Confirmed, *, name: str = MODEL_NAME) -> str:
        """Registers a model with what it is worth; returns the version's number."""
        return self._store.register(model_uri, name, confirmed)

    def champion(self, name: str = MODEL_NAME) -> ModelVersion | None:
        """The version to use; None where there is none yet."""
        return self._store.version_at(name, CHAMPION)

    def promote(self, version: str, reason: str, *, name: str = MODEL_NAME) -> None:
        """Makes a version the champion; the reason is kept as its tag."""
        self._store.tag(name, version, {PROMOTED: reason})
        self._store.point(name, CHAMPION, version)

    @contextmanager
    def recommender_folder(self, model_uri: str) -> Iterator[Path]:
        """A copy of a model's recommender, for as long as it is needed.

        Raises:
            InputError: there is no such model.
        """
        with TemporaryDirectory() as place:
            folder = self._store.download(model_uri, Path(place))
            if folder is None:
                raise _no_model(model_uri, self._destination, self._folder)
            yield folder


@contextmanager
def published_folder(
    tracking_uri: str | None,
    model_uri: str | None,
    *,
    folder: Path,
    announce: Callable[[str], None] = lambda _line: None,
) -> Iterator[Path]:
    """The recommender of a model, as files on this machine.

    Args:
        tracking_uri: ``http(s)://...`` or ``sqlite:///...``; None for the database in the folder.
        model_uri: ``models:/...``, or the folder of a confirmed model; the champion when None.
        folder: of the default database, usually ``mlruns``.
        announce: told in one line when the database was copied or moved.

    Raises:
        InputError: MLflow cannot be used, or there is no such model. Nothing was written.
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
    from search.tracking.store import explain  # here, for mlflow takes 1.5 s to import

    with ExitStack() as stack:
        try:
            if destination.database is not None:
                bring_along(destination.database, announce)
            models = Models(destination, folder)
            found = stack.enter_context(models.recommender_folder(wanted))
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"the model cannot be had: {explain(error, destination)}") from error
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
