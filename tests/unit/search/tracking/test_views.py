"""The saved views of a study's experiment: what MLflow's pages make of the tags is in a browser."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from search.tracking import Tracker, content, open_tracker
from search.tracking.names import NOTE, TESTS, TRIALS, VIEWS, View, width_of
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT, Reader, Warnings, no_towers, run_live


def saved(reader: Reader, view: View) -> tuple[dict[str, Any], dict[str, Any]]:
    """A view as its tag holds it, and its state."""
    tag = json.loads(reader.experiment.tags[f"mlflow.sharedViewState.{view.key}"])
    packed = tag["state"].removeprefix("deflate;")
    return tag, json.loads(zlib.decompress(base64.b64decode(packed)))


def test_a_view_names_its_runs_their_order_and_columns(tracker: Tracker, reader: Reader) -> None:
    run_live(tracker, trial(0))
    tag, state = saved(reader, TRIALS)
    assert tag["name"] == "Trials, best first"
    assert (state["orderByKey"], state["orderByAsc"]) == (
        "metrics.`best_val_top_100_accuracy`",
        False,
    )
    assert state["selectedColumns"][0] == "metrics.`best_val_top_100_accuracy`"
    assert set(state["selectedColumns"]) < set(state["columnOrder"])
    assert set(state["columnOrder"]) == set(state["columnWidths"])


def test_a_view_of_trials_finds_the_trials_alone(tracker: Tracker, reader: Reader) -> None:
    for number in range(3):
        run_live(tracker, trial(number))
    _, state = saved(reader, TRIALS)
    found = reader.client.search_runs([tracker.experiment_id], state["searchFilter"])
    assert {run.data.tags["deeprec.trial"] for run in found} == {"0", "1", "2"}
    assert reader.client.search_runs([tracker.experiment_id], TESTS.runs) == []


def test_what_a_view_shows_of_a_trial_is_logged(tracker: Tracker, reader: Reader) -> None:
    record = trial(0)
    run_live(tracker, record)
    tracker.reconcile([record], no_towers)
    tracker.study_finished([record], "complete")
    data = reader.children[0].data
    held: dict[str, Any] = {"metrics": data.metrics, "params": data.params, "tags": data.tags}
    columns = [column.replace("`", "").split(".", 1) for column in TRIALS.columns]
    lacking = {name for kind, name in columns if name not in held[kind]}
    assert lacking == {"embedding_dimension"}  # which the made-up trials do not have


def test_the_note_leads_to_the_views(tracker: Tracker, reader: Reader) -> None:
    run_live(tracker, trial(0))
    note = reader.experiment.tags[NOTE]
    link = f"(#/experiments/{tracker.experiment_id}/runs?viewStateShareKey=trials)"
    assert f"[Trials, best first]{link}" in note


def test_what_the_user_made_of_views_and_note_stays(
    folder: Path, tracker: Tracker, reader: Reader, warnings: Warnings
) -> None:
    run_live(tracker, trial(0))
    tag = "mlflow.sharedViewState.trials"
    reader.client.set_experiment_tag(tracker.experiment_id, tag, "mine")
    reader.client.set_experiment_tag(tracker.experiment_id, NOTE, "my note")
    again = open_tracker(None, CONTEXT, folder=folder, warn=warnings)
    run_live(again, trial(1))
    assert reader.experiment.tags[tag] == "mine"
    assert reader.experiment.tags[NOTE] == "my note"


def test_ranks_are_places_among_complete_trials_and_follow_the_study(
    tracker: Tracker, reader: Reader
) -> None:
    def ranks() -> dict[int, str | None]:
        return {n: run.data.tags.get("deeprec.rank") for n, run in reader.children.items()}

    trials = [trial(0, value=0.2), trial(1, value=0.3), trial(2, "pruned")]
    for record in trials:
        run_live(tracker, record)
    tracker.study_finished(trials, "complete")
    assert ranks() == {0: "2", 1: "1", 2: None}
    better = trial(3, value=0.4)
    run_live(tracker, better)
    tracker.study_finished([*trials, better], "complete")
    assert ranks() == {0: "3", 1: "2", 2: None, 3: "1"}


def test_the_best_alone_are_ranked_and_who_falls_behind_says_so(
    tracker: Tracker, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "RANKED", 2)
    monkeypatch.setattr(content, "UNRANKED", "over 2")
    trials = [trial(n, value=0.2 + n / 10) for n in range(3)]
    tracker.reconcile(trials, no_towers)
    tracker.study_finished(trials, "complete")
    trials.append(run_live(tracker, trial(3, value=0.9)))
    tracker.study_finished(trials, "complete")
    ranks = {n: run.data.tags.get("deeprec.rank") for n, run in reader.children.items()}
    assert ranks == {0: None, 1: "over 2", 2: "2", 3: "1"}
    assert not content.changed_ranks(trials, {1: "over 2", 2: "2", 3: "1"})


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_no_two_columns_of_a_view_read_the_same(view: View) -> None:
    """A name of which a column shows less than all is cut off: 8 pixels a letter, 40 around it."""

    def shown(column: str) -> str:
        name = column.replace("`", "").partition(".")[2]
        return name[: (width_of(column) - 40) // 8]

    assert len({shown(column) for column in view.columns}) == len(view.columns)
