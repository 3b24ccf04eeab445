"""A study with towers, a loss, a metric and dimensions of its own, from its file to its server."""

import os
import signal
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from tests.commands import Folder
from tests.documentation.blocks import blocks_of
from tests.flows.serving import serving
from tests.flows.test_interruptions import running, wait_until

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]


@pytest.fixture
def own(tmp_path: Path, small_cache_home: Path) -> Folder:
    """The example of the documentation, its code beside the study file."""
    files = {b.file: b.text for b in blocks_of(PROJECT / "docs/how-to/own-parts.md") if b.file}
    study = files["studies/own.toml"]
    for old, new in (
        ("trials = 4", "trials = 1"),
        ("epochs = 4", "epochs = 3"),
        ("{ low = 8, high = 16 }", "{ low = 8, high = 8 }"),
        ("experts = { low = 1, high = 4 }", "experts = { low = 2, high = 2 }"),
        ('["relu", "gelu"]', '["relu"]'),
    ):
        assert old in study
        study = study.replace(old, new)
    folder = Folder(tmp_path / "folder", study, name="tiny", cache_home=small_cache_home)
    text = f'print("my parts are imported")\n{files["studies/my_parts.py"]}'
    (folder.path / "studies" / "my_parts.py").write_text(text, encoding="utf-8")
    return folder


def test_a_study_with_parts_of_its_own_from_its_search_to_its_server(own: Folder) -> None:
    process = own.start("search.run", "--study", "tiny")
    wait_until(process, lambda: bool(running(own)))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = own.search("--quiet")
    assert done.returncode == 0, done.stderr
    assert "my parts" not in done.stdout
    assert "my parts are imported" in done.stderr
    killed, trial = own.trials
    assert (killed.state, trial.state, trial.retry_of) == ("interrupted", "complete", killed.number)
    assert set(trial.parameters) >= {"experts", "margin", "activation"}
    assert set(trial.curve[-1].metrics) >= {"val_first_or_any_at_10", "val_ndcg_at_10"}
    before = [point.metrics for point in killed.curve]
    assert [point.metrics for point in trial.curve[: len(before)]] == before
    [study] = own.runs("study")
    assert study.data.tags["deeprec.version.my_parts"].startswith("source ")

    done = own.run("search.retrain", "--study", "tiny", "--top", "1", "--seeds", "1", "--promote")
    assert done.returncode == 0, done.stderr
    shown = own.run("search.recommend", "42", "--study", "tiny")
    assert shown.returncode == 0, shown.stderr
    elsewhere = own.path / "served"
    elsewhere.mkdir()
    with serving(elsewhere, own.path / "mlruns") as served:
        status, answer = served.ask({"user_id": 42, "k": 3})
    assert (status, len(answer)) == (200, 3)
    assert answer[0]["title"] in shown.stdout
