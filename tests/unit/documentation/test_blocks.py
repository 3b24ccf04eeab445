"""Blocks of the documentation: each is known, study files are valid, exceptions are not stale."""

import re
from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from search.config.study import load_spec
from search.records.errors import InputError
from tests.documentation.blocks import Block, all_blocks, blocks_of
from tests.documentation.not_run import NOT_RUN, reason_not_to_run

BLOCKS = all_blocks()
STUDIES = [block for block in BLOCKS if block.kind == "toml"]
COMMANDS = [command for block in BLOCKS if block.kind == "shell" for command in block.commands]


def test_there_are_commands_and_study_files() -> None:
    assert len(COMMANDS) > 20
    assert STUDIES


@pytest.mark.parametrize("block", STUDIES, ids=lambda block: f"{block.page}:{block.line}")
def test_a_study_file_of_the_documentation_is_valid(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "shown.toml"
    path.write_text(block.text, encoding="utf-8")
    assert load_spec(str(path), folders=()).study.trials > 0
    path.write_text(block.text + "\n[unknown]\nkey = 1\n", encoding="utf-8")
    with pytest.raises(InputError, match="unknown"):
        load_spec(str(path), folders=())


@pytest.mark.parametrize("each", NOT_RUN, ids=lambda each: each.pattern)
def test_what_is_not_run_is_matched_by_whole_commands_and_tested_elsewhere(each: object) -> None:
    exception = NOT_RUN[list(NOT_RUN).index(each)]  # type: ignore[arg-type]
    re.compile(exception.pattern)
    assert exception.reason
    assert not exception.instead or (PROJECT / exception.instead).is_file()


def test_the_main_commands_are_run() -> None:
    for command in ("make search", "python -m search.run --study tutorial --trials 3"):
        assert reason_not_to_run(command) is None


def test_a_command_that_only_begins_like_an_exception_is_run() -> None:
    assert reason_not_to_run("make lock") is not None
    assert reason_not_to_run("make lockers") is None


def test_commands_are_joined_and_comments_left_out(tmp_path: Path) -> None:
    block = Block("page.md", 1, "bash", "make a  # why\n# only words\ncurl b \\\n    -d c\n\n")
    assert block.commands == ["make a", "curl b      -d c"]


def test_pictures_and_unknown_languages_are_told_apart() -> None:
    assert Block("page.md", 1, "", "a \u2500> b\n").kind == "text"
    assert Block("page.md", 1, "", "make a\n").kind == "shell"
    with pytest.raises(ValueError, match=r"page.md:1: the language .* but got 'perl'"):
        _ = Block("page.md", 1, "perl", "").kind


def test_a_block_that_is_not_closed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n```\nmake a\n```\n\n```bash\nmake b\n")
    monkeypatch.setattr("tests.documentation.blocks.PROJECT", tmp_path)
    found = blocks_of(page)
    assert next(found).commands == ["make a"]
    with pytest.raises(ValueError, match="page.md:6: the block is not closed"):
        next(found)
