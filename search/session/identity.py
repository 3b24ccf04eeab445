"""What MLflow shows of a study beyond its trials, kept with the study: MLflow can be made again.

A search knows its data set; whoever makes MLflow agree with the study later need not have it.
"""

import sqlite3
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna

from search.config.study import StudySpec
from search.records.trials import StudyState, TrialRecord
from search.storage.attributes import DATA_FINGERPRINT, DESCRIPTION, END, HOME, IDENTITY
from search.storage.databases import parse_url, sqlite_path
from search.storage.sqlite_files import value_of
from search.tracking import StudyContext
from search.tracking.destination import Destination

_KEPT = ("trials", "data_source", "rows", "git_commit", "versions", "next_command")
"""What is kept of a context; the rest follows from the study and its file."""


def identity_in(study: optuna.Study) -> str:
    """What tells the study from others of its name; given by whoever created it."""
    return str(study.user_attrs.get(IDENTITY, ""))


def settle_identity(
    study: optuna.Study, url: str, destination: Destination, announce: Callable[[str], None]
) -> None:
    """Give a study that was copied an identity of its own on a server that both may track to.

    A copied SQLite database is known by the place that it names, where the other one still is.
    What was moved keeps its identity, and so does a copy that tracks into MLflow's folder, which
    came along. A copy on another machine is not recognized.

    Args:
        study: as it is stored.
        url: of its storage.
        destination: where its runs go.
        announce: told in one line where the study gets another identity.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    here, before = sqlite_path(parsed), study.user_attrs.get(HOME)
    is_copy = before is not None and _is_original(Path(before), here, identity_in(study))
    if is_copy and destination.database is not None:
        return
    if is_copy:
        study.set_user_attr(IDENTITY, uuid.uuid4().hex)
        announce(
            f"this study is a copy of the one in {before}: it gets runs of its own at "
            f"{destination.shown}"
        )
    if before != str(here):
        study.set_user_attr(HOME, str(here))


def _is_original(path: Path, here: Path, identity: str) -> bool:
    """Whether another database still has a study of this identity."""
    query = f"SELECT 1 FROM study_user_attributes WHERE value_json = '\"{identity}\"'"  # noqa: S608
    try:
        return path.exists() and not path.samefile(here) and value_of(path, query) is not None
    except (OSError, sqlite3.Error):  # it is something else by now
        return False


def keep_description(study: optuna.Study, context: StudyContext) -> None:
    """Keeps what :func:`described` needs; written where it changed, such as ``--trials``."""
    description = {name: _plain(getattr(context, name)) for name in _KEPT}
    if study.user_attrs.get(DESCRIPTION) != description:
        study.set_user_attr(DESCRIPTION, description)


def keep_end(study: optuna.Study, state: StudyState) -> None:
    """Keeps how a search of the study ended."""
    if study.user_attrs.get(END) != state:
        study.set_user_attr(END, state)


def described(study: optuna.Study, spec: StudySpec) -> StudyContext:
    """The study's context, without its data set.

    Of a study that was last searched before descriptions were kept, the number of rows and the
    origin of the data are missing.

    Args:
        study: as it is stored.
        spec: its file.
    """
    attributes = study.user_attrs
    defaults: dict[str, Any] = {
        "trials": spec.study.trials,
        "data_source": "",
        "rows": {},
        "git_commit": None,
        "versions": {},
        "next_command": f"python -m search.retrain --study {spec.name}",
    }
    return StudyContext(
        name=spec.name,
        spec_text=spec.text,
        space_hash=spec.space_hash,
        seed=spec.study.seed,
        data_name=spec.data.dataset,
        data_fingerprint=attributes.get(DATA_FINGERPRINT, ""),
        split=spec.data.split,
        identity=identity_in(study),
        **(defaults | attributes.get(DESCRIPTION, {})),
    )


def end_of(study: optuna.Study, trials: list[TrialRecord], budget: int) -> StudyState:
    """How the last search of the study ended; one that was killed was interrupted."""
    if sum(trial.is_finished for trial in trials) >= budget:
        return "complete"
    end: StudyState = study.user_attrs.get(END, "interrupted")
    return end


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
