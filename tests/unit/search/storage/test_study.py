"""The storage: what is refused, what survives, what a record is read from."""

import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Literal

import optuna
import pytest

from search.records.errors import InputError, StorageLostError
from search.storage.databases import default_storage, may_write, parse_url, safe_url
from search.storage.retry import Patience
from search.storage.study import (
    close_study,
    join_study,
    load_study,
    open_study,
    recognized,
    refuse_other_study,
)
from search.storage.trials import curve_from_json, curve_to_json
from tests.unit.search.sample_records import curve
from tests.unit.search.specs import small_spec


def opened(folder: Path, *replacements: tuple[str, str], fingerprint: str = "f") -> optuna.Study:
    spec = small_spec(folder, *replacements)
    return open_study(default_storage(folder, spec.name), spec, fingerprint, "identity")


def test_a_study_is_created_once_and_opened_again(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.enqueue_trial({"learning_rate": 0.1})
    again = opened(tmp_path)
    assert len(again.trials) == 1
    assert again.direction.name == "MAXIMIZE"
    assert recognized(default_storage(tmp_path, "small"), small_spec(tmp_path))[0] == "identity"


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("low = 4, high = 8", "low = 4, high = 16"), "space.width.high was 8, is 16"),
        (("epochs = 4", "epochs = 5"), "training.epochs was 4, is 5"),
        (("seed = 3", "seed = 4"), "seed was 3, is 4"),
    ],
)
def test_a_changed_study_is_refused_key_by_key(
    tmp_path: Path, replacement: tuple[str, str], message: str
) -> None:
    opened(tmp_path)
    url = default_storage(tmp_path, "small")
    with pytest.raises(InputError, match=message):
        recognized(url, small_spec(tmp_path, replacement))
    with pytest.raises(InputError, match="cannot be mixed"):
        opened(tmp_path, replacement)


def test_a_study_that_may_not_be_written_is_read_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    first.enqueue_trial({"learning_rate": 0.1})
    close_study(first)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("search.storage.databases.may_write", lambda _url: False)  # root may always
    study = load_study(default_storage(tmp_path, "small"), "small", make="")
    assert len(study.trials) == 1
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(StorageLostError, match="readonly database"):
        study.set_user_attr("seed", 4)
    close_study(study)


@pytest.mark.parametrize("writable", [("folder",), ("file",), ("file", "folder")])
def test_a_database_and_its_folder_must_be_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: tuple[str, ...]
) -> None:
    folder, file = tmp_path / "folder", tmp_path / "folder" / "file"
    folder.mkdir()
    file.touch()

    def access(path: Path, mode: int) -> bool:
        return mode == os.F_OK or path.name in writable

    monkeypatch.setattr("os.access", access)
    assert may_write(f"sqlite:///{file}") == (len(writable) == 2)
    assert may_write("postgresql://host/name"), "that is for the server to say"


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, fingerprint="old")
    with pytest.raises(InputError, match="data set .* changed"):
        opened(tmp_path, fingerprint="new")


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "minimize"]])
def test_another_direction_is_refused(
    tmp_path: Path, directions: list[Literal["minimize", "maximize"]]
) -> None:
    url = default_storage(tmp_path, "small")
    optuna.create_study(storage=url, study_name="small", directions=directions)
    with pytest.raises(InputError, match=f"direction was {', '.join(directions)}, is maximize"):
        opened(tmp_path)


def test_a_study_that_another_program_made_is_refused_and_left_alone(tmp_path: Path) -> None:
    spec, url = small_spec(tmp_path), default_storage(tmp_path, "small")
    foreign = optuna.create_study(storage=url, study_name="small", direction="maximize")
    foreign.enqueue_trial({"x": 1})
    known = load_study(url, "small", make="search it")
    for refused in (
        lambda: recognized(url, spec),
        lambda: open_study(url, spec, "f", "identity"),
        lambda: join_study(url, spec, "f", patience=Patience(0)),
        lambda: refuse_other_study(known, spec),
    ):
        with pytest.raises(InputError, match="made by another program: it holds 1 trial and no"):
            refused()
    assert foreign.user_attrs == {}


