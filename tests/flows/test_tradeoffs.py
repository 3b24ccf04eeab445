"""A study of two objectives with limits: searched, resumed with others, confirmed."""

import json
import re

import pytest

from search.records.trials import front_of
from search.storage.trials import records
from tests.commands import Folder
from tests.tiny_study import tiny_study

pytestmark = pytest.mark.data

CHANGES = (  # so that few sizes differ, and that all seeds are better than chance
    ("= { low = 16, high = 16", "= { low = 4, high = 16"),
    ("high = 2 }\nwidth = { low = 16, high = 32", "high = 1 }\nwidth = { low = 16, high = 16"),
    ("epochs = 4\n", 'epochs = 4\nloss = "softmax"\nbatch_size = 64\n'),
)
OBJECTIVES = ("val_top_100_accuracy", "parameters")


def study(most: int) -> str:
    """The tiny study of two objectives, with a limit of parameters."""
    before, pruner, after = re.split(r"(\[pruner\][^\[]*)", tiny_study(*CHANGES))
    assert "median" in pruner
    return (
        f'{before}[objective]\nmetrics = ["top_accuracy@100", "parameters"]\n'
        f"[limits]\nparameters = {most}\nmegabytes = 90\nmilliseconds = 9_000\n{after}"
    )


def test_a_front_is_searched_resumed_with_other_limits_and_confirmed(real: Folder) -> None:
    real.study_file.write_text(study(1_000), encoding="utf-8")
    done = real.search("--trials", "1")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "1 trial: 0 complete, 1 pruned; 1 of them infeasible" in said
    assert "No trial is complete, so there is no best one" in said
    assert not any(trial.curve for trial in real.trials), "a training was paid for"
    nothing = real.run("search.retrain", "--study", "tiny")
    assert (nothing.returncode, "no complete trial yet" in nothing.stderr) == (2, True)

    real.study_file.write_text(study(10_000_000), encoding="utf-8")
    done = real.search("--trials", "4")
    assert done.returncode == 0, done.stderr
    trials = records(real.study, {"parameters": 10_000_000})
    complete = [trial for trial in trials if trial.state == "complete"]
    assert [trial.number for trial in complete] == [1, 2, 3], "the first is not tried again"
    assert all(trial.costs.keys() >= {"megabytes", "milliseconds"} for trial in complete)
    front = front_of(trials, OBJECTIVES)
    said = " ".join(done.stdout.split())
    found = re.findall(r"The Pareto front of accuracy and parameters has (\d+) trial", said)
    assert found == [str(len(front))]
    tags = {int(run.data.tags["deeprec.trial"]): run.data.tags for run in real.runs("trial")}
    assert [tags[number].get("deeprec.front") == "true" for number in sorted(tags)] == [
        trial in front for trial in trials
    ]

    done = real.run("search.retrain", "--study", "tiny", "--seeds", "2", "--promote")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(real.run("search.report", "--study", "tiny", "--json").stdout)
    contenders = report["confirmation"]["contenders"]
    assert {each["trial"] for each in contenders} == {None, *(trial.number for trial in front)}
    assert all(len(each["values"]) + each["collapsed"] == 2 for each in contenders)
    stable = [each for each in contenders if each["trial"] is not None and not each["collapsed"]]
    best = max(stable, key=lambda each: each["mean"])
    assert report["confirmation"]["winner"] == best["trial"]
    assert report["front"] == [trial.number for trial in front]
