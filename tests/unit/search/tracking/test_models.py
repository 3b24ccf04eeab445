"""Models in MLflow's registry: logged whole, promoted for a reason, found again."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeprec.recommender import Recommender
from search.analysis.verdict import Decision
from search.records.errors import InputError
from search.records.results import UserResults
from search.tracking.models import (
    GROUPS_IN_A_TAG,
    ModelVersion,
    Published,
    confirmed_of,
    published_folder,
    tags_of,
)
from search.tracking.tracker import Tracker
from tests.tiny_recommender import tiny_recommender
from tests.unit.search.tracking.support import (
    CONTEXT,
    EVIDENCE,
    At,
    Reader,
    confirmed,
    new_run,
    published,
)

NAME = "deep-retrieval"


@pytest.fixture
def run_id(tracker: Tracker) -> str:
    return new_run(tracker, seed=1)


def champion_of(tracker: Tracker) -> ModelVersion | None:
    from search.tracking.model_store import ModelStore

    return ModelStore(tracker._connection.destination).champion()


def model_of(reader: Reader, run_id: str) -> Any:
    outputs = reader.client.get_run(run_id).outputs
    assert outputs is not None
    (output,) = outputs.model_outputs
    return reader.client.get_logged_model(output.model_id)


def files_of(reader: Reader, run_id: str) -> Path:
    return Path(model_of(reader, run_id).artifact_location.removeprefix("file://"))


def test_the_first_model_becomes_the_champion_and_is_found_in_every_way(
    run_id: str, recommender_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: At
) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow's global database would be made
    assert champion_of(at.tracker) is None
    made = published(at.tracker, run_id, recommender_folder, 0.25)
    assert made.decision == Decision(True, "there was no champion")
    champion = champion_of(at.tracker)
    assert champion is not None
    assert (champion.version, champion.run_id) == (made.version, run_id)
    assert champion.confirmed == confirmed(0.25)
    version = at.reader.client.get_model_version(NAME, made.version)
    assert version.run_id == run_id
    assert version.tags == {
        "test_top_100_accuracy": "0.2500 ± 0.0020",
        "deeprec.test_accuracy_mean": "0.25",
        "deeprec.test_accuracy_deviation": "0.002",
        "deeprec.seeds": "3",
        "deeprec.test_metric": "test_top_100_accuracy",
        "deeprec.data_fingerprint": CONTEXT.data_fingerprint,
        "deeprec.split": "random",
        "deeprec.promoted_because": "there was no champion",
    }
    model = model_of(at.reader, run_id)
    assert (str(model.status), model.source_run_id) == ("READY", run_id)
    for uri in (None, f"models:/{NAME}/1", f"models:/{model.model_id}"):
        with published_folder(None, uri, folder=at.folder) as found:
            assert Recommender.load(found).recommend(2) == tiny_recommender().recommend(2)
    with pytest.raises(ZeroDivisionError), published_folder(None, None, folder=at.folder):
        raise ZeroDivisionError  # what goes wrong with the files is not blamed on MLflow
    assert list(tmp_path.iterdir()) == []
    assert at.warnings == []


def test_a_run_is_published_once(run_id: str, recommender_folder: Path, at: At) -> None:
    made = published(at.tracker, run_id, recommender_folder, 0.25)
    found = at.reader.client.get_model_version(NAME, made.version)
    worth, note = str(found.description).split("\n\n")[:2]
    assert worth == (
        "**Top-100 accuracy 0.2500 ± 0.0020** on the test rows (3 trainings, random split)."
    )
    assert "trained again on the training and validation rows" in note
    assert "`champion`" in str(at.reader.client.get_registered_model(NAME).description)
    at.reader.client.update_registered_model(NAME, "ours")
    at.reader.client.update_model_version(NAME, made.version, "the good one")
    again = published(at.tracker, run_id, recommender_folder, 0.25)
    assert again.version == made.version == "1"
    assert again.decision == Decision(True, "it is the champion")
    published(at.tracker, new_run(at.tracker, 2), recommender_folder, 0.26)
    assert at.reader.client.get_registered_model(NAME).description == "ours"
    assert at.reader.client.get_model_version(NAME, made.version).description == "the good one"


def test_the_champion_changes_only_for_a_better_one(recommender_folder: Path, at: At) -> None:
    made = [
        published(at.tracker, new_run(at.tracker, seed), recommender_folder, mean)
        for seed, mean in enumerate([0.3, 0.301, 0.31, 0.305], start=10)
    ]
    assert [each.version for each in made] == ["1", "2", "3", "4"]
    assert [each.decision.promote for each in made] == [True, False, True, False]
    champion = champion_of(at.tracker)
    assert champion is not None
    assert champion.version == "3"
    tags = at.reader.client.get_model_version(NAME, "2").tags
    assert "not better by more than the noise" in tags["deeprec.not_promoted_because"]


def test_the_users_choice_decides(tracker: Tracker, run_id: str, recommender_folder: Path) -> None:
    published(tracker, run_id, recommender_folder, 0.3, choice=False)
    assert champion_of(tracker) is None
    published(tracker, run_id, recommender_folder, 0.3)
    published(tracker, new_run(tracker, 2), recommender_folder, 0.2, choice=True)
    champion = champion_of(tracker)
    assert champion is not None
    assert champion.version == "2"


def test_a_foreign_champion_is_not_comparable(
    run_id: str, recommender_folder: Path, at: At
) -> None:
    published(at.tracker, run_id, recommender_folder)
    for tag in ("test_accuracy_mean", "test_accuracy_deviation", "data_fingerprint"):
        at.reader.client.delete_model_version_tag(NAME, "1", f"deeprec.{tag}")
    made = published(at.tracker, new_run(at.tracker, 2), recommender_folder, 0.9)
    assert not made.decision.promote
    assert "not comparable: the champion was tested on other data" in made.decision.reason


def test_mlflow_that_fails_costs_a_warning(recommender_folder: Path, at: At) -> None:
    assert at.tracker.publish("no such run", recommender_folder, confirmed(0.3), EVIDENCE) is None
    assert len(at.warnings) == 1


def test_a_model_with_an_index_needs_what_reads_it(
    tracker: Tracker, run_id: str, tmp_path: Path, at: At
) -> None:
    tiny_recommender().indexed().save(tmp_path / "indexed")
    published(tracker, run_id, tmp_path / "indexed")
    needed = (files_of(at.reader, run_id) / "requirements.txt").read_text().split()
    assert "usearch" in {line.partition("==")[0] for line in needed}


ANYWHERE = """
import json, sys
import mlflow.pyfunc
import pandas as pd

