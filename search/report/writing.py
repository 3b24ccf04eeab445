"""A report as a page and as JSON: written to a file, shown in a notebook, kept in MLflow."""

import os
import sys
import uuid
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, get_args

import optuna

from search.analysis.noise import Sample
from search.display.terminal import Screen
from search.records.errors import InputError, is_disk_full
from search.records.trials import TrialRecord, TrialState
from search.report import schema
from search.report.facts import Facts, gather, parameter_count
from search.report.page import page
from search.session.session import Session
from search.storage.study import close_study
from search.tracking.tracker import Tracker


def report_path(study_folder: Path) -> Path:
    """Where the report of a study lies, by the folder of its towers."""
    return study_folder / "report.html"


@dataclass(frozen=True)
class Report:
    """What a study has found: a page for people, the same as data for programs.

    A notebook shows the page.
    """

    facts: Facts
    default_path: Path  # beside the study's towers

    @cached_property
    def html(self) -> str:
        """The page, which needs no other file and no network."""
        return page(self.facts)

    @cached_property
    def content(self) -> schema.Report:
        """The same facts, as docs/reference/report.md describes them."""
        return document(self.facts)

    def write(self, output: Path | None = None) -> Path:
        """Writes the page, beside the study's towers unless ``output`` says where; its path.

        Raises:
            InputError: it cannot be written there.
        """
        path = (output or self.default_path).resolve()
        try:
            write_page(self.html, path)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(
                f"--output must be a file that can be written but {path} cannot: {error.strerror}"
            ) from None
        return path

    def _repr_html_(self) -> str:
        """The page in a frame of its own, as its styles and scripts are not the notebook's."""
        return f'<iframe srcdoc="{escape(self.html)}" width="100%" height="800"></iframe>'


def report_of(session: Session) -> Report:
    """The report of a study that has been searched; InputError where there is none."""
    study = session.load_study()
    try:
        facts = gather(study, session.spec, session.commands)
    finally:
        close_study(study)
    return Report(facts, report_path(session.towers_folder))


def deliver(
    report: Report,
    screen: Screen,
    *,
    output: Path | None = None,
    open_it: bool = False,
    as_json: bool = False,
) -> None:
    """Writes the page and says where; shows it in a browser where that is asked for.

    With ``as_json`` the JSON is printed and nothing else, and a page is written only if asked for.
    """
    path = None
    if not as_json or output is not None or open_it:
        path = report.write(output)
    if as_json:
        sys.stdout.write(report.content.model_dump_json(indent=2, ensure_ascii=True) + "\n")
    elif path is not None:
        screen.show(f"report: {path}")
        screen.show(f"open it in a browser: {path.as_uri()}")
    if open_it and path is not None and not webbrowser.open(path.as_uri()):
        sys.stderr.write("warning: no browser could be opened; open the file in one\n")


def refresh_report(session: Session, study: optuna.Study, tracker: Tracker) -> Facts:
    """Writes the page, and keeps it in MLflow; one that cannot be written costs a warning only."""
    session.screen.doing("writing the report")
    facts = gather(study, session.spec, session.commands)
    path = report_path(session.towers_folder)
    try:
        write_page(page(facts), path)
    except OSError as error:
        session.screen.warn(f"the report could not be written: {error.strerror}: {path}")
    else:
        tracker.log_report(path)
    return facts


def write_page(text: str, path: Path) -> None:
    """Writes the page whole or not at all; its folder is made, a file there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}")
    try:
        with new.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def document(facts: Facts) -> schema.Report:
    """The report as the objects of its JSON."""
    context, best, leader = facts.context, facts.best, facts.leader
    states = [trial.state for trial in facts.trials]
    return schema.Report.of(
        facts,
        schema_version=1,
        written_at=_iso(facts.written_ms),
        study=schema.StudyPart.of(
            context,
            facts,
            facts.spec.study,
            objective=facts.spec.objective_metric,
            objectives=list(facts.spec.objectives),
            wanted_trials=context.trials,
            versions=dict(context.versions) or None,
            data=schema.DataPart(
                dataset=context.data_name,
                split=context.split,
                fingerprint=context.data_fingerprint or None,
                source=context.data_source or None,
                rows=dict(context.rows) or None,
                overlap={part: dict(counts) for part, counts in context.overlap.items()},
            ),
        ),
        trials={state: states.count(state) for state in get_args(TrialState)},
        best=best and schema.BestPart.of(best, parameter_count=parameter_count(best)),
        confirmed=leader and schema.ConfirmedPart.of(leader, **_sample(leader.sample)),
        leaderboard=[
            schema.TrialPart.of(
                trial,
                rank=rank,
                parameter_count=parameter_count(trial),
                values=_values(trial, facts),
            )
            for rank, trial in enumerate(facts.finished, start=1)
        ],
        front=[trial.number for trial in facts.front] if facts.has_several else [],
        references=[schema.ReferencePart.of(each) for each in facts.references],
        confirmation=_confirmation(facts),
        test=_samples(facts.tests) or None,
        slices=[
            schema.SlicePart.of(each, winner=schema.SamplePart(**_sample(each.winner)))
            for each in facts.slices
        ],
        tested=[
            schema.TestedPart(
                trial=each.trial, metrics=_samples(each.metrics), index=dict(each.index)
            )
            for each in facts.tested
        ],
        warnings=facts.cautions,
    )


def _confirmation(facts: Facts) -> schema.ConfirmationPart | None:
    last = facts.confirmation
    if last is None and not facts.contenders:
        return None
    return schema.ConfirmationPart(
        winner=last.trial if last else None,
        confirmed_at=_iso(last.confirmed_ms) if last else None,
        contenders=[
            schema.ContenderPart.of(each, **_sample(each.sample)) for each in facts.contenders
        ],
        verdict=list(last.lines) if last else [],
        differences=[schema.DifferencePart(**each) for each in last.differences] if last else [],
        newer_trials=len(facts.leader.newer) if facts.leader else 0,
    )


def _values(trial: TrialRecord, facts: Facts) -> dict[str, float]:
    objectives = facts.spec.objectives if facts.has_several else ()
    known = {name: trial.reached(name) for name in objectives}
    return {name: value for name, value in known.items() if value is not None}


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "mean": sample.mean,
        "standard_deviation": sample.deviation,
        "values": sample.values,
        "collapsed": sample.collapsed,
        "users_error": sample.over_users,
    }


def _samples(samples: Mapping[str, Sample]) -> dict[str, schema.SamplePart]:
    return {name: schema.SamplePart(**_sample(each)) for name, each in samples.items()}


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="seconds")
