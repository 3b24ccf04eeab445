"""What runs and experiments say to people, and that what people make of it stays."""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from search.records.events import TrialFinished
from search.records.results import ReferenceRecord, RetrainRecord
from search.records.trials import TrialRecord
from search.tracking import content
from search.tracking.content import ranks_of, retrain_content, study_content, trial_content
from search.tracking.names import NOTE, TESTS, TRIALS, VIEWS, WRITTEN, View, width_of
from tests.unit.search.sample_records import START_MS, trial
from tests.unit.search.tracking.support import (
    CONTEXT,
    At,
    Reader,
    begin,
    no_towers,
    notes,
    run_live,
)

VIEW = "mlflow.sharedViewState"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (trial(0), "Best validation top-100 accuracy 0.2355, at epoch 10."),
        (trial(0, "pruned"), "Pruned at epoch 10"),
        (trial(0, "failed"), "It failed: train_loss is not finite"),
        (trial(0, "interrupted"), "runs first on resume"),
        (trial(0, retry_of=3), "It runs trial 3 again."),
        (
            trial(0, "pruned", epochs=0, infeasible="9 MB (limit 8)"),
            "It was not trained. It is inf",
        ),
        (trial(0, infeasible="6 ms (limit 5)"), "at epoch 10. It is infeasible: 6 ms (limit 5)."),
        (trial(0, retry_of=3, resumed_after=5), "It goes on with trial 3 after its epoch 5."),
        (trial(0, parameters={}, derived={}), "a two-tower model. Best validation"),
    ],
)
def test_a_note_says_what_a_run_is(record: TrialRecord, said: str) -> None:
    assert said in trial_content(record, CONTEXT, "parent").tags[NOTE]


def test_a_limit_that_is_broken_is_a_tag_and_what_was_measured_are_metrics() -> None:
    costs = {"parameters": 90_000, "megabytes": 9.0, "milliseconds": 2.0}
    content = trial_content(trial(4, costs=costs, infeasible="9 MB (limit 8)"), CONTEXT, "parent")
    assert content.name == "trial 004 infeasible (64, 32)"
    assert content.tags["deeprec.infeasible"] == "9 MB (limit 8)"
    assert content.latest.items() >= {"megabytes": 9.0, "milliseconds": 2.0}.items()
    assert "parameters" not in content.latest, "a parameter of the run, as it always was"
    assert "search.retrain" not in content.tags[NOTE], "it cannot be confirmed"
    trials = [trial(0, value=0.2), trial(1, value=0.3, infeasible="9 MB (limit 8)")]
    assert ranks_of(trials) == {0: "1"}
    assert (
        study_content(CONTEXT, trials, state="complete").latest["best_val_top_100_accuracy"] == 0.2
    )


def test_the_front_of_several_objectives_is_tagged_and_what_leaves_it_too() -> None:
    context = replace(CONTEXT, objectives=("val_top_100_accuracy", "parameters"))
    trials = [trial(n, value=v, costs={"parameters": c}) for n, v, c in ((0, 0.2, 9), (1, 0.3, 8))]
    assert content.changed_front(trials, context, {0: "true"}) == {0: "false", 1: "true"}
    assert not content.changed_front(trials, context, {0: "false", 1: "true"})
    assert not content.changed_front(trials, CONTEXT, {})


def test_notes_use_the_words_of_people_and_not_the_names_of_keys() -> None:
    parameters: dict[str, float] = {"depth": 3, "output_width": 32}
    parameters |= {"hidden_width_1": 64, "hidden_width_2": 128}
    parameters |= {"embedding_dimension": 32, "learning_rate": 0.12}
    record = trial(0, parameters=parameters)
    metrics = {"test_top_100_accuracy": 0.34, "test_recall_at_10": 0.2}
    retrained = RetrainRecord(
        trial=0, parameters={}, epochs=5, seed=1, metrics=metrics, started_ms=1, ended_ms=2
    )
    words = "hidden widths 128, 64, output width 32, embedding dimension 32, learning rate 0.12"
    of_trial = trial_content(record, CONTEXT, "parent").tags[NOTE]
    of_study = study_content(CONTEXT, [record], state="complete").tags[NOTE]
    of_test = retrain_content(retrained, CONTEXT).tags[NOTE]
    assert f"a two-tower model with {words}. Best" in of_trial
    assert f"trial 0, {words}, epoch 10." in of_study
    assert "tested once: top-100 accuracy 0.3400; recall@10 0.2000." in of_test
    for note in (of_trial, of_study, of_test):
        assert "_" not in note


