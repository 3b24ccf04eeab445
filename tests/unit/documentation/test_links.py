"""Relative links of the documentation lead somewhere."""

import re
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from tests.documentation.blocks import pages

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
EXTERNAL = ("http://", "https://", "mailto:")
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(work|tmp|home|root)/")


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(path), re.MULTILINE)
    plain = (re.sub(r"[`*\[\]]|\([^)]*\)", "", heading).strip().lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for target in LINK.findall(prose(page)):
        if target.startswith(EXTERNAL):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    assert not ABSOLUTE_PATH.search(page.read_text(encoding="utf-8"))


def test_every_page_in_docs_is_linked_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(prose(page))
        if not target.startswith(EXTERNAL)
    }
    index = PROJECT / "docs" / "README.md"
    docs = {page for page in pages() if page.parent != PROJECT}
    assert docs - {index} <= linked
