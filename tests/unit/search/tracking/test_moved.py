"""MLflow's folder that is copied, moved or linked: it works, and nothing else changes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deeprec.recommender import Recommender
from search.tracking import Tracker, open_tracker, published_folder, read_run
from search.tracking.destination import bring_along, left_folders
from tests.tiny_recommender import tiny_recommender
from tests.unit.search.sample_records import save_towers, trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, run_live
from tests.unit.search.tracking.test_models import new_run, published
from tests.unit.search.tracking.test_models import recommender_folder as recommender_folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def filled(tracker: Tracker, folder: Path, recommender_folder: Path, tmp_path: Path) -> Path:
    """A folder with a study, towers and a champion."""
    run_live(tracker, trial(0), save_towers(tmp_path / "towers"))
    published(tracker, new_run(tracker, 7), recommender_folder)
    return folder


@pytest.fixture
def towers(tmp_path: Path) -> Callable[[int], Path]:
    return lambda _number: tmp_path / "towers"


def test_a_copy_works_on_its_own(
    filled: Path, tmp_path: Path, warnings: Warnings, towers: Callable[[int], Path]
) -> None:
    copy = tmp_path / "a cöpy" / "mlruns"
    shutil.copytree(filled, copy)
    before = files(filled)
    said: list[str] = []
    tracker = open_tracker(None, CONTEXT, folder=copy, warn=warnings, announce=said.append)
    assert tracker.reconcile([trial(0)], towers).nothing
    run_live(tracker, trial(1, top=0.4), towers(1))
    tracker.log_report(towers(1) / "query_model.keras")
    [line] = said
    assert f"copied or moved here from {filled}" in line
    assert "\n" not in line
    for run in Reader(tracker.uri).children.values():
        assert len(list((Path(copy, "artifacts")).glob(f"*/{run.info.run_id}/artifacts/*/*"))) == 2
    with published_folder(None, None, folder=copy) as found:
        assert Recommender.load(found).recommend(2) == tiny_recommender().recommend(2)
    again = open_tracker(None, CONTEXT, folder=copy, warn=warnings, announce=said.append)
    assert again.experiment_id == tracker.experiment_id
    assert len(said) == 1
    assert files(filled) == before
    assert warnings == []


def test_what_was_moved_is_found(filled: Path, tmp_path: Path, warnings: Warnings) -> None:
    run_id = Reader(f"sqlite:///{filled}/mlflow.db").children[0].info.run_id
    place = filled.rename(tmp_path / "moved")
    assert read_run(None, run_id, folder=place).spec_text == CONTEXT.spec_text
    said: list[str] = []
    for _ in range(2):
        with published_folder(None, None, folder=place, announce=said.append) as found:
            assert Recommender.load(found).recommend(2) == tiny_recommender().recommend(2)
    assert len(said) == 1
    assert not filled.exists()


def test_what_was_moved_and_cannot_be_written_is_read(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = filled.rename(tmp_path / "moved")
    monkeypatch.setattr("search.tracking.models.bring_along", lambda *_: None)
    before = files(place)
    with published_folder(None, None, folder=place) as found:
        assert Recommender.load(found).recommend(2) == tiny_recommender().recommend(2)
    assert files(place) == before


def test_a_link_to_the_folder_is_the_folder(filled: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(filled)
    before = files(filled)
    bring_along(link / "mlflow.db", pytest.fail)
    assert files(filled) == before


def test_artifacts_that_a_person_keeps_elsewhere_stay_there(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "big disk" / "artifacts"
    elsewhere.mkdir(parents=True)
    uri = f"sqlite:///{folder}/mlflow.db"
    Reader(uri).client.create_experiment("x", artifact_location=(elsewhere / "x").as_uri())
    Reader(uri).client.create_experiment("y", artifact_location="s3://bucket/artifacts/y")
    assert left_folders(folder / "mlflow.db") == []


@pytest.mark.parametrize("content", [None, b""], ids=["missing", "empty"])
def test_a_database_that_is_not_made_yet_has_moved_nowhere(
    content: bytes | None, tmp_path: Path
) -> None:
    database = tmp_path / "mlflow.db"
    if content is not None:
        database.write_bytes(content)
    bring_along(database, pytest.fail)
    assert list(tmp_path.iterdir()) == ([] if content is None else [database])
