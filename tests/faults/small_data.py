"""Few rows to train on, for commands whose trials shall be short and real.

A command finds them as it finds all data: prepared, in the cache folder, under the fingerprint of
the real data. Nothing in the command knows that they are fewer.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeprec.config import DataConfig
from deeprec.data.cache import ENTRIES, Entry, open_folder, write_entry
from deeprec.data.dataset import Dataset, default_cache_dir
from deeprec.data.preparation import COLUMNS

TRAINING_ROWS = 6_000
"""What is left of the rows to train on; studies have their 30,000 held-out rows whatever there is,
and looking at those takes no time."""


def small_cache(real: Dataset, folder: Path) -> None:
    """Fills a cache folder with few rows of the real data, whose held-out rows are the real ones.

    The programs compiled on the way are kept where those of all other tests are, so that only the
    first run ever waits for the compiler.

    Args:
        real: MovieLens 100K.
        folder: what a command's ``XDG_CACHE_HOME`` shall be.
    """
    cache = open_folder(folder / default_cache_dir().name)
    entry = Entry(_arrays(real), {"source": "few rows of the prepared data"})
    write_entry(open_folder(cache / ENTRIES), real.fingerprint, entry)
    keep_programs_in(folder)


def keep_programs_in(cache_home: Path) -> None:
    """Has what is compiled with that ``XDG_CACHE_HOME`` kept where that of all other tests is."""
    programs = default_cache_dir() / "compiled"
    programs.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache = open_folder(cache_home / default_cache_dir().name)
    (cache / programs.name).symlink_to(programs, target_is_directory=True)


def _arrays(real: Dataset) -> Mapping[str, npt.NDArray[Any]]:
    """The arrays as :mod:`deeprec.data.preparation` would have written them."""
    assert real.tutorial_order is not None
    assert real.profiles is not None
    config = DataConfig()
    rows = TRAINING_ROWS + config.validation_rows + config.test_rows
    last = real.tutorial_order[-rows:]
    kept = np.sort(last)
    interactions = real.interactions[kept]
    about = {
        "name": real.name,
        "users": real.users.schema.to_config(),
        "movies": real.movies.schema.to_config(),
        "encodings": list(real.profiles.encodings),
        "titles": list(real.titles),
    }
    return {
        **{f"users.{name}": column for name, column in real.users.columns.items()},
        **{f"movies.{name}": column for name, column in real.movies.columns.items()},
        **{f"interactions.{name}": getattr(interactions, name) for name in COLUMNS},
        "tutorial_order": np.searchsorted(kept, last),
        "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
    }
