"""A study in a folder: commands that can be copied, without secrets; what MLflow shows of it."""

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.config.addresses import NextCommands, Workspace, call, flag
from search.config.reading import override
from search.config.study import StudySpec
from search.display.terminal import Screen
from search.records.errors import InputError
from search.records.trials import StudyState
from search.session.session import (
    Flags,
    Session,
    described,
    end_of,
    keep_description,
    keep_end,
    settle_identity,
)
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.study import open_study
from search.tracking.destination import resolve_uri
from tests.unit.search.sample_records import trial
from tests.unit.search.specs import small_spec
from tests.unit.search.tracking.support import CONTEXT


def commands(spec: StudySpec, folder: Path, *, finished: int = 0, **flags: Any) -> NextCommands:
    """The commands that a session with these flags shows."""
    session = Session(
        flags=Flags(study="my study.toml", **flags),
        spec=spec,
        workspace=Workspace(folder),
        screen=Screen(),
        patience=Patience(),
    )
    return session.commands(finished)


@pytest.mark.parametrize(
    ("storage", "tracking_uri", "flags"),
    [
        (None, None, ""),
        ("postgresql://me@host/name", None, " --storage postgresql://me@host/name"),
        ("postgresql://me:secret@host/name", None, ' --storage "$DEEPREC_STORAGE"'),
        ("postgresql://host/name?password=secret", None, ' --storage "$DEEPREC_STORAGE"'),
        (None, "http://host:5000", " --tracking-uri http://host:5000"),
        (None, "http://me:secret@host:5000", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
        (None, "https://secret@host", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
        (None, "https://host/?token=secret", ' --tracking-uri "$MLFLOW_TRACKING_URI"'),
    ],
)
def test_the_next_commands_name_variables_where_there_are_secrets(
    tmp_path: Path, storage: str | None, tracking_uri: str | None, flags: str
) -> None:
    shown = commands(small_spec(tmp_path), tmp_path, storage_url=storage, tracking_uri=tracking_uri)
    assert "secret" not in f"{shown}"
    command, _, shown_flags = shown.retrain.partition(" --study 'my study.toml'")
    assert (command, shown_flags) == (call("search.retrain"), flags)
    assert shown.more.endswith(f"{flags} --trials 12")


def test_what_the_command_line_chose_is_chosen_again_where_it_counts(tmp_path: Path) -> None:
    spec = override(small_spec(tmp_path), seed=11, sampler="tpe", pruner="none", trials=4)
    shown = commands(
        spec, tmp_path, data_dir=Path("my data"), workers=2, grace_seconds=7.5, finished=10
    )
    study = "--study 'my study.toml'"
    assert shown.retrain == call("search.retrain", study, "--data-dir 'my data'")
    assert shown.report == call("search.report", study)
    chosen = "--data-dir 'my data' --seed 11 --sampler tpe --workers 2 --grace 7.5"
    assert shown.more == f"{shown.search} --trials 20"  # more than there are
    assert shown.search == call("search.run", study, chosen)


def test_a_command_names_this_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for interpreter, shown in (
        (tmp_path / ".venv" / "bin" / "python", ".venv/bin/python"),
        (Path("/opt/my python/bin/python3"), "'/opt/my python/bin/python3'"),
    ):
        monkeypatch.setattr(sys, "executable", str(interpreter))
        assert call("search.retrain") == f"{shown} -m search.retrain"
        assert commands(small_spec(tmp_path), tmp_path).compare == (
            f"{shown} -m mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db"
        )


def test_a_model_is_named_where_it_is_not_the_champion(tmp_path: Path) -> None:
    shown = commands(small_spec(tmp_path), tmp_path, tracking_uri="http://host:5000")
    assert shown.recommend_by(None) == shown.recommend
    folder = tmp_path / "a model"
    words = shlex.split(shown.recommend_by(folder).removeprefix(call("search.recommend")))
    assert words == ["42", "--tracking-uri", "http://host:5000", "--model", str(folder)]


def test_a_flag_is_left_out_where_there_is_no_value() -> None:
    assert call("module", flag("--data-dir", None), "--top 1") == f"{call('module')} --top 1"


def test_only_what_adds_trials_needs_the_seed_of_the_study(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.studies.mkdir()
    spec = small_spec(tmp_path)
    database = Database.in_folder(workspace.studies, spec.name)
    open_study(database, override(spec, seed=11), "f", "identity")
    flags, screen = Flags(study="small"), Screen()
    session = Session.of(flags, spec, workspace, screen)
    assert (session.spec.study.seed, session.identity) == (11, "identity")
    assert "--seed 11" in session.commands().more
    with pytest.raises(InputError, match=r"seed was 11, is 3 \(give --seed 11\)"):
        Session.of(flags, spec, workspace, screen, adds_trials=True)


@pytest.fixture
def study() -> optuna.Study:
    study = optuna.create_study()
    study.set_user_attr("identity", CONTEXT.identity)
    study.set_user_attr("data_fingerprint", CONTEXT.data_fingerprint)
    return study


@pytest.fixture
def small(tmp_path: Path) -> StudySpec:
    return small_spec(tmp_path)


def test_a_context_comes_back_without_the_data_set(study: optuna.Study, small: StudySpec) -> None:
    context = replace(
        CONTEXT,
        name=small.name,
        spec_text=small.text,
        space_hash=small.space_hash,
        seed=small.study.seed,
        trials=small.study.trials + 9,  # --trials
        data_name=small.data.name,
        split=small.data.split_name,
        objectives=small.objectives,
    )
    keep_description(study, context)
    assert described(study, small) == context


def test_of_an_older_study_what_is_known_comes_back(study: optuna.Study, small: StudySpec) -> None:
    context = described(study, small)
    assert context.identity == CONTEXT.identity
    assert context.data_fingerprint == CONTEXT.data_fingerprint
    assert context.trials == small.study.trials
    assert context.rows == {}


@pytest.mark.parametrize(
    ("kept", "finished", "state"),
    [
        ("failed", 2, "failed"),
        ("complete", 2, "complete"),  # the space is exhausted
        (None, 2, "interrupted"),
        (None, 3, "complete"),
        ("interrupted", 3, "complete"),  # the search after it was killed at its very end
    ],
)
def test_how_a_study_ended(
    kept: StudyState | None, finished: int, state: StudyState, study: optuna.Study
) -> None:
    if kept:
        keep_end(study, kept)
    trials = [trial(number) for number in range(finished)]
    assert end_of(study, trials, budget=3) == state


SERVER, LOCAL = "http://127.0.0.1:5000", None


def settled(path: Path, uri: str | None) -> tuple[str, list[str]]:
    """The identity of the study in a database after it was settled, and what was announced."""
    url = f"sqlite:///{path}"
    study = optuna.create_study(storage=url, study_name="a", load_if_exists=True)
    if "identity" not in study.user_attrs:
        study.set_user_attr("identity", "0123abcd")
    said: list[str] = []
    settle_identity(study, Database.at(url), resolve_uri(uri, path.parent), said.append)
    return study.user_attrs["identity"], said


def test_a_copy_gets_an_identity_of_its_own_on_a_server(tmp_path: Path) -> None:
    original, copy = tmp_path / "a.db", tmp_path / "copy.db"
    assert settled(original, SERVER) == ("0123abcd", [])
    shutil.copy(original, copy)
    assert settled(copy, LOCAL) == ("0123abcd", [])
    identity, [line] = settled(copy, SERVER)
    assert identity != "0123abcd"
    assert line == (
        f"this study is a copy of the one in {original}: it gets runs of its own at {SERVER}"
    )
    assert settled(copy, SERVER) == (identity, [])
    assert settled(original, SERVER) == ("0123abcd", [])


def test_a_study_that_was_moved_keeps_its_identity(tmp_path: Path) -> None:
    original, place = tmp_path / "a.db", tmp_path / "b.db"
    settled(original, SERVER)
    original.rename(place)
    assert settled(place, SERVER) == ("0123abcd", [])
    original.write_bytes(b"something else by now")
    (tmp_path / "c").mkdir()
    moved_on = place.rename(tmp_path / "c" / "a.db")
    assert settled(moved_on, SERVER) == ("0123abcd", [])
    moved_on.rename(tmp_path / "link.db")
    moved_on.symlink_to(tmp_path / "link.db")
    assert settled(moved_on, SERVER) == ("0123abcd", [])
