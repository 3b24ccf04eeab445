"""A study's facts as one HTML file that needs nothing else: no network, no other file.

All text from outside (names, reasons, references) is escaped: by Jinja in HTML, as JSON in scripts.
A content security policy lets the page run its own two scripts, by their hashes, and fetch nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from search.report.axes import accuracy_window
from search.report.curve_plots import curves_plot, history_plot
from search.report.facts import Facts
from search.report.hero import hero
from search.report.importance import LEAST_TRIALS
from search.report.parallel_plot import parallel_plot
from search.report.result_plots import confirmation_plot
from search.report.style import Plot
from search.report.tables import (
    TOP,
    confirmation_table,
    leaderboard,
    references_table,
    results_of_test,
)
from search.report.trial_plots import importance_plot, size_plot, slice_plots
from search.report.words import duration, percent


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
