"""``docs/reference/metrics.md``: what MLflow holds, by the code that decides it.

Every kind of run is made from records in which everything is set, by the functions that make real
ones. A name that they log and that has no meaning here is an error, and so is the opposite.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import get_args

import numpy as np

from deeprec.config import MetricName
from deeprec.evaluation.ranking import RankingMetrics
from deeprec.evaluation.references import CHOICES
from deeprec.training.train import tutorial_metric
from deeprec.training.validation import Evaluation
from search.analysis.noise import Sample
from search.analysis.verdict import Confirmed
from search.config.dimensions import DIMENSIONS, PowersOfTwo
from search.config.space import Configuration, parameters_of, readable
from search.confirmation.comparison import Confirmation
from search.confirmation.measuring import tutorial_contender
from search.execution.objective import derived_parameters
from search.execution.runtime import LIBRARIES
from search.records.results import (
    ConfirmationRecord,
    ReferenceRecord,
    RetrainRecord,
    UserResults,
    texts_of,
)
from search.records.trials import CurvePoint, TrialRecord
from search.tracking.content import (
    RunContent,
    confirmation_content,
    ranks_of,
    reference_content,
    retrain_content,
    study_content,
    trial_content,
)
from search.tracking.models import NOT_PROMOTED, PROMOTED, tags_of
from search.tracking.names import FRONT, RANK, TOWERS, TOWERS_FOLDER, WRITTEN
from tests.documentation.markdown import code, table
from tests.tiny_recommender import MOVIES, USERS
from tests.unit.search.tracking.support import CONTEXT

REFERENCES = tuple(CHOICES)

INTRODUCTION = """# What MLflow holds

One experiment a study. In it one run of kind `study`, the parent; a child run of kind `trial` for
every trial; and beside the parent runs of kind `reference`, `retrain`, `refresh` (the same on newer
data) and `confirmation`. The tag `deeprec.kind` says which. The registered model `deep-retrieval`
has a version for each confirmed winner.

All of it but the registry is a copy of the study's database: `python -m search.sync` makes it
again. All accuracies lie in 0 to 1. *Liked* rows have five stars, and one is *in the top 100*
where its movie is among the 100 highest scores of its user. *Seen* are the movies that a
user rated in the rows that were learned from. A metric by epoch has the epoch
as its step; the others have step 0. Values that are not finite are left out.

What decides which trial is better: `best_val_top_100_accuracy`. What the final model is worth:
`test_top_100_accuracy` of the runs of kind `retrain`, and its mean over the seeds in the run of
kind `confirmation`.
"""

LISTS = """## Metrics of lists

What `[objective]` of a study may name, each at any k: `ndcg@10` is `val_ndcg_at_10` of the
validation rows and `test_ndcg_at_10` of the test rows. All lie in 0 to 1. The list of a user holds
the k items with the highest scores; what the user has is left out unless `data.repeats` says
otherwise. Means are over users with a relevant item, each of whom counts alike; a test holds them
against trec_eval. The last four are of all lists together, each place counting alike. They say what
is shown and not whether it is wanted, and random lists do well by most of them, so they are only
reported (`also`) and refused as the objective, which is maximized.

