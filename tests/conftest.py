"""What all tests share."""

import os

import pytest
from hypothesis import settings

from deeprec.compilation import use_compilation_cache
from deeprec.dataset import default_cache_dir

# Shared machines are slow at times: no example has a time limit. CI tries the same examples every
# time, so that a change is judged by what it changes; elsewhere they are drawn anew.
settings.register_profile("deeprec", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("deeprec")


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> None:
    """Most tests build the same small models: compiling them once saves minutes."""
    use_compilation_cache(default_cache_dir() / "compiled")
