"""A study's facts as one HTML file that needs nothing else: no network, no other file.

All text from outside (names, reasons, references) is escaped: by Jinja in HTML, as JSON in scripts.
A content security policy lets the page run its own two scripts, by their hashes, and fetch nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from search.analysis.verdict import ENDED
from search.records.results import TEST_METRIC
from search.records.trials import OBJECTIVE_METRIC
from search.report.curve_plots import curves_plot, history_plot
from search.report.facts import LEAST_TRIALS, Facts
from search.report.parallel_plot import parallel_plot
from search.report.result_plots import confirmation_plot
from search.report.style import Plot, accuracy_window, duration, percent
from search.report.tables import (
    TOP,
    confirmation_table,
    leaderboard,
    references_table,
    results_of_test,
)
from search.report.trial_plots import importance_plot, size_plot, slice_plots

POPULARITY = "popularity"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A key number.

    Attributes:
        name: what it is.
        value: as text.
        note: a few words on it.
    """

    name: str
    value: str
    note: str


def hero(facts: Facts) -> list[Figure]:
    """Those that are known of: what holds over seeds, its test, the best value, starts, cost."""
    found = [_confirmed(facts), _test(facts), _best(facts), _enqueued(facts), _popularity(facts)]
    return [*filter(None, found), _trials(facts), _time(facts)]


def _confirmed(facts: Facts) -> Figure | None:
    leader = facts.leader
    if leader is None:
        return None
    seeds = _seeds(len(leader.sample.values))
    name = "unstable" if leader.is_unstable else "confirmed best" if leader.others else "confirmed"
    value = f"{leader.sample.mean:.4f}"
    return Figure(name=name, value=value, note=f"validation, trial {leader.number}, {seeds}")


def _best(facts: Facts) -> Figure | None:
    best = facts.best
    if best is None:
        return None
    name = "best of the search" if facts.leader is None else "highest single value"
    note = f"validation, trial {best.number} {best.layer_sizes}".rstrip()
    return Figure(name=name, value=f"{best.value:.4f}", note=f"{note}, one seed")


def _test(facts: Facts) -> Figure | None:
    tested = next(
        (each for each in facts.tested if facts.leader and each.trial == facts.leader.number), None
    )
    if tested is None:
        return None
    sample = tested.metrics[TEST_METRIC]
    note = f"{tested.name}, {_seeds(len(sample.values))}"
    return Figure(name="test", value=f"{sample.mean:.4f}", note=note)


def _seeds(count: int) -> str:
    return f"mean of {count} seeds" if count > 1 else "one seed"


def _enqueued(facts: Facts) -> Figure | None:
    trial = facts.enqueued_best
    if trial is None:
        return None
    note = f'"{trial.reference}" of the study file, validation, one seed'
    return Figure(name="best starting point", value=f"{trial.value:.4f}", note=note)


def _popularity(facts: Facts) -> Figure | None:
    metrics = next((each.metrics for each in facts.references if each.name == POPULARITY), {})
    if OBJECTIVE_METRIC not in metrics:
        return None
    value = metrics[OBJECTIVE_METRIC]
    note = "needs no search, validation"
    which, own = "best", facts.best.value if facts.best else None
    if facts.leader is not None:
        which, own = "confirmed one", facts.leader.sample.mean
    if own is not None:
        note = f"validation; the {which} is {'above' if own > value else 'not above'} it"
    return Figure(name=POPULARITY, value=f"{value:.4f}", note=note)


def _trials(facts: Facts) -> Figure:
    states = [trial.state for trial in facts.trials]
    named = (*ENDED, "running", "waiting")
    parts = [f"{states.count(state)} {state}" for state in named if state in states]
    finished = sum(trial.is_finished for trial in facts.trials)
    return Figure(
        name="finished trials",
        value=f"{finished} of {facts.context.trials}",
        note=", ".join(parts) or "none yet",
    )


def _time(facts: Facts) -> Figure:
    share = facts.cost.saved_share
    note = "while trials ran"
    if facts.cost.saved_epochs and share is not None:
        note = f"pruning saved about {share:.0%}"
    return Figure(name="time", value=duration(facts.cost.wall_seconds), note=note)


def page(facts: Facts) -> str:
    """The whole page, as HTML."""
    scripts = {"plotly": _plotly(), "own": _resource("page.js")}
    policy = " ".join(f"'sha256-{_digest(text)}'" for text in scripts.values())
    floor = accuracy_window(facts.compared)[0] if facts.compared else 0.0
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            spec=facts.spec,
            context=facts.context,
            cost=facts.cost,
            hero=hero(facts),
            written=_moment(facts.written_ms),
            confirmed_at=_moment(facts.confirmation.confirmed_ms) if facts.confirmation else None,
            floor=floor,
            below=sum((trial.value or 0.0) < floor for trial in facts.compared),
            tables=_tables(facts),
            top=TOP,
            least_trials=LEAST_TRIALS,
            **_plots(facts),
            css=Markup(_resource("page.css")),  # noqa: S704  # our own files
            scripts={name: Markup(text) for name, text in scripts.items()},  # noqa: S704
            policy=policy,
        )
    )


def _tables(facts: Facts) -> Mapping[str, Any]:
    return {
        "leaderboard": leaderboard(facts),
        "references": references_table(facts),
        "confirmation": confirmation_table(facts),
        "tests": results_of_test(facts),
    }


def _plots(facts: Facts) -> Mapping[str, Any]:
    """Every picture by its place, None where there is nothing to draw; and their content."""
    single: dict[str, Plot | None] = {
        "curves": curves_plot(facts),
        "history": history_plot(facts),
        "importances": importance_plot(facts),
        "parallel": parallel_plot(facts),
        "size": size_plot(facts),
        "confirmation": confirmation_plot(facts),
    }
    slices = slice_plots(facts)
    drawn = [*filter(None, single.values()), *(plot for _, plot in slices)]
    return {"plots": single, "slices": slices, "contents": [plot.content for plot in drawn]}


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("search.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"duration": duration, "percent": percent}
    return environment


def _resource(name: str) -> str:
    return files("search.report").joinpath(name).read_text("utf-8")


@cache
def _plotly() -> str:
    """Plotly's script, which comes with its package; line ends as a browser reads them."""
    script = files("plotly").joinpath("package_data", "plotly.min.js").read_text("utf-8")
    return script.replace("\r\n", "\n").replace("\r", "\n")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _moment(moment_ms: int) -> datetime:
    return datetime.fromtimestamp(moment_ms / 1000, UTC)
