"""A browser for the pages of the project, and a real study for them to show."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from deeprec.data.dataset import Dataset
from tests.browser.chromium import Opened, chromium, find_chromium, watched_page
from tests.data.conftest import dataset as dataset  # the data is fetched before the commands run
from tests.flows.conftest import Folder

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; skipped where there is none, unless REQUIRE_CHROMIUM is set.

    It ends with the module: as long as it lives, nobody else in the process can have an event loop.
    """
    program = find_chromium()
    if program is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set but there is no Chromium")
        pytest.skip("needs Chromium")
    with chromium(program) as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file or an address at a width, light or dark, and waits for what ends the drawing."""
    contexts = []

    def opened(
        place: Path | str,
        *,
        width: int = 1280,
        dark: bool = False,
        touch: bool = False,
        script: str = "",
        ready: str = "html[data-ready]",
    ) -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
        )
        contexts.append(context)
        if script:
            context.add_init_script(script)
        found = watched_page(context)
        found.page.goto(place if isinstance(place, str) else place.as_uri())
        found.page.wait_for_selector(ready, state="attached", timeout=120_000)
        return found

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def confirmed(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> Folder:
    """A real study that was searched and confirmed, in a folder of its own."""
    folder = Folder(tmp_path_factory.mktemp("confirmed"))
    for command in (
        ("search.run", "--trials", "6"),
        ("search.retrain", "--top", "1", "--seeds", "2"),
    ):
        done = folder.run(command[0], "--study", "tiny", *command[1:])
        assert done.returncode == 0, done.stdout + done.stderr
    return folder
