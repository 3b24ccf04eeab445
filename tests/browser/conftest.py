"""Headless Chromium for the pages that the project writes; nothing leaves the machine."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
LOCAL = ("file", "data", "blob")


@dataclass
class Opened:
    """A page and what it did that it should not.

    Attributes:
        page: in the browser.
        outside: addresses it asked for beyond this machine; each was blocked.
        errors: what it complained about.
    """

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing was fetched, nothing went wrong."""
        assert self.outside == []
        assert self.errors == []


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; skipped where there is none, unless REQUIRE_CHROMIUM is set."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set but there is no Chromium")
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file at a width, light or dark, and waits until everything is drawn."""
    contexts = []

    def opened(path: Path, *, width: int = 1280, dark: bool = False, script: str = "") -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        if script:
            context.add_init_script(script)
        found = Opened(context.new_page())

        def route(route: Route) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in LOCAL or parts.hostname == "127.0.0.1":
                route.continue_()
            else:
                found.outside.append(route.request.url)
                route.abort()

        context.route("**/*", route)
        found.page.on(
            "console", lambda said: found.errors.append(said.text) if said.type == "error" else None
        )
        found.page.on("pageerror", lambda error: found.errors.append(str(error)))
        found.page.goto(path.as_uri())
        found.page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        return found

    yield opened
    for context in contexts:
        context.close()