def test_the_parent_never_carries_what_may_change_as_a_parameter() -> None:
    one = study_content(CONTEXT)
    more = study_content(replace(CONTEXT, trials=100), [trial(0)], state="complete")
    assert one.params == more.params


def rename(reader: Reader, run_id: str) -> None:
    """What MLflow's pages do when a person renames a run."""
    reader.client.update_run(run_id, name="my favorite")


def test_a_run_that_was_renamed_keeps_its_name_and_note(at: At) -> None:
    record = run_live(at.tracker, trial(0))
    run_id = at.reader.children[0].info.run_id
    rename(at.reader, run_id)
    at.reader.client.set_tag(run_id, NOTE, "look at the loss")
    at.reader.client.set_tag(run_id, "mine", "too")
    again = at.opened()
    assert again.reconcile([record], no_towers).nothing
    at.reader.client.update_run(run_id, status="RUNNING")  # as if it had been left open
    assert again.reconcile([record], no_towers).closed == (0,)
    run = at.reader.children[0]
    assert run.info.run_name == run.data.tags["mlflow.runName"] == "my favorite"
    assert (notes(run), run.data.tags["mine"]) == ("look at the loss", "too")


def test_what_is_edited_while_the_trial_runs_stays_and_the_rest_follows(at: At) -> None:
    records = [trial(0), trial(1)]
    for record in records:
        begin(at.tracker, record)
    at.reader.client.set_tag(at.reader.children[0].info.run_id, NOTE, "watch this one")
    rename(at.reader, at.reader.children[1].info.run_id)
    for record in records:
        at.tracker.hear(TrialFinished(record, None))
    noted, renamed = at.reader.children[0], at.reader.children[1]
    assert notes(noted) == "watch this one"
    assert noted.info.run_name == f"trial 000 {records[0].value:.4f} (64, 32)"
    assert renamed.info.run_name == "my favorite"
    assert "Best validation" in notes(renamed)
    assert at.tracker.reconcile(records, no_towers).nothing


@pytest.mark.parametrize("version", ["0.1.0", "now"])
def test_the_texts_of_a_study_follow_it_unless_they_were_edited(version: str, at: At) -> None:
    trials = [run_live(at.tracker, trial(0))]
    at.tracker.study_finished(trials, "interrupted")
    assert at.reader.parent.info.run_name == f"study tutorial {trials[0].value:.4f}"
    if version == "0.1.0":  # which kept no digests: what it wrote of trials stays, too
        for run in (*at.reader.children.values(), at.reader.parent):
            at.reader.client.delete_tag(run.info.run_id, WRITTEN)
        rename(at.reader, at.reader.children[0].info.run_id)
    else:
        rename(at.reader, at.tracker.parent_run_id)
    again = at.opened()
    assert again.reconcile(trials, no_towers).nothing
    trials.append(run_live(again, trial(1, top=0.4)))
    again.study_finished(trials, "complete")
    follows = f"study tutorial {trials[1].value:.4f}"
    assert at.reader.parent.info.run_name == (follows if version == "0.1.0" else "my favorite")
    assert f"{trials[1].value:.4f}" in notes(at.reader.parent)
    if version == "0.1.0":
        assert at.reader.children[0].info.run_name == "my favorite"


def test_a_reference_that_was_renamed_keeps_its_name_and_gets_its_metrics(at: At) -> None:
    record = ReferenceRecord(
        name="ease", parameters={}, metrics={"val_top_100_accuracy": 0.5}, measured_ms=START_MS
    )
    at.tracker.log_references([record])
    rename(at.reader, at.reader.run("reference").info.run_id)
    tested = {**record.metrics, "test_top_100_accuracy": 0.57}
    at.tracker.log_references([replace(record, metrics=tested)])
    run = at.reader.run("reference")
    assert (run.info.run_name, run.data.metrics) == ("my favorite", tested)


