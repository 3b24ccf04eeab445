"""Every command of the documentation runs, unedited and in order, in a folder like a fresh clone.

The data is real and small (:mod:`tests.faults.small_data`). What cannot run is listed with the
reason in :mod:`tests.documentation.not_run`.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from search.config.workspace import PROJECT
from tests.documentation.blocks import Block, blocks_of, pages
from tests.documentation.conftest import Clone
from tests.documentation.not_run import reason_not_to_run

pytestmark = pytest.mark.data

STARTS_FROM: Mapping[str, str] = {
    "docs/how-to/confirm.md": "confirmed",
    "docs/how-to/read-the-report.md": "confirmed",
    "docs/how-to/use-the-model.md": "confirmed",
    "docs/reference/commands.md": "confirmed",
}
"""What has been done where a page begins, if anything: it says so itself in its first lines."""

SLOW = (
    "README.md",
    "docs/how-to/confirm.md",
    "docs/how-to/gpu.md",
    "docs/how-to/read-the-report.md",
    "docs/how-to/resume.md",
    "docs/how-to/use-the-model.md",
    "docs/reference/commands.md",
)
"""Pages whose commands take long, as they search or confirm whole studies, or search often."""


def is_run(block: Block) -> bool:
    """Whether there is anything to do for a block."""
    if block.kind == "shell":
        return any(reason_not_to_run(command) is None for command in block.commands)
    return block.kind == "python"


def cases() -> list[object]:
    """The pages on which there is something to run."""
    names = [
        path.relative_to(PROJECT).as_posix()
        for path in pages()
        if any(map(is_run, blocks_of(path)))
    ]
    return [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else (), id=name)
        for name in names
    ]


@pytest.mark.parametrize("page", cases())
def test_commands_of_a_page_run(page: str, clone_for: Callable[[str], Clone]) -> None:
    clone = clone_for(STARTS_FROM.get(page, "fresh"))
    for block in blocks_of(PROJECT / page):
        if block.kind == "shell":
            for command in block.commands:
                if reason_not_to_run(command) is None:
                    succeeds(block, command, clone.run(command))
        elif block.kind == "python":
            succeeds(block, block.text, clone.python(with_towers_that_exist(clone, block.text)))
        elif block.file is not None:
            (clone.path / block.file).write_text(block.text, encoding="utf-8")


def succeeds(block: Block, what: str, done: subprocess.CompletedProcess[str]) -> None:
    """Checks the exit code, and that no error was only printed."""
    where = f"{block.page}:{block.line}: {what}\n{done.stdout}"
    assert done.returncode == 0, where
    assert "Traceback" not in done.stdout, where


def with_towers_that_exist(clone: Clone, code: str) -> str:
    """The number of the best trial depends on the data: here is another one than on all of it."""

    def existing(found: re.Match[str]) -> str:
        folders: list[Path] = sorted(clone.path.glob(f"{found[1]}/trial-*"))
        assert folders, f"no towers in {found[1]}"
        return folders[-1].relative_to(clone.path).as_posix()

    return re.sub(r"(studies/[\w-]+)/trial-\d{4}", existing, code)
