"""Bad input: one clear line, exit code 2, nothing written."""

import socket
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from search.storage.study import close_study
from tests.flows.conftest import Folder

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One folder for all: nothing that is refused writes anything."""
    return Folder(tmp_path_factory.mktemp("refused"))


def assert_refused(
    folder: Folder, module: str, *arguments: str, message: str, **variables: str
) -> None:
    before = folder.snapshot()
    done = folder.run(module, *arguments, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert "Traceback" not in done.stdout
    assert folder.snapshot() == before, "something was written"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "tinny"], "unknown study 'tinny'"),
        (["--study", "../tiny"], "unknown study"),
        (["--trials", "0"], "--trials"),
        (["--trials", "-3"], "--trials"),
        (["--trials", "many"], "--trials"),
        (["--workers", "0"], "--workers"),
        (["--workers", "-2"], "--workers"),
        (["--workers", "two"], "--workers"),
        (["--timeout", "soon"], "--timeout"),
        (["--timeout", "-1"], "--timeout"),
        (["--timeout", "nan"], "--timeout"),
        (["--seed", "-1"], "--seed"),
        (["--study", "tiny", "--sampler", "tep"], "tpe"),
        (["--study", "tiny", "--pruner", "medium"], "median"),
        (["--study", "tiny", "--storage", "here"], "--storage must be a database URL"),
        (["--study", "tiny", "--storage", "sqlite:////no/such/folder/x.db"], "must exist"),
        (["--study", "tiny", "--tracking-uri", "mlruns"], "tracking URI must be"),
        (["--study", "tiny", "--tracking-uri", "http://"], "must look like http://HOST:PORT"),
        (["--study", "tiny", "--data-dir", "/no/such/place"], "/no/such/place"),
        (["--nonsense"], "No such option: --nonsense"),
    ],
)
def test_flags(shared: Folder, arguments: list[str], message: str) -> None:
    assert_refused(shared, "search.run", *arguments, message=message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials = 4", "trials = four", "line 3, column 10"),
        ("trials = 4", 'trials = "4"', "study.trials"),
        ("trials = 4", "trails = 4", "trials"),
        ("low = 1, high = 2", "low = 2, high = 1", "space.depth"),
        ("low = 16, high = 32", "low = 17, high = 31", "power of two"),
        ("layer_sizes = [16]", "layer_sizes = [16, 32]", "must not widen toward the output"),
        ("layer_sizes = [16]", "layer_sizes = [16, 16, 16]", "depth of the space"),
        ('name = "median"', 'name = "mean"', "pruner"),
    ],
)
def test_study_files(folder: Folder, old: str, new: str, message: str) -> None:
    text = folder.study_file.read_text(encoding="utf-8")
    assert old in text
    folder.study_file.write_text(text.replace(old, new), encoding="utf-8")
    assert_refused(folder, "search.run", "--study", "tiny", message=message)


def test_a_device_that_is_not_there(shared: Folder) -> None:
    said = "JAX_PLATFORMS is 'nonsense'"
    assert_refused(shared, "search.run", "--study", "tiny", message=said, JAX_PLATFORMS="nonsense")


def test_nothing_listens_at_the_tracking_uri(shared: Folder) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    uri = f"http://user:secret@127.0.0.1:{port}"
    assert_refused(
        shared, "search.run", "--study", "tiny", "--tracking-uri", uri, message="check the tracking"
    )


def test_nothing_listens_at_the_storage(shared: Folder) -> None:
    pytest.importorskip("psycopg")
    uri = "postgresql+psycopg://user:secret@127.0.0.1:1/studies"
    assert_refused(
        shared, "search.run", "--study", "tiny", "--storage", uri, message="cannot be opened"
    )


def damaged_zip(folder: Path) -> Path:
    path = folder / "ml-100k.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ml-100k/u.data", "1\t2\t3\t4\n")
    return path


def truncated_zip(folder: Path) -> Path:
    path = damaged_zip(folder)
    path.write_bytes(path.read_bytes()[:40])
    return path


def damaged_folder(folder: Path) -> Path:
    for name in ("u.data", "u.item", "u.user"):
        (folder / name).write_text("1|2|3\n")
    return folder


@pytest.mark.parametrize("damage", [damaged_zip, truncated_zip, damaged_folder])
def test_a_damaged_archive(shared: Folder, tmp_path: Path, damage: Callable[[Path], Path]) -> None:
    place = str(damage(tmp_path))
    assert_refused(
        shared, "search.run", "--study", "tiny", "--data-dir", place, message=tmp_path.name
    )


def test_a_folder_that_is_a_file(folder: Folder) -> None:
    (folder.path / "mlruns").write_text("not a folder")
    assert_refused(folder, "search.run", "--study", "tiny", message="mlruns")


def test_a_database_of_something_else(folder: Folder) -> None:
    with sqlite3.connect(folder.path / "studies" / "tiny.db") as connection:
        connection.execute("CREATE TABLE studies (name TEXT)")
    connection.close()
    assert_refused(
        folder, "search.run", "--study", "tiny", message="is a database of something else"
    )


def test_a_changed_study_is_refused_and_says_what_changed(searched: Folder, tmp_path: Path) -> None:
    changed = searched.copy_of_study(tmp_path)
    text = changed.study_file.read_text(encoding="utf-8")
    changed.study_file.write_text(text.replace("high = 32", "high = 64"), encoding="utf-8")
    assert_refused(
        changed, "search.run", "--study", "tiny", message="space.width.high was 32, is 64"
    )
    assert_refused(
        changed, "search.retrain", "--study", "tiny", message="space.width.high was 32, is 64"
    )


def test_a_changed_direction_is_refused(folder: Folder) -> None:
    url = f"sqlite:///{folder.path / 'studies' / 'tiny.db'}"
    study = optuna.create_study(storage=url, study_name="tiny", direction="minimize")
    del study
    assert_refused(
        folder, "search.run", "--study", "tiny", message="direction was minimize, is maximize"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trial", "99"], "--trial must be a trial of the study (0 to 3) but got 99"),
        (["--trial", "-1"], "--trial"),
        (["--trial", "best"], "--trial"),
        (["--seeds", "1.5"], "--seeds"),
        (["--seeds", "0"], "--seeds"),
        (["--top", "0"], "--top"),
    ],
)
def test_retraining(searched: Folder, arguments: list[str], message: str) -> None:
    assert_refused(searched, "search.retrain", "--study", "tiny", *arguments, message=message)


def test_retraining_a_study_that_was_not_searched(shared: Folder) -> None:
    assert_refused(shared, "search.retrain", "--study", "tiny", message="there is no study 'tiny'")


def test_retraining_a_trial_that_did_not_finish(searched: Folder, tmp_path: Path) -> None:
    other = searched.copy_of_study(tmp_path)
    study = other.study
    study.ask()
    close_study(study)  # or its write would wait in the log for the next process that closes it
    assert_refused(
        other,
        "search.retrain",
        "--study",
        "tiny",
        "--trial",
        "4",
        message="trial 4 is running",
    )
