"""Named views of an experiment's table in MLflow's pages: which runs, sorted how, which columns.

MLflow keeps a saved view as a tag of the experiment; everybody finds it in the list "Views", and
a link opens it. What a page shows without one cannot be chosen.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from search.tracking.keys import BEST, KIND, NOTE

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
_WIDTH = 115
"""Pixels of a column that has no other width: what a number and most names need."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A saved view.

    Attributes:
        key: in links.
        name: for people.
        runs: which, in MLflow's filter language.
        by: the column that they are sorted by, the highest first.
        columns: from left to right.
    """

    key: str
    name: str
    runs: str
    by: str
    columns: tuple[str, ...]


TRIALS = View(
    key="trials",
    name="Trials, best first",
    runs=f"tags.`{KIND}` = 'trial'",
    by=f"metrics.`{BEST}`",
    columns=(
        f"metrics.`{BEST}`",
        "tags.`deeprec.rank`",
        "params.`layer_sizes`",
        "params.`embedding_dimension`",
        "params.`learning_rate`",
        "params.`parameter_count`",
        "metrics.`best_epoch`",
        "tags.`deeprec.state`",
    ),
)
TESTS = View(
    key="tests",
    name="Test rows: models and references",
    runs="metrics.`test_top_100_accuracy` >= 0",
    by="metrics.`test_top_100_accuracy`",
    columns=(
        "metrics.`test_top_100_accuracy`",
        "metrics.`test_top_100_accuracy_unseen`",
        "metrics.`test_recall_at_10`",
        "metrics.`test_ndcg_at_10`",
    ),
)
VIEWS = (TRIALS, TESTS)


def view_tags(study: str, experiment_id: str, created_ms: int) -> Mapping[str, str]:
    """The experiment's tags that make its views, and the note that leads to them.

    Args:
        study: the name of the study.
        experiment_id: MLflow's id of its experiment.
        created_ms: when the views are made, milliseconds since 1970.
    """
    return {
        NOTE: _note(study, experiment_id),
        **{_TAG + view.key: _saved(view, created_ms) for view in VIEWS},
    }


def width_of(column: str) -> int:
    """The pixels of a column."""
    return _WIDTHS.get(column, _WIDTH)


def view_path(view: View, experiment_id: str) -> str:
    """Where MLflow's pages show a view, to be put behind the server's address."""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={view.key}"


def _note(study: str, experiment_id: str) -> str:
    links = ", ".join(f"[{view.name}]({view_path(view, experiment_id)})" for view in VIEWS)
    return (
        f"Study `{study}`: {links}. Its parent run holds the result and the report; to compare "
        "trials, select some and press Compare."
    )


def _saved(view: View, created_ms: int) -> str:
    state = base64.b64encode(zlib.compress(json.dumps(_state(view)).encode(), 9)).decode()
    return json.dumps(
        {
            "name": view.name,
            "createdAt": created_ms,
            "updatedAt": created_ms,
            "state": f"deflate;{state}",
        }
    )


def _state(view: View) -> Mapping[str, object]:
    """The state as MLflow's pages write it; what they do not find there is as they come."""
    order = [_NAME, *view.columns, _DURATION, _CREATED]
    return {
        "searchFilter": view.runs,
        "orderByKey": view.by,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": order,
        "columnWidths": {column: width_of(column) for column in order},
    }
