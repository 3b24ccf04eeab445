"""The towers a study saves; that real ones can be loaded again is tested with the objective."""

from pathlib import Path

import pytest

from search.towers import TOWER_FILES, find_towers, save_towers, tower_folder


class Tower:
    """Saved as the text it is made of."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, path: Path) -> None:
        path.write_text(self.text)


class FullDisk(Tower):
    """Cannot be saved."""

    def save(self, path: Path) -> None:
        path.write_text(self.text[:1])
        raise OSError(28, "No space left on device")


class Model:
    """Two towers."""

    def __init__(self, query: Tower, candidate: Tower) -> None:
        self.query_model = query
        self.candidate_model = candidate


def save(folder: Path, *towers: Tower, name: int | str = 3) -> Path:
    return save_towers(Model(*towers), folder, name)  # type: ignore[arg-type]


def texts(folder: Path) -> list[str]:
    return [(folder / file).read_text() for file in TOWER_FILES]


def test_both_towers_of_a_trial_lie_in_one_folder(tmp_path: Path) -> None:
    folder = save(tmp_path / "tiny", Tower("query"), Tower("candidate"))
    assert folder == tmp_path / "tiny" / "trial-0003"
    assert (folder / "query_model.keras").read_text() == "query"
    assert (folder / "candidate_model.keras").read_text() == "candidate"
    assert find_towers(tmp_path / "tiny", 3) == folder


def test_folders_sort_by_trial_and_may_have_other_names(tmp_path: Path) -> None:
    assert [tower_folder(tmp_path, name).name for name in (7, 12345, "retrained-0007-seed-1")] == [
        "trial-0007",
        "trial-12345",
        "retrained-0007-seed-1",
    ]


def test_what_was_saved_before_is_replaced(tmp_path: Path) -> None:
    save(tmp_path, Tower("old"), Tower("old"))
    folder = save(tmp_path, Tower("new query"), Tower("new candidate"))
    assert texts(folder) == ["new query", "new candidate"]
    assert list(tmp_path.iterdir()) == [folder]


def test_towers_are_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, Tower("query"), FullDisk("candidate"))
    assert find_towers(tmp_path, 3) is None
    folder = save(tmp_path, Tower("query"), Tower("candidate"))
    assert list(tmp_path.iterdir()) == [folder], "nothing of the first try is left"


def test_a_failed_save_leaves_the_old_towers(tmp_path: Path) -> None:
    folder = save(tmp_path, Tower("old query"), Tower("old candidate"))
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, Tower("new query"), FullDisk("new candidate"))
    assert texts(folder) == ["old query", "old candidate"]


@pytest.mark.parametrize("missing", TOWER_FILES)
def test_one_tower_alone_is_none(tmp_path: Path, missing: str) -> None:
    folder = save(tmp_path, Tower("query"), Tower("candidate"))
    (folder / missing).unlink()
    assert find_towers(tmp_path, 3) is None


def test_a_trial_that_saved_none_has_none(tmp_path: Path) -> None:
    assert find_towers(tmp_path / "not there", 0) is None
