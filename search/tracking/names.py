"""What runs carry about their study: names of tags, metrics and saved views, and a run read again.

MLflow keeps a saved view of an experiment's table as a tag of the experiment: it is in the list
"Views" of every user, and a link opens it. What a page shows without one cannot be chosen.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from search.records.errors import InputError
from search.records.trials import TUTORIAL_OBJECTIVE


def best_metric(objective: str) -> str:
    """The metric that trials are compared by, on child runs and on the parent."""
    return f"best_{objective}"


STUDY_NAME = "deeprec.study_name"  # tag of a study's run; its experiment may have been renamed

KIND, STUDY, TRIAL, TOWERS = "deeprec.kind", "deeprec.study", "deeprec.trial", "deeprec.towers"
SOURCE_TRIAL, REFERENCE = "deeprec.source_trial", "deeprec.reference_name"
SEED, EPOCHS = "deeprec.seed", "deeprec.epochs"
WRITTEN = "deeprec.written"
"""Tag of a run: digests of its name and its note as they were written last."""

PARENT, NOTE, RUN_NAME = "mlflow.parentRunId", "mlflow.note.content", "mlflow.runName"

FRONT = "deeprec.front"  # tag of a trial: ``true`` where it is on the Pareto front, else ``false``
RANK = "deeprec.rank"  # tag of a complete trial: its place among them by value, from 1

TOWERS_FOLDER = "towers"  # the folder of a run's artifacts that holds its towers


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """A study as its runs describe it."""

    name: str  # of the study, and of its MLflow experiment
    spec_text: str  # the study file, kept as the artifact ``study.toml``
    space_hash: str
    seed: int
    trials: int  # how many finished trials the study shall have
    data_name: str  # the data set, such as ``movielens/100k``
    data_fingerprint: str  # of the prepared data
    data_source: str  # where the data came from, in words or as an address
    split: str
    # number of rows by part, such as ``{"train": 70000, "validation": 10000}``; empty where they
    # are not known
    rows: Mapping[str, int]
    git_commit: str | None  # of the code; None outside of a repository
    versions: Mapping[str, str]
    next_command: str  # what a person would run next, shown in the parent's note
    # what tells this study from another of the same name, such as one in a storage that was deleted
    # since: any text kept with the study. Without it the name has to do, and a study that starts
    # over would find the runs of its predecessor.
    identity: str = ""
    # what the split loses, see :data:`search.analysis.slices.Counts`; empty where that is unknown
    overlap: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    objective: str = TUTORIAL_OBJECTIVE  # its name among the metrics of the validation rows
    objectives: Sequence[str] = ()  # all, that one first, where there are several
    registered_model: str = "deep-retrieval"  # MovieLens's; of other data the study has its own

    @property
    def key(self) -> str:
        """The value of the tag ``deeprec.study`` by which the study finds its runs."""
        return self.identity or self.name


_TAG = "mlflow.sharedViewState."
_NAME, _CREATED, _DURATION = "attributes.`Run Name`", "runDateAndNestInfo", "duration"
_WIDTHS: Mapping[str, int] = {
    _NAME: 190,
    _CREATED: 140,
    "params.`layer_sizes`": 150,
    # Two names with one beginning, which would read the same if they were cut off.
    "metrics.`test_top_100_accuracy`": 210,
    "metrics.`test_top_100_accuracy_unseen`": 265,
}


@dataclass(frozen=True, kw_only=True)
class View:
    """A saved view."""

    key: str  # in links
    name: str
    runs: str  # which, in MLflow's filter language
    # from left to right, by MLflow's names, which are all that its pages show; the first one sorts
    # the runs, the highest first
    columns: tuple[str, ...]


TRIAL_COLUMNS = (
    "tags.`deeprec.rank`",
    "params.`layer_sizes`",
    "params.`embedding_dimension`",
    "params.`learning_rate`",
    "params.`parameter_count`",
    "metrics.`best_epoch`",
    "tags.`deeprec.state`",
)
MOVIELENS_TESTS = (
    "test_top_100_accuracy",
    "test_top_100_accuracy_unseen",
    "test_recall_at_10",
    "test_ndcg_at_10",
)


def views_of(objective: str) -> tuple[View, View]:
    """The views of a study with such an objective: its trials, and what was tested."""
    tested = objective.replace("val_", "test_", 1)
    metrics = MOVIELENS_TESTS if objective == TUTORIAL_OBJECTIVE else (tested,)
    trials = View(
        key="trials",
        name="Trials, best first",
        runs=f"tags.`{KIND}` = 'trial'",
        columns=(f"metrics.`{best_metric(objective)}`", *TRIAL_COLUMNS),
    )
    tests = View(
        key="tests",
        name="Test rows: models and references",
        runs=f"metrics.`{tested}` >= 0",
        columns=tuple(f"metrics.`{name}`" for name in metrics),
    )
    return trials, tests


TRIALS, TESTS = VIEWS = views_of(TUTORIAL_OBJECTIVE)
"""The views of MovieLens's studies."""


