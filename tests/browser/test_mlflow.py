"""MLflow's own pages on a study: what we log makes them useful without setting anything."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

import mlflow
import pytest
from playwright.sync_api import Browser, Page, expect

from search.report.writing import report_path
from search.session.session import Session
from search.tracking.names import TESTS, TRIALS, view_path
from tests.browser.chromium import watched_page
from tests.faults.servers import MlflowServer
from tests.unit.search.tracking.support import Reader

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000
NAMES = "[role=row] [col-id='attributes.`Run Name`'] a"
ACCURACY = "best_val_top_100_accuracy"
BEST = "trial 005 0.3500 (64, 32)"
OF_MLFLOW = ("/mlflow/users/current", "ResizeObserver loop")
"""MLflow's pages ask a server without accounts who the user is."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def runs(kept: Session) -> Reader:
    return Reader(kept.destination.uri, "made")


@pytest.fixture(scope="module")
def open_page(browser: Browser, kept: Session) -> Iterator[Open]:
    """Opens a path of the server and waits for an element; nothing outside may be asked for."""
    with MlflowServer(kept.workspace.mlruns) as server:
        context = browser.new_context(viewport={"width": 1600, "height": 900})  # one cache
        pages = []

        def opened(path: str, *, ready: str = NAMES) -> Page:
            pages.append(watched_page(context))
            pages[-1].page.goto(f"{server.uri}/{path}")
            pages[-1].page.wait_for_selector(ready, state="attached", timeout=PATIENCE_MS)
            return pages[-1].page

        yield opened
        for each in pages:
            assert each.outside == []
            said = [" ".join(error) for error in each.errors]
            assert [line for line in said if not any(part in line for part in OF_MLFLOW)] == []


def names_on(page: Page, count: int) -> list[str]:
    """The names of the runs in the table, from top to bottom, once there are as many."""
    expect(page.locator(NAMES)).to_have_count(count, timeout=PATIENCE_MS)
    rows = page.locator(NAMES).all()
    placed = [(box["y"], row.inner_text()) for row in rows if (box := row.bounding_box())]
    return [name for _, name in sorted(placed)]


def test_the_view_of_trials_ranks_them_by_their_value_until_a_click_on_a_header(
    runs: Reader, open_page: Open
) -> None:
    page = open_page(view_path(TRIALS, runs.experiment.experiment_id))
    assert names_on(page, 6)[0] == BEST
    headers = page.locator("[role=columnheader]").all_inner_texts()
    for name in (ACCURACY, "deeprec.rank", "layer_sizes"):
        assert any(name in header for header in headers)
    header = page.locator(f"[role=columnheader][col-id='metrics.`{ACCURACY}`']")
    header.get_by_text(ACCURACY).click()
    top = page.locator("[row-index='0'] [col-id='attributes.`Run Name`'] a")
    expect(top.first).not_to_have_text(BEST, timeout=PATIENCE_MS)
    assert names_on(page, 6)[-1] == BEST


def test_the_view_of_tests_holds_models_and_references(runs: Reader, open_page: Open) -> None:
    shown = names_on(open_page(view_path(TESTS, runs.experiment.experiment_id)), 6)
    assert sum(name.endswith("(reference)") for name in shown) == 3
    assert sum(name.startswith("test 0.") for name in shown) == 3


def test_the_experiment_opens_with_a_note_that_leads_to_the_views(
    runs: Reader, open_page: Open
) -> None:
    page = open_page(f"#/experiments/{runs.experiment.experiment_id}/runs")
    expect(page.locator(NAMES, has_text="study made 0.")).to_have_count(1, timeout=PATIENCE_MS)
    with page.context.expect_page() as another:  # MLflow opens what a note links to beside it
        page.get_by_role("link", name=TRIALS.name).click()
    expect(another.value.locator(NAMES).first).to_have_text(BEST, timeout=PATIENCE_MS)


def test_five_trials_are_compared_by_parameters_curves_and_parallel_lines(
    runs: Reader, open_page: Open
) -> None:
    five = [runs.children[number] for number in range(5)]
    ids = quote(json.dumps([run.info.run_id for run in five]))
    experiments = quote(json.dumps([runs.experiment.experiment_id]))
    path = f"#/compare-runs?runs={ids}&experiments={experiments}"
    text = open_page(path, ready=".js-plotly-plot .parcoords").inner_text("body")
    for run in five:
        assert run.info.run_name in text
        assert run.data.params["layer_sizes"] in text
    for metric in (ACCURACY, "val_top_100_accuracy", "train_loss"):
        assert metric in text


def test_the_run_of_the_study_holds_the_report(
    kept: Session, runs: Reader, open_page: Open
) -> None:
    run = runs.parent.info
    open_page(
        f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts", ready="text=report.html"
    )
    logged = mlflow.artifacts.load_text(f"{run.artifact_uri}/report.html")
    assert logged == report_path(kept.towers_folder).read_text("utf-8")
