"""A study as an object of Python: searched, looked at, confirmed, reported and asked.

What :class:`Study` does is what the commands do; they are flags around it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deeprec.config import INDEX_FROM
from search.config.addresses import Workspace, check_address
from search.config.reading import Placement, load_spec, override, spec_of_content
from search.config.study import StudySpec
from search.execution.runtime import join_process, prepare_runtime
from search.records.errors import InputError, Interrupted, SearchFailedError
from search.records.trials import TrialRecord, best_of, front_of
from search.scheduling import GRACE_SECONDS

if TYPE_CHECKING:
    import pandas as pd

    from deeprec.recommender import Recommender
    from search.commands.refresh import Refreshed
    from search.confirmation.comparison import Confirmation
    from search.display.terminal import Screen
    from search.records.events import Outcome
    from search.report.writing import Report
    from search.session.session import Session

__all__ = ["InputError", "Interrupted", "SearchFailedError", "Study"]

_WRITTEN = "# Written by search.Study from what was given in Python.\n"


class Study:
    """A study of hyperparameters, in the folder where its database, towers and runs are kept.

    Making one reads and checks its file, and does no more: whatever takes time or writes is a
    method. Every method leaves what it found in the folder, so that another process, another
    ``Study`` or a command goes on from there.

    Args:
        study: a name (of a file of the folder's ``studies/``, or of a study that comes with the
            project), the path of a ``.toml`` file, or the sections of such a file as a mapping,
            ``{"study": {"name": "mine", "trials": 20}, "space": {...}}``. A path of data that is a
            :class:`~pathlib.Path` begins at the working directory; one that is a text begins at
            ``studies/``, as in a file there.
        folder: where ``studies/`` and ``mlruns/`` are; the working directory when None.
        storage: URL of the study's database; SQLite in the folder when None.
        tracking_uri: MLflow server; SQLite in the folder when None.
        data_dir: where the raw data is; looked for when None.
        quiet: whether to show warnings and results alone.
        compilation_cache: whether compiled programs are kept in the user's cache folder.
        screen: of a command, which has its process to itself; its methods show all they do there.

    Raises:
        InputError: the study is unknown, or something in it is wrong; here and in every method.
    """

    def __init__(
        self,
        study: str | PathLike[str] | Mapping[str, Any],
        *,
        folder: str | PathLike[str] | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
        data_dir: str | PathLike[str] | None = None,
        quiet: bool = False,
        compilation_cache: bool = True,
        screen: "Screen | None" = None,
    ) -> None:
        for name, address in (("storage", storage), ("tracking_uri", tracking_uri)):
            if address is not None:
                check_address(address, name)
        self.workspace = Workspace(Path(folder or Path.cwd()).absolute())
        self._is_given = isinstance(study, Mapping)
        if isinstance(study, Mapping):
            self.spec = spec_of_content(study, folder=self.workspace.studies)
        else:
            self.spec = load_spec(str(study), folders=self.workspace.study_files)
        self._flags: dict[str, Any] = {
            "study": self.spec.name if isinstance(study, Mapping) else str(study),
            "storage_url": storage,
            "tracking_uri": tracking_uri,
            "data_dir": None if data_dir is None else Path(data_dir),
        }
        self._quiet = quiet
        self._compilation_cache = compilation_cache
        self._screen = screen

    def __repr__(self) -> str:
        return f"<Study {self.name!r} in {self.workspace.folder}>"

    @property
    def name(self) -> str:
        """The name of its database, its runs and its models."""
        return self.spec.name

    def search(
        self,
        *,
        trials: int | None = None,
        workers: int | Literal["auto"] = 1,
        timeout: float | None = None,
        seed: int | None = None,
        sampler: str | None = None,
        pruner: str | None = None,
        extends: str | None = None,
        grace: float = GRACE_SECONDS,
        accept_code: bool = False,
        shared: str | None = None,
        **placement: Any,
    ) -> "Outcome":
        """Searches until the study has its trials, and shows what it found.

        Called again, it finishes what is missing, and joins a search that runs elsewhere. The
        interrupt of a notebook, Ctrl-C and SIGTERM end it tidily after the epoch at hand.

        Args:
            trials: how many finished ones the study shall have in all; the file's when None.
            workers: processes that run trials; with 1 it is this process, with ``auto`` they are
                as many as pay.
            timeout: seconds after which no trial starts.
            seed: origin of every random draw; the file's when None, as are sampler and pruner.
            sampler: such as ``tpe`` or ``random``.
            pruner: such as ``median`` or ``none``.
            extends: a study whose finished trials a new study begins with.
            grace: seconds that a worker may be silent before its trial runs again.
            accept_code: whether to go on where the code of the study's own parts has changed.
            shared: address where checkpoints and towers are kept for all machines, such as
                ``s3://bucket/studies``.
            **placement: where the workers run: ``cluster`` (address of Ray's, or ``local``) with
                ``worker_cpus`` and ``worker_gpus``, or ``gpus`` (as ``0,1``) with ``per_gpu``.

        Raises:
            Interrupted: it was stopped; what has finished is stored.
            SearchFailedError: trials keep failing, or the database is lost.
        """
        if timeout is not None and not 0 < timeout < math.inf:
            raise InputError(f"--timeout must be a positive number of seconds but got {timeout}")
        choose = partial(
            override, trials=trials, seed=seed, sampler=sampler, pruner=pruner, extends=extends
        )
        flags = {**_placed(workers, placement), "shared": shared, "grace_seconds": grace}
        with self.opened(choose, adds_trials=True, **flags) as session:
            from search.commands.search import conduct

            self._keep_file()
            return conduct(session, timeout_seconds=timeout, accept_code=accept_code)

    def dry_run(
        self,
        *,
        trials: int | None = None,
        workers: int | Literal["auto"] = 1,
        seed: int | None = None,
        sampler: str | None = None,
        pruner: str | None = None,
        extends: str | None = None,
        grace: float = GRACE_SECONDS,
        shared: str | None = None,
        **placement: Any,
    ) -> None:
        """Shows what :meth:`search` would try, and write where; writes nothing."""
        choose = partial(
            override, trials=trials, seed=seed, sampler=sampler, pruner=pruner, extends=extends
        )
        flags = {**_placed(workers, placement), "shared": shared, "grace_seconds": grace}
        with self.opened(choose, adds_trials=True, **flags) as session:
            from search.commands.dry_run import print_dry_run

            print_dry_run(session)

    def records(self) -> list[TrialRecord]:
        """The trials in the order of their numbers, those that run or wait included."""
        with self.opened() as session:
            from search.storage.study import close_study
            from search.storage.trials import records

            study = session.load_study()
            try:
                return records(study, session.spec.limits.given)
            finally:
                close_study(study)

    def trials(self) -> "pd.DataFrame":
        """A row a trial, by number: state, value, parameters, and how it came about."""
        import pandas as pd

        rows = [record.row for record in self.records()]
        columns = max(rows, key=len, default={})  # the deepest towers have the most parameters
        frame = pd.DataFrame(rows, columns=[*columns]).set_index("number")
        for name in ("started", "ended"):
            frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
        return frame

    def curves(self) -> "pd.DataFrame":
        """A row an epoch of a trial, by both numbers: its metrics, as far as they were measured."""
        import pandas as pd

        rows = [
            {"trial": record.number, "epoch": point.epoch, **point.metrics}
            for record in self.records()
            for point in record.curve
        ]
        return pd.DataFrame(rows, columns=None if rows else ["trial", "epoch"]).set_index(
            ["trial", "epoch"]
        )

    @property
    def best(self) -> TrialRecord | None:
        """The best complete trial within the limits, by validation; None while there is none."""
        return best_of(self.records())

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front of a study with several objectives, the highest value first."""
        return front_of(self.records(), self.spec.objectives)

    def confirm(
        self,
        *,
        top: int | None = None,
        seeds: int = 5,
        trial: int | None = None,
        promote: bool | None = None,
        index_from: int = INDEX_FROM,
    ) -> "Confirmation":
        """Confirms the best trials over several seeds, and tests the winner once a seed.

        The model of the first seed is registered in MLflow. What was computed before is not
        computed again.

        Args:
            top: how many of the best trials compete, from 1; 3 when None, or of several objectives
                the Pareto front, 20 at most.
            seeds: trainings of each of them, from 1.
            trial: the only one to confirm, by its number.
            promote: whether the model becomes the champion; if its test is better by more than the
                noise when None.
            index_from: items from which the model gets an index when it is served, from 1.

        Raises:
            Interrupted: it was stopped; the same call goes on.
            SearchFailedError: no contender is stable, so none was tested.
        """
        with self.opened() as session:
            session.check_writable()
            from search.commands.retrain import retrain
            from search.execution.runtime import touch_device

            touch_device()
            return retrain(
                session,
                trial_number=trial,
                top=top,
                seeds=seeds,
                promote=promote,
                index_from=index_from,
            )

    def refresh(
        self, *, seeds: int = 5, promote: bool | None = None, index_from: int = INDEX_FROM
    ) -> "Refreshed":
        """Trains the champion's configuration on the newer data that the study names by now.

        The new model and the champion are tested on the newest rows, which neither has seen; the
        new one becomes the champion if it is better by more than the noise.

        Args:
            seeds: trainings, from 1.
            promote: whether the model becomes the champion; decided by the test when None.
            index_from: items from which the model gets an index when it is served, from 1.

        Raises:
            Interrupted: it was stopped; the same call goes on.
        """
        with self.opened(newer_data=True) as session:
            session.check_writable()
            from search.commands.refresh import refresh
            from search.execution.runtime import touch_device

            touch_device()
            return refresh(session, seeds=seeds, promote=promote, index_from=index_from)

    def report(self) -> "Report":
        """What the study found; a notebook shows it, and its ``write()`` makes an HTML file.

        The data set is not needed.
        """
        with self.opened() as session:
            from search.report.writing import report_of

            session.screen.doing("reading the study")
            return report_of(session)

    def recommender(self, model: str | PathLike[str] | None = None) -> "Recommender":
        """The champion, ready to recommend; or another model of MLflow, or of a folder."""
        with self._screened() as screen:
            self._prepare(screen)
            from search.commands.recommend import fetched
            from search.config.study import make_importable
            from search.tracking.models import champion_uri

            make_importable(self.spec)
            wanted = champion_uri(self.spec.registered_model) if model is None else str(model)
            uri, towers = self._flags["tracking_uri"], self.spec.model.towers
            trusted = [] if towers is None else [towers]
            return fetched(wanted, uri, self.workspace.mlruns, screen, trusted=trusted)

    def sync(self) -> int:
        """Makes MLflow agree with the study; 0 where it does, 1 where it could not be reached."""
        with self.opened() as session:
            from search.commands.sync import sync

            return sync(session)

    @contextmanager
    def opened(
        self,
        change: Callable[[StudySpec], StudySpec] = lambda spec: spec,
        *,
        adds_trials: bool = False,
        newer_data: bool = False,
        **flags: Any,
    ) -> Iterator["Session"]:
        """The session of a command; what can be refused without Keras and Optuna is before.

        ``change`` makes the spec that of the command, ``flags`` are further ones of
        :class:`search.session.session.Flags`.
        """
        with self._screened() as screen:
            spec = change(self.spec)
            self._prepare(screen)
            screen.doing("loading Optuna and MLflow")
            from search.session.session import Flags, Session

            screen.doing(f"looking for study {spec.name}")
            given = Flags(**self._flags, **flags)
            yield Session.of(
                given,
                spec,
                self.workspace,
                screen,
                adds_trials=adds_trials,
                newer_data=newer_data,
            )

    @contextmanager
    def _screened(self) -> Iterator["Screen"]:
        from search.display.terminal import Screen

        if self._screen is not None:
            yield self._screen
            return
        with Screen(quiet=self._quiet, owns_process=False) as screen:
            yield screen

    def _prepare(self, screen: "Screen") -> None:
        screen.doing("loading Keras and JAX")
        if screen.owns_process:
            cache = self._compilation_cache
            prepare_runtime(compilation_cache=cache, announce=screen.announce)
        else:
            join_process(compilation_cache=self._compilation_cache)

    def _keep_file(self) -> None:
        """Writes the file of a study that was given as a mapping, so that commands find it."""
        if not self._is_given:
            return
        path = self.workspace.studies / f"{self.name}.toml"
        text = _WRITTEN + self.spec.text
        before = path.read_text(encoding="utf-8") if path.exists() else text
        if before != text and not before.startswith(_WRITTEN):
            raise InputError(
                f"study.name must be another than {self.name!r}, whose file is {path}; choose one, "
                "or search that file"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _placed(workers: int | Literal["auto"], placement: Mapping[str, Any]) -> dict[str, Any]:
    """What a session is told of the workers."""
    many = None if workers == "auto" else workers
    return {"workers": many, "placement": Placement.of(**placement)}
