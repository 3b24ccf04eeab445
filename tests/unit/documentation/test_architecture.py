"""The architecture page names the rooms that are there, and no others."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from search.config.addresses import PROJECT

PAGE = PROJECT / "docs" / "architecture.md"
PICTURE = PROJECT / "docs" / "data-flow.svg"
SVG = "{http://www.w3.org/2000/svg}"


def named(package: str) -> set[str]:
    """The rooms and modules in the table of a package."""
    text = PAGE.read_text(encoding="utf-8")
    table = next(part for part in text.split("\n\n") if part.startswith(f"| `{package}` |"))
    first_cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)[1:]
    return {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}


def rooms(package: str) -> set[str]:
    """The rooms that there are, and the modules beside them."""
    folder = PROJECT / package
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


@pytest.mark.parametrize("package", ["deeprec", "search"])
def test_every_room_is_named_there(package: str) -> None:
    assert named(package) == rooms(package)


def test_the_picture_is_well_formed_and_described() -> None:
    root = ElementTree.parse(PICTURE).getroot()
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    for child in ("title", "desc"):
        element = root.find(f"{SVG}{child}")
        assert element is not None
        assert element.text
    text = PICTURE.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert PICTURE.name in PAGE.read_text(encoding="utf-8")
