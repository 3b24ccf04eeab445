"""Bad input: one clear line, exit code 2, nothing written.

What is refused, and how, is in the tables of ``tests/unit`` and ``tests/faults``; here is that the
commands themselves do, and what takes a study, an archive or a device that is not as it should be.
"""

import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from search.storage.study import close_study
from tests.commands import Folder

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One folder for all: nothing that is refused writes anything."""
    return Folder(tmp_path_factory.mktemp("refused") / "folder")


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


SILENT = "http://user:secret@127.0.0.1:1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --trials 0", "--trials"),
        ("run --study tiny --tracking-uri mlruns", "tracking URI must be"),
        ("run --study tiny --tracking-uri http://", "must look like http://HOST:PORT"),
        (f"run --study tiny --tracking-uri {SILENT}", "check the tracking"),
        ("run --study tiny --storage postgresql://user:secret@127.0.0.1:1/x", "cannot be opened"),
        ("run --study tiny --data-dir /no/such/place", "/no/such/place"),
        ("retrain --study tiny --seeds 1.5", "--seeds"),
        ("retrain --study tiny --storage here", "--storage must be a database URL"),
        ("retrain --study tiny", "there is no study 'tiny'"),
        ("sync --study tinny", "unknown study 'tinny'"),
        ("sync --study tiny --tracking-uri mlruns", "tracking URI must be"),
        ("report --study ../tiny", "unknown study"),
        ("report --study tiny --storage sqlite:////no/such/folder/x.db", "the folder of --storage"),
        ("recommend 1 --tracking-uri nowhere", "tracking URI must be"),
        ("recommend 1", "-m search.retrain"),
        (f"reproduce {'0' * 32} --nonsense", "No such option: --nonsense"),
        (f"reproduce {'0' * 32}", "there is no MLflow database"),
        ("serve --port many", "--port"),
        ("serve --tracking-uri nowhere", "tracking URI must be"),
    ],
)
def test_what_each_command_refuses(shared: Folder, line: str, message: str) -> None:
    command, *arguments = line.split()
    assert_refused(shared, f"search.{command}", *arguments, message=message)


def test_a_study_file_with_a_mistake(shared: Folder, tmp_path: Path) -> None:
    wrong = Folder(tmp_path / "folder")
    wrong.change(("trials = 4", "trials = four"))
    assert_refused(wrong, "search.run", "--study", "tiny", message="line 3, column 10")


def test_a_device_that_is_not_there(shared: Folder) -> None:
    done = shared.run_alone("search.run", "--study", "tiny", JAX_PLATFORMS="nonsense")
    assert done.returncode == 2
    assert "JAX_PLATFORMS is 'nonsense'" in done.stderr
    assert done.stderr.count("\n") == 1


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
    arguments = ("--study", "tiny", "--data-dir", place)
    assert_refused(shared, "search.run", *arguments, message=tmp_path.name)


def a_file_for_a_folder(folder: Folder) -> None:
    (folder.path / "mlruns").write_text("not a folder")


def a_database_of_something_else(folder: Folder) -> None:
    with sqlite3.connect(folder.path / "studies" / "tiny.db") as connection:
        connection.execute("CREATE TABLE studies (name TEXT)")
    connection.close()


def another_direction(folder: Folder) -> None:
    url = f"sqlite:///{folder.path / 'studies' / 'tiny.db'}"
    optuna.create_study(storage=url, study_name="tiny", direction="minimize")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (a_file_for_a_folder, "mlruns"),
        (a_database_of_something_else, "is a database of something else"),
        (another_direction, "direction was minimize, is maximize"),
    ],
)
def test_what_stands_in_the_way(
    folder: Folder, prepare: Callable[[Folder], None], message: str
) -> None:
    prepare(folder)
    assert_refused(folder, "search.run", "--study", "tiny", message=message)


def test_a_changed_study_is_refused_and_says_what_changed(searched: Folder, tmp_path: Path) -> None:
    changed = searched.copy_of_study(tmp_path / "copy")
    changed.change(("high = 32", "high = 64"))
    for module in ("search.run", "search.retrain"):
        message = "space.width.high was 32, is 64"
        assert_refused(changed, module, "--study", "tiny", message=message)


def test_a_trial_that_cannot_be_re_trained(searched: Folder, tmp_path: Path) -> None:
    other = searched.copy_of_study(tmp_path / "copy")
    study = other.study
    study.ask()
    close_study(study)  # or its write would wait in the log for the next process that closes it
    retrain = ("search.retrain", "--study", "tiny", "--trial")
    message = "--trial must be a trial of the study (0 to 4) but got 99"
    assert_refused(other, *retrain, "99", message=message)
    assert_refused(other, *retrain, "4", message="trial 4 is running")
