"""Saving and loading leave TensorFlow asleep."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from deeprec.model.saving import load_model, save_model
from deeprec.data.tables import Feature, FeatureSchema
from deeprec.model.towers import QueryModel

tower = QueryModel(FeatureSchema((Feature(name="user_id", kind="id", vocabulary_size=5),)), (4,))
save_model(tower, Path(sys.argv[1]))
load_model(Path(sys.argv[1]))
assert "tensorflow" not in sys.modules, "TensorFlow was imported"
"""


def test_saving_and_loading_do_not_import_tensorflow(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "tower.keras")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
