"""search.retrain: over seeds, once, whatever happens to it on the way."""

import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from deeprec.data.dataset import Dataset
from deeprec.evaluation.references import CHOICES
from tests.commands import Folder, printed_commands
from tests.flows.outsider import accuracies
from tests.shared import CONFIRMATION
from tests.tiny_study import tiny_study

pytestmark = pytest.mark.data

TRAININGS = 3 * 2 + 2  # two trials and the reference, then the winner's tests
FEW = ("--study", "tiny", "--top", "2", "--seeds", "2")  # 2 contenders, validated and tested
METRICS = {
    "test_top_100_accuracy",
    "test_top_100_accuracy_unseen",
    "test_recall_at_10",
    "test_ndcg_at_10",
}


def trainings(output: str) -> list[str]:
    return [line for line in output.splitlines() if re.match(r"training .* with seed \d", line)]


def named(line: str) -> str:
    """Which training a line is about, without its result."""
    return line.partition(": accuracy ")[0]


@pytest.fixture(scope="module")
def copy(confirmed: Folder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Folder, str]:
    """A copy of the confirmed folder, and what the confirmation printed."""
    folder = confirmed.copy(tmp_path_factory.mktemp("confirmed") / "folder")
    return folder, (folder.path / "confirmation.txt").read_text(encoding="utf-8")


def test_every_training_is_a_line_with_its_result_and_seconds(copy: tuple[Folder, str]) -> None:
    for line in trainings(copy[1]):
        assert re.search(r": accuracy 0\.\d{4}  \d+\.\d s$", line), line


def test_everybody_is_validated_before_the_winner_is_tested(copy: tuple[Folder, str]) -> None:
    lines = trainings(copy[1])
    assert len(lines) == TRAININGS
    assert all("validated" in line for line in lines[:6])
    assert all("tested once" in line for line in lines[6:])
    assert sum("training reference (16,)" in line for line in lines) == 2


def test_each_seed_is_a_run_and_their_means_are_one_more(copy: tuple[Folder, str]) -> None:
    folder, output = copy
    tests = folder.runs("retrain")
    assert len({run.data.params["seed"] for run in tests}) == len(tests) == 2
    assert all(set(run.data.metrics) >= METRICS for run in tests)
    [summary] = folder.runs("confirmation")
    for name in METRICS:
        values = [run.data.metrics[name] for run in tests]
        assert summary.data.metrics[f"{name}_mean"] == pytest.approx(sum(values) / 2)
    assert f"{summary.data.metrics['test_top_100_accuracy_mean']:.4f} ±" in output
    assert "in the search" in output
    assert "The search saw" in summary.data.tags["mlflow.note.content"]


def test_references_are_runs_of_the_experiment(copy: tuple[Folder, str]) -> None:
    runs = {run.data.tags["deeprec.reference_name"]: run for run in copy[0].runs("reference")}
    assert set(runs) == CHOICES.keys() - {"own_frequent"}
    for run in runs.values():
        assert set(run.data.metrics) >= METRICS | {"val_top_100_accuracy"}


def test_the_towers_of_the_first_seed_are_kept(copy: tuple[Folder, str]) -> None:
    folder, _ = copy
    kept = [path.name for path in (folder.path / "studies" / "tiny").glob("confirmed-*")]
    assert len(kept) == 1
    with_towers = [
        run for run in folder.runs("retrain") if folder.client.list_artifacts(run.info.run_id)
    ]
    assert len(with_towers) == 1


def test_the_printed_command_recommends_also_by_the_printed_model(copy: tuple[Folder, str]) -> None:
    folder, output = copy
    printed = printed_commands(output)
    assert "liked by user 42" in folder.shell(f"{printed['recommend']} --model {printed['model']}")


def test_run_again_it_computes_nothing_and_shows_the_same(copy: tuple[Folder, str]) -> None:
    folder, output = copy
    done = folder.run("search.retrain", *CONFIRMATION, "--quiet")
    assert done.returncode == 0, done.stderr
    assert trainings(done.stdout) == []
    shown = [line for line in output.splitlines() if "±" in line]
    assert [line for line in done.stdout.splitlines() if "±" in line] == shown
    counts = [len(folder.runs(kind)) for kind in ("retrain", "confirmation", "reference")]
    assert counts == [2, 1, len(CHOICES) - 1]


def test_more_seeds_train_only_what_is_missing(copy: tuple[Folder, str]) -> None:
    folder, _ = copy
    [kept] = (folder.path / "studies" / "tiny").glob("confirmed-*")
    winner = str(int(kept.name.split("-")[2]))
    done = folder.run("search.retrain", "--study", "tiny", "--trial", winner, "--seeds", "3")
    assert done.returncode == 0, done.stderr
    missing = trainings(done.stdout)
    assert all(" with seed 3 " in line for line in missing if "tested" not in line)
    assert len([line for line in missing if "tested" not in line]) == 2


