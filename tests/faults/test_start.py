"""What a search says when it cannot start, and for whom what it leaves is."""

import socket
import time
from pathlib import Path

import pytest

from tests.commands import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]

WITHIN_SECONDS = 15.0


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_not_waited_for(folder: Path, listens: bool) -> None:
    pytest.importorskip("psycopg")
    Folder(folder).run("search.run", "--help")  # what forks commands has imported everything
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        port = silent.getsockname()[1]
        url = f"postgresql://me:secret@127.0.0.1:{port}/studies"
        started = time.monotonic()
        done = Folder(folder).search("--storage", url)
    assert done.returncode == 2, done.stdout + done.stderr
    said = done.stderr
    assert said.count("\n") == 1
    assert said.startswith(f"error: storage postgresql://me:***@127.0.0.1:{port}/studies cannot be")
    assert ("timeout" if listens else "refused") in said
    assert "secret" not in said
    assert time.monotonic() - started < WITHIN_SECONDS


def test_what_a_search_leaves_is_its_owners_alone(tmp_path: Path, small_cache_home: Path) -> None:
    folder = Folder(tmp_path / "folder", cache_home=small_cache_home, is_fake=True)
    done = folder.search("--trials", "2", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ours = [path for path in folder.path.rglob("*") if path != folder.study_file]
    ours.remove(folder.path / "studies")
    modes = {str(path.relative_to(folder.path)): path.stat().st_mode & 0o777 for path in ours}
    assert {"studies/tiny.db", "studies/tiny.search.lock", "mlruns/mlflow.db"} <= modes.keys()
    assert any(name.endswith("query_model.keras") for name in modes)
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
