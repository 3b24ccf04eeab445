"""What all tests share."""

import pytest

from deeprec.compilation import use_compilation_cache
from deeprec.dataset import default_cache_dir


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> None:
    """Most tests build the same small models: compiling them once saves minutes."""
    use_compilation_cache(default_cache_dir() / "compiled")
