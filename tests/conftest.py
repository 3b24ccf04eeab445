"""What all tests share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from deeprec.compilation import use_compilation_cache
from deeprec.dataset import default_cache_dir
from search.secrets_in_arguments import VARIABLES

# Shared machines are slow at times: no example has a time limit. CI tries the same examples every
# time, so that a change is judged by what it changes; elsewhere they are drawn anew.
settings.register_profile("deeprec", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("deeprec")


for variable in VARIABLES.values():  # what the user has set is not for the tests
    os.environ.pop(variable, None)


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> None:
    """Most tests build the same small models: compiling them once saves minutes."""
    use_compilation_cache(default_cache_dir() / "compiled")


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """A command that runs in this process changes it for good."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)
