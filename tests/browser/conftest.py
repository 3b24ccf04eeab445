"""A browser for the pages of the project, and a study for them to show."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from search.commands.sync import sync
from search.config.addresses import Workspace
from search.display.terminal import Screen
from search.session.session import Flags, Session
from tests.browser.chromium import Opened, chromium, find_chromium, watched_page
from tests.unit.search.report.made import Made

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; skipped where there is none, unless REQUIRE_CHROMIUM is set.

    It ends with the module: as long as it lives, nothing else in the process has an event loop.
    """
    program = find_chromium()
    if program is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set but there is no Chromium")
        pytest.skip("needs Chromium")
    with chromium(program) as browser:
        yield browser


@contextmanager
def opening(browser: Browser) -> Iterator[Open]:
    """Opens a file or an address at a width, and waits for what ends the drawing."""
    contexts = []

    def opened(
        place: Path | str, *, width: int = 1280, touch: bool = False, script: str = ""
    ) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="light", has_touch=touch
        )
        contexts.append(context)
        if script:
            context.add_init_script(script)
        found = watched_page(context)
        found.page.goto(place if isinstance(place, str) else place.as_uri())
        found.page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens pages that are closed after the test."""
    with opening(browser) as opened:
        yield opened


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A study of six trials, confirmed, without a training: in its database and in MLflow."""
    workspace = Workspace(tmp_path_factory.mktemp("kept"))
    workspace.studies.mkdir()
    with Made(workspace.studies) as made:
        for number in range(6):
            made.add(top=0.3 + number / 100, rate=0.01 * (1 + number))
        made.keep_references()
        made.keep_confirmation(5, 4)
    session = Session.of(Flags(study="made"), made.spec, workspace, Screen())
    assert sync(session) == 0
    return session
