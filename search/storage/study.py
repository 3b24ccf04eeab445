"""Optuna's storage, the truth about a study: opened once, checked, closed."""

import optuna

from search.config.reading import override
from search.config.study import StudySpec, changed_code, code_of, differences
from search.records.errors import InputError
from search.records.trials import counted
from search.storage.attributes import CODE, COMPARABLE, DATA_FINGERPRINT, IDENTITY, MARKS, SEED
from search.storage.database import (
    Database,
    explained,
    holds_studies,
    open_storage,
    prepare_database,
)
from search.storage.retry import Patience


def recognized(
    database: Database, spec: StudySpec, *, any_seed: bool = False, newer_data: bool = False
) -> tuple[str | None, StudySpec]:
    """What tells the stored study from others of its name, and its file with the stored seed.

    Writes nothing, so it serves as a check before any work.

    ``any_seed`` allows another seed than that of the file, as ``--seed`` gives it; ``newer_data``
    is that of :func:`refuse_other_study`.

    The identity is None where there is no such study yet.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that another
            program made, or that was made with another space, direction or seed.
    """
    if not holds_studies(database):
        return None, spec
    try:
        with explained(database):
            study = _load(database, spec.name)
    except KeyError:
        return None, spec
    try:
        seed = study.user_attrs.get(SEED)
        if any_seed and isinstance(seed, int):
            spec = override(spec, seed=seed)
        refuse_other_study(study, spec, newer_data=newer_data)
        return study.user_attrs.get(IDENTITY), spec
    finally:
        close_study(study)


def open_study(
    database: Database,
    spec: StudySpec,
    data_fingerprint: str,
    identity: str,
    *,
    patience: Patience | None = None,
) -> optuna.Study:
    """Opens the study, or creates it with the file's direction, space and seed.

    The identity is given to a new study; one that exists keeps its own.

    Raises:
        InputError: the storage cannot be reached, or holds a study of this name that another
            program made, or that was made with another space, direction, seed or data set.
            Nothing was written into that study.
    """
    with explained(database):
        prepare_database(database)
        study = optuna.create_study(
            storage=open_storage(database, patience),
            study_name=spec.name,
            directions=spec.directions,
            load_if_exists=True,
        )
    refuse_other_study(study, spec, data_fingerprint)
    if COMPARABLE not in study.user_attrs:  # new, or its creation was interrupted
        values = (identity, spec.study.seed, data_fingerprint, spec.comparable)
        for mark, value in zip(MARKS, values, strict=True):
            study.set_user_attr(mark, value)
    return study


def join_study(
    database: Database, spec: StudySpec, data_fingerprint: str, *, patience: Patience
) -> optuna.Study:
    """Opens a study that another process has opened with :func:`open_study`, to run trials.

    Raises:
        InputError: the study is not this one.
        StorageLostError: the database does not answer.
    """
    study = patience.call(lambda: _load(database, spec.name, patience))
    refuse_other_study(study, spec, data_fingerprint)
    return study


def load_study(
    database: Database, name: str, *, make: str, patience: Patience | None = None
) -> optuna.Study:
    """Opens a study that exists; ``make`` is the command that makes it, for the user.

    InputError where the storage cannot be reached or holds no such study.
    """
    if not holds_studies(database):
        raise InputError(_no_study(name, database, make))
    try:
        with explained(database):
            return _load(database, name, patience)
    except KeyError:
        raise InputError(_no_study(name, database, make)) from None


def _load(database: Database, name: str, patience: Patience | None = None) -> optuna.Study:
    return optuna.load_study(storage=open_storage(database, patience), study_name=name)


def settle_code(study: optuna.Study, spec: StudySpec, *, accept: bool = False) -> None:
    """Keeps with a study which code its parts are; InputError where it is another by now.

    ``accept`` keeps the other one from now on.
    """
    now, before = code_of(spec), study.user_attrs.get(CODE)
    changed = changed_code(before or {}, now) if before is not None else []
    if changed and not accept:
        raise InputError(
            f"study {study.study_name!r} was searched with other code: {'; '.join(changed)}; undo "
            "the change, search under another name (copy the study file), or go on all the same "
            "with search.run --accept-code"
        )
    if now and now != before:
        study.set_user_attr(CODE, now)


def close_study(study: optuna.Study) -> None:
    """Closes the database; the log of an SQLite database goes into it."""
    study._storage.remove_session()  # Optuna has no public way from a study to its storage


def refuse_other_study(
    study: optuna.Study,
    spec: StudySpec,
    data_fingerprint: str | None = None,
    *,
    newer_data: bool = False,
) -> None:
    """Refuses a stored study that another program, another file or other data made.

    ``newer_data`` allows other dates, or shares, of the split.

    Raises:
        InputError: it bears no mark of ours and holds something; or space, data, training,
            direction, seed or (where given) fingerprint differ.
    """
    attributes = study.user_attrs
    is_described = COMPARABLE in attributes  # not, if its creation was cut short
    if not is_described:
        _refuse_foreign(study)
    found = differences(attributes[COMPARABLE], spec.comparable) if is_described else []
    if newer_data:
        parts = ("data.split.validation", "data.split.test")
        found = [each for each in found if not each.startswith(parts)]
    before, now = (
        ", ".join(directions)
        for directions in ([each.name.lower() for each in study.directions], spec.directions)
    )
    if before != now and not found:
        found.append(f"direction was {before}, is {now}")
    if is_described and attributes[SEED] != spec.study.seed:
        seed = attributes[SEED]
        found.append(f"seed was {seed}, is {spec.study.seed} (give --seed {seed})")
    if is_described and data_fingerprint not in (None, attributes.get(DATA_FINGERPRINT)):
        found.append("the prepared data set (or a library that prepared it) changed")
    if found:
        raise InputError(
            f"study {spec.name!r} exists and cannot be mixed with this one: {'; '.join(found)}; "
            "undo the change, or search under another name (copy the study file)"
        )


def _refuse_foreign(study: optuna.Study) -> None:
    """Refuses a study without our marks, unless it is as empty as one just created."""
    trials = len(study.get_trials(deepcopy=False))
    foreign = study.user_attrs.keys() - set(MARKS)
    if trials or foreign:
        holds = counted(trials, "trial") if trials else min(foreign)
        raise InputError(
            f"study {study.study_name!r} exists and was made by another program: it holds {holds} "
            "and no mark of a search; name another database with --storage, or search under "
            "another name (copy the study file)"
        )


def _no_study(name: str, database: Database, make: str) -> str:
    return f"there is no study {name!r} in {database.shown}; search it first: {make}"
