"""Studies from Python: what making one checks, the file it leaves, trials as tables."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import search
from search import InputError, Study
from search.config.addresses import PROJECT, Workspace
from search.config.reading import load_spec
from search.display.terminal import SECONDS_BETWEEN, NotebookArea, Screen
from tests.unit.search.report.made import Made
from tests.unit.search.specs import small_spec

MINE: dict[str, Any] = {
    "study": {"name": "mine", "trials": 3, "description": None},
    "space": {"depth": {"low": 1, "high": 2}},
    "enqueue": [
        {"name": "first", "layer_sizes": (16,), "embedding_dimension": 16, "learning_rate": 0.1}
    ],
}


def mine(folder: Path, **sections: Any) -> Study:
    return Study(MINE | sections, folder=folder)


def test_what_is_exported_is_there() -> None:
    assert {getattr(search, name).__name__ for name in search.__all__} == set(search.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Studies'"):
        _ = search.Studies


def test_a_study_is_a_name_a_file_or_the_sections_of_a_file(tmp_path: Path) -> None:
    small_spec(tmp_path)
    assert Study("tutorial").spec == load_spec("tutorial", folders=[PROJECT / "studies"])
    assert Study(tmp_path / "small.toml").name == "small"
    given = mine(tmp_path)
    assert (given.name, given.spec.study.trials) == ("mine", 3)
    assert given.spec.enqueue[0].layer_sizes == (16,)
    assert repr(given) == f"<Study 'mine' in {tmp_path}>"
    assert list(tmp_path.iterdir()) == [tmp_path / "small.toml"], "nothing is written"


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"study": {"trials": 3}}, "study.name must be given"),
        ({"study": {"name": "mine", "trials": "3"}}, "study.trials must be an integer"),
        ({"space": {"depht": {"low": 1, "high": 2}}}, "space.depht"),
        ({"sampler": {"name": object()}}, "must hold what a study file can hold"),
    ],
)
def test_wrong_sections_are_refused_like_those_of_a_file(
    sections: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        mine(tmp_path, **sections)
    assert "\n" not in str(caught.value)


def test_a_path_begins_at_the_working_directory_and_a_text_at_the_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"interactions": Path("log.csv"), "user": "u", "item": "i", "time": "t"}
    loss = {"loss": "softmax"}
    found = mine(tmp_path, data=data, training=loss).spec
    assert str(tmp_path / "log.csv") in found.text
    found = mine(tmp_path, data=data | {"interactions": "log.csv"}, training=loss).spec
    assert 'interactions = "log.csv"' in found.text
    assert found.folder == tmp_path / "studies"


def test_its_file_is_written_for_the_commands_and_no_other_is_replaced(tmp_path: Path) -> None:
    mine(tmp_path)._keep_file()
    mine(tmp_path, study={"name": "mine", "trials": 9})._keep_file()
    workspace = Workspace(tmp_path)
    assert load_spec("mine", folders=workspace.study_files).study.trials == 9
    file = workspace.studies / "mine.toml"
    file.write_text("# by hand\n")
    with pytest.raises(InputError, match="study.name must be another than 'mine', whose file is"):
        mine(tmp_path)._keep_file()
    assert file.read_text() == "# by hand\n"


def test_trials_are_rows_and_their_curves_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.studies.mkdir()
    with Made(workspace.studies) as made:
        made.add(layers=(64,), top=0.2, epochs=10)
        made.add(layers=(64, 32), top=0.3, epochs=10)
    study = Study(workspace.studies / "made.toml", folder=tmp_path, screen=Screen(quiet=True))
    trials = study.trials()
    assert list(trials.index) == [0, 1]
    assert list(trials["value"]) == pytest.approx([0.2, 0.3])
    assert list(trials["state"]) == ["complete", "complete"]
    assert list(trials["layer_sizes"]) == ["(64,)", "(64, 32)"]
    assert list(trials.columns).index("hidden_width_1") < list(trials.columns).index("seed")
    assert (trials["ended"] >= trials["started"]).all()
    assert study.best is not None
    assert study.best.number == 1
    curves = study.curves()
    assert curves.loc[0].index.tolist() == list(range(1, 11))
    assert curves.loc[1]["train_loss"].notna().all()


def test_a_study_that_was_not_searched_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no study 'mine'.*search it first"):
        Study(MINE, folder=tmp_path, screen=Screen(quiet=True)).trials()


def test_another_backend_is_named_with_what_to_do(tmp_path: Path) -> None:
    script = (
        "from search import InputError, Study\n"
        "try:\n"
        "    Study('tutorial', quiet=True).records()\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "numpy", "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("Keras must compute with JAX but its backend is 'numpy'")


def test_what_moves_in_a_notebook_is_drawn_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now, shown = [0.0], list[str]()
    area = NotebookArea("first", clock=lambda: now[0])
    monkeypatch.setattr(area, "_show", shown.append)
    console = Screen().console
    area.draw(console)
    now[0] += SECONDS_BETWEEN
    area.draw(console)
    area.shown = "second"
    area.draw(console)
    assert shown == ["first\n"], "a notebook stores what it is sent"
    now[0] += SECONDS_BETWEEN
    area.draw(console)
    assert shown == ["first\n", "second\n"]
