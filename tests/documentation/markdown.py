"""Markdown as the reference pages have it."""

import re
from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown, but no pipes."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def prose(docstring: str) -> str:
    """A docstring as Markdown: one line, code in single backticks, no roles."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", " ".join(docstring.split()))
    return text.replace("``", "`")


def code(text: str) -> str:
    """Text as code; nothing for nothing."""
    return f"`{text}`" if text else ""
