"""Every command of the documentation runs, unedited and in order, in a folder like a fresh clone.

The data is real and small (:mod:`tests.faults.small_data`). What cannot run is listed with the
reason in :mod:`tests.documentation.not_run`.
"""

import re
from collections.abc import Callable

import pytest

from search.config.addresses import PROJECT
from tests.documentation.blocks import Block, blocks_of, pages
from tests.documentation.conftest import Clone
from tests.documentation.not_run import reason_not_to_run

pytestmark = pytest.mark.data

CONFIRMED = (
    "docs/how-to/confirm.md",
    "docs/how-to/read-the-report.md",
    "docs/how-to/use-the-model.md",
    "docs/reference/commands.md",
)
"""Pages that begin where a study has been confirmed: they say so in their first lines."""

SLOW = (
    *CONFIRMED,
    "README.md",
    "docs/how-to/gpu.md",
    "docs/how-to/own-parts.md",
    "docs/how-to/resume.md",
    "docs/how-to/use-from-python.md",
    "docs/how-to/trade-offs.md",
    "docs/how-to/write-a-study.md",
)
"""Pages whose commands take long, as they search or confirm whole studies, or search often."""


def commands_of(block: Block) -> list[tuple[str, str]]:
    """What is to be run of a block, each with its program."""
    if block.kind == "shell":
        return [(line, "bash") for line in block.commands if reason_not_to_run(line) is None]
    is_run = block.kind == "python" and block.file is None
    return [(block.text, "python")] if is_run else []


def cases() -> list[object]:
    """The pages on which there is something to run."""
    names = [
        path.relative_to(PROJECT).as_posix()
        for path in pages()
        if any(map(commands_of, blocks_of(path)))
    ]
    return [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else (), id=name)
        for name in names
    ]


@pytest.mark.parametrize("page", cases())
def test_commands_of_a_page_run(page: str, clone_for: Callable[[str], Clone]) -> None:
    clone = clone_for("confirmed" if page in CONFIRMED else "fresh")
    for block in blocks_of(PROJECT / page):
        if block.file is not None:
            (clone.path / block.file).write_text(block.text, encoding="utf-8")
        for line, program in commands_of(block):
            code = with_towers_that_exist(clone, line) if program == "python" else line
            done = clone.run(code, program)
            where = f"{page}:{block.line}: {line}\n{done.stdout}"
            assert done.returncode == 0, where
            assert "Traceback" not in done.stdout, where


def with_towers_that_exist(clone: Clone, code: str) -> str:
    """The number of the best trial depends on the data: here is another one than on all of it."""

    def existing(found: re.Match[str]) -> str:
        folders = sorted(clone.path.glob(f"{found[1]}/trial-*"))
        assert folders, f"no towers in {found[1]}"
        return folders[-1].relative_to(clone.path).as_posix()

    return re.sub(r"(studies/[\w-]+)/trial-\d{4}", existing, code)