Of the test rows the objective is also measured by parts, under names such as
`test_ndcg_at_10_unknown_users`: known and unknown users (with and without a row among those learned
from), `least_active_users` and `most_active_users` (a third of the known ones each),
`most_popular_items` and `least_popular_items` (the fewest and the most items that have a third of
these rows), `unknown_items`, and for each feature of `objective.slices` its values, such as
`region:north`, the rarer ones as `region:other`, none as `region:missing`.
"""

OF_LISTS = {
    "ndcg": "a hit gains 1 / log2(rank + 1), of what the best possible list gains (Burges et al. "
    "2005)",
    "recall": "hits, of as many as there could be: k, or the relevant items where they are fewer "
    "(Liang et al. 2018). trec_eval divides by all relevant items, and so does the `recall_at_10` "
    "that MovieLens has without an `[objective]`",
    "precision": "hits, of k",
    "hit": "whether there is a hit; trec_eval's success",
    "mrr": "1 / rank of the first hit; 0 without one",
    "map": "mean precision at each hit, of as many hits as there could be, as for recall",
    "top_accuracy": "of all relevant items of all users, the share that is in the lists; what "
    "users have is ranked, too",
    "coverage": "the share of the catalog that is in any list",
    "gini": "the Gini coefficient of exposure, in how many lists each item of the catalog is: 0 "
    "where all are in as many, near 1 where all lists hold the same few",
    "novelty": "the mean self-information of the places, -log2 of the share of users who have the "
    "item in the rows learned from (Zhou et al. 2010; Castells et al. 2015), over log2 of the "
    "number of these users: 0 for what all have, 1 for what one has or none. So it compares across "
    "data sets, and does not depend on the base",
    "popularity_percentile": "the mean over the places of the share of the catalog that fewer "
    "users have in the rows learned from, ties counting half: 0.5 for random lists of the whole "
    "catalog on average, near 1 for the most popular items",
}

ARTIFACTS = """## Artifacts

