"""Optuna's storage, the truth about a study: opened once, checked, closed."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import optuna
from filelock import FileLock, Timeout
from optuna.pruners import BasePruner
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from search.claim import WORKER
from search.databases import explained, holds_studies, log_ahead, open_storage, safe_url
from search.errors import InputError
from search.samplers import make_pruner
from search.spec import StudySpec, differences


@contextmanager
def only_run(
    folder: Path, study_name: str, *, doing: Literal["searched", "confirmed"] = "searched"
) -> Iterator[None]:
    """Holds the study for this process; the operating system frees it when the process dies.

    A trial found RUNNING while the study is held for a search was therefore left by a dead process.

    Args:
        folder: of the lock.
        study_name: of the study.
        doing: what it is held for; a study may be searched and confirmed at the same time.

    Raises:
        InputError: another process holds it for the same.
    """
    suffix = "" if doing == "searched" else f".{doing}"
    lock = FileLock(folder / f"{study_name}{suffix}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"study {study_name!r} is being {doing} by another process; wait for it, stop it, "
            "or copy the study file under another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def identity_of(url: str, spec: StudySpec) -> str | None:
    """What tells the stored study from others of its name; None where there is none yet.

    Writes nothing, so it serves as a check before any work.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that was made with
            another space, direction or seed.
    """
    if not holds_studies(url):
        return None
    try:
        with explained(url):
            study = optuna.load_study(storage=open_storage(url), study_name=spec.name)
    except KeyError:
        return None
    try:
        refuse_other_study(study, spec)
        return study.user_attrs.get("identity")
    finally:
        close_study(study)


def open_study(url: str, spec: StudySpec, data_fingerprint: str, identity: str) -> optuna.Study:
    """Opens the study, or creates it with the file's direction, space and seed.

    Args:
        url: of the storage.
        spec: the study file.
        data_fingerprint: of the data set it is searched on.
        identity: given to a new study; one that exists keeps its own.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that was made
            with another space, direction, seed or data set.
    """
    with explained(url):
        log_ahead(url)
        study = optuna.create_study(
            storage=open_storage(url),
            study_name=spec.name,
            direction="maximize",
            pruner=make_pruner(spec),
            load_if_exists=True,
        )
    if "comparable" not in study.user_attrs:  # new, or its creation was interrupted
        study.set_user_attr("identity", identity)
        study.set_user_attr("seed", spec.study.seed)
        study.set_user_attr("data_fingerprint", data_fingerprint)
        study.set_user_attr("comparable", spec.comparable)
    refuse_other_study(study, spec, data_fingerprint)
    return study


def join_study(url: str, spec: StudySpec, data_fingerprint: str) -> optuna.Study:
    """Opens a study that another process has opened with :func:`open_study`, to run trials.

    Raises:
        InputError: the storage cannot be reached, or the study is not this one.
    """
    study = load_study(url, spec.name, pruner=make_pruner(spec))
    refuse_other_study(study, spec, data_fingerprint)
    return study


def load_study(url: str, name: str, *, pruner: BasePruner | None = None) -> optuna.Study:
    """Opens a study that exists.

    Args:
        url: of the storage.
        name: of the study.
        pruner: needed where trials are run.

    Raises:
        InputError: the storage cannot be reached or holds no such study.
    """
    if not holds_studies(url):
        raise InputError(_no_study(name, url))
    try:
        with explained(url):
            return optuna.load_study(storage=open_storage(url), study_name=name, pruner=pruner)
    except KeyError:
        raise InputError(_no_study(name, url)) from None


def close_stale(
    study: optuna.Study,
    *,
    living: Collection[int] = (),
    reason: str = "the process that ran it was killed",
) -> list[int]:
    """Records trials left RUNNING by a dead process as interrupted; returns their numbers.

    Args:
        study: held by this process (:func:`only_run`), as is the claim if there are workers.
        living: process ids of the workers whose trials are under way.
        reason: what became of the process.
    """
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    stale = [trial for trial in running if trial.user_attrs.get(WORKER) not in living]
    for trial in stale:
        mark_interrupted(study, trial, reason)
        study.tell(trial.number, state=TrialState.FAIL)
    return [trial.number for trial in stale]


def mark_interrupted(study: optuna.Study, trial: FrozenTrial | optuna.Trial, reason: str) -> None:
    """Notes, while the trial is unfinished, that it did not fail by itself: it will run again."""
    storage = study._storage
    storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
    storage.set_trial_user_attr(trial._trial_id, "reason", reason)


def close_study(study: optuna.Study) -> None:
    """Closes the database; the log of an SQLite database goes into it."""
    storage = study._storage
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, RDBStorage):
        backend.remove_session()
        backend.engine.dispose()


def refuse_other_study(
    study: optuna.Study, spec: StudySpec, data_fingerprint: str | None = None
) -> None:
    """Refuses a stored study that was made with another file or on other data.

    Raises:
        InputError: space, data, training, direction, seed or (where given) fingerprint differ.
    """
    attributes = study.user_attrs
    is_described = "comparable" in attributes  # not, if its creation was cut short
    found = differences(attributes["comparable"], spec.comparable) if is_described else []
    if study.direction != optuna.study.StudyDirection.MAXIMIZE:
        found.append(f"direction was {study.direction.name.lower()}, is maximize")
    if is_described and attributes["seed"] != spec.study.seed:
        found.append(f"seed was {attributes['seed']}, is {spec.study.seed}")
    if data_fingerprint is not None and attributes.get("data_fingerprint") != data_fingerprint:
        found.append("the prepared data set (or a library that prepared it) changed")
    if found:
        raise InputError(
            f"study {spec.name!r} exists and cannot be mixed with this one: {'; '.join(found)}; "
            "undo the change, or search under another name (copy the study file)"
        )


def _no_study(name: str, url: str) -> str:
    return (
        f"there is no study {name!r} in {safe_url(url)}; "
        f"search it first: python -m search.run --study {name}"
    )
