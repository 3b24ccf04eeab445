"""Terminals for the tests; without tmux they are skipped, unless REQUIRE_TMUX is set."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.terminal.tmux import Tmux


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    if shutil.which("tmux") is None and "REQUIRE_TMUX" not in os.environ:
        pytest.skip("tmux is not installed; set REQUIRE_TMUX to make that an error")
    with Tmux() as server:
        yield server