def test_all_of_it_can_be_made_again_elsewhere_without_the_data_set(
    copy: tuple[Folder, str], tmp_path: Path
) -> None:
    folder, _ = copy
    elsewhere = f"sqlite:///{tmp_path}/mlflow.db"
    done = folder.run(
        "search.sync",
        *("--study", "tiny", "--tracking-uri", elsewhere),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^made: popularity 0\.\d{4} \(reference\)$", done.stdout, re.MULTILINE)
    assert not list((tmp_path / "cache").rglob("*.npz"))
    for kind in ("study", "trial", "reference", "retrain", "confirmation"):
        assert described_runs(MlflowClient(elsewhere), kind) == described_runs(folder.client, kind)
    again = folder.run("search.sync", "--study", "tiny", "--quiet")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("nothing was missing")


def described_runs(client: MlflowClient, kind: str) -> list[dict[str, object]]:
    """The runs of a kind without what differs from MLflow to MLflow, by name."""
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    wanted = f"tags.`deeprec.kind` = '{kind}'"
    found = client.search_runs([experiment.experiment_id], wanted)
    ours = ("deeprec.kind", "deeprec.state", "deeprec.study", "deeprec.trial", "deeprec.towers")
    return [
        {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "metrics": run.data.metrics,
            "tags": {tag: run.data.tags.get(tag) for tag in (*ours, "mlflow.note.content")},
            "files": {info.path for info in client.list_artifacts(run.info.run_id)},
            "losses": [
                (m.step, m.value, m.timestamp)
                for m in client.get_metric_history(run.info.run_id, "train_loss")
            ],
        }
        for run in sorted(found, key=lambda run: (run.info.run_name, run.data.params.get("seed")))
    ]


@pytest.fixture(scope="module")
def promising(tmp_path_factory: pytest.TempPathFactory, small_cache_home: Path) -> Folder:
    """A searched folder whose contenders beat chance; with fewer epochs none does."""
    path = tmp_path_factory.mktemp("promising") / "folder"
    folder = Folder(path, tiny_study(("epochs = 4", "epochs = 20")), cache_home=small_cache_home)
    assert folder.search("--trials", "2").returncode == 0
    return folder


@pytest.mark.faults
@pytest.mark.storm
@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_what_was_computed_before_it_was_stopped_is_not_computed_again(
    promising: Folder, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    folder = promising.copy(tmp_path / "folder")
    process = folder.start("search.retrain", *FEW)
    seen: list[str] = []
    for line in process.lines():
        seen += trainings(line)
        if len(seen) == 2:
            os.killpg(process.pid, number)
    assert process.wait(60) == exit_code
    done = folder.run("search.retrain", *FEW)
    assert done.returncode == 0, done.stderr
    again = trainings(done.stdout)
    assert len(seen) + len(again) == 2 * 2 + 2 * 2
    assert not {named(line) for line in again} & {named(line) for line in seen}


def test_towers_that_were_lost_are_trained_again_and_not_tested(copy: tuple[Folder, str]) -> None:
    folder, _ = copy
    [kept] = (folder.path / "studies" / "tiny").glob("confirmed-*")
    before = {path.name: path.read_bytes() for path in kept.glob("*.npz")}
    shutil.rmtree(kept)
    done = folder.run("search.retrain", *CONFIRMATION)
    assert done.returncode == 0, done.stderr
    [again] = trainings(done.stdout)
    assert "as its towers were lost" in again
    assert {path.name: path.read_bytes() for path in kept.glob("*.npz")} == before


def test_the_model_is_registered_once_and_recommends(copy: tuple[Folder, str]) -> None:
    folder, output = copy
    [standing] = [line for line in output.splitlines() if line.startswith("Version 1 of ")]
    assert standing.startswith("Version 1 of deep-retrieval is the champion: ")
    assert "popularity" in standing, "what it does not beat is named in the decision"
    shown = folder.run("search.recommend", "42", "--k", "3")
    assert shown.returncode == 0, shown.stderr
    assert "liked by user 42" in shown.stdout
    again = folder.run("search.retrain", *CONFIRMATION)
    assert "Version 1 of deep-retrieval is the champion: it is the champion." in again.stdout
    [version] = folder.client.search_model_versions("name='deep-retrieval'")
    [summary] = folder.runs("confirmation")
    mean = summary.data.metrics["test_top_100_accuracy_mean"]
    assert float(version.tags["deeprec.test_accuracy_mean"]) == pytest.approx(mean)


def test_numpy_alone_finds_the_same_accuracies_in_the_registered_model(
    copy: tuple[Folder, str], dataset: Dataset, tmp_path: Path
) -> None:
    folder, _ = copy
    version = folder.client.get_model_version_by_alias("deep-retrieval", "champion")
    [run] = [run for run in folder.runs("retrain") if run.info.run_id == version.run_id]
    uri = f"sqlite:///{folder.path / 'mlruns' / 'mlflow.db'}"
    champion = ("--artifact-uri", "models:/deep-retrieval@champion", "--dst-path", str(tmp_path))
    done = folder.run_alone("mlflow", "artifacts", "download", *champion, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    [files] = tmp_path.rglob("arrays.npz")
    ratings = dataset.interactions
    found = accuracies(
        files.parent,
        dataset.user_ids[ratings.user_id],
        dataset.movie_ids[ratings.movie_id],
        np.round(ratings.rating * 4) + 1,
    )
    # A last-bit difference of a score may move one of 4,200 rows across rank 100.
    assert found == pytest.approx({name: run.data.metrics[name] for name in found}, abs=0.0005)
