"""Runs of trials written straight into MLflow's SQLite database, many in one transaction.

MLflow's client makes one run in five calls with some ten transactions; hundreds of trials that
MLflow lacks would take minutes. The tables are those of MLflow's own classes, and what is written
is what the client would have: a test compares the two.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlInput,
    SqlInputTag,
    SqlLatestMetric,
    SqlMetric,
    SqlParam,
    SqlRun,
    SqlTag,
)
from sqlalchemy import Connection, Engine, bindparam, create_engine, delete, insert, select
from sqlalchemy.pool import NullPool

from search.tracking.content import Measurement, RunContent
from search.tracking.names import PARENT, STUDY, TRIAL

Row: TypeAlias = Mapping[str, Any]


def insert_trials(
    database: Path, experiment_id: str, contents: Sequence[RunContent]
) -> dict[str, str]:
    """Insert the closed runs of trials, all of one study, with the data sets of its parent run.

    To be called while no other process makes runs that are missing. The contents have no
    artifacts.

    Returns:
        The id of each run by the trial's number, as its tag says it; of those that have a run by
        now, nothing was inserted.
    """
    with _engine(database).begin() as connection:
        taken = _numbers_taken(connection, contents[0].tags[STUDY])
        made = {uuid.uuid4().hex: each for each in contents if each.tags[TRIAL] not in taken}
        if made:
            root = connection.scalar(
                select(SqlExperiment.artifact_location).where(
                    SqlExperiment.experiment_id == int(experiment_id)
                )
            )
            for table, rows in _rows(made, int(experiment_id), str(root)).items():
                if rows:
                    connection.execute(insert(table), rows)
            _copy_inputs(connection, contents[0].tags[PARENT], list(made))
    return {content.tags[TRIAL]: run_id for run_id, content in made.items()}


def set_tags(database: Path, name: str, values: Mapping[str, str]) -> None:
    """Set one tag of many runs, by run id."""
    with _engine(database).begin() as connection:
        connection.execute(
            delete(SqlTag).where(SqlTag.key == name, SqlTag.run_uuid == bindparam("run")),
            [{"run": run_id} for run_id in values],
        )
        rows = [{"run_uuid": run, "key": name, "value": value} for run, value in values.items()]
        connection.execute(insert(SqlTag), rows)


def _engine(database: Path) -> Engine:
    return create_engine(f"sqlite:///{database}", poolclass=NullPool)


def _numbers_taken(connection: Connection, study: str) -> set[str]:
    """The numbers of the study's trials that have a run which is not deleted."""
    tag, run = cast("Any", SqlTag), cast("Any", SqlRun)
    of_study = (
        select(tag.run_uuid)
        .join(run, run.run_uuid == tag.run_uuid)
        .where(tag.key == STUDY, tag.value == study, run.lifecycle_stage == "active")
    )
    numbers = select(tag.value).where(tag.key == TRIAL, tag.run_uuid.in_(of_study))
    found: Sequence[Any] = connection.execute(numbers).all()
    return {str(number) for (number,) in found}


def _rows(made: Mapping[str, RunContent], experiment_id: int, root: str) -> dict[Any, list[Row]]:
    """What every table gets, in an order that its foreign keys allow."""
    rows: dict[Any, list[Row]] = {
        table: [] for table in (SqlRun, SqlTag, SqlParam, SqlMetric, SqlLatestMetric)
    }
    for run_id, content in made.items():
        rows[SqlRun].append(_run(run_id, content, experiment_id, root))
        rows[SqlTag] += _named(run_id, content.tags_over({}))
        rows[SqlParam] += _named(run_id, content.params)
        measurements = list(dict.fromkeys((*content.curve, *content.finals)))
        rows[SqlMetric] += [_metric(run_id, each) for each in measurements]
        in_order = sorted(measurements, key=lambda each: (each.step, each.timestamp_ms, each.value))
        latest = {each.metric: each for each in in_order}
        rows[SqlLatestMetric] += [_metric(run_id, each) for each in latest.values()]
    return rows


def _run(run_id: str, content: RunContent, experiment_id: int, root: str) -> Row:
    started_ms = content.started_ms or time.time_ns() // 1_000_000
    return {
        "run_uuid": run_id,
        "name": content.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": content.tags.get("mlflow.user", "unknown"),
        "status": content.status,
        "start_time": started_ms,
        "end_time": max(content.ended_ms or 0, started_ms),
        "source_version": "",
        "lifecycle_stage": "active",
        "artifact_uri": f"{root.rstrip('/')}/{run_id}/artifacts",
        "experiment_id": experiment_id,
    }


def _named(run_id: str, values: Mapping[str, str]) -> Iterator[Row]:
    return ({"run_uuid": run_id, "key": key, "value": value} for key, value in values.items())


def _metric(run_id: str, measurement: Measurement) -> Row:
    return {
        "run_uuid": run_id,
        "key": measurement.metric,
        "value": measurement.value,
        "timestamp": measurement.timestamp_ms,
        "step": measurement.step,
        "is_nan": False,
    }


def _copy_inputs(connection: Connection, parent: str, run_ids: Sequence[str]) -> None:
    """Give the runs the data sets that their parent has."""
    of_parent: Sequence[Any] = connection.execute(
        select(SqlInput.input_uuid, SqlInput.source_type, SqlInput.source_id).where(
            SqlInput.destination_type == "RUN", SqlInput.destination_id == parent
        )
    ).all()
    for input_id, source_type, source_id in of_parent:
        copies = {uuid.uuid4().hex: run_id for run_id in run_ids}
        source = {"source_type": source_type, "source_id": source_id, "destination_type": "RUN"}
        rows = [{"input_uuid": i, "destination_id": run, **source} for i, run in copies.items()]
        connection.execute(insert(SqlInput), rows)
        tags: Sequence[Any] = connection.execute(
            select(SqlInputTag.name, SqlInputTag.value).where(SqlInputTag.input_uuid == input_id)
        ).all()
        for name, value in tags:
            rows = [{"input_uuid": copy, "name": name, "value": value} for copy in copies]
            connection.execute(insert(SqlInputTag), rows)
