"""The architecture page names the modules that are there, and no others."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from search.workspace import PROJECT

PAGE = PROJECT / "docs" / "architecture.md"
PICTURE = PROJECT / "docs" / "data-flow.svg"
SVG = "{http://www.w3.org/2000/svg}"


def named(package: str) -> set[str]:
    """The modules in the table of a package."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    table = next(part for part in section if part.startswith(f"`{package}`"))
    first_cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    return {name for cell in first_cells for name in re.findall(r"`([\w.]+)`", cell)}


def modules(package: str) -> set[str]:
    """The modules that there are; those of a package inside are one name."""
    folder = PROJECT / package
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    inside = {path.parent.name for path in folder.glob("*/__init__.py")}
    return files | inside


@pytest.mark.parametrize("package", ["deeprec", "search"])
def test_every_module_is_named_once_there(package: str) -> None:
    found = named(package)
    assert modules(package) - found == set(), "modules that the page does not name"
    assert found - modules(package) == set(), "names of modules that are gone"


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
