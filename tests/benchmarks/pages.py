"""The pages on a study of 500 trials: the report, and MLflow's own of the experiment.

Times are those of headless Chromium without a graphics card, from the request to the moment at
which what the user came for is there.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser

from search.tracking.names import TRIALS, view_path
from search.tracking.tracker import open_tracker
from tests.benchmarks.harness import MeasurementError, Result
from tests.benchmarks.start import timed
from tests.browser.chromium import chromium, find_chromium
from tests.faults.servers import MlflowServer
from tests.unit.search.report.made import Made
from tests.unit.search.sample_records import trial
from tests.unit.search.tracking.support import CONTEXT

TRIALS_OF_A_LARGE_STUDY = 500
REPORT_SECONDS = 3.0
REPORT_MEGABYTES = 8.0
ROWS = "[role=row] [col-id='attributes.`Run Name`'] a"


def measure(*, quick: bool) -> list[Result]:
    """The report's size and time, and the time of MLflow's page of the trials."""
    program = find_chromium()
    if program is None:
        raise MeasurementError("there is no Chromium")
    trials = 20 if quick else TRIALS_OF_A_LARGE_STUDY
    repeats = 1 if quick else 5
    with tempfile.TemporaryDirectory() as name, chromium(program) as browser:
        return [
            *_of_the_report(Path(name), browser, trials, repeats),
            _of_mlflow(Path(name), browser, trials, repeats),
        ]


def _of_the_report(folder: Path, browser: Browser, trials: int, repeats: int) -> Iterator[Result]:
    with Made(folder) as made:
        made.fill(trials)
        made.keep_references()
        made.keep_confirmation(1, 2)
        path = made.write_report(folder / "report.html")
    what, size = f"the report of {trials} trials", path.stat().st_size / 1e6
    yield Result(what=f"{what}, its size", ours=size, unit="MB", at_most=REPORT_MEGABYTES)
    for name, until, at_most in (
        ("opened until its first plot", "#plot-curves svg.main-svg", REPORT_SECONDS),
        ("until its last plot", "html[data-ready]", None),
    ):
        yield timed(f"{what}, {name}", _seconds(browser, path.as_uri(), until, repeats), at_most)


def _of_mlflow(folder: Path, browser: Browser, trials: int, repeats: int) -> Result:
    made = [trial(number, epochs=30) for number in range(trials)]
    place = folder / "mlflow"
    tracker = open_tracker(None, CONTEXT, folder=place, warn=_refuse)
    tracker.reconcile(made, lambda _number: None, within_s=None)
    tracker.study_finished(made, "complete")
    with MlflowServer(place) as server:
        address = f"{server.uri}/{view_path(TRIALS, tracker.experiment_id)}"
        seconds = _seconds(browser, address, ROWS, repeats)
    return timed(f"MLflow's page of {trials} trials, until its first row", seconds, None)


def _seconds(browser: Browser, address: str, until: str, repeats: int) -> list[float]:
    """From the request until something is there, each time in a browser that knows nothing."""
    return [_once(browser, address, until) for _ in range(repeats)]


def _once(browser: Browser, address: str, until: str) -> float:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    started = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(until, state="attached", timeout=120_000)
    seconds = time.perf_counter() - started
    context.close()
    return seconds


def _refuse(line: str) -> None:
    raise MeasurementError(line)
