"""MLflow's client, reduced to what tracking needs; :mod:`.bulk` is the other way to runs.

Everything goes through ``MlflowClient`` with an explicit URI: no global state, no active run.
:func:`search.tracking.destination.prepare_environment` comes before the import of this module.
"""

import errno
import json
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient, entities
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.entities import PagedList
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from search.config.addresses import mask
from search.records.errors import InputError
from search.records.trials import TUTORIAL_OBJECTIVE
from search.tracking.bulk import insert_trials, set_tags
from search.tracking.content import Measurement, RunContent, Status, StoredRun
from search.tracking.destination import Destination, address_here
from search.tracking.names import KIND, NOTE, STUDY, StudyContext, view_tags

Entity = TypeVar("Entity")

_PAGE = 1000  # runs a request
_LONGEST_DIGEST = 36  # MLflow's limit
_LONGEST_NAME = 200  # of a file, in bytes; file systems allow 255


def make_database(path: Path, artifacts: Path) -> None:
    """Makes an SQLite database of MLflow, by its hundred migrations, and closes it.

    The artifacts are those of experiments that name no folder.
    """
    store = SqlAlchemyStore(f"sqlite:///{path}", str(artifacts))  # type: ignore[no-untyped-call]
    store.engine.dispose()


class Store:
    """The runs of one MLflow server or database.

    Every method may raise what mlflow raises; :func:`explain` makes a line of it.

    ``warn`` takes one line, once, when the artifact store refuses files.
    """

    def __init__(
        self, destination: Destination, warn: Callable[[str], None] = lambda _line: None
    ) -> None:
        self.refuses_artifacts = False  # whether it did; no more files are sent to it
        self._client = MlflowClient(tracking_uri=destination.uri)
        self._destination = destination
        self._warn = warn

    def find_experiment(self, name: str, key: str) -> str | None:
        """The id of a study's experiment: of the one that holds its run, else of its name.

        A person who renames an experiment keeps it. The key is the study's, see
        :class:`~search.tracking.names.StudyContext`. None where there is none.

        Raises:
            InputError: it was deleted, and MLflow keeps its name.
        """
        named = self._client.get_experiment_by_name(name)
        if named is None or not self._holding(key, [named]):
            every = _all(
                lambda token: self._client.search_experiments(
                    view_type=entities.ViewType.ALL, max_results=_PAGE, page_token=token
                )
            )
            holding = self._holding(key, every)
            active = [each for each in holding if each.lifecycle_stage == "active"]
            named = next(iter([*active, *holding]), named)
        if named is not None and named.lifecycle_stage != "active":
            raise InputError(
                f"MLflow's experiment {named.name!r} was deleted; restore it with `mlflow "
                f"experiments restore --experiment-id {named.experiment_id}`, or give the study "
                "another name"
            )
        return None if named is None else str(named.experiment_id)

    def experiment(self, name: str, key: str, objective: str = TUTORIAL_OBJECTIVE) -> str:
        """The same, made if there is none; it has its views."""
        found = self.find_experiment(name, key)
        if found is None:
            root = self._destination.artifacts
            with suppress(MlflowException):  # another machine was faster: it exists now
                self._client.create_experiment(
                    name,
                    artifact_location=None if root is None else (root / _file_name(name)).as_uri(),
                    # This one saves a question in the UI.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            found = self.find_experiment(name, key)
        if found is None:
            raise InputError(f"MLflow's experiment {name!r} could neither be found nor made")
        self._add_views(name, found, objective)
        return found

    def _holding(
        self, key: str, experiments: Sequence[entities.Experiment]
    ) -> list[entities.Experiment]:
        """Those of the experiments that hold the run of a study, deleted or not."""
        if not experiments:
            return []
        runs = self._client.search_runs(
            [each.experiment_id for each in experiments],
            _with_tags({STUDY: key, KIND: "study"}),
            run_view_type=entities.ViewType.ALL,
        )
        holding = {run.info.experiment_id for run in runs}
        return [each for each in experiments if each.experiment_id in holding]

    def _add_views(self, name: str, experiment_id: str, objective: str) -> None:
        """Add the views once, and the note where there is none: what the user makes of them stays.

        An experiment that has one of the views had all of them.
        """
        stored = self._client.get_experiment(experiment_id).tags
        wanted = view_tags(name, experiment_id, time.time_ns() // 1_000_000, objective)
        if not (wanted.keys() - {NOTE}) & stored.keys():
            for tag in wanted.keys() - stored.keys():
                self._client.set_experiment_tag(experiment_id, tag, wanted[tag])

    def get_run(self, run_id: str) -> StoredRun:
        """A run by its id."""
        return _stored(self._client.get_run(run_id))

    def experiment_of(self, run_id: str) -> tuple[str, str]:
        """The id and the name of a run's experiment."""
        experiment_id = self._client.get_run(run_id).info.experiment_id
        return experiment_id, self._client.get_experiment(experiment_id).name

    def last_step(self, run_id: str, metric: str) -> int:
        """The last step of a metric; 0 where it has none."""
        return max((m.step for m in self._client.get_metric_history(run_id, metric)), default=0)

    def text_of(self, run_id: str, artifact: str) -> str:
        """A small text file among the artifacts."""
        with tempfile.TemporaryDirectory() as folder:
            repository = get_artifact_repository(
                self._artifacts_of(run_id), tracking_uri=self._destination.uri
            )
            path = repository.download_artifacts(artifact, folder)  # type: ignore[no-untyped-call]
            return Path(path).read_text(encoding="utf-8")

    def find_runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[StoredRun]:
        """The runs with these tags, oldest first: a request for every thousand."""
        found = _all(
            lambda token: self._client.search_runs(
                [experiment_id],
                _with_tags(tags),
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        )
        return [_stored(run) for run in found]

    @property
    def takes_many(self) -> bool:
        """Whether many runs can be made at once: in a database, not on a server."""
        return self._destination.database is not None

    def create_run(self, experiment_id: str, content: RunContent, started_ms: int) -> str:
        """A new run with the content's name and tags; its status is RUNNING."""
        run = self._client.create_run(
            experiment_id,
            start_time=started_ms,
            tags=content.tags_over({}),
            run_name=content.name,
        )
        return str(run.info.run_id)

    def create_trials(self, experiment_id: str, contents: Sequence[RunContent]) -> dict[str, str]:
        """The closed runs of trials in one step, where it takes many; see :mod:`.bulk`."""
        assert self._destination.database is not None
        return insert_trials(self._destination.database, experiment_id, contents)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, str] | None = None,
        metrics: Iterable[Measurement] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log all of it in one request; what is stored already stays as it is."""
        self._client.log_batch(
            run_id,
            metrics=[entities.Metric(m.metric, m.value, m.timestamp_ms, m.step) for m in metrics],
            params=[entities.Param(name, value) for name, value in (params or {}).items()],
            tags=[entities.RunTag(name, value) for name, value in (tags or {}).items()],
        )

    def tag_runs(self, name: str, values: Mapping[str, str]) -> None:
        """Set one tag of some runs, by run id."""
        if self._destination.database is not None and values:
            set_tags(self._destination.database, name, values)
            return
        for run_id, value in values.items():
            self._client.set_tag(run_id, name, value)

    def log_inputs(self, run_id: str, context: StudyContext) -> None:
        """Log the parts of the data set as inputs of the run."""
        self._client.log_inputs(
            run_id, datasets=[_input(context, part, rows) for part, rows in context.rows.items()]
        )

    def reopen(self, run_id: str) -> None:
        """Set a run's status to RUNNING."""
        self._client.update_run(run_id, status="RUNNING")

    def close(self, run_id: str, status: Status, ended_ms: int | None) -> None:
        """Set a run's final status and end (milliseconds since 1970; None is now)."""
        self._client.set_terminated(run_id, status, ended_ms)

    def delete(self, run_id: str) -> None:
        """Move a run to MLflow's trash, from where it can be restored."""
        self._client.delete_run(run_id)

    def upload(self, run_id: str, name: str, content: bytes) -> bool:
        """Store a small file as an artifact; returns whether it is there."""
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, name).write_bytes(content)
            return self.upload_files(run_id, [Path(folder, name)])

    def upload_files(self, run_id: str, paths: Sequence[Path], folder: str | None = None) -> bool:
        """Store files as artifacts, unless their store refuses them; an outage is raised."""
        if self.refuses_artifacts:
            return False
        uri = self._artifacts_of(run_id)
        try:
            if not self.takes_many:
                _check_folder_of_server(uri)
            repository = get_artifact_repository(uri, tracking_uri=self._destination.uri)
            for path in paths:
                repository.log_artifact(str(path), folder)  # type: ignore[no-untyped-call]
        except Exception as error:
            if is_outage(error):
                raise
            self.refuses_artifacts = True
            self._warn(
                f"MLflow takes no files from here ({mask(uri)}: {mask(_first_line(error, 200))}). "
                "Parameters and metrics are tracked, but no towers, no report and no registered "
                "model; once files can be stored, search.sync adds towers and report, and "
                "search.retrain the model"
            )
        return not self.refuses_artifacts

    def _artifacts_of(self, run_id: str) -> str:
        """Where a run's artifacts are; beside a database that was moved and cannot be written."""
        uri = str(self._client.get_run(run_id).info.artifact_uri)
        database = self._destination.database
        return uri if database is None else address_here(uri, database)


def explain(error: BaseException, destination: Destination) -> str:
    """An exception of a :class:`Store` as one short line for people, secrets masked."""
    where = destination.shown
    for cause in _chain(error):
        if isinstance(cause, TimeoutError):
            return f"{where} does not answer"
        if isinstance(cause, ConnectionError | socket.gaierror):
            return f"{where} cannot be reached ({cause.strerror or 'the connection broke'})"
    return mask(f"{where}: {_first_line(error, 300)}")


def is_refusal(error: BaseException) -> bool:
    """Whether a server answered that it will not do this, now or later."""
    refusals = (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
    )
    if not isinstance(error, MlflowException):
        return False
    return error.get_http_status_code() in refusals  # type: ignore[no-untyped-call]


def is_outage(error: BaseException) -> bool:
    """Whether what failed to store a file may work later on: no answer, or no room on the disk."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    return any(
        isinstance(cause, TimeoutError | ConnectionError | socket.gaierror)
        or (isinstance(cause, OSError) and cause.errno in full)
        for cause in _chain(error)
    )


def _check_folder_of_server(uri: str) -> None:
    """Refuse a folder that a server names and that is not on this machine's disk."""
    folder = _local_folder(uri)
    if folder is not None and len(folder.parents) > 3:  # ROOT/EXPERIMENT/RUN/artifacts
        root = folder.parents[2]
        if not root.is_dir() and not root.parent.is_dir():
            raise FileNotFoundError(f"{root} is a folder of the server, not of this machine")


def _first_line(error: BaseException, longest: int) -> str:
    lines = str(error).strip().splitlines() or [""]
    return (lines[0] or type(error).__name__)[:longest]


def _chain(error: BaseException) -> Iterable[BaseException]:
    """An exception with its causes; urllib3 keeps some of them among its arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            inner = (each.__cause__ or each.__context__, *each.args)
            waiting += [cause for cause in inner if isinstance(cause, BaseException)]


def _all(search: Callable[[str | None], PagedList[Entity]]) -> list[Entity]:
    found: list[Entity] = []
    token: str | None = None
    while True:
        page = search(token)
        found += page
        token = page.token
        if not token:
            return found


def _stored(run: entities.Run) -> StoredRun:
    return StoredRun(
        run_id=run.info.run_id,
        status=run.info.status,
        params=run.data.params,
        latest=run.data.metrics,
        tags=run.data.tags,
        has_inputs=bool(run.inputs and run.inputs.dataset_inputs),
        started_ms=run.info.start_time,
        folder=_local_folder(run.info.artifact_uri),
    )


def _local_folder(uri: str) -> Path | None:
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _input(context: StudyContext, part: str, rows: int) -> entities.DatasetInput:
    """A part of the data; its digest names the part, for MLflow keeps one input a digest."""
    purpose = {"train": "training"}.get(part, part)
    suffix = f"-{purpose}"
    dataset = entities.Dataset(
        name=context.data_name,
        digest=context.data_fingerprint[: _LONGEST_DIGEST - len(suffix)] + suffix,
        source_type="local",
        source=json.dumps({"uri": mask(context.data_source)}),
        profile=json.dumps({"num_rows": rows, "split": context.split}),
    )
    return entities.DatasetInput(dataset, [entities.InputTag("mlflow.data.context", purpose)])


def _with_tags(tags: Mapping[str, str]) -> str:
    """A filter in MLflow's language, which knows no escapes but two kinds of quotes."""
    quotes = {name: '"' if "'" in value else "'" for name, value in tags.items()}
    return " and ".join(
        f"tags.`{name}` = {quotes[name]}{value}{quotes[name]}" for name, value in tags.items()
    )


def _file_name(text: str) -> str:
    """A name for a file or a folder, which leads to no other folder and is not hidden."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", text)[:_LONGEST_NAME]
    return re.sub(r"^\.*$|^\.+", lambda dots: "_" * max(1, len(dots[0])), safe)
