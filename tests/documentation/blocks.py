"""What the pages of the documentation hold: fenced blocks, and the commands in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from search.config.addresses import PROJECT

KINDS = {"": "shell", "bash": "shell", "sh": "shell", "python": "python", "toml": "toml"}
KINDS |= dict.fromkeys(("text", "yaml", "json"), "text")

BOX_DRAWING = re.compile("[\u2500-\u257f]")
"""A block without a language that holds such a character is a picture."""


class Block(NamedTuple):
    """A fenced block: its page, the line of its fence, the language that this says, its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def kind(self) -> str:
        """``shell``, ``python``, ``toml`` or ``text``; a ValueError for another language."""
        is_picture = not self.language and BOX_DRAWING.search(self.text)
        kind = "text" if is_picture else KINDS.get(self.language)
        if kind is None:
            raise ValueError(
                f"{self.page}:{self.line}: the language of a block must be one of "
                f"{', '.join(filter(None, KINDS))} but got {self.language!r}"
            )
        return kind

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block: continued lines joined, comments left out."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)#(?!SBATCH).*", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]

    @property
    def file(self) -> str | None:
        """Where a block is to be saved: its first line says so, in a comment."""
        found = re.match(r"# (studies/[\w.-]+\.(?:toml|py))\n", self.text)
        return found[1] if found else None


def pages() -> list[Path]:
    """The README, what stands beside it, and everything in ``docs``."""
    beside = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    found = [PROJECT / name for name in beside] + sorted((PROJECT / "docs").rglob("*.md"))
    return [path for path in found if path.exists()]


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    page = path.relative_to(PROJECT).as_posix()
    language, start, lines = "", 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif start:
            yield Block(page, start, language, "\n".join(lines) + "\n")
            start = 0
        else:
            language, start, lines = line[3:].strip(), number, []
    if start:
        raise ValueError(f"{page}:{start}: the block is not closed")


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for path in pages() for block in blocks_of(path)]
