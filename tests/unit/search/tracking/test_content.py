"""What runs shall hold: pure functions of the records."""

from dataclasses import replace

from search.records.trials import TrialRecord
from search.tracking.content import study_content, trial_content
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT


def test_the_parent_never_carries_what_may_change_as_a_parameter() -> None:
    one = study_content(CONTEXT)
    more = study_content(replace(CONTEXT, trials=100), [trial(0)], state="complete")
    assert one.params == more.params


def test_the_notes_say_what_a_run_is() -> None:
    def note(record: TrialRecord) -> str:
        content = trial_content(record, CONTEXT, "p")
        return content.tags["mlflow.note.content"]

    assert "Best validation top-100 accuracy 0.2355, at epoch 10." in note(trial(0))
    assert "Pruned at epoch 10" in note(trial(0, "pruned"))
    assert "It failed: train_loss is not finite" in note(trial(0, "failed"))
    assert "runs first on resume" in note(trial(0, "interrupted"))
    assert "It runs trial 3 again." in note(trial(0, retry_of=3))
