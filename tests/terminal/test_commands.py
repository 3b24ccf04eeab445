"""Real commands on real data in a real terminal of 80x24."""

import pytest

from tests.data.conftest import dataset as dataset  # the data is fetched before
from tests.flows.conftest import Folder
from tests.flows.conftest import folder as folder  # a study to be searched
from tests.terminal.tmux import Tmux

pytestmark = [pytest.mark.terminal, pytest.mark.data]

COLUMNS, ROWS = 80, 24


def start(tmux: Tmux, folder: Folder, module: str, *arguments: str) -> None:
    command, environment = folder.command(module, "--study", "tiny", *arguments)
    path = environment["PYTHONPATH"]
    tmux.start(command, COLUMNS, ROWS, folder=folder.path, PYTHONPATH=path)


def make_long(folder: Folder) -> None:
    """Trials that last long enough to be looked at."""
    text = folder.study_file.read_text(encoding="utf-8")
    folder.study_file.write_text(text.replace("epochs = 4", "epochs = 60"), encoding="utf-8")


def has_ended(lines: list[str]) -> bool:
    return any(line.startswith("[exit code ") for line in lines)


def test_a_search_is_shown_from_its_first_moment_to_its_end(tmux: Tmux, folder: Folder) -> None:
    make_long(folder)
    start(tmux, folder, "search.run", "--trials", "3", "--workers", "2")
    tmux.wait_for(lambda lines: any("loading" in line for line in lines))
    shown = tmux.wait_for(lambda lines: any("/60  0." in line for line in lines))
    assert sum(" of 3 trials" in line for line in shown) == 1
    [header] = [number for number, line in enumerate(shown) if line.startswith("running  layers")]
    workers = shown[header + 1 : header + 3]
    assert all(line.split()[0] in ("0", "1", "2", "-") for line in workers)
    assert shown[-3:] == [
        "study   studies/tiny.db",
        "towers  studies/tiny/",
        "MLflow  mlruns/mlflow.db",
    ]
    end = tmux.wait_for(has_ended)
    assert end[-1] == "[exit code 0]"
    assert any(line.startswith("trial ") and "layers" in line for line in end), "it fits"
    assert not any(" of 3 trials" in line for line in end), "the view is gone"
    assert max(map(len, end)) <= COLUMNS


def test_ctrl_c_stops_it_tidily_and_the_view_is_gone(tmux: Tmux, folder: Folder) -> None:
    make_long(folder)
    start(tmux, folder, "search.run", "--trials", "3")
    tmux.wait_for(lambda lines: any("/60  0." in line for line in lines))
    tmux.press("C-c")
    end = tmux.wait_for(has_ended)
    assert end[-1] == "[exit code 130]"
    assert "stopping after this epoch; press Ctrl-C again to stop at once" in end
    assert not any(line.startswith("running  layers") for line in end)
    assert folder.trials[-1].state == "interrupted"


def test_a_confirmation_is_shown_as_it_goes_on(tmux: Tmux, folder: Folder) -> None:
    make_long(folder)
    assert folder.search("--trials", "1").returncode == 0
    start(tmux, folder, "search.retrain", "--top", "1", "--seeds", "2")
    shown = tmux.wait_for(lambda lines: any("train loss 0." in line for line in lines))
    assert sum(" of 6 trainings" in line for line in shown) == 1
    assert any(line.startswith("contender") for line in shown)
    end = tmux.wait_for(has_ended)
    assert end[-1] == "[exit code 0]"
    assert not any(" of 6 trainings" in line for line in end)
