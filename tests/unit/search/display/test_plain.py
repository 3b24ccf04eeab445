"""One plain line a trial, for pipes and log files."""

from search.display.progress import PlainProgress
from search.display.tally import Tally
from search.records.events import EpochFinished, TrialFinished, TrialStarted
from tests.unit.search.sample_records import curve, started, trial
from tests.unit.search.terminals import Pipe

PARAMETERS = {"embedding_dimension": 32, "learning_rate": 0.05}


def test_a_pipe_gets_one_line_a_trial_however_long() -> None:
    pipe = Pipe(width=30)
    done = [trial(0, value=0.31, parameters=PARAMETERS)]
    progress = PlainProgress(pipe.screen.announce, Tally(4, 10, done))
    with progress.shown():
        progress.hear(TrialStarted(started(trial(1))))
        progress.hear(EpochFinished(1, curve(1)[0]))
        complete = trial(1, value=0.33, best_epoch=10, parameters=PARAMETERS)
        progress.hear(TrialFinished(complete, None))
        progress.hear(TrialFinished(trial(2, "pruned", value=0.2, parameters=PARAMETERS), None))
        progress.hear(TrialFinished(trial(3, "failed", parameters=PARAMETERS), None))
    configuration = "layers (64, 32), embedding dimension 32, learning rate 0.05  4.5 s"
    assert pipe.lines == [
        "trial 1 complete: accuracy 0.3300 at epoch 10"
        f"  {configuration}  [2/4, best 0.3300 (trial 1)]",
        "trial 2 pruned: accuracy 0.2000 when pruned at epoch 10"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
        "trial 3 failed: train_loss is not finite at epoch 3"
        f"  {configuration}  [3/4, best 0.3300 (trial 1)]",
    ]


def test_before_there_is_a_best_a_line_has_the_count_alone() -> None:
    pipe = Pipe()
    PlainProgress(pipe.screen.announce, Tally(4, 10, [])).hear(
        TrialFinished(trial(0, "failed"), None)
    )
    assert pipe.lines[0].endswith("[0/4]")


def test_what_others_finish_is_counted() -> None:
    pipe = Pipe()
    progress = PlainProgress(pipe.screen.announce, Tally(4, 10, []))
    progress.look([trial(0), trial(1)])
    progress.hear(TrialFinished(trial(2, "pruned"), None))
    assert "[3/4, " in pipe.lines[0]
