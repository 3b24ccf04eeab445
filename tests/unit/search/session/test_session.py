"""The commands that a search shows in the end can be copied, and hold no secrets."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from search.config.addresses import NextCommands, Workspace, call, flag
from search.config.reading import override
from search.config.study import StudySpec
from search.display.terminal import Screen
from search.records.errors import InputError
from search.session.session import Flags, Session
from search.storage.database import Database
from search.storage.retry import Patience
from search.storage.study import open_study
from tests.unit.search.specs import small_spec


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
