"""Real commands on few real data in a real terminal of 80x24."""

from pathlib import Path

import pytest

from deeprec.data.dataset import user_cache_dir
from tests.commands import Folder
from tests.faults.fake import EPOCH_SECONDS
from tests.flows.conftest import folder as folder  # a study to be searched
from tests.terminal.tmux import Tmux

pytestmark = [pytest.mark.terminal, pytest.mark.data]

COLUMNS, ROWS = 80, 24
OWN_CACHE = str(user_cache_dir().parent)
EPOCHS = 30
"""So that trials last long enough to be looked at; one in three is validated, which takes long."""


@pytest.fixture
def small(folder: Folder, small_cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A study of trials with few rows and many epochs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_cache_home))
    text = folder.study_file.read_text(encoding="utf-8").replace("epochs = 4", f"epochs = {EPOCHS}")
    for given, instead in (
        ("validate_every = 1", "validate_every = 3"),
        ("warmup_epochs = 1", "warmup_epochs = 3"),
        ("high = 2 }", "high = 1 }"),
        ("high = 32 }", "high = 16 }"),
    ):
        assert given in text
        text = text.replace(given, instead)
    folder.study_file.write_text(text, encoding="utf-8")
    return folder


def start(tmux: Tmux, folder: Folder, *given: str, **variables: str) -> None:
    command, environment = folder.command(*given, "--study", "tiny")
    path = environment["PYTHONPATH"]
    tmux.start(command, COLUMNS, ROWS, folder=folder.path, PYTHONPATH=path, **variables)


def is_measured(lines: list[str]) -> bool:
    """Whether a trial shows its first accuracies."""
    return any(f"/{EPOCHS}  0." in line for line in lines)


def has_ended(lines: list[str]) -> bool:
    return any(line.startswith("[exit code ") for line in lines)


def test_a_search_and_its_confirmation_are_shown_from_start_to_end(
    tmux: Tmux, small: Folder, confirmed: Folder, tmp_path: Path
) -> None:
    start(tmux, small, "search.run", "--trials", "2", "--workers", "2")
    tmux.wait_for(lambda lines: any("loading" in line for line in lines))
    shown = tmux.wait_for(is_measured)
    assert sum(" of 2 trials" in line for line in shown) == 1
    [header] = [n for n, line in enumerate(shown) if line.startswith("running  layers")]
    assert all(line.split()[0] in ("0", "1", "-") for line in shown[header + 1 : header + 3])
    assert shown[-3:] == [
        "study   studies/tiny.db",
        "towers  studies/tiny/",
        "MLflow  mlruns/mlflow.db",
    ]
    end = tmux.wait_for(has_ended)
    assert end[-1] == "[exit code 0]"
    assert any(line.startswith("trial ") and "layers" in line for line in end), "it fits"
    assert not any(" of 2 trials" in line for line in end), "the view is erased"
    assert max(map(len, end)) <= COLUMNS
    with Tmux() as later:  # one more seed: the references are known
        more = confirmed.copy(tmp_path / "more")
        start(later, more, "search.retrain", "--top", "1", "--seeds", "3", XDG_CACHE_HOME=OWN_CACHE)
        shown = later.wait_for(lambda lines: any("train loss 0." in line for line in lines))
        assert sum(" of 9 trainings" in line for line in shown) == 1
        assert any(line.startswith("contender") for line in shown)
        end = later.wait_for(has_ended)
        assert end[-1] == "[exit code 0]"
        assert not any(" of 9 trainings" in line for line in end)


def test_ctrl_c_stops_it_tidily_and_the_view_is_erased(tmux: Tmux, small: Folder) -> None:
    search = ("tests.faults.fake", "search.run", "--trials", "3")
    start(tmux, small, *search, **{EPOCH_SECONDS: "0.2"})
    tmux.wait_for(is_measured)
    tmux.press("C-c")
    end = tmux.wait_for(has_ended)
    assert end[-1] == "[exit code 130]"
    assert "stopping after this epoch; press Ctrl-C again to stop at once" in end
    assert not any(line.startswith("running  layers") for line in end)
    assert small.trials[-1].state == "interrupted"
