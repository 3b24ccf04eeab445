"""A study in its database: created once, opened again, refused where it is another."""

import sys
from pathlib import Path
from typing import Literal

import optuna
import pytest

from search.records.errors import InputError, StorageLostError
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.study import (
    close_study,
    join_study,
    load_study,
    open_study,
    recognized,
    refuse_other_study,
    settle_code,
)
from tests.unit.search.specs import small_spec


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.in_folder(tmp_path, "small")


def opened(folder: Path, *replacements: tuple[str, str], fingerprint: str = "f") -> optuna.Study:
    spec = small_spec(folder, *replacements)
    return open_study(Database.in_folder(folder, spec.name), spec, fingerprint, "identity")


def test_a_study_is_created_once_and_opened_again(tmp_path: Path, database: Database) -> None:
    first = opened(tmp_path)
    first.enqueue_trial({"learning_rate": 0.1})
    again = opened(tmp_path)
    assert len(again.trials) == 1
    assert again.direction.name == "MAXIMIZE"
    assert recognized(database, small_spec(tmp_path))[0] == "identity"
    other = ("trials = 6", "trials = 9"), ('name = "random"', 'name = "tpe"')
    opened(tmp_path, *other)  # sampler, pruner and budget may change


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("low = 4, high = 8", "low = 4, high = 16"), "space.width.high was 8, is 16"),
        (("epochs = 4", "epochs = 5"), "training.epochs was 4, is 5"),
        (("seed = 3", "seed = 4"), "seed was 3, is 4"),
    ],
)
def test_a_changed_study_is_refused_key_by_key(
    tmp_path: Path, database: Database, replacement: tuple[str, str], message: str
) -> None:
    opened(tmp_path)
    with pytest.raises(InputError, match=message):
        recognized(database, small_spec(tmp_path, replacement))
    with pytest.raises(InputError, match="cannot be mixed"):
        opened(tmp_path, replacement)


def test_a_study_that_may_not_be_written_is_read_and_leaves_no_file(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    first.enqueue_trial({"learning_rate": 0.1})
    close_study(first)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(Database, "may_write", lambda _self: False)  # root may always
    study = load_study(database, "small", make="")
    assert len(study.trials) == 1
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(StorageLostError, match="readonly database"):
        study.set_user_attr("seed", 4)
    close_study(study)


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]])
def test_another_direction_is_refused(
    tmp_path: Path, database: Database, directions: list[Literal["minimize", "maximize"]]
) -> None:
    optuna.create_study(storage=database.url, study_name="small", directions=directions)
    with pytest.raises(InputError, match=f"direction was {', '.join(directions)}, is maximize"):
        opened(tmp_path)


def test_a_study_of_another_program_is_left_alone(tmp_path: Path, database: Database) -> None:
    spec = small_spec(tmp_path)
    foreign = optuna.create_study(storage=database.url, study_name="small", direction="maximize")
    foreign.set_user_attr("x", 1)
    with pytest.raises(InputError, match="made by another program: it holds x and no"):
        opened(tmp_path)
    foreign.enqueue_trial({"x": 1})
    known = load_study(database, "small", make="search it")
    for refused in (
        lambda: recognized(database, spec),
        lambda: open_study(database, spec, "f", "identity"),
        lambda: join_study(database, spec, "f", patience=Patience(0)),
        lambda: refuse_other_study(known, spec),
    ):
        with pytest.raises(InputError, match="made by another program: it holds 1 trial"):
            refused()
    assert foreign.user_attrs == {"x": 1}


@pytest.mark.parametrize("marks", [{}, {"identity": "before", "seed": 3}])
def test_a_study_half_made_is_made(
    tmp_path: Path, database: Database, marks: dict[str, object]
) -> None:
    cut_short = optuna.create_study(storage=database.url, study_name="small", direction="maximize")
    for name, value in marks.items():
        cut_short.set_user_attr(name, value)
    attributes = opened(tmp_path).user_attrs
    assert attributes["comparable"] == small_spec(tmp_path).comparable
    assert attributes["identity"] == "identity"


def test_a_check_writes_nothing(tmp_path: Path, database: Database) -> None:
    spec = small_spec(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert recognized(database, spec)[0] is None
    with pytest.raises(InputError, match="there is no study 'small'"):
        load_study(database, "small", make="search it")
    assert sorted(tmp_path.iterdir()) == before


def test_a_worker_joins_the_opened_study_alone(tmp_path: Path, database: Database) -> None:
    study = opened(tmp_path)
    with pytest.raises(InputError, match="data set .* changed"):
        opened(tmp_path, fingerprint="new")
    study.enqueue_trial({"learning_rate": 0.1})
    assert len(join_study(database, small_spec(tmp_path), "f", patience=Patience(0)).trials) == 1
    with pytest.raises(InputError, match="data set .* changed"):
        join_study(database, small_spec(tmp_path), "another", patience=Patience(0))
    other = small_spec(tmp_path, ("seed = 3", "seed = 4"))
    with pytest.raises(InputError, match="seed was 3, is 4"):
        join_study(database, other, "f", patience=Patience(0))


def test_a_study_keeps_which_code_its_parts_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    code = tmp_path / "users_loss.py"
    code.write_text("loss = print", encoding="utf-8")
    named = ("batch_size = 60", 'batch_size = 60\nloss = "users_loss:loss"')
    spec, study = small_spec(tmp_path, named), opened(tmp_path, named)
    settle_code(study, spec)
    before = study.user_attrs["code"]
    settle_code(study, spec)
    code.write_text("loss = max", encoding="utf-8")
    with pytest.raises(InputError, match="other code: users_loss was source .* --accept-code"):
        settle_code(study, spec)
    assert study.user_attrs["code"] == before
    settle_code(study, spec, accept=True)
    assert study.user_attrs["code"] != before
    settle_code(study, spec)


def test_a_study_without_parts_keeps_no_code(tmp_path: Path) -> None:
    study = opened(tmp_path)
    settle_code(study, small_spec(tmp_path))
    assert "code" not in study.user_attrs