def test_an_empty_study_with_attributes_of_another_program_is_refused(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    optuna.create_study(storage=url, study_name="small", direction="maximize").set_user_attr("x", 1)
    with pytest.raises(InputError, match="made by another program: it holds x and no"):
        opened(tmp_path)


@pytest.mark.parametrize("marks", [{}, {"identity": "before", "seed": 3}])
def test_a_study_whose_creation_was_cut_short_is_completed(
    tmp_path: Path, marks: dict[str, object]
) -> None:
    url = default_storage(tmp_path, "small")
    cut_short = optuna.create_study(storage=url, study_name="small", direction="maximize")
    for name, value in marks.items():
        cut_short.set_user_attr(name, value)
    attributes = opened(tmp_path).user_attrs
    assert attributes["comparable"] == small_spec(tmp_path).comparable
    assert attributes["identity"] == "identity"


def test_sampler_pruner_and_budget_may_change(tmp_path: Path) -> None:
    opened(tmp_path)
    opened(tmp_path, ("trials = 6", "trials = 9"), ('name = "random"', 'name = "tpe"'))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "must be a database URL such as"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:////no/such/folder/study.db", "folder of --storage must exist"),
        ("oracle9://host/name", "cannot be used"),
        ("mysql://u:secret@host/name", r"SQLite .* or PostgreSQL .*, not in mysql$"),
        ("postgresql+psycopg2://u:secret@host/name", r"not in postgresql\+psycopg2$"),
        ("postgresql://u:secret@x@host/name", "write %40 for @"),
        ("postgresql://u:secret@host:port/name", "must be a database URL such as"),
        ("postgresql+nodriver://u:secret@127.0.0.1:1/x", "cannot be used"),
    ],
)
def test_an_unusable_storage_is_one_clear_line(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        recognized(url, small_spec(tmp_path))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.db").write_text("not a database, certainly " * 100)
    with pytest.raises(InputError, match=r"cannot be opened: the file is damaged \(file is not a"):
        recognized(default_storage(tmp_path, "small"), small_spec(tmp_path))


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    spec = small_spec(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert recognized(default_storage(tmp_path, "small"), spec)[0] is None
    with pytest.raises(InputError, match="there is no study 'small'"):
        load_study(default_storage(tmp_path, "small"), "small", make="search it")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://user:secret@host/name", "postgresql+psycopg://user:***@host/name"),
        ("postgresql://user:se%2Fcret%40@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:se/cret@host/name", "postgresql://user:***@host/name"),
        (
            "postgresql://host/name?user=me&password=secret&sslmode=require",
            "postgresql://host/name?password=***&sslmode=require&user=me",
        ),
        (
            "postgresql://host/name?%73slpassword=secret&sslkey=/a.key",
            "postgresql://host/name?sslkey=%2Fa.key&sslpassword=***",
        ),
        ("postgresql://user:se@cret@host/name", "the given URL"),
        ("postgresql://user:secret@host:port/name", "the given URL"),
        ("sqlite:////a/name.db", "sqlite:////a/name.db"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert safe_url(url) == shown


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_through_psycopg(scheme: str) -> None:
    parsed = parse_url(f"{scheme}://user:se%2Fcret@host/name")
    assert parsed.drivername == "postgresql+psycopg"
    assert parsed.password == "se/cret"


def test_a_driver_that_is_missing_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        InputError, match=r"package psycopg, .*pip install '.\[postgres\]'$"
    ) as caught:
        recognized("postgresql://user:secret@127.0.0.1:1/name", small_spec(tmp_path))
    assert "secret" not in str(caught.value)


def test_curves_survive_json() -> None:
    points = curve(10)
    assert curve_from_json(curve_to_json(points)) == points


def test_writes_are_logged_ahead_and_one_file_is_left_when_the_study_is_closed(
    tmp_path: Path,
) -> None:
    study = opened(tmp_path)
    backend = study._storage._backend  # type: ignore[attr-defined]
    with backend.engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    assert (mode, synchronous) == ("wal", 1)
    study.ask()
    assert (tmp_path / "small.db-wal").exists()
    close_study(study)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.db", "small.toml"]
    assert (
        len(
            join_study(
                default_storage(tmp_path, "small"), small_spec(tmp_path), "f", patience=Patience(0)
            ).trials
        )
        == 1
    )


def test_a_database_that_is_not_logged_ahead_keeps_waiting_for_the_disk(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    optuna.create_study(storage=url, study_name="small", direction="maximize")
    study = load_study(url, "small", make="search it")
    backend = study._storage._backend  # type: ignore[attr-defined]
    with backend.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_database_that_somebody_reads_is_opened_all_the_same(tmp_path: Path) -> None:
    url = default_storage(tmp_path, "small")
    optuna.create_study(storage=url, study_name="small", direction="maximize")
    with closing(
        sqlite3.connect(tmp_path / "small.db", isolation_level=None, check_same_thread=False)
    ) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM studies").fetchall()
        timer = threading.Timer(2.5, reader.execute, ["COMMIT"])
        timer.start()
        assert opened(tmp_path).direction.name == "MAXIMIZE"
        timer.join()


def test_a_worker_joins_the_study_that_was_opened_and_no_other(tmp_path: Path) -> None:
    study = opened(tmp_path)
    url = default_storage(tmp_path, "small")
    study.enqueue_trial({"learning_rate": 0.1})
    assert len(join_study(url, small_spec(tmp_path), "f", patience=Patience(0)).trials) == 1
    with pytest.raises(InputError, match="data set .* changed"):
        join_study(url, small_spec(tmp_path), "another", patience=Patience(0))
    other = small_spec(tmp_path, ("seed = 3", "seed = 4"))
    with pytest.raises(InputError, match="seed was 3, is 4"):
        join_study(url, other, "f", patience=Patience(0))


def with_revision(folder: Path, revision: str) -> str:
    """The URL of a study whose tables are said to be of another version of Optuna."""
    close_study(opened(folder))
    with closing(sqlite3.connect(folder / "small.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
    return default_storage(folder, "small")


def test_tables_of_an_older_optuna_are_named_with_the_way_to_upgrade_them(tmp_path: Path) -> None:
    url = with_revision(tmp_path, "v3.0.0.d")
    with pytest.raises(InputError, match="older Optuna") as caught:
        recognized(url, small_spec(tmp_path))
    assert str(caught.value).endswith(f"optuna storage upgrade --storage {url}")
    storage = optuna.storages.RDBStorage(url, skip_compatibility_check=True)
    storage.upgrade()
    storage.engine.dispose()
    assert recognized(url, small_spec(tmp_path))[0] == "identity"


def test_tables_of_a_newer_optuna_are_named(tmp_path: Path) -> None:
    url = with_revision(tmp_path, "v9.0.0.a")
    with pytest.raises(InputError, match="newer Optuna than .* -m pip install --upgrade optuna"):
        recognized(url, small_spec(tmp_path))
