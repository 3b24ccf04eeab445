"""Headless Chromium that reaches nothing but this machine, and tells what a page did."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Route,
    sync_playwright,
)

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
        errors: what it complained about, with the address it spoke of.
    """

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def check(self) -> None:
        """Nothing was fetched, nothing went wrong."""
        assert self.outside == []
        assert self.errors == []


def find_chromium() -> str | None:
    """The program, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """A browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


def watched_page(context: BrowserContext) -> Opened:
    """A new page of a context whose requests stay on this machine."""
    found = Opened(context.new_page())

    def route(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in LOCAL or parts.hostname == "127.0.0.1":
            route.continue_()
        else:
            found.outside.append(route.request.url)
            route.abort()

    def listen(said: ConsoleMessage) -> None:
        if said.type == "error":
            found.errors.append((said.text, said.location["url"]))

    context.route("**/*", route)
    found.page.on("console", listen)
    found.page.on("pageerror", lambda error: found.errors.append((str(error), found.page.url)))
    return found