def test_views_and_note_of_an_experiment_stay_as_a_person_left_them(at: At) -> None:
    experiment_id = at.tracker.experiment_id
    at.reader.client.set_experiment_tag(experiment_id, NOTE, "our best study")
    at.reader.client.set_experiment_tag(experiment_id, f"{VIEW}.trials", "mine")
    at.reader.client.delete_experiment_tag(experiment_id, f"{VIEW}.tests")
    assert at.opened().experiment_id == experiment_id
    tags = at.reader.experiment.tags
    assert (tags[NOTE], tags[f"{VIEW}.trials"]) == ("our best study", "mine")
    assert f"{VIEW}.tests" not in tags


def test_an_experiment_that_was_there_keeps_its_note_and_gets_the_views(at: At) -> None:
    experiment_id = at.reader.client.create_experiment(CONTEXT.name)
    at.reader.client.set_experiment_tag(experiment_id, NOTE, "for the paper")
    assert at.opened().experiment_id == experiment_id
    assert at.reader.experiment.tags[NOTE] == "for the paper"
    assert f"{VIEW}.trials" in at.reader.experiment.tags


def test_a_view_shows_its_runs_with_what_is_logged_and_the_note_leads_to_it(at: At) -> None:
    trials = [run_live(at.tracker, trial(n)) for n in range(2)]
    at.tracker.study_finished(trials, "complete")
    tag = json.loads(at.reader.experiment.tags[f"{VIEW}.trials"])
    packed = tag["state"].removeprefix("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    first = "metrics.`best_val_top_100_accuracy`"
    assert tag["name"] == "Trials, best first"
    assert (state["orderByKey"], state["orderByAsc"]) == (first, False)
    assert state["selectedColumns"][0] == first
    assert set(state["selectedColumns"]) < set(state["columnOrder"])
    assert set(state["columnOrder"]) == set(state["columnWidths"])

    found = at.reader.client.search_runs([at.tracker.experiment_id], state["searchFilter"])
    assert {run.data.tags["deeprec.trial"] for run in found} == {"0", "1"}
    assert at.reader.client.search_runs([at.tracker.experiment_id], TESTS.runs) == []
    data = found[0].data
    held: Mapping[str, Any] = {"metrics": data.metrics, "params": data.params, "tags": data.tags}
    columns = [column.replace("`", "").split(".", 1) for column in TRIALS.columns]
    lacking = {name for kind, name in columns if name not in held[kind]}
    assert lacking == {"embedding_dimension"}  # which the made-up trials do not have
    link = f"(#/experiments/{at.tracker.experiment_id}/runs?viewStateShareKey=trials)"
    assert f"[Trials, best first]{link}" in at.reader.experiment.tags[NOTE]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.key)
def test_no_two_columns_of_a_view_read_the_same(view: View) -> None:
    """A name of which a column shows less than all is cut off: 8 pixels a letter, 40 around it."""

    def shown(column: str) -> str:
        name = column.replace("`", "").partition(".")[2]
        return name[: (width_of(column) - 40) // 8]

    assert len({shown(column) for column in view.columns}) == len(view.columns)


def test_the_best_complete_trials_are_ranked_anew(monkeypatch: pytest.MonkeyPatch, at: At) -> None:
    def ranks() -> dict[int, str | None]:
        return {n: run.data.tags.get("deeprec.rank") for n, run in at.reader.children.items()}

    monkeypatch.setattr(content, "RANKED", 2)
    monkeypatch.setattr(content, "UNRANKED", "over 2")
    trials = [*(trial(n, value=0.2 + n / 10) for n in range(3)), trial(3, "pruned")]
    at.tracker.reconcile(trials, no_towers)
    at.tracker.study_finished(trials, "complete")
    assert ranks() == {0: None, 1: "2", 2: "1", 3: None}
    trials.append(run_live(at.tracker, trial(4, value=0.9)))
    at.tracker.study_finished(trials, "complete")
    assert ranks() == {0: None, 1: "over 2", 2: "2", 3: None, 4: "1"}
    assert not content.changed_ranks(trials, {1: "over 2", 2: "2", 4: "1"})
