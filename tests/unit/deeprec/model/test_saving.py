"""Files of models: those of version 0.1.0 are read, and TensorFlow is left asleep."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deeprec.recommender import Recommender

PROGRAM = """
import sys
from pathlib import Path
import deeprec.model
import keras

assert keras.backend.backend() == "jax"
for path in map(Path, sys.argv[1:]):
    tower = deeprec.model.saving.load_model(path)
    deeprec.model.saving.save_model(tower, path)
assert "tensorflow" not in sys.modules, "TensorFlow was imported"
print([type(keras.saving.load_model(path)).__name__ for path in sys.argv[1:]])
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What version 0.1.0 saved of ``tests.tiny_recommender``; its classes were in other modules."""
    with zipfile.ZipFile(Path(__file__).with_name("recommender_0_1_0.zip")) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_one_import_lets_keras_load_the_towers_of_version_0_1_0(old: Path) -> None:
    paths = [str(old / "query_model.keras"), str(old / "candidate_model.keras")]
    command = [sys.executable, "-c", PROGRAM, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "['QueryModel', 'CandidateModel']\n", done.stderr


def test_a_recommender_of_version_0_1_0_recommends_as_it_did(old: Path) -> None:
    found = Recommender.load(old).recommend(2, 3)
    assert [movie.title for movie in found] == ["Dune (1984)", "Alien (1979)", "Brazil (1985)"]
    assert [movie.score for movie in found] == pytest.approx(
        [2.3601e-3, 1.1777e-3, 1.1756e-4], 1e-3
    )
