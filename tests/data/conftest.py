"""The real MovieLens 100K: prepared on first use, and then read from the user's cache."""

import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, load_dataset


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return load_dataset(DataConfig())
