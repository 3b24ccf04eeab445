"""A shop in a folder."""

from pathlib import Path

import pytest

from tests.unit.deeprec.events.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
