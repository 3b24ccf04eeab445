"""Blocks of the documentation: each is known, study files are valid, exceptions are not stale."""

from pathlib import Path

import pytest

from search.config.addresses import PROJECT
from search.config.reading import load_spec
from search.records.errors import InputError
from tests.documentation.blocks import Block, all_blocks
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


def test_what_is_not_run_is_tested_elsewhere() -> None:
    for exception in NOT_RUN:
        assert exception.reason
        assert not exception.instead or (PROJECT / exception.instead).is_file()


def test_the_main_commands_are_run() -> None:
    for command in ("make search", "python -m search.run --study tutorial --trials 3"):
        assert reason_not_to_run(command) is None
