"""search.reproduce: a logged run is trained again and gives the same numbers."""

from pathlib import Path

import pytest

from tests.commands import Folder
from tests.flows.test_bad_input import assert_refused

pytestmark = pytest.mark.data


def test_a_trial_gives_the_same_number_again(confirmed: Folder) -> None:
    for trial in confirmed.runs("trial")[:2]:
        done = confirmed.run("search.reproduce", trial.info.run_id, "--quiet")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Reproduced: every number is the same." in done.stdout


def test_a_re_training_gives_the_same_test_again(confirmed: Folder) -> None:
    done = confirmed.run("search.reproduce", confirmed.runs("retrain")[0].info.run_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_top_100_accuracy_unseen" in done.stdout


def test_a_number_that_does_not_come_out_and_what_changed_are_said(
    searched: Folder, tmp_path: Path
) -> None:
    folder = searched.copy(tmp_path / "copy")
    run = folder.runs("trial")[0]
    folder.client.set_tag(run.info.run_id, "deeprec.version.jax", "0.0.1")
    folder.client.set_tag(run.info.run_id, "deeprec.data_fingerprint", "0" * 64)
    folder.client.log_metric(run.info.run_id, "best_val_top_100_accuracy", 0.9)
    done = folder.run("search.reproduce", run.info.run_id, NPROC="7")
    assert done.returncode == 1
    assert "warning: jax was 0.0.1, is " in done.stdout
    assert "warning: the prepared data set was 000000000000" in done.stdout
    threads = run.data.tags["deeprec.computed_on.threads"]
    assert f"warning: the number of threads was {threads}, is 7" in done.stdout
    assert "NOT reproduced" in done.stdout


def test_a_run_that_is_none_is_refused(searched: Folder) -> None:
    [study] = searched.runs("study")
    assert_refused(searched, "search.reproduce", study.info.run_id, message="is of kind 'study'")
    assert_refused(searched, "search.reproduce", "0" * 32, message="cannot be read")


def test_without_a_database_there_is_nothing_to_reproduce(folder: Folder) -> None:
    assert_refused(folder, "search.reproduce", "0" * 32, message="there is no MLflow database")