| run | artifact | what it is |
| --- | --- | --- |
| study | `study.toml` | the study file as it was read |
| study | `report.html` | the report, as it was after the last search or confirmation |
| trial that was the best so far, retrain of the first seed | `towers/` | the saved towers |
"""

METRICS = {
    "train_loss": "by epoch: the mean of the training loss over the rows, each before its step",
    "val_loss": "by validated epoch: the loss on the validation rows",
    "val_top_100_accuracy": "by validated epoch: liked validation rows in the top 100, "
    "seen movies ranked too",
    "val_top_100_accuracy_unseen": "the same, seen movies left out",
    "val_recall_at_10": "mean over users: liked movies in the top 10, seen movies left out",
    "val_ndcg_at_10": "mean over users: normalized gain of the top 10, seen movies left out, "
    "discounted by "
    "1 / log2(rank + 1)",
    "val_coverage_at_10": "share of the catalog that is in the top 10 of any user, seen movies "
    "left out",
    "val_top_20_share_at_10": "share of all these places that the 20 movies in most of them fill",
    "val_personalization_gain": "`val_top_100_accuracy` less what one list for all, by the mean of "
    "the users' scores, reaches; 0 where nothing is personal",
    "best_val_top_100_accuracy": "the highest `val_top_100_accuracy`; of a study its best trial's",
    "best_epoch": "the epoch of that value",
    "megabytes": "millions of bytes of the saved recommender, where the study limits them",
    "milliseconds": "the median time of a request to it, where the study limits that",
    "index_recall_at_10": "of the ten best items of known users, the share that the index finds; "
    "of the model that is served, where it has one, as below",
    "index_milliseconds": "the median time of a request to it, answered from the index",
    "exact_milliseconds": "the same where all items are scored",
    "train_seconds": "building, compiling, training, validating; not what the search costs",
    "trials_complete": "how many trials are complete",
    "trials_pruned": "how many were pruned",
    "trials_diverged": "how many diverged",
    "trials_failed": "how many failed",
    "trials_interrupted": "how many were interrupted",
    "test_top_100_accuracy": "the same accuracy on the test rows",
    "test_top_100_accuracy_unseen": "the same, seen movies left out",
    "test_recall_at_10": "recall of the test rows, seen movies left out",
    "test_ndcg_at_10": "nDCG of the test rows, seen movies left out",
    "test_coverage_at_10": "coverage of the catalog by the top tens, seen movies left out",
    "test_top_20_share_at_10": "share of the 20 movies in most top tens, seen movies left out",
    "test_personalization_gain": "the same gain on the test rows",
    "val_top_100_accuracy_mean": "the winner's mean over the seeds",
    "val_top_100_accuracy_std": "its standard deviation; not for a single seed",
    "TEST_METRIC_mean": "the winner's mean over the seeds of each metric of the test rows",
    "TEST_METRIC_std": "its standard deviation: another seed; not for a single seed",
    "TEST_METRIC_users_error": "its standard error over users: another sample of users; of the "
    "objective and, of MovieLens, of both accuracies",
    "above_REFERENCE_TEST_METRIC": "how much higher the winner's mean is than a reference",
    "above_REFERENCE_TEST_METRIC_low": "from where the 95 % interval of that difference reaches, "
    "over other seeds and other samples of users",
    "above_REFERENCE_TEST_METRIC_high": "to where it reaches",
    "tutorial_val_top_100_accuracy_mean": "the same mean of the study's reference; `reference_...` "
    "where that is not the tutorial's (32,)",
    "search_minus_validation": "what the search saw, less the winner's mean: its luck",
    "search_minus_test": "what the search saw, less the winner's mean on the test rows",
    "REFERENCE_TEST_METRIC": "each metric of the test rows of each reference",
}

PARAMS = {
    "seed": "of the study; of a trial or re-training the seed derived for it",
    "space_hash": "SHA-256 of what makes trials comparable: data, training, space, metric",
    "data": "the data set",
    "split": "how it is divided",
    "train_rows": "rows to train on",
    "validation_rows": "rows to select by",
    "depth": "dense layers of a tower",
    "output_width": "width of the last layer, the dimension of the final embedding",
    "hidden_width_N": "width of the Nth layer before it, counted from the output",
    **{
        each.name: each.meaning[:1].lower()
        + each.meaning[1:]
        + ("" if each.default else "; if the space varies it")
        for each in DIMENSIONS
    },
    "layer_sizes": "the widths as text, input to output",
    "parameter_count": "numbers that both towers learn",
    "epochs": "passes over the rows trained on",
    "days": "of the reference `recent_popularity`: how many of the last count",
    "damping": "of the reference `damped_mean`",
    "penalty": "of the references `ease` and `ials`: times the squares of what they learn",
    "neighbors": "of the reference `item_knn`: items that count for an item",
    "shrinkage": "of the same: the larger, the less counts what few have in common",
    "dimension": "of the reference `ials`: of its vectors",
    "unobserved": "of the same: weight of what a user has not rated",
    "l1": "of the reference `slim`: times the sum of its weights",
}

TAGS = {
    "deeprec.kind": "study, trial, reference, retrain, refresh or confirmation",
    "deeprec.study": "the identity of the study, which tells it from another of the same name",
    "deeprec.data_fingerprint": "SHA-256 of all that decides the data's contents",
    "deeprec.version.LIBRARY": f"the version of {', '.join(LIBRARIES)}",
    "deeprec.study_name": "its name, whatever the experiment is called",
    "deeprec.computed_on.WHAT": "what decides how sums are rounded: `device` (on a CPU the "
    "processor's name), `threads` of a CPU, and `matmul_precision` and `xla_flags` where the "
    "user has set them",
    "deeprec.trials": "how many finished trials the study shall have",
    "deeprec.state": "running, complete, interrupted or failed; a trial also pruned or diverged",
    "deeprec.front": "`true` on the Pareto front of a study of several objectives, `false` where a "
    "trial was; written when a search ends",
    "deeprec.rank": "the place by value of the best hundred trials; written when a search ends",
    "deeprec.written": "digests of name and note as they were written: what a person edits stays",
    "deeprec.best_trial": "the number of the best trial",
    "deeprec.best_run_id": "its run",
    "deeprec.best_parameters": "its parameters, as text",
    "deeprec.trial": "the number of the trial",
    "deeprec.pruned_at_epoch": "after which epoch it was pruned",
    "deeprec.reason": "why it failed or was interrupted",
    "deeprec.infeasible": "which limits of the study it is above, and by what",
    "deeprec.reference": "the name of the enqueued configuration that it is",
    "deeprec.retry_of": "the interrupted trial that it runs again",
    "deeprec.taken_over": "study and number of the trial that it is, where it was taken over",
    "oom": "`true` where it ran out of memory",
    "deeprec.source_trial": "the trial whose configuration was trained again",
    "deeprec.seed": "the seed of this training",
    "deeprec.epochs": "its epochs",
    "deeprec.towers": "where among the artifacts the towers are",
    "deeprec.reference_name": (
        f"{', '.join(REFERENCES)}; with `_unseen` behind it where other settings are best with "
        "seen movies removed"
    ),
    "mlflow.parentRunId": "the study's run",
    "mlflow.note.content": "the run in words",
    "mlflow.user": "who started it",
    "mlflow.source.name": "the command",
    "mlflow.source.type": "always LOCAL",
    "mlflow.source.git.commit": "the commit of the checkout, with `-dirty` where files differ",
}

VERSION_TAGS = {
    "test_top_100_accuracy": "what it is worth, for people: mean and deviation over the seeds; of "
    "other data the study's objective",
    "deeprec.test_metric": "the metric of the test rows that was measured",
    "deeprec.test_accuracy_mean": "its mean over the seeds",
    "deeprec.test_accuracy_deviation": "its standard deviation; not for a single seed",
    "deeprec.test_by_user": "its mean over the seeds of each user, or of 256 groups of them",
    "deeprec.seeds": "how many seeds",
    "deeprec.data_fingerprint": "the data that it was tested on; others are not compared",
    "deeprec.split": "the split that it was tested on",
    "deeprec.trained_until": "the latest time of the rows that it was trained on: since 1970, "
    "seconds of MovieLens, else microseconds",
    PROMOTED: "why it became the champion",
    NOT_PROMOTED: "why it did not",
}


def page() -> str:
    """The page as Markdown."""
    runs = sample_runs()
    parts = [
        _section("Metrics", {k: c.latest for k, c in runs.items()}, METRICS),
        _section("Parameters", {k: c.params for k, c in runs.items()}, PARAMS),
        _section("Tags", {k: {**c.tags, WRITTEN: ""} for k, c in runs.items()}, TAGS),
        _section("Tags of a model's version", {"version": _version_tags()}, VERSION_TAGS),
    ]
    return "\n".join([INTRODUCTION, *parts[:1], _lists(), *parts[1:], ARTIFACTS])


def _section(title: str, logged: Mapping[str, Iterable[str]], meanings: Mapping[str, str]) -> str:
    kinds: dict[str, list[str]] = {}
    for kind, names in logged.items():
        for name in sorted({_general(name) for name in names}):
            kinds.setdefault(name, []).append(kind)
    check_names(title, kinds, meanings)
    rows = [(code(name), ", ".join(kinds[name]), text) for name, text in meanings.items()]
    return f"## {title}\n\n{table(('name', 'runs', 'meaning'), rows)}\n"


def _lists() -> str:
    check_names("Metrics of lists", get_args(MetricName), OF_LISTS)
    rows = [(code(f"{name}@k"), text) for name, text in OF_LISTS.items()]
    return f"{LISTS}\n{table(('name', 'meaning'), rows)}\n"


def check_names(title: str, logged: Iterable[str], meanings: Mapping[str, str]) -> None:
    """Refuses names that are logged and not explained, or explained and not logged."""
    unknown, unlogged = sorted(set(logged) - set(meanings)), sorted(set(meanings) - set(logged))
    if unknown or unlogged:
        raise LookupError(
            f"{title} in tests/documentation/metrics.py: without a meaning {unknown}, "
            f"not logged {unlogged}"
        )


def _general(name: str) -> str:
    """The name with what varies replaced by a word in capitals."""
    rules = {
        r"^hidden_width_\d+$": "hidden_width_N",
        r"^deeprec\.version\..+$": "deeprec.version.LIBRARY",
        r"^deeprec\.computed_on\..+$": "deeprec.computed_on.WHAT",
        rf"^({'|'.join(REFERENCES)})_test_\w+$": "REFERENCE_TEST_METRIC",
        r"^above_\w+?_test_\w+?(_low|_high)?$": r"above_REFERENCE_TEST_METRIC\1",
        r"^test_\w+_(mean|std|users_error)$": r"TEST_METRIC_\1",
    }
    for pattern, general in rules.items():
        name = re.sub(pattern, general, name)
    return name


def sample_runs() -> Mapping[str, RunContent]:
    """A run of every kind in which everything is set, by kind."""
    trial = _trial()
    trials = [trial, replace(trial, number=1, state="failed", out_of_memory=True)]
    pruned = replace(trial, state="pruned", pruned_at_epoch=5, infeasible="9 MB (limit 8)")
    contents = [trial_content(each, CONTEXT, "parent") for each in (*trials, pruned)]
    tags = {name: text for each in contents for name, text in each.tags.items()}
    towers = {TOWERS: TOWERS_FOLDER}
    reference = ReferenceRecord(
        name=REFERENCES[0],
        parameters={name: 1.0 for each in CHOICES.values() for name in each[0]},
        metrics={**_ranking("val"), **_ranking("test")},
        measured_ms=1,
    )
    again = RetrainRecord(
        trial=0,
        parameters=trial.parameters,
        derived={name: trial.derived[name] for name in ("layer_sizes", "parameter_count")},
        epochs=5,
        seed=7,
        curve=(CurvePoint(epoch=1, timestamp_ms=1, metrics={"train_loss": 0.1}),),
        metrics=_ranking("test"),
        users=texts_of({"top_100_accuracy": (np.zeros(2), np.ones(2))}, "test"),
        index={
            "index_recall_at_10": 0.99,
            "index_milliseconds": 1.0,
            "exact_milliseconds": 9.0,
        },
        started_ms=1,
        ended_ms=2,
        computed_on=trial.computed_on,
    )
    retrained = retrain_content(again, CONTEXT)
    return {
        "study": study_content(CONTEXT, trials, state="complete", best_run_id="best"),
        "trial": replace(
            contents[0], tags={**tags, **towers, FRONT: "true", RANK: ranks_of(trials)[0]}
        ),
        "reference": reference_content(reference, CONTEXT),
        "retrain": replace(retrained, tags={**retrained.tags, **towers}),
        "confirmation": confirmation_content(_confirmed(trial, again), CONTEXT),
    }


def _ranking(split: str) -> dict[str, float]:
    kept = ("by_user", "slices")
    names = [each.name for each in fields(RankingMetrics) if each.name not in kept]
    return RankingMetrics(**dict.fromkeys(names, 0.5)).named(split)  # type: ignore[arg-type]


def _trial() -> TrialRecord:
    configuration = Configuration(
        layer_sizes=(64, 32),
        values={each.name: 32 if each.kind is PowersOfTwo else 0.1 for each in DIMENSIONS},
    )
    metrics = {
        "train_loss": 0.1,
        **Evaluation(loss=0.1, values={tutorial_metric(100): 0.5}).named("val"),
    }
    return TrialRecord(
        number=0,
        state="complete",
        parameters=readable(parameters_of(configuration)),
        derived=derived_parameters(configuration.model_config(), USERS, MOVIES, 7),
        value=0.5,
        best_epoch=5,
        costs={"megabytes": 9.0, "milliseconds": 2.0},
        reason="a reason",
        reference="a reference",
        retry_of=0,
        taken_over="tutorial/0",
        curve=(CurvePoint(epoch=5, timestamp_ms=1, metrics=metrics),),
        started_ms=1,
        ended_ms=2,
        computed_on={"device": "a processor", "threads": "2"},
        train_seconds=1.0,
    )


def _confirmed(trial: TrialRecord, again: RetrainRecord) -> ConfirmationRecord:
    tutorial, sample = tutorial_contender(), Sample((0.4, 0.5))
    confirmation = Confirmation(
        validated=((replace(tutorial, key="trial", trial=trial), sample), (tutorial, sample)),
        tested=((again, None), (again, None)),
        references=[
            ReferenceRecord(name=name, parameters={}, metrics=_ranking("test"), measured_ms=1)
            for name in REFERENCES
        ],
    )
    return ConfirmationRecord(
        trial=0, name="trial 0", metrics=confirmation.metrics, lines=("A line.",), confirmed_ms=1
    )


def _version_tags() -> Mapping[str, str]:
    worth = Confirmed(
        mean=0.5,
        deviation=0.1,
        seeds=5,
        data_fingerprint="01ab",
        split="random",
        users=UserResults(np.zeros(2), np.ones(2)),
        trained_until=0,
    )
    return {**tags_of(worth), PROMOTED: "", NOT_PROMOTED: ""}
