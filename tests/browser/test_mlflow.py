"""MLflow's own pages on a real study: what we log makes them useful without setting anything."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from search.records.trials import TrialRecord
from search.tracking.names import TESTS, TRIALS, view_path
from tests.browser.chromium import Opened
from tests.browser.conftest import Open
from tests.faults.servers import MlflowServer
from tests.flows.conftest import Folder

pytestmark = [pytest.mark.browser, pytest.mark.data]

PATIENCE_MS = 60_000
NAMES = "[role=row] [col-id='attributes.`Run Name`'] a"


@pytest.fixture(scope="module")
def server(confirmed: Folder) -> Iterator[MlflowServer]:
    """MLflow's pages on what the study left."""
    with MlflowServer(confirmed.path / "mlruns") as server:
        yield server


def experiment_id(confirmed: Folder) -> str:
    return str(confirmed.client.get_experiment_by_name("tiny").experiment_id)  # type: ignore[union-attr]


def complete(confirmed: Folder) -> list[TrialRecord]:
    """The complete trials, the best first."""
    trials = [trial for trial in confirmed.trials if trial.state == "complete"]
    return sorted(trials, key=lambda trial: (-(trial.value or 0.0), trial.number))


def names_on(page: Page, count: int) -> list[str]:
    """The names of the runs in the table, from top to bottom, once there are as many."""
    expect(page.locator(NAMES)).to_have_count(count, timeout=PATIENCE_MS)
    rows = page.locator(NAMES).all()
    placed = [(box["y"], row.inner_text()) for row in rows if (box := row.bounding_box())]
    return [name for _, name in sorted(placed)]


def check(opened: Opened) -> None:
    """Nothing went outside; MLflow's pages ask a server without accounts who the user is."""
    assert opened.outside == []
    of_theirs = ("/mlflow/users/current", "ResizeObserver loop")
    ours = [e for e in opened.errors if not any(part in " ".join(e) for part in of_theirs)]
    assert ours == []


def test_the_view_of_trials_ranks_them_by_their_value(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    path = view_path(TRIALS, experiment_id(confirmed))
    opened = open_page(f"{server.uri}/{path}", width=1600, ready=NAMES)
    shown = names_on(opened.page, len(confirmed.trials))
    best = complete(confirmed)[0]
    assert shown[0] == f"trial {best.number:03d} {best.value:.4f} {best.layer_sizes}"
    headers = opened.page.locator("[role=columnheader]").all_inner_texts()
    for name in ("best_val_top_100_accuracy", "deeprec.rank", "layer_sizes"):
        assert any(name in header for header in headers)
    check(opened)


def test_a_click_on_a_header_sorts(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    path = view_path(TRIALS, experiment_id(confirmed))
    opened = open_page(f"{server.uri}/{path}", width=1600, ready=NAMES)
    best_first = names_on(opened.page, len(confirmed.trials))
    header = "[role=columnheader][col-id='metrics.`best_val_top_100_accuracy`']"
    opened.page.locator(header).get_by_text("best_val_top_100_accuracy").click()
    top = opened.page.locator("[row-index='0'] [col-id='attributes.`Run Name`'] a")
    expect(top.first).not_to_have_text(best_first[0], timeout=PATIENCE_MS)
    assert names_on(opened.page, len(best_first))[-1] == best_first[0]


def test_the_view_of_tests_holds_models_and_references(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    path = view_path(TESTS, experiment_id(confirmed))
    opened = open_page(f"{server.uri}/{path}", width=1600, ready=NAMES)
    shown = names_on(opened.page, 6)
    assert sum(name.endswith("(reference)") for name in shown) == 4
    assert sum(name.startswith("test 0.") for name in shown) == 2
    check(opened)


def test_the_experiment_opens_with_a_note_that_leads_to_the_views(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    opened = open_page(
        f"{server.uri}/#/experiments/{experiment_id(confirmed)}/runs", width=1600, ready=NAMES
    )
    assert any(name.startswith("study tiny 0.") for name in names_on(opened.page, 8))
    with (
        opened.page.context.expect_page() as another
    ):  # MLflow opens what a note links to beside it
        opened.page.get_by_role("link", name=TRIALS.name).click()
    best = complete(confirmed)[0]
    expect(another.value.locator(NAMES).first).to_contain_text(
        f"trial {best.number:03d}", timeout=PATIENCE_MS
    )
    check(opened)


def test_five_trials_are_compared_by_parameters_curves_and_parallel_lines(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    runs = confirmed.runs("trial")[:5]
    ids = quote(json.dumps([run.info.run_id for run in runs]))
    experiments = quote(json.dumps([experiment_id(confirmed)]))
    opened = open_page(
        f"{server.uri}/#/compare-runs?runs={ids}&experiments={experiments}",
        width=1600,
        ready=".js-plotly-plot .parcoords",
    )
    text = opened.page.inner_text("body")
    for run in runs:
        assert run.info.run_name in text
        assert run.data.params["layer_sizes"] in text
    for metric in ("best_val_top_100_accuracy", "val_top_100_accuracy", "train_loss"):
        assert metric in text
    check(opened)


def test_the_run_of_the_study_holds_the_report(
    server: MlflowServer, confirmed: Folder, open_page: Open
) -> None:
    (parent,) = confirmed.runs("study")
    artifacts = f"{experiment_id(confirmed)}/runs/{parent.info.run_id}/artifacts"
    opened = open_page(
        f"{server.uri}/#/experiments/{artifacts}", width=1600, ready="text=report.html"
    )
    logged = confirmed.client.download_artifacts(parent.info.run_id, "report.html")
    with open(logged, encoding="utf-8") as file:  # noqa: PTH123
        assert file.read() == (confirmed.path / "studies/tiny/report.html").read_text("utf-8")
    check(opened)
