"""What MLflow shows of a study, from what is kept with the study."""

import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from search.config.study import StudySpec
from search.records.trials import StudyState
from search.session.tracked import described, end_of, keep_description, keep_end, settle_identity
from search.storage.database import Database
from search.tracking.destination import resolve_uri
from tests.unit.search.sample_records import trial
from tests.unit.search.specs import small_spec
from tests.unit.search.tracking.support import CONTEXT


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
