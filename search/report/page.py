"""A study's facts as one HTML file that needs nothing else: no network, no other file.

All text from outside (names, reasons, references) is escaped: by Jinja in HTML, as JSON in scripts.
A content security policy lets the page run its own two scripts, by their hashes, and fetch nothing.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from search.analysis.noise import Sample
from search.analysis.verdict import ENDED
from search.records.results import test_metric
from search.records.trials import objective_of
from search.report import tables
from search.report.curve_plots import curves_plot, history_plot
from search.report.drawing import Plot, accuracy_window
from search.report.facts import LEAST_TRIALS, Facts
from search.report.result_plots import confirmation_plot, size_plots
from search.report.trial_plots import importance_plot, parallel_plot, slice_plots

PICTURES: dict[str, Callable[[Facts], Plot | list[Plot] | None]] = {
    "curves": curves_plot,
    "history": history_plot,
    "importances": importance_plot,
    "parallel": parallel_plot,
    "slices": slice_plots,
    "size": size_plots,
    "confirmation": confirmation_plot,
}
"""What is drawn in a section: one picture, several, or None where there is nothing to draw."""


def page(facts: Facts) -> str:
    """The whole page, as HTML."""
    scripts = {"plotly": _plotly(), "own": _resource("page.js")}
    plots = {section: draw(facts) for section, draw in PICTURES.items()}
    listed = [each if isinstance(each, list) else [each] for each in plots.values() if each]
    floor = accuracy_window(facts.compared)[0] if facts.compared else 0.0
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            facts=facts,
            spec=facts.spec,
            context=facts.context,
            cost=facts.cost,
            saving=_saving(facts),
            hero=hero(facts),
            written=_moment(facts.written_ms),
            confirmed_at=_moment(facts.confirmation.confirmed_ms) if facts.confirmation else None,
            floor=floor,
            below=sum((trial.value or 0.0) < floor for trial in facts.compared),
            leaderboard=tables.leaderboard(facts),
            references=tables.references_table(facts),
            contenders=tables.confirmation_table(facts),
            tests=tables.results_of_test(facts),
            comparisons=tables.comparisons_table(facts),
            slices=tables.slices_of_test(facts),
            front=tables.front_table(facts),
            top=tables.TOP,
            plots=plots,
            contents=[plot.content for plot in chain.from_iterable(listed)],
            least_trials=LEAST_TRIALS,
            css=Markup(_resource("page.css")),  # noqa: S704  # our own files
            scripts={name: Markup(text) for name, text in scripts.items()},  # noqa: S704
            policy=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
        )
    )


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
    environment.filters["duration"] = duration
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


def duration(seconds: float) -> str:
    """Such as ``3 min 26 s``, ``2 h 5 min``, ``0.4 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# --- key numbers ------------------------------------------------------------------------------


class Figure(NamedTuple):
    """A key number: what it is, its value as text, and a few words on it."""

    name: str
    value: str
    note: str


def hero(facts: Facts) -> list[Figure]:
    """Those that are known of: what holds over seeds, its test, the best value, starts, cost."""
    return [*_of_models(facts), *_of_reference(facts), _trials(facts), _time(facts)]


def _of_models(facts: Facts) -> Iterator[Figure]:
    leader, best, enqueued = facts.leader, facts.best, facts.enqueued_best
    if leader is not None:
        held = "confirmed best" if leader.others else "confirmed"
        note = f"validation, trial {leader.number}, {_seeds(leader.sample)}"
        name = "unstable" if leader.is_unstable else held
        yield Figure(name, f"{leader.sample.mean:.4f}", note)
        for tested in facts.tested:
            if tested.trial == leader.number:
                sample = tested.metrics[test_metric(tested.metrics)]
                yield Figure("test", f"{sample.mean:.4f}", f"{tested.name}, {_seeds(sample)}")
    if best is not None:
        name = "best of the search" if leader is None else "highest single value"
        note = f"validation, trial {best.number} {best.layer_sizes}".rstrip()
        yield Figure(name, f"{best.value:.4f}", f"{note}, one seed")
    if enqueued is not None:
        note = f'"{enqueued.reference}" of the study file, validation, one seed'
        yield Figure("best starting point", f"{enqueued.value:.4f}", note)


def _seeds(sample: Sample) -> str:
    count = len(sample.values)
    return f"mean of {count} seeds" if count > 1 else "one seed"


def _of_reference(facts: Facts) -> Iterator[Figure]:
    """The reference that is hardest to beat."""
    which, own = "best", facts.best.value if facts.best else None
    if facts.leader is not None:
        which, own = "confirmed one", facts.leader.sample.mean
    measured = [(each, objective_of(each.metrics)) for each in facts.references]
    known = [(each, value) for each, value in measured if value is not None]
    for each, value in sorted(known, key=lambda pair: -pair[1])[:1]:
        note = "needs no search, validation"
        if own is not None:
            note = f"validation; the {which} is {'above' if own > value else 'not above'} it"
        yield Figure(each.title, f"{value:.4f}", note)


def _trials(facts: Facts) -> Figure:
    states = [trial.state for trial in facts.trials]
    named = (*ENDED, "running", "waiting")
    parts = [f"{states.count(state)} {state}" for state in named if state in states]
    finished = sum(trial.is_finished for trial in facts.trials)
    value = f"{finished} of {facts.context.trials}"
    return Figure("finished trials", value, ", ".join(parts) or "none yet")


def _time(facts: Facts) -> Figure:
    share = facts.cost.saved_share
    note = "while trials ran"
    if facts.cost.saved_epochs and share is not None:
        note = f"{_saving(facts)} saved about {share:.0%}"
    return Figure("time", duration(facts.cost.wall_seconds), note)


def _saving(facts: Facts) -> str:
    """What may have spared trials their last epochs."""
    return "pruning and patience" if facts.spec.training.patience else "pruning"