sys.modules["search"] = None  # an import of it fails
model = mlflow.pyfunc.load_model(sys.argv[1])
found = model.predict(pd.DataFrame({"user_id": [2, 3], "k": [1, 2]}))
import deeprec
print(json.dumps([deeprec.__file__, found.to_dict("records")]))
assert not {"tensorflow", "optuna"} & set(sys.modules)
"""


def test_it_runs_where_nothing_but_the_model_is_without_pickles(
    run_id: str, recommender_folder: Path, tmp_path: Path, at: At
) -> None:
    published(at.tracker, run_id, recommender_folder)
    model = files_of(at.reader, run_id).rename(tmp_path / "elsewhere")
    files = {path for path in model.rglob("*") if path.is_file()}
    suffixes = {"", ".json", ".keras", ".npz", ".py", ".txt", ".yaml"}
    assert {path.suffix for path in files} == suffixes
    assert {path.name for path in files if not path.suffix} == {"MLmodel"}
    requirements = (model / "requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)
    needed = {line.partition("==")[0] for line in requirements}
    assert needed >= {"mlflow", "keras", "jax", "numpy"}
    assert "usearch" not in needed
    example = json.loads((model / "serving_input_example.json").read_text())
    assert example == {"dataframe_split": {"columns": ["user_id", "k"], "data": [[1, 5]]}}

    settings = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_LOGGING_LEVEL": "ERROR"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", ANYWHERE, str(model)]
    place: dict[str, Any] = {"cwd": tmp_path, "env": environment | settings, "timeout": 120}
    done = subprocess.run(command, **place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    package, rows = json.loads(done.stdout.splitlines()[-1])
    assert Path(package).is_relative_to(model)
    recommended = [
        (user, rank, movie)
        for user, k in ((2, 1), (3, 2))
        for rank, movie in enumerate(tiny_recommender().recommend(user, k), start=1)
    ]
    assert [(row["user_id"], row["rank"], row["movie_id"]) for row in rows] == [
        (user, rank, movie.movie_id) for user, rank, movie in recommended
    ]
    assert [row["title"] for row in rows] == [movie.title for _, _, movie in recommended]
    assert [row["score"] for row in rows] == pytest.approx([m.score for _, _, m in recommended])


def test_the_folder_of_a_model_is_a_model(tmp_path: Path, recommender_folder: Path) -> None:
    with published_folder(None, str(recommender_folder), folder=tmp_path / "mlruns") as found:
        assert found == recommender_folder
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("decision", "model"),
    [(Decision(True, "better"), None), (Decision(False, "worse"), "models:/deep-retrieval/7")],
)
def test_a_version_that_is_not_the_champion_is_named(decision: Decision, model: str | None) -> None:
    assert Published(version="7", decision=decision).for_flag == model


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (None, "there is no champion at sqlite:///.* yet; make one with .* -m search.retrain"),
        ("models:/deep-retrieval/7", "there is no model models:/deep-retrieval/7 at sqlite:///"),
        ("models:/other@champion", "there is no model models:/other@champion at"),
        ("models:/m-0123", "there is no model models:/m-0123 at"),
        (
            "runs:/0123/model",
            "--model must look like models:/NAME@ALIAS, .* but got 'runs:/0123/mo",
        ),
        ("models:/", "--model must look like"),
        ("models:/a/b", "--model must look like"),
    ],
)
def test_what_is_not_there_is_refused(folder: Path, uri: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message), published_folder(None, uri, folder=folder):
        pass


def test_a_version_keeps_its_users_for_the_next_comparison() -> None:
    """In groups, for a tag holds 5,000 characters; the next model is compared by the same."""
    totals, weights = np.random.default_rng(0).random((2, 10_000)) + 0.1
    users = UserResults(totals, weights)
    tags = tags_of(replace(confirmed(0.5), users=users))
    assert max(map(len, tags.values())) < 5_000
    kept = confirmed_of(tags).users
    assert kept is not None
    assert len(kept) == GROUPS_IN_A_TAG
    assert kept.mean == pytest.approx(users.mean, rel=1e-5)
    assert kept.error(users.in_groups(GROUPS_IN_A_TAG)) == pytest.approx(0, abs=1e-6)
    assert confirmed_of(tags_of(confirmed(0.5))).users is None
