"""From the command to MLflow and back: search, resume, re-train."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, split
from deeprec.model.saving import load_model
from tests.commands import Folder, printed_commands

pytestmark = pytest.mark.data


def test_every_trial_prints_one_line_and_the_end_sums_up(fake: Folder) -> None:
    done = fake.search("--trials", "2", "--seed", "11", "--storage", "sqlite:///my studies.db")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("trial ")]
    assert [line.split()[1] for line in lines[:2]] == ["0", "1"]
    assert "popularity" in done.stdout
    assert done.stderr == ""
    printed = printed_commands(done.stdout)
    assert printed["compare"].endswith(" ui --backend-store-uri sqlite:///mlruns/mlflow.db")
    assert printed["re-train"] == printed["report"].replace("search.report", "search.retrain")
    assert "report.html" in fake.shell(printed["report"])
    again = fake.shell(printed["search on"].replace("--trials 4", "--trials 2"))
    assert "nothing is missing: study tiny has 2 finished trials of 2" in again


def test_optuna_and_mlflow_tell_the_same(searched: Folder) -> None:
    statuses = {"complete": "FINISHED", "pruned": "KILLED"}
    runs = searched.runs("trial")
    assert len(runs) == len(searched.trials) == 4
    for run, trial in zip(runs, searched.trials, strict=True):
        assert run.data.tags["deeprec.trial"] == str(trial.number)
        assert run.data.tags["deeprec.state"] == trial.state
        assert run.info.status == statuses[trial.state]
        assert run.data.metrics["best_val_top_100_accuracy"] == pytest.approx(trial.value)
        assert run.data.params["layer_sizes"] == trial.layer_sizes
        curve = searched.client.get_metric_history(run.info.run_id, "val_top_100_accuracy")
        assert [point.step for point in curve] == [point.epoch for point in trial.curve]
    [parent] = searched.runs("study")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    assert parent.info.status == "FINISHED"


def test_the_parent_points_to_the_best_towers_and_they_give_its_accuracy(
    searched: Folder, dataset: Dataset, tmp_path: Path
) -> None:
    [parent] = searched.runs("study")
    best = parent.data.tags["deeprec.best_run_id"]
    towers = Path(searched.client.download_artifacts(best, "towers", str(tmp_path)))
    queries = np.asarray(load_model(towers / "query_model.keras")(dataset.users.columns))
    candidates = np.asarray(load_model(towers / "candidate_model.keras")(dataset.movies.columns))

    rows = split(dataset, DataConfig()).validation
    top = np.argsort(-(queries @ candidates.T), axis=1, kind="stable")[:, :100]
    hits = (top[rows.user_id] == rows.movie_id[:, None]).any(axis=1)
    accuracy = hits[rows.liked].mean()
    # A last-bit difference of a score may move one of 2,185 rows across rank 100.
    assert accuracy == pytest.approx(parent.data.metrics["best_val_top_100_accuracy"], abs=0.001)


def test_run_again_it_does_nothing_and_says_so(searched: Folder, tmp_path: Path) -> None:
    folder = searched.copy(tmp_path / "copy")
    done = folder.search()
    assert done.returncode == 0
    assert "nothing is missing: study tiny has 4 finished trials of 4" in done.stdout
    assert [trial.value for trial in folder.trials] == [trial.value for trial in searched.trials]
    assert len(folder.runs("trial")) == 4
    assert len(folder.runs("study")) == 1


def test_a_run_that_mlflow_lacks_is_made_again(searched: Folder, tmp_path: Path) -> None:
    folder = searched.copy(tmp_path / "copy")
    lost = folder.runs("trial")[1]
    folder.client.delete_run(lost.info.run_id)
    assert folder.search().returncode == 0
    again = folder.runs("trial")
    assert [run.data.tags["deeprec.trial"] for run in again] == ["0", "1", "2", "3"]
    assert again[1].data.metrics == lost.data.metrics
    assert again[1].data.params == lost.data.params


def test_all_of_mlflow_can_be_made_again(searched: Folder, tmp_path: Path) -> None:
    bare = searched.copy_of_study(tmp_path / "bare")
    assert bare.search().returncode == 0
    before, after = (
        [(run.data.params, run.data.metrics, run.info.status) for run in folder.runs("trial")]
        for folder in (searched, bare)
    )
    assert after == before
    assert bare.runs("study")[0].data.metrics == searched.runs("study")[0].data.metrics


def test_one_seed_gives_one_search_in_any_folder(searched: Folder, real: Folder) -> None:
    assert real.search().returncode == 0
    first, second = (
        [(trial.parameters, trial.curve_values) for trial in place.trials]
        for place in (searched, real)
    )
    assert first == second


def test_more_trials_go_on_from_the_stored_ones(fake: Folder) -> None:
    search = ("search.run", "--study", "tiny", "--trials", "1")
    command, environment = fake.command("tests.faults.fake", *search)
    unheard = subprocess.Popen(command, cwd=fake.path, env=environment, stdout=subprocess.PIPE)
    assert unheard.stdout is not None
    assert unheard.stdout.readline()
    unheard.stdout.close()  # as | head -1 does: it ends no search
    assert unheard.wait(300) == 0
    done = fake.search("--trials", "2")
    assert "going on with study tiny: 1 of 2 trials" in done.stdout
    assert len(fake.trials) == 2


def test_quiet_shows_the_summary_alone(fake: Folder) -> None:
    done = fake.search("--trials", "1", "--quiet")
    assert done.returncode == 0
    assert "MovieLens" not in done.stdout
    assert not any(line.startswith("trial 0 complete") for line in done.stdout.splitlines())
    assert "popularity" in done.stdout


def test_a_dry_run_shows_the_first_trials_and_writes_nothing(folder: Folder) -> None:
    before = folder.snapshot()
    dry = folder.search("--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert folder.snapshot() == before
    assert "nothing was written" in dry.stdout
    folder.search("--trials", "2")
    for trial in folder.trials:
        count = f"{trial.derived['parameter_count']:,}"
        assert any(
            line.split()[:1] == [str(trial.number)] and trial.layer_sizes in line and count in line
            for line in dry.stdout.splitlines()
        ), f"trial {trial.number} is not in the dry run"


def test_neither_a_dry_run_nor_a_refusal_makes_a_cache(folder: Folder, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    dry = folder.search("--dry-run", XDG_CACHE_HOME=str(cache))
    refused = folder.run("search.retrain", "--study", "tiny", XDG_CACHE_HOME=str(cache))
    assert (dry.returncode, refused.returncode) == (0, 2)
    assert "parameter counts are known once the data set is prepared" in dry.stdout
    assert not (cache / "deeprec").exists()


def test_no_trial_starts_after_the_timeout(fake: Folder) -> None:
    done = fake.search("--timeout", "0.000001")
    assert done.returncode == 0
    assert "stopped with 0 of 4 trials: the time of --timeout is over" in done.stdout
    assert fake.trials == []


def test_a_search_with_a_warm_cache_never_imports_tensorflow(folder: Folder) -> None:
    program = (
        "import runpy, sys\n"
        "sys.argv = ['search.run', '--study', 'tiny', '--trials', '1']\n"
        "try:\n"
        "    runpy.run_module('search.run', run_name='__main__')\n"
        "finally:\n"
        "    assert 'keras' in sys.modules\n"
        "    assert 'tensorflow' not in sys.modules, 'TensorFlow was imported'\n"
    )
    command, environment = folder.command("search.run")
    alone = [command[0], "-c", program]
    done = subprocess.run(alone, cwd=folder.path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert folder.trials[0].state == "complete"


def test_the_latest_ratings_can_be_the_test(fake: Folder) -> None:
    fake.change(("[pruner]", '[data]\nsplit = "temporal"\n\n[pruner]'))
    assert fake.search("--trials", "1").returncode == 0
    [run] = fake.runs("trial")
    assert run.inputs is not None
    assert '"split": "temporal"' in str(run.inputs.dataset_inputs[0].dataset.profile)