def view_tags(
    study: str, experiment_id: str, created_ms: int, objective: str = TUTORIAL_OBJECTIVE
) -> Mapping[str, str]:
    """The experiment's tags that make its views, and the note that links to them."""
    views = views_of(objective)
    links = ", ".join(f"[{view.name}]({view_path(view, experiment_id)})" for view in views)
    note = (
        f"Study `{study}`: {links}. Its parent run holds the result and the report; to compare "
        "trials, select some and press Compare."
    )
    return {NOTE: note, **{_TAG + view.key: _saved(view, created_ms) for view in views}}


def width_of(column: str) -> int:
    """The pixels of a column: what a number and most names need, unless it is listed."""
    return _WIDTHS.get(column, 115)


def view_path(view: View, experiment_id: str) -> str:
    """Where MLflow's pages show a view, to be put behind the server's address."""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={view.key}"


def _saved(view: View, created_ms: int) -> str:
    """A view as MLflow's pages write it."""
    order = [_NAME, *view.columns, _DURATION, _CREATED]
    state = {
        "searchFilter": view.runs,
        "orderByKey": view.columns[0],
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": order,
        "columnWidths": {column: width_of(column) for column in order},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    return json.dumps(
        {
            "name": view.name,
            "createdAt": created_ms,
            "updatedAt": created_ms,
            "state": f"deflate;{packed}",
        }
    )


LoggedKind = Literal["trial", "retrain"]

FINGERPRINT = "deeprec.data_fingerprint"
VERSION = "deeprec.version."
COMPUTED_ON = "deeprec.computed_on."
"""How the tags begin that say what decided how sums were rounded."""

THREADS = "threads"

_IN_WORDS = {
    "device": "the device",
    THREADS: "the number of threads",
    "matmul_precision": "JAX_DEFAULT_MATMUL_PRECISION",
    "xla_flags": "XLA_FLAGS",
}


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A trial's run, or that of a re-training."""

    run_id: str
    name: str
    study: str
    kind: LoggedKind
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    epochs: int  # the last epoch it trained
    spec_text: str  # the study file of its study

    @property
    def seed(self) -> int:
        """The seed of the training; InputError where the run has none."""
        try:
            return int(self.params["seed"])
        except (KeyError, ValueError):
            raise InputError(f"run {self.run_id} cannot be reproduced: it has no seed") from None

    @property
    def computed_on(self) -> Mapping[str, str]:
        """What decided how its sums were rounded; empty for runs of version 0.1.0."""
        return {
            name.removeprefix(COMPUTED_ON): value
            for name, value in self.tags.items()
            if name.startswith(COMPUTED_ON)
        }

    def changes(
        self, fingerprint: str, versions: Mapping[str, str], computed_on: Mapping[str, str]
    ) -> list[str]:
        """What is not as it was when the run was made, a sentence each."""
        found = []
        before = self.tags.get(FINGERPRINT, "unknown")
        if before != fingerprint:
            found.append(f"the prepared data set was {before[:12]}, is {fingerprint[:12]}")
        for name in sorted(versions):
            was = self.tags.get(VERSION + name)
            if was is not None and was != versions[name]:
                found.append(f"{name} was {was}, is {versions[name]}")
        before_on = self.computed_on
        for name in _IN_WORDS if before_on else ():
            was, now = (each.get(name, "not set") for each in (before_on, computed_on))
            if was != now:
                found.append(f"{_IN_WORDS[name]} was {was}, is {now}")
        return found
