"""What a search says when it cannot start, and for whom what it leaves is."""

from pathlib import Path

import pytest

from tests.commands import Folder

pytestmark = [pytest.mark.data, pytest.mark.faults]


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
